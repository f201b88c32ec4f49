"""The recorded sessions in docs/: what of a terminal's output they show, and that they are there."""

from __future__ import annotations

import pytest

from llm_gateway.model.checkout import ROOT
from llm_gateway.model.columns import WIDTH, width
from scripts import pages, sessions

RAW = (
    "\r\x1b[K… Install Docker          2.1 s\r\x1b[K… Install Docker          2.3 s"
    "\r\x1b[K… gw1: sending it: 3 of 9 MiB   3.0 s\r\x1b[K\x1b[32m✓\x1b[0m Install Docker   3.1 s\n"
    "\nhost  what\n"
)


def test_what_stands_there_in_the_end() -> None:
    assert sessions.shown(RAW) == "✓ Install Docker   3.1 s\n\nhost  what"


def test_live_lines_that_stood_there_longest() -> None:
    lines = ["… Install Docker          2.3 s", "… gw1: sending it: 3 of 9 MiB   3.0 s"]
    assert sessions.live(RAW) == lines
    assert sessions.live(RAW, most=1) == lines[:1]
    assert sessions.live("no live line\n") == []


@pytest.mark.parametrize(("page", "language"), [("docs/sessions.md", 0), ("docs/sessions.zh-CN.md", 1)])
def test_both_pages_have_all_sessions(page: str, language: int) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    headings = [session.headings[language] for session in sessions.SESSIONS]
    assert [words for level, words in pages.headings(text) if level == 2] == headings
    assert "Traceback" not in text and "\x1b" not in text
    steps = [line for line in text.splitlines() if line.startswith("✓ ")]
    assert len(steps) > 12  # those of less than a second are not shown
    assert max(map(width, steps)) <= WIDTH
