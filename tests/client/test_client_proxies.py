"""When the environment's proxy is used, and when it must not be (loopback only)."""

from __future__ import annotations

import socket

import pytest
from raw_server import ANSWER, OK, raw_server
from test_client import HELLO, KEY

from llm_client import LLMClient, LLMConfigError
from llm_client.proxies import environment_proxy, is_private

HOSTS = [
    ("127.0.0.1", True),
    ("localhost", True),
    ("10.1.2.3", True),
    ("172.31.0.1", True),
    ("172.32.0.1", False),
    ("192.168.1.1", True),
    ("100.115.94.1", True),
    ("100.63.0.1", False),
    ("100.128.0.1", False),
    ("fd7a:115c:a1e0::1", True),
    ("::1", True),
    ("::ffff:100.115.94.1", True),
    ("2001:db8::1", False),
    ("OneAPI.tail1234.ts.net.", True),
    ("gw.ts.net.evil.com", False),
    ("nots.net", False),
    ("api.openai.com", False),
    ("gw1", True),  # MagicDNS's short name
    ("gw1.local", True),
    ("host.docker.internal", True),
]
"""Hosts, and whether no outside proxy could reach them; test_node_module.py has the same for Node."""


@pytest.mark.parametrize(("host", "private"), HOSTS)
def test_private_hosts_never_use_the_environments_proxy(
    host: str, private: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "proxy.example:8080")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("NO_PROXY", "[fd7a::1],100.*")
    assert is_private(host) is private
    assert environment_proxy("http", host) == (None if private else "http://proxy.example:8080")


def test_a_public_gateway_is_reached_through_the_environments_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[bytes] = []

    def proxy(connection: socket.socket) -> None:
        asked.append(b"")
        connection.sendall(OK)

    with raw_server(proxy) as address:
        monkeypatch.setenv("http_proxy", address)
        monkeypatch.setenv("no_proxy", "")
        with LLMClient("http://gateway.example", KEY) as client:
            assert client.chat("m", HELLO) == ANSWER
    assert len(asked) == 1


def test_a_socks_proxy_is_refused_with_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:1080")
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(LLMConfigError, match="NO_PROXY"):
        LLMClient("http://gateway.example", KEY)
