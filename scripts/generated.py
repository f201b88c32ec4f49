"""`make generated`: write the files that are made from the code.

    python -m scripts.generated [--check]

`make lint` has them compared alone (`--check`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from scripts import commands_page, findings_page, pages, settings_pages, unasync

ROOT = Path(__file__).parent.parent
FILES: Mapping[str, Callable[[], str]] = {
    "group_data/all.py": settings_pages.group_data,
    "docs/settings.md": settings_pages.english,
    "docs/settings.zh-CN.md": lambda: pages.anchored(settings_pages.english(), settings_pages.chinese()),
    "docs/commands.md": commands_page.text,
    "docs/findings.md": findings_page.text,
    **{f"client/llm_client/_sync/{module}.py": partial(unasync.generated, module) for module in unasync.MODULES},
}
"""Each generated file, and what makes its text."""


def stale(root: Path) -> dict[str, str]:
    """The files below `root` that are not as they would be generated, each with the text that it should have."""
    made = {**pages.anchored_twins(root), **{name: make() for name, make in FILES.items()}}
    return {name: text for name, text in made.items() if _content(root / name) != text}


def _content(file: Path) -> str | None:
    return file.read_text(encoding="utf-8") if file.exists() else None


def main(arguments: list[str], root: Path = ROOT) -> int:
    """Write what is stale, or with `--check` say so; 1 where something is."""
    outdated = stale(root)
    if arguments == ["--check"]:
        for name in outdated:
            print(f"{name}: is not as it is generated; run `make generated`", file=sys.stderr)
        return int(bool(outdated))
    for name, text in outdated.items():
        (root / name).write_text(text, encoding="utf-8")
        print(f"{name}: written")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
