"""Budgets of agents: what may be declared, what a host gets for them, what is told of them, and what is no drift."""

from __future__ import annotations

import dataclasses
import json
from decimal import Decimal
from typing import Any

import pytest

from llm_client import LLMStatusError
from llm_gateway.contents import budgets, desired
from llm_gateway.flavours import Token, TokenSpec
from llm_gateway.flavours.compare import token_status_wanted
from llm_gateway.hosts import remote
from llm_gateway.hosts.host_state import HostState
from llm_gateway.hosts.topology import Agent, Node, Run
from llm_gateway.inputs import host_data
from llm_gateway.inputs.budgets import budget
from llm_gateway.inputs.settings import SETTINGS
from llm_gateway.model.budgets import Budget, Month
from llm_gateway.model.checks import InvalidError
from llm_gateway.model.wording import Wording
from llm_gateway.proof.broken_links import Path, explain
from llm_gateway.status import attention, host_status, page_lines, status_table
from llm_gateway.status.page_words import WORDS
from llm_gateway.status.status_answers import StatusAnswers
from llm_gateway.tasks import preflight
from tests.unit.deployed import PRUNING_UNITS, WRITTEN, gateway_answers
from tests.unit.fake_hosts import FRESH, OPENCLAW, answer, digest
from tests.unit.test_attention import SEEN
from tests.unit.test_declarations import channel
from tests.unit.topology import make_agent, make_node

LIMITED = {"tokens": 5_000_000, "at_limit": "disable"}
UNITS = PRUNING_UNITS.replace("-prune-logs.", "-budgets.")


def spent(**changed: Any) -> dict[str, Any]:
    """What the host says of one agent."""
    told = {"agent": "agent1", "unit": "tokens", "used": 4150000, "limit": 5000000, "at_limit": "disable"}
    return {**told, "unpriced": [], **changed}


def month(*agents: dict[str, Any], **changed: Any) -> str:
    """budgets.json."""
    told = {"at": "2026-12-10T04:00:00Z", "ok": True, "month": "2026-12", "until": "2027-01-01T00:00:00+08:00"}
    return json.dumps({**told, "zone": "Asia/Shanghai", "budgets": agents, "error": "", **changed})


def made(answers: dict[str, str] | None = None, budget: dict[str, Any] | None = LIMITED, **gateway: Any) -> Node:
    """A deployed gateway with an agent that has a budget."""
    run = Run()
    node = make_node(run=run, **gateway)
    make_agent({**FRESH, **OPENCLAW}, name="agent1", run=run, openclaw_budget=budget)
    deployed = gateway_answers(node, "")
    units = {"timer_units": f"{deployed['timer_units']}\n{UNITS}"}
    node.machine.state = HostState.parse(answer({**deployed, **units, **(answers or {})}))
    return node


def agent_of(node: Node) -> Agent:
    (agent,) = node.gateway.agents
    return agent


@pytest.mark.parametrize(
    ("declared", "unit", "limit", "at_limit"),
    [
        ({"tokens": 5_000_000}, "tokens", 5_000_000, "alarm"),
        ({"tokens": 1, "per": "month", "at_limit": "disable"}, "tokens", 1, "disable"),
        ({"CNY": 50}, "CNY", 50, "alarm"),
        ({"USD": 0.1, "at_limit": "alarm"}, "USD", Decimal("0.1"), "alarm"),
    ],
)
def test_what_may_be_declared(declared: dict[str, Any], unit: str, limit: Any, at_limit: str) -> None:
    assert budget(declared) == Budget(unit, Decimal(limit), at_limit)


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        (5_000_000, "must be a dict"),
        ({}, "must have one of tokens, CNY, USD, which says how many a month"),
        ({"tokens": 1, "CNY": 1}, "must have one of tokens, CNY, USD"),
        ({"tokens": 0}, "tokens must be an integer from 1"),
        ({"tokens": 1.5}, "tokens must be an integer from 1"),
        ({"tokens": True}, "tokens must be an integer from 1"),
        ({"CNY": 0}, "CNY must be a number from 0.01"),
        ({"CNY": "50"}, "CNY must be a number from 0.01"),
        ({"USD": float("nan")}, "USD must be a number from 0.01"),
        ({"EUR": 5}, "there is no field EUR"),
        ({"token": 5}, "there is no field token; did you mean 'tokens'?"),
        ({"tokens": 5, "per": "week"}, 'per must be "month"'),
        ({"tokens": 5, "at_limit": "stop"}, 'at_limit must be "alarm" or "disable"'),
    ],
)
def test_what_is_refused(declared: Any, words: str) -> None:
    with pytest.raises(InvalidError) as problem:
        budget(declared)
    assert words in " ".join(problem.value.problems)
    assert any(
        text.startswith("openclaw_budget: ") and words in text
        for text in host_data.check({"openclaw_budget": declared})[1]
    )


