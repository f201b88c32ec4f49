"""Channels, tokens and options as code: planned, carried out; what people change by hand is told and healed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from llm_gateway.flavours import ChannelSpec, TokenSpec, only
from llm_gateway.flavours.contents import Admin
from tests.lab.conftest import INVENTORY, Lab, Run, python

pytestmark = pytest.mark.flavours

CHANNELS, TOKENS = 20, 50


def _declared(lab: Lab) -> list[str]:
    """20 channels, 50 tokens and some options, for gw1, as arguments of pyinfra."""
    upstream = lab.state["upstream"]
    base = {"base_url": upstream["base_url"], "key": "LAB_UPSTREAM_API_KEY"}
    channels = [{**base, "name": "lab-upstream", "models": [upstream["chat_model"]]}]
    channels += [
        {**base, "name": f"channel-{n}", "models": [f"model-{n}", f"模型-{n}"], "priority": n, "type": "openai"}
        for n in range(1, CHANNELS)
    ]
    tokens: list[dict[str, Any]] = [{"name": f"token-{n}", "models": [f"model-{n % 19 + 1}"]} for n in range(TOKENS)]
    tokens[0] |= {"quota": 500_000, "expires": "2099-12-31", "subnets": ["100.64.0.0/10"]}
    options = {"RetryTimes": 2, "LogConsumeEnabled": True, "ModelRatio": {"smollm2": 0.5, "模型-1": 2}}
    data = {
        "gateway_channels": channels,
        "gateway_tokens": tokens,
        "gateway_options": options,
        "verification_models": "none",
    }
    return ["--limit", "gw1", *(part for name, value in data.items() for part in ("--data", _datum(name, value)))]


def _datum(name: str, value: object) -> str:
    return f"{name}={value if isinstance(value, str) else json.dumps(value)}"


def _plan(lab: Lab, *arguments: str) -> Run:
    return python("deploys/plan.py", INVENTORY, "--check", "--json", *_declared(lab), *arguments)


def _changes(run: Run) -> list[str]:
    """The lines of a plan, as `--json` gives them."""
    plans = json.loads(run.stdout)
    return [f"{change['sign']} {change['kind']} {change['name']}" for change in plans["gw1"]]


@pytest.fixture
def admin(deployed: Lab) -> Iterator[Admin]:
    """gw1's admin API, as a person with its access token has it."""
    with deployed.admin("gw1") as client:
        yield client


@pytest.fixture(scope="module")
def reconciled(deployed: Lab) -> Iterator[Run]:
    """The run that makes gw1 hold what is declared; afterwards all of it goes again."""
    before = _plan(deployed)
    assert before.code == 3, before.output[-3000:]
    assert "+ channel channel-7" in _changes(before)
    run = deployed.deploy(*_declared(deployed))
    assert run.code == 0, run.output[-3000:]
    yield run
    cleaned = deployed.deploy("--limit", "gw1", "--data", "gateway_prune=True")
    assert cleaned.code == 0, cleaned.output[-3000:]
    assert "- token token-49" in cleaned.output
    assert "- channel channel-19" in cleaned.output


def test_what_is_declared_is_there_and_a_plan_says_no_change(deployed: Lab, reconciled: Run, admin: Admin) -> None:
    assert {"lab-upstream", *(f"channel-{n}" for n in range(1, CHANNELS))} <= {each.name for each in admin.channels()}
    tokens = {token.name: token for token in admin.tokens()}
    assert {f"token-{n}" for n in range(TOKENS)} <= set(tokens)
    assert tokens["token-0"].remain_quota == 500_000
    assert admin.options()["RetryTimes"] == "2"
    ratios = json.loads(admin.options()["ModelRatio"])
    assert (ratios["smollm2"], ratios["模型-1"]) == (0.5, 2)
    assert "gpt-4" in ratios, "One API's own are still there"
    plan = _plan(deployed)
    assert plan.code == 0, plan.output[-3000:]
    assert _changes(plan) == []
    again = deployed.deploy("--json", *_declared(deployed))
    assert json.loads(again.stdout)["results"]["totals"]["success"] == 0, again.output[-3000:]


