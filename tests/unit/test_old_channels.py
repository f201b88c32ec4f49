"""Channels of an old gateway that lead to where only it could go: told before its stop, asked before it is gone."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from llm_gateway.flavours import Channel, Token, known
from llm_gateway.flavours.values import ENABLED
from llm_gateway.hosts import remote
from llm_gateway.hosts.tables import SQLiteStore
from llm_gateway.hosts.topology import Node
from llm_gateway.parts.first_start import FirstStartError
from llm_gateway.parts.takeover import old_channels
from llm_gateway.proof import around
from tests.unit.fake_hosts import FRESH
from tests.unit.topology import make_node

HOST = cast(Any, None)
BRIDGE = "172.18.0.1"


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What is told of enabled channels with these base URLs, by the shells of a host that knows the name nas."""
    commands = tmp_path / "bin"
    commands.mkdir()
    names = 'case "$2" in nas) echo "192.168.1.9 STREAM nas" ;; api.example) echo "1.2.3.4 STREAM" ;; *) exit 2 ;; esac'
    for name, text in {"getent": names, "ip": f"echo '4: docker0 inet {BRIDGE}/16 scope global'"}.items():
        (commands / name).write_text(f"#!/bin/sh\n{text}\n")
        (commands / name).chmod(0o755)

    def run(host: object, script: str, stdin: str | None = None) -> list[str]:
        script = f"PATH={commands}:$PATH\n{script}"
        done = subprocess.run(["sh", "-c", script], input=stdin, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    monkeypatch.setattr(remote, "run", run)

    def problems(*urls: str, status: int = 1, **chosen: Any) -> list[str]:
        file = tmp_path / "one-api.db"
        file.unlink(missing_ok=True)
        connection = sqlite3.connect(file)
        connection.execute("CREATE TABLE channels (id INTEGER, name TEXT, base_url TEXT, status INTEGER)")
        rows = [(number, f"渠道|{number}", url, status) for number, url in enumerate(urls)]
        connection.executemany("INSERT INTO channels VALUES (?, ?, ?, ?)", rows)
        connection.commit()
        connection.close()
        return old_channels.problems(make_node(**chosen), SQLiteStore(HOST, str(file)))

    return problems


PUBLIC = ("https://dashscope.aliyuncs.com/compatible-mode", "https://api.example", "http://1.2.3.4:8000", "")


@pytest.mark.parametrize("url", [*PUBLIC, "no url", "http://[::1", "http://a:b"])
def test_what_is_public_is_the_providers_matter(told: Any, url: str) -> None:
    assert told(url) == []


@pytest.mark.parametrize("name", ["ollama", "host.docker.internal", "llm.lan"])
def test_a_name_that_only_the_old_gateway_knows_is_told_with_what_carries_it_over(told: Any, name: str) -> None:
    (text,) = told(*PUBLIC, f"http://{name}:11434/x")
    assert text.startswith(f"channel 渠道|4 goes to http://{name}:11434/x, and {name} is a name that the host does not")
    assert f'(`ports: ["{BRIDGE}:11434:11434"]`)' in text
    assert f'gateway_extra_hosts: {{"{name}": "{BRIDGE}"}}, gateway_private_upstreams: ["{BRIDGE}:11434"]' in text
    hosts = {"gateway_extra_hosts": {name: BRIDGE}}
    (text,) = told(f"http://{name}:11434", **hosts)
    assert f'add it to gateway_private_upstreams: ["{BRIDGE}:11434"]' in text
    assert told(f"http://{name}:11434", gateway_private_upstreams=[f"{BRIDGE}:11434"], **hosts) == []
    assert told(f"http://{name}:11434", gateway_extra_hosts={name: None}) == [], "known, and given up"
    assert told(f"http://{name}:11434", status=2) == [], "a disabled channel asks nothing"


@pytest.mark.parametrize("host", ["192.168.1.9", "nas", "NAS"])
def test_a_private_address_behind_the_firewall_is_told(told: Any, host: str) -> None:
    (text,) = told(f"https://{host}/v1")
    assert text.endswith(
        'add it to gateway_private_upstreams: ["192.168.1.9:443"]; if it may be lost, disable it in the old gateway'
        "'s admin page"
    )
    assert told(f"https://{host}/v1", gateway_private_upstreams=["192.168.1.0/24"]) == []


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_the_host_itself_is_the_container_in_the_new_one(told: Any, host: str) -> None:
    (text,) = told(f"http://{host}:11434")
    assert f"have what it wants listen on {BRIDGE} of the host" in text


def channel(number: int, name: str, url: str, *models: str) -> Channel:
    """A channel as One API lists it."""
    return Channel(number, name, 1, url, models, None, ("default",), 0, 0, ENABLED)


class Gateway:
    """A new gateway: what it answers to each key is in `replies`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *channels: Channel, tokens: bool = True) -> None:
        self.replies: dict[str, httpx.Response] = {}
        self.asked: list[str] = []
        token = Token(1, "t", ENABLED, -1, 0, True, (), (), "K" * 48)
        admin = type("Admin", (), {"channels": lambda _: channels, "tokens": lambda _: [token] if tokens else []})
        monkeypatch.setattr(Node, "flavour", replace(known.ONE_API, admin=lambda *_, **__: admin()))
        monkeypatch.setattr(around, "route", self._route)

    @contextmanager
    def _route(self, *_: object) -> Iterator[httpx.MockTransport]:
        yield httpx.MockTransport(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        key = request.headers["Authorization"].removeprefix(f"Bearer sk-{'K' * 48}-")
        self.asked.append(key)
        return self.replies[key]


GOOD = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Blue"}, "finish_reason": "stop"}]}
AROUND = channel(9, "beside", "http://ollama:11434", "smollm2")
FAR = channel(10, "dashscope-old", "https://dashscope.aliyuncs.com/compatible-mode", "qwen-plus")
HOSTS: Any = {"gateway_extra_hosts": {"ollama": BRIDGE}}


def test_each_channel_that_leads_around_is_asked_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = Gateway(monkeypatch, AROUND, FAR, channel(11, "nas", "http://192.168.1.9:8000", "whisper-1", "a"))
    gateway.replies = {
        "9": httpx.Response(200, json=GOOD),
        "11": httpx.Response(401, json={"error": {"message": "no"}}),
    }
    fine, lost = around.ask(make_node(**HOSTS))
    assert (fine, lost) == (["channel beside: smollm2 completed", "channel nas: a is reached (HTTP 401)"], [])
    assert sorted({*gateway.asked}) == ["11", "9"]


@pytest.mark.parametrize("is_in_file", [False, True])
def test_with_a_proxy_all_of_them_lead_by_that(monkeypatch: pytest.MonkeyPatch, is_in_file: bool) -> None:
    gateway = Gateway(monkeypatch, FAR)
    gateway.replies = {"10": httpx.Response(200, json=GOOD)}
    proxy: Any = {} if is_in_file else {"gateway_environment": {"HTTPS_PROXY": "http://192.168.1.9:7890"}}
    values = {**FRESH, "data_environment": "HTTPS_PROXY\n"} if is_in_file else FRESH
    assert around.ask(make_node(values, **proxy)) == (["channel dashscope-old: qwen-plus completed"], [])


def test_one_that_is_not_reached_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = Gateway(monkeypatch, AROUND)
    error = {
        "error": {"message": "do request failed: no such host", "type": "one_api_error", "code": "do_request_failed"}
    }
    gateway.replies = {"9": httpx.Response(500, json=error)}
    fine, (lost,) = around.ask(make_node(verification_timeout=2, **HOSTS))
    assert fine == []
    assert lost.startswith("channel beside is not answered any more: smollm2 at http://ollama:11434: ")
    assert "no such host" in lost


def test_without_a_token_that_may_ask_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    Gateway(monkeypatch, AROUND, tokens=False)
    fine, lost = around.ask(make_node(**HOSTS))
    assert (fine, lost) == (["channel beside was not asked: no token may ask it"], [])


def test_a_take_over_is_taken_back_where_one_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(remote, "tell", lambda host, text, *_: told.append(text))
    monkeypatch.setattr(around, "ask", lambda node: (["channel a: m completed"], []))
    around.prove(make_node())
    assert told == ["channel a: m completed"]
    monkeypatch.setattr(around, "ask", lambda node: ([], ["channel b is not answered any more: no such host"]))
    with pytest.raises(FirstStartError, match=r"channel b is .*\. Fix that, or disable the channel"):
        around.prove(make_node())
