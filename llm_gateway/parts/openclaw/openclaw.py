"""OpenClaw hosts: their own token in ~/.openclaw/.env, and nothing in the unit's environment that would win over it."""

from __future__ import annotations

import itertools
import re
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from llm_gateway.hosts import before, remote
from llm_gateway.hosts.host_state import Account, started_at
from llm_gateway.hosts.topology import Agent, Node
from llm_gateway.model import dotenv
from llm_gateway.model.layout import BEFORE_SUFFIX, DROP_IN, UNITS
from llm_gateway.parts import installation

NAMES = ("LLM_BASE_URL", "LLM_API_KEY", "LLM_MODEL_ID", "EMBEDDING_MODEL_ID")
"""What is written into .env."""
FALLBACK_NAMES = ("LLM_FALLBACK_BASE_URLS", "LLM_FALLBACK_API_KEYS")
"""What is written there as well where there are fallbacks: all of them in one line, as the clients read them."""
_NUMBERED = re.compile(r"^LLM_(\d+)_(BASE_URL|API_KEY)='?([^'\s]*)", re.MULTILINE)
"""And each by itself, as OpenClaw's configuration names it. A .env with such lines is one whose fallbacks we wrote."""
PROOF_SECONDS = 60
"""How long the restarted unit may take to run. (`systemctl restart` itself waits for the stop, up to 330 s.)"""


@dataclass(frozen=True)
class Access:
    """Where an OpenClaw host asks for completions: the base URL, with /v1, and its key there, without "sk-"."""

    base_url: str
    key: str = field(repr=False)


@dataclass(frozen=True)
class Place:
    """What the files of an OpenClaw host are to name as one of its gateways.

    `kept`: what .env has for it now, where this run cannot ask it and so leaves that as it is.
    """

    node: Node
    base_url: str
    kept: Access | None = None


def names_of(count: int) -> list[str]:
    """What is written into .env for so many gateways."""
    numbered = [name for number in range(2, count + 1) for name in numbered_names(number)]
    return [*NAMES, *(FALLBACK_NAMES if count > 1 else ()), *numbered]


def numbered_names(number: int) -> tuple[str, str]:
    """The variables of one gateway, of which the first has number 1."""
    return NAMES[:2] if number == 1 else (f"LLM_{number}_BASE_URL", f"LLM_{number}_API_KEY")


def names_in(text: str) -> list[str]:
    """What earlier runs have written into a .env. Without fallbacks of ours, FALLBACK_NAMES are a person's own."""
    return names_of(max((int(found[1]) for found in _NUMBERED.finditer(text)), default=1))


def accesses(text: str) -> list[Access]:
    """What a .env of ours names, one for each gateway, as far as it is complete."""
    found: list[Access] = []
    for number in itertools.count(1):
        values = [re.search(rf"^{name}='?([^'\s]+)", text, re.MULTILINE) for name in numbered_names(number)]
        url, key = (value[1] if value else "" for value in values)
        if not (url and key):
            return found
        found.append(Access(url, key.removeprefix("sk-")))
    return found


def is_usable(agent: Agent, node: Node) -> bool:
    """Whether this run can point an OpenClaw host at a gateway: it has reached that, and it has not failed."""
    return node.is_reached and node.name not in agent.without and _base_url(node) is not None


def _base_url(node: Node) -> str | None:
    """Where it is asked, with /v1; None where the run does not know that."""
    is_read = node.machine.is_read and (node.state.tailscale_addresses or node.state.published[0])
    return f"{node.base_url}/v1" if node.settings.gateway_tailscale_address or is_read else None


def places(agent: Agent) -> list[Place]:
    """What the host's files are to name: its gateways in their order.

    One that this run cannot ask keeps the place that it has in .env, and is left out where it has none: the next run
    that reaches it puts it in. So a gateway that is gone does not keep a host from the others.
    """
    there = accesses(agent.state.openclaw_env or "")
    urls = [_base_url(node) for node in agent.nodes]
    unclaimed = [access for access in there if access.base_url not in urls]
    found = []
    for number, (node, url) in enumerate(zip(agent.nodes, urls, strict=True)):
        if is_usable(agent, node):
            found.append(Place(node, f"{node.base_url}/v1"))
        elif kept := _kept(there, unclaimed, number, url, len(urls)):
            found.append(Place(node, kept.base_url, kept))
    return found


def _kept(there: list[Access], unclaimed: list[Access], number: int, url: str | None, count: int) -> Access | None:
    """What .env has for a gateway: by its address; where that is not known, what is in its place and nobody else's."""
    if url is not None:
        return next((access for access in there if access.base_url == url), None)
    if number < len(there) and there[number] in unclaimed:
        kept = there[number]
    elif unclaimed and len(there) == count:  # the order was changed, and nothing else
        kept = unclaimed[0]
    else:
        return None
    unclaimed.remove(kept)
    return kept


def missing(agent: Agent) -> list[Node]:
    """The gateways that this run cannot ask, the host having another one that it can."""
    left = [node for node in agent.nodes if not is_usable(agent, node)]
    return left if len(left) < len(agent.nodes) else []


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


def merged_environment(agent: Agent, wanted: Sequence[Access], text: str | None = None) -> str:
    """The host's .env with our names in it and all else as it was.

    Parameters: `wanted`, its gateways, the first one first; `text`, the .env as it is now; None: as it was when the
    host was read.
    Raises DotenvError when the file is such that its readers would not agree on the result.
    """
    text = (agent.state.openclaw_env or "") if text is None else text
    values = {
        "LLM_BASE_URL": wanted[0].base_url,
        "LLM_API_KEY": f"sk-{wanted[0].key}",
        "LLM_MODEL_ID": agent.settings.llm_model,
        "EMBEDDING_MODEL_ID": agent.settings.embedding_model,
    }
    if others := wanted[1:]:
        urls, keys = FALLBACK_NAMES
        values[urls] = ",".join(other.base_url for other in others)
        values[keys] = ",".join(f"sk-{other.key}" for other in others)
    for number, other in enumerate(others, start=2):
        url, key = numbered_names(number)
        values |= {url: other.base_url, key: f"sk-{other.key}"}
    return dotenv.merge(text, values, {*names_in(text)} - {*values})


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
    return list(dict.fromkeys([*agent.settings.openclaw_unset_environment, *names_of(len(agent.nodes))]))


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
