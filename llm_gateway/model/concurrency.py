"""One step for several hosts at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")

_MOST = 32


def concurrently(step: Callable[[S], T], subjects: Iterable[S]) -> list[T]:
    """Run a step for each of several subjects, at the same time, and return the answers in their order.

    Raises what a step raises, once all have had theirs; of several, what the first of the subjects met.
    """
    chosen = list(subjects)
    if len(chosen) < 2:
        return [step(subject) for subject in chosen]
    with ThreadPoolExecutor(max_workers=min(_MOST, len(chosen))) as pool:
        begun = [pool.submit(step, subject) for subject in chosen]  # unlike map, which gives up those that wait
    return [each.result() for each in begun]
