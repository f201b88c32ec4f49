"""All hosts of one run: their settings, what they are like, and what a run learns on its way.

pyinfra runs `deploy.py` once for each host. The first of them surveys the whole fleet, all hosts at once, so that
everything that is wrong anywhere is told in one message before anything is touched.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from pyinfra import logger
from pyinfra.api import DeployError
from pyinfra.api.host import Host
from pyinfra.api.state import State

from gateway import host_state, installation, preflight, remote, scheduling, settings
from gateway.concurrency import concurrently
from gateway.contents.record import Record
from gateway.host_state import HostState
from gateway.image import reference
from gateway.migration import moved
from gateway.runs import journal, undo
from gateway.secrets import ROOT_PASSWORD, Generated, Provided, SecretsError
from gateway.settings import Settings
from oneapi.planning import Change


@dataclass
class Member:
    """One host of the run."""

    host: Host
    settings: Settings
    provided: Provided
    fleet: Fleet
    is_gateway: bool
    is_openclaw: bool
    state: HostState = field(init=False)
    generated: Generated = field(init=False, repr=False)
    read_at: float = field(default_factory=time.monotonic)
    """When it was read, in seconds of the monotonic clock."""
    record: Record = field(default_factory=Record)
    """What earlier runs made of a gateway's contents."""
    token_keys: dict[str, str] = field(default_factory=dict, repr=False)
    """A gateway's token keys, by token name, once they are known."""
    changed_channels: set[str] = field(default_factory=set)
    """The channels, by name, that this run has made or changed on a gateway."""
    plan: tuple[Change, ...] | None = None
    """What would have to be changed on a gateway, where a run was asked to tell that."""
    is_republished: bool = False
    """Whether this run starts the gateway anew, so that what was read of it no longer holds."""
    environment_changed: bool = False
    """Whether this run has changed OpenClaw's environment."""

    @property
    def name(self) -> str:
        """The host's name in the inventory."""
        return str(self.host.name)

    @property
    def directory(self) -> str:
        """The install directory on the host."""
        return self.settings.gateway_directory

    @property
    def address(self) -> str:
        """The Tailscale address that the gateway is published on."""
        return self.settings.gateway_tailscale_address or self.state.tailscale_addresses[0]

    @property
    def base_url(self) -> str:
        """The gateway's root, without /v1."""
        return f"http://{self.address}:{self.settings.gateway_port}"

    @property
    def gateway(self) -> Member:
        """The gateway that this host uses: itself when it is one, unless its settings name another."""
        return self.fleet.gateway_of(self)

    def read_state(self, lock: bool) -> HostState:
        """Read the host anew. Raises RemoteError or UnreadableError.

        Parameters: `lock`, whether other deployments are kept out of the host for as long as this run is connected.
        """
        roles = [role for role, has in (("gateway", self.is_gateway), ("openclaw", self.is_openclaw)) if has]
        values = {
            "LOCK": "yes" if lock else "no",
            **(journal.lock_values(self.host.state) if lock else {}),
            "DIRECTORY": self.directory,
            "PORT": str(self.settings.gateway_port),
            "IMAGE": reference(self),
            "USER_ID": str(self.settings.gateway_user_id),
            "OPENCLAW_UNIT": self.settings.openclaw_unit,
            "OPENCLAW_SCOPE": self.settings.openclaw_unit_scope,
            "OPENCLAW_USER": self.settings.openclaw_user or "",
            "OPENCLAW_WORKSPACE": self.settings.openclaw_workspace or "",
        }
        tracked = installation.tracked_files(self.directory) if self.is_gateway else ["/etc/os-release"]
        script = host_state.script(roles, values, tracked)
        return HostState.parse(remote.run(self.host, script))


Check = Callable[[Member], Iterable[str]]
"""Finds what is wrong with one host: texts, each with its mend."""


@dataclass(frozen=True)
class Purpose:
    """What a run is about to do: what must be in order for it, and whether it wants the hosts for itself."""

    settings_checks: tuple[Check, ...]
    host_checks: tuple[Check, ...]
    lock: bool
    fleet_checks: tuple[Check, ...] = ()
    """Of the settings again, once each host knows its gateway and the hosts that use it."""


DEPLOYMENT = Purpose(
    (preflight.group_problems, preflight.missing_secrets),
    (preflight.problems, scheduling.problems, moved.problems),
    lock=True,
    fleet_checks=(preflight.declaration_problems,),
)
PLAN = Purpose(
    DEPLOYMENT.settings_checks,
    (preflight.verification_problems,),
    lock=False,
    fleet_checks=DEPLOYMENT.fleet_checks,
)
"""Looks and changes nothing; the provider keys it compares."""
VERIFICATION = Purpose((preflight.group_problems,), (preflight.verification_problems,), lock=False)
"""Looks and changes nothing: that takes no provider keys."""


