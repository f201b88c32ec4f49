"""What runs keep on a host, in a directory of their own, taken off by name: what a person has put there stays."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from llm_gateway.hosts import remote
from llm_gateway.model import layout
from llm_gateway.model.layout import FIREWALL, METRICS, PAGE, STATE, Role

# Some lie in directories of ours that people have reason to put something into.
_SHARED = tuple(f"{STATE}/{name}" for name in layout.state_names(Role.REMOVED) if "/" in name)
_FILES = tuple(name for name in layout.state_names(Role.REMOVED, Role.LAST) if "/" not in name)
_DIRECTORIES, _MARKS = layout.state_names(Role.WORK), layout.state_names(Role.LAST)


def is_ours(names: Iterable[str]) -> bool:
    """Whether any of these names in it is of a deployment that has not been removed."""
    return any(name in (*_MARKS, *_FILES, *_DIRECTORIES) for name in names)


def remove() -> str:
    """A command for root; it may be cut off anywhere and run again. What says how things were before goes last."""
    return "\n".join(
        [
            f"[ -d {STATE} ] || exit 0",
            f"cd {STATE}",
            f"rm -f {' '.join(map(shlex.quote, _SHARED))}",
            # What a write that was cut off has left.
            f"rm -f {' '.join(f'{name}{remote.UNFINISHED}?????? {name}.new' for name in (*_FILES, *_SHARED))}",
            f"for each in {FIREWALL} {METRICS} {PAGE}/html {PAGE}; do",
            "    [ ! -d $each ] || rmdir --ignore-fail-on-non-empty $each",
            "done",
            f"rm -f {' '.join(_FILES)}",
            f"rm -rf {' '.join(_DIRECTORIES)}",
            f"rm -f {' '.join(_MARKS)}",
            f"cd / && rmdir --ignore-fail-on-non-empty {STATE}",
        ]
    )


def left() -> str:
    """A command that prints what is left there, a path a line."""
    return f"find {STATE} -mindepth 1 ! -type d 2>/dev/null | head -n 20 || true"
