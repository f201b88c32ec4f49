"""The lab's stand-in for One API: start-up, database, limits, paths."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import bcrypt as reference
import pytest
from standin_kit import ACCESS_TOKEN, CONTENTS, RELAY_KEY, Gateway

from lab.standin import NAME, VERSION
from lab.standin.encoders import ENCODERS

pytest_plugins = ["standin_fixtures"]

LAB = Path(__file__).parents[2] / "lab"
CACHE_NAMES = [
    "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
    "fb374d419588a4632f3f557e76b4b70aebbca790",
]
TABLES = {"users", "channels", "abilities", "tokens", "options", "redemptions", "logs"}
Start = Callable[..., Gateway]


def run(directory: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """The real program, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "standin", *arguments],
        cwd=directory,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(LAB), **env},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


# --- start-up


def test_exits_1_without_token_encoders(tmp_path: Path) -> None:
    done = run(tmp_path, TIKTOKEN_CACHE_DIR=str(tmp_path))
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("[FATAL] ")
    assert "failed to get gpt-3.5-turbo token encoder" in last
    assert CACHE_NAMES[0] in last
    assert "not tried by the stand-in" in last


def test_database_and_root_are_made_before_the_encoders_fail(tmp_path: Path) -> None:
    run(tmp_path, TIKTOKEN_CACHE_DIR=str(tmp_path))
    with sqlite3.connect(tmp_path / "one-api.db") as db:
        assert db.execute("SELECT username, role FROM users").fetchall() == [("root", 100)]


def test_exits_1_when_an_encoder_has_other_contents(tmp_path: Path) -> None:
    for name, content in CONTENTS.items():
        (tmp_path / name).write_bytes(content)
    done = run(tmp_path, DATA_GYM_CACHE_DIR=str(tmp_path))
    assert done.returncode == 1
    assert "has SHA-256" in done.stderr


def test_version_and_help_say_what_it_is(tmp_path: Path) -> None:
    for flag in ("--version", "--help"):
        done = run(tmp_path, flag)
        assert done.returncode == 0
        assert f"{NAME} {VERSION}" in done.stdout


def test_log_directory_needs_its_parent(tmp_path: Path) -> None:
    done = run(tmp_path, "--log-dir", "missing/logs")
    assert done.returncode == 1
    assert "cannot log to" in done.stderr
    assert "Traceback" not in done.stderr


def test_encoder_names_are_the_known_ones() -> None:
    assert [encoder.cache_name for encoder in ENCODERS] == CACHE_NAMES


def test_dotenv_is_read_and_the_environment_wins(tmp_path: Path, start: Start) -> None:
    (tmp_path / ".env").write_text('INITIAL_ROOT_TOKEN="fromfile" # why\nexport SQLITE_PATH=other.db\n')
    gateway = start()
    assert (tmp_path / "other.db").exists()
    assert gateway.ok("GET", "/api/token/1")["key"] == RELAY_KEY


def test_log_lines_have_the_format_of_the_version(start: Start) -> None:
    gateway = start()
    first = gateway.log_text().splitlines()[0]
    assert first.startswith("[SYS] ")
    assert first.endswith(f"| {NAME} {VERSION} started ")


def test_no_secret_is_logged(start: Start) -> None:
    gateway = start()
    gateway.add_channel("quiet", "m", "http://127.0.0.1:9", key="sk-very-secret")
    gateway.chat("m")
    gateway.ok("GET", "/api/channel/")
    text = gateway.log_text()
    assert "do_request_failed" in text or "DoRequest failed" in text
    for secret in ("very-secret", RELAY_KEY, ACCESS_TOKEN):
        assert secret not in text


# --- database


def test_tables_are_the_real_ones(gateway: Gateway) -> None:
    with sqlite3.connect(gateway.directory / "one-api.db") as db:
        names = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type='table'")}
        assert db.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert names >= TABLES


def test_legacy_database_keeps_its_rows_and_root(tmp_path: Path, start: Start) -> None:
    hashed = reference.hashpw(b"an-old-password", reference.gensalt(10)).decode()
    with sqlite3.connect(tmp_path / "one-api.db") as db:
        db.execute("CREATE TABLE users (id integer PRIMARY KEY, username text, password text)")
        db.execute("INSERT INTO users VALUES (7, 'boss', ?)", (hashed,))
    gateway = start()
    with sqlite3.connect(tmp_path / "one-api.db") as db:
        assert db.execute("SELECT id, username FROM users").fetchall() == [(7, "boss")]
    assert gateway.login("boss", "an-old-password").json()["data"]["id"] == 7
    assert not gateway.login("root", "123456").json()["success"]


