"""A gateway that is gone gives way to the next one, within one deadline and before an answer has begun."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from both_ways import BOTH, InALoop, InThreads
from fault_server import FaultServer, Step
from raw_server import ANSWER
from test_client import HELLO, KEY

from llm_client import (
    LLMClient,
    LLMConfigError,
    LLMConnectionError,
    LLMError,
    LLMStatusError,
    LLMTimeoutError,
    call_specific_model,
    retries,
    turns,
)

Way = type[InThreads] | type[InALoop]
OTHER_KEY = "sk-" + "T4gH9bV2cX7mK1pL8rN3wQ6y" + "E5uJ0aS4dF7hG1kZ2xC9vB3n"  # made up, as the first
OK: Step = {"status": 200, "json": ANSWER}
PROXY_503: Step = {"status": 503, "text": "<title>503 Service Unavailable</title>", "then": "close"}
PROXY_502: Step = {"status": 502, "text": "<title>502 Bad Gateway</title>", "then": "close"}
CHUNK = 'data: {"choices": [{"delta": {"content": "Hel"}}]}\n\n'
EVENTS = {"Content-Type": "text/event-stream"}
STREAM: Step = {
    "status": 200,
    "headers": EVENTS,
    "text": CHUNK + 'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n',
}


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "_FIRST_PAUSE", 0.01)


@contextmanager
def gateways(*scripts: list[Step]) -> Iterator[list[FaultServer]]:
    with ExitStack() as stack:
        yield [stack.enter_context(FaultServer(steps)) for steps in scripts]


def base(server: FaultServer) -> str:
    return f"http://127.0.0.1:{server.port}"


@pytest.fixture
def refusing() -> Iterator[str]:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, so that nobody else gets it; not listening, so that it refuses
        yield f"http://127.0.0.1:{nobody.getsockname()[1]}"


@pytest.fixture
def deaf() -> Iterator[str]:
    """A host that answers no attempt to connect, as one without power: its queue is full."""
    with FaultServer([], deaf_seconds=30) as server:
        yield base(server)


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize("count", [0, 1])
def test_a_gateway_that_refuses_gives_way_whatever_the_retries(way: Way, count: int, refusing: str) -> None:
    with gateways([OK]) as (second,):
        assert way(fallback_base_urls=[base(second)], retries=count).chat(refusing) == ANSWER
    assert second.requests[0]["headers"]["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("way", BOTH)
def test_a_name_that_is_not_there_gives_way(way: Way) -> None:
    with gateways([OK]) as (second,):
        assert way(fallback_base_urls=base(second)).chat("http://gone.invalid") == ANSWER


@pytest.mark.parametrize("way", BOTH)
def test_a_host_that_is_dead_gives_way_while_there_is_time(way: Way, deaf: str) -> None:
    with gateways([OK]) as (second,):
        begun = time.monotonic()
        assert way(fallback_base_urls=[base(second)]).chat(deaf, timeout=1.2) == ANSWER
    assert 0.5 < time.monotonic() - begun < 1.2


@pytest.mark.parametrize("way", BOTH)
def test_a_gateway_that_is_not_ready_gives_way_whatever_the_retries(way: Way) -> None:
    locked = {"error": {"message": "令牌验证失败", "type": "one_api_error"}}
    busy = {"error": {"message": "busy", "type": "new_api_error", "code": "system_cpu_overloaded"}}
    for step in (PROXY_503, {"status": 401, "json": locked}, {"status": 503, "json": busy}):
        with gateways([step], [OK]) as (first, second):
            assert way(fallback_base_urls=[base(second)], retries=0).chat(base(first)) == ANSWER


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize("step", [PROXY_502, {**PROXY_502, "status": 504}, {"then": "reset"}, {"then": "close"}])
def test_what_may_have_been_carried_out_goes_on_as_one_of_the_retries(way: Way, step: Step) -> None:
    with gateways([step], [OK]) as (first, second):
        assert way(fallback_base_urls=[base(second)]).chat(base(first)) == ANSWER
        assert (len(first.requests), len(second.requests)) == (1, 1)
    with gateways([step], [OK]) as (first, second):
        with pytest.raises(LLMError) as caught:
            way(fallback_base_urls=[base(second)], retries=0).chat(base(first))
        assert second.requests == []
        assert caught.value.base_url == f"{base(first)}/v1"


@pytest.mark.parametrize("way", BOTH)
def test_what_the_gateway_or_its_upstream_answers_stays_with_it(way: Way) -> None:
    upstream = {"error": {"message": "bad response status code 502", "type": "upstream_error"}}
    for status, body in (
        (502, upstream),
        (503, {"error": {"message": "no channel", "type": "one_api_error"}}),
        (401, {"error": {"message": "no", "type": "one_api_error"}}),
        (500, upstream),
    ):
        with gateways([{"status": status, "json": body}] * 2, [OK]) as (first, second):
            with pytest.raises(LLMStatusError) as caught:
                way(fallback_base_urls=[base(second)]).chat(base(first))
            assert second.requests == []
            assert caught.value.failures == {}
    relayed = {"status": 502, "text": "not JSON", "headers": {"X-Oneapi-Request-Id": "r1"}}
    with gateways([relayed, OK], [OK]) as (first, second):
        assert way(fallback_base_urls=[base(second)]).chat(base(first)) == ANSWER
        assert second.requests == []


@pytest.mark.parametrize("way", BOTH)
def test_an_answer_that_breaks_off_is_not_asked_elsewhere(way: Way) -> None:
    cut: Step = {**OK, "cut_at": 10, "then": "reset"}
    with gateways([cut], [OK]) as (first, second):
        with pytest.raises(LLMConnectionError):
            way(fallback_base_urls=[base(second)], retries=3).chat(base(first))
        assert second.requests == []


@pytest.mark.parametrize("way", BOTH)
def test_a_stream_goes_on_elsewhere_only_before_it_begins(way: Way, refusing: str) -> None:
    dies: Step = {"status": 200, "headers": EVENTS, "text": CHUNK, "framing": "chunked", "then": "reset"}
    with gateways([STREAM]) as (second,):
        deltas, stream = way(fallback_base_urls=[base(second)]).stream(refusing)
        assert (deltas, stream.base_url) == ([{"content": "Hel"}], f"{base(second)}/v1")
    with gateways([{**dies, "cut_at": len(CHUNK) + 6}], [STREAM]) as (first, second):
        with pytest.raises(LLMError) as caught:
            way(fallback_base_urls=[base(second)], retries=3).stream(base(first))
        assert caught.value.deltas == [{"content": "Hel"}]  # type: ignore[attr-defined]
        assert caught.value.base_url == f"{base(first)}/v1"
        assert second.requests == []


@pytest.mark.parametrize("way", BOTH)
def test_a_gateway_that_has_the_call_and_is_silent_is_not_repeated(way: Way) -> None:
    with gateways([{"then": "silence"}], [OK]) as (first, second):
        with pytest.raises(LLMTimeoutError):
            way(fallback_base_urls=[base(second)], retries=3).chat(base(first), timeout=0.4)
        assert second.requests == []


@pytest.mark.parametrize("way", BOTH)
def test_the_error_names_each_gateway_and_no_key(way: Way, refusing: str, caplog: pytest.LogCaptureFixture) -> None:
    said = {**PROXY_503, "text": f"no {KEY} and no {OTHER_KEY}"}
    with gateways([said] * 2) as (second,):
        options: dict[str, Any] = {"fallback_base_urls": [base(second)], "fallback_api_keys": [OTHER_KEY]}
        with pytest.raises(LLMStatusError) as caught:
            way(**options).chat(refusing)
        assert len(second.requests) == 2  # all of them once more, as one retry
        assert second.requests[0]["headers"]["authorization"] == f"Bearer {OTHER_KEY}"
    error = caught.value
    assert list(error.failures) == [f"{refusing}/v1", f"{base(second)}/v1"]
    assert error.summary.startswith(f"{refusing}/v1: ECONNREFUSED: ")
    assert f"; {base(second)}/v1: HTTP 503: no [key] and no [key]" in error.summary
    assert (error.base_url, error.__context__) == (f"{base(second)}/v1", None)
    texts = [str(vars(error)), repr(error), caplog.text, repr(LLMClient(refusing, KEY, **options))]
    assert not [text for text in texts if KEY[3:20] in text or OTHER_KEY[3:20] in text]
    assert caplog.text.count("Error calling m: ") == 1
    assert f"{refusing}/v1: ECONNREFUSED" in caplog.text


@pytest.mark.parametrize("way", BOTH)
def test_each_gateway_is_named_where_each_says_much(way: Way) -> None:
    long = {**PROXY_503, "text": "x" * 1000}
    with gateways([long], [long], [long]) as servers:
        first, *others = map(base, servers)
        with pytest.raises(LLMStatusError) as caught:
            way(fallback_base_urls=others, retries=0).chat(first)
    assert all(f"{url}/v1: HTTP 503: xx" in caught.value.summary for url in (first, *others))
    assert len(caught.value.summary) <= 400


@pytest.mark.parametrize("way", BOTH)
def test_one_deadline_holds_for_all_of_them(way: Way, deaf: str) -> None:
    with gateways([{"then": "silence"}]) as (third,):
        begun = time.monotonic()
        with pytest.raises(LLMTimeoutError) as caught:
            way(fallback_base_urls=[deaf.replace("127.0.0.1", "localhost"), base(third)]).chat(deaf, timeout=1.5)
    assert 1.4 < time.monotonic() - begun < 2.2
    assert len(caught.value.failures) == 3


def test_one_that_failed_comes_last_for_a_while_and_then_first_again(
    refusing: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with gateways([OK] * 3) as (second,), LLMClient(refusing, KEY, fallback_base_urls=base(second)) as client:
        assert client.answered_by is None
        for _ in range(2):
            client.chat("m", HELLO)
            assert client.answered_by == f"{base(second)}/v1"
        assert caplog.text.count(f"asking {base(second)}/v1") == 1
        later = time.monotonic() + turns._LAST_SECONDS
        monkeypatch.setattr(time, "monotonic", lambda: later)
        order = client._caller.order.numbers()
    assert order == [0, 1]


def test_batches_of_one_call_do_not_ask_a_dead_gateway_anew(refusing: str, caplog: pytest.LogCaptureFixture) -> None:
    rows = [{"index": number, "embedding": [1.0]} for number in range(10)]
    steps: list[Step] = [{"status": 200, "json": {"data": rows}}, {"status": 200, "json": {"data": rows[:2]}}]
    with gateways(steps) as (second,):
        vectors = InThreads(fallback_base_urls=base(second)).embed([str(number) for number in range(12)], refusing)
    assert vectors == [[1.0]] * 12
    assert caplog.text.count("ECONNREFUSED") == 1


def test_the_environments_gateways_belong_to_the_environments_first(
    refusing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with gateways([OK] * 2) as (second,):
        monkeypatch.setenv("LLM_BASE_URL", refusing)
        monkeypatch.setenv("LLM_API_KEY", KEY)
        monkeypatch.setenv("LLM_FALLBACK_BASE_URLS", f" {base(second)}/v1/ , {refusing}")
        monkeypatch.setenv("LLM_FALLBACK_API_KEYS", f"{OTHER_KEY},")
        assert call_specific_model("m", HELLO) == ANSWER
        assert second.requests[0]["headers"]["authorization"] == f"Bearer {OTHER_KEY}"
        with pytest.raises(LLMConnectionError) as caught:
            call_specific_model("m", HELLO, base_url=refusing, api_key="another", retries=0)
        assert len(second.requests) == 1
    assert caught.value.failures == {}


@pytest.mark.parametrize(
    ("urls", "keys", "says"),
    [
        ("gw2", None, "LLM_FALLBACK_BASE_URLS: the base URL 'gw2' needs the form http"),
        ("http://gw2,,http://gw3", None, "LLM_FALLBACK_BASE_URLS holds an empty place"),
        ("http://user:pass@gw2", None, "LLM_FALLBACK_BASE_URLS: the base URL holds a user name or password"),
        ("http://gw2", "key-one,key-two", "LLM_FALLBACK_API_KEYS holds 2 keys for the 1 addresses of LLM_FALL"),
        ("http://gw2,http://gw3", "key-one", "LLM_FALLBACK_API_KEYS holds 1 keys for the 2 addresses of LLM_FALL"),
        ("", "key-one", "LLM_FALLBACK_API_KEYS holds 1 keys for the 0 addresses"),
        ("http://gw2", "密钥", "(LLM_FALLBACK_API_KEYS) holds a character that is not printable ASCII"),
        (7, None, "LLM_FALLBACK_BASE_URLS: a list of strings is needed"),
    ],
)
@pytest.mark.parametrize("way", BOTH)
def test_what_is_wrong_is_refused_at_construction(way: Way, urls: Any, keys: Any, says: str) -> None:
    with pytest.raises(LLMConfigError) as caught:
        way(fallback_base_urls=urls, fallback_api_keys=keys).client("http://gw1")
    assert says in caught.value.summary
    assert "pass@" not in caught.value.summary and "key-" not in caught.value.summary
