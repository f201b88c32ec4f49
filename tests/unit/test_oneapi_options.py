"""Options as people declare them and as One API keeps them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_kit import actual, planned, said

from llm_gateway.flavours import Declared, Invalid, option_text, option_value


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("RegisterEnabled", False, "false"),
        ("RegisterEnabled", "true", "true"),
        ("PasswordLoginEnabled", True, "true"),
        ("RetryTimes", 3, "3"),
        ("QuotaPerUnit", 500000.0, "500000"),
        ("QuotaPerUnit", 1e21, "1000000000000000000000"),
        ("ChannelDisableThreshold", 0.50, "0.5"),
        ("SystemName", "模型", "模型"),
        ("Notice", "", ""),
        ("Theme", "air", "air"),
        ("ModelRatio", {"模型": 1.5, "b": 0}, '{"模型":1.5,"b":0}'),
    ],
)
def test_a_value_becomes_one_apis_text(name: str, value: object, text: str) -> None:
    assert option_text(name, value) == text
    assert option_text(name, option_value(name, text)) == text


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("RegisterEnable", False, "did you mean 'RegisterEnabled'?"),
        ("registerenabled", False, "did you mean 'RegisterEnabled'?"),
        ("Zzz", 1, "there is no option 'Zzz'"),
        ("SMTPToken", "s3cret", "it is a secret"),
        ("GitHubClientSecret", "s3cret", "it is a secret"),
        ("TurnstileSecretKey", "s3cret", "it is a secret"),
        ("PasswordLoginEnabled", False, "nobody could log in"),
        ("PasswordLoginEnabled", "false", "nobody could log in"),
        ("RegisterEnabled", 0, "must be True or False, not 0"),
        ("RegisterEnabled", "no", "must be True or False"),
        ("RetryTimes", "3", "must be a whole number"),
        ("RetryTimes", True, "must be a whole number"),
        ("RetryTimes", -1, "must be a whole number"),
        ("RetryTimes", 1.0, "must be a whole number"),
        ("QuotaForNewUser", 1 << 63, "must be a whole number"),
        ("QuotaPerUnit", 0, "must be a number above 0"),
        ("QuotaPerUnit", float("nan"), "must be a number above 0"),
        ("QuotaPerUnit", float("inf"), "must be a number above 0"),
        ("Theme", "dark", "'default', 'berry' or 'air'"),
        ("SystemName", 3, "must be a string"),
        ("ModelRatio", {"a": -1}, "must be a mapping"),
        ("ModelRatio", {"a": True}, "must be a mapping"),
        ("ModelRatio", {"a": "1"}, "must be a mapping"),
        ("ModelRatio", {" ": 1}, "must be a mapping"),
        ("ModelRatio", {1: 1}, "must be a mapping"),
        ("ModelRatio", '{"a":1}', "must be a mapping"),
    ],
)
def test_what_cannot_be_is_refused(name: str, value: object, problem: str) -> None:
    with pytest.raises(Invalid) as caught:
        option_text(name, value)
    assert problem in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "there", "declared"),
    [
        ("QuotaPerUnit", "0.50", 0.5),
        ("ChannelDisableThreshold", "5.0", 5),
        ("RetryTimes", "03", 3),
        ("RegisterEnabled", "false", False),
        ("ModelRatio", '{"b": 2, "a" :1.0}', {"a": 1}),
        ("ModelRatio", "{}", {}),
    ],
)
def test_another_text_of_the_same_is_no_change(name: str, there: str, declared: object) -> None:
    assert said(Declared(options={name: declared}), actual(**{name: there})) == []


@pytest.mark.parametrize(
    ("there", "declared", "line"),
    [
        ({"RegisterEnabled": "true"}, {"RegisterEnabled": False}, "RegisterEnabled: true → false"),
        ({}, {"RetryTimes": 1}, "RetryTimes: (none) → 1"),
        ({"RetryTimes": "many"}, {"RetryTimes": 0}, "RetryTimes: many → 0"),
        ({"Footer": ""}, {"Footer": "a\n\tb"}, "Footer: (empty) → a b"),
        ({"Footer": "x" * 99}, {"Footer": ""}, f"Footer: {'x' * 60}… → (empty)"),
        (
            {"ModelRatio": '{"gpt-4":15}'},
            {"ModelRatio": {"MiniMax-M2.5": 1, "gpt-4": 15.0}},
            "ModelRatio: MiniMax-M2.5 (none) → 1",
        ),
        ({"ModelRatio": '{"a":2,"b":1}'}, {"ModelRatio": {"a": 1.5, "b": 3}}, "ModelRatio: a 2 → 1.5, b 1 → 3"),
        ({"ModelRatio": "{broken"}, {"ModelRatio": {"a": 1}}, "ModelRatio: a (none) → 1"),
    ],
)
def test_a_change_in_words(there: dict[str, str], declared: dict[str, Any], line: str) -> None:
    assert said(Declared(options=declared), actual(**there)) == [f"~ option {line}"]


def test_ratios_of_other_models_stay() -> None:
    there = actual(ModelRatio='{"gpt-4":15,"odd":"x"}')
    (change,) = planned(Declared(options={"ModelRatio": {"MiniMax-M2.5": 1}}), there)
    assert json.loads(change.work.text) == {"gpt-4": 15, "MiniMax-M2.5": 1}


def test_what_closes_comes_first_and_what_opens_does_not() -> None:
    """Switches come behind the texts that One API wants before it switches some of them on."""
    opening = {"GitHubOAuthEnabled": True, "GitHubClientId": "id", "RegisterEnabled": True}
    names = [change.name for change in planned(Declared(options=opening), actual())]
    assert names == ["GitHubClientId", "GitHubOAuthEnabled", "RegisterEnabled"]
    closing = {"SystemName": "x", "RegisterEnabled": False}
    assert [change.name for change in planned(Declared(options=closing), actual())] == ["RegisterEnabled", "SystemName"]


@given(number=st.floats(min_value=1e-9, max_value=1e18, exclude_min=True))
def test_every_number_comes_back(number: float) -> None:
    text = option_text("QuotaPerUnit", number)
    assert "e" not in text
    assert option_value("QuotaPerUnit", text) == number