def test_initial_tokens_count_only_for_an_empty_table(start: Start) -> None:
    start()
    gateway = start(INITIAL_ROOT_TOKEN="L" * 48, INITIAL_ROOT_ACCESS_TOKEN="b" * 32)
    assert gateway.ok("GET", "/api/token/1")["key"] == RELAY_KEY
    assert not gateway.api("GET", "/api/user/self", token="b" * 32)["success"]


def test_initial_root_token_row(gateway: Gateway) -> None:
    token = gateway.ok("GET", "/api/token/1")
    assert token["name"] == "Initial Root Token"
    assert (token["expired_time"], token["unlimited_quota"]) == (-1, True)
    assert token["remain_quota"] == 500000000000000


def test_locked_database_fails_after_the_busy_timeout(start: Start) -> None:
    gateway = start(SQLITE_BUSY_TIMEOUT="50")
    other = sqlite3.connect(gateway.directory / "one-api.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    answer = gateway.api("POST", "/api/token/", {"name": "late"})
    assert answer == {"message": "database is locked", "success": False}
    other.execute("ROLLBACK")
    other.close()
    gateway.ok("POST", "/api/token/", {"name": "now"})


# --- limits and paths


def test_login_is_limited_per_address_with_an_empty_429(start: Start) -> None:
    gateway = start()
    for _ in range(20):
        assert gateway.post("/api/user/login", {}, {}).status_code == 200
    limited = gateway.post("/api/user/login", {}, {})
    assert (limited.status_code, limited.content) == (429, b"")
    assert gateway.login("root", "123456", "10.9.9.9").json()["success"]


def test_api_is_limited_and_v1_is_not(start: Start) -> None:
    gateway = start(GLOBAL_API_RATE_LIMIT="3")
    codes = [gateway.client.get("/api/status").status_code for _ in range(4)]
    assert codes == [200, 200, 200, 429]
    headers = {"Authorization": f"Bearer {RELAY_KEY}"}
    assert gateway.client.get("/v1/models", headers=headers).status_code == 200


def test_default_limits_are_those_of_the_version(tmp_path: Path) -> None:
    from lab.standin.config import load_config

    config = load_config({}, tmp_path)
    assert (config.api_rate_limit, config.web_rate_limit) == (240, 120)


def test_status_names_the_stand_in(gateway: Gateway) -> None:
    answer = gateway.client.get("/api/status")
    assert '"success":true' in answer.text
    data = answer.json()["data"]
    assert (data["version"], data["quota_per_unit"]) == ("v0.6.10-stand-in", 500000)
    assert NAME in data["system_name"]
    gateway.ok("PUT", "/api/option/", {"key": "SystemName", "value": "One API"})
    assert NAME in gateway.client.get("/api/status").json()["data"]["system_name"]


def test_status_is_get_only(gateway: Gateway) -> None:
    assert gateway.client.head("/api/status").status_code == 404


@pytest.mark.parametrize("method, code", [("GET", 301), ("POST", 307), ("PUT", 307)])
def test_missing_last_slash_is_redirected(gateway: Gateway, method: str, code: int) -> None:
    answer = gateway.client.request(method, "/api/channel?p=1")
    assert answer.status_code == code
    assert answer.headers["location"] == "/api/channel/?p=1"


def test_unknown_paths(gateway: Gateway) -> None:
    for path in ("/api/nothing", "/v1/nothing"):
        error = gateway.client.post(path)
        assert error.status_code == 404
        assert error.json()["error"] == {
            "message": f"Invalid URL (POST {path})",
            "type": "invalid_request_error",
            "param": "",
            "code": "",
        }
    page = gateway.client.get("/login")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.status_code == 200
    assert NAME in page.text


def test_request_id_is_on_every_answer(gateway: Gateway) -> None:
    for path in ("/api/status", "/v1/models", "/", "/v1/nothing"):
        # Date and time, nanoseconds without leading zeros, eight random digits.
        assert re.fullmatch(r"\d{23,31}", gateway.client.get(path).headers["x-oneapi-request-id"])
