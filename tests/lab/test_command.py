"""Two pairs of hosts, one deployed by `llm-gateway` and one by pyinfra, are alike; and what the command's user sees."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from llm_gateway.model import layout
from tests.lab.conftest import INVENTORY, ROOT, Lab, Run, python
from tests.lab.rows import secrets

PAIRS = {"pyinfra": ("gwpy", "agentpy"), "command": ("gwco", "agentco")}
LOOK = f"""
cd /
for place in {layout.OPT} {layout.STATE} {layout.UNITS} /etc/openclaw-llm-gateway* /home/openclaw/.openclaw; do
    find $place -xdev \\( -name '*.db*' -o -path '*/backups/*' -o -path '*/data/*' -o -path '*/agents/*' \\) \\
        -prune -o -printf '%p %y %m %u:%g %l\\n' 2>/dev/null
done | grep -E '{layout.PROJECT}|openclaw-gateway|\\.env' | sort
systemctl list-unit-files --no-legend '{layout.PROJECT}*' 'openclaw-gateway*' | awk '{{ print $1, $2 }}'
systemctl list-units --all --no-legend --plain '{layout.PROJECT}*' 'openclaw-gateway*' | awk '{{ print $1, $2, $3 }}' \\
    | grep -v -E 'backup.service|prune-logs.service|canary.service'
"""
SAME = f"find {layout.OPT}/docker-compose.yml {layout.UNITS}/{layout.PROJECT}* -type f | sort | xargs cat"


@dataclass(frozen=True)
class Ways:
    """The lab, a folder for each of the two ways with its inventory, and how the first deployment by each ended."""

    lab: Lab
    folders: dict[str, Path]
    first: dict[str, Run]

    def run(self, way: str, *arguments: str) -> Run:
        """That way of a deployment."""
        return _run(way, self.folders[way], *arguments)


def _run(way: str, folder: Path, *arguments: str) -> Run:
    inventory = str(folder / "inventory.py")
    pyinfra = [str(Path(sys.executable).with_name("pyinfra")), *arguments, inventory, "deploy.py"]
    ours = [sys.executable, "-m", "llm_gateway", "deploy", *arguments, inventory]
    done = subprocess.run(
        pyinfra if way == "pyinfra" else ours,
        cwd=ROOT,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return Run(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def ways(deployed: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ways]:
    """Both pairs, deployed, each by its own way."""
    hosts = [host for gateway, agent in PAIRS.values() for host in (f"{gateway}:ready", f"{agent}:agent")]
    with deployed.more_hosts(*hosts):
        groups, folders = runpy.run_path(INVENTORY), {}
        for way, (gateway, agent) in PAIRS.items():
            folders[way] = tmp_path_factory.mktemp(way)
            gateways = [(name, data) for name, data in groups["gateways"] if name == gateway]
            agents = [(name, data) for name, data in groups["openclaw"] if name == agent]
            agents = [(name, {**data, "openclaw_gateway": gateway}) for name, data in agents]
            assert gateways and agents
            (folders[way] / "inventory.py").write_text(f"gateways = {gateways!r}\nopenclaw = {agents!r}\n")
        first = {way: _run(way, folder, "-y") for way, folder in folders.items()}
        for way, run in first.items():
            assert run.code == 0, (way, run.output[-4000:])
        yield Ways(deployed, folders, first)


def test_both_ways_leave_the_same_files_and_units(ways: Ways) -> None:
    for index in (0, 1):
        looks = {}
        for way, pair in PAIRS.items():
            seen = ways.lab.ssh(pair[index], LOOK)
            looks[way] = re.sub(rf"\b({pair[0]}|{pair[1]})\b", "HOST", seen).splitlines()
            assert len(looks[way]) > 5, seen
        assert looks["command"] == looks["pyinfra"]
    contents = {
        way: ways.lab.ssh(gateway, SAME).replace(ways.lab.address(gateway), "ADDRESS")
        for way, (gateway, _) in PAIRS.items()
    }
    assert contents["command"] == contents["pyinfra"]


def test_both_ways_leave_the_same_journal(ways: Ways) -> None:
    ends = {}
    for way, (gateway, _) in PAIRS.items():
        lines = [json.loads(line) for line in ways.lab.ssh(gateway, f"cat {layout.JOURNAL}").splitlines()]
        begun, ended = lines[0], lines[-1]
        ends[way] = (begun["script"], ended["event"], ended["outcome"], ended["changes"])
    assert ends["command"] == ends["pyinfra"]
    assert ends["command"][:3] == ("deploy.py", "ended", "done")


def test_a_person_reads_a_first_deployment_in_a_minute(ways: Ways) -> None:
    gateway, agent = PAIRS["command"]
    run = ways.first["command"]
    told = run.stderr.splitlines()
    assert run.stdout == ""
    assert len(told) < 40 < len(ways.first["pyinfra"].stderr.splitlines()), run.stderr
    assert not [line for line in told if "Skipped" in line or line.startswith("-->") or "\x1b" in line]
    for host in (gateway, agent):
        assert any(line.startswith(f"✓ {host}: verified within ") for line in told), run.stderr
    table = [line.split() for line in told[told.index(next(line for line in told if line.startswith("host "))) :]]
    assert table[1][0] == gateway and table[1][2] == "changes"
    assert table[2][0] == agent and table[2][2].startswith("change")
    assert told[-1].startswith("Next: python -m llm_gateway status ")


def test_a_second_run_changes_nothing_either_way(ways: Ways) -> None:
    totals = {way: json.loads(ways.run(way, "-y", "--json").stdout)["results"]["totals"] for way in PAIRS}
    assert totals["command"]["success"] == totals["command"]["error"] == 0
    assert totals["command"] == totals["pyinfra"]
    again = ways.run("command", "-y")
    assert again.code == 0, again.output
    table = [line.split() for line in again.stderr.splitlines() if re.match(r"(gw|agent)co ", line)]
    assert [row[:2] for row in table] == [[host, "nothing"] for host in PAIRS["command"]]


def test_logs_are_shown_and_no_secret_is_in_any_output(ways: Ways) -> None:
    gateway, _ = PAIRS["command"]
    inventory = str(ways.folders["command"] / "inventory.py")
    run = python("-m", "llm_gateway", "logs", "--no-follow", inventory, timeout=120)
    assert run.code == 0, run.stderr
    for source in ("unit", "container"):
        assert f"{gateway} {source}: " in run.stdout
    written = run.output + ways.first["command"].output
    for secret in {*secrets(ways.lab, gateway), ways.lab.state["upstream"]["api_key"]}:
        assert secret not in written, "a secret stands in the output (its value is not shown here)"
