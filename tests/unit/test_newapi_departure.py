"""A database of new-api under One API: what each token may, asked from outside before and after; and there again."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from standin_kit import Gateway, Upstream
from standin_newapi_kit import NewGateway

from lab.standin import schema
from lab.standin.database import migrate_table
from lab.standin.newapi import schema as newapi_schema
from llm_gateway.flavours import option_text
from llm_gateway.flavours.flavour import Flavour
from llm_gateway.flavours.known import NEW_API, ONE_API

pytest_plugins = ["standin_fixtures"]

MODELS = ("chat-a", "chat-b", "served-by-nobody")
OWN, OTHER = "127.0.0.1", "10.8.0.1"


def _lines(directory: Path, sql: str) -> list[str]:
    with closing(sqlite3.connect(directory / "one-api.db", isolation_level=None)) as database:
        return ["|".join(map(str, row)) for line in sql.splitlines() for row in database.execute(line)]


def _carry(directory: Path, flavour: Flavour) -> None:
    options = {name: option_text(name, value) for name, value in flavour.default_options.items()}
    _lines(directory, f"BEGIN IMMEDIATE\n{flavour.arrival.transaction(options)}COMMIT")


def _may(gateway: Gateway | NewGateway, keys: dict[str, str]) -> dict[tuple[str, str], bool]:
    return {(name, m): gateway.chat(m, key).status_code == 200 for name, key in keys.items() for m in MODELS}


def _fill(new: NewGateway, url: str) -> dict[str, str]:
    """Tokens of each kind, and channels; the keys by what the tokens are."""
    new.add_channel("a", "chat-a", url)
    new.add_channel("b", "chat-b", url)
    made = {
        "free": new.new_token(name="free"),
        "one model": new.new_token(name="名字 ü'\"", model_limits_enabled=True, model_limits="chat-a"),
        "from here": new.new_token(name="here", allow_ips=f"10.9.0.0/16\n {OWN} \n"),
        "from elsewhere": new.new_token(name="elsewhere", allow_ips=f"10.9.0.0/16\n{OTHER}"),
        "expired": new.new_token(name="expired", expired_time=1_700_000_000),
        "exhausted": new.new_token(name="exhausted", unlimited_quota=False, remain_quota=0),
        "limited": new.new_token(name="limited", unlimited_quota=False, remain_quota=100_000_000),
        "disabled": new.new_token(name="disabled"),
        "deleted": new.new_token(name="deleted"),
    }
    new.ok("PUT", "/api/token/?status_only=1", {**made["disabled"], "status": 2})
    new.ok("DELETE", f"/api/token/{made['deleted']['id']}")
    return {name: str(row["key"]) for name, row in made.items()}


@pytest.fixture
def of_new_api(tmp_path: Path, upstream: Upstream) -> Iterator[tuple[dict[str, str], dict[tuple[str, str], bool]]]:
    """The keys of a database that new-api has made itself, and what they were allowed there."""
    new = NewGateway(tmp_path).set_up(SelfUseModeEnabled=True)
    keys = _fill(new, upstream.url)
    before = _may(new, keys)
    new.stop()
    assert before["one model", "chat-a"] and not before["one model", "chat-b"]
    assert before["from here", "chat-b"] and not before["from elsewhere", "chat-b"]
    assert [name for name in keys if before[name, "chat-a"]] == ["free", "one model", "from here", "limited"]
    yield keys, before


def _start_twice(directory: Path) -> None:
    """As it has to be on a database that new-api has made itself."""
    with pytest.raises(SystemExit):
        Gateway(directory)
    Gateway(directory).stop()


def test_each_token_may_what_it_might(tmp_path: Path, of_new_api: Any) -> None:
    keys, before = of_new_api
    _start_twice(tmp_path)
    open_ = Gateway(tmp_path)
    assert open_.chat("chat-b", keys["deleted"]).status_code == 200, "what it is for: a deleted token answers again"
    open_.stop()
    _carry(tmp_path, ONE_API)
    old = Gateway(tmp_path)
    assert _may(old, keys) == before
    assert old.chat("chat-b", keys["free"]).status_code == 200
    old.stop()


def test_what_one_api_has_changed_holds_after_another_move(tmp_path: Path, of_new_api: Any) -> None:
    """Nothing of the first time is left that would limit or free a token the second time."""
    keys, _ = of_new_api
    _start_twice(tmp_path)
    _carry(tmp_path, ONE_API)
    _lines(tmp_path, f"UPDATE tokens SET models = '', subnet = '' WHERE key = '{keys['one model']}'")  # noqa: S608
    _lines(tmp_path, f"UPDATE tokens SET subnet = '10.9.0.0/16' WHERE key = '{keys['from here']}'")  # noqa: S608
    old = Gateway(tmp_path)
    before = _may(old, keys)
    old.stop()
    assert before["one model", "chat-b"] and not before["from here", "chat-b"]
    NewGateway(tmp_path).stop()
    _carry(tmp_path, NEW_API)
    new = NewGateway(tmp_path)
    assert _may(new, keys) == before
    new.stop()


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that both have had, with nothing in it."""
    file = tmp_path_factory.mktemp("both") / "one-api.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.row_factory = sqlite3.Row
        for table in (*schema.TABLES, *newapi_schema.TABLES):
            migrate_table(database, table)
    return file


