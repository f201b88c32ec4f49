"""The order of a swap on its host, and what is told where it does not succeed."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from llm_gateway.hosts import remote, undo
from llm_gateway.hosts.topology import Node
from llm_gateway.model.asking import VerificationError
from llm_gateway.parts import first_start, installation, service
from llm_gateway.parts.serving import Serving
from llm_gateway.parts.takeover import old_schema
from llm_gateway.proof import proof
from llm_gateway.tasks import swap
from llm_gateway.tasks.swap import Staged, Swap, SwapError
from tests.unit.deployed import IMAGE_ID, deployed
from tests.unit.topology import DIRECTORY, GENERATED, make_node

UNIT_FILE = "/etc/systemd/system/openclaw-llm-gateway.service"
OLD, NEW = Serving(IMAGE_ID, "one-api:old"), Serving("sha256:" + "2" * 64, "one-api:new")
UPGRADE = Swap("upgrade", str(NEW), images=(OLD, NEW), aside="other-image-now")


class Recorder:
    """In the place of the host: what was done on it in its order, and what was told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[str] = []
        self.told: list[str] = []
        self.failing: dict[str, Exception] = {}
        self.answers: dict[str, list[str]] = {"look": ["was_active=yes", "was_enabled=yes"]}
        self.published: str | None = None
        self.rows: dict[str, int] = {}
        monkeypatch.setattr(remote, "run", self.run)
        monkeypatch.setattr(remote, "write_now", lambda host, path, *rest: self.done.append(path))
        for way in ("tell", "complain"):
            monkeypatch.setattr(remote, way, lambda host, text: self.told.append(text))
        monkeypatch.setattr(swap, "step", lambda host, text: None)
        monkeypatch.setattr(undo, "is_pending", lambda host: "")
        monkeypatch.setattr(undo, "undoable", self.undoable)
        monkeypatch.setattr(old_schema, "missing", lambda store: ())
        monkeypatch.setattr(first_start, "make_safe", lambda host, node: self._do("first start"))
        monkeypatch.setattr(service, "await_published", lambda node, most: self.published)
        monkeypatch.setattr(service, "await_answer", lambda *rest: None)
        monkeypatch.setattr(proof, "prove", lambda *rest: self._do("proof") or "it answers")
        monkeypatch.setattr(swap.tables.SQLiteStore, "counts", lambda store: self.rows)

    def _do(self, what: str) -> None:
        self.done.append(what)
        if what in self.failing:
            raise self.failing[what]

    def run(self, host: object, command: str, stdin: str | None = None) -> list[str]:
        """In the place of `remote.run`: the function of the program that is run."""
        what = command.rstrip().rpartition("\n")[2]
        self._do(what if re.fullmatch("[a-z_]+", what) else "other")
        return self.answers.get(what, [])

    @contextmanager
    def undoable(self, host: object, what: str, way_back: str, seconds: float) -> Iterator[None]:
        """In the place of `undo.undoable`."""
        assert way_back.rstrip().endswith("\nundo")
        assert "was_active=" in way_back
        self._do("begin")
        try:
            yield
        except Exception:
            self.done.append("undone")
            raise
        self._do("commit")


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """A host on which everything succeeds."""
    return Recorder(monkeypatch)


def _node(**chosen: Any) -> Node:
    return make_node(deployed("gw1", "agent1").gateway, **chosen)


def test_an_upgrade_keeps_stops_places_starts_proves_and_commits(host: Recorder) -> None:
    node = _node(gateway_image="one-api:new", gateway_port=3001)
    done = swap.carry_out(node, UPGRADE)
    placed = [f"{DIRECTORY}/docker-compose.yml", f"{DIRECTORY}/first-start.yml", UNIT_FILE]
    ends = ("start", "proof", "commit", "settle", "discard_images")
    assert host.done == ["look", "begin", "keep", "other", "stop", "place", *placed, *ends]
    assert (done.proof, done.kept) == ("it answers", None)
    assert done.outage is not None
    assert node.is_restarted


