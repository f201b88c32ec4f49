"""`docs/findings.md`: what each script in findings/ shows, from the comment at its head.

A script begins with `#!/usr/bin/env bash`, a line that says what surprised us, `#`, and a paragraph that begins with
the versions and how it was seen, up to its first full stop.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
_HEAD = """\
# Findings

What surprised us in other people's software, each with a script that shows it: run it, and it says what it saw.
One that meets another version than it was written for stops and says so.

This page is generated from the scripts' heads by `make generated`; do not edit it.

| what | version, and how it was seen | script |
|---|---|---|
"""


def text(folder: Path = ROOT / "findings") -> str:
    """The page. Raises ValueError for a script whose head has another form."""
    return _HEAD + "".join(_row(script) for script in sorted(folder.glob("*.sh")))


def _row(script: Path) -> str:
    comment = re.match(r"#!.*\n# (.+)\n#\n((?:# .+\n)+)", script.read_text(encoding="utf-8"))
    if comment is None:
        raise ValueError(f"findings/{script.name}: its head is not `# what`, `#`, `# versions, how it was seen.`")
    seen = " ".join(line.removeprefix("# ").strip() for line in comment[2].splitlines())
    sentence = re.split(r"[.:](?: |$)", seen, maxsplit=1)[0]
    cells = (_cell(comment[1]), _cell(sentence), f"`findings/{script.name}`")
    return f"| {' | '.join(cells)} |\n"


def _cell(text: str) -> str:
    return text.removesuffix(".").replace("|", r"\|")