class Fleet:
    """The hosts of one run by name, and what the run learns that other hosts need."""

    def __init__(self, state: State, purpose: Purpose) -> None:
        """Read all hosts. Raises DeployError with all that the checks find, settings first."""
        self._purpose = purpose
        self.members = self._settle(state)
        self._read_all()

    def _settle(self, state: State) -> dict[str, Member]:
        """Settings of every host, connected or not: all that is wrong in one message."""
        active = {host.name for host in state.inventory.get_active_hosts()}
        problems: list[str] = []
        members = {}
        for host in state.inventory:
            found, wrong = settings.check(host.data.dict())
            problems += [f"{host.name}: {text}" for text in wrong]
            is_gateway, is_openclaw = "gateways" in host.groups, "openclaw" in host.groups
            member = Member(host, found, Provided(found.secrets_file), self, is_gateway, is_openclaw)
            if host.name in active:
                problems += _found(member, self._purpose.settings_checks)
            members[member.name] = member
        self._gateways = [member for member in members.values() if member.is_gateway]
        self._agents = [member for member in members.values() if member.is_openclaw]
        lost = {member.name: reason for member in self._agents if (reason := self._gateway_problem(member))}
        problems += [f"{name}: openclaw_gateway: {reason}" for name, reason in lost.items()]
        self._agents = [member for member in self._agents if member.name not in lost]
        for member in members.values():
            if member.name in active and member.name not in lost:
                problems += _found(member, self._purpose.fleet_checks)
        _refuse(problems, "the settings")
        return {name: member for name, member in members.items() if name in active}

    def _gateway_problem(self, member: Member) -> str | None:
        wanted = member.settings.openclaw_gateway
        names = [gateway.name for gateway in self._gateways]
        if wanted is not None:
            return None if wanted in names else f"{wanted} is not a host of the group `gateways`"
        if not names:
            return "the group `gateways` has no host; add one to the inventory"
        if len(names) > 1 and not member.is_gateway:
            return f"name one of the gateways: {', '.join(names)}"
        return None

    def gateway_of(self, member: Member) -> Member:
        """The gateway that an OpenClaw host uses; a host that only is one is its own."""
        if not member.is_openclaw:
            return member
        if wanted := member.settings.openclaw_gateway:
            return next(gateway for gateway in self._gateways if gateway.name == wanted)
        return member if member.is_gateway else self._gateways[0]

    def agents_of(self, gateway: Member) -> list[Member]:
        """The OpenClaw hosts that use a gateway, reached in this run or not."""
        return [member for member in self._agents if self.gateway_of(member) is gateway]

    def _read_all(self) -> None:
        """Read every host at the same time; then all that is wrong anywhere, in one message."""
        problems = []
        for member, unread in zip(
            self.members.values(), concurrently(self._read_one, self.members.values()), strict=True
        ):
            problems += _found(member, self._purpose.host_checks) if unread is None else [f"{member.name}: {unread}"]
        _refuse(problems, "the hosts")

    def _read_one(self, member: Member) -> str | None:
        remote.mind_connection(member.host)
        try:
            member.state = member.read_state(self._purpose.lock)
            if self._purpose.lock and (left := member.state.left_unfinished) and not member.state.text("busy"):
                if problem := undo.await_host(member.host, left):
                    return problem
                member.state = member.read_state(lock=True)
            member.read_at = time.monotonic()
            text = member.state.answers.get("secrets")
            member.generated = Generated.read(text) if text else Generated.new()
            member.record = Record.parse(member.state.text("applied_keys"))
        except SecretsError as problem:
            return (
                f"{member.directory}/secrets.env is damaged: {problem}; restore it from a backup, or move it"
                f" away and export {ROOT_PASSWORD}=… (the gateway's root password)"
            )
        except (remote.RemoteError, host_state.UnreadableError, OSError) as problem:
            return f"its state cannot be read: {problem}"
        return None


def _found(member: Member, checks: Sequence[Check]) -> list[str]:
    problems: list[str] = []
    try:
        for check in checks:
            problems += check(member)
    except remote.RemoteError as problem:
        problems.append(f"it cannot be examined: {problem}")
    return [f"{member.name}: {problem}" for problem in problems]


def _refuse(problems: list[str], where: str) -> None:
    if problems:
        count = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise DeployError(
            f"{count} with {where}; nothing was changed.\n" + "\n".join(f"  - {text}" for text in problems)
        )


_fleets: WeakKeyDictionary[State, Fleet | DeployError] = WeakKeyDictionary()
_lock = threading.Lock()


def member_to_deploy(state: State, host: Host) -> Member:
    """The member for a host of this run, once nothing stands in the way of a deployment anywhere.

    Raises DeployError with every problem of every host.
    """
    return member_for(state, host, DEPLOYMENT)


def member_to_plan(state: State, host: Host) -> Member:
    """The member for a host of this run, to be compared with what is declared.

    Raises DeployError with every problem of every host.
    """
    return member_for(state, host, PLAN)


def member_to_verify(state: State, host: Host) -> Member:
    """The member for a host of this run, to be looked at and left as it is.

    Raises DeployError with every problem of every host.
    """
    return member_for(state, host, VERIFICATION)


def member_for(state: State, host: Host, purpose: Purpose) -> Member:
    """The member for a host of this run. The first call of a run surveys the whole fleet."""
    with _lock:
        if state not in _fleets:
            logger.info("--> Reading the hosts...")
            try:
                _fleets[state] = Fleet(state, purpose)
                if purpose.lock:
                    state.add_callback_handler(journal.Beginning())
            except DeployError as refusal:
                _fleets[state] = refusal
    fleet = _fleets[state]
    if isinstance(fleet, DeployError):
        raise fleet
    return fleet.members[str(host.name)]


def current(state: State) -> Fleet | None:
    """The fleet of this run, or None where there is none."""
    fleet = _fleets.get(state)
    return fleet if isinstance(fleet, Fleet) else None
