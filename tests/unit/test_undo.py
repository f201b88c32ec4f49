"""What a run says to the host of what it begins, and in which order."""

from __future__ import annotations

import base64
from types import SimpleNamespace
from typing import Any, cast

import pytest

from llm_gateway.hosts import remote, undo
from llm_gateway.model import layout
from llm_gateway.model.layout import PROJECT


class _State:
    pass


HOST = cast(Any, SimpleNamespace(name="gw1", state=_State()))


class Recorder:
    """In the place of the host: what it was told to run, and what it answers."""

    def __init__(self) -> None:
        self.actions: list[str] = []
        self.stdin: str | None = None
        self.told: list[str] = []
        self.failing: dict[str, str] = {}
        self.answers: dict[str, list[str]] = {}

    def run(self, host: object, command: str, stdin: str | None = None) -> list[str]:
        """In the place of `remote.run`."""
        if stdin is not None:
            action, self.stdin = "begin", stdin
        elif layout.UNDO_TOOL in command:
            action = command.partition(f"{layout.UNDO_TOOL} ")[2].split()[0]
        else:
            action = remote.as_fenced(HOST, command)
        self.actions.append(action)
        if action in self.failing:
            raise remote.RemoteError(self.failing[action])
        return self.answers.get(action, [])


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """The host gw1."""
    recorder = Recorder()
    monkeypatch.setattr(remote, "run", recorder.run)
    for name in ("tell", "complain"):
        monkeypatch.setattr(remote, name, lambda host, text: recorder.told.append(text))
    return recorder


def test_what_is_done_is_committed_at_the_end(host: Recorder) -> None:
    with undo.undoable(HOST, "restore of gw1", "echo undo", 60):
        remote.run(HOST, "true")
    assert [host.actions[0], host.actions[2]] == ["begin", "commit"]
    assert host.actions[1].startswith("exec env OPENCLAW_LLM_GATEWAY_UNFINISHED=")
    assert remote.as_fenced(HOST, "true") == "true", "the fence is only around the block"
    assert host.stdin is not None
    *sent, last = host.stdin.split("\n")
    assert last == "end"
    assert [base64.b64decode(text).decode() for text in sent[3:]] == ["restore of gw1\n", "echo undo\n"]
    assert host.told == []


def test_what_fails_is_undone_at_once(host: Recorder) -> None:
    with pytest.raises(ValueError, match="oops"), undo.undoable(HOST, "restore of gw1", "true", 60):
        raise ValueError("oops")
    assert host.actions == ["begin", "ask"]
    assert host.told == [
        "restore of gw1 failed: undoing it ...",
        "restore of gw1 was rolled back; everything is as it was before",
    ]


def test_why_the_host_was_faster_is_told(host: Recorder) -> None:
    host.answers["ask"] = ["it was not done within 60 s"]
    with pytest.raises(KeyboardInterrupt), undo.undoable(HOST, "restore", "true", 60):
        raise KeyboardInterrupt
    assert (
        host.told[-1] == "restore was rolled back because it was not done within 60 s; everything is as it was before"
    )


def test_an_undo_that_fails_is_told_and_hides_nothing(host: Recorder) -> None:
    host.failing["ask"] = "mv: no space left on device"
    with pytest.raises(ValueError, match="oops"), undo.undoable(HOST, "restore", "true", 60):
        raise ValueError("oops")
    told = host.told[-1]
    assert told.startswith(
        "restore is not rolled back yet: mv: no space left on device\nThe host keeps trying by itself"
    )
    assert f"journalctl --no-pager --lines 30 --unit {PROJECT}-guard.service" in told


def test_nothing_is_done_where_it_cannot_be_begun(host: Recorder) -> None:
    host.failing["begin"] = "something else is unfinished there: upgrade of gw1"
    with (
        pytest.raises(
            undo.UndoError, match="restore was not begun: something else is unfinished there: upgrade of gw1"
        ),
        undo.undoable(HOST, "restore", "true", 60),
    ):
        raise AssertionError("the block was entered")
    assert host.actions == ["begin"]


def test_an_end_that_comes_too_late_is_no_success(host: Recorder) -> None:
    host.failing["commit"] = "the host has undone it already, since it was not done within 60 s"
    expected = "restore did not come to its end: the host has undone it already, since it was not done within 60 s"
    with pytest.raises(undo.UndoError, match=expected), undo.undoable(HOST, "restore", "true", 60):
        pass
    assert host.actions == ["begin", "commit", "ask"], "where it was not undone, it is now"


def test_a_run_waits_for_what_the_host_undoes(host: Recorder) -> None:
    assert undo.await_host(HOST, "restore of gw1") is None
    assert host.actions == ["wait"]
    assert host.told == ["an interrupted run (restore of gw1) is being undone by the host: waiting for it ..."]
    host.answers["wait"] = ["an interrupted restore of gw1 is being undone by the host"]
    assert "run again in a moment" in (undo.await_host(HOST, "restore of gw1") or "")
