"""The fleet as one page of HTML that needs nothing beside itself, in light or dark, on a desk or a phone."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import markupsafe

from llm_gateway.model.wording import CHINESE, Wording
from llm_gateway.status import html, page_charts, page_lines, page_troubles, past, strips
from llm_gateway.status.page_words import WORDS
from llm_gateway.status.past import Past
from llm_gateway.status.shapes import HostStatus

REFRESH_SECONDS = 60
"""How often a browser that has the page open reads it anew."""
_TEMPLATE = "status_page.html.j2"
_SCRIPT = Path(__file__).with_name("status_page.js")
"""All that the page runs, named by its SHA-256 in the page's own policy."""
_COMMAND = re.compile(rf"`([^`]+)`|({page_troubles.SCRIPT})")


@dataclass(frozen=True)
class Page:
    """What a page shows.

    Args:
        minutes: how often it is made anew; an older one says itself that it is.
        pasts: the last two weeks of gateways, by host.
        language: "en" or "zh".
    """

    statuses: Sequence[HostStatus]
    made_at: datetime
    minutes: int
    pasts: Mapping[str, Past] = field(default_factory=dict)
    language: str = "en"

    def text(self) -> str:
        """Its HTML, what needs a person first. What comes from hosts is escaped: they can have any name."""
        words = Wording(WORDS, self.language)
        script = _SCRIPT.read_text(encoding="utf-8").strip()
        hosts = [self._shown(each, words) for each in sorted(self.statuses, key=lambda each: not each.attention)]
        return html.template(_TEMPLATE).render(
            language="zh-CN" if self.language == CHINESE else "en",
            words=words,
            refresh=REFRESH_SECONDS,
            made_at=self.made_at.strftime("%Y-%m-%d %H:%M:%S UTC"),
            made_at_iso=self.made_at.isoformat(timespec="seconds"),
            minutes=self.minutes,
            needing=sum(bool(each.attention) for each in self.statuses),
            hosts=hosts,
            width=strips.WIDTH,
            height=strips.HEIGHT,
            script=markupsafe.Markup(script),  # noqa: S704 - a file of ours, as it is
            script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        )

    def _shown(self, status: HostStatus, words: Wording) -> dict[str, Any]:
        gateway = status.gateway
        found = self.pasts.get(status.name, past.NONE)
        return {
            "name": status.name,
            "state": page_lines.state(status, words),
            "attention": [list(_marked(_told(text, words))) for text in status.attention],
            "lines": list(page_lines.lines(status, words)),
            # Where it is published: a page that another program shows there is not an admin page.
            "admin_page": f"http://{gateway.address}/" if gateway and gateway.version else None,
            "strips": strips.strips(found, self.made_at, words) if status.name in self.pasts else [],
            "usage": page_charts.usage(found.usage, words) if found.usage else None,
        }

    def write(self, path: Path) -> None:
        """Put it in place, whole or not at all: a browser may be reading it.

        Raises OSError, with a text for a person. A directory that is not there is a mistyped one: it is not made.
        """
        if path.is_dir():
            raise IsADirectoryError("it is a directory: name a file")
        if not path.parent.is_dir():
            raise NotADirectoryError(f"there is no directory {path.parent}")
        number, new = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(number, "w", encoding="utf-8") as file:
                file.write(self.text())
            # There is nothing secret in it, and a web server may be what shows it.
            Path(new).chmod(0o644)
            Path(new).replace(path)
        finally:
            with suppress(FileNotFoundError):
                Path(new).unlink()


def _told(text: str, words: Wording) -> str:
    return page_troubles.chinese(text) if words.language == CHINESE else text


def _marked(text: str) -> Iterator[tuple[str, bool]]:
    """The parts of a text, and which of them are commands."""
    at = 0
    for found in _COMMAND.finditer(text):
        if found.start() > at:
            yield text[at : found.start()], False
        yield found[1] or found[2], True
        at = found.end()
    if at < len(text):
        yield text[at:], False
