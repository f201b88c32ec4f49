"""files/tailscale-problem: which state of Tailscale is told in which words, with the command that fixes it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from llm_gateway.model.checkout import TAILSCALE_PROBLEM

ROUTE = "172.19.0.2 dev {} src 172.19.0.1 uid 0"
BRIDGE = "5: llmgw0    inet 172.19.0.1/16 brd 172.19.255.255 scope global llmgw0"


WELL = ROUTE.format("llmgw0")


def told(place: Path, status: str | None, route: str = WELL, bridge: str = BRIDGE, active: str = "active") -> str:
    """What it says. `status`: what `tailscale status --json` prints; None where that fails."""
    commands = {
        "tailscale": "[ \"$*\" = 'status --json' ] || exit 3\n" + ("exit 1" if status is None else f"echo '{status}'"),
        "ip": f"case \"$*\" in *'route get 172.19.0.2') echo '{route}' ;; *' dev llmgw0') echo '{bridge}' ;; esac",
        "systemctl": f"echo {active}; [ {active} = active ]",
    }
    for name, text in commands.items():
        (place / name).write_text(f"#!/bin/sh\n{text}\n")
        (place / name).chmod(0o755)
    done = subprocess.run(
        ["sh", "-euc", f". {TAILSCALE_PROBLEM}\ntailscale_problem"],
        env={"PATH": f"{place}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.strip()


def status(backend: str, key: str = "true") -> str:
    """As v1.102.5 prints it."""
    lines = ('"Version": "1.102.5"', '"TUN": true', f'"BackendState": "{backend}"', f'"HaveNodeKey": {key}')
    return "{\n  " + ",\n  ".join(lines) + "\n}"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (status("Stopped"), "Tailscale is down on this host: `tailscale up`"),
        (status("NeedsLogin", "false"), "this host is logged out of Tailscale: log in with `tailscale up`"),
        (status("NeedsLogin"), "the Tailscale key of this host has expired: log in anew with `tailscale up`"),
        (status("NeedsMachineAuth"), "this host waits for its approval in Tailscale's admin console (Machines)"),
        (status("NoState", "false"), "Tailscale has not got to its coordination server yet: `journalctl -n 20 -u tai"),
        (status("Starting"), "Tailscale has not got to its coordination server yet: `journalctl"),
        ("{}", "tailscaled does not answer: `systemctl restart tailscaled`"),
        (None, "tailscaled does not answer: `systemctl restart tailscaled`"),
    ],
)
def test_each_state_is_told_with_its_command(tmp_path: Path, said: str | None, words: str) -> None:
    assert told(tmp_path, said).startswith(words)


def test_a_daemon_that_does_not_run_is_to_be_started(tmp_path: Path) -> None:
    words = "tailscaled does not run on this host: `systemctl start tailscaled`"
    assert told(tmp_path, None, active="inactive") == words


@pytest.mark.parametrize("bridge", [BRIDGE, ""])
def test_nothing_is_told_where_all_is_well(tmp_path: Path, bridge: str) -> None:
    assert told(tmp_path, status("Running"), bridge=bridge) == ""


def test_an_exit_node_that_takes_what_is_for_the_container_is_told(tmp_path: Path) -> None:
    words = "an exit node takes what is for the container: `tailscale set --exit-node-"
    assert told(tmp_path, status("Running"), ROUTE.format("tailscale0 table 52")).startswith(words)