@pytest.mark.parametrize(
    ("models", "prices", "missing"),
    [
        ({}, ["chat", "embed-v4"], ""),
        ({}, ["chat"], "embed-v4"),
        ({}, ["chat", "embed"], "embed-v4"),
        ({"openclaw_models": ["spare"]}, ["chat", "embed-v4"], "spare"),
        ({"openclaw_models": "all"}, ["chat", "embed-v4"], "spare"),
        ({}, [], "chat, embed-v4"),
    ],
)
def test_money_needs_a_price_of_every_model(models: dict[str, Any], prices: list[str], missing: str) -> None:
    run = Run()
    channels = [channel(models=["chat", "embed", "spare"], model_mapping={"embed": "embed-v4"})]
    priced = [{"model": name, "currency": "CNY", "prompt": 1, "completion": 1} for name in prices]
    priced.append({"model": "spare", "currency": "USD", "prompt": 1, "completion": 1})
    own = {"llm_model": "chat", "embedding_model": "embed"}
    make_node(run=run, gateway_channels=channels, gateway_prices=priced, **own)
    agent = make_agent(run=run, name="agent1", openclaw_budget={"CNY": 5}, **own, **models)
    found = [text for text in preflight.declaration_problems(agent.machine) if "openclaw_budget" in text]
    told = f"openclaw_budget: gateway_prices of gw1 has no price in CNY for {missing}: add it, or give the budget in"
    assert len(found) == bool(missing)
    assert not missing or found[0].startswith(told)


def test_only_a_gateway_with_budgets_gets_what_looks_at_them() -> None:
    without = made(budget=None)
    assert [*budgets.script_files(without), *budgets.unit_files(without)] == []
    assert (budgets.last(without), budgets.problem_of(without)) == (None, None)
    files = {
        file.path.rpartition("/")[2]: file for file in (*budgets.script_files(made()), *budgets.unit_files(made()))
    }
    assert set(files) == {
        *("budgets", "budgets.conf", "openclaw-llm-gateway-budgets.service", "openclaw-llm-gateway-budgets.timer")
    }
    assert files["budgets.conf"].mode == "600"
    assert b"'budget 6167656E7431 6167656E7431 tokens 5000000 disable agent1 agent1'" in files["budgets.conf"].content


@pytest.mark.parametrize(
    ("status", "unlimited", "has_budget", "wanted"),
    [
        (4, True, True, None),
        (4, True, False, 1),
        (4, False, True, 1),
        (2, True, True, None),
        (1, True, True, None),
        (3, True, True, 1),
    ],
)
def test_what_a_budget_has_shut_out_is_no_drift(
    status: int, unlimited: bool, has_budget: bool, wanted: int | None
) -> None:
    token = Token(1, "agent1", status, -1, 0, unlimited, (), (), "k" * 48)
    assert token_status_wanted(token, TokenSpec("agent1", has_budget=has_budget), 0) == wanted


def test_only_a_budget_that_shuts_out_leaves_a_used_up_token_as_it_is() -> None:
    for declared, is_left in ((LIMITED, True), ({"tokens": 5}, False), (None, False)):
        gateway = made(budget=declared).gateway
        assert desired.own_token(gateway, "agent1").has_budget is is_left
        assert not desired.own_token(gateway, desired.CANARY_TOKEN).has_budget


@pytest.mark.parametrize(
    "text", ["", "{", "[]", month(at="now"), month(spent(limit=0)), month(spent(unpriced=["xyz"]))]
)
def test_what_is_no_answer_of_the_host_is_none(text: str) -> None:
    assert Month.parse(text) is None


def told(node: Node) -> list[str]:
    seen = StatusAnswers.parse(answer(SEEN))
    found = host_status.of(node.machine, seen, ())
    return [text for text in attention.of(node.machine, found) if "budget" in text]


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (spent(used=3_999_999), ""),
        (
            spent(),
            "the budget of agent1 for 2026-12 is nearly used up: 83 % (4,150,000 of 5,000,000 tokens, 850,000 left),"
            " until 2027-01-01 00:00 (Asia/Shanghai): raise openclaw_budget and deploy, or use less",
        ),
        (
            spent(used=5_000_000),
            "the budget of agent1 for 2026-12 is used up (5,000,000 of 5,000,000 tokens), so its token is refused until"
            " 2027-01-01 00:00 (Asia/Shanghai): raise openclaw_budget and deploy",
        ),
        (spent(used=5_000_000, at_limit="alarm"), "is used up (5,000,000 of 5,000,000 tokens), until 2027-01-01"),
        (
            spent(unit="CNY", used=1.5, limit=50, unpriced=["6D31"]),
            "the budget of agent1 does not count m1: no price in CNY; add it to gateway_prices",
        ),
    ],
)
def test_what_needs_a_person(agent: dict[str, Any], words: str) -> None:
    found = told(made({"budgets_last": month(agent)}))
    assert len(found) == bool(words)
    assert not words or words in found[0]


