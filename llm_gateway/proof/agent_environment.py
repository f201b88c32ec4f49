"""What an OpenClaw host asks with: our lines of its .env as they stand on its disk, or as a run is to write them."""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from llm_gateway.contents.desired import token_name
from llm_gateway.hosts import remote
from llm_gateway.hosts.topology import Agent, Gateway, Node
from llm_gateway.model import dotenv
from llm_gateway.model.asking import VerificationError
from llm_gateway.parts.openclaw import openclaw
from llm_gateway.parts.openclaw.openclaw import Access

_HOST_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_FIX = "run deploy.py, which writes it"


@dataclass(frozen=True)
class Environment:
    """The values of a .env: its gateways, the first one first, and its models; "" for what it does not say."""

    accesses: tuple[Access, ...]
    llm_model: str
    embedding_model: str

    def of(self, nodes: Iterable[Node]) -> list[AgentEnvironment]:
        """What is asked of each of these hosts with a gateway, in the order of its gateways."""
        return [
            AgentEnvironment(node, access.base_url, access.key, self.llm_model, self.embedding_model)
            for node, access in zip(nodes, self.accesses, strict=False)
        ]


@dataclass(frozen=True)
class AgentEnvironment:
    """What an agent asks one gateway with: the values of its .env; `key` is without "sk-"."""

    node: Node
    base_url: str
    key: str = field(repr=False)
    llm_model: str
    embedding_model: str

    @property
    def gateway(self) -> Gateway:
        """The gateway that it asks."""
        return self.node.gateway

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


def key_for(agent: Agent, node: Node) -> str | None:
    """The key that a gateway has for the host, as far as the run knows it."""
    return node.gateway.token_keys.get(token_name(agent.name))


def accesses(agent: Agent) -> list[Access] | None:
    """What a run writes for each gateway; None where it knows the host's token on none, or not on one that it asks."""
    found = [place.kept or _access(agent, place) for place in openclaw.places(agent)]
    is_asked = any(place.kept is None for place in openclaw.places(agent))
    return [access for access in found if access] if is_asked and all(found) else None


def with_present(agent: Agent) -> list[Access] | None:
    """As `accesses`, with the present key where a gateway has not told its key yet; None without one."""
    there = openclaw.accesses(agent.state.openclaw_env or "")
    if not any(node.is_reached for node in agent.nodes) or len(there) < len(openclaw.places(agent)):
        return None
    return [
        place.kept or _access(agent, place) or Access(place.base_url, there[number].key)
        for number, place in enumerate(openclaw.places(agent))
    ]


def _access(agent: Agent, place: openclaw.Place) -> Access | None:
    key = key_for(agent, place.node)
    return None if key is None else Access(place.base_url, key)


def known(agent: Agent) -> list[AgentEnvironment]:
    """What the host is to ask the gateways with that this run can ask, as far as it knows their tokens."""
    settings = agent.settings
    return [
        AgentEnvironment(place.node, access.base_url, access.key, settings.llm_model, settings.embedding_model)
        for place in openclaw.places(agent)
        if place.kept is None and (access := _access(agent, place))
    ]


def read_text(agent: Agent) -> str:
    """The .env as it is on the disk now, read as the user whose it is; "" where there is none. Raises RemoteError."""
    path = shlex.quote(openclaw.environment_path(agent))
    script = f"[ ! -e {path} ] || base64 -w0 < {path}"
    lines = remote.run(agent.host, openclaw.as_user(openclaw.account(agent).user, script))
    return base64.b64decode("".join(lines)).decode("utf-8", "surrogateescape")


def on_disk(agent: Agent) -> list[AgentEnvironment]:
    """What stands in the .env now, for the gateways that this run can ask.

    Raises VerificationError where it cannot be read, or is not for the host's gateways.
    """
    if agent.state.openclaw_account is None:
        raise VerificationError("the user that OpenClaw runs as is not on this host: correct openclaw_user")
    path = openclaw.environment_path(agent)
    try:
        text = read_text(agent)
    except (remote.RemoteError, ValueError) as problem:
        raise VerificationError(f"{path} cannot be read by its user: {problem}") from None
    found, places = parse(text, path), openclaw.places(agent)
    if wrong := mismatch(agent, found):
        raise VerificationError(wrong)
    asked = []
    for number, (each, place) in enumerate(zip(found.of(place.node for place in places), places, strict=True), start=1):
        if place.kept is None and (wrong := _unresolved(agent, number, each)):
            raise VerificationError(wrong)
        asked += [each] if place.kept is None else []
    return asked


