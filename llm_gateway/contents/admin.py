"""The gateway's admin API, for the steps of a run: reads are taken from what was read of the host, writes go there."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import httpx

from llm_gateway.flavours.contents import Admin
from llm_gateway.flavours.flavour import Reads
from llm_gateway.hosts.route import route
from llm_gateway.hosts.topology import Gateway

FRESH_SECONDS = 30.0
"""How long the record of a host is good for: a person may think before saying yes, an image take its time."""
ANSWER_SECONDS = 30.0
"""More than the 10 s for which One API waits for a locked database, so that it is that which it tells."""


@contextmanager
def admin_api(gateway: Gateway) -> Iterator[Admin]:
    """A client for a gateway's admin API, with its access token.

    Raises RouteError when there is no way to a gateway that has to be asked.
    """
    with ExitStack() as stack:
        transport: httpx.BaseTransport
        is_old = time.monotonic() - gateway.node.machine.read_at > FRESH_SECONDS
        is_past = is_old or gateway.is_outdated or gateway.node.is_restarted
        if is_past and gateway.node.host.state.is_executing:
            transport = stack.enter_context(route(gateway.node.host, gateway.address, gateway.settings.gateway_port))
        else:
            transport = _Recorded(gateway, stack)
        client = gateway.node.flavour.admin(
            gateway.base_url, access_token=gateway.generated.access_token, transport=transport, timeout=ANSWER_SECONDS
        )
        with client:
            yield client


def recorded_as(reads: Reads) -> dict[str, str]:
    """By path, the name of the answer of `host_state.sh`."""
    return {reads.channels: "api_channels", reads.tokens: "api_tokens", reads.options: "api_options"}


class _Recorded(httpx.BaseTransport):
    """Answers reads as the host recorded them when its state was read; anything else goes to the gateway."""

    def __init__(self, gateway: Gateway, stack: ExitStack) -> None:
        self._gateway = gateway
        self._stack = stack
        self._live: httpx.BaseTransport | None = None
        self._opening = threading.Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer from the record once; a read after a write must see what the write did."""
        if self._live is None and (recorded := self._recorded(request)):
            return recorded
        with self._opening:  # one way for all threads: paramiko mixes up the refusals of two
            if self._live is None:
                node, port = self._gateway.node, self._gateway.settings.gateway_port
                self._live = self._stack.enter_context(route(node.host, node.address, port))
        return self._live.handle_request(request)

    def _recorded(self, request: httpx.Request) -> httpx.Response | None:
        """The answer as the host recorded it; None where it did not."""
        node, target = self._gateway.node, request.url.raw_path.decode("ascii")
        reads = node.flavour.reads
        if request.method == "POST" and target == reads.keys:
            return self._keys(json.loads(request.read())["ids"])
        recorded = node.state.answers.get(recorded_as(reads).get(target, ""), "")
        return parse_answer(recorded) if request.method == "GET" and recorded else None

    def _keys(self, ids: Sequence[int]) -> httpx.Response | None:
        """The keys of tokens as their database has them; None where it has not all."""
        keys = dict(line.split("|", 1) for line in self._gateway.node.state.api_token_keys if "|" in line)
        if not {*map(str, ids)} <= keys.keys():
            return None
        found = {"keys": {str(number): keys[str(number)] for number in ids}}
        return httpx.Response(200, json={"success": True, "message": "", "data": found})


def parse_answer(text: str) -> httpx.Response:
    """An HTTP/1.0 answer as bytes came, head and body.

    Raises httpx.RemoteProtocolError when it is none.
    """
    head, separator, body = text.partition("\r\n\r\n")
    status, *lines = head.split("\r\n")
    if not separator or not status.startswith("HTTP/1."):
        raise httpx.RemoteProtocolError("the gateway's answer broke off")
    headers: Mapping[str, str] = dict(line.split(": ", 1) for line in lines if ": " in line)
    kept = {name: value for name, value in headers.items() if name.lower() == "content-type"}
    return httpx.Response(int(status.split()[1]), headers=kept, content=body.encode("utf-8", "surrogateescape"))