def test_five_changes_by_hand_are_named_exactly_and_healed(deployed: Lab, reconciled: Run, admin: Admin) -> None:
    channels, tokens = admin.channels(), admin.tokens()
    narrowed = only(channels, "channel-3")
    assert narrowed is not None
    admin.update_channel(narrowed.id, ChannelSpec("channel-3", 1, narrowed.base_url, "", ("model-3",), priority=99))
    switched_off = only(channels, "channel-4")
    deleted = only(tokens, "token-8")
    widened = only(tokens, "token-9")
    assert switched_off is not None
    assert deleted is not None
    assert widened is not None
    admin.switch_channel_off(switched_off.id)
    admin.delete_token(deleted.id)
    admin.update_token(widened, TokenSpec("token-9"))
    admin.set_option("RetryTimes", "7")
    by_hand = _plan(deployed)
    assert by_hand.code == 3, by_hand.output[-3000:]
    assert sorted(_changes(by_hand)) == [
        "+ token token-8",
        "~ channel channel-3",
        "~ channel channel-4",
        "~ option RetryTimes",
        "~ token token-9",
    ]
    details = {change["name"]: change["details"] for change in json.loads(by_hand.stdout)["gw1"]}
    assert details["channel-3"] == ["models +模型-3", "priority 99 → 3"]
    assert details["RetryTimes"] == ["7 → 2"]
    dry = deployed.pyinfra("--dry", *_declared(deployed), INVENTORY, "deploy.py")
    assert dry.output.count("to come: ") == 5
    assert deployed.deploy(*_declared(deployed)).code == 0
    healed = _plan(deployed)
    assert healed.code == 0, healed.output[-3000:]


def test_what_a_person_made_is_never_removed_unless_it_is_named(deployed: Lab, reconciled: Run, admin: Admin) -> None:
    admin.create_channel(ChannelSpec("by-hand", 1, "http://127.0.0.1:9", "a-key", ("x",)))
    assert deployed.deploy(*_declared(deployed), "--data", "gateway_prune=True").code == 0
    assert only(admin.channels(), "by-hand") is not None
    assert _changes(_plan(deployed, "--data", "gateway_prune=channel:by-hand")) == ["- channel by-hand"]
    assert deployed.deploy(*_declared(deployed), "--data", "gateway_prune=channel:by-hand").code == 0
    assert only(admin.channels(), "by-hand") is None


def test_two_of_one_name_stop_before_anything_is_written(deployed: Lab, reconciled: Run, admin: Admin) -> None:
    admin.create_channel(ChannelSpec("channel-5", 1, "http://127.0.0.1:9", "a-key", ("x",)))
    try:
        admin.set_option("RetryTimes", "9")
        run = deployed.deploy(*_declared(deployed))
        run.must_fail_with("2 entries are named 'channel-5'", "delete the wrong one in the admin page")
        assert admin.options()["RetryTimes"] == "9", "nothing was written"
        assert _plan(deployed).code == 1
    finally:
        twins = [each.id for each in admin.channels() if each.name == "channel-5"]
        admin.delete_channel(max(twins))
    assert deployed.deploy(*_declared(deployed)).code == 0


def test_a_hosts_token_that_was_deleted_reaches_the_host_anew_in_one_run(deployed: Lab, admin: Admin) -> None:
    old = only(admin.tokens(), "agent1")
    assert old is not None
    admin.delete_token(old.id)
    pid = "systemctl show openclaw-gateway -p MainPID --value"
    before = deployed.ssh("agent1", pid)
    run = deployed.deploy("--limit", "gw1", "--limit", "agent1")
    assert run.code == 0, run.output[-3000:]
    new = only(admin.tokens(), "agent1")
    assert new is not None
    assert new.key != old.key
    assert f"LLM_API_KEY=sk-{new.key}" in deployed.ssh("agent1", "cat /home/openclaw/.openclaw/.env").splitlines()
    assert deployed.ssh("agent1", pid) != before, "OpenClaw was restarted"
    assert run.output.count("verified on") == 2
    assert old.key not in run.output
    assert new.key not in run.output
