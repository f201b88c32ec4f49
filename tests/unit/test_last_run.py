"""The last run on a host, as the status shows it; and the gateway that its OpenClaw uses, as a summary does."""

from __future__ import annotations

import json

import pytest

from llm_gateway.hosts.topology import Run
from llm_gateway.status import host_status
from llm_gateway.status.status_answers import StatusAnswers
from llm_gateway.tasks import summary
from tests.unit.fake_hosts import FRESH, OPENCLAW, answer
from tests.unit.test_history import BEGUN, lines
from tests.unit.test_preflight_data import SET_UP
from tests.unit.topology import make_agent, make_node

FAILED = (
    {"run": "failed", **BEGUN, "script": "bad.py"},
    {"run": "failed", "event": "ended", "outcome": "failed", "seconds": 7.0, "changes": []},
)
REFUSED = ({"run": "refused", **BEGUN, "script": "refused.py"},)
WELL = (
    {"run": "well", **BEGUN, "script": "well.py"},
    {"run": "well", "event": "ended", "outcome": "done", "seconds": 1.0, "changes": []},
)
AT_WORK = (*REFUSED, {"event": "at work", "run": "refused"})


@pytest.mark.parametrize(
    ("journal", "script", "is_bad"),
    [
        ([*FAILED, *REFUSED], "bad.py", True),
        ([*FAILED, *REFUSED, *WELL], "well.py", False),
        ([*FAILED, *WELL, *REFUSED], "refused.py", False),
        ([*FAILED, *AT_WORK], "refused.py", False),
        ([*REFUSED], "refused.py", False),
    ],
)
def test_a_refused_run_does_not_hide_a_bad_one(journal: list[dict[str, object]], script: str, is_bad: bool) -> None:
    seen = StatusAnswers.parse(answer({"journal": "\n".join(lines(*journal))}))
    found = host_status._last_run(seen)
    assert found is not None
    assert (found.script, found.is_bad) == (script, is_bad)


def test_a_gateway_that_has_not_arrived_needs_a_person() -> None:
    seen = StatusAnswers.parse(answer({"migrating_from": "old1\n", "now": "1800000000\n"}))
    found = host_status.of(make_node().machine, seen, ())
    assert found.gateway is not None
    assert found.gateway.migrating_from == "old1"
    assert any("migrate.py --data source=old1" in text for text in found.attention)


def test_a_summary_names_the_gateway_that_openclaw_uses_now() -> None:
    run = Run()
    make_node({**FRESH}, run=run)
    old = "http://100.64.0.9:3000/v1"
    agent = make_agent({**FRESH, **OPENCLAW, "openclaw_env": f"LLM_BASE_URL='{old}'\n"}, name="agent1", run=run)
    assert summary._used_by_openclaw(agent) == old
    agent.environment_changed = True
    assert summary._used_by_openclaw(agent) == "http://100.64.0.10:3000/v1"


@pytest.mark.parametrize(
    ("answers", "is_changed", "words"),
    [
        ({}, False, "no gateway of ours runs on it"),  # what listens on its port may be a web server
        ({}, True, "admin page http://100.64.0.10:3000"),  # this run has made it
        (SET_UP, False, "no gateway of ours runs on it"),
        ({**SET_UP, "container": json.dumps([{"State": {"Running": True}}])}, False, "admin page http"),
    ],
)
def test_a_summary_calls_an_admin_page_what_is_one(
    monkeypatch: pytest.MonkeyPatch, answers: dict[str, str], is_changed: bool, words: str
) -> None:
    monkeypatch.setattr(summary, "_has_moved_away", lambda node: None)
    monkeypatch.setattr(summary.scope, "is_under_way", lambda node: False)
    assert summary._role(make_node({**FRESH, **answers}).machine, is_changed).startswith(words)
