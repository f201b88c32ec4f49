"""The table of attacks and faults in the docs is what the tests have shown: all of it, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts import shown_page
from scripts.shown_page import KINDS, PAGE, REAL, function_of, read, render, showing_tests

ROW = {"kind": "fault", "name": "a | b", "happened": "two\nlines of <it>", "seconds": 2.25, "held": False}


def test_the_page_is_rendered_from_the_results() -> None:
    assert PAGE.read_text() == render(read()), "the page was edited: make test-attack and test-faults write it"


def test_every_test_that_shows_something_stands_in_the_page_and_no_other() -> None:
    shown, told = {function_of(test).removesuffix(REAL) for test in read()}, PAGE.read_text()
    assert shown <= showing_tests(), "make test-attack and test-faults renew the page"
    missing = showing_tests() - shown
    assert missing <= showing_tests("full"), "make test-attack and test-faults renew the page"
    assert [test for test in missing if f"- `{test.removeprefix('tests/lab/')}`" not in told] == []


def test_all_that_the_page_shows_was_held() -> None:
    assert [row["name"] for rows in read().values() for row in rows if not row["held"]] == []


def test_there_are_attacks_and_faults() -> None:
    assert {row["kind"] for rows in read().values() for row in rows} == set(KINDS)


def test_a_line_stays_a_line_of_its_table() -> None:
    page = render({"tests/lab/test_some.py::test_it[one]": [ROW]})
    (line,) = [line for line in page.splitlines() if "a \\| b" in line]
    assert line == "| a \\| b | two lines of &lt;it> | 2.2 | NOT HELD | fake | `test_some.py::test_it` |"


def test_what_was_seen_on_a_real_tailnet_stands_beside_what_the_stand_in_showed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RESULTS", "PAGE"):
        monkeypatch.setattr(shown_page, name, tmp_path / name)
    test = min(showing_tests())
    for run in (f"{test}[one]", f"{test}[one]@real", f"{test}@real"):
        shown_page.keep({run: [ROW]}, [], [function_of(run)])
    rows = [line.split("|")[-3].strip() for line in (tmp_path / "PAGE").read_text().splitlines() if "NOT HELD" in line]
    assert sorted(rows) == ["fake", "real"]


def test_what_nobody_has_seen_hold_is_told() -> None:
    told = render({}).partition("## Not shown")[2]
    assert [test for test in showing_tests() if f"`{test.removeprefix('tests/lab/')}`" not in told] == []


def test_what_held_once_does_not_stay_where_its_test_fails_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RESULTS", "PAGE"):
        monkeypatch.setattr(shown_page, name, tmp_path / name)
    seen, broken, other = sorted(showing_tests())[:3]
    rows = [{**ROW, "held": True}]
    shown_page.keep({seen: rows, f"{broken}[one]": rows, f"{broken}[two]": rows, other: rows}, [], [])
    shown_page.keep({seen: [ROW]}, [f"{broken}[two]"], [])
    assert json.loads((tmp_path / "RESULTS").read_text()) == {seen: [ROW], f"{broken}[one]": rows, other: rows}
    shown_page.keep({f"{broken}[three]": rows}, [], [broken])
    assert json.loads((tmp_path / "RESULTS").read_text()) == {seen: [ROW], f"{broken}[three]": rows, other: rows}
