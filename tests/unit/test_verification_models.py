"""Every declared model is asked, on each of its channels, and all that fail are told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from llm_gateway.contents.desired import VERIFICATION_TOKEN
from llm_gateway.hosts import remote
from llm_gateway.hosts.topology import Node, Role, Run
from llm_gateway.model.asking import Answer
from llm_gateway.tasks import verification
from tests.unit import ways
from tests.unit.fake_hosts import FRESH, OPENCLAW
from tests.unit.topology import make_agent, make_machine, make_node

KEY = "relay-key-of-tests".ljust(48, "0")
Reply = Callable[[dict[str, Any]], httpx.Response]
CHANNELS = [
    {"name": "one", "base_url": "https://one.example", "key": "DASHSCOPE_API_KEY", "models": ["chat-a", "both"]},
    {"name": "two", "base_url": "https://two.example", "key": "MINIMAX_API_KEY", "models": ["both", "text-embed-b"]},
    {"name": "three", "base_url": "https://three.example", "key": "MINIMAX_API_KEY", "models": ["chat-c", "rerank-d"]},
]
MODELS = {"gateway_channels": CHANNELS, "llm_model": "chat-a", "embedding_model": "text-embed-b"}
ENVIRONMENT = {"openclaw_env": ways.environment(KEY, llm_model="chat-a")}
MUST_NOT_THINK = "parameter.enable_thinking must be set to false for non-streaming calls"


class Relay:
    """A gateway whose models answer well, but for those that `replies` answers for."""

    def __init__(self) -> None:
        self.replies: dict[str, Reply] = {}
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        """Path, token and body of each question."""
        self.rows = [self._row(7, "one"), self._row(8, "two"), self._row(9, "three")]

    @staticmethod
    def _row(number: int, name: str) -> dict[str, Any]:
        return {"id": number, "name": name, "type": 1, "status": 1, "models": "m", "group": "default", "key": ""}

    def answer(self, request: httpx.Request) -> httpx.Response:
        """The answer to one request."""
        if request.url.path.startswith("/api/channel/"):
            return httpx.Response(200, json={"success": True, "message": "", "data": self.rows})
        body = json.loads(request.content)
        token = request.headers["Authorization"].removeprefix("Bearer sk-")
        self.asked.append((request.url.path, token, body))
        if body["model"] in self.replies:
            return self.replies[body["model"]]({**body, "token": token})
        return embedded() if request.url.path.endswith("embeddings") else completed()

    def questions(self) -> list[tuple[str, str]]:
        """The model of each question and what its token has after the key, in alphabetical order."""
        return sorted((body["model"], token.removeprefix(KEY)) for _, token, body in self.asked)


def completed() -> httpx.Response:
    return httpx.Response(200, json={"choices": [{"message": {"content": "B"}, "finish_reason": "length"}]})


def embedded() -> httpx.Response:
    return httpx.Response(200, json={"data": [{"index": 0, "embedding": [0.5] * 1024}]})


def refused(status: int, message: str, kind: str = "invalid_request_error") -> httpx.Response:
    return httpx.Response(status, json={"error": {"message": message, "type": kind, "code": "x"}})


@pytest.fixture
def relay(monkeypatch: pytest.MonkeyPatch) -> Relay:
    """The gateway that all ways lead to."""
    made = Relay()

    @contextmanager
    def to_here(*where: object) -> Iterator[httpx.BaseTransport]:
        yield httpx.MockTransport(made.answer)

    ways.lead_to(monkeypatch, to_here)
    return made


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines that the person at the terminal reads."""
    lines: list[str] = []
    monkeypatch.setattr(remote, "tell", lambda host, text, *_: lines.extend(text.splitlines()))
    monkeypatch.setattr(remote, "complain", lambda host, text: lines.extend(text.splitlines()))
    return lines


def gateway(**chosen: Any) -> Node:
    """A gateway with three channels, whose tokens are known."""
    made = make_node(**{**MODELS, **chosen})
    made.gateway.token_keys = {VERIFICATION_TOKEN: KEY}
    return made


def verify(made: Role, models: str = "all") -> bool:
    """Whether a verification succeeds."""
    commands = verification._verify._inner(made.machine, models)  # type: ignore[attr-defined]
    return all(command.function(None, made.host) for command in commands)


def row(told: list[str], *starts: str) -> str:
    """The line of a table that begins with these words."""
    (found,) = [line for line in told if line.split()[: len(starts)] == list(starts)]
    return found


