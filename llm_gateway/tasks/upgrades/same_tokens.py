"""Whether each token may on a copy, under another software, what it may now: asked of both, not read in a table."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import httpx

from llm_gateway.flavours.carrying import Arrival
from llm_gateway.hosts import remote
from llm_gateway.hosts.progress import step
from llm_gateway.hosts.route import RouteError, route
from llm_gateway.hosts.topology import Node
from llm_gateway.model.layout import PORT, TRIAL
from llm_gateway.parts import database

MOST = 200
"""How many tokens are asked with; those that are limited or deleted come first."""
_SECONDS = 20.0
_SOURCE = f"docker inspect {TRIAL} --format '{{{{range .NetworkSettings.Networks}}}}{{{{.Gateway}}}}{{{{end}}}}'"
"""The address from which the host itself reaches a container."""


@dataclass(frozen=True)
class Asker:
    """A token, as it is before. `key`: without ``sk-``; `networks`: those that it is limited to, if any."""

    name: str
    key: str = field(repr=False)
    networks: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """What a gateway says to a token: the status, and the models that it lists."""

    status: int
    models: frozenset[str] = frozenset()

    @property
    def is_allowed(self) -> bool:
        """Not so is any refusal: of a deleted account's token, one software says 403 and the other 500."""
        return self.status == httpx.codes.OK

    def __str__(self) -> str:
        """For people."""
        return (
            f"{self.status} with {', '.join(sorted(self.models)) or 'no model'}"
            if self.is_allowed
            else f"{self.status}"
        )


Ask = Callable[[Asker], Answer]


def askers(node: Node, arrival: Arrival) -> list[Asker]:
    """The tokens of the gateway's database, but for those that may be lost. Raises RemoteError, DatabaseError."""
    rows = database.ask_file(node.gateway.store, f"{arrival.tokens} LIMIT {MOST};\n")
    fields = ((bytes.fromhex(text).decode(errors="replace") for text in row.split("|")) for row in rows)
    found = (Asker(name, key, tuple(networks.split())) for name, key, networks in fields)
    return [each for each in found if each.name not in node.settings.gateway_may_lose]


def problems(node: Node, address: str, arrival: Arrival) -> list[str]:
    """What tokens may on the copy that they may not now, and the other way round; none where nothing serves now.

    Parameters: `address`, of the copy. Raises RemoteError, DatabaseError, RouteError.
    """
    published, port = node.state.published
    is_running = bool((node.state.container or {}).get("State", {}).get("Running"))
    if not is_running or not published or not port:
        return []
    tokens = askers(node, arrival)
    step(node.host, f"trial: asking with {len(tokens)} tokens whether each may what it may now")
    source = remote.run(node.host, _SOURCE)[-1].strip()
    with route(node.host, published, int(port)) as now, route(node.host, address, PORT) as then:
        before = _asking(f"http://{published}:{port}", now)
        after = _asking(f"http://{address}:{PORT}", then)
        return [*differences(tokens, before, after, source)]


def differences(tokens: list[Asker], before: Ask, after: Ask, source: str) -> Iterator[str]:
    """Where a token gets another answer than it does now.

    Parameters: `source`, the address that the copy is asked from. One that is limited to other networks has to be
    refused there, and says nothing where it is not: the gateway that serves now sees another address.
    """
    for token in tokens:
        found = after(token)
        if token.networks:
            if found.is_allowed and not _is_among(source, token.networks):
                yield f"token {token.name!r} is limited to {', '.join(token.networks)}, and {source} got {found}"
            continue
        wanted = before(token)  # fewer models there may be, of channels that may be lost
        if wanted.is_allowed != found.is_allowed or not found.models <= wanted.models:
            yield f"token {token.name!r} gets {wanted} now, and {found} on the copy"


def _is_among(address: str, networks: tuple[str, ...]) -> bool:
    for network in networks:
        with suppress(ValueError):
            if ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False):
                return True
    return False


def _asking(base_url: str, transport: httpx.BaseTransport) -> Ask:
    """Asks for the list of models: it costs nothing, and limits of a token show in it."""
    client = httpx.Client(base_url=base_url, transport=transport, timeout=_SECONDS, trust_env=False)

    def ask(token: Asker) -> Answer:
        try:
            answer = client.get("/v1/models", headers={"Authorization": f"Bearer sk-{token.key}"})
            rows = answer.json()["data"] if answer.status_code == httpx.codes.OK else ()
            return Answer(answer.status_code, frozenset(str(row["id"]) for row in rows or ()))
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as problem:
            raise RouteError(f"{base_url} does not list its models: {problem}") from None

    return ask
