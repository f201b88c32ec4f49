"""OpenClaw hosts get back what they had: their .env, their unit's environment, their own client for Skills.

Everything in the user's directories is done as that user, so that root follows no link of theirs.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Generator

from pyinfra.api import FunctionCommand, StringCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.contents.desired import token_name
from llm_gateway.hosts import remote
from llm_gateway.hosts.before import Before
from llm_gateway.hosts.member import Member
from llm_gateway.model import layout
from llm_gateway.model.layout import GIVEN_BACK, REMOVING, STATE
from llm_gateway.parts import skills
from llm_gateway.parts.openclaw import openclaw, openclaw_config, openclaw_json, openclaw_ready, openclaw_restart
from llm_gateway.parts.openclaw.openclaw import NAMES
from llm_gateway.tasks.removal import dotenv_restore, scope

PROOF_SECONDS = 60
"""How long the restarted unit may take to run."""


def give_back(member: Member) -> None:
    """Give an OpenClaw host that is chosen its own back, and restart OpenClaw where that changes its environment."""
    if not (member.is_openclaw and member.state.openclaw_account):
        return
    gateway = member.gateway
    if gateway.name not in member.fleet.members and not scope.is_chosen(gateway):
        remote.tell(
            member.host,
            f"its token on {gateway.name} stays valid, because that host is not in this run: run this again with it,"
            f" --data yes={member.name}, or delete the token {token_name(member.name)} in the admin page",
        )
    if openclaw_restart.waits(member):
        _await_idle(name="Wait until OpenClaw is idle", member=member)
    was_cut_off = REMOVING in scope.found_on(member).state.lines("home")
    is_changed = _give_configuration_back(member)
    is_changed |= _give_environment_back(member)
    is_changed |= _take_drop_in_off(member)
    _give_client_back(member)
    if (is_changed or was_cut_off) and openclaw.has_unit(member):
        _restart(name="Restart OpenClaw with what it had before", member=member)
    if scope.found_on(member).environment is not None and not scope.is_elsewhere(member):
        _remove_copy(name="Remove the copy of OpenClaw's former .env", member=member)


@operation()
def _await_idle(member: Member) -> Generator[FunctionCommand, None, None]:
    yield remote.Callback(_await_idle_now, (member,), {})


def _await_idle_now(state: State, host: Host, member: Member) -> bool:
    if problem := openclaw_restart.await_idle(member):
        remote.complain(host, f"nothing was changed here: {problem}")
        return False
    return True


def _give_configuration_back(member: Member) -> bool:
    """What was in OpenClaw's own configuration, while it still can read the .env that ours follows."""
    record = openclaw_config.record(member)
    if not record or scope.is_elsewhere(member):
        return False
    path = openclaw_config.path(member)
    if not openclaw_config.has_command(member):
        remote.tell(
            member.host, f"{path} stays as it is: ExecStart= of {member.settings.openclaw_unit} names no OpenClaw"
        )
        return False
    document = openclaw_config.document(member)
    for changed in (at for at, kept in record.items() if not openclaw_json.is_ours(document, at, kept)):
        remote.tell(member.host, f"{path}: {'.'.join(changed)} was changed by hand and is kept")
    for left in openclaw_json.dangling(document, record):
        remote.tell(member.host, f"{path}: {left} names what is taken out: change it by hand")
    _restore_configuration(name="Give OpenClaw its own configuration back", member=member)
    return True


@operation()
def _restore_configuration(member: Member) -> Generator[StringCommand | FunctionCommand, None, None]:
    yield scope.tell("remove: giving OpenClaw its own configuration back, by its own command")
    yield StringCommand(f"mkdir -p {STATE} && touch {STATE}/{REMOVING} && sync {STATE}")
    yield remote.Callback(_prepare_configuration, (member,), {})


def _prepare_configuration(state: State, host: Host, member: Member) -> bool:
    member.former_configuration = openclaw_config.prepare_former(member)
    return True


def restored_environment(member: Member) -> str | None:
    """The .env without what is ours; None where there is to be none. Raises DotenvError."""
    present = member.state.openclaw_env or ""
    noted = _noted(member, openclaw.environment_path(member))
    # Earlier versions kept a copy of ours at the second write, where there had been no file before the first.
    had_none = noted is not None and noted.mode is None
    return dotenv_restore.restore(present, None if had_none else scope.found_on(member).environment, NAMES)


def _give_environment_back(member: Member) -> bool:
    path = openclaw.environment_path(member)
    if scope.is_elsewhere(member):
        remote.tell(
            member.host,
            f"{path} points at something else than {member.gateway.name}, so a person changed it: it stays as it is",
        )
        return False
    if not scope.points_here(member):
        return False
    _restore_environment(name="Give OpenClaw its environment back", member=member)
    return True


@operation()
def _restore_environment(member: Member) -> Generator[StringCommand | FunctionCommand, None, None]:
    own = openclaw.account(member)
    user, group = own.user, own.gid
    path = openclaw.environment_path(member)
    content = restored_environment(member)
    noted = _noted(member, path)
    yield scope.tell("remove: giving OpenClaw its environment back")
    # From here on OpenClaw is to be restarted, also where this run is cut off before it has been.
    yield StringCommand(f"mkdir -p {STATE} && touch {STATE}/{REMOVING} {STATE}/{GIVEN_BACK} && sync {STATE}")
    if content is None:
        yield StringCommand(openclaw.as_user(user, f"rm -f {shlex.quote(path)}; {_remove_empty(path, noted)}"))
        return
    mode, owner = (noted.mode, noted.owner) if noted and noted.mode and noted.owner else ("600", f"{user}:{group}")
    script = remote.write_script(path, mode, owner if owner.startswith(f"{user}:") else f"{user}:{group}")
    stdin = remote.encoded(content.encode("utf-8", "surrogateescape"))
    yield StringCommand(openclaw.as_user(user, script), _stdin=stdin)