def test_every_model_is_asked_on_each_of_its_channels(relay: Relay, told: list[str]) -> None:
    assert verify(gateway()), told
    assert relay.questions() == [("both", "-7"), ("both", "-8"), ("chat-a", ""), ("chat-c", ""), ("text-embed-b", "")]
    assert [line.split()[:2] for line in told[1:-1]] == [
        ["model", "channel"],
        ["chat-a", "one"],
        ["text-embed-b", "two"],
        ["both", "one"],
        ["both", "two"],
        ["chat-c", "three"],
        ["rerank-d", "three"],
    ]
    assert row(told, "chat-c").endswith("completed")
    assert row(told, "text-embed-b").endswith("embedded (1024 dimensions)")
    assert row(told, "rerank-d").endswith("not asked: neither chat nor embedding (else: verification_model_kinds)")
    assert told[0] == "asking 3 more questions, 8 at once, 180 s at most ..."
    assert told[-1].startswith("verified on http://100.64.0.10:3000: chat-a completed in ")


def test_nothing_optional_is_sent_to_any_model(relay: Relay, told: list[str]) -> None:
    verify(gateway())
    chats = [set(body) for path, _, body in relay.asked if path.endswith("completions")]
    assert chats == [{"model", "messages"}] * 4


@pytest.mark.parametrize("scope", ["changed", "none"])
def test_where_nothing_has_changed_there_are_two_questions_and_no_more(
    relay: Relay, told: list[str], scope: str
) -> None:
    assert verify(gateway(), scope)
    assert relay.questions() == [("chat-a", ""), ("text-embed-b", "")]
    assert len(told) == 1


def test_the_models_of_a_changed_channel_are_asked_there(relay: Relay, told: list[str]) -> None:
    made = gateway()
    made.gateway.changed_channels.add("two")
    assert verify(made, "changed")
    assert relay.questions() == [("both", "-8"), ("chat-a", ""), ("text-embed-b", "")]


def test_the_setting_wins_over_what_the_deploy_file_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = []
    monkeypatch.setattr(verification, "_verify", lambda **given: wanted.append(given["models"]))
    verification.verify(gateway().machine)
    verification.verify(gateway().machine, "all")
    verification.verify(gateway(verification_models="none").machine, "all")
    assert wanted == ["changed", "all", "none"]


def test_all_that_fail_are_told_with_the_fix(relay: Relay, told: list[str]) -> None:
    relay.replies["chat-a"] = lambda asked: refused(401, "Incorrect API key")
    relay.replies["chat-c"] = lambda asked: refused(503, "无可用渠道", "one_api_error")
    relay.replies["both"] = lambda asked: refused(400, "no") if asked["token"].endswith("-8") else completed()
    assert not verify(gateway())
    assert row(told, "chat-a").endswith("FAILED (HTTP 401)")
    assert row(told, "chat-c").endswith("FAILED (HTTP 503)")
    assert row(told, "both", "one").endswith("completed")
    assert row(told, "both", "two").endswith("FAILED (HTTP 400)")
    start = told.index("verification failed: 3 problems")
    first, second, third = told[start + 1 :]
    assert first.startswith("  - the upstream of chat-a refuses the provider's key (401: ")
    assert "hand in the right one (DASHSCOPE_API_KEY)" in first
    assert second.startswith("  - channel two: both: the upstream or the gateway answered 400: ")
    assert second.endswith('say so: verification_model_kinds = {"both": "embedding"}, or "none"')
    assert third.startswith("  - no channel serves chat-c: deploy, which declares it, or enable the channel")
    assert KEY not in "".join(told)


def test_what_breaks_all_models_alike_is_told_once(relay: Relay, told: list[str]) -> None:
    numbers = iter(range(100))

    def refuse(asked: dict[str, Any]) -> httpx.Response:
        return refused(401, f"无效的令牌 (request id: 2026{next(numbers)})", "one_api_error")

    relay.replies = dict.fromkeys(["chat-a", "text-embed-b", "both", "chat-c"], refuse)
    assert not verify(gateway())
    assert told[-1].startswith("verification failed: One API refuses the token of gw1")
    assert sum("FAILED (HTTP 401)" in line for line in told) == 5


def test_a_channel_that_somebody_has_disabled_is_told(relay: Relay, told: list[str]) -> None:
    relay.replies["both"] = lambda asked: (
        refused(403, "该渠道已被禁用", "one_api_error") if asked["token"].endswith("-7") else completed()
    )
    assert not verify(gateway())
    assert told[-1].startswith("verification failed: channel one cannot be asked for both: ")
    assert told[-1].endswith("enable it in the admin page, or declare it disabled")


def test_a_channel_that_is_not_there_is_told(relay: Relay, told: list[str]) -> None:
    del relay.rows[0]
    assert not verify(gateway())
    assert told[-1] == ("verification failed: the gateway has no channel one: deploy (pyinfra inventory.py deploy.py)")
    assert row(told, "both", "two").endswith("completed")


