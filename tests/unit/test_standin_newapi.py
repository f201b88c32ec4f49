"""The lab's stand-in for new-api: start-up, set-up, database, accounts, limits; each seen on v1.0.0-rc.15."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from standin_kit import ACCESS_TOKEN, RELAY_KEY, Gateway
from standin_newapi_kit import PASSWORD, NewGateway

from lab import legacy_database
from lab.standin.newapi import NAME, REAL_VERSION, VERSION
from lab.standin.newapi.config import load_config

pytest_plugins = ["standin_newapi_fixtures"]

Start = Callable[..., NewGateway]
LAB = Path(__file__).parents[2] / "lab"
SET_UP = {"username": "root", "password": PASSWORD, "confirmPassword": PASSWORD}


def columns(path: Path, table: str) -> set[str]:
    with sqlite3.connect(path) as database:
        return {row[1] for row in database.execute(f"PRAGMA table_info(`{table}`)")}


# --- start-up and set-up


def test_version_says_what_it_is(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "standin.newapi", "--version"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(LAB)},
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert done.stdout.strip() == f"{NAME} {VERSION}"
    assert list(tmp_path.iterdir()) == []


def test_an_empty_directory_gets_a_database_without_users(start_new: Start) -> None:
    gateway = start_new()
    with sqlite3.connect(gateway.directory / "one-api.db") as database:
        assert database.execute("SELECT count(*) FROM users").fetchone() == (0,)
        assert database.execute("SELECT count(*) FROM setups").fetchone() == (0,)
    data = {"status": False, "root_init": False, "database_type": "sqlite"}
    assert gateway.client.get("/api/setup").json() == {"data": data, "success": True}
    assert gateway.client.get("/api/status").json()["data"]["setup"] is False
    refused = gateway.post("/api/user/login", {"username": "root", "password": "123456"}).json()
    assert refused == {
        "message": "Username or password is incorrect, or user has been banned",
        "success": False,
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"username": "a" * 13}, "用户名长度不能超过12个字符"),
        ({"confirmPassword": "another"}, "两次输入的密码不一致"),
        ({"password": "short", "confirmPassword": "short"}, "密码长度至少为8个字符"),
    ],
)
def test_a_bad_set_up_is_refused(start_new: Start, change: dict[str, str], message: str) -> None:
    gateway = start_new()
    assert gateway.post("/api/setup", {**SET_UP, **change}).json() == {"message": message, "success": False}
    assert gateway.client.get("/api/setup").json()["data"]["status"] is False


def test_the_first_set_up_wins_and_gives_200_dollars(start_new: Start) -> None:
    gateway = start_new().set_up(SelfUseModeEnabled=True)
    again = gateway.post("/api/setup", {**SET_UP, "username": "thief"}).json()
    assert again == {"message": "系统已经初始化完成", "success": False}
    done = {"data": {"status": True, "root_init": False, "database_type": ""}, "success": True}
    assert gateway.client.get("/api/setup").json() == done
    assert gateway.ok("GET", "/api/user/self")["quota"] == 100_000_000
    assert gateway.client.get("/api/status").json()["data"]["self_use_mode_enabled"] is True
    restarted = start_new()
    restarted.log_in("root", PASSWORD)
    assert restarted.client.get("/api/status").json()["data"]["self_use_mode_enabled"] is True


def test_whoever_registers_before_the_set_up_takes_the_first_id(start_new: Start) -> None:
    gateway = start_new()
    assert gateway.post("/api/user/register", {"username": "early", "password": PASSWORD}).json()["success"]
    gateway.set_up()
    assert gateway.root_id == 2


def test_status_is_told_from_one_apis(new_gateway: NewGateway) -> None:
    answer = new_gateway.client.get("/api/status")
    assert answer.headers["x-new-api-version"] == VERSION == f"{REAL_VERSION}-stand-in"
    data = answer.json()["data"]
    assert {"setup", "self_use_mode_enabled", "quota_display_type", "start_time"} <= data.keys()
    assert not {"lark_client_id", "chat_link"} & data.keys()
    assert (data["version"], data["quota_per_unit"]) == (VERSION, 500000)
    assert NAME in data["system_name"]
    assert b'"success":true' in answer.content
    # UTC to the second, nanoseconds, eight hexadecimal digits of the process, eight letters or digits.
    assert re.fullmatch(r"\d{15,23}[0-9a-f]{8}[0-9A-Za-z]{8}", answer.headers["x-oneapi-request-id"])


def test_settings_are_those_of_the_version(tmp_path: Path) -> None:
    config = load_config({}, tmp_path)
    limits = {mark: (limit.number, limit.seconds) for mark, limit in config.limits.items()}
    assert limits == {"GA": (360, 180), "GW": (120, 180), "CT": (20, 1200), "search:user:": (10, 60)}
    env = {"SQLITE_PATH": "x.db?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)", "CRITICAL_RATE_LIMIT": "7"}
    config = load_config(env, tmp_path)
    assert (config.sqlite_path, config.busy_timeout_ms) == (tmp_path / "x.db", 10000)
    assert config.limits["CT"].number == 7
    assert load_config({}, tmp_path).busy_timeout_ms == 5000
    with pytest.raises(SystemExit, match="random string"):
        load_config({"SESSION_SECRET": "random_string"}, tmp_path)


def test_pragmas_of_the_path_are_done(start_new: Start) -> None:
    gateway = start_new(SQLITE_PATH="other.db?_pragma=journal_mode(WAL)")
    with sqlite3.connect(gateway.directory / "other.db") as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_dotenv_is_read(start_new: Start, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SQLITE_PATH=named.db\n")
    start_new()
    assert (tmp_path / "named.db").exists()


# --- a database of One API's


@pytest.mark.parametrize("version", ["", "v0.6.8", "v0.6.0"])
def test_one_apis_database_is_taken_over_without_a_wizard(tmp_path: Path, start_new: Start, version: str) -> None:
    path = tmp_path / "one-api.db"
    path.write_bytes(legacy_database.build(version))
    tables = ("channels", "tokens", "users", "options", "logs")
    before = {table: columns(path, table) for table in tables}
    with sqlite3.connect(path) as database:
        rows = database.execute("SELECT * FROM tokens ORDER BY id").fetchall()
    gateway = start_new()
    for table in tables:
        assert before[table] <= columns(path, table)
    assert {"model_limits_enabled", "model_limits", "allow_ips", "group", "deleted_at"} <= columns(path, "tokens")
    assert {"setting", "settings", "channel_info", "param_override", "tag"} <= columns(path, "channels")
    assert {"token_id", "is_stream", "use_time", "other", "request_id"} <= columns(path, "logs")
    with sqlite3.connect(path) as database:
        kept = database.execute("SELECT * FROM tokens ORDER BY id").fetchall()
        assert [row[: len(rows[0])] for row in kept] == rows
        assert database.execute("SELECT version FROM setups").fetchall() == [(REAL_VERSION,)]
    assert gateway.client.get("/api/status").json()["data"]["setup"] is True
    gateway.log_in("root", "123456")
    assert len(gateway.ok("GET", "/api/token/?p=1&page_size=100")["items"]) == 3


def test_one_apis_access_token_and_keys_work_and_its_limits_are_lost(tmp_path: Path, start_new: Start) -> None:
    """The trap: `models` and `subnet` of One API are not read."""
    old = Gateway(tmp_path)
    limited = old.ok(
        "POST", "/api/token/", {"name": "lim", "unlimited_quota": True, "models": "a", "subnet": "10.0.0.0/8"}
    )
    old.stop()
    gateway = start_new()
    gateway.access_token = ACCESS_TOKEN
    assert gateway.ok("GET", "/api/user/self")["username"] == "root"
    gateway.set_option("SelfUseModeEnabled", "true")
    gateway.add_channel("one", "a,b", "http://127.0.0.1:9")
    for key in (RELAY_KEY, limited["key"]):
        models = gateway.client.get("/v1/models", headers={"Authorization": f"Bearer sk-{key}"}).json()
        assert [row["id"] for row in models["data"]] == ["a", "b"]


def test_one_api_opens_what_new_api_has_used(tmp_path: Path, start_new: Start) -> None:
    """A token that new-api has deleted is alive again there."""
    Gateway(tmp_path).stop()
    gateway = start_new()
    gateway.access_token = ACCESS_TOKEN
    token = gateway.new_token()
    gateway.ok("DELETE", f"/api/token/{token['id']}")
    gateway.stop()
    back = Gateway(tmp_path)
    try:
        assert back.ok("GET", f"/api/token/{token['id']}")["key"] == token["key"]
    finally:
        back.stop()
    start_new()


def test_one_api_needs_two_starts_on_what_new_api_has_made(tmp_path: Path, start_new: Start) -> None:
    """As a way back it is none for a person in a hurry: the first start ends, as the real one's does."""
    gateway = start_new().set_up()
    token = gateway.new_token(model_limits_enabled=True, model_limits="a")
    gateway.stop()
    with pytest.raises(SystemExit):
        Gateway(tmp_path)
    back = Gateway(tmp_path)
    try:
        answer = back.login("root", PASSWORD)
        assert answer.json()["success"]
        cookie = {"Cookie": answer.headers["set-cookie"].partition(";")[0]}
        (row,) = back.client.get("/api/token/", headers=cookie).json()["data"]
        assert (row["key"], row["models"]) == (token["key"], None), "its limit is not One API's"
    finally:
        back.stop()
    start_new()


