"""An agent is proven from its own host, before it is pointed at a gateway and after; else it keeps what it worked with.

What the hosts see of each cut-off is the table of docs/agent-paths.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from lab import networks
from tests.lab.asking_agent import ENVIRONMENT, AskingAgent, ask, is_completion
from tests.lab.conftest import Lab, Run
from tests.lab.faults import await_that, kill_at
from tests.lab.odd_upstream import OddUpstream, odd_upstream
from tests.lab.outages import Gateway
from tests.lab.seen_status import status

GATEWAY, AGENT = "gwap", "agentap"
READ = "/home/openclaw/read-at-start"
_UNIT = "/etc/systemd/system/openclaw-gateway.service.d"
# As OpenClaw does: what its process has is what stood in .env when it was started.
_READS = f"[Service]\nExecStartPre=/bin/sh -c 'cp {ENVIRONMENT} {READ}.new && mv {READ}.new {READ}'\n"
_REFUSES = f"[Service]\nExecStartPre=/bin/sh -c '! grep -q LLM_BASE_URL=http://100 {ENVIRONMENT}'\n"
_SEEN = (
    f"stat -c '%n %a %U %y %i' {ENVIRONMENT}; sha256sum < {ENVIRONMENT}; ls -A /home/openclaw/.openclaw"
    f" /home/openclaw/.openclaw/workspace {_UNIT}; systemctl is-active openclaw-gateway || true"
)
_SHIELD = """
table ip cut {
    chain peers {
        type filter hook prerouting priority -350;
        iifname tailscale0 drop
    }
}
"""
_PID = "systemctl show -p MainPID --value openclaw-gateway"


@dataclass(frozen=True)
class World:
    """A gateway to come, and an agent that works directly with its provider."""

    lab: Lab
    gateway: Gateway
    odd: OddUpstream

    def deploy(self, base_url: str | None = None, key: str | None = None) -> Run:
        """Deploy both, with another provider or another key of it on request."""
        upstream = self.lab.state["upstream"]
        channel = {
            "name": "lab-upstream",
            "type": 1,
            "base_url": base_url or upstream["base_url"],
            "key": "LAB_UPSTREAM_API_KEY",
            "models": list(dict.fromkeys([upstream["chat_model"], upstream["embedding_model"]])),
        }
        return self.lab.pyinfra(
            *("-y", "--data", f"gateway_channels={json.dumps([channel])}", "--data", "verification_timeout=20"),
            *(str(self.gateway.inventory), "deploy.py"),
            environment={"LAB_UPSTREAM_API_KEY": key} if key else None,
        )

    def seen(self) -> str:
        """What of the agent must stay as it is."""
        return self.lab.ssh(AGENT, _SEEN)

    @property
    def closed_url(self) -> str:
        """A provider that nobody listens at."""
        return f"http://{networks.address(self.lab.state['lan_subnet'], networks.NEIGHBOUR)}:9"


@pytest.fixture(scope="module")
def world(deployed: Lab) -> Iterator[World]:
    """Both hosts before their first deployment."""
    with deployed.more_hosts(f"{GATEWAY}:ready", f"{AGENT}:agent"), odd_upstream(deployed) as odd:
        upstream = deployed.state["upstream"]
        lines = {
            "LLM_BASE_URL": f"{upstream['base_url']}/v1",
            "LLM_API_KEY": upstream["api_key"],
            "LLM_MODEL_ID": upstream["chat_model"],
        }
        text = "# OpenClaw on this host\n" + "".join(f"{name}={value}\n" for name, value in lines.items())
        deployed.ssh(AGENT, f"cat > {ENVIRONMENT}", text)
        deployed.ssh(AGENT, f"mkdir -p {_UNIT} && cat > {_UNIT}/50-reads.conf", _READS)
        deployed.ssh(AGENT, "systemctl daemon-reload && systemctl restart openclaw-gateway")
        yield World(deployed, Gateway(deployed, GATEWAY, (AGENT,)), odd)


@contextmanager
def _shielded(lab: Lab) -> Iterator[None]:
    """Like `tailscale set --shields-up`: what peers begin is dropped; the host itself and SSH go on."""
    lab.ssh(GATEWAY, "nft -f -", _SHIELD)
    try:
        yield
    finally:
        lab.ssh(GATEWAY, "nft delete table ip cut")


@contextmanager
def _without_tailscale(lab: Lab) -> Iterator[None]:
    lab.ssh(AGENT, "systemctl stop tailscaled")
    try:
        yield
    finally:
        lab.ssh(AGENT, "systemctl start tailscaled")
        await_that(lambda: lab.ssh(AGENT, "tailscale ip -4 || true") == lab.address(AGENT), "the agent's address")


@contextmanager
def _on_another_interface(lab: Lab) -> Iterator[None]:
    """As with `tailscaled --tun=ts0`: the address is there, and what comes does not come by tailscale0."""
    route = f"ip route replace {lab.state['tailnet_subnet']} src {lab.address(GATEWAY)} dev"
    lab.ssh(GATEWAY, f"ip link set tailscale0 down && ip link set tailscale0 name ts0 up && {route} ts0")
    try:
        yield
    finally:
        lab.ssh(GATEWAY, f"ip link set ts0 down && ip link set ts0 name tailscale0 up && {route} tailscale0")


@contextmanager
def _edited_by_hand(lab: Lab) -> Iterator[None]:
    lab.ssh(AGENT, f"cp -p {ENVIRONMENT} /root/env && sed -i s/^LLM_API_KEY=.*/LLM_API_KEY=my-own/ {ENVIRONMENT}")
    try:
        yield
    finally:
        lab.ssh(AGENT, f"mv /root/env {ENVIRONMENT}")


def test_an_agent_is_not_touched_before_its_new_way_is_proven(world: World) -> None:
    """Each of these once pointed it at the gateway, and restarted it, before the run failed."""
    before, process = world.seen(), world.lab.ssh(AGENT, _PID)
    with AskingAgent(world.lab, AGENT, file=READ) as agent:

        def is_left_alone(run: Run, *words: str) -> None:
            run.must_fail_with(*words)
            assert "OpenClaw was not pointed at gwap" in run.output
            assert (world.seen(), world.lab.ssh(AGENT, _PID)) == (before, process), run.output[-3000:]

        is_left_alone(world.deploy(key="wrong-key-of-the-test"), "refuses the provider's key")
        is_left_alone(world.deploy(world.closed_url), "cannot reach the upstream")
        with world.odd.which("babbles"):
            is_left_alone(world.deploy(world.odd.base_url), "verification failed")
        with _shielded(world.lab):
            is_left_alone(world.deploy(), "agentap gets no connection to its gateway gwap", "tailscale ping")
    print(f"completions meanwhile: {len(agent.answers)}, failed: {len(agent.failures)}")
    assert len(agent.answers) > 20
    assert agent.failures == []


def test_an_agent_gets_back_what_it_had_where_it_fails_afterwards(world: World) -> None:
    before = world.seen()
    with AskingAgent(world.lab, AGENT, file=READ) as agent:
        world.lab.ssh(AGENT, f"cat > {_UNIT}/40-refuses.conf && systemctl daemon-reload", _REFUSES)
        refused = world.deploy()
        world.lab.ssh(AGENT, f"rm {_UNIT}/40-refuses.conf && systemctl daemon-reload")
        refused.must_fail_with("OpenClaw was not pointed at gwap", "OpenClaw has its former .env again")
        assert world.seen() == before
        # The host does it by itself where the run is gone.
        kill_at("openclaw: asking again", str(world.gateway.inventory), "deploy.py")
        await_that(lambda: world.seen() == before, "the former .env is back", 30)
    assert len(agent.answers) > 5
    assert agent.failures == []


def test_what_is_cut_off_is_seen_from_the_agent_alone(world: World) -> None:
    with AskingAgent(world.lab, AGENT, file=READ) as agent:
        run = world.deploy()
    assert run.code == 0, run.output[-4000:]
    assert agent.failures == []
    assert is_completion(ask(world.lab, AGENT))
    assert "this machine reaches gwap by the tailnet, too" in run.output
    files = world.lab.ssh(AGENT, f"ls -A /home/openclaw/.openclaw {_UNIT}")
    assert "llmgw-kept" not in files
    _is_well(world)

    with _without_tailscale(world.lab):
        _is_cut_off(
            world,
            "on agentap, tailscaled does not run on this host: `systemctl start tailscaled`",
            sees_it_from_here=True,
        )
    with _shielded(world.lab):
        _is_cut_off(world, f"({world.lab.address(AGENT)}): `tailscale ping {world.gateway.address}`")
    with _on_another_interface(world.lab):
        _is_cut_off(world, "though its own Tailscale runs")
    with _edited_by_hand(world.lab):
        _is_cut_off(world, "LLM_API_KEY in /home/openclaw/.openclaw/.env is not the token", sees_it_from_here=True)
    _is_well(world)


def _is_well(world: World) -> None:
    run = status(str(world.gateway.inventory), "--check")
    assert run.code == 0, run.output
    row = next(line for line in run.stdout.splitlines() if line.startswith(AGENT))
    assert "yes, " in row and " ms" in row
    assert world.gateway.verify().code == 0


def _is_cut_off(world: World, words: str, *, sees_it_from_here: bool = False) -> None:
    """What verify.py and the status say while the agent is cut off: the gateway answers itself all the time."""
    run = world.gateway.verify()
    run.must_fail_with(f"[{AGENT}] verification failed", words)
    assert f"[{GATEWAY}]" in run.output and f"verified on http://{world.gateway.address}" in run.output, run.output
    here = "this machine reaches gwap" if sees_it_from_here else "this machine does not reach gwap"
    assert here in run.output, run.output[-3000:]
    shown = status(str(world.gateway.inventory), "--check")
    assert shown.code == 3, shown.output
    assert f"{AGENT}: OpenClaw does not reach its gateway: " in shown.output, shown.output
    assert words.partition(" (")[0] in shown.output, shown.output