def test_channels_of_one_name_are_told(relay: Relay, told: list[str]) -> None:
    relay.rows.append({**relay.rows[0], "id": 10})
    assert not verify(gateway())
    (text,) = told
    assert text.startswith("verification failed: the gateway's channels cannot be read: ")


@pytest.mark.parametrize("model", ["chat-a", "chat-c"], ids=["proof", "channel"])
@pytest.mark.parametrize("field", ["enable_thinking", "stream"])
def test_a_model_that_wants_to_be_asked_otherwise_is(relay: Relay, told: list[str], field: str, model: str) -> None:
    events = 'data: {"choices":[{"delta":{"content":"B"},"finish_reason":"length"}]}\n\ndata: [DONE]\n\n'
    streamed = httpx.Response(200, text=events, headers={"Content-Type": "text/event-stream"})
    relay.replies[model] = lambda asked: (
        refused(400, MUST_NOT_THINK) if field not in asked else streamed if asked.get("stream") else completed()
    )
    assert verify(gateway()), told
    assert row(told, model).endswith("completed")


def test_what_is_no_refusal_of_a_parameter_is_not_asked_again(relay: Relay, told: list[str]) -> None:
    relay.replies["chat-c"] = lambda asked: refused(400, "no such model")
    assert not verify(gateway())
    assert [model for model, _ in relay.questions()].count("chat-c") == 1


def test_the_channel_of_a_proof_is_what_one_api_chooses_among(relay: Relay, told: list[str]) -> None:
    assert verify(gateway(llm_model="both"))
    assert row(told, "both", "one", "or").split()[:4] == ["both", "one", "or", "two"]
    told.clear()
    channels = [CHANNELS[0], {**CHANNELS[1], "priority": 1}, CHANNELS[2]]
    assert verify(gateway(llm_model="both", gateway_channels=channels))
    assert [line.split()[1] for line in told if line.startswith("both ")] == ["two", "one", "two"]


def test_a_disabled_channel_is_not_asked_and_the_other_answers_for_it(relay: Relay, told: list[str]) -> None:
    channels = [{**CHANNELS[0], "status": "disabled"}, *CHANNELS[1:]]
    assert verify(gateway(gateway_channels=channels, llm_model="both")), told
    assert relay.questions() == [("both", ""), ("chat-c", ""), ("text-embed-b", "")]
    assert row(told, "chat-a").endswith("not asked: the channel is declared disabled")


def test_a_host_without_a_gateway_asks_for_its_own_two_models_alone(relay: Relay, told: list[str]) -> None:
    run = Run()
    made = gateway(run=run)
    agent = make_agent({**FRESH, **OPENCLAW, **ENVIRONMENT}, name="agent1", run=run, **MODELS)
    made.gateway.token_keys["agent1"] = KEY
    assert verify(agent)
    assert relay.questions() == [("chat-a", ""), ("text-embedding-v4", "")], "those that its .env names"


def test_a_gateway_whose_openclaw_uses_another_is_asked_for_all(relay: Relay, told: list[str]) -> None:
    """What its OpenClaw is answered by the other gateway says nothing of this one's models."""
    run = Run()
    used = gateway(run=run)
    used.gateway.token_keys["gw2"] = KEY
    of_another = {**MODELS, "openclaw_gateway": "gw1"}
    made = make_machine(
        {**FRESH, **OPENCLAW, **ENVIRONMENT}, name="gw2", roles="gateway openclaw", run=run, **of_another
    )
    made.node.gateway.token_keys[VERIFICATION_TOKEN] = "other".ljust(48, "0")
    assert verify(made.node), told
    asked = [body["model"] for _, token, body in relay.asked if token.startswith("other")]
    assert sorted(asked) == ["both", "both", "chat-a", "chat-c", "text-embed-b"]
    of_openclaw = [body["model"] for _, token, body in relay.asked if token == KEY]
    assert sorted(of_openclaw) == ["chat-a", "text-embedding-v4"]
    assert len([line for line in told if line.startswith("chat-a")]) == 1


def test_answers_come_in_the_order_of_the_table() -> None:
    made = gateway()
    proofs = [Answer("p", "one", 1.0, "completed"), Answer("q", "two", 1.0, "embedded")]
    served = verification.served_models(made.gateway, "all")
    others = [Answer(model, "x", 1.0, "") for model in ("1", "2", "3")]
    rows = verification._rows(made.gateway, verification._Asked(proofs, [], others), served)
    assert [each.model for each in rows] == ["p", "q", "1", "2", "3", "rerank-d"]
