"""`make pictures`: take pictures of the page of a fleet for the documentation, in a Chromium.

    python -m scripts.page_pictures

Beside them stands the SHA-256 of the page that each shows, by which a test tells that it is today's.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from llm_gateway.model.wording import LANGUAGES
from scripts import page_sample
from scripts.chromium import Chromium, ChromiumError

DIRECTORY = Path(__file__).parent.parent / "docs" / "pictures"
RECORD = "shown.json"
MOST_BYTES = 60_000
_QUALITIES = (80, 65, 50)
_WIDEST = 900
"""In pixels: a page of the documentation has no more room."""


@dataclass(frozen=True)
class Picture:
    """A picture: which state of the page, in which language, how wide and high at most (CSS pixels)."""

    state: str
    language: str
    width: int
    height: int
    is_dark: bool

    @property
    def name(self) -> str:
        """Its file."""
        return f"page-{self.state}-{self.width}{'-dark' if self.is_dark else ''}.{self.language}.webp"

    def html(self) -> str:
        """The page that it shows."""
        return page_sample.page(self.state, self.language).text()


PICTURES = tuple(
    Picture(state, language, width, height, is_dark)
    for language in LANGUAGES
    for state, width, height, is_dark in (
        ("trouble", 1280, 960, False),
        ("trouble", 390, 1100, True),
        ("well", 1280, 760, True),
        ("well", 390, 1100, False),
        ("old", 390, 420, False),
    )
)


def record() -> dict[str, str]:
    """The SHA-256 of today's pages, by the pictures of them."""
    return {picture.name: hashlib.sha256(picture.html().encode()).hexdigest() for picture in PICTURES}


def _taken(browser: Chromium) -> Iterator[tuple[str, bytes]]:
    with tempfile.TemporaryDirectory() as place:
        file = Path(place, "page.html")
        for picture in PICTURES:
            file.write_text(picture.html(), encoding="utf-8")
            browser.show(file, picture.width, is_dark=picture.is_dark, now=page_sample.NOW[picture.state])
            height = min(picture.height, browser.evaluate("document.documentElement.scrollHeight"))
            scale = min(1.0, _WIDEST / picture.width)
            tries = (browser.picture(picture.width, height, quality, scale) for quality in _QUALITIES)
            yield picture.name, next((content for content in tries if len(content) < MOST_BYTES), b"")


def main() -> int:
    """Write them; 1 where that cannot be."""
    DIRECTORY.mkdir(exist_ok=True)
    try:
        with Chromium() as browser:
            taken = dict(_taken(browser))
    except ChromiumError as problem:
        print(problem, file=sys.stderr)
        return 1
    if large := [name for name, content in taken.items() if not content]:
        print(f"{', '.join(large)}: more than {MOST_BYTES} bytes; show less of the page", file=sys.stderr)
        return 1
    for name, content in taken.items():
        (DIRECTORY / name).write_bytes(content)
        print(f"{name}: {len(content):,} bytes")
    (DIRECTORY / RECORD).write_text(json.dumps(record(), indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
