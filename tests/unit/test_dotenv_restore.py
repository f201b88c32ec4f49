"""What `dotenv.merge` has put into somebody's file is taken out again: byte for byte, or around additions."""

from __future__ import annotations

import pytest

from llm_gateway.model import dotenv
from llm_gateway.tasks.removal.dotenv_restore import restore, value

NAMES = ("LLM_BASE_URL", "LLM_API_KEY", "LLM_MODEL_ID", "EMBEDDING_MODEL_ID")
VALUES = {
    "LLM_BASE_URL": "http://100.64.0.1:3000/v1",
    "LLM_API_KEY": "sk-k",
    "LLM_MODEL_ID": "m",
    "EMBEDDING_MODEL_ID": "e",
}
FILES = {
    "ordinary": "A=1\n# a comment\nB='2 3'\n",
    "without an end of the last line": "A=1",
    "empty": "",
    "a blank line at the end": "A=1\n\n",
    "ours, and one of them twice": "LLM_API_KEY=old\nA=1\nexport LLM_API_KEY=older\nLLM_BASE_URL: https://x/v1\n",
    "a byte order mark and CR LF": "\ufeffA=1\r\nLLM_MODEL_ID=x\r\n",
    "a value of several lines": "A='one\ntwo'\nLLM_API_KEY='three\nfour'\n",
    "a line that runs on": "A=\\\nLLM_API_KEY=3\n",
}


@pytest.mark.parametrize("before", [*FILES.values(), None], ids=[*FILES, "no file"])
def test_what_nobody_has_touched_is_as_it_was(before: str | None) -> None:
    merged = dotenv.merge(before or "", VALUES)
    assert restore(merged, before, NAMES) == before
    # A later deployment may have written other values.
    assert restore(dotenv.merge(merged, {**VALUES, "LLM_MODEL_ID": "another"}), before, NAMES) == before


@pytest.mark.parametrize("before", [*FILES.values(), None], ids=[*FILES, "no file"])
def test_what_was_added_since_stays(before: str | None) -> None:
    restored = restore(f"{dotenv.merge(before or '', VALUES)}LATER=added\n", before, NAMES)
    assert restored is not None
    assert restored.endswith("LATER=added\n")
    assert not any(text in restored for text in (*VALUES.values(), dotenv.COMMENT) if len(text) > 2)
    for line in (before or "").lstrip("\ufeff").splitlines():
        assert line in restored


def test_other_lines_stay_where_they_are() -> None:
    text = "# top\nA=1\nLLM_API_KEY=sk-ours\nB=2\n"
    assert restore(text, "A=0\nLLM_API_KEY=theirs\n", NAMES) == "# top\nA=1\nLLM_API_KEY=theirs\nB=2\n"


def test_a_name_that_a_person_has_taken_out_stays_out() -> None:
    assert restore("A=1\nB=2\n", "A=1\nLLM_API_KEY=theirs\n", NAMES) == "A=1\nB=2\n"


def test_a_file_that_is_not_read_alike_is_refused() -> None:
    with pytest.raises(dotenv.DotenvError, match="line 2"):
        restore("A=1\nB='open\nLLM_API_KEY=sk-k\n", "A=1\n", NAMES)


@pytest.mark.parametrize(
    ("line", "found"),
    [("LLM_BASE_URL=http://x/v1", "http://x/v1"), ("LLM_BASE_URL='a'", "a"), ("X_LLM_BASE_URL=a", None)],
)
def test_the_value_of_a_line_of_ours(line: str, found: str | None) -> None:
    assert value(f"A=1\n{line}\n", "LLM_BASE_URL") == found
