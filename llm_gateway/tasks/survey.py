"""All hosts of one run: their settings, what they are like, and what a run learns on its way.

pyinfra runs `deploy.py` once for each host. The first of them surveys the whole fleet, all hosts at once, so that
everything that is wrong anywhere is told in one message before anything is touched.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

from pyinfra import logger
from pyinfra.api import DeployError
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.hosts import before, carrier, host_state, invocation, journal, remote, undo
from llm_gateway.hosts.host_state import HostState
from llm_gateway.hosts.member import Fleet, Member
from llm_gateway.hosts.record import Record
from llm_gateway.inputs import settings
from llm_gateway.inputs.secrets import ROOT_PASSWORD, Generated, Provided, SecretsError
from llm_gateway.model import checkout, layout
from llm_gateway.model.concurrency import concurrently
from llm_gateway.parts import installation, migration_marker, scheduling
from llm_gateway.parts.docker import daemon_json
from llm_gateway.parts.image import pull_sources, reference
from llm_gateway.tasks import preflight

Check = Callable[[Member], Iterable[str]]
"""Finds what is wrong with one host: texts, each with its fix."""


@dataclass(frozen=True)
class Purpose:
    """What a run is about to do: what must be in order for it, and whether it wants the hosts for itself."""

    settings_checks: tuple[Check, ...]
    host_checks: tuple[Check, ...]
    lock: bool
    fleet_checks: tuple[Check, ...] = ()
    """Of the settings again, once each host knows its gateway and the hosts that use it."""
    passes_over_others: bool = False
    """Whether hosts of neither group are somebody else's business, in place of forgotten ones."""


DEPLOYMENT = Purpose(
    (preflight.group_problems, preflight.missing_secrets),
    (preflight.problems, scheduling.problems, migration_marker.problems),
    lock=True,
    fleet_checks=(preflight.declaration_problems,),
)
DEPLOYMENT_BESIDE_OTHERS = replace(DEPLOYMENT, passes_over_others=True)
"""From a deploy.py of somebody's own, whose inventory may have hosts for other things."""
PLAN = Purpose(
    DEPLOYMENT.settings_checks,
    (preflight.verification_problems,),
    lock=False,
    fleet_checks=DEPLOYMENT.fleet_checks,
)
"""Looks and changes nothing; the provider keys it compares."""
VERIFICATION = Purpose((preflight.group_problems,), (preflight.verification_problems,), lock=False)
"""Looks and changes nothing: that takes no provider keys."""


def read_state(member: Member, lock: bool) -> HostState:
    """Read the host anew. Raises RemoteError or UnreadableError.

    Parameters: `lock`, whether other deployments are kept out of the host for as long as this run is connected.
    """
    roles = [role for role, has in (("gateway", member.is_gateway), ("openclaw", member.is_openclaw)) if has]
    values = {
        "LOCK": "yes" if lock else "no",
        **(journal.lock_values(member.host.state) if lock else {}),
        "DIRECTORY": member.directory,
        "PORT": str(member.settings.gateway_port),
        "IMAGE": reference(member),
        **(pull_sources(member) if lock else {}),
        "DAEMON_BEFORE": before.content_of(daemon_json.PATH),
        "DAEMON_OURS": before.ours_of(daemon_json.PATH),
        "USER_ID": str(member.settings.gateway_user_id),
        "OPENCLAW_UNIT": member.settings.openclaw_unit,
        "OPENCLAW_SCOPE": member.settings.openclaw_unit_scope,
        "OPENCLAW_USER": member.settings.openclaw_user or "",
        "OPENCLAW_WORKSPACE": member.settings.openclaw_workspace or "",
    }
    tracked = installation.tracked_files(member.directory) if member.is_gateway else ["/etc/os-release"]
    script = host_state.script(roles, values, tracked)
    return HostState.parse(remote.run(member.host, script))