# --- who may call


def test_log_in_gives_a_cookie_that_needs_the_users_id(new_gateway: NewGateway) -> None:
    answer = new_gateway.post("/api/user/login", {"username": "root", "password": PASSWORD})
    shown = {"display_name": "Root User", "group": "default", "id": 1, "role": 100, "status": 1, "username": "root"}
    assert answer.json() == {"data": shown, "message": "", "success": True}
    assert answer.headers["set-cookie"].endswith("; Max-Age=2592000; HttpOnly; SameSite=Strict")
    cookie = {"Cookie": answer.headers["set-cookie"].partition(";")[0]}
    alone = new_gateway.client.get("/api/user/self", headers=cookie)
    assert (alone.status_code, alone.json()["message"]) == (401, "Unauthorized, New-Api-User header not provided")
    both = new_gateway.client.get("/api/user/self", headers={**cookie, "New-Api-User": "1"})
    assert both.json()["data"]["username"] == "root"
    assert both.headers["auth-version"]


@pytest.mark.parametrize(
    ("headers", "status", "message"),
    [
        ({}, 401, "Unauthorized, not logged in and no access token provided"),
        ({"Authorization": "wrong", "New-Api-User": "1"}, 200, "Unauthorized, invalid access token"),
        ({"Authorization": "RIGHT"}, 401, "Unauthorized, New-Api-User header not provided"),
        ({"Authorization": "RIGHT", "New-Api-User": "x"}, 401, "Unauthorized, New-Api-User header format error"),
        (
            {"Authorization": "RIGHT", "New-Api-User": "7"},
            401,
            "Unauthorized, New-Api-User does not match logged in user",
        ),
    ],
)
def test_a_caller_without_rights_is_told_why(
    new_gateway: NewGateway, headers: dict[str, str], status: int, message: str
) -> None:
    sent = {name: value.replace("RIGHT", new_gateway.access_token) for name, value in headers.items()}
    answer = new_gateway.client.get("/api/option/", headers=sent)
    assert (answer.status_code, answer.json()) == (status, {"message": message, "success": False})


