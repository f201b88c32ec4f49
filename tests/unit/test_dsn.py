"""The DSN of a PostgreSQL: what is taken, what is refused in which words, and that none of it shows the secret."""

from __future__ import annotations

from typing import Any

import pytest

from llm_gateway.inputs import host_data
from llm_gateway.inputs.secrets import Provided
from llm_gateway.model.dsn import Dsn, DsnError

WHOLE = "postgres://oneapi:hush@10.0.0.9:5433/gateway"


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        (WHOLE, f"{WHOLE}?sslmode=prefer&TimeZone=Asia%2FShanghai"),
        (f"{WHOLE}?sslmode=require", f"{WHOLE}?sslmode=require&TimeZone=Asia%2FShanghai"),
        (f"{WHOLE}?TimeZone=UTC&sslmode=disable", f"{WHOLE}?sslmode=disable&TimeZone=UTC"),
        (
            "postgres://o%40ne:p%40ss%2Fw%25%23%3F$&'(=@db.example.com/gateway",
            "postgres://o%40ne:p%40ss%2Fw%25%23%3F%24%26%27%28%3D@db.example.com:5432/gateway"
            "?sslmode=prefer&TimeZone=Asia%2FShanghai",
        ),
    ],
)
def test_a_dsn_reaches_the_gateway_with_unreserved_signs_alone(text: str, uri: str) -> None:
    dsn = Dsn.parse(text)
    assert dsn.uri("Asia/Shanghai") == uri
    assert Dsn.parse(uri).uri("UTC") == uri, "the zone is in it"


def test_psql_is_led_to_the_same_database() -> None:
    dsn = Dsn.parse("postgres://o%40ne:p%40ss%2Fw%25%23=@10.0.0.9/gateway?sslmode=disable")
    lines = dsn.service().splitlines()
    assert lines[1] == "[gateway]"
    assert {"host=10.0.0.9", "port=5432", "user=o@ne", "password=p@ss/w%#=", "sslmode=disable"} < {*lines}
    assert Dsn.of_service(dsn.service()) == dsn
    assert Dsn.of_service("[gateway]\nhost=a\n") is None
    assert dsn.place == "gateway on 10.0.0.9:5432"
    assert "p@ss" not in repr(dsn)
    assert (dsn.address, Dsn.parse("postgres://a:b@db/c").address) == ("10.0.0.9", None)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("hush", "must be postgres://USER:PASSWORD@HOST[:PORT]/DATABASE"),
        ("postgresql://oneapi:hush@10.0.0.9/gateway", "must begin with postgres://: One API takes any other form"),
        ("host=10.0.0.9 user=oneapi password=hush", "must begin with postgres://"),
        ("oneapi:hush@tcp(10.0.0.9:3306)/gateway", "is a DSN of MySQL, whose data this deployment can neither back up"),
        ("mysql://oneapi:hush@10.0.0.9/gateway", "is a DSN of MySQL"),
        ("postgres://oneapi:hush@pass@10.0.0.9/gateway", "`@` is %40"),
        ("postgres://oneapi:hush/pass@10.0.0.9/gateway", "`/` is %2F"),
        ("postgres://oneapi:hush#pass@10.0.0.9/gateway", "`#` is %23"),
        ("postgres://oneapi:hush%pass@10.0.0.9/gateway", "PASSWORD percent-encoded"),
        ("postgres://oneapi:hush%FF@10.0.0.9/gateway", "PASSWORD percent-encoded"),
        ("postgres://oneapi:hush%0Apass@10.0.0.9/gateway", "PASSWORD percent-encoded"),
        ("postgres://oneapi:@10.0.0.9/gateway", "PASSWORD percent-encoded, and not empty"),
        ("postgres://oneapi@10.0.0.9/gateway", "must be postgres://USER:PASSWORD@HOST"),
        ("postgres://oneapi:hush@10.0.0.9", "must be postgres://USER:PASSWORD@HOST"),
        ("postgres://oneapi:hush@10.0.0.9/", "must name one database behind HOST"),
        ("postgres://oneapi:hush@10.0.0.9/a/b", "must name one database behind HOST"),
        ("postgres://oneapi:hush@/gateway", "must name its host"),
        ("postgres://oneapi:hush@10.0.0.9:0/gateway", "a port from 1 to 65535"),
        ("postgres://oneapi:hush@10.0.0.9:99999/gateway", "a port from 1 to 65535"),
        ("postgres://oneapi:hush@10.0.0.9,10.0.0.8/gateway", "must name one host"),
        ("postgres://oneapi:hush@[fd7a::1]/gateway", "has no IPv6"),
        ("postgres://oneapi:hush@localhost/gateway", "its own loopback is another one"),
        ("postgres://oneapi:hush@127.0.0.1/gateway", "its own loopback is another one"),
        (f"{WHOLE}?sslmode=verify-full", "must have one of disable, prefer, require as its sslmode"),
        (f"{WHOLE}?TimeZone=Mars Time", "must have a zone such as Asia/Shanghai"),
        (f"{WHOLE}?search_path=other", "has a parameter that is not taken (search_path)"),
        (f"{WHOLE}?sslmode", "must have its parameters behind `?` as NAME=VALUE"),
    ],
)
def test_a_dsn_that_cannot_be_used_is_refused_without_being_shown(text: str, told: str) -> None:
    with pytest.raises(DsnError) as refused:
        Dsn.parse(text)
    assert told in str(refused.value)
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"gateway_database": WHOLE}, 'gateway_database: must be "sqlite", or the name of a secret in capital letters'),
        ({"gateway_database": "postgres"}, "and not its value"),
        ({"gateway_database": None}, "and not its value"),
        (
            {"gateway_database": "GATEWAY_DSN", "gateway_image": "calciumion/new-api:v1.0.0-rc.15"},
            "gateway_database: new-api is deployed with its own file alone",
        ),
        (
            {"gateway_database": "GATEWAY_DSN", "gateway_environment": {"SQL_MAX_OPEN_CONNS": "9"}},
            "gateway_environment: SQL_MAX_OPEN_CONNS must not be set",
        ),
    ],
)
def test_settings_that_do_not_go_with_a_database_are_refused(data: dict[str, Any], told: str) -> None:
    problems = "\n".join(host_data.check(data)[1])
    assert told in problems
    assert "hush" not in problems


def test_the_default_keeps_its_connections_to_whoever_sets_them() -> None:
    assert host_data.check({"gateway_environment": {"SQL_MAX_OPEN_CONNS": "9"}})[1] == []
    assert "hush" not in repr(Provided(None, {"GATEWAY_DSN": WHOLE}))
