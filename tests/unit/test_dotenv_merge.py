"""Our keys in somebody else's dotenv file: read by every reader, and nothing of theirs changed."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llm_gateway.model import dotenv
from tests.unit.readers import compose, node, python, systemd

pytestmark = pytest.mark.slow

READERS = {
    "systemd": systemd.read,
    "node, dotenv": node.read,
    "python-dotenv": python.read_literally,
}
NEW = {"LLM_API_KEY": "sk-new", "LLM_MODEL_ID": "a b"}
APPENDED = f"{dotenv.COMMENT}\nLLM_API_KEY=sk-new\nLLM_MODEL_ID='a b'\n"
BOTH = "LLM_API_KEY=sk-new\nLLM_MODEL_ID='a b'\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("", APPENDED, id="empty"),
        pytest.param("A=1", f"A=1\n\n{APPENDED}", id="no end of the last line"),
        pytest.param("A=1\n\n", f"A=1\n\n{APPENDED}", id="an empty line is there"),
        pytest.param(
            "# mine\nLLM_MODEL_ID=old\nA='x'  # keep\nLLM_API_KEY=old\n",
            "# mine\nLLM_MODEL_ID='a b'\nA='x'  # keep\nLLM_API_KEY=sk-new\n",
            id="in place",
        ),
        pytest.param("export LLM_API_KEY='o'\nLLM_MODEL_ID=\n", BOTH, id="export"),
        pytest.param("LLM_API_KEY: o\n LLM_MODEL_ID = o\n", BOTH, id="colon and blanks"),
        pytest.param("LLM_API_KEY\n'LLM_MODEL_ID'=o\n", BOTH, id="bare and quoted keys"),
        pytest.param(f"{BOTH}A=1\nLLM_API_KEY=o\nLLM_MODEL_ID: o\n", f"{BOTH}A=1\n", id="duplicates"),
        pytest.param('LLM_API_KEY="o\no"\nLLM_MODEL_ID=o\n', BOTH, id="ours on two lines"),
        pytest.param("#LLM_API_KEY=o\n", f"#LLM_API_KEY=o\n\n{APPENDED}", id="commented out"),
        pytest.param("LLM_API_KEYS=1\n", f"LLM_API_KEYS=1\n\n{APPENDED}", id="a longer name"),
        pytest.param("A='\nLLM_API_KEY=o\n'\n", f"A='\nLLM_API_KEY=o\n'\n\n{APPENDED}", id="in a value"),
        pytest.param("A=x\\", f"A=x\\\n\n{APPENDED}", id="backslash before the end"),
        pytest.param("# c \\\nLLM_API_KEY=o\nLLM_MODEL_ID=o", "# c \\\n\n" + BOTH, id="backslash before ours"),
        pytest.param("FOO:\nLLM_API_KEY=o\nLLM_MODEL_ID=o", "FOO:\n\n" + BOTH, id="colon before ours"),
        pytest.param(f"{BOTH}A=x\\\nLLM_API_KEY=o\nB=1\n", f"{BOTH}A=x\\\n\nB=1\n", id="backslash before a duplicate"),
        pytest.param("A=1\r\nLLM_API_KEY=o\r\n", None, id="crlf"),
        pytest.param("\ufeffLLM_API_KEY=o\nLLM_MODEL_ID=o\n", BOTH, id="byte order mark"),
        pytest.param(f"{dotenv.COMMENT}\nLLM_MODEL_ID=o\n", APPENDED, id="one comment of ours"),
    ],
)
def test_merge(before: str, after: str | None) -> None:
    if after is None:
        after = f"A=1\nLLM_API_KEY=sk-new\n\n{dotenv.COMMENT}\nLLM_MODEL_ID='a b'\n".replace("\n", "\r\n")
    assert dotenv.merge(before, NEW) == after
    _check(before)


def test_compose_reads_a_merged_file() -> None:
    merged = dotenv.merge("A='x'\nexport B=2\nLLM_API_KEY=old\r\nC=\"two\nlines\"\n", NEW)
    values = NEW | {"A": "x", "B": "2", "C": "two\nlines"}
    assert compose.read(merged) == values


@pytest.mark.parametrize(
    ("before", "told"),
    [
        ("A=1\nB='hush\n", "line 2 opens a quote and does not close it"),
        ('A=1\nB="hush\n', "line 2 opens a quote and does not close it"),
        ("A=1\nB=`hush\nC=`\n", "line 2 opens a quote and does not close it"),
        ("A=1\nB='hush\nC='hush'\n", "line 3 goes on behind the quote"),
        ("A=1\nB='hush\\'\nC=1\n", "line 2 has a backslash before the quote"),
        ('A=1\nB="hush\\\\"\nC=1\n', "line 2 has a backslash before the quote"),
        ("A=1\nB: 'hush\n'\n", "line 2 opens a quote that some"),
        ("A=1\nx y='hush\n'\n", "line 2 opens a quote that some"),
        ("A=1\\\nB='hush\n'\n", "line 2 opens a quote that some"),
        ("A=\n'hush'\n", "line 2 begins with a quote"),
        ("A=1\n#\u2028LLM_API_KEY=hush\n", "line 2: holds the character U+2028"),
        ("A=1\nB=hush\rC=2\n", "line 2: holds the character U+000D"),
        ("A=1\nB=hush\0\n", "line 2: holds the character U+0000"),
    ],
)
def test_a_file_that_is_not_read_alike_is_refused_and_not_shown(before: str, told: str) -> None:
    with pytest.raises(dotenv.DotenvError) as refusal:
        dotenv.merge(before, NEW)
    assert str(refusal.value).startswith(told)
    assert "hush" not in str(refusal.value)


_SIGNS = ["A", "B=", "LLM_API_KEY", "LLM_API_KEY=", "=", ": ", ":", "'", '"', "`", "\\", "#", ";", " "]
_LINES = ["export ", "\n", "\n", "\n", "\r\n", "x", "$", "\ufeff", "\u00a0", "\t", "A='x'\n", 'B="y"', "C=z"]
PIECES = st.sampled_from(_SIGNS + _LINES)


@given(st.lists(PIECES, max_size=14).map("".join))
@example("A=\n\n# c\nLLM_API_KEY: x")
@example("A='x'\"y\nB=\"z\n")
@settings(max_examples=1000, deadline=None, derandomize=True)
def test_random_files_are_merged_for_every_reader_or_refused(before: str) -> None:
    try:
        dotenv.merge(before, NEW)
    except dotenv.DotenvError:
        return
    _check(before)


def _check(before: str) -> None:
    merged = dotenv.merge(before, NEW)
    assert dotenv.merge(merged, NEW) == merged
    for name, read in READERS.items():
        read_after = read(merged)
        assert {key: read_after.get(key) for key in NEW} == NEW, name
    _check_foreign_values(before, merged)


def _check_foreign_values(before: str, merged: str) -> None:
    """Nobody reads another value for a key of theirs, unless a line of ours had been joined to it."""
    for name, read in READERS.items():
        # Where systemd joins lines at a backslash, and Node after a colon, theirs may have been hidden by ours.
        if (name == "systemd" and "\\" in before) or (name.startswith("node") and re.search(r":\s*\n", before)):
            continue
        # Node takes a last line `A:` as a setting only once it has an end.
        was, now = _foreign(read(before + "\n")), _foreign(read(merged))
        assert {key: now.get(key) for key in was} == was, name


def _foreign(values: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in values.items() if "LLM_" not in key + value and not key.startswith("\ufeff")}
