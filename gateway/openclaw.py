"""OpenClaw hosts: their own token in ~/.openclaw/.env, and nothing in the unit's environment that would win over it."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Generator
from typing import TYPE_CHECKING

from pyinfra.api import FunctionCommand, StringCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from gateway import dotenv, installation, remote
from gateway.contents.desired import token_name
from gateway.host_state import started_at
from gateway.uninstall import before

if TYPE_CHECKING:
    from gateway.fleet import Member

DROP_IN = "zz-llm-gateway.conf"
BACKUP_SUFFIX = ".before-llm-gateway"
PROOF_SECONDS = 60
"""How long the restarted unit may take to run. (`systemctl restart` itself waits for the stop, up to 330 s.)"""


def has_unit(member: Member) -> bool:
    """Whether the host has the OpenClaw unit."""
    return member.state.properties("openclaw_unit").get("LoadState") == "loaded"


def account(member: Member) -> tuple[str, str, str]:
    """User, numeric group and home directory that OpenClaw runs with."""
    user, _, _, group, _, home, *_ = member.state.text("openclaw_passwd").split(":")
    return user, group, home


def environment_path(member: Member) -> str:
    """The path of OpenClaw's .env on the host; where that is a link, of what it leads to."""
    return member.state.text("openclaw_env_path") or f"{account(member)[2]}/.openclaw/.env"


def drop_in_path(member: Member) -> str:
    """The path of our drop-in on the host."""
    unit = member.settings.openclaw_unit
    if member.settings.openclaw_unit_scope == "system":
        return f"/etc/systemd/system/{unit}.d/{DROP_IN}"
    return f"{account(member)[2]}/.config/systemd/user/{unit}.d/{DROP_IN}"


def merged_environment(member: Member, base_url: str, key: str) -> str:
    """The host's .env with our four names in it and all else as it was.

    Raises DotenvError when the file is such that its readers would not agree on the result.
    """
    return dotenv.merge(
        member.state.answers.get("openclaw_env", ""),
        {
            "LLM_BASE_URL": f"{base_url}/v1",
            "LLM_API_KEY": f"sk-{key}",
            "LLM_MODEL_ID": member.settings.llm_model,
            "EMBEDDING_MODEL_ID": member.settings.embedding_model,
        },
    )


def point_at_gateway(member: Member) -> None:
    """Write .env and the drop-in, and restart OpenClaw where its environment has changed."""
    _write_environment(name="Point OpenClaw at the gateway", member=member)
    if not has_unit(member):
        remote.tell(
            member.host,
            f"there is no {member.settings.openclaw_unit} ({member.settings.openclaw_unit_scope} unit) on this host:"
            f" {environment_path(member)} is kept up to date (openclaw_user says whose it is), and there is nothing to"
            " restart",
        )
        return
    if drop_in_differs(member):
        _write_drop_in(name="Take the old variables out of OpenClaw's unit", member=member)
    _restart(name="Restart OpenClaw where its environment has changed", member=member)


@operation()
def _write_environment(member: Member) -> Generator[StringCommand | FunctionCommand, None, None]:
    key = member.gateway.token_keys.get(token_name(member.name))
    if key is None and member.host.state.is_executing:
        yield remote.Callback(_no_token, (member,), {})
        return
    if key is None:  # while planning: the gateway may not have made it yet, and then the present one will do
        present = re.search(r"^LLM_API_KEY='?sk-([^'\s]+)", member.state.answers.get("openclaw_env", ""), re.MULTILINE)
        if present is None or member.gateway.name not in member.fleet.members:
            yield _environment_command(member, "")
            return
        key = present[1]
    content = merged_environment(member, member.gateway.base_url, key)
    found = member.state.stat("openclaw_env_stat")
    is_theirs = found is not None and (found.mode, found.owner.split(":")[0]) == ("600", account(member)[0])
    if content != member.state.answers.get("openclaw_env") or not is_theirs:
        member.environment_changed = True
        yield _environment_command(member, content)


def _no_token(state: State, host: Host, member: Member) -> bool:
    remote.complain(
        host,
        f"has no token: its gateway {member.gateway.name} was not reached or failed in this run; mend that host, then"
        " run again without --limit",
    )
    return False


def _environment_command(member: Member, content: str) -> StringCommand:
    """As the user whose directory it is, so that root follows no link that the user has put there."""
    user, group, _ = account(member)
    path = environment_path(member)
    backup = shlex.quote(path + BACKUP_SUFFIX)
    keep = f"if [ -f {shlex.quote(path)} ] && [ ! -e {backup} ]; then cp {shlex.quote(path)} {backup}; fi"
    script = f"umask 077; {keep} && {remote.write_script(path, '600', f'{user}:{group}', parent='700')}"
    stdin = remote.encoded(content.encode("utf-8", "surrogateescape"))
    return StringCommand(f"{before.note(path)} && {as_user(user, script)}", _stdin=stdin)


def as_user(user: str, script: str) -> str:
    """A command that runs a shell script as that user."""
    prefix = "" if user == "root" else f"runuser -u {shlex.quote(user)} -- "
    return f"{prefix}sh -c {shlex.quote(script)}"


