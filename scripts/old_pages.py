"""`make lint` names the Chinese pages whose English original has changed since; it fails for none of them.

    python -m scripts.old_pages

What changed may need no Chinese word; whether it does, a person says. Headings and commands are held by a test.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from scripts import pages


def older(root: Path = pages.ROOT) -> Iterator[tuple[Path, str]]:
    """The Chinese pages that are older than their original, and the day of its last change, or "today".

    By the order of commits, and not by their times, which a rebase makes anew. Where git knows of one commit alone, as
    in a shallow clone, none is.
    """
    log = _git(root, "log", "--format=commit %cs", "--name-only", "--", *map(str, pages.pages(root)))
    changed: dict[str, tuple[int, str]] = dict.fromkeys(_changed_now(root), (0, "today"))
    number, day = 0, ""
    for line in log.splitlines():
        if line.startswith("commit "):
            number, day = number + 1, line.removeprefix("commit ")
        elif line:
            changed.setdefault(line, (number, day))
    for page in pages.pages(root):
        original, twin = changed.get(str(page)), changed.get(str(pages.twin(page)))
        if original and twin and original[0] < twin[0]:
            yield pages.twin(page), original[1]


def _changed_now(root: Path) -> list[str]:
    return _git(root, "diff", "HEAD", "--name-only", "--relative").splitlines()


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True).stdout


def main() -> int:
    """Name them."""
    for page, day in older():
        print(f"{page}: its original has changed since ({day}); does it still say the same?", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
