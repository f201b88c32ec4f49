"""`docs/attacks-and-faults.md`: rendered from `docs/shown.json`, which the runs of the tests write.

The two files change together, and only by `make test-attack`, `make test-faults` and `make test-full`.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
TESTS = ROOT / "tests" / "lab"
RESULTS = ROOT / "docs" / "shown.json"
PAGE = ROOT / "docs" / "attacks-and-faults.md"
KINDS = {"attack": "Attacks", "fault": "Faults"}

Row = Mapping[str, Any]
Results = dict[str, Sequence[Row]]
"""The lines of each test, by its pytest id; behind it REAL, where they were seen on a real tailnet."""
REAL = "@real"
"""Where the lab's Tailscale was no stand-in (LAB_TAILNET=real)."""

_HEAD = """# Attacks and faults

Each line was seen on lab hosts: real Docker, systemd, sshd and nftables, One API's stand-in behind them. The seconds
are those of one run on a machine with two cores.

This page is generated from what the tests have recorded; do not edit it. `make test-attack` renews the attacks,
`make test-faults` the faults, `make test-full` both; `make test-tailnet` those that were seen with a real Tailscale
v1.102.5, where the others have the lab's stand-in for it.
"""


def read() -> Results:
    """What is kept of earlier runs."""
    kept: Results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    return kept


def keep(seen: Results, failed: Iterable[str], complete: Iterable[str]) -> None:
    """Put what a run has seen in the place of what earlier runs saw of the same tests, and render the page.

    Parameters: `failed`, the ids of the tests that failed, be it before there was anything to see; `complete`, ids
    without parameters: of these tests the run had all parameters there are, and what was kept of others is outdated.
    """
    of_others = {f"{test}{kind}" for test in showing_tests() for kind in ("", REAL)} - {*complete}
    kept = {test: rows for test, rows in read().items() if function_of(test) in of_others and test not in {*failed}}
    results = kept | seen
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(dict(sorted(results.items())), indent=1, ensure_ascii=False) + "\n")
    PAGE.write_text(render(results))


def render(results: Results) -> str:
    """The page of these results."""
    return "\n".join([_HEAD, *(_section(kind, results) for kind in KINDS), *_not_shown(results)])


def showing_tests(marker: str = "") -> set[str]:
    """The ids of all tests that use the fixture `shown`, read from their source; those of parameters belong to one.

    Parameters: `marker`, such as "full": of the tests that carry it.
    """
    return {
        f"{file.relative_to(ROOT)}::{function.name}"
        for file in TESTS.glob("test_*.py")
        for function in ast.walk(ast.parse(file.read_text()))
        if isinstance(function, ast.FunctionDef)
        and function.name.startswith("test_")
        and "shown" in [argument.arg for argument in function.args.args]
        and (not marker or f"pytest.mark.{marker}" in map(ast.unparse, function.decorator_list))
    }


def function_of(test: str) -> str:
    """A test's id without its parameters, and with the tailnet that it was seen on."""
    return test.removesuffix(REAL).partition("[")[0] + (REAL if test.endswith(REAL) else "")


def verdict(row: Row) -> str:
    """How it ended, in a word."""
    return "held" if row["held"] else "NOT HELD"


def _section(kind: str, results: Results) -> str:
    lines = [
        f"| {_cell(row['name'])} | {_cell(row['happened'])} | {row['seconds']:.1f} | {verdict(row)} | {_tailnet(test)}"
        f" | `{_test(test)}` |"
        for test, rows in sorted(results.items())
        for row in rows
        if row["kind"] == kind
    ]
    head = [
        f"## {KINDS[kind]}\n",
        "| what was done | what happened | seconds | verdict | tailnet | test |",
        "|---|---|--:|---|---|---|",
    ]
    return "\n".join([*head, *lines, ""])


def _not_shown(results: Results) -> list[str]:
    missing = sorted(showing_tests() - {function_of(test).removesuffix(REAL) for test in results})
    if not missing:
        return []
    told = "Nobody has seen these hold since they were written or last failed; `make test-full` runs them."
    return [f"## Not shown\n\n{told}\n", *(f"- `{_test(test)}`" for test in missing), ""]


def _cell(words: str) -> str:
    return " ".join(words.split()).replace("|", "\\|").replace("<", "&lt;")


def _tailnet(test: str) -> str:
    return "real" if test.endswith(REAL) else "fake"


def _test(test: str) -> str:
    return function_of(test).removesuffix(REAL).removeprefix("tests/lab/")
