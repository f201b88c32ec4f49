"""Many questions at once: how many, how long, and how the answers are shown."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from llm_client import LLMClient, LLMError
from llm_gateway.inputs import host_data, settings
from llm_gateway.inputs.model_kinds import kind_of
from llm_gateway.model import asking
from llm_gateway.model.asking import AT_ONCE, Answer, Question, VerificationError, ask_all
from llm_gateway.model.columns import width
from llm_gateway.proof.answer_table import distinct_problems, table

ANSWER = b'{"choices": [{"message": {"content": "B"}}]}'
HELLO = [{"role": "user", "content": "Hi"}]


def question(model: str, ask: Callable[[float], str], channel: str = "one") -> Question:
    return Question(model, channel, ask, lambda problem, seconds: f"{model}: {problem.summary} in {seconds:.3g} s")


def test_eight_questions_are_under_way_at_once_and_never_more() -> None:
    together = threading.Barrier(AT_ONCE)
    lock = threading.Lock()
    under_way = most = 0

    def ask(seconds: float) -> str:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        together.wait(10)  # breaks, and fails the test, unless eight are here
        with lock:
            under_way -= 1
        return "completed"

    answers = ask_all([question(f"m{number}", ask) for number in range(3 * AT_ONCE)], 60)
    assert [answer.model for answer in answers] == [f"m{number}" for number in range(3 * AT_ONCE)]
    assert {answer.result for answer in answers} == {"completed"}
    assert most == AT_ONCE == 8


def test_ctrl_c_does_not_wait_for_answers() -> None:
    """Python waits at its end for threads, unless they are daemons."""
    threads = []

    def ask(seconds: float) -> str:
        threads.append(threading.current_thread())
        return "completed"

    ask_all([question("m", ask)], 60)
    assert [thread.daemon for thread in threads] == [True]


def test_a_mistake_of_ours_is_not_swallowed() -> None:
    def ask(seconds: float) -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ask_all([question("m", ask), question("n", lambda seconds: "completed")], 60)


def test_nothing_is_asked_where_there_is_nothing_to_ask() -> None:
    assert ask_all([], 60) == []


class Server(ThreadingHTTPServer):
    """Answers at once, but for the model `hangs`, which it leaves waiting until it is released."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.released = threading.Event()
        self.base_url = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if b"hangs" in body:
            self.server.released.wait(60)
        self.send_response(200)
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.released.set()
        running.shutdown()


def test_a_model_that_hangs_does_not_hold_up_the_others(server: Server) -> None:
    """The one that hangs is let go by the last of the others: were it to hold them up, nothing would end."""
    quick = [f"m{number}" for number in range(20)]
    left = set(quick)
    with httpx.HTTPTransport() as transport:
        client = LLMClient(server.base_url, "sk-key", transport=transport)

        def asking_for(model: str) -> Question:
            def ask(seconds: float) -> str:
                client.chat(model, HELLO, timeout=seconds, max_tokens=1)
                left.discard(model)
                if not left:
                    server.released.set()
                return "completed"

            return question(model, ask)

        models = ["hangs", *quick, "hangs"]
        answers = ask_all([asking_for(model) for model in models], 30)
    assert [(answer.model, answer.result) for answer in answers] == [(model, "completed") for model in models]


def test_a_model_that_hangs_is_given_up_after_its_time(server: Server) -> None:
    with httpx.HTTPTransport() as transport:
        client = LLMClient(server.base_url, "sk-key", transport=transport)

        def ask(seconds: float) -> str:
            return client.chat("hangs", HELLO, timeout=seconds, max_tokens=1)

        (answer,) = ask_all([question("hangs", ask)], 0.5)
    assert (answer.result, answer.problem) == ("FAILED (no answer)", "hangs: timeout (500ms) in 0.5 s")
    assert (answer.seconds or 0) > 0.4


