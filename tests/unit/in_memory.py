"""For the inventory of a test: inside pyinfra's process, a One API in memory in the place of the ones on fake hosts."""

from __future__ import annotations

import atexit
import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
from pyinfra.api.host import Host
from pyinfra.context import ctx_state

from gateway import first_start, service
from gateway.contents import admin
from gateway.proving import verification
from gateway.secrets import Generated
from tests.unit.fake_one_api import DEFAULT_PASSWORD, FakeOneAPI, Row
from tests.unit.members import GENERATED


def install(commands: str, *, channels: Sequence[Row] = (), tokens: Sequence[Row] = ()) -> None:
    """Lead the way to each host's gateway to a One API that holds these channels and tokens; generate known secrets.

    Parameters: `commands`, the file that gets, at the end, what each fake host was told to execute.
    """
    gateways: dict[str, FakeOneAPI] = {}

    def route(host: Host, *where: object) -> AbstractContextManager[httpx.BaseTransport]:
        if host.name not in gateways:
            gateways[host.name] = _one_api(channels, tokens)
        return gateways[host.name].route()

    for module in (service, first_start, admin, verification):
        module.route = route  # type: ignore[assignment]
    Generated.new = classmethod(lambda cls: GENERATED)  # type: ignore[assignment, method-assign]
    atexit.register(_write, Path(commands), gateways)


def _one_api(channels: Sequence[Row], tokens: Sequence[Row]) -> FakeOneAPI:
    one_api = FakeOneAPI(GENERATED.access_token)
    one_api.channels = [dict(row) for row in channels]
    one_api.tokens = [dict(row) for row in tokens]
    if one_api.channels:
        one_api.options["RegisterEnabled"] = "false"
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
