"""What runs keep on a host, in a directory of their own, taken off by name: what a person has put there stays."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from gateway import remote
from gateway.canary import scheduled_canary
from gateway.firewall_rules import DIRECTORY as FIREWALL
from gateway.host_state import PROJECT

PLACE = f"/var/lib/{PROJECT}"
REMOVING = "removing"
"""A removal has begun to give OpenClaw its own back, so that its unit is to be restarted."""
GIVEN_BACK = "env-given-back"
"""From here on, a .env that does not point at the gateway is what a removal has made of it."""
_MARKS = (REMOVING, GIVEN_BACK)
_FILES = (
    *("canary.jsonl", "canary.state", "canary-alert.log", "undo-unfinished", "llm_client.js.sha256"),
    *("journal.jsonl", "journal.jsonl.old"),
)
_DIRECTORIES = ("migration", "unfinished", "unfinished.new", "undoing", "undone", "committed", "before")
"""With all that is in them."""
_IN_SHARED = (
    *(f"{FIREWALL}/rules.nft", f"{FIREWALL}/hold-firewall"),
    *(f"{PLACE}/metrics/{scheduled_canary.METRICS_FILE}{end}" for end in ("", ".new")),
)
"""In directories of ours that people have reason to put something into."""


def is_ours(names: Iterable[str]) -> bool:
    """Whether any of these names in it is of a deployment that has not been removed."""
    return any(name in (*_MARKS, *_FILES, *_DIRECTORIES) for name in names)


def remove() -> str:
    """A command for root; it may be cut off anywhere and run again. What says how things were before goes last."""
    return "\n".join(
        [
            f"[ -d {PLACE} ] || exit 0",
            f"cd {PLACE}",
            f"rm -f {' '.join(map(shlex.quote, _IN_SHARED))}",
            # What a write that was cut off has left.
            f"rm -f {' '.join(f'{name}{remote.UNFINISHED}?????? {name}.new' for name in (*_FILES, *_IN_SHARED))}",
            f"for each in {FIREWALL} metrics; do [ ! -d $each ] || rmdir --ignore-fail-on-non-empty $each; done",
            f"rm -f {' '.join(_FILES)}",
            f"rm -rf {' '.join(_DIRECTORIES)}",
            f"rm -f {' '.join(_MARKS)}",
            f"cd / && rmdir --ignore-fail-on-non-empty {PLACE}",
        ]
    )


def left() -> str:
    """A command that prints what is left there, a path a line."""
    return f"find {PLACE} -mindepth 1 ! -type d 2>/dev/null | head -n 20 || true"