@pytest.fixture
def both(empty: Path, tmp_path: Path) -> Path:
    shutil.copy(empty, tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("allowed", "wanted"),
    [
        (None, ""),
        ("", ""),
        (" \n ", ""),
        ("10.9.0.0/16", "10.9.0.0/16"),
        ("10.9.0.0/16\r\n 10.8.0.1 \n\n", "10.9.0.0/16,10.8.0.1/32"),
        ("fd00::/8\nfd00::1", "fd00::/8,fd00::1/128"),
        ("10.9.0.0/16,10.8.0.0/16", "10.9.0.0/1610.8.0.0/16"),
        ('a"b\\n10.0.0.1', 'a"bxn10.0.0.1/32'),
    ],
)
def test_addresses_become_networks(both: Path, allowed: str | None, wanted: str) -> None:
    """What new-api does not take for a network may not become one: with commas it lets nobody in."""
    with closing(sqlite3.connect(both / "one-api.db", isolation_level=None)) as database:
        database.execute("INSERT INTO tokens (name, key, allow_ips) VALUES ('t', 'k', ?)", (allowed,))
    _carry(both, ONE_API)
    assert _lines(both, "SELECT subnet FROM tokens") == [wanted]


CHANNEL = "INSERT INTO channels (name, type, key, {1}) VALUES ('x', {0}, '{2}', '{3}')"
TOKEN = "INSERT INTO tokens (name, key, user_id, {0}) VALUES ('x', 'k', 1, {1})"
USER = "INSERT INTO users (id, username, password) VALUES (1, 'ann', '')"


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        (CHANNEL.format(1, "setting", "k", '{"system_prompt":"s","pass_through_body_enabled":true}'), None),
        (CHANNEL.format(37, "other", "k", ""), "channel 'x': One API has no channels of its type"),
        (CHANNEL.format(46, "other", "k", ""), "channel 'x': One API v0.6.10 has no channels of its type"),
        (CHANNEL.format(1, "channel_info", "k", '{"is_multi_key":true}'), "channel 'x': it has several keys"),
        (CHANNEL.format(1, "channel_info", "k", newapi_schema.CHANNEL_INFO), None),
        (CHANNEL.format(33, "other", "AKEY|region", ""), "channel 'x': its key is not ak|sk|region"),
        (CHANNEL.format(41, "other", "no JSON", ""), "channel 'x': its key is no JSON"),
        (CHANNEL.format(41, "other", "{}", '{"default":"eu","m":"us"}'), "channel 'x': its key is no JSON, or"),
        (CHANNEL.format(1, "setting", "k", '{"proxy":"socks5://p"}'), "channel 'x': it has a proxy"),
        (CHANNEL.format(1, "param_override", "k", '{"top_p":1}'), "channel 'x': One API has nothing like param"),
        (CHANNEL.format(1, "header_override", "k", "{}"), None),
        (TOKEN.format('"group"', "'vip'"), "token 'x': it is of another group than its user's"),
        (TOKEN.format('"group"', "'default'"), None),
        (TOKEN.format("model_limits_enabled", "1"), "token 'x': it may use no model"),
        (TOKEN.format("model_limits_enabled, deleted_at", "1, '2026-01-01'"), None),
        ("INSERT INTO redemptions (name, key, expired_time) VALUES ('x', 'k', 9)", "redemption 'x': it expires"),
        ("INSERT INTO two_fas (user_id, secret, is_enabled) VALUES (1, '', 1)", "user 'ann': it logs in by a second"),
        ("INSERT INTO options VALUES ('ModelPrice', '{\"m\":1}')", "option 'ModelPrice': One API has no such option"),
        ("INSERT INTO options VALUES ('SelfUseModeEnabled', 'true')", None),
    ],
)
def test_what_cannot_be_carried_is_told_and_switched_off(both: Path, sql: str, words: str | None) -> None:
    _lines(both, f"{USER}\n{sql}")
    found = _lines(both, ONE_API.arrival.finds)
    told = [*ONE_API.arrival.refusals(found)]
    assert [text[: len(words or "")] for text in told] == ([words] if words else [])
    names = ONE_API.arrival.unconfirmed(found, ())
    assert [*ONE_API.arrival.refusals(found, names)] == []
    assert len([*ONE_API.arrival.losses(found, names)]) == len(told)
    _carry(both, ONE_API)
    table = sql.split()[2]
    if table in ("channels", "tokens", "redemptions") and "deleted_at" not in sql:
        assert _lines(both, f"SELECT status FROM {table}") == ["2" if words else "1"]  # noqa: S608


