"""A backup of the one store made one of the other: what each writes, without a server (the lab has one)."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from llm_gateway.model.shell import program
from llm_gateway.tasks.restore import staging

_SCHEMA = (
    "CREATE TABLE tokens (id integer PRIMARY KEY AUTOINCREMENT, key char(48), name text, unlimited_quota numeric,"
    " balance real, used integer); CREATE TABLE options (key text PRIMARY KEY, value text);"
)
_NASTY = 'it\'s \\N \\\\ "q" 中文\n.quit\t\r\x01; DROP TABLE tokens;'
_ROWS = [
    (1, "k" * 48, _NASTY, 1, 0.1234567890123456, 9007199254740993),
    (7, "j" * 48, None, 0, None, 0),
    (8, "", "", 1, 1.5, 1),
]

_DUMP = r"""--
SET statement_timeout = 0;
CREATE TABLE public.options (
    key text NOT NULL,
    value text
);
CREATE TABLE public.tokens (
    id bigint NOT NULL,
    key character(48),
    name text,
    unlimited_quota boolean DEFAULT false,
    balance numeric,
    used bigint DEFAULT 0
);
COPY public.options (key, value) FROM stdin;
COPY public.x (y)	\\.
\.
COPY public.tokens (id, key, name, unlimited_quota, balance, used) FROM stdin;
1	KEY	NASTY	t	0.1234567890123456	9007199254740993
7	JEY	\N	f	\N	0
8	                                                		t	1.5	1
\.
--
-- PostgreSQL database dump complete
--
"""


def _copied(text: str) -> str:
    for plain, written in (("\\", "\\\\"), ("\n", "\\n"), ("\t", "\\t"), ("\r", "\\r")):
        text = text.replace(plain, written)
    return text


def _run(place: Path, function: str, **tools: str) -> subprocess.CompletedProcess[str]:
    tools_at = place / "tools"
    tools_at.mkdir(exist_ok=True)
    for name, text in tools.items():
        (tools_at / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools_at / name).chmod(0o755)
    values = {"directory": str(place), "service": "/x/database.conf", "claim": "llm_gateway_claim"}
    text = program(values, staging._CONVERT, call=function).replace(
        'export LC_ALL=C PATH="', f'export LC_ALL=C PATH="{tools_at}:'
    )
    return subprocess.run(["sh", "-c", text], capture_output=True, text=True, env={**os.environ}, check=False)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in ("data", "incoming.partial"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_the_rows_of_a_dump_are_in_the_file_as_they_were(place: Path) -> None:
    with closing(sqlite3.connect(place / "data" / "one-api.db")) as own:
        own.executescript(_SCHEMA)
        own.execute("INSERT INTO tokens (id, name) VALUES (99, 'of the gateway before')")
        own.commit()
    dump = _DUMP.replace("KEY", "k" * 48, 1).replace("JEY", "j" * 48).replace("NASTY", _copied(_NASTY))
    (place / "incoming.partial" / "one-api.sql").write_text(dump)
    done = _run(place, "to_file")
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in (place / "incoming.partial").iterdir()] == ["one-api.db"]
    with closing(sqlite3.connect(place / "incoming.partial" / "one-api.db")) as made:
        assert made.execute("SELECT * FROM tokens ORDER BY id").fetchall() == _ROWS
        assert made.execute("SELECT * FROM options").fetchall() == [("COPY public.x (y)", "\\.")]
        assert made.execute("SELECT seq FROM sqlite_sequence").fetchall() == [(8,)], "as the newest row has it"
        assert made.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_the_rows_of_a_file_go_into_a_dump_as_digits_and_null(place: Path) -> None:
    with closing(sqlite3.connect(place / "incoming.partial" / "one-api.db")) as source:
        source.executescript(_SCHEMA)
        source.executemany("INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?)", _ROWS)
        source.commit()
    columns = "tokens|id|::bigint\ntokens|name|\ntokens|balance|::numeric\ntokens|of a newer version|"
    psql = f"""case $(cat) in *current_schema\\(\\)\\;) echo public ;; *typcategory*) cat << 'END'
{columns}
END
;; esac"""
    done = _run(
        place,
        "to_dump",
        psql=psql,
        pg_dump='for last in "$@"; do case $last in --section=*) echo "-- $last" ;; esac; done',
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = (place / "incoming.partial" / "one-api.sql").read_text().splitlines()
    start = lines.index('COPY pg_temp."tokens" ("id", "name", "balance") FROM stdin;')
    digits = [line.split("\t") for line in lines[start + 1 : start + 4]]
    assert [bytes.fromhex(row[0]).decode() for row in digits] == ["1", "7", "8"]
    assert [row[1] if row[1] == "\\N" else bytes.fromhex(row[1]).decode() for row in digits] == [_NASTY, "\\N", ""]
    assert float(bytes.fromhex(digits[0][2])) == _ROWS[0][4]
    assert lines[start + 4] == "\\."
    assert (lines[0], lines[-1]) == ("-- --section=pre-data", "-- PostgreSQL database dump complete")
    assert lines.index("-- --section=post-data") > start


def test_rows_that_have_no_table_there_are_told(place: Path) -> None:
    with closing(sqlite3.connect(place / "incoming.partial" / "one-api.db")) as source:
        source.executescript(
            "CREATE TABLE tokens (id integer); CREATE TABLE novelties (a); INSERT INTO novelties VALUES (1);"
        )
    psql = "case $(cat) in *typcategory*) echo 'tokens|id|::bigint' ;; *) echo public ;; esac"
    done = _run(place, "to_dump", psql=psql, pg_dump="true")
    assert done.returncode != 0
    assert "it has rows in the table novelties, which the gateway's database has not" in done.stderr
