"""The firewall: what its rules let through, what a host that was read says of it, and the script that holds it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from llm_gateway.contents import reach
from llm_gateway.flavours import Channel
from llm_gateway.hosts.host_state import HostState
from llm_gateway.hosts.topology import Node, Run
from llm_gateway.model.checkout import ROOT
from llm_gateway.parts import firewall
from llm_gateway.parts.firewall_rules import REFUSED, Door, Reach, version
from tests.unit.deployed import deployed, firewall_table
from tests.unit.fake_hosts import ADDRESS, FRESH, OPENCLAW
from tests.unit.topology import make_agent, make_node

LAN = "http://192.168.1.5:8000"


def lines(**chosen: Any) -> list[str]:
    """The rules, one a line."""
    return [line.strip() for line in Reach.wanted(make_node(**chosen)).rules().decode().splitlines()]


def declared(base_url: str) -> list[dict[str, Any]]:
    return [{"name": "lan", "type": "openai", "base_url": base_url, "key": "K", "models": ["MiniMax-M2.5", "e"]}]


def test_the_port_is_for_tailscale_alone_by_the_interface() -> None:
    rules = lines()
    assert f'ip daddr {ADDRESS} tcp dport 3000 iifname != "tailscale0" counter drop' in rules
    assert not [line for line in rules if "reject with tcp reset" in line]


def test_peers_that_are_named_are_the_only_ones() -> None:
    rules = lines(gateway_allowed_peers=["100.64.1.0/24", "100.64.1.7", "100.64.9.9"])
    named = "ip saddr != { 100.64.1.0/24, 100.64.9.9 } counter reject with tcp reset"
    assert f"ip daddr {ADDRESS} tcp dport 3000 {named}" in rules


def test_addresses_in_channels_are_allowed_by_themselves() -> None:
    assert "tcp dport 8000 ip daddr { 192.168.1.5 } accept" in lines(gateway_channels=declared(LAN))
    assert "tcp dport 443 ip daddr { 10.0.0.9 } accept" in lines(gateway_channels=declared("https://10.0.0.9"))
    assert not [
        line for line in lines(gateway_channels=declared("http://models.lan:80")) if line.startswith("tcp dport")
    ]


def test_addresses_of_names_and_proxies_that_the_settings_give_are_allowed_by_themselves() -> None:
    hosts = {"Ollama": "172.17.0.1", "proxy": "192.168.1.9", "lost": None}
    rules = lines(gateway_channels=declared("http://ollama:11434"), gateway_extra_hosts=hosts)
    assert [line for line in rules if line.startswith("tcp dport")] == [
        "tcp dport 11434 ip daddr { 172.17.0.1 } accept"
    ]
    proxies = {"HTTPS_PROXY": "http://proxy:7890", "RELAY_PROXY": "socks5://10.0.0.9:1080", "NO_PROXY": "10.0.0.8"}
    rules = lines(gateway_environment=proxies, gateway_extra_hosts=hosts)
    assert "tcp dport 7890 ip daddr { 192.168.1.9 } accept" in rules
    assert "tcp dport 1080 ip daddr { 10.0.0.9 } accept" in rules


def test_overlapping_upstreams_make_one_set_that_nftables_takes() -> None:
    rules = lines(gateway_private_upstreams=["10.0.0.0/8", "10.1.0.0/16", "10.1.0.1:80", "10.1.0.0:80"])
    assert "ip daddr { 10.0.0.0/8 } accept" in rules
    assert "tcp dport 80 ip daddr { 10.1.0.0/31 } accept" in rules


def test_what_counts_as_private_is_what_the_rules_refuse() -> None:
    text = " ".join(lines())
    refused = text[text.index("ip daddr { 0.0.0.0/8") : text.index("} counter reject")]
    assert refused.removeprefix("ip daddr { ").split(", ") == [*map(str, REFUSED[:-1]), "224.0.0.0/3 "]


def test_each_setting_makes_another_version() -> None:
    texts = [
        Reach.wanted(make_node(**chosen)).rules()
        for chosen in ({}, {"gateway_port": 3001}, {"gateway_allowed_peers": ["100.64.0.9"]})
    ]
    assert len({version(text.decode()) for text in texts}) == 3


@pytest.mark.parametrize(
    ("before", "now", "either"),
    [
        ((3000, []), (3000, []), [(3000, ())]),
        ((3001, []), (3000, []), [(3000, ()), (3001, ())]),
        ((3000, ["100.64.0.5"]), (3000, ["100.64.0.6"]), [(3000, ("100.64.0.5", "100.64.0.6"))]),
        ((3000, []), (3000, ["100.64.0.6"]), [(3000, ())]),
        ((3000, ["100.64.0.5"]), (3000, []), [(3000, ())]),
    ],
)
def test_until_a_run_is_through_those_who_used_the_gateway_before_get_in_too(
    before: tuple[int, list[str]], now: tuple[int, list[str]], either: list[tuple[int, tuple[str, ...]]]
) -> None:
    old, new = (
        Reach.wanted(
            make_node(gateway_port=port, gateway_allowed_peers=peers, gateway_private_upstreams=[f"10.0.0.1:{port}"])
        )
        for port, peers in (before, now)
    )
    assert Reach.of_file(old.rules().decode()) == old
    both = new | old
    assert both.doors == tuple(Door(ADDRESS, port, peers) for port, peers in either)
    assert both.upstreams == tuple(sorted({f"10.0.0.1:{before[0]}", f"10.0.0.1:{now[0]}"}))


@pytest.mark.parametrize(
    "said",
    [
        "",
        "{",
        "[]",
        '{"doors": 1, "upstreams": []}',
        '{"doors": [{"address": "x; }", "port": 3000, "peers": []}], "upstreams": []}',
        '{"doors": [{"address": "100.64.0.1", "port": "3000", "peers": []}], "upstreams": []}',
        '{"doors": [], "upstreams": ["10.0.0.0/8; accept"]}',
        '{"doors": [], "upstreams": [5]}',
        '{"doors": [], "upstreams": ["10.0.0.1:99999"]}',
        pytest.param("[" * 100_000, id="deep"),
    ],
)
def test_rules_that_somebody_has_edited_are_not_taken_up(said: str) -> None:
    assert Reach.of_file(f"# Lets through: {said}\n") is None


def read(**answers: str) -> Node:
    """A deployed gateway whose host answers otherwise in this."""
    made = make_node()
    made.machine.state = HostState({**deployed("gw1", "agent1").gateway, **answers})
    return made


def test_nothing_is_wrong_with_a_firewall_that_stands() -> None:
    assert firewall.problem(read()) is None


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ({"firewall_table": ""}, "is not there"),
        ({"firewall_unit": "ActiveState=failed\nUnitFileState=enabled\nNeedDaemonReload=no\n"}, "does not run"),
        ({"firewall_unit": "ActiveState=active\nUnitFileState=disabled\nNeedDaemonReload=no\n"}, "does not run"),
        ({"firewall_table": firewall_table(make_node(gateway_port=3001))}, "do not match the settings"),
        ({"firewall_loaded": ""}, "do not match those that were loaded"),
        ({"firewall_table": firewall_table(make_node()).replace("owner,", "")}, "do not match those that were loaded"),
    ],
)
def test_what_is_wrong_is_told(answers: dict[str, str], told: str) -> None:
    assert told in str(firewall.problem(read(**answers)))


def test_a_host_that_has_lost_its_address_is_judged_by_the_rest() -> None:
    assert firewall.problem(read(tailscale_ip="", tailscale0="")) is None
    assert "does not run" in str(firewall.problem(read(tailscale_ip="", tailscale0="", firewall_unit="")))


def test_agents_that_would_be_shut_out_are_told_before_anything_is_touched() -> None:
    run = Run()
    gateway = make_node(run=run, gateway_allowed_peers=["100.64.0.5"])
    for name, address in (("agent1", "100.64.0.5"), ("agent2", "100.64.0.6")):
        make_agent({**FRESH, **OPENCLAW, "tailscale0": f"{address}/32\n"}, name=name, run=run)
    assert list(firewall.problems(gateway)) == [
        "gateway_allowed_peers: agent2 uses this gateway, so add its address, 100.64.0.6"
    ]


def channel(name: str, base_url: str, status: int = 1) -> Channel:
    return Channel(1, name, 1, base_url, ("m",), None, ("default",), 0, 0, status)


def test_a_channel_that_nobody_declared_and_that_cannot_be_reached_is_told_with_the_setting() -> None:
    (told,) = reach.problems(make_node().gateway, [channel("old", LAN)])
    assert 'gateway_private_upstreams = ["192.168.1.5:8000"]' in told


def test_channels_that_can_be_reached_are_not_told() -> None:
    made = make_node(gateway_private_upstreams=["192.168.1.0/24"], gateway_channels=declared("http://10.0.0.9:80"))
    channels = [
        channel("public", "https://8.8.8.8"),
        channel("named", "http://models.lan"),
        channel("none", ""),
        channel("allowed", LAN),
        channel("disabled", "http://10.9.9.9", status=2),
        channel("lan", "http://10.9.9.9"),  # what is declared of it will be written
    ]
    assert list(reach.problems(made.gateway, channels)) == []


# -- the script, with an nft that notes what it is asked

_NFT = """#!/bin/sh
echo "$@" >> "$NOTES"
case "$*" in
    -c*persist*) exit "$PERSIST" ;;
    -c*owner*) exit "$OWNER" ;;
    *"list set"*) cat "$TABLE" ;;
    *"list table"*)
        cat "$TABLE"
        [ -z "$TAKES" ] || [ ! -f "$RUNTIME_DIRECTORY/rules.nft" ] || cat "$RUNTIME_DIRECTORY/rules.nft"
        ;;
