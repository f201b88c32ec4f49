"""What CHANGELOG.md says of a version."""

from __future__ import annotations

import re

UNRELEASED = "Unreleased"


def entry(text: str, version: str) -> str | None:
    """What stands below `## [VERSION]`, with or without a date; None where there is no such heading."""
    return _below(text, rf"^## \[{re.escape(version)}\].*\n", r"^## ")


def upgrade_notes(text: str, version: str) -> str:
    """The upgrade notes of a version, or of what is to come where it is not released yet."""
    told = entry(text, version)
    told = entry(text, UNRELEASED) if told is None else told
    return _below(told or "", r"^### Upgrade notes\n", r"^### ") or ""


def _below(text: str, heading: str, following: str) -> str | None:
    if (found := re.search(heading, text, re.MULTILINE)) is None:
        return None
    return re.split(following, text[found.end() :], maxsplit=1, flags=re.MULTILINE)[0]
