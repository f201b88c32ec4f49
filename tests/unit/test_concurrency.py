"""One step for several hosts at the same time."""

from __future__ import annotations

import threading

import pytest

from llm_gateway.model.concurrency import concurrently


def test_the_answers_come_in_the_order_of_the_subjects() -> None:
    met = threading.Barrier(3)

    def step(number: int) -> int:
        met.wait(10)  # breaks unless all three are under way at once
        return -number

    assert concurrently(step, iter([3, 1, 2])) == [-3, -1, -2]
    assert concurrently(abs, [-7]) == [7]
    assert concurrently(abs, []) == []


def test_every_subject_has_its_step_whatever_becomes_of_another() -> None:
    done = []

    def step(number: int) -> None:
        if number in (0, 5):
            raise ValueError(number)
        done.append(number)

    with pytest.raises(ValueError, match=r"^0$"):
        concurrently(step, range(100))
    assert sorted(done) == [number for number in range(100) if number not in (0, 5)]
