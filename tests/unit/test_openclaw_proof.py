"""What verification and the status say of OpenClaw's unit and of its readiness."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llm_gateway.hosts import remote
from llm_gateway.hosts.topology import Agent
from llm_gateway.parts.openclaw import openclaw_config, openclaw_ready
from llm_gateway.proof import agent_path, openclaw_proof
from llm_gateway.proof.agent_path import Look
from llm_gateway.status import attention, host_status, shapes
from tests.unit.test_openclaw_config import agent, configured
from tests.unit.test_openclaw_restart import unit

LATER = "ExecMainStartTimestamp=Sun 2001-11-25 11:06:01.123456 UTC\n"
READY, WAITING = "ready", "waiting (HTTP/1.1 503 Service Unavailable)"


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the person at the terminal reads."""
    lines: list[str] = []
    for name in ("tell", "complain"):
        monkeypatch.setattr(remote, name, lambda host, text: lines.append(text))
    return lines


def verify(made: Agent, monkeypatch: pytest.MonkeyPatch, look: str = READY) -> bool:
    """Whether verification finds all well."""
    monkeypatch.setattr(openclaw_ready, "look", lambda agent, seconds: look)
    monkeypatch.setattr(openclaw_config, "unused", lambda agent: None)
    monkeypatch.setattr(openclaw_ready, "rejected", lambda agent: None)
    found = list(openclaw_proof._verify._inner(made))  # type: ignore[attr-defined]
    state: Any = SimpleNamespace()
    for command in found:
        assert command.function(state, made.host, *command.args) is False
    return not found


@pytest.mark.parametrize(
    ("changed", "look", "words"),
    [
        (
            unit("failed"),
            READY,
            "openclaw-gateway.service is failed: `journalctl -u openclaw-gateway.service` says why",
        ),
        (unit("inactive"), READY, "openclaw-gateway.service is inactive"),
        (unit("activating"), READY, "openclaw-gateway.service is activating"),
        ({**unit(), "openclaw_command": "", "openclaw_unit": unit("failed")["openclaw_unit"]}, READY, "is failed"),
        (unit(), WAITING, "openclaw-gateway.service is not ready (waiting (HTTP/1.1 503 Service Unavailable))"),
        (unit(), "down 78", "openclaw-gateway.service has ended with 78: `journalctl"),
        (unit(), "down 1 no room", "openclaw-gateway.service has ended with 1: no room; `journalctl"),
        ({"openclaw_unit": unit()["openclaw_unit"] + LATER}, READY, "runs with what it read before its .env"),
    ],
)
def test_verification_looks_at_the_unit_and_at_its_readiness(
    changed: dict[str, str], look: str, words: str, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    assert not verify(agent(changed), monkeypatch, look)
    assert len(told) == 1 and words in told[0], told


@pytest.mark.parametrize(
    ("changed", "chosen", "words"),
    [
        ({}, {}, "OpenClaw is ready, and by its own word uses http://100.64.0.10:3000/v1 as default_llm"),
        ({}, {"openclaw_provider": None}, "openclaw-gateway.service is ready; what it uses is not known"),
        ({"openclaw_command": ""}, {}, "openclaw-gateway.service runs; what it uses is not known"),
    ],
)
def test_no_more_is_said_than_is_known(
    changed: dict[str, str],
    chosen: dict[str, Any],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    told: list[str],
) -> None:
    assert verify(agent({**unit(), **changed}, **chosen), monkeypatch)
    assert told == [words]


@pytest.mark.parametrize(
    ("changed", "look", "readiness"),
    [
        ({**unit(), **configured()}, READY, READY),
        ({**unit(), **configured()}, WAITING, WAITING),
        (unit("inactive"), WAITING, None),
        ({**unit(), "openclaw_command": ""}, WAITING, None),
    ],
)
def test_the_status_says_whether_it_is_ready(
    changed: dict[str, str], look: str, readiness: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openclaw_ready, "look", lambda agent, seconds: look)
    monkeypatch.setattr(openclaw_ready, "rejected", lambda agent: None)
    monkeypatch.setattr(agent_path, "look", lambda agent: [Look(0.01)])
    made = agent(changed)
    found = host_status._openclaw(made)
    assert found.readiness == readiness
    shown = shapes.HostStatus("agent1", ("openclaw",), "up", openclaw=found)
    needed = [text for text in attention.of(made.machine, shown) if "is not ready" in text]
    assert len(needed) == (readiness == WAITING)


def test_a_configuration_that_cannot_be_read_leaves_the_readiness_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_path, "look", lambda agent: [Look(0.01)])
    monkeypatch.setattr(openclaw_ready, "rejected", lambda agent: None)
    made = agent({**unit(), "openclaw_config": "{", "openclaw_arguments": "", "openclaw_variables": ""})
    assert "where it listens is not known" in str(host_status._openclaw(made).readiness)


