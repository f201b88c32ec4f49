"""What the documents for people who change the code name is there, where they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(path.relative_to(ROOT) for pattern in ("*.md", "docs/*.md") for path in ROOT.glob(pattern))
FOLDERS = (
    *("bench", "client", "deploys", "docs", "examples", "files", "findings", "group_data", "lab", "llm_gateway"),
    *("requirements", "scripts", "templates", "tests"),
)


def missing(text: str, place: Path) -> list[str]:
    """The files that a text names by their path from the top, or leads to from its place, and that are not there."""
    named = [name for name in re.findall(r"`([\w./-]+/[\w./-]*)`", text) if name.split("/")[0] in FOLDERS]
    linked = [link for link in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in link]
    return [name for name in named if not (ROOT / name).exists()] + [
        link for link in linked if not (place / link).exists()
    ]


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_documents_name_files_that_are_there(document: Path) -> None:
    file = ROOT / document
    assert missing(file.read_text(encoding="utf-8"), file.parent) == []


def test_a_file_that_is_not_there_is_found() -> None:
    text = "`llm_gateway/attic/`, `deploys/plan.py` and [this](design.md#floors) or [that](attic.md), not `data/.env`"
    assert missing(text, ROOT / "docs") == ["llm_gateway/attic/", "attic.md"]
