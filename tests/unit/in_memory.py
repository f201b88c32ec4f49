"""For the inventory of a test: inside pyinfra's process, a One API in memory in the place of the ones on fake hosts."""

from __future__ import annotations

import atexit
import json
from collections.abc import Sequence
from pathlib import Path

from pyinfra.context import ctx_state

from gateway import admin, first_start, service, verification
from gateway.secrets import Generated
from tests.unit.fake_one_api import DEFAULT_PASSWORD, FakeOneAPI, Row
from tests.unit.members import GENERATED


def install(commands: str, *, channels: Sequence[Row] = (), tokens: Sequence[Row] = ()) -> None:
    """Lead all ways to one One API that holds these channels and tokens; generate known secrets.

    Parameters: `commands`, the file that gets, at the end, what each fake host was told to execute.
    """
    one_api = FakeOneAPI(GENERATED.access_token)
    one_api.channels = [dict(row) for row in channels]
    one_api.tokens = [dict(row) for row in tokens]
    if one_api.channels:
        one_api.options["RegisterEnabled"] = "false"
        one_api.password = GENERATED.root_password
    for module in (service, first_start, admin, verification):
        module.route = one_api.route  # type: ignore[assignment]
    Generated.new = classmethod(lambda cls: GENERATED)  # type: ignore[assignment, method-assign]
    atexit.register(_write, Path(commands), one_api)


def _write(path: Path, one_api: FakeOneAPI) -> None:
    hosts = {host.name: host.connector.executed_commands for host in ctx_state.get().inventory if host.connector}
    kept = {"hosts": hosts, "default_password": one_api.password == DEFAULT_PASSWORD, "options": one_api.options}
    path.write_text(json.dumps({**kept, "channels": one_api.channels, "tokens": one_api.tokens}))
