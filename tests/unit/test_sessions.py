"""The recorded sessions in docs/: what of a terminal's output they show, and that they are there."""

from __future__ import annotations

import re

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
    assert len(steps) > 6
    assert max(map(width, steps)) <= WIDTH


MOST_WORDS = 150
"""That are read aloud in a minute."""


def spoken(text: str) -> float:
    """How many words a text has; in Chinese, 1.6 characters are one (240 characters are read in a minute)."""
    chinese = re.findall(r"[\u4e00-\u9fff]", text)
    others = re.sub(r"[\u3000-\u9fff\uff00-\uffef]", " ", text).split()
    return len(chinese) / 1.6 + len([word for word in others if re.search(r"\w", word)])


@pytest.mark.parametrize(
    ("text", "count"),
    [("✓ gw1: verified within 2.56 s   0.1 s", 7), ("✓ gw1: 已按声明设置 2 个渠道、3 个令牌", 3 + 12 / 1.6), ("", 0)],
)
def test_words_are_counted_as_they_are_read(text: str, count: float) -> None:
    assert spoken(text) == pytest.approx(count)


@pytest.mark.parametrize(("page", "language"), [("docs/sessions.md", 0), ("docs/sessions.zh-CN.md", 1)])
def test_a_first_deployment_is_read_aloud_in_a_minute(page: str, language: int) -> None:
    heading = next(each.headings[language] for each in sessions.SESSIONS if each.has_live)
    text = (ROOT / page).read_text(encoding="utf-8")
    written = text.partition(f"## {heading}")[2].partition("```text\n")[2].partition("```")[0]
    assert 60 < spoken(written) <= MOST_WORDS, written
