"""The pictures of the page in the documentation are of today's page, small, and shown."""

from __future__ import annotations

import json

import pytest

from scripts import page_pictures
from scripts.page_pictures import DIRECTORY, MOST_BYTES, PICTURES, RECORD


def test_they_show_todays_page() -> None:
    assert json.loads((DIRECTORY / RECORD).read_text()) == page_pictures.record(), "make pictures, and look at them"


def test_there_are_no_others_and_each_is_small() -> None:
    sizes = {file.name: file.stat().st_size for file in DIRECTORY.iterdir()}
    assert set(sizes) == {RECORD, *(picture.name for picture in PICTURES)}
    assert {name for name, size in sizes.items() if not 0 < size < MOST_BYTES} == set()


@pytest.mark.parametrize(("page", "language"), [("page.md", "en"), ("page.zh-CN.md", "zh")])
def test_the_documentation_shows_each_in_its_language(page: str, language: str) -> None:
    text = (DIRECTORY.parent / page).read_text(encoding="utf-8")
    shown = {picture.name for picture in PICTURES if f"(pictures/{picture.name})" in text}
    assert shown == {picture.name for picture in PICTURES if picture.language == language}
