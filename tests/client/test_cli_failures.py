"""How ``python -m client`` fails: exit codes, one line on stderr, the key nowhere."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client import cli_gateway
from tests.client.cli_gateway import GREETING, KEY, REQUEST_ID, Gateway
from tests.client.cli_process import ONE_AFTER_THE_OTHER, ROOT, environment, run, start

FAILURES: list[tuple[int, list[str], str]] = [
    (2, ["chat", "--model", "m", "--option", "a", "hi"], "--option a: it needs the form name=JSON"),
    (2, ["chat", "--model", "m", "--option", "a=b", "hi"], "--option a: b is no JSON"),
    (2, ["chat", "--model", "m", "--option", "model=1", "hi"], "--option model: that is what --model is for"),
    (2, ["chat", "hi"], "which model? --model NAME, or LLM_MODEL_ID"),
    (2, ["chat", "--model", "m", " "], "the text is blank"),
    (2, ["chat", "--model", "m", "\udcff"], "an argument is not UTF-8"),
    (2, ["chat", "--model", "m", "--timeout", "0", "hi"], "timeout must be a finite number"),
    (2, ["models", "--api-key", KEY], "a key must not be an argument"),
    (2, ["models", KEY], "unrecognized arguments: sk-[hidden]; see python -m client"),
    (2, ["modles"], "invalid choice: 'modles'"),
    (3, ["chat", "--model", "hang", "--timeout", "0.2", "hi"], "hang: timeout (200ms); --timeout SECONDS"),
    (4, ["chat", "--model", "401", "hi"], "401: HTTP 401: no: Bearer [key] (request id: "),
    (4, ["chat", "--model", "429", "--retries", "0", "hi"], "wait a little"),
    (4, ["chat", "--model", "minimax-2049", "hi"], "whoever runs the gateway must correct the key"),
    (4, ["chat", "--model", "minimax-1004", "hi"], "the provider refuses the gateway's key: no"),
    (4, ["chat", "--model", "minimax-1008", "hi"], "top up the account with the provider"),
    (4, ["chat", "--model", "minimax-1002", "--retries", "0", "hi"], "the provider's rate limit is reached: no"),
    (4, ["chat", "--model", "minimax-1039", "--retries", "0", "hi"], "wait a little, or look at the provider's limits"),
    (5, ["chat", "--model", "database", "--retries", "0", "hi"], "the gateway cannot read its database"),
    (5, ["chat", "--model", "500", "hi"], "the gateway's own log tells more"),
    (5, ["chat", "--model", "503", "hi"], "`python -m client models` lists what there is"),
    (5, ["chat", "--model", "web", "hi"], "is the base URL right?"),
    (5, ["embed", "--model", "e", "--dimensions", "1024", "hi"], "it has 2 dimensions, not 1024"),
    (5, ["embed", "--model", "zeros", "hi"], "all of its numbers are zero"),
    (6, ["--base-url", "http://nowhere.invalid", "models", "--retries", "0"], "nowhere.invalid cannot be resolved"),
]


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with cli_gateway.gateway() as server:
        yield server


@pytest.fixture(scope="module")
def outcomes(gateway: Gateway) -> list[list[object]]:
    """Exit code, stdout and stderr of all `FAILURES`, in one process: a start of Python is what these tests cost."""
    asked = json.dumps([row[1] for row in FAILURES]).encode()
    command = [sys.executable, "-c", ONE_AFTER_THE_OTHER]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(gateway.base), input=asked, capture_output=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert KEY.removeprefix("sk-") not in done.stdout.decode()
    found: list[list[object]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("number", range(len(FAILURES)), ids=[f"{row[0]}-{row[2][:30]}" for row in FAILURES])
def test_exit_codes_tell_failures_apart(outcomes: list[list[object]], number: int) -> None:
    code, _, told = FAILURES[number]
    returned, printed, said = outcomes[number]
    assert (returned, printed) == (code, "")
    assert str(said).startswith("error: ")
    assert str(said).count("\n") == 1
    assert told in str(said)


def test_a_port_where_nobody_listens(gateway: Gateway) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        done = run(f"http://127.0.0.1:{closed.getsockname()[1]}", "ping")
    assert done.returncode == 6
    assert "ECONNREFUSED" in done.stderr
    assert "is the gateway up" in done.stderr


def test_an_error_is_one_line_of_json_on_stderr(gateway: Gateway) -> None:
    done = run(gateway.base, "chat", "--json", "--model", "403", "hi")
    assert (done.returncode, done.stdout) == (4, "")
    assert json.loads(done.stderr) == {
        "code": "LLM_HTTP_STATUS",
        "status": 403,
        "model": "403",
        "request_id": REQUEST_ID,
        "retryable": False,
        "reason": None,
        "summary": "HTTP 403: no: Bearer [key]",
        "exit": 4,
    }


def test_bytes_that_are_no_utf8_are_not_sent(gateway: Gateway) -> None:
    done = run(gateway.base, "chat", "--model", "qwen", stdin="你".encode("gb18030"))
    assert done.returncode == 2
    assert "standard input is not UTF-8 (byte 1 is 0xc4)" in done.stderr


def test_a_text_that_breaks_off_stays_and_the_error_comes_below(gateway: Gateway) -> None:
    done = run(gateway.base, "chat", "--model", "cut", "hi")
    assert (done.returncode, done.stdout) == (5, f"{GREETING}\n")
    assert "cut before its end" in done.stderr
    broken = run(gateway.base, "chat", "--model", "broken", "hi")
    assert (broken.returncode, broken.stdout) == (5, "half\n")
    assert "ECONNRESET" in broken.stderr
    long = run(gateway.base, "chat", "--model", "long", "hi")
    assert (long.returncode, long.stdout) == (0, f"{GREETING}\n")
    assert "finish_reason: length" in long.stderr


def test_the_reader_of_a_pipe_may_go(gateway: Gateway) -> None:
    with start(gateway.base, "chat", "--model", "endless", "hi") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"line\n"
        process.stdout.close()
        assert process.wait(30) == 141
        assert process.stderr.read() == b""


def test_ctrl_c_ends_it_without_a_traceback(gateway: Gateway) -> None:
    with start(gateway.base, "chat", "--model", "endless", "hi") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"line\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        assert (process.returncode, said) == (130, b"")


def test_a_full_disk_is_told(gateway: Gateway) -> None:
    with Path("/dev/full").open("wb") as full, start(gateway.base, "models", stdout=full.fileno()) as process:
        _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (1, b"error: the answer cannot be written: No space left on device\n")


def test_with_standard_error_closed_an_error_is_no_answer(gateway: Gateway) -> None:
    with start(gateway.base, "chat", "--model", "401", "hi", close=2) as process:
        said, _ = process.communicate(timeout=30)
    assert (process.returncode, said) == (4, b"")


def test_what_is_missing_is_named_with_the_ways_to_give_it() -> None:
    done = run(" ", "ping")
    assert done.returncode == 2
    assert done.stderr == "error: LLM_BASE_URL is blank: set it, or use --base-url URL or --env-file PATH\n"
