"""Which settings of a gateway take its data to another database than its data/one-api.db."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from llm_gateway.hosts import other_databases, remote
from llm_gateway.tasks.migration import source
from tests.unit import state_reader

NAMING = [
    ("SQL_DSN=root:hush@tcp(db)/oneapi", "SQL_DSN"),
    ("  export\tSQL_DSN = postgres://u:hush@db/x", "SQL_DSN"),
    ("SQL_DSN: postgres://u:hush@db/x", "SQL_DSN"),
    ("\tSQL_DSN='root:hush@tcp(db)/x' # mine\r", "SQL_DSN"),
    ("SQLITE_PATH=/data/other.db", "SQLITE_PATH"),
    ("SQLITE_PATH=/elsewhere/one-api.db", "SQLITE_PATH"),
    ('SQLITE_PATH="other.db?_busy_timeout=5000"', "SQLITE_PATH"),
    ("export LOG_SQL_DSN=postgres://u:hush@db/log", "LOG_SQL_DSN"),
]
SILENT = [
    "",
    "# SQL_DSN=a comment",
    "MY_SQL_DSN=x",
    "SQL_DSN_OLD=x",
    "SQLITE_BUSY_TIMEOUT=3000",
    "SQL_DSN=",
    "SQL_DSN= \r",
    'SQL_DSN=""',
    "SQL_DSN='' # none",
    "SQL_DSN= # none",
    "SQLITE_PATH=one-api.db",
    "SQLITE_PATH=./one-api.db",
    "SQLITE_PATH=/data/one-api.db",
    "SQLITE_PATH=one-api.db?_busy_timeout=5000",
    'SQLITE_PATH="/data/one-api.db" # as it is',
]
HAND_MADE = f"""#!/bin/sh
case "$*" in
    'ps --all '*) echo running one-api ;;
    'container inspect'*NetworkSettings*) echo '{{}}' ;;
    'container inspect'*'given '*) printf 'given %s\\n' TZ=UTC '{NAMING[0][0]}' ;;
    'container inspect'*--format*Env*) printf '%s\\n' TZ=UTC '{NAMING[0][0]}' ;;
    *inspect*) echo '[]' ;;
esac
"""


def named(data: Path, text: str) -> list[str]:
    """What a host names of these lines of a .env, by its own shell."""
    (data / ".env").write_bytes(text.encode())
    script = f"{other_databases.SCRIPT.read_text()}database_settings {data}"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize(("line", "name"), NAMING)
def test_a_setting_is_named_however_it_is_written(tmp_path: Path, line: str, name: str) -> None:
    assert named(tmp_path, f"TZ=UTC\n{line}\n") == [name]


@pytest.mark.parametrize("line", SILENT)
def test_what_is_empty_or_leads_nowhere_else_is_not(tmp_path: Path, line: str) -> None:
    assert named(tmp_path, f"{line}\nTZ=UTC\n") == []


def test_a_log_that_is_elsewhere_is_not_all_of_the_data() -> None:
    assert other_databases.that_holds_all(["LOG_SQL_DSN"]) is None
    assert other_databases.that_holds_all(["LOG_SQL_DSN", "SQL_DSN"]) == "SQL_DSN"
    assert other_databases.that_holds_the_log(["SQL_DSN"]) is None
    assert other_databases.that_holds_the_log(["SQL_DSN", "LOG_SQL_DSN"]) == "LOG_SQL_DSN"


def test_a_gateway_that_is_to_be_moved_is_asked_its_container_and_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = tmp_path / "programs/docker"
    docker.parent.mkdir()
    docker.write_text(HAND_MADE)
    docker.chmod(0o755)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/.env").write_text("SQLITE_PATH=/data/other.db\n")
    printed: list[str] = []

    def run(host: object, script: str) -> list[str]:
        script = f"PATH={docker.parent}:$PATH\n{script}"
        printed.append(subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout)
        return printed[-1].splitlines()

    monkeypatch.setattr(remote, "run", run)
    values = {"READ": str(tmp_path), "DATA": f"{tmp_path}/data", "CONTAINER": "one-api"}
    found = source._ask(cast(Any, SimpleNamespace(name="old")), str(tmp_path), values)
    assert found.lines("data_settings") == ["SQL_DSN", "SQLITE_PATH"]
    assert "hush" not in json.dumps(dict(found.answers))


@pytest.mark.parametrize("is_ours", [False, True])
def test_a_gateway_that_is_to_be_taken_over_is_asked_too(tmp_path: Path, is_ours: bool) -> None:
    path = state_reader.commands(tmp_path / "programs", docker=HAND_MADE)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/.env").write_text("LOG_SQL_DSN=postgres://u:hush@db/log\n")
    if is_ours:
        (tmp_path / "first-start-done").touch()
    state = state_reader.read(tmp_path, "gateway", path=path)
    assert state.lines("data_settings") == ([] if is_ours else ["SQL_DSN", "LOG_SQL_DSN"])
    assert "hush" not in json.dumps(dict(state.answers))
