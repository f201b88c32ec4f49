"""A database of One API under new-api: what each token may, asked from outside before and after."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from standin_kit import ACCESS_TOKEN, Gateway, Upstream, new_key
from standin_newapi_kit import NewGateway

from llm_gateway.flavours import option_text
from llm_gateway.flavours.known import NEW_API
from llm_gateway.flavours.newapi.admin import NewAPIClient

pytest_plugins = ["standin_fixtures"]

MODELS = ("chat-a", "chat-b", "served-by-nobody")
ALLOWED, REFUSED = True, False


def _may(gateway: Gateway | NewGateway, keys: dict[str, str]) -> dict[tuple[str, str], bool]:
    """Whether each key is answered by each model."""
    return {
        (name, model): gateway.chat(model, key).status_code == 200 for name, key in keys.items() for model in MODELS
    }


def _run(directory: Path, sql: str) -> list[str]:
    with closing(sqlite3.connect(directory / "one-api.db", isolation_level=None)) as database:
        if sql.startswith("BEGIN"):
            database.executescript(sql)
            return []
        return ["|".join(map(str, row)) for line in sql.splitlines() for row in database.execute(line)]


def _carry(directory: Path) -> None:
    assert NEW_API.arrival
    options = {name: option_text(name, value) for name, value in NEW_API.default_options.items()}
    _run(directory, f"BEGIN;\n{NEW_API.arrival.statements(options)}COMMIT;\n")


@pytest.fixture
def keys(tmp_path: Path, upstream: Upstream) -> dict[str, str]:
    """Tokens of a gateway of One API that is stopped again, by their names."""
    old = Gateway(tmp_path)
    old.add_channel("a", "chat-a", upstream.url)
    old.add_channel("b", "chat-b", upstream.url, type=50, config="{}", base_url=f"{upstream.url}/v1")
    made = {
        "free": new_key(old, name="free"),
        "one model": new_key(old, name="one", models="chat-a"),
        "two models": new_key(old, name="two", models="chat-a,chat-b"),
        "from here": new_key(old, name="here", subnet="10.0.0.0/8,127.0.0.0/8"),
        "from elsewhere": new_key(old, name="elsewhere", subnet="10.9.0.0/16"),
        "disabled": new_key(old, name="disabled"),
        "limited": new_key(old, name="limited", unlimited_quota=False, remain_quota=100_000_000),
    }
    disabled = next(row for row in old.ok("GET", "/api/token/search?keyword=") if row["name"] == "disabled")
    old.ok("PUT", "/api/token/?status_only=1", {**disabled, "status": 2})
    before = _may(old, made)
    assert before["one model", "chat-b"] is REFUSED
    assert before["from elsewhere", "chat-a"] is REFUSED
    assert before["limited", "chat-b"] is ALLOWED
    old.stop()
    (tmp_path / "before").write_text(repr(sorted(before.items())))
    return made


def test_without_it_limits_are_gone(tmp_path: Path, keys: dict[str, str]) -> None:
    """What it is for: new-api opens the database, and lets limited tokens do all."""
    new = NewGateway(tmp_path)
    new.stop()
    _run(tmp_path, "BEGIN; INSERT INTO options VALUES ('SelfUseModeEnabled', 'true'); COMMIT;")
    new = NewGateway(tmp_path)
    after = _may(new, keys)
    new.stop()
    assert after["one model", "chat-a"] is ALLOWED
    assert after["from elsewhere", "chat-a"] is ALLOWED, "a token for one network answers another"


def test_each_token_may_what_it_might(tmp_path: Path, keys: dict[str, str]) -> None:
    NewGateway(tmp_path).stop()
    _carry(tmp_path)
    new = NewGateway(tmp_path)
    after = _may(new, keys)
    with NewAPIClient(new.url, access_token=ACCESS_TOKEN) as admin:
        listed = {token.name: token for token in admin.tokens()}
        channels = {channel.name: channel for channel in admin.channels()}
    new.stop()
    assert repr(sorted(after.items())) == (tmp_path / "before").read_text()
    assert listed["two"].models == ("chat-a", "chat-b")
    assert listed["here"].subnets == ("10.0.0.0/8", "127.0.0.0/8")
    assert listed["one"].key == keys["one model"]
    assert (channels["b"].type, channels["b"].base_url.endswith("/v1")) == (1, False)


CHANNEL = (
    "INSERT INTO channels (name, type, base_url, key, models, config, status) VALUES ('x', {}, '{}', 'k', 'm', '{}', 1)"
)


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        (CHANNEL.format(38, "", ""), ["channel 'x': new-api has no channels of its type"]),
        (CHANNEL.format(43, "https://h", ""), ["channel 'x': new-api has no channels of its type"]),
        (CHANNEL.format(21, "", ""), ["channel 'x': new-api has no channels of its type"]),
        (CHANNEL.format(34, "", ""), ["channel 'x': new-api has no channels of its type"]),
        (CHANNEL.format(46, "", ""), ["channel 'x': new-api has no channels of its type"]),
        (CHANNEL.format(99, "https://h", ""), ["channel 'x': new-api has no channels of its type"]),
        (CHANNEL.format(1, "", '{"user_id":"7"}'), ["channel 'x': new-api has no place for what is in its config"]),
        (CHANNEL.format(1, "", '{"user_id":""}'), []),
        (CHANNEL.format(33, "", '{"ak":"A"}'), ["channel 'x': its config has no ak, sk and region"]),
        (CHANNEL.format(50, "https://h", "no JSON"), ["channel 'x': new-api appends /v1 to its base URL, which does"]),
        (CHANNEL.format(1, "https://h", "{}"), []),
        (
            "INSERT INTO tokens (name, key, unlimited_quota, remain_quota) VALUES ('big', 'k', 0, 500000000000001)",
            ["token 'big': its quota is above 500000000000000"],
        ),
        ("INSERT INTO tokens (name, key, unlimited_quota, remain_quota) VALUES ('free', 'k', 1, 500000000000001)", []),
    ],
)
def test_what_cannot_be_carried_is_told_before(tmp_path: Path, sql: str, words: list[str]) -> None:
    Gateway(tmp_path).stop()
    _run(tmp_path, f"BEGIN; {sql}; COMMIT;")
    assert NEW_API.arrival
    found = [*NEW_API.arrival.refusals(_run(tmp_path, NEW_API.arrival.finds))]
    assert len(found) == len(words)
    assert all(text.startswith(start) for text, start in zip(found, words, strict=True)), found


@pytest.mark.parametrize(
    ("type_", "base_url", "config", "prompt", "wanted"),
    [
        (27, "", "", "", {"type": 35}),
        (29, "", "", "", {"type": 1, "base_url": "https://api.groq.com/openai"}),
        (29, "https://own", "", "", {"type": 1, "base_url": "https://own"}),
        (3, "https://a", '{"api_version":"2024-10-21"}', "", {"type": 3, "other": "2024-10-21"}),
        (33, "", '{"ak":"A","sk":"S","region":"R"}', "", {"type": 33, "key": "A|S|R"}),
        (42, "", '{"region":"eu","vertex_ai_adc":"{}"}', "", {"type": 41, "key": "{}", "other": '{"default":"eu"}'}),
        (1, "https://a", "", 'Say "a"', {"setting": '{"system_prompt":"Say \\"a\\"","system_prompt_override":true}'}),
        (37, "", '{"user_id":"account"}', "", {"type": 39, "other": "account"}),
        (49, "", "", "", {"type": 17}),
        (50, "https://h/v1", "", "", {"type": 1, "base_url": "https://h"}),
    ],
)
def test_each_kind_of_channel_becomes_its_like(
    tmp_path: Path, type_: int, base_url: str, config: str, prompt: str, wanted: dict[str, Any]
) -> None:
    Gateway(tmp_path).stop()
    _run(tmp_path, f"BEGIN; {CHANNEL.format(type_, base_url, config)}; COMMIT;")
    with closing(sqlite3.connect(tmp_path / "one-api.db", isolation_level=None)) as database:
        database.execute("UPDATE channels SET system_prompt = ?", (prompt,))
    NewGateway(tmp_path).stop()
    _carry(tmp_path)
    with closing(sqlite3.connect(tmp_path / "one-api.db")) as database:
        database.row_factory = sqlite3.Row
        row = dict(database.execute("SELECT * FROM channels").fetchone())
    assert {name: row[name] for name in wanted} == wanted
