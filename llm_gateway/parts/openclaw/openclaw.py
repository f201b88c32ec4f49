"""OpenClaw hosts: their own token in ~/.openclaw/.env, and nothing in the unit's environment that would win over it."""

from __future__ import annotations

import shlex
import time

from llm_gateway.hosts import before, remote
from llm_gateway.hosts.host_state import Account, started_at
from llm_gateway.hosts.topology import Agent
from llm_gateway.model import dotenv
from llm_gateway.model.layout import BEFORE_SUFFIX, DROP_IN, UNITS
from llm_gateway.parts import installation

NAMES = ("LLM_BASE_URL", "LLM_API_KEY", "LLM_MODEL_ID", "EMBEDDING_MODEL_ID")
"""What is written into .env."""
PROOF_SECONDS = 60
"""How long the restarted unit may take to run. (`systemctl restart` itself waits for the stop, up to 330 s.)"""


def has_unit(agent: Agent) -> bool:
    """Whether the host has the OpenClaw unit."""
    return agent.state.openclaw_unit.get("LoadState") == "loaded"


def account(agent: Agent) -> Account:
    """The account that OpenClaw runs with; to be asked for only where there is one, as preflight has seen to."""
    found = agent.state.openclaw_account
    if found is None:
        raise ValueError(f"{agent.name}: the account of OpenClaw is not known")
    return found


def environment_path(agent: Agent) -> str:
    """The path of OpenClaw's .env on the host; where that is a link, of what it leads to."""
    return agent.state.openclaw_env_path or f"{account(agent).home}/.openclaw/.env"


def drop_in_path(agent: Agent) -> str:
    """The path of our drop-in on the host."""
    unit = agent.settings.openclaw_unit
    if agent.settings.openclaw_unit_scope == "system":
        return f"{UNITS}/{unit}.d/{DROP_IN}"
    return f"{account(agent).home}/.config/systemd/user/{unit}.d/{DROP_IN}"


def merged_environment(agent: Agent, base_url: str, key: str, text: str | None = None) -> str:
    """The host's .env with our four names in it and all else as it was.

    Parameters: `text`, the .env as it is now; None: as it was when the host was read.
    Raises DotenvError when the file is such that its readers would not agree on the result.
    """
    return dotenv.merge(
        (agent.state.openclaw_env or "") if text is None else text,
        {
            "LLM_BASE_URL": f"{base_url}/v1",
            "LLM_API_KEY": f"sk-{key}",
            "LLM_MODEL_ID": agent.settings.llm_model,
            "EMBEDDING_MODEL_ID": agent.settings.embedding_model,
        },
    )


def environment_is_theirs(agent: Agent) -> bool:
    """Whether the host's .env belongs to OpenClaw's user, and to nobody else."""
    found = agent.state.openclaw_env_stat
    return found is not None and (found.mode, found.owner.split(":")[0]) == ("600", account(agent).user)


def environment_command(agent: Agent, content: str) -> tuple[str, str]:
    """A command that writes .env, and its standard input.

    As the user whose directory it is, so that root follows no link that the user has put there.
    """
    own = account(agent)
    user, group = own.user, own.gid
    path = environment_path(agent)
    backup = shlex.quote(path + BEFORE_SUFFIX)
    copy = f"if [ -f {shlex.quote(path)} ] && [ ! -e {backup} ]; then cp {shlex.quote(path)} {backup}; fi"
    # Before the first write alone: where there was no file then, the second would keep ours as what was there.
    keep = f"{{ [ -e {shlex.quote(before.place_of(path))} ] || {as_user(user, f'umask 077; {copy}')}; }}"
    script = f"umask 077; {remote.write_script(path, '600', f'{user}:{group}', parent='700')}"
    stdin = remote.encoded(content.encode("utf-8", "surrogateescape"))
    return f"{keep} && {before.note(path)} && {as_user(user, script)}", stdin


def as_user(user: str, script: str) -> str:
    """A command that runs a shell script as that user."""
    prefix = "" if user == "root" else f"runuser -u {shlex.quote(user)} -- "
    return f"{prefix}sh -c {shlex.quote(script)}"


def removed_names(agent: Agent) -> list[str]:
    """The variables that our drop-in takes out of the unit's environment.

    Ours are among them: a value that Environment= or EnvironmentFile= of the unit sets would win over .env.
    """
    return list(dict.fromkeys([*agent.settings.openclaw_unset_environment, *NAMES]))


def _wanted_drop_in(agent: Agent) -> str:
    return installation.render(
        f"{UNITS.removeprefix('/')}/openclaw-gateway.service.d/{DROP_IN}.j2",
        names=removed_names(agent),
    ).decode()


def drop_in_differs(agent: Agent) -> bool:
    """Whether the host's drop-in is not the wanted one."""
    return agent.state.openclaw_dropin != _wanted_drop_in(agent)


