"""The last words of a run: its table and what was not done, within 80 columns in both languages."""

from __future__ import annotations

import pytest

from llm_gateway.command import ending
from llm_gateway.command.screen import Screen
from llm_gateway.model.columns import WIDTH, width
from llm_gateway.tasks.summary import HostResult
from tests.unit.test_screen import Stream

FILES = tuple(f"Write file {number}" for number in range(9))
RESULTS = [
    HostResult("gw1", changes=("Install Docker", *FILES, "Start it"), role="admin page http://…"),
    HostResult("gw2", "failed", "Load the image", FILES[:1], tuple([*FILES, "Start it"] * 9)),
    HostResult("gw3", "interrupted", "", (), ("Start it",)),
    HostResult("gw4", "not reached"),
]


def told(language: str) -> list[str]:
    """The end of a run with these hosts."""
    stream = Stream()
    screen = Screen(stream, {"LANG": language})
    screen.seconds = {"gw1": 12.34, "gw2": 3.0}
    ending.tell_results(screen, RESULTS)
    return stream.text.splitlines()


def test_the_end_in_english() -> None:
    lines = told("C.UTF-8")
    assert lines[1:6] == [
        "host  what changed      seconds",
        "gw1   11 changes           12.3",
        "gw2   1 change, FAILED      3.0",
        "gw3   INTERRUPTED             -",
        "gw4   NOT REACHED             -",
    ]
    assert lines[6] == "gw1: admin page http://…"
    assert lines[8:12] == [
        "gw2: FAILED",
        "  failed at   Load the image",
        "  done        Write file 0",
        "  not done    Write 9 files; Start it; Write 9 files; Start it; Write 9 files;",
    ]


@pytest.mark.parametrize("language", ["C.UTF-8", "zh_CN.UTF-8"])
def test_it_fits_80_columns(language: str) -> None:
    lines = told(language)
    assert max(map(width, lines)) < WIDTH, lines
    assert len({width(line) for line in lines[1:6]}) == 1, "the table's columns stand below each other"


def test_the_end_in_chinese() -> None:
    lines = told("zh_CN.UTF-8")
    assert lines[1].split() == ["主机", "更改", "秒"]
    assert lines[2].split() == ["gw1", "11", "处更改", "12.3"]
    assert "  未完成      写入 9 个文件; Start it; 写入 9 个文件; Start it;" in "\n".join(lines)