def _take_drop_in_off(member: Member) -> bool:
    if "openclaw_dropin" not in member.state.answers:
        return False
    _remove_drop_in(name="Take our drop-in out of OpenClaw's unit", member=member)
    return True


@operation()
def _remove_drop_in(member: Member) -> Generator[StringCommand | FunctionCommand, None, None]:
    path = openclaw.drop_in_path(member)
    script = f"rm -f {shlex.quote(path)}; {_remove_empty(path, _noted(member, path))}"
    of_user = member.settings.openclaw_unit_scope == "user"
    yield scope.tell("remove: taking the drop-in out of OpenClaw's unit")
    yield StringCommand(f"mkdir -p {STATE} && touch {STATE}/{REMOVING} && sync {STATE}")
    yield StringCommand(openclaw.as_user(openclaw.account(member).user, script) if of_user else script)


def _give_client_back(member: Member) -> None:
    """What was in the place of our client before; where a person has edited ours since, theirs stays."""
    if member.settings.openclaw_workspace is None:
        return
    there = skills.digest_there(member)
    if not there:
        return
    path = skills.client_path(member)
    if there not in (member.state.openclaw_client_record, skills.digest()):
        if member.state.openclaw_client_record:
            remote.tell(member.host, f"{path} was changed by hand and is kept; it needs LLM_BASE_URL")
        return
    _restore_client(name="Give the workspace back what the client of the Skills replaced", member=member)


@operation()
def _restore_client(member: Member) -> Generator[StringCommand | FunctionCommand, None, None]:
    path = skills.client_path(member)
    noted = _noted(member, path)
    kept = scope.found_on(member).state.lines("client_kept")
    had_one = noted is None or noted.mode is not None
    yield scope.tell("remove: taking the client of the Skills out of the workspace")
    if kept and had_one:
        # Its mode first: once it is in its place, this is not run again.
        mode = f"chmod {noted.mode} {shlex.quote(kept[0])} && " if noted and noted.mode else ""
        script = f"{mode}mv -fT {shlex.quote(kept[0])} {shlex.quote(path)}"
    else:
        script = f"rm -f {shlex.quote(path)}; {_remove_empty(path, noted)}"
    package = shlex.quote(skills.package_path(member))
    without = f'[ "$(cat {package} 2>/dev/null)" != {shlex.quote(skills.PACKAGE)} ] || rm -f {package}'
    yield StringCommand(openclaw.as_user(openclaw.account(member).user, f"{without}; {script}"))
    yield StringCommand(f"rm -f {layout.CLIENT_RECORD}")
    for other in kept[1:] if had_one else kept:
        scope.mention(member, f"{other} stays: it is what a person made of the client")


@operation()
def _restart(member: Member) -> Generator[FunctionCommand, None, None]:
    if openclaw.is_stopped(member):
        scope.mention(member, f"{member.settings.openclaw_unit} is stopped and was left so")
    yield remote.Callback(_restart_now, (member,), {})


def _restart_now(state: State, host: Host, member: Member) -> bool:
    reload = openclaw.systemctl(member, "daemon-reload")
    if openclaw.is_stopped(member):
        remote.run(host, f"{reload} && {member.former_configuration}")
        return True
    openclaw_restart.restart(member, reload, member.former_configuration)
    if not _runs(host, member):
        return False
    # Its process is there seconds before it has read its configuration, and may end by that (2026.9.6: with 78).
    if problem := openclaw_ready.await_ready(member):
        remote.complain(host, f"with its former environment, {problem}")
        return False
    return True


def _runs(host: Host, member: Member) -> bool:
    """Whether it runs. Its own mistakes of before are its own again, but that it does not run has to be told."""
    unit = shlex.quote(member.settings.openclaw_unit)
    command = (
        f'pid=$({openclaw.systemctl(member, f"show -p MainPID --value {unit}")}) && [ "$pid" -gt 0 ] &&'
        " ! grep -q '^(' /proc/$pid/comm"  # until it has become the program, it is systemd's own, called "(name)"
    )
    deadline = time.monotonic() + PROOF_SECONDS
    while True:
        try:
            remote.run(host, command)
            return True
        except remote.RemoteError:
            if time.monotonic() > deadline:
                remote.complain(
                    host, f"{unit} does not run with its former environment; `journalctl -u {unit}` tells why"
                )
                return False
            time.sleep(0.25)


@operation()
def _remove_copy(member: Member) -> Generator[StringCommand | FunctionCommand, None, None]:
    copy = shlex.quote(f"{openclaw.environment_path(member)}{layout.BEFORE_SUFFIX}")
    yield scope.tell("remove: removing the copy of OpenClaw's former .env")
    yield StringCommand(openclaw.as_user(openclaw.account(member).user, f"rm -f {copy}"))


def _noted(member: Member, path: str) -> Before | None:
    return scope.found_on(member).before.get(path)


def _remove_empty(path: str, noted: Before | None) -> str:
    """A command that removes the directories above a path that were not there before, where they are empty."""
    if noted is None:
        return "true"
    made, parent = [], path.rpartition("/")[0]
    while parent and parent != noted.nearest and parent.startswith(f"{noted.nearest.rstrip('/')}/"):
        made.append(parent)
        parent = parent.rpartition("/")[0]
    if not made:
        return "true"
    return f"rmdir --ignore-fail-on-non-empty {' '.join(map(shlex.quote, made))} 2>/dev/null || true"
