"""An OpenClaw host goes over to its gateway: proven from the host first, and given back what it had where it fails.

Before anything of the host is touched, its new token gets a completion and an embedding from there. The way back is
then left on the host (`hosts.undo`), .env and drop-in are written, OpenClaw is restarted, and the same is asked
again with what stands on the disk. So whatever OpenClaw worked with before a run works after one that failed.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Generator, Mapping
from pathlib import Path

from pyinfra.api import FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.contents.desired import token_name
from llm_gateway.hosts import before, remote, undo
from llm_gateway.hosts.member import Member
from llm_gateway.hosts.progress import step
from llm_gateway.model import layout
from llm_gateway.model.asking import ROUNDS, Answer, VerificationError
from llm_gateway.parts.openclaw import openclaw, openclaw_config, openclaw_ready, openclaw_restart
from llm_gateway.proof import agent_environment, agent_path, openclaw_turn

_SCRIPT = Path(__file__).with_name("agent_switch.sh")
_SLACK_SECONDS = 60.0
_KEPT = ("had_copy", "had_directory", "had_environment_note", "had_environment")
_KEPT_OF_CONFIGURATION = ("had_configuration", "had_record")
_KEPT_OF_UNIT = ("had_dropin_directory", "had_dropin_note", "had_dropin", "pid", "state")
"""What `keep` says; without one of them nothing could be given back."""


class AgentSwitchError(Exception):
    """OpenClaw does not run as it is to; the text says why."""


def point_at_gateway(member: Member) -> None:
    """Have OpenClaw use its gateway, with the token of this host, or leave it as it is."""
    openclaw_config.announce(member)
    if openclaw.is_left_running(member) and openclaw.runs_with_older_files(member):
        remote.tell(member.host, f"{member.settings.openclaw_unit} {_goes_on(member)}")
    _point(name="Point OpenClaw at the gateway", member=member)
    if not openclaw.has_unit(member):
        remote.tell(
            member.host,
            f"there is no {member.settings.openclaw_unit} ({member.settings.openclaw_unit_scope} unit) on this host:"
            f" {openclaw.environment_path(member)} is kept up to date (openclaw_user says whose it is), and there is"
            " nothing to restart",
        )


def _goes_on(member: Member) -> str:
    """That it is not restarted, in words behind the unit's name."""
    typed = openclaw.by_hand(member, "restart")
    return f'keeps what it read at its start until a person restarts it: {typed} (openclaw_restart is "never")'


def is_due(member: Member) -> bool:
    """Whether the run has something to change on an OpenClaw host, as far as that can be known now."""
    key = member.gateway.token_keys.get(token_name(member.name))
    return key is not None and _is_due(member, key)


def is_to_be_proven(member: Member) -> bool:
    """Whether that has to be proven first; a migration, restore or rollback has done so already."""
    return is_due(member) and member.proven_key != member.gateway.token_keys.get(token_name(member.name))


def _is_due(member: Member, key: str) -> bool:
    content = openclaw.merged_environment(member, member.gateway.base_url, key)
    if content != member.state.openclaw_env or not openclaw.environment_is_theirs(member):
        return True
    if _writes_configuration(member):
        return True
    is_behind = openclaw.runs_with_older_files(member) and not openclaw.is_left_running(member)
    return openclaw.has_unit(member) and (openclaw.drop_in_differs(member) or is_behind)


def _writes_configuration(member: Member) -> bool:
    """Whether its configuration is to change, and may: one that runs takes that up at once, and restarts for it."""
    return openclaw_config.is_due(member) and not openclaw.is_left_running(member)


@operation()
def _point(member: Member) -> Generator[FunctionCommand, None, None]:
    key = member.gateway.token_keys.get(token_name(member.name))
    if key is None and member.host.state.is_executing:
        yield remote.Callback(_no_token, (member,), {})
        return
    if key is None:  # while planning: the gateway may not have made it yet, and then the present one will do
        present = re.search(r"^LLM_API_KEY='?sk-([^'\s]+)", member.state.openclaw_env or "", re.MULTILINE)
        is_known = present is not None and member.gateway.name in member.fleet.members
        key = present[1] if present is not None and is_known else ""
    if not key or _is_due(member, key):
        yield remote.Callback(_switch, (member,), {})
    elif member.state.text("openclaw_kept"):
        yield remote.Callback(_discard, (member,), {})
    elif openclaw.has_unit(member) and (names := openclaw.left_over(member)):
        yield remote.Callback(_blame_unit, (member, names), {})  # a restart would change nothing


