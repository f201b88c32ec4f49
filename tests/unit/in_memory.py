"""For the inventory of a test: inside pyinfra's process, a One API in memory in the place of the ones on fake hosts."""

from __future__ import annotations

import atexit
import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import httpx
from pyinfra.api.host import Host
from pyinfra.context import ctx_state

from llm_gateway.contents import admin
from llm_gateway.contents.desired import token_name
from llm_gateway.hosts.topology import Agent
from llm_gateway.inputs.secrets import Generated
from llm_gateway.parts import first_start, service
from llm_gateway.parts.openclaw import openclaw
from llm_gateway.proof import agent_environment, agent_path
from llm_gateway.tasks import agent_switch, verification
from tests.unit.fake_one_api import DEFAULT_PASSWORD, DEPLOYED_OPTIONS, FakeOneAPI, Row
from tests.unit.topology import GENERATED


def install(commands: str, *, channels: Sequence[Row] = (), tokens: Sequence[Row] = ()) -> None:
    """Lead the way to each host's gateway to a One API that holds these channels and tokens; generate known secrets.

    Parameters: `commands`, the file that gets, at the end, what each fake host was told to execute.
    """
    gateways: dict[str, FakeOneAPI] = {}

    def route(host: Host, *where: object) -> AbstractContextManager[httpx.BaseTransport]:
        if host.name not in gateways:
            gateways[host.name] = _one_api(channels, tokens)
        return gateways[host.name].route()

    for module in (service, first_start, admin):
        module.route = route  # type: ignore[assignment]
    relay = _one_api(channels, tokens)  # which of them answers a model does not matter
    verification.route_from = agent_path.route_from = relay.route  # type: ignore[assignment]
    verification.route_from_here = lambda *where: nullcontext(None)
    agent_environment.read_text = _written
    agent_switch._keep = lambda agent: dict.fromkeys(agent_switch._KEPT + agent_switch._KEPT_OF_UNIT, "no")
    openclaw.await_process = lambda agent: ["PATH"]
    Generated.new = classmethod(lambda cls: GENERATED)  # type: ignore[assignment, method-assign]
    atexit.register(_write, Path(commands), gateways)


def _written(agent: Agent) -> str:
    """The .env as it is once the run has written it: a fake host keeps nothing."""
    key = agent.gateway.token_keys[token_name(agent.name)]
    return openclaw.merged_environment(agent, [openclaw.Access(f"{agent.gateway.base_url}/v1", key)])


def _one_api(channels: Sequence[Row], tokens: Sequence[Row]) -> FakeOneAPI:
    one_api = FakeOneAPI(GENERATED.access_token)
    one_api.channels = [dict(row) for row in channels]
    one_api.tokens = [dict(row) for row in tokens]
    if one_api.channels:
        one_api.options |= DEPLOYED_OPTIONS
        one_api.password = GENERATED.root_password
    return one_api


def _write(path: Path, gateways: Mapping[str, FakeOneAPI]) -> None:
    """Of several gateways: what any of them holds, each name once."""
    hosts = {host.name: host.connector.executed_commands for host in ctx_state.get().inventory if host.connector}
    kept = {
        "hosts": hosts,
        "default_password": any(each.password == DEFAULT_PASSWORD for each in gateways.values()),
        "options": {name: value for each in gateways.values() for name, value in each.options.items()},
        "channels": list({row["name"]: row for each in gateways.values() for row in each.channels}.values()),
        "tokens": list({row["name"]: row for each in gateways.values() for row in each.tokens}.values()),
    }
    path.write_text(json.dumps(kept))
