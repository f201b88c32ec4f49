"""How many bytes have gone: told now and then, with how many there are."""

from __future__ import annotations

from typing import Any

import pytest

from llm_gateway.hosts import progress, remote

MIB = 1 << 20


@pytest.mark.parametrize(
    ("each", "expected"),
    [
        (1.0, [f"sending it: {count} of 30 MiB ..." for count in range(2, 31, 2)]),
        (10.0, ["sending it: 20 of 30 MiB ..."]),
        (60.0, []),
    ],
)
def test_bytes_are_told_now_and_then(each: float, expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    now = [0.0]
    host: Any = object()
    monkeypatch.setattr(progress, "_seconds", [10.0])
    monkeypatch.setattr(remote, "tell", lambda on, text: told.append(text) if on is host else pytest.fail("whose?"))
    progress.tell_each(each)
    moved = progress.Moved(host, "sending it", 30 * MIB, clock=lambda: now[0])
    for _ in range(30):
        now[0] += 0.5
        moved(MIB)
    assert told == expected