def _no_token(state: State, host: Host, member: Member) -> bool:
    remote.complain(
        host,
        f"has no token: its gateway {member.gateway.name} was not reached or failed in this run; fix that host, then"
        " run again without --limit",
    )
    return False


def _blame_unit(state: State, host: Host, member: Member, names: list[str]) -> bool:
    remote.complain(host, openclaw.blamed(member, names))
    return False


_FAILURES = (AgentSwitchError, openclaw_turn.TurnError, VerificationError, undo.UndoError, remote.RemoteError, OSError)


def _switch(state: State, host: Host, member: Member) -> bool:
    gateway, wanted = member.gateway, agent_environment.wanted(member)
    if wanted is None:
        return _no_token(state, host, member)
    try:
        if gateway.host in state.failed_hosts:
            raise VerificationError(
                f"its gateway {gateway.name} has failed in this run; the first error there says why"
            )
        if member.proven_key != wanted.key:
            step(host, f"openclaw: asking {wanted.base_url} from this host, with the token that it is to use")
            agent_path.prove(member, wanted)
        if problem := openclaw_config.invalid(member):
            raise AgentSwitchError(problem)
        swap = openclaw_config.prepare(member) if _writes_configuration(member) else "true"
        if problem := openclaw_restart.await_idle(member):
            raise AgentSwitchError(problem)
        text = agent_environment.read_text(member)
        found = _keep(member)
    except _FAILURES as problem:
        remote.complain(host, f"OpenClaw was not pointed at {gateway.name}: {problem}")
        remote.tell(host, "nothing was changed here: OpenClaw keeps its configuration")
        _discard_if_possible(member)
        return False
    what = f"the change of OpenClaw's gateway on {member.name}"
    try:
        with undo.undoable(host, what, _script(member, "give_back", found), _longest(member)):
            member.agent_answers = _carry_out(member, wanted.key, text, swap)
    except _FAILURES as problem:
        remote.complain(host, f"OpenClaw was not pointed at {gateway.name}: {problem}")
        member.agent_answers = []
        _look(member, text, found)
        return False
    member.environment_changed = True
    return _discard(state, host, member)


def _discard(state: State, host: Host, member: Member) -> bool:
    """Remove what was kept. Raises RemoteError: then the next run does it."""
    remote.run(host, _script(member, "discard"))
    return True


def _discard_if_possible(member: Member) -> None:
    """The same where the run has failed already: a key stands in it, so it is said where it stays."""
    try:
        _discard(member.host.state, member.host, member)
    except remote.RemoteError as problem:
        remote.complain(
            member.host,
            f"{openclaw.environment_path(member)}.llmgw-kept may be left; the next run removes it: {problem}",
        )


def _keep(member: Member) -> Mapping[str, str]:
    """Keep what is to be replaced, and say what there was. Raises RemoteError."""
    lines = remote.run(member.host, _script(member, "keep"))
    found = dict(line.split("=", 1) for line in lines if "=" in line)
    wanted = [
        *_KEPT,
        *(_KEPT_OF_CONFIGURATION if _writes_configuration(member) else ()),
        *(_KEPT_OF_UNIT if openclaw.has_unit(member) else ()),
    ]
    if missing := [name for name in wanted if not found.get(name)]:
        raise AgentSwitchError(f"what there is cannot be kept: the host does not say {', '.join(missing)}")
    return found


def _carry_out(member: Member, key: str, text: str, swap: str = "true") -> list[Answer]:
    """From the former .env to an answer by the gateway. Raises as `_switch` catches it.

    Parameters: `swap`, the command that puts its configuration in place.
    """
    host = member.host
    step(host, "openclaw: writing its .env and its drop-in")
    content = openclaw.merged_environment(member, member.gateway.base_url, key, text)
    if content != text or not openclaw.environment_is_theirs(member):
        remote.run(host, *openclaw.environment_command(member, content))
    if openclaw.has_unit(member) and openclaw.drop_in_differs(member):
        remote.run(host, *openclaw.drop_in_command(member))
    if _writes_configuration(member):
        openclaw_config.keep(member)
    if openclaw.has_unit(member):
        _restart(member, swap)
    is_asked = openclaw_config.is_managed(member) and not openclaw.is_left_running(member)
    if is_asked and (problem := openclaw_config.unused(member)):
        raise AgentSwitchError(problem)
    step(host, "openclaw: asking again, with its .env as it stands there now")
    answers = agent_path.prove(member, agent_environment.on_disk(member))
    is_restarted = openclaw.has_unit(member) and not (openclaw.is_stopped(member) or openclaw.is_left_running(member))
    if is_restarted and openclaw_turn.is_for_first(member):
        openclaw_turn.take(member)
    return answers