esac
"""


def run(place: Path, mode: str, table: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """The script, beside rules.

    Parameters: `environment`, PERSIST and OWNER: what nft ends with when it is asked whether it knows them; TAKES: not
    empty where it takes in what it is sent.
    """
    script = (ROOT / "files/hold-firewall").read_text()
    for path in ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf", "/etc/docker/daemon.json"):
        script = script.replace(path, str(place / path.removeprefix("/run/systemd").replace("/", "-")))
    for name, text in (("hold-firewall", script), ("nft", _NFT), ("sleep", "#!/bin/sh\n")):
        (place / name).write_text(text)
        (place / name).chmod(0o755)
    (place / "rules.nft").write_bytes(Reach.wanted(make_node()).rules())
    (place / "table").write_text(table)
    (place / "run").mkdir(exist_ok=True)
    wanted = {
        "PATH": f"{place}:{os.environ['PATH']}",
        "RUNTIME_DIRECTORY": str(place / "run"),
        "NOTES": str(place / "notes"),
        "TABLE": str(place / "table"),
        "PERSIST": "0",
        "OWNER": "0",
        "TAKES": "yes",
        **environment,
    }
    return subprocess.run(
        [place / "hold-firewall", mode], env=wanted, capture_output=True, text=True, timeout=30, check=False
    )


def test_a_kernel_that_gives_no_table_an_owner_is_told_and_nothing_is_held(tmp_path: Path) -> None:
    done = run(tmp_path, "hold", PERSIST="1", OWNER="1")
    assert done.returncode == 1
    assert "Linux 5.12 and nftables 1.0 are needed" in done.stderr
    assert not (tmp_path / "run/commands").exists()


@pytest.mark.parametrize(
    ("table", "is_deleted"),
    [
        ("", False),
        ("table inet openclaw_llm_gateway {\n\tflags persist\n}\n", False),
        ("table inet openclaw_llm_gateway {\n}\n", True),
    ],
)
def test_only_a_table_that_could_not_be_taken_over_is_deleted_first(
    tmp_path: Path, table: str, is_deleted: bool
) -> None:
    assert run(tmp_path, "hold", table).returncode == 0
    notes = (tmp_path / "notes").read_text().splitlines()
    assert ("delete table inet openclaw_llm_gateway" in notes) == is_deleted
    assert notes[-1] == "-i"


def _hold(place: Path) -> None:
    (place / "run").mkdir()
    os.mkfifo(place / "run/commands")


def test_rules_that_nobody_takes_in_are_told(tmp_path: Path) -> None:
    _hold(tmp_path)
    done = run(tmp_path, "load", TAKES="")
    assert done.returncode == 1
    assert "nftables has not taken" in done.stderr
    assert not (tmp_path / "run/loaded").exists()


@pytest.mark.parametrize(("persist", "flags"), [("0", "owner, persist"), ("1", "owner")])
def test_the_table_persists_where_the_kernel_knows_that(tmp_path: Path, persist: str, flags: str) -> None:
    _hold(tmp_path)
    done = run(tmp_path, "load", PERSIST=persist)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "run/loaded").exists()
    assert f"table inet openclaw_llm_gateway {{ flags {flags}; }}" in (tmp_path / "run/rules.nft").read_text()


# One that takes a command by its standard input, and a moment that is long: before the one, and after the other.
_HOLDS = """#!/bin/sh
[ "$1" != -i ] || { read -r command && echo "$command" >> "$NOTES"; }
"""
_SLOW = """#!/bin/sh
PATH=/usr/bin:/bin mkfifo "$@" && sleep 1
"""


def test_rules_that_are_loaded_while_it_starts_are_not_lost(tmp_path: Path) -> None:
    for name, text in (
        ("hold-firewall", (ROOT / "files/hold-firewall").read_text()),
        ("nft", _HOLDS),
        ("mkfifo", _SLOW),
    ):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "rules.nft").write_bytes(Reach.wanted(make_node()).rules())
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "RUNTIME_DIRECTORY": str(tmp_path / "run"),
        "NOTES": str(tmp_path / "notes"),
    }
    (tmp_path / "run").mkdir()
    # As systemd starts them: the second once the first is a process.
    with (
        subprocess.Popen([tmp_path / "hold-firewall", "hold"], env=environment) as holds,
        subprocess.Popen([tmp_path / "hold-firewall", "load"], env=environment, stderr=subprocess.DEVNULL) as loads,
    ):
        try:
            assert holds.wait(10) == 0, "it reads one command, and ends"
        finally:
            holds.kill()
            loads.kill()
    assert (tmp_path / "notes").read_text() == f'include "{tmp_path}/run/rules.nft"\n'
