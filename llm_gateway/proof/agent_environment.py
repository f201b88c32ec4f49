"""What an OpenClaw host asks with: our lines of its .env as they stand on its disk, or as a run is to write them."""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Collection
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from llm_gateway.contents.desired import token_name
from llm_gateway.hosts import remote
from llm_gateway.hosts.topology import Agent, Gateway
from llm_gateway.model import dotenv
from llm_gateway.model.asking import VerificationError
from llm_gateway.parts.openclaw import openclaw

_HOST_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_FIX = "run deploy.py, which writes it"


@dataclass(frozen=True)
class AgentEnvironment:
    """The values of an agent's .env; `key` is without "sk-"."""

    base_url: str
    key: str = field(repr=False)
    llm_model: str
    embedding_model: str

    @property
    def host(self) -> str:
        """The address of its gateway, or the name that the host resolves to it."""
        return _place(self.base_url)[0]

    @property
    def port(self) -> int:
        """The port of its gateway."""
        return _place(self.base_url)[1]


def _place(url: str) -> tuple[str, int]:
    """Host and port of a URL; "" and 80 where it has none that could be asked."""
    try:
        parts = urlsplit(url)
        return (parts.hostname or "", parts.port or 80)
    except ValueError:  # a bracket that does not close, a port that is no number
        return ("", 80)


def wanted(agent: Agent) -> AgentEnvironment | None:
    """What a run writes; None where the token of the host is not known."""
    key = agent.gateway.token_keys.get(token_name(agent.name))
    if key is None:
        return None
    return AgentEnvironment(
        f"{agent.gateway.base_url}/v1", key, agent.settings.llm_model, agent.settings.embedding_model
    )


def read_text(agent: Agent) -> str:
    """The .env as it is on the disk now, read as the user whose it is; "" where there is none. Raises RemoteError."""
    path = shlex.quote(openclaw.environment_path(agent))
    script = f"[ ! -e {path} ] || base64 -w0 < {path}"
    lines = remote.run(agent.host, openclaw.as_user(openclaw.account(agent).user, script))
    return base64.b64decode("".join(lines)).decode("utf-8", "surrogateescape")


def on_disk(agent: Agent) -> AgentEnvironment:
    """What stands in the .env now. Raises VerificationError where it cannot be read, or is not for this gateway."""
    if agent.state.openclaw_account is None:
        raise VerificationError("the user that OpenClaw runs as is not on this host: correct openclaw_user")
    path = openclaw.environment_path(agent)
    try:
        text = read_text(agent)
    except (remote.RemoteError, ValueError) as problem:
        raise VerificationError(f"{path} cannot be read by its user: {problem}") from None
    found = parse(text, path)
    if wrong := mismatch(agent, found) or _unresolved(agent, found):
        raise VerificationError(wrong)
    return found


def parse(text: str, path: str, needed: Collection[str] = openclaw.NAMES) -> AgentEnvironment:
    """The values of a .env, of whose other lines nothing is asked. Raises VerificationError, which shows no value.

    Parameters: `needed`, the names without which there is nothing to ask with.
    """
    values = dict.fromkeys(openclaw.NAMES, "")
    try:
        for entry in dotenv.entries(text.lstrip("\ufeff")):
            if entry.key not in values:
                continue
            if values[entry.key]:
                raise VerificationError(f"{path} sets {entry.key} twice: run deploy.py, which keeps one")
            blank = "\n" * (entry.line - 1)  # so that an error names the line of the file
            values[entry.key] = dotenv.read(blank + entry.text).get(entry.key, "")
    except dotenv.DotenvError as problem:
        raise VerificationError(f"{path}: {problem}: edit that line, or run deploy.py if it is one of ours") from None
    if missing := [name for name in needed if not values[name]]:
        raise VerificationError(f"{path} has no {', '.join(missing)}: {_FIX}")
    base_url, key, llm_model, embedding_model = values.values()
    return AgentEnvironment(base_url, key.removeprefix("sk-"), llm_model, embedding_model)


def mismatch(agent: Agent, found: AgentEnvironment) -> str | None:
    """Why a .env is not for the host's gateway, without a value that may be secret; None where it is.

    A host name in the URL is judged by what the host resolves it to.
    """
    path, gateway = openclaw.environment_path(agent), agent.gateway
    if not _is_gateways(found.base_url, gateway):
        return (
            f"LLM_BASE_URL in {path} is {_shown(found.base_url)}, and its gateway {gateway.name} is"
            f" {gateway.base_url}/v1: {_FIX} so"
        )
    key = gateway.token_keys.get(token_name(agent.name))
    if key is not None and key != found.key:
        return (
            f"LLM_API_KEY in {path} is not the token {token_name(agent.name)} that {gateway.name} has for this host:"
            f" {_FIX}"
        )
    return None


def _is_gateways(base_url: str, gateway: Gateway) -> bool:
    """Whether a URL is that of a gateway, or differs in that it has a host's name for the address."""
    try:
        parts, wanted = urlsplit(base_url), urlsplit(f"{gateway.base_url}/v1")
        is_near = (parts.scheme, parts.port or 80, parts.path.rstrip("/")) == ("http", wanted.port, wanted.path)
    except ValueError:  # a port that is no number
        return False
    plain = parts.netloc.rpartition(":")[0] if parts.port else parts.netloc
    if not is_near or parts.query or parts.fragment or not _HOST_NAME.fullmatch(plain):
        return False
    return parts.hostname == wanted.hostname or not re.fullmatch(r"[0-9.]+", plain)


def addresses_of(agent: Agent, found: AgentEnvironment) -> list[str]:
    """The IPv4 addresses of what a .env names, as its host resolves that, or none. Raises RemoteError."""
    if re.fullmatch(r"[0-9.]+", found.host):
        return [found.host]
    lines = remote.run(agent.host, f"getent ahostsv4 {shlex.quote(found.host)} || true")
    return list(dict.fromkeys(line.split()[0] for line in lines if line.strip()))


def _unresolved(agent: Agent, found: AgentEnvironment) -> str | None:
    """Why the host's name for its gateway is not that gateway's; None where it is, or where it is an address."""
    gateway = agent.gateway
    try:
        addresses = addresses_of(agent, found)
    except remote.RemoteError as problem:
        return f"{agent.name} cannot be asked for the address of {found.host}: {problem}"
    if gateway.address in addresses:
        return None
    leads = f"is {', '.join(addresses)} on this host" if addresses else "is not resolved on this host"
    return (
        f"{found.host}, which LLM_BASE_URL in {openclaw.environment_path(agent)} names, {leads}, and its gateway"
        f" {gateway.name} is {gateway.address}: {_FIX} as an address, or look at the host's DNS"
        " (`tailscale status`, /etc/resolv.conf)"
    )


def _shown(url: str) -> str:
    """A URL without what may be a password in it."""
    shown = re.sub(r"\?.*", "?…", re.sub(r"//[^/@]*@", "//…@", url))
    return shown if shown.isprintable() and len(shown) <= 200 else "something else"