def _wanted_drop_in(member: Member) -> str:
    return installation.render(
        "etc/systemd/system/openclaw-gateway.service.d/zz-llm-gateway.conf.j2",
        names=member.settings.openclaw_unset_environment,
    ).decode()


def drop_in_differs(member: Member) -> bool:
    """Whether the host's drop-in is not the wanted one."""
    return member.state.answers.get("openclaw_dropin") != _wanted_drop_in(member)


@operation()
def _write_drop_in(member: Member) -> Generator[StringCommand, None, None]:
    member.environment_changed = True
    user, group, _ = account(member)
    of_user = member.settings.openclaw_unit_scope == "user"
    owner = f"{user}:{group}" if of_user else "root:root"
    script = remote.write_script(drop_in_path(member), "644", owner)
    stdin = remote.encoded(_wanted_drop_in(member).encode())
    command = as_user(user, script) if of_user else script
    yield StringCommand(f"{before.note(drop_in_path(member))} && {command}", _stdin=stdin)


@operation()
def _restart(member: Member) -> Generator[StringCommand | FunctionCommand, None, None]:
    names = _left_over(member, member.state.lines("openclaw_process"))
    if not (member.environment_changed or runs_with_older_files(member)):
        if names:
            yield remote.Callback(_blame_unit, (member, names), {})  # a restart would change nothing
        return
    if member.state.properties("openclaw_unit").get("ActiveState") == "inactive":
        remote.tell(member.host, f"{member.settings.openclaw_unit} is stopped and was left so")
        yield StringCommand(systemctl(member, "daemon-reload"))
        return
    unit = shlex.quote(member.settings.openclaw_unit)
    yield StringCommand(
        f"{_present(member)} && {systemctl(member, 'daemon-reload')} && {systemctl(member, f'restart {unit}')}"
    )
    yield remote.Callback(_prove_environment, (member,), {})


def _present(member: Member) -> str:
    """A command that gives files of the future the present time, each as the user whose directory it is in."""
    user = account(member)[0]
    of_user = member.settings.openclaw_unit_scope == "user"
    drop_in = remote.present_script(drop_in_path(member))
    return (
        f"{as_user(user, remote.present_script(environment_path(member)))} &&"
        f" {as_user(user, drop_in) if of_user else drop_in}"
    )


def systemctl(member: Member, arguments: str) -> str:
    """A command for the systemd that OpenClaw's unit belongs to: the system's, or its user's."""
    if member.settings.openclaw_unit_scope == "system":
        return f"systemctl {arguments}"
    user, uid = member.state.text("openclaw_passwd").split(":")[0:3:2]
    return f"runuser -u {shlex.quote(user)} -- env XDG_RUNTIME_DIR=/run/user/{uid} systemctl --user {arguments}"


def runs_with_older_files(member: Member) -> bool:
    """A run that was cut off between writing and restarting is finished by the next one."""
    unit = member.state.properties("openclaw_unit")
    # Failed or in a crash loop: perhaps since the restart of an earlier run, so it is tried, and proven, again.
    is_down = unit.get("ActiveState") in ("failed", "activating") and unit.get("MainPID", "0") == "0"
    if unit.get("NeedDaemonReload") == "yes" or is_down:
        return True
    started = started_at(unit)
    if started is None or unit.get("MainPID", "0") == "0":
        return False
    files = (member.state.stat("openclaw_env_stat"), member.state.stat("openclaw_dropin_stat"))
    return any(file is not None and file.modified > started for file in files)


def _left_over(member: Member, names: list[str]) -> list[str]:
    return sorted(set(names) & set(member.settings.openclaw_unset_environment))


def _prove_environment(state: State, host: Host, member: Member) -> bool:
    """Read from the running process, since `systemctl show` lists variables that UnsetEnvironment= has removed."""
    unit = shlex.quote(member.settings.openclaw_unit)
    command = (
        f'pid=$({systemctl(member, f"show -p MainPID --value {unit}")}) && [ "$pid" -gt 0 ] &&'
        # Until it has become the program, it is systemd's own process, called "(name)", with other variables.
        " ! grep -q '^(' /proc/$pid/comm &&"
        " tr '\\0' '\\n' < /proc/$pid/environ | sed 's/=.*//' | grep ."  # no name at all proves nothing
    )
    deadline = time.monotonic() + PROOF_SECONDS
    while True:
        try:
            left = _left_over(member, remote.run(host, command))
            break
        except remote.RemoteError:
            if time.monotonic() > deadline:
                remote.complain(host, f"{unit} does not run after its restart; `journalctl -u {unit}` tells why")
                return False
            time.sleep(0.25)
    return not left or _blame_unit(state, host, member, left)


def _blame_unit(state: State, host: Host, member: Member, names: list[str]) -> bool:
    unit = member.settings.openclaw_unit
    remote.complain(
        host,
        f"{', '.join(names)} is in the environment of {unit} though the drop-in removes it: ExecStart= or the program"
        f" that it starts sets it; `systemctl cat {unit}` shows the first",
    )
    return False
