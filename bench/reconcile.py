"""How long the reconciler takes on the lab's gateway, with how many requests: nothing to do, and 200 channels."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from bench.errors import BenchError
from bench.no_op import DIRECTORY, deployed_lab
from llm_gateway.contents import desired
from llm_gateway.flavours import ChannelSpec, TokenSpec
from llm_gateway.flavours.change_plan import Change, Declared, Ours, carry_out, plan
from llm_gateway.flavours.oneapi import AdminClient
from llm_gateway.inputs.secrets import Generated

CHANNELS, TOKENS, MANY = 50, 200, 200


@dataclass(frozen=True)
class Found:
    """One measurement: seconds, and the HTTP requests that were made."""

    what: str
    seconds: float
    requests: int


class _Counting(httpx.HTTPTransport):
    requests = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        return super().handle_request(request)


def measure(rounds: int) -> list[Found]:
    """Measure on a running, deployed lab, and leave it as it was. Raises BenchError when there is none."""
    transport = _Counting()
    with _admin(transport) as admin:
        found = [_make_many(admin, transport), _nothing_to_do(admin, transport, rounds)]
        assert not any(each.name.startswith("bench-") for each in admin.channels())  # noqa: S101 - what it promises
        return found


def _make_many(admin: AdminClient, transport: _Counting) -> Found:
    declared = Declared(channels=_channels(MANY))
    with _cleaned_up(admin, declared):
        before, began = transport.requests, time.perf_counter()
        _apply(admin, declared)
        return Found(f"{MANY} channels from nothing", time.perf_counter() - began, transport.requests - before)


def _nothing_to_do(admin: AdminClient, transport: _Counting, rounds: int) -> Found:
    declared = Declared(channels=_channels(CHANNELS), tokens=tuple(TokenSpec(f"bench-{n}") for n in range(TOKENS)))
    with _cleaned_up(admin, declared):
        _apply(admin, declared)
        taken = []
        for _ in range(rounds):
            before, began = transport.requests, time.perf_counter()
            if _plan(admin, declared):
                raise BenchError("there should have been nothing to do")
            taken.append(time.perf_counter() - began)
        what = f"nothing to do, {CHANNELS} channels and {TOKENS} tokens"
        return Found(what, statistics.median(taken), transport.requests - before)


def _channels(number: int) -> tuple[ChannelSpec, ...]:
    return tuple(
        ChannelSpec(
            f"bench-{n}", 1, "http://127.0.0.1:9", "key-for-the-bench", (f"bench-model-{n}", f"bench-other-{n}")
        )
        for n in range(number)
    )


def _plan(admin: AdminClient, declared: Declared, prune: frozenset[str] = frozenset()) -> list[Change]:
    return plan(declared, desired.look(admin), ours=Ours(), rotated=frozenset(), prune=prune)


def _apply(admin: AdminClient, declared: Declared) -> None:
    for change in _plan(admin, declared):
        carry_out(change, admin)


@contextmanager
def _cleaned_up(admin: AdminClient, declared: Declared) -> Iterator[None]:
    try:
        yield
    finally:
        names = [f"channel:{each.name}" for each in declared.channels] + [
            f"token:{each.name}" for each in declared.tokens
        ]
        for change in _plan(admin, Declared(), frozenset(names)):
            carry_out(change, admin)


@contextmanager
def _admin(transport: httpx.BaseTransport) -> Iterator[AdminClient]:
    lab, name = deployed_lab()
    command = [sys.executable, "-m", "lab", "ssh", name, "--", "sudo", "cat", f"{DIRECTORY}/secrets.env"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    address = f"http://{lab.hosts[name].tailscale_address}:3000"
    with AdminClient(address, access_token=Generated.read(text).access_token, transport=transport) as admin:
        yield admin
