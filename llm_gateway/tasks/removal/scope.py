"""What `deploys/remove.py` finds of ours on a host, and which hosts a person wants it to take the gateway off."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from pyinfra.api import FunctionCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.hosts import answers, before, remote
from llm_gateway.hosts.answers import Answers, Lines
from llm_gateway.hosts.before import Before
from llm_gateway.hosts.progress import step
from llm_gateway.hosts.route import TAILNET
from llm_gateway.hosts.topology import Agent, Gateway, Machine
from llm_gateway.model import dotenv, layout, shell
from llm_gateway.model.layout import GIVEN_BACK, PROJECT
from llm_gateway.parts import skills
from llm_gateway.parts.openclaw import openclaw
from llm_gateway.tasks.removal import dotenv_restore, home

_SCRIPT = Path(__file__).with_name("scope.sh")


class Leftovers(Answers):
    """What `scope.sh` says on a host; each fact is the answer of its name."""

    notes = Lines()
    """What was noted before the first deployment."""
    home = Lines()
    """The names in the directory where a host keeps what is about its runs."""
    units = Lines()
    """The paths of our units' files."""
    unit_drop_ins = Lines()
    """The directories of drop-ins for them, which are a person's own."""
    directory = Lines()
    """The names in the install directory."""
    taken_over_files = Lines()
    """The names of what a person's gateway had, kept among the backups."""
    containers = Lines()
    networks = Lines()
    image_tags = Lines()
    client_kept = Lines()
    """Copies of the client of before, the oldest first."""


@dataclass(frozen=True)
class Found:
    """One host, read."""

    state: Leftovers
    before: Mapping[str, Before]
    """What was noted before the first deployment, by path."""

    @property
    def environment(self) -> str | None:
        """OpenClaw's .env as it was before; None where there was none, or no copy of it is left."""
        return _content(self.state, "env_before")


@dataclass
class Removal:
    """One run: the hosts, by name, that are chosen, and where backups are brought to, if anywhere.

    `is_asked`: whether a person is asked for the names of these hosts.
    """

    chosen: frozenset[str]
    fetch: Path | None
    found: dict[str, Found]
    is_asked: bool = False


_removals: WeakKeyDictionary[State, Removal] = WeakKeyDictionary()


def begin(state: State, chosen: frozenset[str], fetch: Path | None) -> Removal:
    """Remember what this run is to do."""
    return _removals.setdefault(state, Removal(chosen, fetch, {}))


def of(host: Host) -> Removal:
    """The removal that a host's run is."""
    return _removals[host.state]


def is_chosen(host: Host) -> bool:
    """Whether the gateway is to be taken off this host."""
    return host.name in of(host).chosen


def is_under_way(host: Host) -> bool:
    """Whether this run takes the gateway off the host; False in runs of other kinds."""
    run = _removals.get(host.state)
    return run is not None and host.name in run.chosen


def found_on(host: Host) -> Found:
    """What is of ours on a host that was read."""
    return of(host).found[str(host.name)]


def chosen_agents(gateway: Gateway) -> list[Agent]:
    """The OpenClaw hosts of a gateway that it is taken off."""
    return [agent for agent in gateway.agents if is_chosen(agent.host)]


def read(machine: Machine) -> Found:
    """Read it. Raises RemoteError or UnreadableError."""
    node = machine.node
    agent = machine.agent if machine.state.openclaw_account is not None else None
    values = {
        "ROLES": " ".join(role for role, has in (("gateway", node), ("openclaw", agent)) if has),
        "PROJECT": PROJECT,
        "DIRECTORY": machine.settings.gateway_directory,
        "BEFORE": layout.BEFORE,
        "OPENCLAW_USER": openclaw.account(agent).user if agent else "",
        "ENV_BEFORE": f"{openclaw.environment_path(agent)}{layout.BEFORE_SUFFIX}" if agent else "",
        "CLIENT": skills.client_path(agent) if agent and agent.settings.openclaw_workspace else "",
        "KEPT_SUFFIX": layout.BEFORE_SUFFIX,
    }
    state = Leftovers.parse(remote.run(machine.host, shell.program(values, answers.SCRIPT, _SCRIPT)))
    return Found(state, before.read(state.notes))


def is_installed(machine: Machine, found: Found) -> bool:
    """Whether anything of ours is on the host, which does not mean a gateway that a person has set up by hand."""
    is_set_up = machine.node is not None and machine.state.has_secrets
    return bool(
        is_set_up
        or home.is_ours(found.state.home)
        or found.state.units
        or (machine.agent and _has_openclaw(machine.agent, found))
    )


def points_here(agent: Agent) -> bool:
    """Whether OpenClaw's .env points at its gateway; one that a person has pointed elsewhere is theirs."""
    text = agent.state.openclaw_env or ""
    url = dotenv_restore.value(text, openclaw.NAMES[0])
    if url is None:
        return dotenv.COMMENT in text
    places = openclaw.places(agent)
    if any(url == place.base_url for place in places if place.kept is None):
        return True
    return len(places) > sum(place.kept is None for place in places) and _is_in_tailnet(url)


def is_elsewhere(agent: Agent) -> bool:
    """Whether a person has pointed OpenClaw at something else, by hand: then the four lines are theirs."""
    url = dotenv_restore.value(agent.state.openclaw_env or "", openclaw.NAMES[0])
    is_given_back = GIVEN_BACK in found_on(agent.host).state.home
    return url is not None and not points_here(agent) and not is_given_back


def _is_in_tailnet(url: str) -> bool:
    """Whether a URL names an address of a tailnet, as our gateways' do."""
    try:
        return ipaddress.IPv4Address(urlsplit(url).hostname or "") in TAILNET
    except ValueError:
        return False


def tell(text: str) -> FunctionCommand:
    """A command that says, in an operation of several, what comes next."""

    def say(state: State, host: Host) -> bool:
        step(host, text)
        return True

    return remote.Callback(say, (), {})


def mention(host: Host, text: str) -> None:
    """Tell something from within an operation, once: pyinfra goes through it for the plan, too."""
    if host.state.is_executing:
        remote.tell(host, text)


def _has_openclaw(agent: Agent, found: Found) -> bool:
    has_environment = points_here(agent) or (found.environment is not None and not is_elsewhere(agent))
    has_client = bool(agent.state.openclaw_client_record)
    return has_environment or has_client or agent.state.openclaw_dropin is not None


def _content(state: Leftovers, name: str) -> str | None:
    """Without the line end that the script has added."""
    text = state.answers.get(name)
    return None if text is None else text[:-1]