def test_an_access_token_is_base64_and_may_have_a_word_before_it(new_gateway: NewGateway) -> None:
    assert re.fullmatch(r"[A-Za-z0-9+/]{26,32}={0,2}", new_gateway.access_token)
    assert len(new_gateway.access_token) in (28, 32)
    answer = new_gateway.request("GET", "/api/user/self", Authorization=f"Bearer {new_gateway.access_token}")
    assert answer.json()["success"]
    assert "access_token" not in answer.json()["data"]


# --- accounts


def test_the_own_password_needs_the_one_of_before(new_gateway: NewGateway) -> None:
    assert new_gateway.refused("PUT", "/api/user/self", {"password": "another-password"}) == "原密码错误"
    body = {"password": "another-password", "original_password": PASSWORD}
    new_gateway.ok("PUT", "/api/user/self", body)
    new_gateway.ok("PUT", "/api/user/self", {"password": PASSWORD, "original_password": "another-password"})


def test_put_of_a_user_empties_what_is_left_out(start_new: Start) -> None:
    gateway = start_new().set_up()
    gateway.ok("PUT", "/api/user/", {"id": 1, "username": "root", "password": "new-password"})
    user = gateway.ok("GET", "/api/user/self")
    assert (user["username"], user["display_name"], user["group"]) == ("root", "", "")
    gateway.log_in("root", "new-password")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"password": "long-enough"}, "Invalid parameters"),
        ({"id": 77, "password": "long-enough"}, "record not found"),
        (
            {"id": 1, "password": "abc"},
            "Invalid input Key: 'User.Password' Error:Field validation for 'Password' failed on the 'min' tag",
        ),
    ],
)
def test_put_of_a_user_is_refused(new_gateway: NewGateway, body: dict[str, object], message: str) -> None:
    assert new_gateway.refused("PUT", "/api/user/", body) == message


