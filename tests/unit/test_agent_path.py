"""What an OpenClaw host says of its own path to its gateway: the script as the host gets it, against a real server."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from llm_gateway.hosts import remote
from llm_gateway.hosts.topology import Agent, Run
from llm_gateway.model.asking import Answer, VerificationError
from llm_gateway.proof import agent_environment, agent_path
from llm_gateway.proof.agent_environment import AgentEnvironment
from llm_gateway.status import attention, host_status, shapes
from tests.unit import ways
from tests.unit.fake_hosts import FRESH, OPENCLAW
from tests.unit.topology import make_agent, make_node

KEY = "agent-key".ljust(48, "0")
ELSEWHERE = "0x7f000002"
"""A name that is resolved to 127.0.0.2, without a DNS."""


@contextmanager
def gateway(status: int, message: str | None = None) -> Iterator[int]:
    """A server on all addresses that answers the list of models with this status where the key is right.

    Parameters: `message`, that of an error of One API's. Gives its port.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_right = self.headers["Authorization"] == f"Bearer sk-{KEY}" and self.path == "/v1/models"
            self.send_response(status if is_right else 418)
            self.end_headers()
            if message is not None:
                error = {"message": message, "type": "one_api_error"}
                self.wfile.write(json.dumps({"error": error}, ensure_ascii=False).encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@contextmanager
def silent() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@contextmanager
def closed() -> Iterator[int]:
    """A port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    yield port


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Let this machine be the OpenClaw host, with a Tailscale that is logged out; the commands that it gets."""
    seen: list[str] = []
    tailscale = tmp_path / "tailscale"
    tailscale.write_text('#!/bin/sh\nprintf \'{\\n "Version": "1.102.5",\\n  "BackendState": "NeedsLogin"}\'\n')
    tailscale.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}

    def run(host: object, command: str, stdin: str | None = None) -> list[str]:
        seen.append(command)
        done = subprocess.run(["sh", "-c", command], input=stdin, env=environment, capture_output=True, text=True)
        assert not done.returncode, done.stderr
        return done.stdout.splitlines()

    monkeypatch.setattr(remote, "run", run)
    monkeypatch.setattr(agent_path, "LOOK_SECONDS", 1)
    return seen


def agent(port: int, name: str = "127.0.0.1", text: str | None = None) -> Agent:
    """An OpenClaw host whose gateway this run does not reach, so that its .env alone says where that is."""
    run = Run()
    there = make_node({}, run=run, gateway_port=port)
    there.gateway.token_keys["agent1"] = KEY
    written = ways.environment(KEY, f"http://{name}:{port}/v1") if text is None else text
    values = {**FRESH, **OPENCLAW, "openclaw_env": written}
    return make_agent(values, name="agent1", run=run)


@pytest.mark.parametrize(
    ("server", "short", "words"),
    [
        (gateway(200), "", ""),
        (gateway(401), "HTTP 401", "gw1 refuses the token of agent1 (401)"),
        (gateway(401, "无效的令牌"), "HTTP 401", "gw1 refuses the token of agent1 (401)"),
        (
            gateway(401, f"令牌验证失败 {'(request id: 1)' * 200}"),
            "database",
            "gw1 could not read its database (HTTP 401: the gateway cannot read its database: 令牌验证失败",
        ),
        (gateway(502), "HTTP 502", "gw1 answers 502 on 127.0.0.1:"),
        (
            closed(),
            "Connection refused",
            "(Connection refused): on agent1, this host is logged out of",
        ),
        (silent(), "no answer", "(no answer within 1 s): on agent1, this host is logged out of Tailscale"),
    ],
    ids=["well", "refused", "refused with a body", "database", "broken", "closed", "silent"],
)
def test_a_look_from_the_host(commands: list[str], server: Iterator[int], short: str, words: str) -> None:
    with server as port:  # type: ignore[attr-defined]
        (found,) = agent_path.look(agent(port))
    assert (found.seconds is None) == bool(words)
    assert found.short == short
    assert words in found.problem
    assert KEY not in "".join(commands)
    assert found.seconds is None or 0 < found.seconds < 1


def test_the_database_of_a_gateway_that_is_not_in_the_run_is_not_looked_at(commands: list[str]) -> None:
    with gateway(401, "令牌验证失败") as port:
        made = agent(port)
        del made.gateway.node.machine.state
        (found,) = agent_path.look(made)
    assert found.problem.endswith("no token is wrong: run this again with gw1 in it, which looks at the database")
    assert len(commands) == 1


def test_a_name_is_resolved_by_the_host(commands: list[str]) -> None:
    with gateway(200) as port:
        assert agent_path.look(agent(port, "localhost"))[0].seconds is not None
    (found,) = agent_path.look(agent(port, "no-such-host.invalid"))
    assert "known" in found.short or "resolution" in found.short, found