def drop_in_command(agent: Agent) -> tuple[str, str]:
    """A command that writes our drop-in, and its standard input."""
    own = account(agent)
    user, group = own.user, own.gid
    of_user = agent.settings.openclaw_unit_scope == "user"
    owner = f"{user}:{group}" if of_user else "root:root"
    script = remote.write_script(drop_in_path(agent), "644", owner)
    command = as_user(user, script) if of_user else script
    return f"{before.note(drop_in_path(agent))} && {command}", remote.encoded(_wanted_drop_in(agent).encode())


def is_stopped(agent: Agent) -> bool:
    """Whether a person has stopped it."""
    return agent.state.openclaw_unit.get("ActiveState") == "inactive"


def is_left_running(agent: Agent) -> bool:
    """Whether it runs, and a person alone restarts it."""
    return agent.settings.openclaw_restart == "never" and has_unit(agent) and not is_stopped(agent)


def reload_command(agent: Agent) -> str:
    """A command after which a start of OpenClaw has its unit and its files as they are on the disk."""
    return f"{_present(agent)} && {systemctl(agent, 'daemon-reload')}"


def by_hand(agent: Agent, verb: str) -> str:
    """What a person types on the host for the unit, such as "restart"."""
    unit, user = agent.settings.openclaw_unit, agent.settings.openclaw_user
    if agent.settings.openclaw_unit_scope == "system":
        return f"`systemctl {verb} {unit}`"
    return f"`systemctl --user {verb} {unit}` as {user}"


def _present(agent: Agent) -> str:
    """A command that gives files of the future the present time, each as the user whose directory it is in."""
    user = account(agent).user
    of_user = agent.settings.openclaw_unit_scope == "user"
    drop_in = remote.present_script(drop_in_path(agent))
    return (
        f"{as_user(user, remote.present_script(environment_path(agent)))} &&"
        f" {as_user(user, drop_in) if of_user else drop_in}"
    )


def systemctl(agent: Agent, arguments: str) -> str:
    """A command for the systemd that OpenClaw's unit belongs to: the system's, or its user's."""
    if agent.settings.openclaw_unit_scope == "system":
        return f"systemctl {arguments}"
    own = account(agent)
    return f"runuser -u {shlex.quote(own.user)} -- env XDG_RUNTIME_DIR=/run/user/{own.uid} systemctl --user {arguments}"


def runs_with_older_files(agent: Agent) -> bool:
    """A run that was cut off between writing and restarting is finished by the next one."""
    unit = agent.state.openclaw_unit
    # Failed or in a crash loop: perhaps since the restart of an earlier run, so it is tried, and proven, again.
    is_down = unit.get("ActiveState") in ("failed", "activating") and unit.get("MainPID", "0") == "0"
    if unit.get("NeedDaemonReload") == "yes" or is_down:
        return True
    started = started_at(unit)
    if started is None or unit.get("MainPID", "0") == "0":
        return False
    files = (agent.state.openclaw_env_stat, agent.state.openclaw_dropin_stat)
    return any(file is not None and file.modified > started for file in files)


def left_over(agent: Agent, names: list[str] | None = None) -> list[str]:
    """The variables of OpenClaw's process that our drop-in is to remove.

    Parameters: `names`, all that it has; None: those that it had when the host was read.
    """
    found = agent.state.openclaw_process if names is None else names
    return sorted(set(found) & set(removed_names(agent)))


def await_environment(agent: Agent) -> str | None:
    """Wait until the restarted OpenClaw runs. Returns what is wrong with its environment, if it is, or why it does not.

    It is read of the process, since `systemctl show` lists variables that UnsetEnvironment= has removed.
    """
    names = await_process(agent)
    if not names:
        unit = agent.settings.openclaw_unit
        return f"{unit} does not run after its restart; `journalctl -u {unit}` tells why"
    left = left_over(agent, names)
    return blamed(agent, left) if left else None


def await_process(agent: Agent) -> list[str]:
    """The names of the variables of OpenClaw's process once it runs; none where it does not within a minute."""
    unit = shlex.quote(agent.settings.openclaw_unit)
    command = (
        f'pid=$({systemctl(agent, f"show -p MainPID --value {unit}")}) && [ "$pid" -gt 0 ] &&'
        # Until it has become the program, it is systemd's own process, called "(name)", with other variables.
        " ! grep -q '^(' /proc/$pid/comm &&"
        " tr '\\0' '\\n' < /proc/$pid/environ | sed 's/=.*//' | grep ."  # no name at all proves nothing
    )
    deadline = time.monotonic() + PROOF_SECONDS
    while True:
        try:
            return remote.run(agent.host, command)
        except remote.ConnectionLostError:
            raise
        except remote.RemoteError:
            if time.monotonic() > deadline:
                return []
            time.sleep(0.25)


def blamed(agent: Agent, names: list[str]) -> str:
    """Whose fault it is that variables stay which our drop-in removes."""
    unit = agent.settings.openclaw_unit
    return (
        f"{', '.join(names)} is in the environment of {unit} though the drop-in removes it: ExecStart= or the program"
        f" that it starts sets it; `systemctl cat {unit}` shows the first"
    )
