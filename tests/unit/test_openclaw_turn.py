"""A turn of OpenClaw's agent: what is asked, what is believed, and what each of its refusals means."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from llm_gateway.flavours import LogRow
from llm_gateway.hosts import remote
from llm_gateway.proof import openclaw_turn
from llm_gateway.proof.openclaw_turn import TurnError
from tests.unit.test_openclaw_config import agent, configured

KEY = "agent:main:dashboard:incognito-aa8b544e"
# As 2026.9.6 says it; each was seen, with One API's or the upstream's answer behind it.
SAID = {
    "no provider": "No route-compatible authentication source is configured for openai.",
    "401": "⚠️ default_llm/plain request failed (authentication failed, HTTP 401). Re-authenticate the provider and"
    " try again.",
    "cooldown": 'Inline API key for provider "default_llm" is temporarily disabled after a provider auth/billing'
    " failure. Retry after about 1 minute, or switch to a different auth profile/API key.",
    "403": "⚠️ p/plain request failed (authentication failed, HTTP 403). Re-authenticate the provider and try again.",
    "503": "⚠️ p/plain request failed (provider internal error, HTTP 503). This is usually temporary — try again"
    " shortly.",
    "unreachable": "LLM request failed: connection refused by the provider endpoint.",
    "429": "gateway timeout after 150000ms\nGateway target: ws://127.0.0.1:18789\nSource: local loopback",
    "stopped": "Gateway not reachable at ws://127.0.0.1:18789 (ECONNREFUSED).",
    "unauthorized": "unauthorized: gateway token mismatch (use this gateway's gateway.auth.token or pair the device)",
    "no private session": "invalid sessions.create params: at root: unexpected property 'incognito'",
    "no such model": "The selected model was not found by the provider. Check the model id or choose a different"
    " model.",
}
OVERFLOW = {
    "status": "error",
    "result": {
        "payloads": [{"text": "Context overflow: prompt too large for the model. Try /reset (or /new)."}],
        "meta": {
            "error": {
                "kind": "context_overflow",
                "message": "400 request (7400 tokens) exceeds the available context size (2048 tokens)",
            }
        },
    },
}
ANSWERED = {
    "status": "ok",
    "result": {
        "payloads": [{"text": "yes", "mediaUrl": None}],
        "meta": {"stopReason": "stop", "agentMeta": {"provider": "default_llm", "model": "plain"}},
    },
}
ROWS = [LogRow(8, "agent1", "MiniMax-M2.5", 1, 7359, 3, 24)]


class Host:
    """An OpenClaw that answers, and a gateway with a log."""

    def __init__(self, turn: object, *, rows: list[LogRow] | None = None, options: dict[str, str] | None = None):
        self.turn, self.rows, self._options = turn, ROWS if rows is None else rows, options or {}
        self.resolved, self.memory = "default_llm", [{"agentId": "main", "embeddingProbe": {"ok": True}}]
        self.deleted: object = {"ok": True, "deleted": True}
        self.commands: list[str] = []

    def run(self, _: object, command: str) -> list[str]:
        self.commands.append(command)
        if "sessions.create" in command:
            return json.dumps({"ok": True, "key": KEY, "resolved": {"modelProvider": self.resolved}}).splitlines()
        if "sessions.delete" in command:
            return [json.dumps(self.deleted)]
        if "memory status" in command:
            return ["a line of another kind", *json.dumps(self.memory, indent=1).splitlines()]
        return json.dumps(self.turn, indent=1).splitlines()

    def options(self) -> dict[str, str]:
        return self._options

    def last_logged(self, token: str) -> int:
        return 7

    def log(self, token: str, after: int) -> list[LogRow]:
        assert (token, after) == ("agent1", 7)
        return self.rows


def take(host: Host, monkeypatch: pytest.MonkeyPatch, **chosen: Any) -> list[str]:
    """Take a turn there; what the person at the terminal reads."""
    told: list[str] = []

    @contextmanager
    def admin(_: object) -> Iterator[Host]:
        yield host

    monkeypatch.setattr(remote, "run", host.run)
    monkeypatch.setattr(remote, "tell", lambda _, text, *brief: told.extend(text.splitlines()))
    monkeypatch.setattr(openclaw_turn, "admin_api", admin)
    monkeypatch.setattr(openclaw_turn, "_LOG_SECONDS", 0)
    openclaw_turn.take(agent(configured(), **chosen))
    return told


def test_what_a_turn_and_an_embedding_cost_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(ANSWERED)
    told = take(host, monkeypatch)
    assert "which costs about 10,000 tokens" in told[0]
    assert "the agent main answered a turn in" in told[1]
    cost = "7,362 tokens (7,359 + 3) of MiniMax-M2.5, quota 24, by its log under the token agent1"
    assert told[1].endswith(f"by default_llm/plain, through gw1: {cost}")
    assert told[2] == f"its memory got an embedding: {cost}"
    created, asked, deleted, probed = host.commands
    assert all("OPENCLAW_GATEWAY_PORT=18789" in command for command in host.commands)
    assert '"incognito":true' in created and KEY in asked and KEY in deleted and "--agent main" in probed
    assert "--model" not in asked


def test_an_agent_with_a_model_of_its_own_is_asked_for_the_gateways(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(ANSWERED)
    host.resolved = "openai"
    take(host, monkeypatch, openclaw_memory_search=False)
    assert "--model default_llm/MiniMax-M2.5" in host.commands[1]
    assert len(host.commands) == 3


@pytest.mark.parametrize(
    ("host", "words"),
    [
        (Host(ANSWERED, rows=[]), "but not through the gateway: the log of gw1 has no request of the token agent1"),
        (Host(ANSWERED, options={"LogConsumeEnabled": "false"}), "the log of gw1 is off"),
        (Host(OVERFLOW), "the context of MiniMax-M2.5 is too small for its prompt"),
        (Host({"ok": False, "error": {"message": SAID["401"]}}), "the gateway refuses the key"),
        (Host({"status": "ok", "result": {"payloads": [], "meta": {"stopReason": "stop"}}}), "without a word"),
    ],
)
def test_a_turn_that_proves_nothing_is_none(host: Host, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TurnError) as problem:
        take(host, monkeypatch)
    assert words in str(problem.value)
    if "off" not in words:
        assert any("sessions.delete" in command for command in host.commands), "its session is not left behind"


def test_why_no_turn_came_is_told_and_not_that_its_session_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host({"ok": False, "error": {"message": SAID["401"]}})
    host.deleted = {"ok": False, "error": {"message": SAID["stopped"]}}
    with pytest.raises(TurnError, match="HTTP 401"):
        take(host, monkeypatch)


def test_a_memory_without_an_embedding_is_told_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(ANSWERED)
    host.memory[0]["embeddingProbe"] = {"ok": False, "error": "embeddings failed: HTTP 401"}
    with pytest.raises(TurnError, match="OpenClaw's memory gets no embedding: embeddings failed: HTTP 401"):
        take(host, monkeypatch)


def test_the_memory_of_a_plugin_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(ANSWERED)
    host.memory = []
    assert "its memory is not OpenClaw's own" in take(host, monkeypatch)[-1]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("no provider", "it has no provider for its model: run deploy.py"),
        ("401", "`systemctl restart openclaw-gateway.service` has it read .env again"),
        ("cooldown", "asks nothing for about a minute since: run it again in two minutes"),
        ("403", "its quota is used up, or it may not use MiniMax-M2.5"),
        ("503", "`docker logs openclaw-llm-gateway` on gw1"),
        ("unreachable", "no connection to http://100.64.0.10:3000, though this host does"),
        ("429", "no answer within 180 s"),
        ("stopped", "its own gateway does not answer on this host: `systemctl status openclaw-gateway.service`"),
        ("unauthorized", "set gateway.auth.token in openclaw.json"),
        ("no private session", 'update OpenClaw, or leave the turn out with openclaw_turn = "never"'),
        ("no such model", "the gateway has no MiniMax-M2.5"),
    ],
)
def test_what_openclaw_says_is_explained(said: str, words: str) -> None:
    told = openclaw_turn.explain(agent(), SAID[said])
    assert words in told
    assert " ".join(SAID[said].split()) in told


@pytest.mark.parametrize(
    ("changed", "chosen", "is_for_first"),
    [
        ({}, {}, True),
        ({}, {"openclaw_turn": "never"}, False),
        (configured(), {}, False),
        ({"openclaw_config_record": '{"kept": [{"path": ["a"], "before": 1, "depth": 0, "ours": 2}]}'}, {}, False),
    ],
)
def test_the_first_deployment_alone_takes_a_turn(
    changed: dict[str, str], chosen: dict[str, Any], is_for_first: bool
) -> None:
    assert openclaw_turn.is_for_first(agent(changed, **chosen)) == is_for_first


class Running(Host):
    """An OpenClaw that runs, whose memory is asked to embed a word."""

    def __init__(
        self, *probes: dict[str, Any], rows: list[LogRow] | None = None, options: dict[str, str] | None = None
    ):
        super().__init__({}, rows=rows, options=options)
        self.probes = list(probes)

    def run(self, _: object, command: str) -> list[str]:
        self.commands.append(command)
        return [] if command.startswith("sleep") else json.dumps(self.probes.pop(0)).splitlines()


@pytest.mark.parametrize(
    ("host", "words", "is_error"),
    [
        (
            Running({"embedding": {"ok": True}}),
            "its own request with the new key is in the gateway's log: 7,362 tok",
            False,
        ),
        (
            Running({"embedding": {"ok": True, "cached": True}}, {"embedding": {"ok": True}}),
            "its own request with the new key is in the gateway's log",
            False,
        ),
        (Running({"embedding": {"ok": True}}, rows=[]), "the log of gw1 has no request of the token agent1", True),
        (
            Running({"embedding": {"ok": True}}, options={"LogConsumeEnabled": "false"}),
            "by its own word it was answered with the new key",
            False,
        ),
        (
            Running({"embedding": {"ok": False, "error": "openai embeddings failed: HTTP 401"}}),
            "the gateway refuses the key that it was started with",
            True,
        ),
        (
            Running({"searchRuntimeRegistered": False, "embedding": {"ok": False, "error": "unavailable"}}),
            "it was not seen to use the new key, because its memory is not OpenClaw's own",
            False,
        ),
        (Running({"ok": False, "error": {"message": SAID["stopped"]}}), "its own gateway does not answer", True),
    ],
)
def test_the_running_openclaw_is_had_to_ask_with_its_own_key(
    host: Running, words: str, is_error: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its command asked by itself would prove another process."""

    @contextmanager
    def admin_api(gateway: object) -> Iterator[Running]:
        yield host

    monkeypatch.setattr(openclaw_turn, "admin_api", admin_api)
    monkeypatch.setattr(openclaw_turn, "_LOG_SECONDS", 0.0)
    monkeypatch.setattr(openclaw_turn, "step", lambda host, text: None)
    monkeypatch.setattr(remote, "run", host.run)
    if is_error:
        with pytest.raises(TurnError, match=words):
            openclaw_turn.embed(agent(configured()))
    else:
        assert words in openclaw_turn.embed(agent(configured()))
    assert "gateway call doctor.memory.status --params" in host.commands[0]


@pytest.mark.parametrize(
    ("changed", "chosen", "words"),
    [
        ({}, {}, None),
        ({"openclaw_command": ""}, {}, "names no OpenClaw"),
        ({}, {"openclaw_memory_search": False}, "its memory does not search by the gateway, and a turn would cost"),
        ({}, {"openclaw_provider": None}, "its memory does not search by the gateway"),
        ({"openclaw_unit": "LoadState=loaded\nActiveState=inactive\n"}, {}, "openclaw-gateway.service is stopped"),
    ],
)
def test_where_nothing_cheap_can_be_asked_for_that_is_said(
    changed: dict[str, str], chosen: dict[str, Any], words: str | None
) -> None:
    found = openclaw_turn.no_embedding(agent(changed, **chosen))
    assert (found is None) if words is None else (found is not None and words in found)
