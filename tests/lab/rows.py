"""A gateway's database, read as it lies on the host."""

from __future__ import annotations

import base64
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.lab.conftest import Lab

OLD_DIRECTORY = "/root/workspace/infrastructure/oneapi"
DIRECTORY = "/opt/openclaw-llm-gateway"
TABLES = ("users", "channels", "abilities", "tokens", "options", "logs")


def directory(host: str) -> str:
    """Where the gateway of a lab host lives."""
    return OLD_DIRECTORY if host.startswith("old") else DIRECTORY


def rows(lab: Lab, host: str, place: str | None = None) -> dict[str, list[Any]]:
    """Every row of every table as a dict of its columns, in the order of their rowid; what new-api has deleted is none.

    Parameters: `place`, the gateway's directory, None for where it is on a host of the lab.
    """
    content = base64.b64decode(lab.ssh(host, f"base64 -w0 {place or directory(host)}/data/one-api.db"))
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "one-api.db"
        file.write_bytes(content)
        database = sqlite3.connect(file)
        database.row_factory = sqlite3.Row
        try:
            found = {
                table: [dict(row) for row in database.execute(f"SELECT * FROM {table} ORDER BY rowid")]  # noqa: S608
                for table in TABLES
            }
            return {table: [row for row in held if not row.get("deleted_at")] for table, held in found.items()}
        finally:
            database.close()


def secrets(lab: Lab, host: str) -> set[str]:
    """Every secret of a gateway: what it made for itself, its token keys and its channel keys."""
    lines = lab.ssh(host, f"cat {directory(host)}/secrets.env").splitlines()
    made = {line.split("=", 1)[1].strip("'") for line in lines if "=" in line and not line.startswith("#")}
    found = rows(lab, host)
    held = {row["key"] for table in ("tokens", "channels") for row in found[table]}
    return made | held