def _restart(member: Member, swap: str) -> None:
    unit = member.settings.openclaw_unit
    if openclaw.is_stopped(member) or openclaw.is_left_running(member):
        told = "is stopped and was left so" if openclaw.is_stopped(member) else _goes_on(member)
        remote.tell(member.host, f"{unit} {told}")
        remote.run(member.host, f"{openclaw.systemctl(member, 'daemon-reload')} && {swap}")
        return
    openclaw_restart.restart(member, openclaw.reload_command(member), swap)
    if problem := openclaw.await_environment(member) or openclaw_ready.await_ready(member):
        raise AgentSwitchError(problem)


def _look(member: Member, text: str, found: Mapping[str, str]) -> None:
    """Say whether OpenClaw has what it had before, and runs with it."""
    host, unit = member.host, member.settings.openclaw_unit
    try:
        if pending := undo.is_pending(host):
            remote.complain(host, pending)
            return
        if changed := _not_as_before(member, text):
            remote.complain(host, f"{changed} is not as it was before: look at it")
            return
        _discard_if_possible(member)  # where the way back was never left on the host
        has_run = openclaw.has_unit(member) and found.get("state") not in ("inactive", "failed")
        if has_run and not openclaw.await_process(member):
            remote.complain(host, f"{unit} does not run with its former .env; `journalctl -u {unit}` says why")
            return
        if has_run and (problem := openclaw_ready.await_ready(member)):
            remote.complain(host, f"with its former .env, {problem}")
            return
    except (remote.RemoteError, ValueError) as problem:
        remote.complain(host, f"whether OpenClaw has its former .env again cannot be seen: {problem}")
        return
    remote.tell(host, f"OpenClaw has its former .env again{f', and {unit} runs' if has_run else ''}")


def _not_as_before(member: Member, text: str) -> str | None:
    """The path of what is not as it was. Raises RemoteError and ValueError."""
    if agent_environment.read_text(member) != text:
        return openclaw.environment_path(member)
    if not openclaw.has_unit(member):
        return None
    path, former = openclaw.drop_in_path(member), member.state.answers.get("openclaw_dropin", "")
    lines = remote.run(member.host, f"[ ! -e {shlex.quote(path)} ] || cat {shlex.quote(path)}")
    return None if lines == former.splitlines() else path


def _longest(member: Member) -> float:
    """How many seconds it may take until the host gives everything back by itself."""
    asking = ROUNDS * member.settings.verification_timeout
    configuring = openclaw_config.COMMANDS_SECONDS if openclaw_config.is_managed(member) else 0
    starting = openclaw.PROOF_SECONDS + member.settings.openclaw_start_timeout
    turn = openclaw_turn.LONGEST_SECONDS if openclaw_turn.is_for_first(member) else 0
    return openclaw_restart.stop_seconds(member) + configuring + starting + asking + turn + _SLACK_SECONDS


def _script(member: Member, function: str, found: Mapping[str, str] | None = None) -> str:
    account = openclaw.account(member)
    environment, drop_in = openclaw.environment_path(member), openclaw.drop_in_path(member)
    # What a run that was cut off has kept goes as well, though there is nothing to change any more.
    is_changed = openclaw_config.is_managed(member) if function == "discard" else _writes_configuration(member)
    values = {
        "user": account.user,
        "uid": account.uid,
        "gid": account.gid,
        "scope": member.settings.openclaw_unit_scope,
        "unit": member.settings.openclaw_unit if openclaw.has_unit(member) else "",
        "environment": environment,
        "copy": f"{environment}{layout.BEFORE_SUFFIX}",
        "environment_note": before.place_of(environment),
        "dropin": drop_in,
        "dropin_note": before.place_of(drop_in),
        "configuration": openclaw_config.path(member) if is_changed else "",
        "record": layout.OPENCLAW_RECORD,
        **(found or {}),
    }
    assignments = "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())
    return f"{assignments}{_SCRIPT.read_text(encoding='utf-8')}\n{function}\n"
