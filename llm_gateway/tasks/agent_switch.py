"""An OpenClaw host goes over to its gateway: proven from the host first, and given back what it had where it fails.

Before anything of the host is touched, its new token gets a completion and an embedding from there. The way back is
then left on the host (`hosts.undo`), .env and drop-in are written, OpenClaw is restarted, and the same is asked
again with what stands on the disk. So whatever OpenClaw worked with before a run works after one that failed.
"""

from __future__ import annotations

import shlex
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pyinfra.api import FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.hosts import before, remote, undo
from llm_gateway.hosts.progress import step
from llm_gateway.hosts.route import RouteError
from llm_gateway.hosts.topology import Agent, Gateway, Node
from llm_gateway.model import layout, shell
from llm_gateway.model.asking import ROUNDS, Answer, VerificationError
from llm_gateway.parts.openclaw import openclaw, openclaw_config, openclaw_ready, openclaw_restart
from llm_gateway.parts.openclaw.openclaw import Access
from llm_gateway.proof import agent_environment, agent_path, openclaw_turn
from llm_gateway.proof.agent_environment import AgentEnvironment
from llm_gateway.proof.verification_keys import learn

_SCRIPT = Path(__file__).with_name("agent_switch.sh")
_SLACK_SECONDS = 60.0
_KEPT = ("had_copy", "had_directory", "had_environment_note", "had_environment")
_KEPT_OF_CONFIGURATION = ("had_configuration", "had_record")
_KEPT_OF_UNIT = ("had_dropin_directory", "had_dropin_note", "had_dropin", "pid", "state")
"""What `keep` says; without one of them nothing could be given back."""


class AgentSwitchError(Exception):
    """OpenClaw does not run as it is to; the text says why."""


def point_at_gateway(agent: Agent) -> None:
    """Have OpenClaw use its gateway, with the token of this host, or leave it as it is."""
    openclaw_config.announce(agent)
    if openclaw.is_left_running(agent) and openclaw.runs_with_older_files(agent):
        remote.tell(agent.host, f"{agent.settings.openclaw_unit} {_goes_on(agent)}")
    _point(name="Point OpenClaw at the gateway", agent=agent)
    if not openclaw.has_unit(agent):
        remote.tell(
            agent.host,
            f"there is no {agent.settings.openclaw_unit} ({agent.settings.openclaw_unit_scope} unit) on this host:"
            f" {openclaw.environment_path(agent)} is kept up to date (openclaw_user says whose it is), and there is"
            " nothing to restart",
        )


def _goes_on(agent: Agent) -> str:
    """That it is not restarted, in words behind the unit's name."""
    typed = openclaw.by_hand(agent, "restart")
    return f'keeps what it read at its start until a person restarts it: {typed} (openclaw_restart is "never")'


def is_due(agent: Agent) -> bool:
    """Whether the run has something to change on an OpenClaw host, as far as that can be known now."""
    wanted = agent_environment.accesses(agent)
    return wanted is not None and _is_due(agent, wanted)


def is_to_be_proven(agent: Agent, gateway: Gateway) -> bool:
    """Whether that has to be proven first of a gateway; a migration, restore or rollback has done so already."""
    return is_due(agent) and any(each.gateway is gateway for each in _unproven(agent))


def _unproven(agent: Agent) -> list[AgentEnvironment]:
    return [each for each in agent_environment.known(agent) if (each.base_url, each.key) not in agent.proven]


def _is_due(agent: Agent, wanted: Sequence[Access]) -> bool:
    content = openclaw.merged_environment(agent, wanted)
    if content != agent.state.openclaw_env or not openclaw.environment_is_theirs(agent):
        return True
    if _writes_configuration(agent):
        return True
    is_behind = openclaw.runs_with_older_files(agent) and not openclaw.is_left_running(agent)
    return openclaw.has_unit(agent) and (openclaw.drop_in_differs(agent) or is_behind)


def _writes_configuration(agent: Agent) -> bool:
    """Whether its configuration is to change, and may: one that runs takes that up at once, and restarts for it."""
    return openclaw_config.is_due(agent) and not openclaw.is_left_running(agent)


@operation()
def _point(agent: Agent) -> Generator[FunctionCommand, None, None]:
    if agent.host.state.is_executing:
        _settle(agent)
    wanted = agent_environment.accesses(agent)
    if wanted is None and agent.host.state.is_executing:
        yield remote.Callback(_no_token, (agent,), {})
        return
    if wanted is None:  # while planning: the gateway may not have made it yet, and then the present one will do
        wanted = agent_environment.with_present(agent)
    if wanted is None or _is_due(agent, wanted):
        yield remote.Callback(_switch, (agent,), {})
    elif agent.state.openclaw_kept:
        yield remote.Callback(_discard, (agent,), {})
    elif openclaw.has_unit(agent) and (names := openclaw.left_over(agent)):
        yield remote.Callback(_blame_unit, (agent, names), {})  # a restart would change nothing


def _named(agent: Agent) -> str:
    return ", ".join(node.name for node in agent.nodes)