class Survey(Fleet):
    """The hosts of one run, each of them read."""

    def __init__(self, state: State, purpose: Purpose) -> None:
        """Read all hosts. Raises DeployError with all that the checks find, settings first."""
        super().__init__()
        self._purpose = purpose
        invocation.require_config()
        if purpose.lock and (text := checkout.problem()):
            _refuse([text], "this checkout")
        self.members = self._settle(state)
        self._read_all()

    def _settle(self, state: State) -> dict[str, Member]:
        """Settings of every host, connected or not: all that is wrong in one message."""
        active = {host.name for host in state.inventory.get_active_hosts()}
        problems: list[str] = []
        members = {}
        for host in self._hosts(state):
            found, wrong = settings.check(host.data.dict())
            problems += [f"{host.name}: {text}" for text in wrong]
            is_gateway, is_openclaw = "gateways" in host.groups, "openclaw" in host.groups
            member = Member(host, found, Provided(found.secrets_file), self, is_gateway, is_openclaw)
            if host.name in active:
                problems += _found(member, self._purpose.settings_checks)
            members[member.name] = member
        self.gateways = [member for member in members.values() if member.is_gateway]
        self.agents = [member for member in members.values() if member.is_openclaw]
        lost = {member.name: reason for member in self.agents if (reason := self._gateway_problem(member))}
        problems += [f"{name}: openclaw_gateway: {reason}" for name, reason in lost.items()]
        self.agents = [member for member in self.agents if member.name not in lost]
        for member in members.values():
            if member.name in active and member.name not in lost:
                problems += _found(member, self._purpose.fleet_checks)
        _refuse(problems, "the settings")
        return {name: member for name, member in members.items() if name in active}

    def _hosts(self, state: State) -> list[Host]:
        hosts = list(state.inventory)
        if not self._purpose.passes_over_others:
            return hosts
        ours = [host for host in hosts if {"gateways", "openclaw"} & set(host.groups)]
        _refuse([] if ours else ["no host is in the group `gateways` or the group `openclaw`"], "the inventory")
        return ours

    def _gateway_problem(self, member: Member) -> str | None:
        wanted = member.settings.openclaw_gateway
        names = [gateway.name for gateway in self.gateways]
        if wanted is not None:
            return None if wanted in names else f"{wanted} is not a host of the group `gateways`"
        if not names:
            return "the group `gateways` has no host; add one to the inventory"
        if len(names) > 1 and not member.is_gateway:
            return f"name one of the gateways: {', '.join(names)}"
        return None

    def _read_all(self) -> None:
        """Read every host at the same time; then all that is wrong anywhere, in one message."""
        problems, read = [], []
        for member, unread in zip(
            self.members.values(), concurrently(self._read_one, self.members.values()), strict=True
        ):
            problems += _found(member, self._purpose.host_checks) if unread is None else [f"{member.name}: {unread}"]
            read += [member] if unread is None else []
        if problems:
            self.note_refusal(read)
        _refuse(problems, "the hosts")

    def note_refusal(self, members: Iterable[Member]) -> None:
        """Have the journals of those hosts that are this run's say that it was refused."""
        held = [each for each in members if each.state.is_root and not each.state.busy]
        if self._purpose.lock:
            concurrently(lambda member: journal.refuse(member.host), held)

    def _read_one(self, member: Member) -> str | None:
        remote.mind_connection(member.host)
        try:
            if self._purpose.lock:
                carrier.hold(member.host)
            member.state = read_state(member, self._purpose.lock)
            if self._purpose.lock and (left := member.state.left_unfinished) and not member.state.busy:
                if problem := undo.await_host(member.host, left):
                    return problem
                member.state = read_state(member, lock=True)
            member.read_at = time.monotonic()
            text = member.state.secrets
            member.generated = Generated.read(text) if text else Generated.new()
            member.record = Record.parse(member.state.text("applied_keys"))
        except SecretsError as problem:
            return (
                f"{member.directory}/{layout.SECRETS} is damaged: {problem}; restore it from a backup, or move it"
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


_fleets: WeakKeyDictionary[State, Survey | DeployError] = WeakKeyDictionary()
_lock = threading.Lock()


def member_to_deploy(state: State, host: Host) -> Member:
    """The member for a host of this run, once nothing prevents a deployment anywhere.

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


def member_beside_others(state: State, host: Host) -> Member | None:
    """As `member_to_deploy`; None for a host of neither group, which somebody else's deploy.py has, too."""
    return _surveyed(state, DEPLOYMENT_BESIDE_OTHERS).members.get(str(host.name))


def member_for(state: State, host: Host, purpose: Purpose) -> Member:
    """The member for a host of this run. Raises DeployError."""
    return _surveyed(state, purpose).members[str(host.name)]


def _surveyed(state: State, purpose: Purpose) -> Survey:
    """The fleet of this run, read by the first call. Raises DeployError, the same in each call."""
    with _lock:
        if state not in _fleets:
            logger.info("--> Reading the hosts...")
            try:
                _fleets[state] = Survey(state, purpose)
                if purpose.lock:
                    state.add_callback_handler(journal.Beginning())
            except DeployError as refusal:
                _fleets[state] = refusal
    fleet = _fleets[state]
    if isinstance(fleet, DeployError):
        raise fleet
    return fleet


def current(state: State) -> Survey | None:
    """The fleet of this run, or None where there is none."""
    fleet = _fleets.get(state)
    return fleet if isinstance(fleet, Survey) else None