ISSUES = "gateway.port: Invalid input: expected number, received string"
SKIPPED = "[reload] config reload skipped (invalid config): "
NOT_VALID = "/home/claw/.openclaw/openclaw.json is not valid, and OpenClaw would not start again: gateway.port: "


@pytest.mark.parametrize("chosen", [{}, {"openclaw_provider": None}])
def test_a_configuration_with_which_it_would_not_start_again_is_told_while_it_runs(
    chosen: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a configuration that is not valid, `config get` fails; where that is not asked, its log says so."""

    def run(host: object, command: str, stdin: str | None = None) -> list[str]:
        if "config get" in command:
            raise remote.RemoteError('{"error": "OpenClaw config is invalid"}')
        if "config validate" in command:
            issue = {"path": "gateway.port", "message": ISSUES.partition(": ")[2]}
            return [json.dumps({"valid": False, "issues": [issue]})]
        return [ISSUES]

    monkeypatch.setattr(openclaw_ready, "look", lambda agent, seconds: READY)
    monkeypatch.setattr(remote, "run", run)
    monkeypatch.setattr(agent_path, "look", lambda agent: [Look(0.01)])
    made = agent(unit(), **chosen)
    assert str(openclaw_proof._problem(made)).startswith(NOT_VALID)
    shown = shapes.HostStatus("agent1", ("openclaw",), "up", openclaw=host_status._openclaw(made))
    (needed,) = [text for text in attention.of(made.machine, shown) if "not valid" in text]
    assert needed.startswith(NOT_VALID)


@pytest.mark.parametrize(
    ("log", "told"),
    [
        (f"2026-11-30T04:59:38.601+00:00 {SKIPPED}{ISSUES}", ISSUES),
        (f"{SKIPPED}an older one\n{SKIPPED}{ISSUES}", ISSUES),
        ("[reload] config change detected\nsomebody wrote: " + SKIPPED + "x", ""),
    ],
)
def test_the_host_tells_what_a_running_openclaw_said_of_the_last_change(tmp_path: Path, log: str, told: str) -> None:
    """Of the minute after that alone, as journalctl is asked."""
    configuration = tmp_path / "openclaw.json"
    configuration.write_text("{}")
    os.utime(configuration, (1796014778, 1796014778))
    (tmp_path / "log").write_text(log)
    window = "_UID=1001 _SYSTEMD_USER_UNIT=openclaw-gateway.service --since @1796014778 --until @1796014838 "
    program = tmp_path / "journalctl"
    program.write_text(f'#!/bin/sh\ncase "$*" in "{window}"*) cat {tmp_path}/log ;; esac\n')
    program.chmod(0o755)
    head = f"SCOPE=user USER_ID=1001 UNIT=openclaw-gateway.service CONFIGURATION={configuration}\n"
    done = subprocess.run(
        ["sh", "-c", head + openclaw_ready._RELOAD.read_text()],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == told
