"""The way back from another image, cut off at each of its commands and run again: it ends in the same state."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from llm_gateway.tasks.upgrades import image_switch

pytestmark = pytest.mark.slow

OLD, REFERENCE, ASIDE = "sha256:" + "1" * 64, "one-api:old", "other-image-now"
# Each command counts, and before the chosen one the script is killed.
_SHIM = """#!/bin/sh
read -r count < {place}/count; read -r cut < {place}/cut
count=$((count + 1)); echo $count > {place}/count
[ "$count" != "$cut" ] || {{ kill -9 $PPID; exit 1; }}
case ${{0##*/}} in
    systemctl | docker) echo "${{0##*/}} $*" >> {place}/calls ;;
    sync) ;;
    *) PATH=/usr/bin:/bin exec ${{0##*/}} "$@" ;;
esac
"""
_SHIMMED = ("systemctl", "docker", "sync", "cp", "mv", "rm", "mkdir", "rmdir", "find")


class Place:
    """A gateway's directory in the middle of a switch to another image."""

    def __init__(self, place: Path, *, schema_changed: bool) -> None:
        self.place = place
        self.directory = place / "gateway"
        self.unit = place / "gateway.service"
        files = [*(self.directory / name for name in (".env", "docker-compose.yml", "first-start.yml")), self.unit]
        self.paths = [*files, self.directory / "secrets.env", self.directory / "applied-keys.json"]
        kept = self.directory / "switching" / "files"
        for folder in (kept, self.directory / "data", self.directory / "switching" / "data", place / "bin"):
            folder.mkdir(parents=True)
        for path in self.paths[:-1]:  # there was no applied-keys.json
            (kept / path.name).write_text(f"old {path.name}")
            path.write_text("of the other image")
        self.paths[-1].write_text("of the other image")
        self.make_database(self.directory / "switching/data/one-api.db", rows=1)
        self.make_database(self.directory / "data/one-api.db", rows=2, schema_changed=schema_changed)
        for name in _SHIMMED:
            (place / "bin" / name).write_text(_SHIM.format(place=place))
            (place / "bin" / name).chmod(0o755)
        (place / "calls").touch()

    @staticmethod
    def make_database(path: Path, rows: int, *, schema_changed: bool = False) -> None:
        """A database with so many rows."""
        with sqlite3.connect(path) as database:
            database.execute("CREATE TABLE logs (id integer)")
            database.executemany("INSERT INTO logs VALUES (?)", [(row,) for row in range(rows)])
            if schema_changed:
                database.execute("CREATE TABLE novelties (id integer)")
        database.close()

    def undo(self, cut: int = 0, *, was_active: str = "yes", was_enabled: str = "yes") -> int:
        """Run the script, killed at the command of that number; how many commands it came to."""
        values = {
            "DIRECTORY": str(self.directory),
            "UNIT": "gateway.service",
            "OLD": OLD,
            "REFERENCE": REFERENCE,
            "FILES": " ".join(map(str, self.paths)),
            "ASIDE": ASIDE,
            "WAS_ACTIVE": was_active,
            "WAS_ENABLED": was_enabled,
        }
        (self.place / "count").write_text("0\n")
        (self.place / "cut").write_text(f"{cut}\n")
        script = image_switch.schema_functions() + image_switch.script("switch_undo.sh", **values)
        environment = {"PATH": f"{self.place}/bin:/usr/bin:/bin"}
        done = subprocess.run(["sh", "-eu", "-c", script], env=environment, capture_output=True, text=True, check=False)
        assert cut or done.returncode == 0, done.stderr
        return int((self.place / "count").read_text())

    @property
    def state(self) -> Mapping[str, object]:
        """All that counts at the end."""
        calls = (self.place / "calls").read_text().splitlines()
        aside = self.directory / "backups" / ASIDE
        return {
            "files": [path.read_text() if path.exists() else None for path in self.paths],
            "data": sorted(path.name for path in (self.directory / "data").iterdir()),
            "rows": self.rows(self.directory / "data/one-api.db"),
            "aside": self.rows(aside / "one-api.db") if aside.exists() else None,
            "left": sorted(path.name for path in self.directory.iterdir() if path.name.startswith("switching")),
            "backups": sorted(path.name for path in (self.directory / "backups").glob("*")),
            "last": calls[-3:],
            "tagged": f"docker image tag {OLD} {REFERENCE}" in calls,
        }

    @staticmethod
    def rows(path: Path) -> int:
        """How many rows it has."""
        database = sqlite3.connect(path)
        try:
            return int(database.execute("SELECT count(*) FROM logs").fetchone()[0])
        finally:
            database.close()


@pytest.mark.parametrize("schema_changed", [False, True])
def test_wherever_it_is_cut_off_the_next_time_ends_it(tmp_path: Path, schema_changed: bool) -> None:
    whole = Place(tmp_path / "whole", schema_changed=schema_changed)
    commands = whole.undo()
    expected = whole.state
    assert expected["files"] == [*(f"old {path.name}" for path in whole.paths[:-1]), None]
    assert expected["rows"] == (1 if schema_changed else 2)  # else what was written meanwhile stays
    assert expected["aside"] == (2 if schema_changed else None)
    assert (expected["data"], expected["left"], expected["tagged"]) == (["one-api.db"], [], True)
    assert expected["last"][-1] == "systemctl start --no-block gateway.service"  # type: ignore[index]
    assert commands > 20
    for number in range(1, commands + 1):
        cut = Place(tmp_path / "cut", schema_changed=schema_changed)
        cut.undo(number)
        cut.undo()
        assert cut.state == expected, f"cut off before command {number}"
        shutil.rmtree(tmp_path / "cut")


def test_a_database_that_cannot_be_read_any_more_is_replaced(tmp_path: Path) -> None:
    place = Place(tmp_path, schema_changed=False)
    (place.directory / "data/one-api.db").write_bytes(b"no database" * 1000)
    (place.directory / "data/one-api.db-journal").write_bytes(b"something")
    place.undo()
    assert place.rows(place.directory / "data/one-api.db") == 1
    assert sorted(path.name for path in (place.directory / "data").iterdir()) == ["one-api.db"]


def test_where_nothing_was_kept_yet_nothing_is_stopped(tmp_path: Path) -> None:
    place = Place(tmp_path, schema_changed=True)
    shutil.rmtree(place.directory / "switching")
    place.undo()
    assert "systemctl stop" not in (place.place / "calls").read_text()
    assert place.paths[0].read_text() == "of the other image"


def test_a_gateway_that_was_stopped_is_left_so(tmp_path: Path) -> None:
    place = Place(tmp_path, schema_changed=False)
    place.undo(was_active="no", was_enabled="no")
    calls = (tmp_path / "calls").read_text()
    assert "systemctl start" not in calls
    assert "reenable" not in calls
    assert "systemctl disable --quiet gateway.service" in calls
    assert place.paths[0].read_text() == "old .env"
    assert place.state["left"] == []
