"""What the operator reads when the admin API says no, with a real lock on the stand-in's real database."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import pytest
from standin_kit import ACCESS_TOKEN, Gateway

from llm_gateway.flavours import Refused, TokenSpec, Unauthorised
from llm_gateway.flavours.oneapi import AdminClient
from llm_gateway.parts import recovery

pytest_plugins = ["standin_fixtures"]
DIRECTORY = "/opt/gateway"


def test_a_locked_database_is_named_with_its_fix(start: Callable[..., Gateway]) -> None:
    gateway = start(SQLITE_BUSY_TIMEOUT="100")
    admin = AdminClient(gateway.url, access_token=ACCESS_TOKEN)
    connection = sqlite3.connect(gateway.directory / "one-api.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    with pytest.raises(Refused) as refusal:
        admin.create_token(TokenSpec("agent1"))
    told = recovery.told(refusal.value, DIRECTORY)
    assert told.startswith("POST /api/token/ failed, another program keeps the database /opt/gateway/data/one-api.db")
    assert "`find -L /proc/[0-9]*/fd -samefile /opt/gateway/data/one-api.db 2>/dev/null` shows who has it open" in told
    assert "End the other, and run the command again" in told
    connection.close()
    assert admin.create_token(TokenSpec("agent1")).name == "agent1", "and the fix works"


def test_a_refused_access_token_names_the_script(start: Callable[..., Gateway]) -> None:
    with pytest.raises(Unauthorised) as refusal:
        AdminClient(start().url, access_token="b" * 32).options()
    told = recovery.told(refusal.value, DIRECTORY)
    assert "refuses the access token in /opt/gateway/secrets.env" in told
    assert "`pyinfra inventory.py deploys/reset_admin.py`" in told


def test_other_refusals_are_handed_on() -> None:
    assert recovery.told(Refused("PUT /api/channel/", "没有权限"), DIRECTORY) == (
        "PUT /api/channel/ was refused: 没有权限"
    )
