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

from llm_gateway.flavours import known
from llm_gateway.hosts import (
    answers,
    before,
    carrier,
    early,
    host_state,
    invocation,
    journal,
    remote,
    route,
    ssh_words,
    undo,
)
from llm_gateway.hosts.host_state import HostState
from llm_gateway.hosts.record import Record
from llm_gateway.hosts.topology import Machine, Run
from llm_gateway.inputs import host_data
from llm_gateway.inputs.secrets import ROOT_PASSWORD, Generated, Provided, SecretsError
from llm_gateway.model import checkout, layout
from llm_gateway.model.concurrency import concurrently
from llm_gateway.parts import installation, migration_marker, scheduling
from llm_gateway.parts.docker import daemon_json
from llm_gateway.parts.image import pull_sources, reference
from llm_gateway.tasks import preflight

Check = Callable[[Machine], Iterable[str]]
"""Finds what is wrong with one host: texts, each with its fix."""


@dataclass(frozen=True)
class Purpose:
    """What a run is about to do: what must be in order for it, and whether it wants the hosts for itself."""

    settings_checks: tuple[Check, ...]
    host_checks: tuple[Check, ...]
    lock: bool
    fleet_checks: tuple[Check, ...] = ()
    """Of the settings again, once each host knows its gateway and the hosts that use it."""
    proves: bool = False
    """Whether it ends with real answers."""
    passes_over_others: bool = False
    """Whether hosts of neither group are somebody else's business, in place of forgotten ones."""


