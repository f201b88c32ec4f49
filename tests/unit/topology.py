"""Machines of a run made by hand, for what needs no pyinfra."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

from llm_gateway.hosts.host_state import HostState
from llm_gateway.hosts.topology import Agent, Machine, Node, Run
from llm_gateway.inputs import host_data, settings
from llm_gateway.inputs.secrets import Generated, Provided
from tests.unit.fake_hosts import FRESH, KEYS, answer

GENERATED = Generated(
    "root-password-of-tes",
    "access-token-of-tests-0123456789",
    "session-secret-of-tests-" + "0" * 24,
    "fingerprint-secret-of-tests",
)
DIRECTORY = "/opt/openclaw-llm-gateway"


def make_machine(
    values: Mapping[str, str] = FRESH,
    *,
    name: str = "gw1",
    roles: str = "gateway",
    secrets: Mapping[str, str] = KEYS,
    run: Run | None = None,
    **chosen: Any,
) -> Machine:
    """A machine whose host answers these values; `chosen` are its settings, `roles` of "gateway" and "openclaw"."""
    found, problems = host_data.check({**settings.defaults(), **chosen})
    assert problems == []
    run = Run() if run is None else run
    groups = [group for role, group in (("gateway", "gateways"), ("openclaw", "openclaw")) if role in roles]
    host = SimpleNamespace(
        name=name, groups=groups, state=SimpleNamespace(is_executing=True, failed_hosts=[]), connector=None
    )
    made = Machine(cast(Any, host), found, Provided(None, secrets), run)
    made.state = HostState.parse(answer(values))
    if "gateway" in roles:
        run.add_node(made)
        run.gateways[name].generated = GENERATED
    if "openclaw" in roles:
        run.add_agent(made)
    run.machines[name] = made
    return made


def make_node(values: Mapping[str, str] = FRESH, **chosen: Any) -> Node:
    """The host of a gateway, as `make_machine`."""
    made = make_machine(values, **chosen).node
    assert made is not None
    return made


def make_agent(values: Mapping[str, str] = FRESH, **chosen: Any) -> Agent:
    """A host with OpenClaw, as `make_machine`."""
    made = make_machine(values, **{"roles": "openclaw", **chosen}).agent
    assert made is not None
    return made