def test_what_stands_in_the_file_is_judged_before_anybody_is_asked(commands: list[str]) -> None:
    (found,) = agent_path.look(agent(3000, text="OTHER=1\n"))
    assert (found.seconds, found.short) == (None, "its .env")
    assert "has no LLM_BASE_URL, LLM_API_KEY" in found.problem
    assert commands == []


@pytest.mark.parametrize("url", ["'http://[1/v1'", "http://gw:port/v1", "no-url"])
def test_a_url_that_cannot_be_asked(commands: list[str], url: str) -> None:
    (found,) = agent_path.look(agent(3000, text=ways.environment(KEY, url)))
    assert (found.seconds, found.short) == (None, "its .env"), found
    assert commands == []


def test_a_host_that_does_not_reach_its_gateway_needs_a_person(commands: list[str]) -> None:
    with closed() as port:
        made = agent(port)
        status = shapes.HostStatus("agent1", ("openclaw",), "up", openclaw=host_status._openclaw(made))
    (told,) = attention.of(made.machine, status)
    assert told.startswith("OpenClaw does not reach its gateway: agent1 gets no connection to its gateway gw1")


def test_a_gateway_whose_tailscale_never_came_is_named_by_what_its_agent_asks(commands: list[str]) -> None:
    made = agent(3000, "100.64.0.7")
    assert made.gateway.node.state.tailscale_addresses == []
    (found,) = agent_environment.parse(made.state.answers["openclaw_env"], "").of(made.nodes)
    told = agent_path._why(made, found, {"tailnet": "100.64.0.2", "backend": "Running"})
    assert "though its own Tailscale runs (100.64.0.2): `tailscale ping 100.64.0.7` there" in told


def _environments(run: Run, port: int, **texts: str) -> None:
    for name, text in texts.items():
        values = {**FRESH, **OPENCLAW, "openclaw_env": text.replace(":3000", f":{port}")}
        make_agent(values, name=name, run=run)


def test_only_those_whom_a_gateway_serves_now_are_its_to_lose(commands: list[str]) -> None:
    run = Run()
    there = make_node({}, run=run)
    with gateway(200) as port:
        _environments(
            run,
            port,
            well=ways.environment(KEY, "http://127.0.0.1:3000/v1"),
            by_hand=f"LLM_API_KEY=sk-{KEY}\nLLM_BASE_URL=http://127.0.0.1:3000/v1\n",
            named=ways.environment(KEY, "http://localhost:3000/v1"),
            named_elsewhere=ways.environment(KEY, f"http://{ELSEWHERE}:3000/v1"),
            unknown=ways.environment(KEY, "http://no-such-host.invalid:3000/v1"),
            refused=ways.environment("another", "http://127.0.0.1:3000/v1"),
            elsewhere=ways.environment(KEY, "http://127.0.0.2:3000/v1"),
            provider=ways.environment(KEY, "https://provider.example/v1"),
            fresh="OTHER=1\n",
        )
        found = agent_path.served_by(there.gateway, "127.0.0.1", port)
    assert [agent.name for agent in found] == ["well", "by_hand", "named"]


@pytest.mark.parametrize(("message", "is_served"), [("令牌验证失败", True), ("无效的令牌", False)])
def test_who_is_served_while_the_database_cannot_be_read(commands: list[str], message: str, is_served: bool) -> None:
    run = Run()
    there = make_node({}, run=run)
    with gateway(401, message) as port:
        _environments(run, port, agent1=ways.environment(KEY, "http://127.0.0.1:3000/v1"))
        assert bool(agent_path.served_by(there.gateway, "127.0.0.1", port)) is is_served


def test_all_who_would_not_be_served_any_more_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def prove(agent: Agent, environment: AgentEnvironment) -> list[Answer]:
        if agent.name == "agent2":
            raise VerificationError("agent2 gets no connection")
        return []

    monkeypatch.setattr(agent_path, "prove", prove)
    run = Run()
    there = make_node(run=run)
    _environments(run, 3000, agent1="", agent2="", agent3="")
    agents = [run.agents[f"agent{number}"] for number in (1, 2, 3)]
    there.gateway.token_keys |= {"agent1": KEY, "agent2": KEY}
    agent_path.prove_all(there.gateway, agents[:1])
    assert [agent.proven for agent in agents] == [{(f"{there.base_url}/v1", KEY)}, set(), set()]
    with pytest.raises(VerificationError) as refused:
        agent_path.prove_all(there.gateway, agents)
    told = "agent2, which is served now, would not be any more: agent2 gets no connection; agent3 has no token there"
    assert str(refused.value) == told
