"""Each line of the table of threats names what remains or that nothing does, and tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "threats.md"
SHOWN_BY = 3
_TEST = re.compile(r"`(tests/[a-z0-9_/]+\.py)(?:::(test_\w+))?`")


def _rows() -> list[list[str]]:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ") and "|---" not in line]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if row[0] != "Who"]


@pytest.mark.parametrize("row", _rows(), ids=lambda row: row[0])
def test_a_threat_is_shown_by_tests_that_exist(row: list[str]) -> None:
    assert len(row) == 5
    assert all(row[:4])
    named = _TEST.findall(row[SHOWN_BY])
    assert named
    assert _TEST.sub("", row[SHOWN_BY]).strip() == "", "something there is no test"
    for file, name in named:
        tree = ast.parse((ROOT / file).read_text())
        functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert not name or name in functions, f"{file} has no {name}"


def test_the_page_names_no_test_elsewhere_that_is_gone() -> None:
    for file, _ in _TEST.findall(PAGE.read_text()):
        assert (ROOT / file).is_file(), file
