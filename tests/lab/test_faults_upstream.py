"""Providers are slow, gone or cannot be found: the other models go on, and a person is told which one it is."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import pytest

from tests.lab.conftest import Lab, Run
from tests.lab.odd_upstream import MODEL, OddUpstream, odd_upstream
from tests.lab.outages import UNIT, Gateway, gateway_of_its_own
from tests.lab.shown import Shown

pytestmark = pytest.mark.fault

HOST = "gwup"
SLOW_ONES = 20
CALLS, LEAST_SERVED = 100, 98
AT_ONCE_SECONDS = 5
"""What a model may take whose upstream is well, on a machine that is busy with other tests."""


@dataclass(frozen=True)
class World:
    """A gateway with two channels: the lab's own upstream, and an odd one."""

    gateway: Gateway
    upstream: OddUpstream

    def channels(self, base_url: str | None = None, has_spare: bool = False) -> list[str]:
        """The arguments that declare both, the odd one with another URL, or with the other as its spare, on request."""
        lab = self.gateway.lab.state["upstream"]
        channels = [
            {"name": "lab-upstream", "base_url": lab["base_url"], "models": [lab["chat_model"]]},
            {"name": "odd", "base_url": base_url or self.upstream.base_url, "models": [MODEL], "priority": 10},
        ]
        if has_spare:
            mapping = {MODEL: lab["chat_model"]}
            spare = {"name": "spare", "base_url": lab["base_url"], "models": [MODEL], "model_mapping": mapping}
            channels.append(spare)
        whole = [{"type": 1, "key": "LAB_UPSTREAM_API_KEY", **channel} for channel in channels]
        return ["--data", f"gateway_channels={json.dumps(whole)}"]

    def verify(self, *arguments: str) -> Run:
        """verify.py, which asks every declared model."""
        return self.gateway.lab.pyinfra("-y", *arguments, str(self.gateway.inventory), "verify.py")

    def ask(self, model: str, seconds: float) -> tuple[int, float]:
        """Ask for a completion. Returns the HTTP status and the seconds it took. Raises httpx.HTTPError."""
        began = time.monotonic()
        answer = httpx.post(
            f"http://{self.gateway.address}:3000/v1/chat/completions",
            headers={"Authorization": f"Bearer sk-{self.gateway.key}"},
            json={"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1},
            timeout=seconds,
            trust_env=False,
        )
        return answer.status_code, time.monotonic() - began

    @property
    def other_model(self) -> str:
        """The model whose upstream is well."""
        return str(self.gateway.lab.state["upstream"]["chat_model"])

    def others_are_served(self) -> float:
        """Check that the other model answers, several times. Returns the seconds that it took in the middle."""
        taken = []
        for _ in range(5):
            status, seconds = self.ask(self.other_model, AT_ONCE_SECONDS)
            assert status == 200
            taken.append(seconds)
        return statistics.median(taken)


@pytest.fixture(scope="module")
def world(deployed: Lab) -> Iterator[World]:
    """A gateway of this file's own, and an upstream that does as it is told."""
    with gateway_of_its_own(deployed, HOST) as gateway, odd_upstream(deployed) as upstream:
        found = World(gateway, upstream)
        run = gateway.deploy(*found.channels())
        assert run.code == 0, run.output[-4000:]
        yield found


def test_a_slow_upstream_holds_up_nobody_else(world: World, shown: Shown) -> None:
    with shown("fault", f"an upstream is slow, and {SLOW_ONES} requests wait for it") as it:
        with ThreadPoolExecutor(SLOW_ONES) as pool:
            with world.upstream.which("hangs"):
                waiting = [pool.submit(world.ask, MODEL, 60) for _ in range(SLOW_ONES)]
                seconds = world.others_are_served()
                assert not any(each.done() for each in waiting), "they were to wait meanwhile"
            assert [each.result()[0] for each in waiting] == [200] * SLOW_ONES, "and are answered in the end"
        it.took(seconds)
        it.happened("other models answer meanwhile, and those who wait are answered in the end")


def test_an_upstream_that_hangs_is_a_time_out_that_names_it(world: World, shown: Shown) -> None:
    with shown("fault", "an upstream takes requests and never answers") as it:
        with world.upstream.which("hangs"):
            run = world.verify(*world.channels(), "--data", "verification_timeout=3")
        run.must_fail_with(f"{MODEL} did not answer within 3 s", "the upstream is slow or gone")
        it.happened("verify.py says which model does not answer, within its time")


def test_an_upstream_that_is_gone_fails_at_once_and_comes_back_by_itself(world: World, shown: Shown) -> None:
    with shown("fault", "an upstream is gone (its port is closed)") as it:
        with world.upstream.gone():
            status, seconds = world.ask(MODEL, 30)
            assert (status, seconds < AT_ONCE_SECONDS) == (500, True)
            it.took(world.others_are_served())
            world.verify(*world.channels()).must_fail_with(f"cannot reach the upstream of {MODEL}")
        assert world.ask(MODEL, 30)[0] == 200
        it.happened("its model fails at once, others go on; verify.py names it; it is used again once it is back")


def test_an_upstream_that_breaks_off_is_no_answer(world: World, shown: Shown) -> None:
    with shown("fault", "an upstream breaks off in the middle of its answer") as it:
        with world.upstream.which("breaks"):
            status, seconds = world.ask(MODEL, 30)
        assert status == 500
        it.took(seconds)
        world.others_are_served()
        it.happened("an error at once, and no half answer; other models go on")


def test_a_spare_channel_takes_over_by_default(world: World, shown: Shown) -> None:
    """At least 98 of 100 calls, with the options that a deployment sets where none is declared."""
    declared = [*world.channels(has_spare=True), "--data", 'gateway_options={"SystemName": "named"}']
    run = world.gateway.deploy(*declared)
    assert run.code == 0, run.output[-4000:]
    with shown("fault", f"a model's first channel fails or is gone, {CALLS} calls each") as it:
        served = []
        with ThreadPoolExecutor(4) as pool:
            for harm in (world.upstream.which("fails"), world.upstream.gone()):
                with harm:
                    statuses = [status for status, _ in pool.map(lambda _: world.ask(MODEL, 60), range(CALLS))]
                served.append(statuses.count(200))
        assert min(served) >= LEAST_SERVED, served
        it.happened(f"the spare serves {served[0]} where it answers 500, {served[1]} where its port is closed")
    fixed = world.gateway.deploy(*world.channels(), "--data", "gateway_prune=True")
    assert fixed.code == 0, fixed.output[-4000:]


def test_without_dns_channels_by_address_go_on(world: World, shown: Shown) -> None:
    gateway = world.gateway
    gateway.ssh("cat /etc/resolv.conf > /srv/resolv.conf")
    named = world.channels("http://provider.example.com")
    with shown("fault", "the host's DNS server does not answer") as it:
        # From TEST-NET-1, where nobody is. Written over, for Docker has mounted it in a lab host.
        gateway.ssh(f"echo 'nameserver 192.0.2.53' > /etc/resolv.conf && systemctl restart {UNIT}")
        try:
            gateway.await_completion()
            it.took(world.others_are_served())
            run = gateway.deploy(*named, "--data", "verification_timeout=20")
            assert run.code == 1, run.output[-4000:]
            assert "lookup provider.example.com" in run.output, run.output[-4000:]
            world.others_are_served()
        finally:
            gateway.ssh(f"cat /srv/resolv.conf > /etc/resolv.conf && systemctl restart {UNIT}")
            fixed = gateway.deploy(*world.channels())
        assert fixed.code == 0, fixed.output[-4000:]
        it.happened("models by address go on, after a restart too; deploy.py says that a name is not found")
