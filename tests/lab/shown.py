"""Attacks and faults that a test shows: what was done, what happened, how long it took, and whether the gateway held.

    def test_docker_killed(deployed, shown):
        with shown("fault", "docker is killed") as it:
            ...
            it.happened("answers again by itself")

Each becomes a line of the table that `scripts/shown.py` prints at the end of a run and keeps for the docs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Literal

import pytest

Kind = Literal["attack", "fault"]
PROPERTY = "shown"
"""The name of the reports' user properties that carry a line of the table; they reach pytest-xdist's controller."""
_LONGEST_WORDS = 160


class It:
    """What a block of a test sees of one attack or fault."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.words = ""
        self.seconds: float | None = None

    def happened(self, words: str) -> None:
        """Say in a few words what happened; said again, it replaces what was said before."""
        self.words = words

    def took(self, seconds: float) -> None:
        """Say how long the part that matters took, where that is not the whole block."""
        self.seconds = seconds

    def lap(self) -> float:
        """Say that the part that matters ends here. Returns its seconds: those since the block began, or `start`."""
        self.seconds = time.monotonic() - self._began
        return self.seconds

    def start(self) -> None:
        """Say that the part that matters begins here, where that is not the block's begin."""
        self._began = time.monotonic()

    def row(self, kind: Kind, name: str, held: bool) -> dict[str, str | float | bool]:
        """The line of the table."""
        seconds = time.monotonic() - self._began if self.seconds is None else self.seconds
        return {"kind": kind, "name": name, "happened": self.words, "seconds": round(seconds, 1), "held": held}


Shown = Callable[[Kind, str], AbstractContextManager[It]]


@pytest.fixture
def shown(request: pytest.FixtureRequest) -> Shown:
    """Record attacks ("attack") and faults ("fault"): `with shown(kind, name) as it`. The test carries that marker."""

    @contextmanager
    def record(kind: Kind, name: str) -> Iterator[It]:
        assert request.node.get_closest_marker(kind), f"mark the test with pytest.mark.{kind}: make would not run it"
        it = It()
        try:
            yield it
            assert it.words, f"say what happened: {name}"
        except BaseException as error:
            it.happened(" ".join(str(error).split())[:_LONGEST_WORDS] or type(error).__name__)
            request.node.user_properties.append((PROPERTY, it.row(kind, name, held=False)))
            raise
        request.node.user_properties.append((PROPERTY, it.row(kind, name, held=True)))

    return record
