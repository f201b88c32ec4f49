"""The fleet as a table, as JSON and as a page; what comes from hosts is shown as it is and never taken for HTML."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.overview import ages, host_status, status_page, status_table
from gateway.overview.differences import Drift
from gateway.overview.host_status import Backup, Disk, GatewayStatus, HostStatus, LastRun, OpenClawStatus
from gateway.runs.front import status_command
from tests.unit.test_front import PYINFRA

NOW = datetime(2026, 11, 22, 10, 11, 12, tzinfo=UTC)
EVIL = "<script>alert('x')</script>\"&"
GATEWAY = GatewayStatus(
    True,
    "100.64.0.1:3000",
    "v0.6.10",
    "justsong/one-api:v0.6.10",
    90000.0,
    ("MiniMax-M2.5", "text-embedding-v4", "qwen"),
    Backup("gateway-20261122T031500Z.tar.gz", 25000.0, 5 << 20, 14, ""),
    Disk(40 << 20, 30 << 20, "/"),
    None,
)
GW1 = HostStatus(
    "gw1",
    ("gateways",),
    "up",
    gateway=GATEWAY,
    drift=Drift("no"),
    last_run=LastRun("deploy.py", "wei@laptop", "2026-11-22T10:00:00Z", "3 changes", False),
)
AGENT1 = HostStatus(
    "agent1",
    ("openclaw",),
    "up",
    openclaw=OpenClawStatus("openclaw-gateway.service", "active", "gw1"),
    drift=Drift("yes", ("~/.openclaw/.env is another",)),
    attention=("differs",),
)


def test_a_table() -> None:
    told = status_table.text([GW1, AGENT1, host_status.down("gw2", ("gateways",))])
    lines = {line.split("  ")[0]: line.split() for line in told.splitlines() if line.strip()}
    assert lines["gw1"][1:7] == ["serves", "v0.6.10", "1", "d", "100.64.0.1:3000", "6"]
    assert "MiniMax-M2.5, text-embedding-v4 +1" in told
    assert "deploy.py 2026-11-22 10:00: 3 changes" in told
    assert lines["gw2"][1] == "DOWN"
    assert lines["agent1"][1:5] == ["active", "gw1", "yes", "(1)"]
    assert told.endswith("Needs attention:\n  agent1: differs\n  gw2: it cannot be reached")
    assert status_table.text([GW1]).endswith("All is well.")


@pytest.mark.parametrize(
    ("changed", "state"),
    [({"is_running": False}, "STOPPED"), ({"version": None}, "NO ANSWER"), ({"migrated_to": "gw2"}, "moved to gw2")],
)
def test_the_state_of_a_gateway(changed: dict[str, object], state: str) -> None:
    shown = HostStatus("gw1", ("gateways",), "up", gateway=GatewayStatus(**{**vars(GATEWAY), **changed}))
    assert status_table.state(shown) == state


def test_json_is_plain() -> None:
    assert json.loads(json.dumps(GW1.as_json()))["gateway"]["backup"]["count"] == 14


def test_what_hosts_say_is_escaped() -> None:
    evil = HostStatus(
        EVIL,
        ("gateways",),
        "up",
        gateway=GatewayStatus(**{**vars(GATEWAY), "models": (EVIL,), "image": EVIL, "version": EVIL}),
        drift=Drift("yes", (EVIL,)),
        attention=(EVIL,),
    )
    page = status_page.page([evil], NOW)
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;") == 6


def test_a_page_says_when_it_was_made_and_what_needs_a_person() -> None:
    page = status_page.page([GW1, AGENT1], NOW)
    assert "2026-11-22 10:11:12 UTC" in page
    assert "1 of 2 need attention" in page
    assert "all is well" in status_page.page([GW1], NOW)


def test_a_page_is_put_in_place_at_once(tmp_path: Path) -> None:
    place = tmp_path / "fleet.html"
    status_page.write(place, [GW1], NOW)
    status_page.write(place, [AGENT1], NOW)
    assert "agent1" in place.read_text()
    assert [file.name for file in place.parent.iterdir()] == ["fleet.html"]


@pytest.mark.parametrize(
    ("path", "told"), [(".", "it is a directory: name a file"), ("no/fleet.html", "there is no directory .*/no")]
)
def test_a_page_that_has_no_place_is_refused_and_nothing_is_made(tmp_path: Path, path: str, told: str) -> None:
    with pytest.raises(OSError, match=f"^{told}$"):
        status_page.write(tmp_path / path, [GW1], NOW)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("seconds", "told"), [(0, "0 s"), (59.9, "59 s"), (60, "1 min"), (7199, "1 h"), (86400 * 3 + 5, "3 d")]
)
def test_ages(seconds: float, told: str) -> None:
    assert ages.age(seconds) == told


@pytest.mark.parametrize(("count", "told"), [(4096, "4 KiB"), (120 << 20, "120 MiB"), (3 << 29, "1.5 GiB")])
def test_sizes(count: int, told: str) -> None:
    assert ages.size(count) == told


def test_options_become_data_of_pyinfra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = ("--data", "status_check=True", "--data", "status_json=True", "--data", f"status_html={tmp_path / 'f.html'}")
    assert status_command(["@local", "--check", "--json", "--html", "f.html"]) == [
        *(*PYINFRA, *data, "@local", "deploys/status.py"),
    ]
    assert status_command(["@local", "-v"]) == [*PYINFRA, "-v", "@local", "deploys/status.py"]