@pytest.mark.parametrize(
    ("units", "error", "words"),
    [
        ("", "", "they are not set up yet on this host: run deploy.py"),
        (
            UNITS.replace("ActiveState=active", "ActiveState=inactive"),
            "",
            "budgets.timer does not run, so nothing ends",
        ),
        (UNITS.replace("Result=success", "Result=exit-code"), "the log is locked", "the last look failed (the log is"),
        (UNITS, "", ""),
    ],
)
def test_a_host_that_does_not_look_is_told(units: str, error: str, words: str) -> None:
    found = told(made({"timer_units": units, "budgets_last": month(error=error)}))
    assert [text for text in found if text.startswith("budgets: ")] == found
    assert len(found) == bool(words)
    assert not words or words in found[0]


def test_a_host_that_looks_at_other_budgets_differs() -> None:
    node = made({"budgets_last": month(spent())})
    files = [*budgets.script_files(node), *budgets.unit_files(node)]
    assert [*budgets.differences(node)] == [
        "another content, mode or owner: the script of the budgets, the settings of the budgets, the unit of the"
        " budgets, the timer of the budgets"
    ]
    deployed = gateway_answers(node, "")
    found = {
        "tracked_stat": "".join(f"{file.path} {file.mode} root:root {WRITTEN}\n" for file in files),
        "tracked_sum": "".join(f"{digest(file.content)}  {file.path}\n" for file in files),
    }
    there = {name: deployed[name] + text for name, text in found.items()}
    assert [*budgets.differences(made(there))] == []
    assert [*budgets.differences(made({**there, "budgets_last": month()}, budget=None))] == [
        "the host looks at budgets that are not declared any more"
    ]


def test_a_status_shows_what_is_left() -> None:
    node = made({"budgets_last": month(spent(), spent(agent="b", unit="USD", used=0.126, limit=10, at_limit="alarm"))})
    found = host_status.of(node.machine, StatusAnswers.parse(answer(SEEN)), ())
    assert found.gateway is not None
    first, second = found.as_json()["gateway"]["budgets"]
    assert (first["used"], first["limit"], first["left"], first["is_refused"]) == (4150000, 5000000, 850000, False)
    assert first["until"] == "2027-01-01T00:00:00+08:00"
    assert second["told"] == "1 % (0.13 of 10.00 USD, 9.87 left) until 2027-01-01 00:00 (Asia/Shanghai)"
    shown = status_table.text([found])
    assert "Budgets:\n  agent1: 83 % (4,150,000 of 5,000,000 tokens, 850,000 left) until 2027-01-01 00:00" in shown
    words = Wording(WORDS, "en")
    assert ("budget", "b: 1 % (0.13 of 10.00 USD, 9.87 left) until 2027-01-01 00:00") in page_lines.lines(found, words)
    bare = dataclasses.replace(found, gateway=dataclasses.replace(found.gateway, budgets=()))
    assert "Budgets:" not in status_table.text([bare])


REFUSED = LLMStatusError("HTTP 401: 令牌 agent1（#3）额度已用尽", status=401, error_type="one_api_error")


def explained(node: Node) -> str:
    return explain(Path("agent1", node.gateway, "MiniMax-M2.5"), REFUSED, 60)


def test_a_refused_token_is_explained_by_its_budget_as_it_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    node = made({"budgets_last": month(spent())})
    monkeypatch.setattr(remote, "run", lambda *command: [month(spent(used=6_000_000))])
    text = explained(node)
    assert text.startswith("the budget of agent1 for 2026-12 is used up (6,000,000 of 5,000,000 tokens), so its token")
    assert "额度已用尽" in text
    monkeypatch.setattr(remote, "run", lambda *command: [month(spent())])
    assert explained(node).startswith("One API refuses the token of agent1"), "it is refused for another reason"


def test_where_the_host_cannot_be_asked_what_was_read_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*command: object) -> list[str]:
        raise remote.RemoteError("connection lost")

    monkeypatch.setattr(remote, "run", lost)
    assert "is used up (5,000,001" in explained(made({"budgets_last": month(spent(used=5_000_001))}))


def test_without_the_gateway_in_the_run_it_is_told_as_possible() -> None:
    node = made()
    del node.machine.state
    text = explained(node)
    assert "openclaw_budget may be used up (5000000 tokens a month): run this again with gw1 in it, which tells" in text
    assert "One API refuses the token" in explained(made(budget={"tokens": 5}))


def test_its_default_is_none() -> None:
    assert SETTINGS["openclaw_budget"].default is None
