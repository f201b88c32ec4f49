"""Our systemd unit and our drop-in, judged by systemd itself."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from llm_gateway.contents import budgets
from llm_gateway.contents.budgets import BUDGETS
from llm_gateway.model import layout
from llm_gateway.model.checkout import ROOT
from llm_gateway.parts import installation, log_pruning
from llm_gateway.parts.backups import scheduled_backups
from llm_gateway.parts.canary import scheduled_canary
from llm_gateway.parts.canary.scheduled_canary import CANARY
from llm_gateway.parts.log_pruning import PRUNING
from llm_gateway.parts.openclaw import openclaw
from tests.unit.fake_hosts import FRESH, OPENCLAW
from tests.unit.readers.missing import missing
from tests.unit.topology import make_machine, make_node

# What our units name, as a real host has it.
STUBS = {
    "docker.service": "[Service]\nExecStart=/bin/true\n",
    "openclaw-llm-gateway-firewall.service": "[Service]\nExecStart=/bin/true\n",
    "tailscaled.service": "[Service]\nExecStart=/bin/true\n",
    "network-online.target": "[Unit]\n",
    "multi-user.target": "[Unit]\n",
    "basic.target": "[Unit]\n",
    "timers.target": "[Unit]\n",
    "time-sync.target": "[Unit]\n",
    "time-set.target": "[Unit]\n",
    "sysinit.target": "[Unit]\n",
    "shutdown.target": "[Unit]\n",
    "system.slice": "[Unit]\n",
    "-.mount": "[Mount]\nWhat=/dev/none\nWhere=/\n",
}
TIMED = (
    *(scheduled_backups.TIMER, scheduled_backups.SERVICE, CANARY.timer, CANARY.service),
    *(PRUNING.timer, PRUNING.service, BUDGETS.timer, BUDGETS.service),
)
SHUT_IN = (
    *(scheduled_backups.SERVICE, CANARY.service, PRUNING.service, BUDGETS.service),
    *(layout.GUARD_UNIT, layout.UNDO_UNIT),
)
SET = ("MEM0_DASHSCOPE_API_KEY", "OPENAI_API_BASE", "OPENAI_BASE_URL")
OPENCLAW_UNIT = "[Service]\nExecStart=/bin/true\nUser=root\n" + "".join(f"Environment={name}=old\n" for name in SET)


def analyze(place: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """systemd-analyze with the units of this directory and no others."""
    if shutil.which("systemd-analyze") is None:
        raise missing("systemd-analyze (Debian: systemd)")
    return subprocess.run(
        ["systemd-analyze", *arguments],
        env={**os.environ, "SYSTEMD_UNIT_PATH": str(place), "LC_ALL": "C", **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def complaints(place: Path, unit: str) -> str:
    """All that systemd says of a unit. Its exit code is 0 for unknown keys and wrong values, so its words count."""
    done = analyze(place, "verify", "--man=no", "--generators=no", str(place / unit))
    return done.stderr + done.stdout + (f"exit code {done.returncode}" if done.returncode else "")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The units of a host, ours among them; what our unit runs is there."""
    directory = tmp_path / "gateway"
    directory.mkdir()
    settings = {"gateway_directory": str(directory), "openclaw_budget": {"tokens": 1}}
    made = make_machine({**FRESH, **OPENCLAW}, roles="gateway openclaw", **settings)
    units = tmp_path / "units"
    units.mkdir()
    for name, text in STUBS.items():
        (units / name).write_text(text)
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\n")
    docker.chmod(0o755)
    timers = [*scheduled_backups.script_files(made.node), *scheduled_backups.unit_files(made.node)]
    timers += [*log_pruning.script_files(made.node), *log_pruning.unit_files(made.node)]
    timers += [*budgets.script_files(made.node), *budgets.unit_files(made.node)]
    timers += [*scheduled_canary.script_files(made.node), *scheduled_canary.unit_files(made.node)]
    for name in ("guard", "undo"):
        (units / f"openclaw-llm-gateway-{name}.service").write_bytes(
            (ROOT / f"files/openclaw-llm-gateway-{name}.service").read_bytes()
        )
    for file in (*installation.wanted_files(made.node), *timers):
        if Path(file.path).name in TIMED:
            (units / Path(file.path).name).write_bytes(file.content)
        if file.path == layout.UNIT_PATH:
            # systemd-analyze wants the programs to be there; this machine need not have Docker.
            (units / layout.UNIT).write_bytes(file.content.replace(b"/usr/bin/docker", str(docker).encode()))
        if file.mode == "755":
            Path(file.path).write_bytes(file.content)
            Path(file.path).chmod(0o755)
    (units / "openclaw-gateway.service").write_text(OPENCLAW_UNIT)
    drop_ins = units / "openclaw-gateway.service.d"
    drop_ins.mkdir()
    (drop_ins / layout.DROP_IN).write_text(openclaw._wanted_drop_in(made.agent))
    return units


