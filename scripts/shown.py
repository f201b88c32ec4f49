"""A pytest plugin: the table of the attacks and faults that a run has shown; `--keep-shown` keeps it in the docs."""

from __future__ import annotations

import pytest

from lab import tailnet
from lab.errors import LabError
from scripts.shown_page import PAGE, REAL, ROOT, Results, function_of, keep, verdict
from tests.lab.shown import PROPERTY

_seen: Results = {}
_failed: set[str] = set()
_on = {"tailnet": ""}
"""Behind the name of each test: on which tailnet this run is; asked once, since tests change LAB_TAILNET."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--keep-shown", action="store_true", help=f"renew {PAGE.relative_to(ROOT)} by what this run shows")


def pytest_configure() -> None:
    try:
        _on["tailnet"] = REAL if tailnet.wanted() == tailnet.REAL else ""
    except LabError as problem:
        raise pytest.UsageError(str(problem)) from None


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    name = report.nodeid + _on["tailnet"]
    if report.failed:
        _failed.add(name)
    rows = [row for name, row in report.user_properties if name == PROPERTY]
    if report.when == "teardown" and rows:
        # What a test says of an attack is worth nothing where the test fails later.
        held = name not in _failed
        _seen[name] = [{**row, "held": row["held"] and held} for row in rows]  # type: ignore[dict-item,index]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if _seen:
        terminalreporter.section("attacks and faults")
        for line in _table():
            terminalreporter.write_line(line, red="NOT HELD" in line)
    if config.getoption("--keep-shown"):
        run = {function_of(test) for test in (*_seen, *_failed)}
        keep(_seen, _failed, run if _is_whole(config) else ())
        terminalreporter.write_line(f"kept in {PAGE.relative_to(ROOT)}")


def _is_whole(config: pytest.Config) -> bool:
    """Whether a test that was run was run with all of its parameters: not where -k, -m or an id chooses among them."""
    chosen = config.option.keyword or any("::" in argument for argument in config.args)
    return not chosen and config.option.markexpr in ("", "attack", "fault")


def _table() -> list[str]:
    """The lines, each column as wide as its widest cell."""
    rows = [
        (str(row["kind"]), str(row["name"]), str(row["happened"]), f"{row['seconds']:.1f} s", verdict(row))
        for _, of_test in sorted(_seen.items())
        for row in of_test
    ]
    table = [("kind", "what was done", "what happened", "seconds", "verdict"), *sorted(rows, key=lambda row: row[0])]
    widths = [max(len(row[column]) for row in table) for column in range(5)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