def _settle(agent: Agent) -> None:
    """Settle which of several gateways this run leaves as they are in the host's files, and say so."""
    if len(agent.nodes) == 1:
        return
    failed = {node.name for node in agent.nodes if node.host in agent.host.state.failed_hosts}
    failed |= {node.name for node in agent.nodes if node.name not in failed and not _has_token(agent, node)}
    if len(failed) < len(agent.nodes):
        agent.without = frozenset(failed)
    there = [place.node for place in openclaw.places(agent)]
    for node in openclaw.missing(agent):
        is_failed = node.name in failed
        how = (
            "failed, or has no token for this host, in this run, so it"
            if is_failed
            else "was not reached in this run, so it"
        )
        becomes = (
            "keeps its place in the files of this host; run again once it is back"
            if node in there
            else "is left out of the files of this host; run again once it is back"
        )
        remote.tell(agent.host, f"{node.name} {how} {becomes}")


def _has_token(agent: Agent, node: Node) -> bool:
    """Whether the host's token on a gateway is known, or can be learnt: a restore, say, is of one gateway alone."""
    if openclaw.is_usable(agent, node) and agent_environment.key_for(agent, node) is None:
        with suppress(RouteError, VerificationError):  # then it is told to have failed
            learn(node.gateway)
    return not openclaw.is_usable(agent, node) or agent_environment.key_for(agent, node) is not None


def _no_token(state: State, host: Host, agent: Agent) -> bool:
    told = f"gateway {_named(agent)} was" if len(agent.nodes) == 1 else f"gateways {_named(agent)} were"
    remote.complain(
        host,
        f"has no token: its {told} not reached or failed in this run; fix that host, then run again without --limit",
    )
    return False


def _blame_unit(state: State, host: Host, agent: Agent, names: list[str]) -> bool:
    remote.complain(host, openclaw.blamed(agent, names))
    return False


_FAILURES = (AgentSwitchError, openclaw_turn.TurnError, VerificationError, undo.UndoError, remote.RemoteError, OSError)


def _switch(state: State, host: Host, agent: Agent) -> bool:
    name, wanted = _named(agent), agent_environment.accesses(agent)
    if wanted is None:
        return _no_token(state, host, agent)
    try:
        if all(node.host in state.failed_hosts for node in agent.nodes):
            raise VerificationError(f"its gateway {name} has failed in this run; the first error there says why")
        for asked in _unproven(agent):
            step(host, f"openclaw: asking {asked.base_url} from this host, with the token that it is to use")
            agent_path.prove(agent, asked)
        if problem := openclaw_config.invalid(agent):
            raise AgentSwitchError(problem)
        swap = openclaw_config.prepare(agent) if _writes_configuration(agent) else "true"
        if problem := openclaw_restart.await_idle(agent):
            raise AgentSwitchError(problem)
        text = agent_environment.read_text(agent)
        found = _keep(agent)
    except _FAILURES as problem:
        remote.complain(host, f"OpenClaw was not pointed at {name}: {problem}")
        remote.tell(host, "nothing was changed here: OpenClaw keeps its configuration")
        _discard_if_possible(agent)
        return False
    what = f"the change of OpenClaw's gateway on {agent.name}"
    try:
        with undo.undoable(host, what, _script(agent, "give_back", found), _longest(agent)):
            agent.answers = _carry_out(agent, wanted, text, swap)
    except _FAILURES as problem:
        remote.complain(host, f"OpenClaw was not pointed at {name}: {problem}")
        agent.answers = {}
        _look(agent, text, found)
        return False
    agent.environment_changed = True
    return _discard(state, host, agent)


def _discard(state: State, host: Host, agent: Agent) -> bool:
    """Remove what was kept. Raises RemoteError: then the next run does it."""
    remote.run(host, _script(agent, "discard"))
    return True


def _discard_if_possible(agent: Agent) -> None:
    """The same where the run has failed already: a key stands in it, so it is said where it stays."""
    try:
        _discard(agent.host.state, agent.host, agent)
    except remote.RemoteError as problem:
        remote.complain(
            agent.host,
            f"{openclaw.environment_path(agent)}.llmgw-kept may be left; the next run removes it: {problem}",
        )


def _keep(agent: Agent) -> Mapping[str, str]:
    """Keep what is to be replaced, and say what there was. Raises RemoteError."""
    lines = remote.run(agent.host, _script(agent, "keep"))
    found = dict(line.split("=", 1) for line in lines if "=" in line)
    wanted = [
        *_KEPT,
        *(_KEPT_OF_CONFIGURATION if _writes_configuration(agent) else ()),
        *(_KEPT_OF_UNIT if openclaw.has_unit(agent) else ()),
    ]
    if missing := [name for name in wanted if not found.get(name)]:
        raise AgentSwitchError(f"what there is cannot be kept: the host does not say {', '.join(missing)}")
    return found