def parse(text: str, path: str, needed: Collection[str] = openclaw.NAMES) -> Environment:
    """The values of a .env, of whose other lines nothing is asked. Raises VerificationError, which shows no value.

    Parameters: `needed`, the names without which there is nothing to ask with.
    """
    names = openclaw.names_in(text)
    values = dict.fromkeys(names, "")
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
    if missing := [name for name in [*needed, *names[len(openclaw.NAMES) :]] if not values[name]]:
        raise VerificationError(f"{path} has no {', '.join(missing)}: {_FIX}")
    numbered = [openclaw.numbered_names(number) for number in range(1, (len(names) - len(openclaw.NAMES)) // 2 + 1)]
    found = [Access(values[url], values[key].removeprefix("sk-")) for url, key in numbered or [openclaw.NAMES[:2]]]
    _check_lists(path, values, found[1:])
    return Environment(tuple(found), values["LLM_MODEL_ID"], values["EMBEDDING_MODEL_ID"])


def _check_lists(path: str, values: Mapping[str, str], others: Sequence[Access]) -> None:
    """Whether the clients have the fallbacks that OpenClaw has. Raises VerificationError."""
    for name, told in zip(
        openclaw.FALLBACK_NAMES,
        ([other.base_url for other in others], [f"sk-{other.key}" for other in others]),
        strict=True,
    ):
        if others and values[name] != ",".join(told):
            raise VerificationError(f"{name} in {path} is not what LLM_2_… and so on say: {_FIX}")


def mismatch(agent: Agent, found: Environment) -> str | None:
    """Why a .env is not for the host's gateways, without a value that may be secret; None where it is.

    A host name in the URL is judged by what the host resolves it to.
    """
    path, places = openclaw.environment_path(agent), openclaw.places(agent)
    for number, (place, access) in enumerate(zip(places, found.accesses, strict=False), start=1):
        if place.kept is None and (wrong := _mismatch(agent, number, place.node, access)):
            return wrong
    if (there := len(found.accesses)) != len(places):
        names = ", ".join(node.name for node in agent.nodes)
        return f"{path} names {there} gateway{'s' * (there > 1)}, and this host is to ask {names}: {_FIX} so"
    return None


def _mismatch(agent: Agent, number: int, node: Node, access: Access) -> str | None:
    path, (url, key_name) = openclaw.environment_path(agent), openclaw.numbered_names(number)
    if not _is_nodes(access.base_url, node):
        return (
            f"{url} in {path} is {_shown(access.base_url)}, and its {called(number)} {node.name} is"
            f" {node.base_url}/v1: {_FIX} so"
        )
    key = key_for(agent, node)
    if key is not None and key != access.key:
        return (
            f"{key_name} in {path} is not the token {token_name(agent.name)} that {node.gateway.name} has for this"
            f" host: {_FIX}"
        )
    return None


def called(number: int) -> str:
    """What the gateway of that number, from 1 on, is to an agent."""
    return "gateway" if number == 1 else "fallback"


def _is_nodes(base_url: str, node: Node) -> bool:
    """Whether a URL is that of a host with a gateway, or differs in that it has a host's name for the address."""
    try:
        parts, wanted = urlsplit(base_url), urlsplit(f"{node.base_url}/v1")
        is_near = (parts.scheme, parts.port or 80, parts.path.rstrip("/")) == ("http", wanted.port, wanted.path)
    except ValueError:  # a port that is no number
        return False
    plain = parts.netloc.rpartition(":")[0] if parts.port else parts.netloc
    if not is_near or parts.query or parts.fragment or not _HOST_NAME.fullmatch(plain):
        return False
    return parts.hostname == wanted.hostname or not re.fullmatch(r"[0-9.]+", plain)


def addresses_of(agent: Agent, name: str) -> list[str]:
    """The IPv4 addresses of what a .env names, as its host resolves that, or none. Raises RemoteError."""
    if re.fullmatch(r"[0-9.]+", name):
        return [name]
    lines = remote.run(agent.host, f"getent ahostsv4 {shlex.quote(name)} || true")
    return list(dict.fromkeys(line.split()[0] for line in lines if line.strip()))


def _unresolved(agent: Agent, number: int, found: AgentEnvironment) -> str | None:
    """Why the host's name for its gateway is not that gateway's; None where it is, or where it is an address."""
    node, (url, _) = found.node, openclaw.numbered_names(number)
    try:
        addresses = addresses_of(agent, found.host)
    except remote.RemoteError as problem:
        return f"{agent.name} cannot be asked for the address of {found.host}: {problem}"
    if node.address in addresses:
        return None
    leads = f"is {', '.join(addresses)} on this host" if addresses else "is not resolved on this host"
    return (
        f"{found.host}, which {url} in {openclaw.environment_path(agent)} names, {leads}, and its {called(number)}"
        f" {node.name} is {node.address}: {_FIX} as an address, or look at the host's DNS"
        " (`tailscale status`, /etc/resolv.conf)"
    )


def _shown(url: str) -> str:
    """A URL without what may be a password in it."""
    shown = re.sub(r"\?.*", "?…", re.sub(r"//[^/@]*@", "//…@", url))
    return shown if shown.isprintable() and len(shown) <= 200 else "something else"
