"""Which settings of a gateway take its data to another database than its data/one-api.db."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway import other_databases, remote
from gateway.migration import source

ENV_FILE = """\
# SQL_DSN=a comment
MY_SQL_DSN=another name
SQLITE_BUSY_TIMEOUT=3000
export LOG_SQL_DSN = postgres://u:secret@elsewhere/log
SQL_DSN=
 SQLITE_PATH=/data/other.db
"""


def container(*environment: str) -> dict[str, Any]:
    return {"Config": {"Env": list(environment)}}


def test_a_container_says_where_its_data_are() -> None:
    assert other_databases.that_holds_all(container("TZ=UTC", "SQL_DSN=root:x@tcp(db)/oneapi"), []) == "SQL_DSN"
    assert other_databases.that_holds_all(container("SQLITE_PATH=/data/x.db"), []) == "SQLITE_PATH"
    assert other_databases.that_holds_the_log(container("LOG_SQL_DSN=postgres://x"), []) == "LOG_SQL_DSN"


@pytest.mark.parametrize(
    "details", [{}, {"Config": {"Env": None}}, container("SQL_DSN=", "LOG_SQL_DSN=", "MY_SQL_DSN=x")]
)
def test_what_is_empty_or_named_otherwise_says_nothing(details: dict[str, Any]) -> None:
    assert other_databases.that_holds_all(details, []) is None
    assert other_databases.that_holds_the_log(details, []) is None


def test_a_log_that_is_elsewhere_is_not_all_of_the_data() -> None:
    assert other_databases.that_holds_all(container("LOG_SQL_DSN=postgres://x"), ["LOG_SQL_DSN"]) is None


def test_the_env_file_of_a_gateway_is_read_on_its_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the script that looks for gateways to move, as the host runs it; values stay there."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/.env").write_text(ENV_FILE)
    scripts: list[str] = []

    def run(host: object, script: str) -> list[str]:
        scripts.append(subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout)
        return scripts[-1].splitlines()

    monkeypatch.setattr(remote, "run", run)
    values = {"READ": str(tmp_path), "DATA": f"{tmp_path}/data", "CONTAINER": ""}
    found = source._ask(cast(Any, SimpleNamespace(name="old")), str(tmp_path), values)
    assert found.lines("data_settings") == ["LOG_SQL_DSN", "SQLITE_PATH"]
    assert "secret" not in found.text("data_settings")
