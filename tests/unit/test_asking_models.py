"""The one way of asking a model, by Python and by bash, against upstreams as strict as the providers are."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from standin_kit import RELAY_KEY, Gateway

from lab.personalities import PERSONALITIES, Personalities
from llm_client import LLMClient, LLMError
from llm_gateway.model.asking import VerificationError
from llm_gateway.model.real_requests import NEEDS, complete, has_answered, question
from llm_gateway.parts.canary.scheduled_canary import script_files
from tests.unit.canary_kit import Canary
from tests.unit.local_host import TOOLS
from tests.unit.topology import make_node

pytest_plugins = ["standin_fixtures"]
KEY = "sk-lab-key-of-tests"
THINKING = {"enable_thinking": False}
STREAM = {"stream": True}
ANSWERS: dict[str, list[dict[str, Any]]] = {
    "plain": [{}],
    "minimax": [{}],
    "dashscope": [{}],
    "qwen-thinking": [{}, THINKING],
    "qwen-thinking-only": [{}, THINKING, STREAM],
    "modelscope-thinking": [{}, THINKING],
    "qwq": [{}, STREAM],
    "gpt-5": [{}],
    "gpt-5-cut": [{}],
    "kimi": [{}],
    "claude": [{}, {"max_tokens": 64}],
    "reasoner": [{}],
    "openrouter": [{}],
    "magistral": [{}],
}
"""What each model is sent besides the question, one time after the other, until it answers."""
FAILURES = {
    "empty": "empty text",
    "minimax-1002": "rate limit is reached",
    "minimax-1039": "rate limit is reached",
    "minimax-1004": "provider refuses the gateway's key",
    "minimax-2049": "provider refuses the gateway's key",
    "minimax-1008": "balance",
    "openrouter-401": "provider refuses the gateway's key",
    "openrouter-402": "balance",
    "openrouter-429": "rate limit is reached",
}


@pytest.fixture(scope="module")
def strict() -> Iterator[Personalities]:
    """All personalities."""
    with Personalities("127.0.0.1", 0, KEY) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def added(server: Personalities) -> list[dict[str, Any]]:
    """What each request had besides the question; none of them is told twice."""
    asked = [body for _, _, body in server.asked]
    server.asked.clear()
    return [{name: value for name, value in body.items() if name not in question("m")} for body in asked]


def test_there_is_a_row_for_each_personality() -> None:
    assert set(ANSWERS) | set(FAILURES) == set(PERSONALITIES)


@pytest.mark.parametrize("name", ANSWERS)
def test_a_model_is_asked_with_what_it_needs_and_no_more(strict: Personalities, name: str) -> None:
    strict.asked.clear()
    with LLMClient(f"{strict.base_url}/{name}/v1", KEY) as client:
        assert complete(client, "m", 10) == "completed"
    assert added(strict) == ANSWERS[name]


@pytest.mark.parametrize(("name", "told"), FAILURES.items())
def test_what_a_provider_refuses_is_named(strict: Personalities, name: str, told: str) -> None:
    with (
        LLMClient(f"{strict.base_url}/{name}/v1", KEY, retries=0) as client,
        pytest.raises((LLMError, VerificationError), match=told),
    ):
        complete(client, "m", 10)


@pytest.mark.parametrize(("name", "told"), [("minimax", "provider refuses the gateway's key"), ("kimi", "HTTP 401")])
def test_a_wrong_key_is_refused_as_the_provider_does(strict: Personalities, name: str, told: str) -> None:
    with (
        LLMClient(f"{strict.base_url}/{name}/v1", "sk-another", retries=0) as client,
        pytest.raises(LLMError, match=told),
    ):
        complete(client, "m", 10)


@pytest.mark.parametrize("mapping", ["", '{"m": "mapped"}'], ids=["plain", "mapped"])
@pytest.mark.parametrize("name", ANSWERS)
def test_it_is_so_through_a_gateway_too(
    strict: Personalities, start: Callable[..., Gateway], name: str, mapping: str
) -> None:
    """A mapped body is rebuilt, and loses enable_thinking: then the model streams."""
    gateway = start()
    gateway.add_channel(name, "m", f"{strict.base_url}/{name}", key=KEY, model_mapping=mapping)
    strict.asked.clear()
    with LLMClient(f"{gateway.url}/v1", f"sk-{RELAY_KEY}") as client:
        assert complete(client, "m", 10) == "completed"


def test_a_refusal_that_asks_for_nothing_known_is_the_last_word() -> None:
    assert times_asked("bad response from upstream: no such model") == 1


def test_a_model_that_always_wants_more_is_asked_once_for_each_need() -> None:
    assert times_asked("enable_thinking: stream: max_tokens: Field required") == 1 + len(NEEDS)


def times_asked(refusal: str) -> int:
    """How often a model is asked that says so to everything."""
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(400, json={"error": {"message": refusal}})

    client = LLMClient("http://gateway.example/v1", KEY, transport=httpx.MockTransport(answer))
    with client, pytest.raises(LLMError, match=refusal):
        complete(client, "m", 10)
    return len(asked)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"message": {"content": "Blue"}}, True),
        ({"message": {"content": " \n"}, "finish_reason": "stop"}, False),
        ({"message": {"content": None}, "finish_reason": "stop"}, False),
        ({"message": {"content": [{"type": "text", "text": "Blue"}]}}, True),
        ({"message": {"content": [{"type": "text", "text": ""}]}}, False),
        ({"message": {"content": "", "reasoning_content": "The sky"}, "finish_reason": "stop"}, True),
        ({"message": {"content": None, "reasoning": "The sky"}}, True),
        ({"message": {"reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]}}, True),
        ({"message": {"tool_calls": [{"type": "function", "function": {"name": "f", "arguments": "{}"}}]}}, True),
        ({"message": {"content": "", "tool_calls": []}, "finish_reason": "stop"}, False),
        ({"message": {"refusal": "I cannot"}}, True),
        ({"message": {"content": ""}, "finish_reason": "length"}, True),
        ({"message": None, "finish_reason": "stop"}, False),
    ],
)
def test_what_counts_as_an_answer(choice: dict[str, Any], expected: bool) -> None:
    assert has_answered(choice) is expected


# ------------------------------------------------------------------------------------------------------ the canary


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Canary]:
    """A host with the canary as it is deployed."""
    host = Canary(tmp_path, TOOLS[0])
    host.write_token("llm-gateway-canary", KEY.removeprefix("sk-"))
    yield host
    host.close()


def deployed_conf() -> dict[str, str]:
    """The lines of canary.conf, by their names."""
    (conf,) = [file for file in script_files(make_node()) if file.path.endswith("/canary.conf")]
    return dict(re.findall(r"^(\w+)=(.*)$", conf.content.decode(), re.MULTILINE))


def look(canary: Canary, strict: Personalities, name: str) -> str:
    """What the canary says of a gateway with that model."""
    canary.configure(port=strict.server_address[1])
    with (canary.place / "canary.conf").open("a") as conf:
        conf.writelines(f"{each}={deployed_conf()[each]}\n" for each in ("body", "needs", "answered"))
    strict.default = name
    strict.asked.clear()
    return canary.must_look()


@pytest.mark.slow
@pytest.mark.parametrize("name", ANSWERS)
def test_the_canary_is_quiet_of_a_model_that_answers(canary: Canary, strict: Personalities, name: str) -> None:
    assert look(canary, strict, name) == ""
    assert {body["model"] for _, _, body in strict.asked} == {"MiniMax-M2.5"}
    assert added(strict) == ANSWERS[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", FAILURES)
def test_the_canary_tells_of_a_model_that_does_not(canary: Canary, strict: Personalities, name: str) -> None:
    assert "its answer is not a completion: verify.py says why" in look(canary, strict, name)
    assert added(strict) == [{}]
