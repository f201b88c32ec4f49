"""What `deploys/remove.py` finds of ours on a host, and which hosts a person wants it to take the gateway off."""

from __future__ import annotations

import ipaddress
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from pyinfra.api import FunctionCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.hosts import before, remote
from llm_gateway.hosts.before import Before
from llm_gateway.hosts.host_state import HostState
from llm_gateway.hosts.member import Member
from llm_gateway.hosts.progress import step
from llm_gateway.hosts.route import TAILNET
from llm_gateway.model import dotenv, layout
from llm_gateway.model.layout import GIVEN_BACK, PROJECT
from llm_gateway.parts import skills
from llm_gateway.parts.openclaw import openclaw
from llm_gateway.tasks.removal import dotenv_restore, home

_SCRIPT = Path(__file__).with_name("scope.sh")


@dataclass(frozen=True)
class Found:
    """One host, read."""

    state: HostState
    before: Mapping[str, Before]
    """What was noted before the first deployment, by path."""

    @property
    def environment(self) -> str | None:
        """OpenClaw's .env as it was before; None where there was none, or no copy of it is left."""
        return _content(self.state, "env_before")


@dataclass
class Removal:
    """One run: the hosts, by name, that are chosen, and where backups are brought to, if anywhere."""

    chosen: frozenset[str]
    fetch: Path | None
    found: dict[str, Found]


_removals: WeakKeyDictionary[State, Removal] = WeakKeyDictionary()


def begin(state: State, chosen: frozenset[str], fetch: Path | None) -> Removal:
    """Remember what this run is to do."""
    return _removals.setdefault(state, Removal(chosen, fetch, {}))


def of(member: Member) -> Removal:
    """The removal that a member's run is."""
    return _removals[member.host.state]


def is_chosen(member: Member) -> bool:
    """Whether the gateway is to be taken off this host."""
    return member.name in of(member).chosen


def is_under_way(member: Member) -> bool:
    """Whether this run takes the gateway off the host; False in runs of other kinds."""
    run = _removals.get(member.host.state)
    return run is not None and member.name in run.chosen


def found_on(member: Member) -> Found:
    """What is of ours on a host that was read."""
    return of(member).found[member.name]


def read(member: Member) -> Found:
    """Read it. Raises RemoteError or UnreadableError."""
    roles = [role for role, has in (("gateway", member.is_gateway), ("openclaw", member.is_openclaw)) if has]
    has_user = member.is_openclaw and member.state.openclaw_account is not None
    values = {
        "ROLES": " ".join(roles if has_user else [role for role in roles if role != "openclaw"]),
        "PROJECT": PROJECT,
        "DIRECTORY": member.directory,
        "BEFORE": layout.BEFORE,
        "OPENCLAW_USER": openclaw.account(member).user if has_user else "",
        "ENV_BEFORE": f"{openclaw.environment_path(member)}{layout.BEFORE_SUFFIX}" if has_user else "",
        "CLIENT": skills.client_path(member) if has_user and member.settings.openclaw_workspace else "",
        "KEPT_SUFFIX": layout.BEFORE_SUFFIX,
    }
    assignments = [f"{name}={shlex.quote(value)}" for name, value in values.items()]
    script = "\n".join([*assignments, _SCRIPT.read_text(encoding="utf-8")])
    state = HostState.parse(remote.run(member.host, script))
    return Found(state, before.read(state.lines("notes")))


def is_installed(member: Member, found: Found) -> bool:
    """Whether anything of ours is on the host, which does not mean a gateway that a person has set up by hand."""
    is_set_up = member.is_gateway and member.state.has_secrets
    return bool(
        is_set_up
        or home.is_ours(found.state.lines("home"))
        or found.state.text("units")
        or _has_openclaw(member, found)
    )


def points_here(member: Member) -> bool:
    """Whether OpenClaw's .env points at its gateway; one that a person has pointed elsewhere is theirs."""
    text = member.state.openclaw_env or ""
    url = dotenv_restore.value(text, openclaw.NAMES[0])
    if url is None:
        return dotenv.COMMENT in text
    gateway = member.gateway
    if gateway.name in member.fleet.members and gateway.state.tailscale_addresses:
        return url == f"{gateway.base_url}/v1"
    return _is_in_tailnet(url)


def is_elsewhere(member: Member) -> bool:
    """Whether a person has pointed OpenClaw at something else, by hand: then the four lines are theirs."""
    url = dotenv_restore.value(member.state.openclaw_env or "", openclaw.NAMES[0])
    is_given_back = GIVEN_BACK in found_on(member).state.lines("home")
    return url is not None and not points_here(member) and not is_given_back


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


def mention(member: Member, text: str) -> None:
    """Tell something from within an operation, once: pyinfra goes through it for the plan, too."""
    if member.host.state.is_executing:
        remote.tell(member.host, text)


def _has_openclaw(member: Member, found: Found) -> bool:
    if not member.is_openclaw:
        return False
    has_environment = points_here(member) or (found.environment is not None and not is_elsewhere(member))
    has_client = bool(member.state.openclaw_client_record)
    return has_environment or has_client or "openclaw_dropin" in member.state.answers


def _content(state: HostState, name: str) -> str | None:
    """Without the line end that the script has added."""
    text = state.answers.get(name)
    return None if text is None else text[:-1]
