"""``python -m client`` as a person or a script has it: what comes out when all is well."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_client.http_library import httpx
from llm_client.version import VERSION
from tests.client import cli_gateway
from tests.client.cli_gateway import GREETING, KEY, Gateway
from tests.client.cli_process import HIDING, ROOT, run, start


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with cli_gateway.gateway() as server:
        yield server


def test_chat_streams_chinese_in_any_locale(gateway: Gateway) -> None:
    done = run(
        gateway.base,
        *["chat", "--model", "qwen", "--system", "简短", "--option", "temperature=0.2", "--option", 'stop=["。"]'],
        *["你好，", "😀"],
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{GREETING}\n", "")
    assert gateway.bodies[-1] == {
        "model": "qwen",
        "messages": [{"role": "system", "content": "简短"}, {"role": "user", "content": "你好， 😀"}],
        "stream": True,
        "temperature": 0.2,
        "stop": ["。"],
    }


def test_a_locale_without_chinese_and_no_utf8_mode(gateway: Gateway) -> None:
    done = run(
        gateway.base,
        *["chat", "--model", "qwen", "--no-stream", "问题"],
        LC_ALL="C",
        PYTHONUTF8="0",
        PYTHONCOERCECLOCALE="0",
    )
    assert (done.returncode, done.stdout) == (0, f"{GREETING}\n")
    assert gateway.bodies[-1]["messages"][-1]["content"] == "问题"


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [((), "管道\n"), (("-",), "管道\n"), (("总结：", "-"), "总结：\n\n管道\n")],
)
def test_the_text_may_come_through_a_pipe(gateway: Gateway, arguments: tuple[str, ...], asked: str) -> None:
    done = run(gateway.base, "chat", *arguments, stdin="管道\n".encode(), LLM_MODEL_ID="qwen")
    assert done.returncode == 0
    assert gateway.bodies[-1]["messages"][-1]["content"] == asked


def test_json_is_the_answer_of_the_api_in_one_line(gateway: Gateway) -> None:
    done = run(gateway.base, "chat", "--json", "--model", "qwen", "hi")
    assert (done.returncode, done.stdout.count("\n"), done.stderr) == (0, 1, "")
    assert GREETING in done.stdout
    assert json.loads(done.stdout)["choices"][0]["message"]["content"] == GREETING


def test_embed_shows_what_is_to_be_seen_of_a_vector(gateway: Gateway) -> None:
    done = run(gateway.base, "embed", "--model", "e", "你好", "b")
    assert (done.returncode, done.stdout.splitlines()) == (
        0,
        ["2 dimensions  norm 1.0000  [0.6000, 0.8000]  你好", "2 dimensions  norm 1.0000  [0.6000, 0.8000]  b"],
    )
    done = run(gateway.base, "embed", "--json", "--dimensions", "2", stdin=b"a\r\nb\n\n", EMBEDDING_MODEL_ID="e")
    assert json.loads(done.stdout) == [[0.6, 0.8], [0.6, 0.8]]
    assert gateway.bodies[-1]["input"] == ["a", "b"]


def test_models_and_ping(gateway: Gateway) -> None:
    assert run(gateway.base, "models").stdout == "qwen\n嵌入\n"
    assert json.loads(run(gateway.base, "--json", "models").stdout) == ["qwen", "嵌入"]
    done = run(gateway.base, "ping")
    assert done.stdout.startswith(f"{gateway.base}/v1 answered in ")
    assert done.stdout.endswith(" ms and takes the key: 2 models\n")
    assert json.loads(run(gateway.base, "ping", "--json").stdout)["models"] == 2


@pytest.mark.parametrize("way", [(), ("--no-stream",)])
def test_chat_tells_tokens_and_cost_behind_the_answer(gateway: Gateway, way: tuple[str, ...]) -> None:
    done = run(gateway.base, "chat", "--model", "qwen", "--usage", *way, "hi")
    assert (done.returncode, done.stdout) == (0, f"{GREETING}\n")
    assert done.stderr == f"usage: 1,204 prompt + 52 completion tokens by {gateway.base}/v1\n"
    done = run(gateway.base, "chat", "--model", "qwen", "--price", "0.8,4.8,CNY", *way, "hi")
    assert done.stderr == f"usage: 1,204 prompt + 52 completion tokens by {gateway.base}/v1, 0.001213 CNY\n"
    done = run(gateway.base, "chat", "--model", "mute", "--usage", *way, "hi")
    assert (done.stdout, done.stderr) == (f"{GREETING}\n", "note: the gateway told no tokens for this answer\n")
    assert run(gateway.base, "chat", "--model", "qwen", *way, "hi").stderr == ""
    assert "stream_options" not in gateway.bodies[-1]


@pytest.mark.parametrize("price", ["0.8", "0.8,4.8", "a,b,CNY", "-1,2,CNY", "nan,1,CNY", "1,2,¥ 3"])
def test_a_price_of_another_form_is_refused(gateway: Gateway, price: str) -> None:
    done = run(gateway.base, "chat", "--model", "qwen", f"--price={price}", "hi")
    assert done.returncode == 2
    assert "--price: invalid price value" in done.stderr and done.stderr.count("\n") == 1


LIMITED = {"subscription": {"hard_limit_usd": 2, "access_until": 1801432800}, "usage": {"total_usage": 0.15}}
UNLIMITED = {"subscription": {"hard_limit_usd": 100000000, "access_until": 0}, "usage": {"total_usage": 0}}


@pytest.mark.parametrize(
    ("billing", "lines", "found"),
    [
        (
            LIMITED,
            ["used: 0.0015 of 2, left: 1.9985", "valid until: 2027-01-31T22:00:00Z"],
            {"used": 0.0015, "limit": 2.0, "left": 1.9985, "expires": "2027-01-31T22:00:00Z"},
        ),
        (
            UNLIMITED,
            ["used: not counted, because the key has no limit"],
            {"used": None, "limit": None, "left": None, "expires": None},
        ),
        (
            UNLIMITED | {"usage": {"total_usage": 250}},
            ["used: 2.5, without a limit"],
            {"used": 2.5, "limit": None, "left": None, "expires": None},
        ),
    ],
)
def test_usage_says_what_a_gateway_tells_a_key_and_no_month(
    gateway: Gateway, billing: dict[str, object], lines: list[str], found: dict[str, object]
) -> None:
    gateway.billing = billing
    done = run(gateway.base, "usage")
    assert (done.returncode, done.stdout.splitlines()) == (0, lines)
    assert "it tells a key no month" in done.stderr and done.stderr.count("\n") == 1
    done = run(gateway.base, "usage", "--json")
    assert (json.loads(done.stdout), done.stderr) == (found, "")


@pytest.mark.parametrize(
    ("billing", "code", "told"),
    [
        ({}, 4, "HTTP 404: Invalid URL"),
        (LIMITED | {"usage": {"total_usage": "much"}}, 5, "no number in total_usage"),
        (LIMITED | {"usage": {"total_usage": True}}, 5, "no number in total_usage"),
        (LIMITED | {"subscription": {"error": {"message": "record not found"}}}, 5, "record not found"),
    ],
)
def test_a_gateway_without_usage_of_a_key_is_told(
    gateway: Gateway, billing: dict[str, object], code: int, told: str
) -> None:
    gateway.billing = billing
    done = run(gateway.base, "usage")
    assert (done.returncode, done.stdout) == (code, "")
    assert told in done.stderr


def test_control_characters_do_not_reach_a_terminal(gateway: Gateway) -> None:
    piped = run(gateway.base, "chat", "--model", "escape", "hi")
    assert piped.stdout == "\x1b[2J\tcls\x9b\r\n"
    ours, theirs = pty.openpty()
    try:
        with start(gateway.base, "chat", "--model", "escape", "hi", stdout=theirs) as process:
            assert process.wait(30) == 0
        assert os.read(ours, 1000).decode() == "\u241b[2J\tcls\ufffd\r\n"  # the pty itself makes LF into CR LF
    finally:
        os.close(ours)
        os.close(theirs)


def test_the_key_may_come_from_a_file_of_ones_own(gateway: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    file.chmod(0o600)
    assert run(gateway.base, "models", "--key-file", str(file), LLM_API_KEY="sk-stale").returncode == 0
    file.chmod(0o644)
    done = run(gateway.base, "models", "--key-file", str(file))
    assert done.returncode == 2
    assert f"others can read {file} (mode 0644): chmod 600 {file}" in done.stderr


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        (b"", 0, ""),
        (b"LLM_API_KEY=sk-\xd6\xd0\xce\xc4", 2, "line 3: LLM_API_KEY is not UTF-8 text: write it anew"),
        (b"LLM_BASE_URL=http://\xd6\xd0:3000", 2, "line 3: LLM_BASE_URL is not UTF-8"),
        (b"LLM_MODEL_ID=\xd6\xd0", 2, "line 3: LLM_MODEL_ID is not UTF-8"),
    ],
    ids=["comment", "key", "address", "model"],
)
def test_foreign_bytes_in_an_env_file_matter_only_in_what_is_read(
    gateway: Gateway, tmp_path: Path, line: bytes, code: int, told: str
) -> None:
    ours = {b"LLM_BASE_URL": f"{gateway.base}/v1".encode(), b"LLM_API_KEY": KEY.encode(), b"LLM_MODEL_ID": b"qwen"}
    ours.pop(line.partition(b"=")[0], None)
    file = tmp_path / ".env"
    others = ["# \u7f51\u5173 (GBK)".encode("gbk"), "NOTE='\u6d4b\u8bd5'".encode("gbk"), line]
    file.write_bytes(b"\n".join([*others, *(name + b"=" + value for name, value in ours.items())]))
    file.chmod(0o600)
    done = run("", "--env-file", str(file), "chat", "hi")
    assert done.returncode == code, done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_address_key_and_model_may_come_from_the_env_of_openclaw(gateway: Gateway, tmp_path: Path) -> None:
    file = tmp_path / ".env"
    lines = ["# ours", f"LLM_BASE_URL={gateway.base}/v1", f"export LLM_API_KEY='{KEY}'", 'LLM_MODEL_ID="qwen"', "X=$Y"]
    file.write_text("\n".join(lines))
    file.chmod(0o600)
    done = run("http://127.0.0.1:1", "--env-file", str(file), "chat", "hi", LLM_API_KEY="sk-stale")
    assert (done.returncode, done.stdout) == (0, f"{GREETING}\n")
    assert gateway.bodies[-1]["model"] == "qwen"
    file.write_text(f"LLM_API_KEY={KEY} # mine\n")
    done = run(gateway.base, "--env-file", str(file), "models")
    assert done.returncode == 2
    assert "line 1: LLM_API_KEY is written in a way that not all programs read alike" in done.stderr


def test_help_and_version_and_nothing_of_it_in_the_library() -> None:
    assert run("", "--version").stdout.startswith(f"llm-client {VERSION} ({httpx.__name__} ")
    told = run("", "chat", "--help").stdout
    assert told.startswith("usage: python -m client chat ")
    assert "3    time-out" in told
    code = "import sys, llm_client; sys.exit('argparse' in sys.modules or 'llm_client.cli' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", HIDING + code], cwd=ROOT, check=False).returncode == 0


def test_it_tells_which_of_several_gateways_answered(gateway: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text(f"LLM_BASE_URL=http://127.0.0.1:1\nLLM_API_KEY={KEY}\nLLM_FALLBACK_BASE_URLS={gateway.base}\n")
    file.chmod(0o600)
    done = run("", "--env-file", str(file), "chat", "--model", "qwen", "--usage", "hi")
    assert (done.returncode, done.stdout) == (0, f"{GREETING}\n")
    assert done.stderr == f"usage: 1,204 prompt + 52 completion tokens by {gateway.base}/v1\n"
    assert run("", "--env-file", str(file), "ping").stdout.startswith(f"{gateway.base}/v1 answered in ")
    elsewhere = run("", "--env-file", str(file), "--base-url", "http://127.0.0.1:1", "ping")
    assert (elsewhere.returncode, elsewhere.stdout) == (6, "")