def test_all_questions_together_have_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight hang for the whole of the time that there is, so that the ninth is not asked any more."""
    monkeypatch.setattr(asking, "ROUNDS", 1)
    asked = []

    def hang(seconds: float) -> str:
        asked.append(seconds)
        time.sleep(seconds)  # hanging is the subject of the test
        raise LLMError("late")

    answers = ask_all([question("m", hang) for _ in range(AT_ONCE)] + [question("last", hang)], 1)
    assert len(asked) == AT_ONCE
    assert answers[-1].seconds is None
    assert answers[-1].result == "FAILED (not asked)"
    assert "last was not asked: models that did not answer took all of the 1 s" in str(answers[-1].problem)


def test_channels_take_turns() -> None:
    questions = [question("m", str, channel) for channel in "aaaabbc"]
    assert asking._in_turn(questions) == [0, 4, 6, 1, 5, 2, 3]


def test_a_broken_link_that_the_question_names_itself() -> None:
    def ask(seconds: float) -> str:
        raise VerificationError("no channel")

    (answer,) = ask_all([question("m", ask)], 60)
    assert (answer.result, answer.problem) == ("FAILED", "no channel")


def test_the_table() -> None:
    answers = [
        Answer("qwen3.5-plus", "dashscope", 0.4567, "completed"),
        Answer("文心一言", "百度", 12.3, "FAILED (HTTP 401)", "why"),
        Answer("gte-rerank", "dashscope", None, "not asked: no chat or embedding model"),
    ]
    assert table(answers).splitlines() == [
        "model         channel    latency  result",
        "qwen3.5-plus  dashscope   0.46 s  completed",
        "文心一言      百度       12.30 s  FAILED (HTTP 401)",
        "gte-rerank    dashscope        -  not asked: no chat or embedding model",
    ]


def failed(model: str, channel: str, problem: str) -> Answer:
    return Answer(model, channel, 1.0, "FAILED", problem)


def test_each_cause_is_told_once() -> None:
    answers = [
        failed("a-1", "one", "a-1 did not answer: late (request id: 1)"),
        Answer("good", "one", 1.0, "completed"),
        failed("a-2", "one", "a-2 did not answer: late (request id: 2)"),
        failed("a-2", "two", "a-2 did not answer: late (request id: 3)"),
        failed("a-3", "one", "the token is refused (request id: 4)"),
        failed("a-4", "two", "the token is refused (request id: 5)"),
        *(failed(f"b-{number}", "three", f"b-{number}: no") for number in range(12)),
    ]
    assert distinct_problems(answers) == [
        "a-1 did not answer: late (request id: 1) [the same: a-2]",
        "a-2 did not answer: late (request id: 3)",
        "the token is refused (request id: 4)",
        "b-0: no [the same: b-1, b-2, b-3, b-4, b-5, b-6, b-7, b-8 and 3 more]",
    ]


@pytest.mark.parametrize(("text", "columns"), [("abc", 3), ("通义", 4), ("ＡＢ", 4), ("e\u0301", 1), ("", 0)])
def test_the_width_of_a_text(text: str, columns: int) -> None:
    assert width(text) == columns


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("MiniMax-M2.5", "chat"),
        ("text-embedding-v4", "embedding"),
        ("qwen3.5-plus", "chat"),
        ("deepseek-ai/DeepSeek-V3.2", "chat"),
        ("BAAI/bge-m3", "embedding"),
        ("BAAI/bge-reranker-v2-m3", "none"),
        ("gte-rerank-v2", "none"),
        ("gte-large", "embedding"),
        ("multilingual-e5-large", "embedding"),
        ("qwen3-embedding:8b", "embedding"),
        ("nomic-embed-text", "embedding"),
        ("dall-e-3", "none"),
        ("whisper-1", "none"),
        ("tts-1-hd", "none"),
        ("gpt-4o-mini-tts", "none"),
        ("wanx2.1-t2i-turbo", "none"),
        ("omni-moderation-latest", "none"),
        ("glm-4.5", "chat"),
        ("whole5", "chat"),
        ("attsa", "chat"),
        ("文心一言", "chat"),
    ],
)
def test_what_a_name_says_of_its_kind(model: str, kind: str) -> None:
    found, problems = host_data.check(settings.defaults())
    assert problems == []
    assert kind_of(model, found) == kind


def test_what_a_person_says_is_certain() -> None:
    declared: dict[str, Any] = {
        "verification_model_kinds": {"bge-chat": "chat", "acme-1": "embedding", "text-embedding-v4": "none"},
        "llm_model": "my-embedding-speaker",
        "embedding_model": "acme-rerank",
    }
    found, problems = host_data.check({**settings.defaults(), **declared})
    assert problems == []
    assert [kind_of(model, found) for model in ("bge-chat", "acme-1", "text-embedding-v4")] == [
        "chat",
        "embedding",
        "none",
    ]
    assert [kind_of(model, found) for model in ("my-embedding-speaker", "acme-rerank")] == ["chat", "embedding"]


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("verification_models", "some", 'must be "all" or "changed" or "none"'),
        ("verification_models", True, 'must be "all" or "changed" or "none"'),
        ("verification_model_kinds", ["m"], "must be a dict of model names to kinds"),
        ("verification_model_kinds", {"m": "image"}, 'm: must be "chat" or "embedding" or "none"'),
    ],
)
def test_settings_that_do_not_fit(name: str, value: object, problem: str) -> None:
    _, problems = host_data.check({**settings.defaults(), name: value})
    assert problems == [f"{name}: {problem}; it is {value!r}"]