@pytest.mark.parametrize(
    ("type_", "column", "key", "value", "wanted"),
    [
        (35, "base_url", "k", "", {"type": 27}),
        (44, "base_url", "k", "", {"type": 44, "status": 2}),
        (40, "base_url", "k", "https://own", {"type": 44, "base_url": "https://own"}),
        (3, "other", "k", "2024-10-21", {"type": 3, "config": '{"api_version":"2024-10-21"}'}),
        (33, "other", 'A"|S|R', "", {"config": '{"ak":"A\\"","sk":"S","region":"R"}'}),
        (39, "other", "k", "account", {"type": 37, "config": '{"user_id":"account"}'}),
        (
            41,
            "other",
            '{"project_id":"p"}',
            '{"default":"eu"}',
            {
                "type": 42,
                "config": '{"region":"eu","vertex_ai_adc":"{\\"project_id\\":\\"p\\"}","vertex_ai_project_id":"p"}',
            },
        ),
        (1, "setting", "k", '{"system_prompt":"Say \\"a\\""}', {"system_prompt": 'Say "a"'}),
    ],
)
def test_each_kind_of_channel_becomes_its_like(
    both: Path, type_: int, column: str, key: str, value: str, wanted: dict[str, Any]
) -> None:
    with closing(sqlite3.connect(both / "one-api.db", isolation_level=None)) as database:
        sql = f"INSERT INTO channels (name, type, key, {column}) VALUES ('x', ?, ?, ?)"  # noqa: S608
        database.execute(sql, (type_, key, value))
    _carry(both, ONE_API)
    with closing(sqlite3.connect(both / "one-api.db")) as database:
        database.row_factory = sqlite3.Row
        row = dict(database.execute("SELECT * FROM channels").fetchone())
    assert {name: row[name] for name in wanted} == wanted


def test_a_deleted_account_is_left_as_one_api_leaves_one(both: Path) -> None:
    _lines(
        both, "INSERT INTO users (username, password, access_token, deleted_at) VALUES ('ann', '', 't', '2026-01-01')"
    )
    _carry(both, ONE_API)
    (found,) = _lines(both, "SELECT status, substr(username, 1, 8), access_token FROM users")
    assert found == "3|deleted_|None"
