"""When the gateway is published, and what follows from whether it answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from llm_gateway.hosts import remote
from llm_gateway.hosts.topology import Node
from llm_gateway.parts import first_start, packages, service
from llm_gateway.parts.docker import daemon_settings
from tests.unit.deployed import deployed
from tests.unit.topology import DIRECTORY, make_node

MIRROR = "https://mirror.example"


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the operations that were asked for."""
    names: list[str] = []

    def operation(name: str, **_: Any) -> None:
        names.append(name)

    steps: dict[Any, tuple[str, ...]] = {
        remote: ("shell", "write_file"),
        first_start: ("_secure",),
        service: ("_restart", "_await"),
        daemon_settings: ("_bring_into_line",),
    }
    for module, step in ((module, step) for module, names_of in steps.items() for step in names_of):
        monkeypatch.setattr(module, step, operation)
    return names


def done(**chosen: Any) -> Node:
    """A gateway that was found published, just as wanted."""
    made = make_node(deployed("gw1", "agent1").gateway, **chosen)
    assert service.is_published(made)
    return made


def test_what_is_published_is_left_alone(planned: list[str]) -> None:
    made = done()
    for step in (packages.install, first_start.secure, service.publish):
        step(made)
    assert planned == []
    assert not made.is_restarted


def test_a_gateway_that_was_not_seen_to_answer_is_awaited(planned: list[str]) -> None:
    made = make_node({**deployed("gw1", "agent1").gateway, "api_options": ""})
    service.publish(made)
    assert planned == ["Wait until the gateway answers"]
    assert (made.is_restarted, made.gateway.is_outdated) == (False, True)


def test_after_a_restart_of_docker_the_gateway_is_published(planned: list[str]) -> None:
    made = done(docker_registry_mirrors=[MIRROR])
    for step in (packages.install, first_start.secure, service.publish):
        step(made)
    assert planned[-2:] == [
        "Tell the Docker daemon of its mirrors and proxy",
        "Publish the gateway on its Tailscale address",
    ]
    assert made.is_restarted


def test_after_a_first_start_the_gateway_is_published(planned: list[str]) -> None:
    values = deployed("gw1", "agent1").gateway
    without_marker = values["tracked_stat"].replace(f"{DIRECTORY}/first-start-done", "/other")
    made = make_node({**values, "tracked_stat": without_marker})
    assert service.is_published(made)
    for step in (packages.install, first_start.secure, service.publish):
        step(made)
    assert planned == [
        "Replace the default password out of everybody's reach",
        "Publish the gateway on its Tailscale address",
    ]


@pytest.fixture
def outcome(monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], tuple[bool, str]]:
    """What follows when the gateway answers, or does not and why: the result, and words."""

    def publish(problem: str | None) -> tuple[bool, str]:
        told: list[str] = []
        monkeypatch.setattr(service, "await_answer", lambda *_: problem)
        monkeypatch.setattr(remote, "run", lambda host, command: ["panic: its own words"])
        monkeypatch.setattr(remote, "complain", lambda host, text: told.append(text))
        made = done()
        command, awaited = service._restart._inner(made)  # type: ignore[attr-defined]
        assert str(command).endswith("systemctl restart openclaw-llm-gateway.service")
        return awaited.function(None, made.host, *awaited.args), "".join(told)

    return publish


def test_a_gateway_that_does_not_answer_is_told_in_its_own_words(outcome: Any) -> None:
    assert outcome(None) == (True, "")
    succeeded, told = outcome("after 120 s: connection refused")
    assert not succeeded
    assert told.startswith("the gateway does not answer on http://100.64.0.10:3000: after 120 s: connection refused")
    assert "panic: its own words" in told