def _carry_out(agent: Agent, wanted: Sequence[Access], text: str, swap: str = "true") -> dict[str, list[Answer]]:
    """From the former .env to an answer by each gateway. Raises as `_switch` catches it.

    Parameters: `swap`, the command that puts its configuration in place.
    """
    host = agent.host
    step(host, "openclaw: writing its .env and its drop-in")
    content = openclaw.merged_environment(agent, wanted, text)
    if content != text or not openclaw.environment_is_theirs(agent):
        remote.run(host, *openclaw.environment_command(agent, content))
    if openclaw.has_unit(agent) and openclaw.drop_in_differs(agent):
        remote.run(host, *openclaw.drop_in_command(agent))
    if _writes_configuration(agent):
        openclaw_config.keep(agent)
    if openclaw.has_unit(agent):
        _restart(agent, swap)
    is_asked = openclaw_config.is_managed(agent) and not openclaw.is_left_running(agent)
    if is_asked and (problem := openclaw_config.unused(agent)):
        raise AgentSwitchError(problem)
    step(host, "openclaw: asking again, with its .env as it stands there now")
    answers = {each.base_url: agent_path.prove(agent, each) for each in agent_environment.on_disk(agent)}
    is_restarted = openclaw.has_unit(agent) and not (openclaw.is_stopped(agent) or openclaw.is_left_running(agent))
    if is_restarted and openclaw_turn.is_for_first(agent):
        openclaw_turn.take(agent)
    return answers


def _restart(agent: Agent, swap: str) -> None:
    unit = agent.settings.openclaw_unit
    if openclaw.is_stopped(agent) or openclaw.is_left_running(agent):
        told = "is stopped and was left so" if openclaw.is_stopped(agent) else _goes_on(agent)
        remote.tell(agent.host, f"{unit} {told}")
        remote.run(agent.host, f"{openclaw.systemctl(agent, 'daemon-reload')} && {swap}")
        return
    openclaw_restart.restart(agent, openclaw.reload_command(agent), swap)
    if problem := openclaw.await_environment(agent) or openclaw_ready.await_ready(agent):
        raise AgentSwitchError(problem)


def _look(agent: Agent, text: str, found: Mapping[str, str]) -> None:
    """Say whether OpenClaw has what it had before, and runs with it."""
    host, unit = agent.host, agent.settings.openclaw_unit
    try:
        if pending := undo.is_pending(host):
            remote.complain(host, pending)
            return
        if changed := _not_as_before(agent, text):
            remote.complain(host, f"{changed} is not as it was before: look at it")
            return
        _discard_if_possible(agent)  # where the way back was never left on the host
        has_run = openclaw.has_unit(agent) and found.get("state") not in ("inactive", "failed")
        if has_run and not openclaw.await_process(agent):
            remote.complain(host, f"{unit} does not run with its former .env; `journalctl -u {unit}` says why")
            return
        if has_run and (problem := openclaw_ready.await_ready(agent)):
            remote.complain(host, f"with its former .env, {problem}")
            return
    except (remote.RemoteError, ValueError) as problem:
        remote.complain(host, f"whether OpenClaw has its former .env again cannot be seen: {problem}")
        return
    remote.tell(host, f"OpenClaw has its former .env again{f', and {unit} runs' if has_run else ''}")


def _not_as_before(agent: Agent, text: str) -> str | None:
    """The path of what is not as it was. Raises RemoteError and ValueError."""
    if agent_environment.read_text(agent) != text:
        return openclaw.environment_path(agent)
    if not openclaw.has_unit(agent):
        return None
    path, former = openclaw.drop_in_path(agent), agent.state.openclaw_dropin or ""
    lines = remote.run(agent.host, f"[ ! -e {shlex.quote(path)} ] || cat {shlex.quote(path)}")
    return None if lines == former.splitlines() else path


def _longest(agent: Agent) -> float:
    """How many seconds it may take until the host gives everything back by itself."""
    asking = len(agent.nodes) * ROUNDS * agent.settings.verification_timeout
    configuring = openclaw_config.COMMANDS_SECONDS if openclaw_config.is_managed(agent) else 0
    starting = openclaw.PROOF_SECONDS + agent.settings.openclaw_start_timeout
    turn = openclaw_turn.LONGEST_SECONDS if openclaw_turn.is_for_first(agent) else 0
    return openclaw_restart.stop_seconds(agent) + configuring + starting + asking + turn + _SLACK_SECONDS


def _script(agent: Agent, function: str, found: Mapping[str, str] | None = None) -> str:
    account = openclaw.account(agent)
    environment, drop_in = openclaw.environment_path(agent), openclaw.drop_in_path(agent)
    # What a run that was cut off has kept goes as well, though there is nothing to change any more.
    is_changed = openclaw_config.is_managed(agent) if function == "discard" else _writes_configuration(agent)
    values = {
        "user": account.user,
        "uid": account.uid,
        "gid": account.gid,
        "scope": agent.settings.openclaw_unit_scope,
        "unit": agent.settings.openclaw_unit if openclaw.has_unit(agent) else "",
        "environment": environment,
        "copy": f"{environment}{layout.BEFORE_SUFFIX}",
        "environment_note": before.place_of(environment),
        "dropin": drop_in,
        "dropin_note": before.place_of(drop_in),
        "configuration": openclaw_config.path(agent) if is_changed else "",
        "record": layout.OPENCLAW_RECORD,
        **(found or {}),
    }
    return shell.program(values, _SCRIPT, call=function)
