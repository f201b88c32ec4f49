"""When a call is made again, how long it waits before, and when it must not be."""

from __future__ import annotations

import email.utils
import json
import time
from typing import Any

import pytest
from both_ways import BOTH, InALoop, InThreads
from raw_server import ANSWER, OK, raw_server

from llm_client import LLMConfigError, LLMError, retries
from llm_client.http_library import httpx

Way = type[InThreads] | type[InALoop]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "_FIRST_PAUSE", 0.01)


class Answers:
    """A handler that gives one answer after the other, the last one for ever."""

    def __init__(self, *answers: httpx.Response | type[Exception]) -> None:
        self._answers = list(answers)
        self.asked = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        answer = self._answers[min(self.asked, len(self._answers) - 1)]
        self.asked += 1
        if not isinstance(answer, httpx.Response):
            raise answer("made up", request=request)  # type: ignore[call-arg]
        return answer


def error(status: int, kind: str = "upstream_error", **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"error": {"message": "x", "type": kind}}, headers=headers)


GOOD = httpx.Response(200, json=ANSWER)


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize(
    "first",
    [
        *[error(status) for status in (408, 429, 502, 503, 504, 520, 524, 529)],
        *[httpx.ConnectError, httpx.ReadError, httpx.WriteError],
        *[httpx.Response(429), httpx.Response(502, html="<title>Bad Gateway</title>")],
    ],
)
def test_what_may_pass_is_tried_once_more(way: Way, first: Any) -> None:
    handler = Answers(first, GOOD)
    assert way(handler).chat() == ANSWER
    assert handler.asked == 2


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize(
    "first",
    [
        *[error(status) for status in (400, 401, 403, 404, 413, 500, 501, 505, 525, 530)],
        error(503, "one_api_error"),
        *[httpx.ReadTimeout, httpx.ConnectTimeout, httpx.ProxyError],
        *[httpx.Response(200, json={"choices": []}), httpx.Response(200, content=b'{"cho')],
    ],
)
def test_what_will_not_pass_or_may_be_billed_is_not_tried_again(way: Way, first: Any) -> None:
    handler = Answers(first, GOOD)
    with pytest.raises(LLMError):
        way(handler).chat()
    assert handler.asked == 1


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize("count", [0, 1, 3])
def test_it_ends_after_the_tries_that_were_asked_for(way: Way, count: int, caplog: pytest.LogCaptureFixture) -> None:
    handler = Answers(error(502))
    with pytest.raises(LLMError) as caught:
        way(handler, retries=count).chat()
    assert handler.asked == count + 1
    assert caught.value.status == 502
    assert caught.value.__context__ is None
    assert caplog.text.count("[LLM_Client] Error calling") == 1


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize("first", [error(500), httpx.Response(200, json={"choices": []})])
def test_what_may_have_been_billed_is_tried_again_when_asked_for(way: Way, first: Any) -> None:
    handler = Answers(first, GOOD)
    assert way(handler, retry_billed=True).chat() == ANSWER
    assert handler.asked == 2
    refusing = Answers(error(401), GOOD)
    with pytest.raises(LLMError):
        way(refusing, retry_billed=True).chat()
    assert refusing.asked == 1


@pytest.mark.parametrize("way", BOTH)
def test_retry_after_is_obeyed(way: Way) -> None:
    handler = Answers(error(429, **{"Retry-After": "0.3"}), GOOD)
    begun = time.monotonic()
    assert way(handler).chat() == ANSWER
    assert 0.3 <= time.monotonic() - begun < 5


@pytest.mark.parametrize("way", BOTH)
def test_a_date_to_retry_after_is_understood(way: Way) -> None:
    past = email.utils.format_datetime(email.utils.parsedate_to_datetime("Sun, 06 Nov 1994 08:49:37 GMT"), usegmt=True)
    handler = Answers(error(429, **{"Retry-After": past}), GOOD)
    assert way(handler).chat() == ANSWER
    coming = email.utils.formatdate(time.time() + 3600, usegmt=True)
    with pytest.raises(LLMError) as caught:
        way(Answers(error(429, **{"Retry-After": coming}))).chat()
    assert caught.value.retry_after == pytest.approx(3600, abs=5)


@pytest.mark.parametrize("way", BOTH)
def test_a_pause_that_the_deadline_would_cut_short_is_not_begun(way: Way) -> None:
    handler = Answers(error(429, **{"Retry-After": "300"}), GOOD)
    begun = time.monotonic()
    with pytest.raises(LLMError) as caught:
        way(handler).chat(timeout=30)
    assert time.monotonic() - begun < 5
    assert (handler.asked, caught.value.status, caught.value.retry_after) == (1, 429, 300)


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf", "", "1e400", "Sun, 99 Nov 1994"])
def test_a_retry_after_that_says_nothing_is_ignored(text: str) -> None:
    handler = Answers(error(429, **{"Retry-After": text}), GOOD)
    assert InThreads(handler).chat() == ANSWER
    assert handler.asked == 2


@pytest.mark.parametrize("way", BOTH)
def test_each_batch_of_embeddings_is_tried_for_itself(way: Way) -> None:
    failed: list[int] = []

    def handler(request: httpx.Request) -> httpx.Response:
        texts = json.loads(request.content)["input"]
        if len(texts) not in failed:
            failed.append(len(texts))
            return error(502)
        rows = [{"index": number, "embedding": [float(text) + 1]} for number, text in enumerate(texts)]
        return httpx.Response(200, json={"data": rows})

    vectors = way(handler).embed([str(number) for number in range(12)])
    assert vectors == [[number + 1.0] for number in range(12)]
    assert failed == [10, 2]


@pytest.mark.parametrize("way", BOTH)
def test_a_stream_is_opened_again_but_never_begun_again(way: Way) -> None:
    handler = Answers(error(502), httpx.Response(200, headers={"content-type": "text/event-stream"}, content=b""))
    with pytest.raises(LLMError, match="cut before its end"):
        way(handler, retries=3).stream()
    assert handler.asked == 2


@pytest.mark.parametrize("way", BOTH)
def test_a_gateway_that_hangs_up_before_it_answers_is_asked_again(way: Way) -> None:
    calls = []

    def behave(connection: Any) -> None:
        calls.append(1)
        if len(calls) > 1:
            connection.sendall(OK)

    with raw_server(behave) as base:
        assert way().chat(base) == ANSWER
    assert len(calls) == 2


@pytest.mark.parametrize("count", [-1, 1.5, "1", None, True])
def test_a_bad_number_of_retries_is_a_configuration_error(count: Any) -> None:
    with pytest.raises(LLMConfigError):
        InThreads(retries=count).client("http://gw")


def test_pauses_grow_and_are_never_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "_FIRST_PAUSE", 0.5)
    policy = retries.Retries(count=20)
    deadline = retries.Deadline(1000)
    failed = LLMError("x", retryable=True)
    pauses = [[policy.pause(failed, tried, deadline) or 0 for _ in range(50)] for tried in range(1, 8)]
    for number, group in enumerate(pauses):
        longest = min(0.5 * 2**number, 8)
        assert all(longest / 2 <= pause <= longest for pause in group)
        assert len(set(group)) > 40