def test_systemd_says_nothing_against_our_unit(place: Path) -> None:
    assert complaints(place, layout.UNIT) == ""


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("RestartSec=2", "RestartSecs=2"),
        ("Restart=always", "Restart=allways"),
        ("KillMode=mixed", "KillMode=mix"),
        ("ProtectSystem=strict", "ProtectSystem=strickt"),
        ("/start-gateway", "/start-getaway"),
    ],
)
def test_systemd_would_say_something_against_a_wrong_one(place: Path, right: str, wrong: str) -> None:
    unit = place / layout.UNIT
    text = unit.read_text()
    assert right in text
    unit.write_text(text.replace(right, wrong, 1))
    assert complaints(place, layout.UNIT) != ""


@pytest.mark.parametrize("name", [*TIMED, layout.GUARD_UNIT, layout.UNDO_UNIT])
def test_systemd_says_nothing_against_the_others(place: Path, name: str) -> None:
    assert complaints(place, name) == ""


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        (scheduled_backups.TIMER, "OnCalendar=daily", "OnCalendar=dayly"),
        (scheduled_backups.TIMER, "Persistent=true", "Persistant=true"),
        (scheduled_backups.SERVICE, "Type=oneshot", "Type=oneshott"),
        (scheduled_backups.SERVICE, "make-backup", "make-bakcup"),
        (CANARY.timer, "OnUnitActiveSec=5min", "OnUnitActiveSec=5mins5"),
        (CANARY.service, "ProtectSystem=full", "ProtectSystem=ful"),
        (PRUNING.timer, "OnCalendar=hourly", "OnCalendar=hourley"),
        (PRUNING.service, "prune-logs\n", "prune-log\n"),
        (BUDGETS.timer, "OnCalendar=*:0/5", "OnCalendar=*:0/a"),
        (BUDGETS.service, "/budgets\n", "/budget\n"),
        (layout.GUARD_UNIT, "PrivateNetwork=yes", "PrivateNetworks=yes"),
        (layout.UNDO_UNIT, "SystemCallFilter=@system-service", "SystemCallFilter=@system-services"),
    ],
)
def test_systemd_would_say_something_against_wrong_ones(place: Path, name: str, right: str, wrong: str) -> None:
    text = (place / name).read_text()
    assert right in text
    (place / name).write_text(text.replace(right, wrong))
    assert complaints(place, name) != ""


@pytest.mark.parametrize("name", SHUT_IN)
def test_what_root_runs_is_shut_in(place: Path, name: str) -> None:
    """`systemd-analyze security` gives 9.6 of 10 for a service that may do anything."""
    done = analyze(place, "security", "--offline=yes", "--no-pager", "--threshold=30", str(place / name))
    assert done.returncode == 0, done.stdout[-200:] + done.stderr


def test_what_our_unit_calls_is_where_debian_has_it() -> None:
    (unit,) = [file for file in installation.wanted_files(make_node()) if file.path == layout.UNIT_PATH]
    programs = re.findall(r"^Exec\w+=(\S+)", unit.content.decode(), re.MULTILINE)
    assert set(programs) == {"/opt/openclaw-llm-gateway/start-gateway"}


@pytest.mark.parametrize("directory", ["/opt/openclaw-llm-gateway", "/srv/other"])
def test_our_unit_starts_only_what_was_made_safe_and_comes_back_with_docker(directory: str) -> None:
    made = make_node(gateway_directory=directory)
    (unit,) = [file for file in installation.wanted_files(made) if file.path == layout.UNIT_PATH]
    lines = unit.content.decode().splitlines()
    assert [line.partition("=")[2] for line in lines if line.startswith("AssertPathExists=")] == [
        f"!{directory}/{layout.MOVED_AWAY}",
    ]
    assert f"WorkingDirectory=-{directory}" in lines, "by which migrate.py knows it for ours"
    for needed in ("docker.service", "openclaw-llm-gateway-firewall.service"):
        assert f"Requires={needed}" in lines
        assert needed in next(line for line in lines if line.startswith("WantedBy=")).split()


def test_systemd_says_nothing_against_our_drop_in(place: Path) -> None:
    assert complaints(place, "openclaw-gateway.service") == ""
    drop_in = place / "openclaw-gateway.service.d" / layout.DROP_IN
    drop_in.write_text(drop_in.read_text() + "UnsetEnviroment=A\n")
    assert "UnsetEnviroment" in complaints(place, "openclaw-gateway.service")


def test_the_drop_in_is_in_force(place: Path) -> None:
    """systemd joins it to the unit: the names set, then all of them taken away. It says so while it verifies."""
    dump = analyze(
        place, "verify", "--man=no", str(place / "openclaw-gateway.service"), SYSTEMD_LOG_LEVEL="debug"
    ).stdout
    ours = dump.partition("-> Unit openclaw-gateway.service:")[2].partition("-> Unit ")[0]
    assert re.findall(r"^\s+Environment: (\w+)=old$", ours, re.MULTILINE) == list(SET)
    assert re.findall(r"^\s+UnsetEnvironment: (.+)$", ours, re.MULTILINE) == [*SET, *openclaw.NAMES]
