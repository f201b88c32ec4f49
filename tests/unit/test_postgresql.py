"""A PostgreSQL as the store of a gateway: what is found wrong with it, and what its host gets otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from llm_gateway.hosts.postgresql import PostgreSQLStore
from llm_gateway.hosts.tables import SQLiteStore
from llm_gateway.hosts.topology import Node
from llm_gateway.inputs.secrets import Provided
from llm_gateway.model.dsn import Dsn
from llm_gateway.parts import firewall_rules, installation, postgresql
from llm_gateway.parts.firewall_rules import Upstream
from llm_gateway.tasks import preflight
from tests.unit.fake_hosts import FRESH, KEYS
from tests.unit.topology import make_machine, make_node

DSN = Dsn.parse("postgres://oneapi:hush@10.0.0.9/gateway")
NAMED = Dsn.parse("postgres://oneapi:hush@db.lan/gateway")
WELL = {
    "address": "10.0.0.9",
    "client": "17",
    "version": "170004",
    "encoding": "UTF8",
    "connections": "97",
    "schema": "public",
    "may_create": "true",
    "zone": "1",
    "end": "",
}
OURS = {"table": "users", "claim": "gw1", "users": "1"}


def judged(dsn: Dsn = DSN, is_done: bool = False, **other: str | None) -> list[str]:
    answers = {name: value for name, value in {**WELL, **other}.items() if value is not None}
    lines = [f"{name}|{each}" for name, value in answers.items() for each in value.split(",")]
    return list(postgresql.judge(lines, dsn, "Asia/Shanghai", "gw1", is_done))


def test_an_empty_database_and_ours_are_well() -> None:
    assert judged() == []
    assert judged(**OURS) == [], "a run that was cut off in the middle is carried on"
    assert judged(is_done=True, **OURS) == []
    assert judged(role_limit="23", database_limit="23") == []


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ({"version": "120022"}, "is PostgreSQL 12: take 13 or newer"),
        ({"version": "180001"}, "install postgresql-client-18 on the host"),
        ({"encoding": "SQL_ASCII"}, "is encoded in SQL_ASCII"),
        ({"standby": "yes"}, "is read-only (a standby?): name the primary"),
        ({"read_only": "yes"}, "is read-only"),
        ({"zone": "0"}, "does not know the time zone Asia/Shanghai"),
        ({"connections": "22"}, "max_connections leave 22: set max_connections to 30 or more"),
        ({"role_limit": "5"}, 'the role oneapi may have 5: `ALTER ROLE "oneapi" CONNECTION LIMIT 23`'),
        ({"database_limit": "0"}, 'the database may have 0: `ALTER DATABASE "gateway" CONNECTION LIMIT 23`'),
        ({"schema": "", "may_create": None}, "sees no schema of gateway"),
        (
            {"may_create": "false"},
            "may make no tables in the schema public of gateway: `GRANT CREATE ON SCHEMA public TO",
        ),
        ({"table": "abilities,channels,options,tokens,users"}, "holds a gateway's data already (abilities, channels,"),
        ({"table": "customers"}, "holds tables that are no gateway's (customers)"),
        ({"table": "users", "claim": "gw2"}, "is the database of the gateway gw2: two gateways need two databases"),
        ({**OURS, "foreign": "users"}, "oneapi is not the owner of users"),
    ],
)
def test_what_a_database_lacks_is_told_with_the_fix(found: dict[str, str], told: str) -> None:
    (problem,) = judged(**found)
    assert told in problem
    assert "hush" not in problem


@pytest.mark.parametrize("found", [{}, {"table": "users", "claim": "gw1", "users": "0"}])
def test_a_database_that_has_lost_its_gateway_is_not_begun_anew(found: dict[str, str]) -> None:
    (problem,) = judged(is_done=True, **found)
    assert "holds nothing of this gateway, though one was set up on this host" in problem


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["unknown|db.lan"], "the host does not know the name 10.0.0.9"),
        (["address|10.0.0.9", "unreachable|Connection refused"], "does not reach 10.0.0.9:5432 (Connection refused)"),
        (
            [
                "address|10.0.0.9",
                "client|17",
                'refused|FATAL:  password authentication failed for user "oneapi"',
            ],
            "gateway on 10.0.0.9:5432 does not let oneapi in: FATAL:  password authentication failed",
        ),
    ],
)
def test_a_database_that_is_not_reached_is_told(lines: list[str], told: str) -> None:
    (problem,) = postgresql.judge(lines, DSN, "UTC", "gw1", is_done=False)
    assert told in problem


def test_a_name_of_the_lan_needs_its_address_let_through() -> None:
    (problem,) = judged(NAMED, address="192.168.1.9")
    assert 'add "192.168.1.9:5432" to gateway_private_upstreams' in problem
    assert judged(NAMED, address="203.0.113.9") == [], "the Internet is open"
    lines = [f"{name}|{value}" for name, value in {**WELL, "address": "192.168.1.9"}.items()]
    allowed = [Upstream.parse("192.168.1.0/24")]
    assert list(postgresql.judge(lines, NAMED, "UTC", "gw1", is_done=False, allowed=allowed)) == []


def with_database(values: dict[str, str] | None = None, **chosen: Any) -> Node:
    secrets = {**KEYS, "GATEWAY_DSN": "postgres://oneapi:hush@100.64.0.9/gateway"}
    return make_node({**FRESH, **(values or {})}, gateway_database="GATEWAY_DSN", secrets=secrets, **chosen)


def test_the_store_is_as_declared() -> None:
    assert isinstance(make_node().gateway.store, SQLiteStore)
    store = with_database().gateway.store
    assert isinstance(store, PostgreSQLStore)
    assert (store.name, store.service) == (
        "the database gateway on 100.64.0.9:5432",
        "/opt/openclaw-llm-gateway/database.conf",
    )


def test_a_run_without_the_secret_takes_what_the_host_was_told() -> None:
    node = make_node({**FRESH, "database_conf": DSN.service()}, gateway_database="GATEWAY_DSN")
    assert node.gateway.dsn == DSN
    assert make_node({**FRESH, "database_conf": DSN.service()}).gateway.dsn is None


def test_the_firewall_lets_the_container_out_to_the_database_alone() -> None:
    assert "100.64.0.9:5432" in firewall_rules.Reach.wanted(with_database()).upstreams
    assert firewall_rules.Reach.wanted(make_node()).upstreams == ()


def test_the_password_is_in_files_of_root_alone() -> None:
    files = {file.path.rpartition("/")[2]: file for file in installation.wanted_files(with_database())}
    assert {name for name, file in files.items() if b"hush" in file.content} == {".env", "database.conf"}
    assert {files[name].mode for name in (".env", "database.conf")} == {"600"}


def test_a_gateway_with_a_file_gets_the_script_that_it_had() -> None:
    def script(node: Node) -> bytes:
        return next(file.content for file in installation.wanted_files(node) if file.path.endswith("/start-gateway"))

    plain, other = script(make_node()), script(with_database())
    assert plain == (installation.ROOT / "files" / "start-gateway").read_bytes()
    assert b"psql" not in plain
    before, _, after = other.partition(installation._OF_POSTGRESQL.read_bytes())
    assert before[:-1] + after == plain, "the functions stand before what calls them"
    assert after.startswith(b"\nmounted=")


def test_a_change_of_the_store_is_refused() -> None:
    size = {"database_size": "4096"}
    (problem,) = postgresql.problems(with_database(size))
    assert "is a gateway's database, and would be left behind" in problem
    (problem,) = postgresql.problems(make_node({**FRESH, "database_conf": DSN.service()}))
    assert 'this gateway keeps its data in a PostgreSQL, and "sqlite" would begin an empty file' in problem
    assert list(postgresql.problems(make_node())) == []


def test_one_database_for_two_gateways_is_refused() -> None:
    one = make_machine(secrets={"A": "postgres://a:b@10.0.0.9/gateway"}, gateway_database="A")
    other = make_machine(
        secrets={"B": "postgres://c:d@10.0.0.9:5432/gateway?sslmode=disable"},
        gateway_database="B",
        name="gw2",
        run=one.run,
    )
    (problem,) = preflight.declaration_problems(other)
    assert "gateway on 10.0.0.9:5432 is the database of gw1, too" in problem


@pytest.mark.parametrize(
    ("secrets", "told"),
    [
        ({}, "gateway_database: GATEWAY_DSN: this secret is missing; `export GATEWAY_DSN=…`"),
        ({"GATEWAY_DSN": "mysql://a:hush@b/c"}, "gateway_database: GATEWAY_DSN: this secret is a DSN of MySQL"),
        ({"GATEWAY_DSN": "postgres://a:hu sh@b/c"}, "gateway_database: GATEWAY_DSN: this secret holds a blank"),
    ],
)
def test_a_secret_that_is_missing_or_no_dsn_is_told(secrets: dict[str, str], told: str) -> None:
    machine = make_machine(secrets={**KEYS, **secrets}, gateway_database="GATEWAY_DSN")
    (problem,) = preflight.missing_secrets(machine)
    assert told in problem
    assert "hush" not in problem


def test_only_the_host_of_a_database_gets_its_client() -> None:
    assert postgresql.missing_packages(with_database()) == ["postgresql-client"]
    assert postgresql.missing_packages(with_database({"tools": "psql\n"})) == []
    assert postgresql.missing_packages(make_node()) == []


def test_a_secrets_file_that_cannot_be_read_is_told_once() -> None:
    machine = make_machine(gateway_database="GATEWAY_DSN")
    machine.provided = Provided("/no/such/file", {})
    (problem,) = preflight.missing_secrets(machine)
    assert "cannot be read" in problem
    assert list(preflight.declaration_problems(machine)) == []
