"""What was run on the hosts, as their journals say (see llm_gateway/hosts/journal.py)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from llm_gateway.model import layout

_TEXTS = ("at", "commit", "event", "failed_at", "image", "outcome", "run", "script", "text", "version", "who", "why")
_KINDS: dict[str, Any] = {**dict.fromkeys(_TEXTS, str), "seconds": (int, float), "changes": list}


@dataclass
class PastRun:
    """A run as a host's journal tells it; what an interrupted run did not come to write is None."""

    identity: str
    began: str | None = None
    """In UTC, ISO 8601."""
    script: str | None = None
    who: str | None = None
    version: str | None = None
    commit: str | None = None
    """Which state of the checkout it was, where it was one and the run changed something."""
    has_changed: bool = False
    """Whether it has begun to change something."""
    outcome: str | None = None
    """ "done", "failed", "interrupted" or "refused"; None of one that was cut off, and of one that changed nothing,
    unless the one before has ended badly."""
    ended: str | None = None
    seconds: float | None = None
    image: str | None = None
    changes: list[str] = field(default_factory=list)
    failed_at: str | None = None
    notes: list[str] = field(default_factory=list)
    """The steps that it told, with which it began to change something."""
    is_at_work: bool = False

    @property
    def has_done_something(self) -> bool:
        """Whether it says anything of the host; one that was refused does not."""
        return self.is_at_work or self.has_changed or self.outcome not in (None, "refused")

    @property
    def is_bad(self) -> bool:
        """Whether how it ended needs a person."""
        was_cut_off = self.outcome is None and self.has_changed
        return not self.is_at_work and (self.outcome in ("failed", "interrupted") or was_cut_off)

    @property
    def how(self) -> str:
        """How it ended, in words."""
        if self.is_at_work:
            return "at work"
        if self.outcome == "done":
            return _counted(self.changes)
        if self.outcome == "failed":
            return f"FAILED at: {self.failed_at}" if self.failed_at else "FAILED"
        if self.outcome == "interrupted":
            return "interrupted by its person"
        if self.outcome == "refused":
            return "refused"
        return "CUT OFF before its end" if self.has_changed else "changed nothing"

    def as_json(self) -> dict[str, Any]:
        """As an object for JSON; `how` in words besides."""
        return {**vars(self), "how": self.how}


@dataclass(frozen=True)
class Undone:
    """Something that a host has undone by itself."""

    at: str
    what: str
    why: str


def parse(lines: Iterable[str]) -> tuple[list[PastRun], list[Undone], int]:
    """A journal's runs, the oldest first; what the host has undone; and how many lines cannot be read."""
    runs: dict[str, PastRun] = {}
    undone, unreadable = [], 0
    for line in filter(str.strip, lines):
        try:
            entry = _whole(json.loads(line))
            if entry["event"] == "undone":
                undone.append(Undone(entry["at"], entry["text"], entry["why"]))
                continue
            _take(runs.setdefault(entry["run"], PastRun(entry["run"])), entry)
        except (ValueError, KeyError, TypeError, RecursionError):
            unreadable += 1  # a line that a loss of power has cut, or that a person has edited
    return list(runs.values()), undone, unreadable


def _whole(entry: Any) -> dict[str, Any]:
    """The entry, whose parts are each of its kind. Raises TypeError where one is not."""
    known = {name: value for name, value in dict(entry).items() if name in _KINDS}
    if known.get("commit", "") is None:
        del known["commit"]
    if wrong := [name for name, value in known.items() if not isinstance(value, _KINDS[name])]:
        raise TypeError(f"{', '.join(wrong)}: of another kind")
    if not all(isinstance(step, str) for step in known.get("changes", ())):
        raise TypeError("changes: not all are text")
    return dict(entry)


def _take(run: PastRun, entry: dict[str, Any]) -> None:
    match entry["event"]:
        case "begun":
            run.began, run.script, run.who = entry["at"], entry["script"], entry["who"]
            run.version = entry["version"]
        case "changing":
            run.has_changed, run.commit = True, entry["commit"]
        case "note":
            run.has_changed = True
            run.notes.append(entry["text"])
        case "at work":
            run.is_at_work = True
        case "ended":
            run.ended, run.outcome, run.seconds = entry["at"], entry["outcome"], entry["seconds"]
            run.changes, run.failed_at, run.image = entry["changes"], entry.get("failed_at"), entry.get("image")


def as_json(runs: list[PastRun], undone: list[Undone], unreadable: int, last: int) -> dict[str, Any]:
    return {
        "runs": [run.as_json() for run in runs[-last:]],
        "undone": [vars(each) for each in undone[-last:]],
        "unreadable_lines": unreadable,
    }


def told(runs: list[PastRun], undone: list[Undone], unreadable: int, last: int) -> list[str]:
    """What a journal tells, in lines for people; the latest at the end, where a person at a terminal looks.

    Parameters: `last`, how many runs; 0: all.
    """
    shown = runs[-last:]
    since = "" if len(shown) == len(runs) else shown[0].began or ""
    blocks = [(run.began or "", _told_run(run)) for run in shown]
    blocks += [
        (each.at, [f"  {_moment(each.at)}  the host rolled back: {each.what}, because {each.why}"]) for each in undone
    ]
    lines = [line for at, block in sorted(blocks, key=lambda pair: pair[0]) if at >= since for line in block]
    if unreadable:
        lines.append(f"  ({unreadable} lines of {layout.JOURNAL} cannot be read)")
    return lines or ["  nothing was run on it yet"]


def _told_run(run: PastRun) -> list[str]:
    versions = ", ".join(filter(None, (run.version, run.commit, run.image)))
    took = "" if run.seconds is None else f" in {run.seconds:.0f} s"
    first = f"  {_moment(run.began)}  {run.script} by {run.who} ({versions}): {run.how}{took}"
    steps = run.changes if run.outcome == "done" else [*run.changes, *(f"{note} ..." for note in run.notes[-3:])]
    return [first, *(f"      {step}" for step in steps)]


def _moment(at: str | None) -> str:
    return at.replace("T", " ").replace("Z", " UTC") if at else "?"


def _counted(changes: list[str]) -> str:
    return {0: "done", 1: "1 change"}.get(len(changes), f"{len(changes)} changes")
