"""`llm-gateway alerts`: what is told of each destination, and of hosts that send nothing."""

from __future__ import annotations

from typing import Any

import pytest

from llm_gateway.hosts import remote
from llm_gateway.tasks import alerts
from tests.unit.deployed import deployed
from tests.unit.test_deploy_plan import AGENT, GATEWAY
from tests.unit.topology import DIRECTORY, make_node


def _node(**chosen: Any) -> Any:
    stat = deployed(GATEWAY, AGENT).gateway["tracked_stat"]
    there = f"{DIRECTORY}/send-alerts 755 root:root 1700000000.000000\n"
    return make_node({**deployed(GATEWAY, AGENT).gateway, "tracked_stat": stat + there}, **chosen)


def test_each_destination_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def run(host: object, command: str, stdin: str | None = None) -> list[str]:
        asked.append(command)
        return ["ntfy:A\tdelivered", "feishu:B\tHTTP 200: sign match fail"]

    monkeypatch.setattr(remote, "run", run)
    found = alerts.tried(_node())
    assert asked == [f"{{ {DIRECTORY}/send-alerts --test || [ $? = 1 ]; }}"]
    assert list(found.lines()) == ["gw1: ntfy:A: delivered", "gw1: feishu:B: not delivered: HTTP 200: sign match fail"]
    assert not found.is_well
    assert alerts.Tried("gw1", "", found.destinations[:1]).is_well


def test_a_host_that_sends_nothing_yet_is_told_with_the_fix() -> None:
    assert list(alerts.tried(make_node()).lines()) == [
        "gw1: nothing sends alarms from this host yet: set gateway_alerts, and run deploy.py"
    ]
    found = alerts.tried(make_node(gateway_alerts=["ntfy:A"]))
    assert (found.problem, found.is_well) == ("nothing sends alarms from this host yet: run deploy.py", False)


def test_a_host_that_cannot_be_asked_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(host: object, command: str, stdin: str | None = None) -> list[str]:
        raise remote.RemoteError("no output")

    monkeypatch.setattr(remote, "run", run)
    assert list(alerts.tried(_node()).lines()) == ["gw1: no output"]
