"""A file made the same as another by sending what differs, here on pyinfra's @local: whole, and no more than needed."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from pyinfra.api import Config, Inventory, State
from pyinfra.api.connect import connect_all
from pyinfra.api.host import Host

from llm_gateway.hosts.streams import StreamError
from llm_gateway.tasks.migration import delta
from llm_gateway.tasks.migration.delta import DeltaError, Place

pytestmark = pytest.mark.slow

PIECE, SEGMENT = 1 << 16, 8 << 20
SIZES = (0, 1, PIECE, SEGMENT - 1, SEGMENT, SEGMENT + 1, 2 * SEGMENT + 3 * PIECE + 5)


@pytest.fixture
def host() -> Host:
    """This machine, as pyinfra sees it."""
    state = State(Inventory((["@local"], {})), Config())
    connect_all(state)
    found: Host = state.inventory.get_host("@local")
    return found


class Pair:
    """A file, and the place that it is copied to, with a copy of the copy."""

    def __init__(self, host: Host, place: Path) -> None:
        self.one, self.other, self.second = place / "one", place / "other", place / "second"
        self.second.touch()
        self.here = Place(host, str(self.one), str(place / "here"))
        self.there = Place(host, str(self.other), str(place / "there"), (str(self.second),))

    def copy(self) -> int:
        """Make them the same. Returns the bytes that were sent."""
        size = self.one.stat().st_size
        delta.learn(self.here, self.there, size)
        return delta.send(self.here, self.there, size, lambda sent: None)

    def are_same(self) -> bool:
        """Whether all three are."""
        return self.one.read_bytes() == self.other.read_bytes() == self.second.read_bytes()


@pytest.fixture
def pair(host: Host, tmp_path: Path) -> Pair:
    """Nothing is copied yet."""
    return Pair(host, tmp_path)


@pytest.mark.parametrize("size", SIZES)
def test_a_copy_is_whole_and_for_root_alone(pair: Pair, size: int) -> None:
    pair.one.write_bytes(os.urandom(size))
    pair.copy()
    delta.require_same(pair.there)
    assert pair.are_same()
    assert pair.other.stat().st_mode & 0o777 == 0o600


def test_what_is_the_same_is_not_sent_again(pair: Pair) -> None:
    pair.one.write_bytes(os.urandom(2 * SEGMENT))
    assert pair.copy() > 2 * SEGMENT
    assert pair.copy() < 100
    assert pair.are_same()


def test_a_page_that_was_written_costs_a_piece(pair: Pair) -> None:
    pair.one.write_bytes(os.urandom(3 * SEGMENT))
    pair.copy()
    with pair.one.open("r+b") as file:
        file.seek(SEGMENT + 5 * PIECE + 17)
        file.write(os.urandom(4096))
    assert pair.copy() < 2 * PIECE
    delta.require_same(pair.there)
    assert pair.are_same()


def test_a_copy_that_was_cut_off_goes_on_where_it_was(pair: Pair) -> None:
    content = os.urandom(4 * SEGMENT)
    pair.one.write_bytes(content)
    for half in (pair.other, pair.second):
        half.write_bytes(content[: 3 * SEGMENT + 12345])
    assert pair.copy() < SEGMENT + PIECE
    assert pair.are_same()


@pytest.mark.parametrize("seed", range(6))
def test_any_change_arrives(pair: Pair, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    pair.one.write_bytes(chance.randbytes(chance.randrange(3 * SEGMENT)))
    pair.copy()
    for _ in range(3):
        with pair.one.open("r+b") as file:
            for _ in range(chance.randrange(6)):
                file.seek(chance.randrange(3 * SEGMENT))
                file.write(chance.randbytes(chance.randrange(3 * PIECE)))
            file.truncate(chance.randrange(4 * SEGMENT))
        pair.copy()
        delta.require_same(pair.there)
        assert pair.are_same()


def test_a_file_that_is_written_while_it_is_copied_is_noticed(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    pair.one.write_bytes(b"y" * SEGMENT)
    script = Place.script
    # Between the hash and the bytes, somebody writes.
    write = 'printf z | dd of="$file" seek=99 bs=1 conv=notrunc status=none'
    monkeypatch.setattr(
        Place,
        "script",
        lambda place, doing: script(place, doing).replace('    echo "segment', f'    {write}\n    echo "segment'),
    )
    pair.copy()
    with pytest.raises(DeltaError, match="something wrote to the database"):
        delta.require_same(pair.there)


def test_a_copy_that_breaks_off_is_told(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    pair.one.write_bytes(os.urandom(SEGMENT))
    script = Place.script
    monkeypatch.setattr(
        Place, "script", lambda place, doing: script(place, doing).replace('echo "end $size"', "exit 0")
    )
    with pytest.raises(StreamError, match="broke off before its end"):
        pair.copy()