def test_the_wallet_is_set_by_manage(new_gateway: NewGateway) -> None:
    body = {"id": 1, "action": "add_quota", "mode": "override", "value": 500_000_000_000_000}
    assert new_gateway.api("POST", "/api/user/manage", body) == {"message": "", "success": True}
    assert new_gateway.ok("GET", "/api/user/self")["quota"] == 500_000_000_000_000
    refused = new_gateway.refused("POST", "/api/user/manage", {**body, "mode": "add", "value": 0})
    assert refused == "Quota change amount cannot be zero"


# --- limits and paths


def test_critical_calls_share_one_limit(start_new: Start) -> None:
    gateway = start_new(CRITICAL_RATE_LIMIT_ENABLE="true", CRITICAL_RATE_LIMIT="4").set_up()
    gateway.ok("POST", "/api/token/", {"name": "t"})
    codes = [gateway.request("POST", "/api/token/1/key").status_code for _ in range(4)]
    assert codes == [200, 200, 200, 429]
    refused = gateway.post("/api/user/login", {"username": "root", "password": PASSWORD})
    assert (refused.status_code, refused.content) == (429, b"")
    assert gateway.request("POST", "/api/token/batch/keys", {"ids": [1]}).status_code == 429
    assert gateway.ok("GET", "/api/token/")["total"] == 1


def test_the_search_of_tokens_has_a_limit_of_its_own(start_new: Start) -> None:
    gateway = start_new(SEARCH_RATE_LIMIT_ENABLE="true").set_up()
    codes = [gateway.request("GET", "/api/token/search?keyword=t").status_code for _ in range(11)]
    assert codes == [200] * 10 + [429]


def test_api_is_limited_and_v1_is_not(start_new: Start) -> None:
    gateway = start_new(GLOBAL_API_RATE_LIMIT_ENABLE="true", GLOBAL_API_RATE_LIMIT="3")
    assert [gateway.client.get("/api/status").status_code for _ in range(4)] == [200, 200, 200, 429]
    assert gateway.client.get("/v1/models").status_code == 401


def test_unknown_paths(new_gateway: NewGateway) -> None:
    for path in ("/api/nothing", "/v1/nothing", "/api/channel/1/status"):
        answer = new_gateway.client.post(path)
        assert answer.status_code == 404
        assert answer.json()["error"]["message"] == f"Invalid URL (POST {path})"
    page = new_gateway.client.get("/login")
    assert page.status_code == 200
    assert NAME in page.text
    assert new_gateway.client.get("/api/channel").headers["location"] == "/api/channel/"
