"""Whom the container may ask for names: the resolvers that its host has."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tests.unit.test_firewall import lines, run


def _added(place: Path, table: str = "") -> list[str]:
    """The resolvers that the container may ask, by the rules that are loaded."""
    (place / "run").mkdir(exist_ok=True)
    if not (place / "run/commands").exists():
        os.mkfifo(place / "run/commands")
    run(place, "load", table)
    text = (place / "run/rules.nft").read_text()
    return re.findall(r"^add element inet openclaw_llm_gateway resolvers \{ (\S+) \}$", text, re.MULTILINE)


def test_the_container_may_ask_the_resolvers_of_its_host_alone(tmp_path: Path) -> None:
    assert _added(tmp_path) == [], "a host that has none"
    (tmp_path / "-etc-resolv.conf").write_text(
        "# nameserver 10.9.9.9\nsearch lan\nnameserver 127.0.0.53\nnameserver 192.168.1.1\n"
        " nameserver\t169.254.169.253 x\nnameserver fe80::1%eth0\n"
        "nameserver 10.0.0.256\nnameserver 10.0.0\nnameserver ::1\nnameserver 0.0.0.0\n"
        "nameserver 1.1.1.1; flush ruleset\nnameserver 224.0.0.251\nnameserver 192.168.1.1\n"
    )
    assert _added(tmp_path) == ["169.254.169.253", "192.168.1.1"]
    (tmp_path / "-resolve-resolv.conf").write_text("nameserver 100.100.100.100\n")
    (tmp_path / "-etc-docker-daemon.json").write_text('{"bip": "10.8.0.1/24",\n "dns": ["10.0.0.2",\n  "10.0.0.3"]}')
    everything = ["10.0.0.2", "10.0.0.3", "100.100.100.100", "169.254.169.253", "192.168.1.1"]
    assert _added(tmp_path) == everything
    (tmp_path / "-etc-docker-daemon.json").write_text("{}")
    (tmp_path / "-etc-resolv.conf").write_text("nameserver 10.0.0.4\n")
    (tmp_path / "-resolve-resolv.conf").unlink()
    assert _added(tmp_path, "elements = { 10.0.0.4, 192.168.1.1 }") == ["10.0.0.4", "192.168.1.1"], (
        "what it asks since its start"
    )


def test_names_are_asked_of_resolvers_alone() -> None:
    assert [line for line in lines() if " 53 " in line] == [
        "ip daddr @resolvers meta l4proto { tcp, udp } th dport 53 accept"
    ]


def _led(place: Path, present: str, table: str) -> list[str]:
    """The rules that lead questions elsewhere, where the host has these resolvers and the container's table those."""
    (place / "-etc-resolv.conf").write_text("".join(f"nameserver {each}\n" for each in present.split()))
    _added(place, f"elements = {{ {table} }}" if table else "")
    text = (place / "run/rules.nft").read_text()
    return re.findall(r"^add rule inet openclaw_llm_gateway resolve (.*)$", text, re.MULTILINE)


def test_what_a_container_asks_of_a_former_resolver_goes_to_those_of_now(tmp_path: Path) -> None:
    asks = 'iifname "llmgw*" ip daddr {{ {} }} meta l4proto {{ tcp, udp }} th dport 53 dnat ip to numgen inc mod '
    assert _led(tmp_path, "192.168.1.1", "192.168.1.1") == []
    assert _led(tmp_path, "192.168.1.1", "100.100.100.100, 192.168.1.1") == [
        f"{asks.format('100.100.100.100')}1 map {{ 0 : 192.168.1.1 }}"
    ]
    assert _led(tmp_path, "9.9.9.9 8.8.8.8", "1.1.1.1, 100.100.100.100") == [
        f"{asks.format('1.1.1.1,100.100.100.100')}2 map {{ 0 : 8.8.8.8, 1 : 9.9.9.9 }}"
    ]


def test_where_the_host_asks_itself_nothing_is_led_elsewhere(tmp_path: Path) -> None:
    """Nobody in the container's network gets to a loopback address of the host; a start of the gateway fixes it."""
    assert _led(tmp_path, "127.0.0.1", "100.100.100.100") == []
