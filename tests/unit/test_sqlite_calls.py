"""Whoever has broken into One API writes its database, and root reads it: no CHECK in it may be evaluated.

A CHECK can call functions of the sqlite3 shell that write files (tests/lab/test_attack_database.py shows it).
"""

from __future__ import annotations

import re

from tests.unit.fake_hosts import ROOT

_CALL = re.compile(r"""\bsqlite3 [-"'$/{].*""")


def test_every_call_of_the_sqlite3_shell_on_a_host_evaluates_no_check() -> None:
    places = [path for folder in ("files", "llm_gateway", "templates") for path in (ROOT / folder).rglob("*")]
    texts = {path: path.read_text() for path in places if path.is_file() and path.suffix != ".pyc"}
    calls = [(path, call) for path, text in texts.items() for call in _CALL.findall(text)]
    assert len(calls) > 5
    for path, call in calls:
        assert "-init /dev/null" in call, f"{path}: root's own ~/.sqliterc would be read"
        assert "PRAGMA ignore_check_constraints=ON" in call, path