DEPLOYMENT = Purpose(
    (preflight.group_problems, preflight.missing_secrets),
    (preflight.problems, scheduling.problems, migration_marker.problems),
    lock=True,
    fleet_checks=(preflight.declaration_problems,),
    proves=True,
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
VERIFICATION = Purpose((preflight.group_problems,), (preflight.verification_problems,), lock=False, proves=True)
"""Looks and changes nothing: that takes no provider keys."""


def read_state(machine: Machine, lock: bool) -> HostState:
    """Read the host anew. Raises RemoteError or UnreadableError.

    Parameters: `lock`, whether other deployments are kept out of the host for as long as this run is connected.
    """
    return HostState.parse(remote.run(machine.host, _reading(machine, _LOCK if lock else _NO_LOCK)))


_PROOFS = 2
"""A completion and an embedding."""
_LOCK, _NO_LOCK, _LOCK_LATER, _LOCK_ONLY = "yes", "no", "later", "only"
"""What `host_state.sh` does about the lock."""


def _reading(machine: Machine, lock: str) -> str:
    """The script that reads the host."""
    roles = [role for role, has in (("gateway", machine.node), ("openclaw", machine.agent)) if has]
    directory = machine.settings.gateway_directory
    values = {
        "LOCK": lock,
        **(journal.lock_values(machine.host.state) if lock in (_LOCK, _LOCK_ONLY) else {}),
        "DIRECTORY": directory,
        "PORT": str(machine.settings.gateway_port),
        **host_state.asked_of(known.of_image(machine.settings.gateway_image).reads),
        "IMAGE": reference(machine.settings),
        **(pull_sources(machine.settings) if lock != _NO_LOCK else {}),
        "DAEMON_BEFORE": before.content_of(daemon_json.PATH),
        "DAEMON_OURS": before.ours_of(daemon_json.PATH),
        "USER_ID": str(machine.settings.gateway_user_id),
        "OPENCLAW_UNIT": machine.settings.openclaw_unit,
        "OPENCLAW_SCOPE": machine.settings.openclaw_unit_scope,
        "OPENCLAW_USER": machine.settings.openclaw_user or "",
        "OPENCLAW_WORKSPACE": machine.settings.openclaw_workspace or "",
    }
    tracked = installation.tracked_files(directory) if machine.node else ["/etc/os-release"]
    return host_state.script(roles, values, tracked)


def _read_first(machine: Machine, lock: bool) -> HostState:
    """As `read_state`, by what the host was asked before pyinfra was loaded, where that is the same question."""
    if not early.is_on():
        return read_state(machine, lock)
    question = remote.wrapped(machine.host, _reading(machine, _LOCK_LATER if lock else _NO_LOCK))
    state = _answered_early(machine, question, lock) or read_state(machine, lock)
    if ssh := ssh_words.ssh_words(machine.host):
        early.note(machine.name, ssh, question)
    return state


def _answered_early(machine: Machine, question: str, lock: bool) -> HostState | None:
    """What the host has answered to this question, None where it was not asked it.

    The lock is taken now: the answer counts if no other run was at work from before it until then.
    """
    asked = early.find(machine.name, ssh_words.ssh_words(machine.host), question)
    if asked is None:
        return None
    ahead = route.Ahead(machine.host, *asked.way, _PROOFS) if asked.way else None
    locked = remote.run(machine.host, _reading(machine, _LOCK_ONLY)) if lock else []
    answered = asked.lines()
    if ahead:
        ahead.offer()
    if answered is None:
        return None
    state = HostState.parse([*answered, *locked])
    if lock and (state.left_unfinished or HostState.parse(answered).marks != HostState.parse(locked).marks):
        return None
    return state


def _way(machine: Machine) -> tuple[str, int] | None:
    """Where this run is going to ask for real answers by the host; None where that is not known."""
    node = machine.node or (machine.agent.nodes[0] if machine.agent else None)
    if node is None or not node.is_reached:
        return None
    return node.address, node.settings.gateway_port


class Survey(Run):
    """The hosts of one run, each of them read."""

    def __init__(self, state: State, purpose: Purpose) -> None:
        """Read all hosts. Raises DeployError with all that the checks find, settings first."""
        super().__init__()
        self._purpose = purpose
        invocation.require_config()
        if purpose.lock and (text := checkout.problem()):
            _refuse([text], "this checkout")
        self.machines = self._settle(state)
        self._read_all()

    def _settle(self, state: State) -> dict[str, Machine]:
        """Settings of every host, connected or not: all that is wrong in one message."""
        active = {host.name for host in state.inventory.get_active_hosts()}
        problems: list[str] = []
        machines: list[Machine] = []
        for host in self._hosts(state):
            found, wrong = host_data.check(host.data.dict())
            problems += [f"{host.name}: {text}" for text in wrong]
            machine = Machine(host, found, Provided(found.secrets_file), self)
            if "gateways" in host.groups:
                self.add_node(machine)
            if host.name in active:
                problems += _found(machine, self._purpose.settings_checks)
            machines.append(machine)
        lost = {}
        for machine in machines:
            if "openclaw" not in machine.host.groups:
                continue
            if reason := self._gateway_problem(machine):
                lost[machine.name] = reason
            else:
                self.add_agent(machine)
        problems += [f"{name}: openclaw_gateway: {reason}" for name, reason in lost.items()]
        for machine in machines:
            if machine.name in active and machine.name not in lost:
                problems += _found(machine, self._purpose.fleet_checks)
        _refuse(problems, "the settings")
        return {machine.name: machine for machine in machines if machine.name in active}

    def _hosts(self, state: State) -> list[Host]:
        hosts = list(state.inventory)
        if not self._purpose.passes_over_others:
            return hosts
        ours = [host for host in hosts if {"gateways", "openclaw"} & set(host.groups)]
        _refuse([] if ours else ["no host is in the group `gateways` or the group `openclaw`"], "the inventory")
        return ours

    def _gateway_problem(self, machine: Machine) -> str | None:
        wanted = machine.settings.openclaw_gateway
        names = [*self.nodes]
        if wanted is not None:
            unknown = [name for name in wanted if name not in names]
            verb = "is not a host" if len(unknown) == 1 else "are not hosts"
            return f"{', '.join(unknown)} {verb} of the group `gateways`" if unknown else None
        if not names:
            return "the group `gateways` has no host; add one to the inventory"
        if len(names) > 1 and not machine.node:
            return f"name one of the gateways: {', '.join(names)}"
        return None

    def _read_all(self) -> None:
        """Read every host at the same time; then all that is wrong anywhere, in one message."""
        problems, read = [], []
        machines = self.machines.values()
        for machine, unread in zip(machines, concurrently(self._read_one, machines), strict=True):
            problems += _found(machine, self._purpose.host_checks) if unread is None else [f"{machine.name}: {unread}"]
            read += [machine] if unread is None else []
        if problems:
            self.note_refusal(read)
        _refuse(problems, "the hosts")
        if self._purpose.proves:
            for machine in read:
                if way := _way(machine):
                    early.note_way(machine.name, *way)
        early.keep()

    def note_refusal(self, machines: Iterable[Machine]) -> None:
        """Have the journals of those hosts that are this run's say that it was refused."""
        held = [each for each in machines if each.state.is_root and not each.state.busy]
        if self._purpose.lock:
            concurrently(lambda machine: journal.refuse(machine.host), held)

    def _read_one(self, machine: Machine) -> str | None:
        remote.mind_connection(machine.host)
        try:
            if self._purpose.lock:
                carrier.hold(machine.host)
            machine.state = _read_first(machine, self._purpose.lock)
            if self._purpose.lock and (left := machine.state.left_unfinished) and not machine.state.busy:
                if problem := undo.await_host(machine.host, left):
                    return problem
                machine.state = read_state(machine, lock=True)
            machine.read_at = time.monotonic()
            if machine.node:
                gateway, text = machine.node.gateway, machine.state.secrets
                gateway.generated = Generated.read(text) if text else Generated.new()
                gateway.record = Record.parse(machine.state.applied_keys)
        except SecretsError as problem:
            place = f"{machine.settings.gateway_directory}/{layout.SECRETS}"
            return (
                f"{place} is damaged: {problem}; restore it from a backup, or move it away and export"
                f" {ROOT_PASSWORD}=… (the gateway's root password)"
            )
        except (remote.RemoteError, answers.UnreadableError, OSError) as problem:
            return f"its state cannot be read: {problem}"
        return None


def _found(machine: Machine, checks: Sequence[Check]) -> list[str]:
    problems: list[str] = []
    try:
        for check in checks:
            problems += check(machine)
    except remote.RemoteError as problem:
        problems.append(f"it cannot be examined: {problem}")
    return [f"{machine.name}: {problem}" for problem in problems]


def _refuse(problems: list[str], where: str) -> None:
    if problems:
        count = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise DeployError(
            f"{count} with {where}; nothing was changed.\n" + "\n".join(f"  - {text}" for text in problems)
        )


_surveys: WeakKeyDictionary[State, Survey | DeployError] = WeakKeyDictionary()
_lock = threading.Lock()


def machine_to_deploy(state: State, host: Host) -> Machine:
    """The machine for a host of this run, once nothing prevents a deployment anywhere.

    Raises DeployError with every problem of every host.
    """
    return machine_for(state, host, DEPLOYMENT)


def machine_to_plan(state: State, host: Host) -> Machine:
    """The machine for a host of this run, to be compared with what is declared.

    Raises DeployError with every problem of every host.
    """
    return machine_for(state, host, PLAN)


def machine_to_verify(state: State, host: Host) -> Machine:
    """The machine for a host of this run, to be looked at and left as it is.

    Raises DeployError with every problem of every host.
    """
    return machine_for(state, host, VERIFICATION)


def machine_beside_others(state: State, host: Host) -> Machine | None:
    """As `machine_to_deploy`; None for a host of neither group, which somebody else's deploy.py has, too."""
    return _surveyed(state, DEPLOYMENT_BESIDE_OTHERS).machines.get(str(host.name))


def machine_for(state: State, host: Host, purpose: Purpose) -> Machine:
    """The machine for a host of this run. Raises DeployError."""
    return _surveyed(state, purpose).machines[str(host.name)]


def _surveyed(state: State, purpose: Purpose) -> Survey:
    """The fleet of this run, read by the first call. Raises DeployError, the same in each call."""
    with _lock:
        if state not in _surveys:
            logger.info("--> Reading the hosts...")
            try:
                _surveys[state] = Survey(state, purpose)
                if purpose.lock:
                    state.add_callback_handler(journal.Beginning())
            except DeployError as refusal:
                _surveys[state] = refusal
    found = _surveys[state]
    if isinstance(found, DeployError):
        raise found
    return found


def current(state: State) -> Survey | None:
    """The fleet of this run, or None where there is none."""
    found = _surveys.get(state)
    return found if isinstance(found, Survey) else None
