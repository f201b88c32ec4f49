"""OpenClaw hosts get back what they had: their .env, their unit's environment, their own client for Skills.

Everything in the user's directories is done as that user, so that root follows no link of theirs.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Generator
from typing import TYPE_CHECKING

from pyinfra.api import FunctionCommand, StringCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from gateway import openclaw, remote, skills
from gateway.contents.desired import token_name
from gateway.uninstall import dotenv_restore, removal
from gateway.uninstall.home import GIVEN_BACK, REMOVING
from gateway.uninstall.home import PLACE as HOME
from gateway.uninstall.removal import NAMES

if TYPE_CHECKING:
    from gateway.fleet import Member
    from gateway.uninstall.before import Before

PROOF_SECONDS = 60
"""How long the restarted unit may take to run."""


def give_back(member: Member) -> None:
    """Give an OpenClaw host that is chosen its own back, and restart OpenClaw where that changes its environment."""
    if not (member.is_openclaw and member.state.text("openclaw_passwd")):
        return
    gateway = member.gateway
    if gateway.name not in member.fleet.members and not removal.is_chosen(gateway):
        remote.tell(
            member.host,
            f"its token on {gateway.name} stays valid, since that host is not in this run: run this again with it,"
            f" --data yes={member.name}, or delete the token {token_name(member.name)} in the admin page",
        )
    was_cut_off = REMOVING in removal.found_on(member).state.lines("home")
    is_changed = _give_environment_back(member)
    is_changed |= _take_drop_in_off(member)
    _give_client_back(member)
    if (is_changed or was_cut_off) and openclaw.has_unit(member):
        _restart(name="Restart OpenClaw with what it had before", member=member)
    if removal.found_on(member).environment is not None and not removal.is_elsewhere(member):
        _remove_copy(name="Remove the copy of OpenClaw's former .env", member=member)


def restored_environment(member: Member) -> str | None:
    """The .env without what is ours; None where there is to be none. Raises DotenvError."""
    present = member.state.answers.get("openclaw_env", "")
    return dotenv_restore.restore(present, removal.found_on(member).environment, NAMES)


def _give_environment_back(member: Member) -> bool:
    path = openclaw.environment_path(member)
    if removal.is_elsewhere(member):
        remote.tell(
            member.host,
            f"{path} points at something else than {member.gateway.name}, so a person changed it: it stays as it is",
        )
        return False
    if not removal.points_here(member):
        return False
    _restore_environment(name="Give OpenClaw its environment back", member=member)
    return True


@operation()
def _restore_environment(member: Member) -> Generator[StringCommand | FunctionCommand, None, None]:
    user, group, _ = openclaw.account(member)
    path = openclaw.environment_path(member)
    content = restored_environment(member)
    noted = _noted(member, path)
    yield removal.tell("remove: giving OpenClaw its environment back")
    # From here on OpenClaw is to be restarted, also where this run is cut off before it has been.
    yield StringCommand(f"mkdir -p {HOME} && touch {HOME}/{REMOVING} {HOME}/{GIVEN_BACK} && sync {HOME}")
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
    yield removal.tell("remove: taking the drop-in out of OpenClaw's unit")
    yield StringCommand(f"mkdir -p {HOME} && touch {HOME}/{REMOVING} && sync {HOME}")
    yield StringCommand(openclaw.as_user(openclaw.account(member)[0], script) if of_user else script)


def _give_client_back(member: Member) -> None:
    """What was in the place of our client before; where a person has edited ours since, theirs stays."""
    if member.settings.openclaw_workspace is None:
        return
    there = skills.digest_there(member)
    if not there:
        return
    path = skills.client_path(member)
    if there not in (member.state.text("openclaw_client_record"), skills.digest()):
        if member.state.text("openclaw_client_record"):
            remote.tell(member.host, f"{path} was changed by hand, so it is left as it is; it needs LLM_BASE_URL")
        return
    _restore_client(name="Give the workspace back what the client of the Skills replaced", member=member)


@operation()
def _restore_client(member: Member) -> Generator[StringCommand | FunctionCommand, None, None]:
    path = skills.client_path(member)
    noted = _noted(member, path)
    kept = removal.found_on(member).state.lines("client_kept")
    had_one = noted is None or noted.mode is not None
    yield removal.tell("remove: taking the client of the Skills out of the workspace")
    if kept and had_one:
        # Its mode first: once it is in its place, this is not run again.
        mode = f"chmod {noted.mode} {shlex.quote(kept[0])} && " if noted and noted.mode else ""
        script = f"{mode}mv -fT {shlex.quote(kept[0])} {shlex.quote(path)}"
    else:
        script = f"rm -f {shlex.quote(path)}; {_remove_empty(path, noted)}"
    yield StringCommand(openclaw.as_user(openclaw.account(member)[0], script))
    yield StringCommand(f"rm -f {skills.RECORD}")
    for other in kept[1:] if had_one else kept:
        removal.mention(member, f"{other} stays: it is what a person made of the client")


@operation()
def _restart(member: Member) -> Generator[StringCommand | FunctionCommand, None, None]:
    unit = shlex.quote(member.settings.openclaw_unit)
    yield removal.tell("remove: restarting OpenClaw")
    yield StringCommand(openclaw.systemctl(member, "daemon-reload"))
    if member.state.properties("openclaw_unit").get("ActiveState") == "inactive":
        removal.mention(member, f"{member.settings.openclaw_unit} is stopped and was left so")
        return
    yield StringCommand(openclaw.systemctl(member, f"restart {unit}"))
    yield remote.Callback(_prove, (member,), {})


def _prove(state: State, host: Host, member: Member) -> bool:
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
    copy = shlex.quote(f"{openclaw.environment_path(member)}{openclaw.BACKUP_SUFFIX}")
    yield removal.tell("remove: removing the copy of OpenClaw's former .env")
    yield StringCommand(openclaw.as_user(openclaw.account(member)[0], f"rm -f {copy}"))


def _noted(member: Member, path: str) -> Before | None:
    return removal.found_on(member).before.get(path)


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