def test_data_are_caught_up_once_nobody_writes_them_and_before_anybody_reads_them(host: Recorder) -> None:
    data = Staged({}, None, is_secured=True, catch_up=lambda: host._do("catch up"))
    swap.carry_out(_node(), dataclasses.replace(UPGRADE, data=data))
    assert [each for each in host.done if each in ("keep", "stop", "catch up", "place", "start", "first start")] == [
        "keep",
        "stop",
        "catch up",
        "place",
        "start",
    ]
    host.failing["catch up"] = remote.RemoteError("no room")
    with pytest.raises(SwapError, match="no room"):
        swap.carry_out(_node(), dataclasses.replace(UPGRADE, data=data))
    assert host.done[-2:] != ["commit", "settle"]
    assert "undone" in host.done


def test_whatever_a_swap_writes_is_kept(host: Recorder) -> None:
    assert {file.path for file in installation.wanted_files(_node())} <= {*swap.kept_paths(DIRECTORY)}


def test_staged_data_get_a_first_start_their_secrets_and_a_count(host: Recorder) -> None:
    node = _node()
    generated = GENERATED.__class__("p" * 20, "a" * 32, "s" * 48, "f")
    host.rows = {"tokens": 2}
    host.answers = {"look": ["was_active=no", "was_enabled=no"], "settle": ["kept=/backups/replaced-1"]}
    done = swap.carry_out(node, Swap("restore", "a.tar.gz", Staged({"tokens": 2}, generated)))
    assert host.done[-6:] == ["first start", "start", "proof", "commit", "settle", "discard_images"]
    assert (done.outage, done.kept) == (None, "/backups/replaced-1")
    assert node.gateway.generated == generated


def test_rows_that_are_missing_take_it_back(host: Recorder) -> None:
    node = _node()
    host.rows = {"tokens": 1}
    with pytest.raises(SwapError, match=r"rows of a.tar.gz are missing .*tokens"):
        swap.carry_out(node, Swap("restore", "a.tar.gz", Staged({"tokens": 2}, is_secured=True)))
    assert host.done[-1] == "undone"
    assert "proof" not in host.done
    assert node.gateway.generated == GENERATED
    assert host.told == ["the gateway that was there serves again, with all that it had"]


@pytest.mark.parametrize(
    ("failing", "words"),
    [
        ({"stop": remote.RemoteError("no space left")}, "no space left"),
        ({"proof": proof.ProofError("without choices")}, "without choices. Its log"),
        ({"commit": undo.UndoError("its time was over")}, "its time was over"),
    ],
)
def test_what_fails_is_undone_and_what_serves_then_is_told(
    host: Recorder, failing: dict[str, Exception], words: str
) -> None:
    host.failing = failing
    node = _node()
    node.gateway.token_keys["agent1"] = "its-key"
    keys = node.gateway.token_keys
    with pytest.raises(SwapError, match=words):
        swap.carry_out(node, UPGRADE)
    assert keys == {"agent1": "its-key"}
    assert host.told[-1] == f"{OLD} serves again, with all that it had"
    assert "settle" not in host.done


def test_a_proof_of_the_caller_s_takes_it_back(host: Recorder) -> None:
    def refuses(node: Node) -> None:
        host.answers["other"] = []
        raise VerificationError("agent1 is not answered")

    with pytest.raises(SwapError, match="agent1 is not answered"):
        swap.carry_out(_node(), Swap("upgrade", str(NEW), images=(OLD, NEW), proofs=(refuses,)))
    assert host.done[-1] == "undone"


def test_a_container_that_keeps_exiting_is_not_waited_for(host: Recorder) -> None:
    host.published = "the gateway does not answer: the container keeps exiting"
    with pytest.raises(SwapError, match="keeps exiting"):
        swap.carry_out(_node(), UPGRADE)
    assert host.done[-2:] == ["undone", "other"], "it is asked what was set aside"


def test_what_is_under_way_there_is_not_disturbed(host: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undo, "is_pending", lambda host: "the restore of gw1 is under way")
    with pytest.raises(SwapError, match="the restore of gw1 is under way: run again when it has ended"):
        swap.carry_out(_node(), UPGRADE)
    assert host.done == []
