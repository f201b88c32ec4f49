"""What a host's journal tells of its runs."""

from __future__ import annotations

import json

from llm_gateway.status import history

BEGUN = {"event": "begun", "script": "deploy.py", "who": "wei@laptop", "version": "0.1.0"}


def lines(*entries: dict[str, object]) -> list[str]:
    """Lines of a journal, a second each."""
    return [json.dumps({"at": f"2026-11-22T10:11:{second:02}Z", **entry}) for second, entry in enumerate(entries)]


def told(*entries: dict[str, object]) -> str:
    """What is shown of a journal with these entries."""
    return "\n".join(history.told(*history.parse(lines(*entries)), last=10))


def test_a_run_that_changed_something() -> None:
    shown = told(
        {"run": "a", **BEGUN},
        {"run": "a", "event": "changing", "commit": "ff601e2"},
        {
            "run": "a",
            "event": "ended",
            "outcome": "done",
            "seconds": 3.2,
            "changes": ["Write it"],
            "image": "one-api:1",
        },
    )
    assert shown.splitlines() == [
        "  2026-11-22 10:11:00 UTC  deploy.py by wei@laptop (0.1.0, ff601e2, one-api:1): 1 change in 3 s",
        "      Write it",
    ]


def test_a_run_that_changed_nothing_was_not_cut_off() -> None:
    assert told({"run": "a", **BEGUN}).endswith(": changed nothing")


def test_a_run_without_an_end_was_cut_off_where_it_had_begun_to_change_something() -> None:
    begun = ({"run": "a", **BEGUN}, {"run": "a", "event": "changing", "commit": None})
    assert told(*begun).endswith(": CUT OFF before its end")
    assert told(*begun, {"event": "at work", "run": "a"}).endswith(": at work")


def test_a_run_that_failed_tells_where() -> None:
    shown = told(
        {"run": "a", **BEGUN},
        {"run": "a", "event": "note", "text": "migrate: stopping the old gateway"},
        {"run": "a", "event": "ended", "outcome": "failed", "seconds": 70.0, "changes": [], "failed_at": "Migrate"},
        {"event": "undone", "text": "migration of old1", "why": "it failed"},
    )
    assert "FAILED at: Migrate in 70 s" in shown
    assert "      migrate: stopping the old gateway ..." in shown
    assert shown.endswith("the host rolled back: migration of old1, because it failed")


def test_a_journal_with_a_torn_line_is_read() -> None:
    torn = [*lines({"run": "a", **BEGUN})[:1], '{"at": "2026-', "null", "", *lines({"run": "b", **BEGUN})]
    runs, undone, unreadable = history.parse(torn)
    assert ([run.identity for run in runs], undone, unreadable) == (["a", "b"], [], 2)


def test_only_the_last_runs_are_shown() -> None:
    runs = [{"run": str(number), **BEGUN, "who": f"person{number}"} for number in range(5)]
    shown = "\n".join(history.told(*history.parse(lines(*runs)), last=2))
    assert "person2" not in shown
    assert "person3" in shown
    assert len(history.told(*history.parse(lines(*runs)), last=0)) == 5


def test_which_runs_say_something_of_the_host_and_which_need_a_person() -> None:
    runs, _, _ = history.parse(
        lines(
            {"run": "failed", **BEGUN},
            {"run": "failed", "event": "ended", "outcome": "failed", "seconds": 7.0, "changes": []},
            {"run": "cut off", **BEGUN},
            {"run": "cut off", "event": "changing", "commit": None},
            {"run": "well", **BEGUN},
            {"run": "well", "event": "ended", "outcome": "done", "seconds": 1.0, "changes": []},
            {"run": "refused", **BEGUN},
            {"run": "refused", "event": "ended", "outcome": "refused", "seconds": 1.0, "changes": []},
            {"run": "without a change", **BEGUN},
        )
    )
    assert [run.identity for run in runs if run.is_bad] == ["failed", "cut off"]
    assert [run.identity for run in runs if not run.has_done_something] == ["refused", "without a change"]
    assert [run.how for run in runs[-2:]] == ["refused", "changed nothing"]


def test_a_host_on_which_nothing_was_run() -> None:
    assert history.told([], [], 0, last=10) == ["  nothing was run on it yet"]
