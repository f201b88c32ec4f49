"""Options, what may be removed, and what is right by itself and wrong together."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from llm_gateway.contents import desired
from llm_gateway.flavours.oneapi import wire
from llm_gateway.inputs import consistency, declarations, host_data, settings
from llm_gateway.inputs.secrets import Provided
from llm_gateway.model.checks import InvalidError
from tests.unit.provisioning_kit import make_gateway
from tests.unit.test_declarations import CHANNEL, channel, wrong

pytestmark = pytest.mark.slow

PREVIEW = "justsong/one-api:v0.6.11-preview.7"


def problems(**chosen: Any) -> list[str]:
    """What is wrong with the settings of a host that declares these."""
    return host_data.check({**settings.defaults(), **chosen})[1]


@pytest.mark.parametrize(
    ("image", "ours"),
    [
        ("justsong/one-api:v0.6.10", {"RetryTimes": 10, "ApproximateTokenEnabled": True}),
        (
            "calciumion/new-api:v1.0.0-rc.15",
            {"RetryTimes": 10, "SelfUseModeEnabled": True, "performance_setting.monitor_enabled": False},
        ),
    ],
)
def test_what_is_not_declared_keeps_registration_closed_and_spares_taking_over(image: str, ours: Any) -> None:
    ours = {"RegisterEnabled": False, **ours}

    def held(options: dict[str, object]) -> Any:
        return desired.declared(
            make_gateway(gateway_image=image, gateway_options=declarations.options(options))
        ).options

    assert held({}) == ours
    assert held({"SystemName": "x"}) == {**ours, "SystemName": "x"}
    for name, value in {"RegisterEnabled": True, "RetryTimes": 0}.items():
        assert held({name: value}) == {**ours, name: value}
    assert declarations.options({"ModelRatio": {"m": 1.5}})["ModelRatio"] == {"m": 1.5}


def test_all_wrong_options_are_told_and_no_value_of_them() -> None:
    assert wrong(declarations.options, [("RetryTimes", 3)]) == ['must be a dict, such as {"RetryTimes": 3}']
    told = wrong(
        declarations.options,
        {
            "RetryTime": "hush",
            "RetryTimes": "hush",
            "ModelRatio": {"m": "hush"},
            "SystemName": "hush\ud83d",
            "PreConsumedQuota": 10**5000,
            "PasswordLoginEnabled": False,
            "SMTPToken": "hush",
            7: "hush",
        },
    )
    assert [problem.partition(":")[0] for problem in told] == [
        "there is no option 'RetryTime'; did you mean 'RetryTimes'?",
        "option RetryTimes must be a whole number from 0",
        "option ModelRatio must be a mapping of names to numbers from 0",
        "option SystemName must be a string",
        "option PreConsumedQuota must be a whole number from 0",
        "option PasswordLoginEnabled must not be False",
        "option SMTPToken cannot be declared, as it is a secret",
        "the name of an option must be a string",
    ]
    assert "hush" not in "".join(told)
    assert wrong(declarations.options, {"PasswordLoginEnabled": "false"})[0].startswith(
        "option PasswordLoginEnabled must not be False: nobody could log in"
    )


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        (False, False),
        (True, True),
        ([], frozenset()),
        (["channel:a b", "token:x,y"], frozenset({"channel:a b", "token:x,y"})),
        ("token:old-host", frozenset({"token:old-host"})),
    ],
)
def test_what_may_be_removed(value: Any, taken: Any) -> None:
    assert declarations.prune(value) == taken


@pytest.mark.parametrize(
    "value", [None, 1, "old", "channel:", "host:a", ["channel:a", 1], ["channel: a"], {"channel:a": 1}]
)
def test_what_names_nothing_that_may_be_removed(value: Any) -> None:
    assert wrong(declarations.prune, value) == [
        'must be False, True, or names such as ["channel:old", "token:old-host"]'
    ]


def test_what_is_declared_is_not_removed_by_name() -> None:
    assert problems(gateway_tokens=[{"name": "t"}], gateway_prune=["channel:minimax", "token:t", "channel:old"]) == [
        "gateway_prune: channel:minimax is declared as well: take it out of one of the two",
        "gateway_prune: token:t is declared as well: take it out of one of the two",
    ]


def test_a_token_for_models_that_no_channel_serves() -> None:
    named = [{"name": "t", "models": ["minimax-m2.5", "qwen3.5-plus", "other"]}]
    assert problems(gateway_tokens=named) == [
        "gateway_tokens: token t: minimax-m2.5 is served by no channel of gateway_channels;"
        " did you mean 'MiniMax-M2.5'? Otherwise add it to the models of one",
        "gateway_tokens: token t: other is served by no channel of gateway_channels: add it to the models of one",
    ]
    assert problems(gateway_tokens=named, gateway_channels=[]) == [], "the channels are made by hand"


@pytest.mark.parametrize("changes", [{"status": "disabled"}, {"groups": ["vip"]}])
def test_a_channel_that_is_disabled_or_of_another_group_serves_no_token(changes: dict[str, Any]) -> None:
    assert problems(gateway_channels=[channel(**changes)], gateway_tokens=[{"name": "t", "models": ["m"]}]) == [
        "gateway_tokens: token t: m is served by no channel that is enabled and of the group default:"
        " enable c, or add that group to it"
    ]


def test_a_type_that_the_image_does_not_know() -> None:
    newer = [channel(type="openai-compatible")]
    (told,) = problems(gateway_channels=newer)
    assert told.startswith(
        'gateway_channels: channel c: One API v0.6.10 has no type "openai-compatible", which came with'
        " v0.6.11-preview.7: choose another type"
    )
    assert told.endswith("or another gateway_image")
    assert problems(gateway_channels=newer, gateway_image=PREVIEW) == []
    assert problems(gateway_channels=newer, gateway_image="registry.example:5000/one-api:ours") == [], "says nothing"
    assert problems(gateway_channels=newer, gateway_image="no tag")[0].startswith("gateway_image: must be an image")


_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters(codec=None)), st.binary(max_size=9)
)
_WORDS = st.sampled_from(
    ["a", "a b", "m", "n,", "azure", "proxy", "openai", "", "A_KEY", "enabled", "disabled", "default", "2027-01-31",
     "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "10.0.0.0/8", "::/0", "1:/9", "https://a.example",
     "https://[::1", "channel:a", "token:", "sk", "ak", "region", "令" * 11, "m" * 2000, 10**400, -1, 3, 50]
)  # fmt: skip
_ANYTHING = st.recursive(
    _SCALARS | _WORDS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.one_of(_SCALARS, _WORDS), inner, max_size=4)
    ),
    max_leaves=12,
)


def _like(example: dict[str, Any]) -> st.SearchStrategy[dict[Any, Any]]:
    """A right declaration in which some fields are anything, and some are wrong."""
    return st.dictionaries(st.sampled_from([*example, "hush"]), _ANYTHING, max_size=4).map(
        lambda some: {**example, **some}
    )


_TOKEN = {"name": "t", "models": ["m"], "quota": 5, "expires": "2027-01-31", "subnets": ["::/0"], "status": "enabled"}
_CHANNEL = {
    **CHANNEL,
    "type": "azure",
    "model_mapping": {"m": "n"},
    "groups": ["default"],
    "priority": 1,
    "weight": 1,
    "status": "enabled",
    "config": {"region": "r", "sk": "S_K"},
    "system_prompt": "p",
}
_CHANNELS = _ANYTHING | st.lists(_like(_CHANNEL), max_size=3)
_TOKENS = _ANYTHING | st.lists(_like(_TOKEN), max_size=3)
_OPTIONS = _ANYTHING | st.dictionaries(st.sampled_from(sorted(declarations.KINDS)), _ANYTHING, max_size=4)


def _sendable(fields: dict[str, Any]) -> None:
    json.dumps(fields, ensure_ascii=False, allow_nan=False).encode()


@hypothesis_settings(max_examples=600, deadline=None)
@given(channels=_CHANNELS, tokens=_TOKENS, options=_OPTIONS, prune=_ANYTHING)
def test_anything_is_taken_or_told(channels: Any, tokens: Any, options: Any, prune: Any) -> None:
    """No declaration is a traceback; what is taken is fit for One API and can be sent."""
    found, told = host_data.check(
        {"gateway_channels": channels, "gateway_tokens": tokens, "gateway_options": options, "gateway_prune": prune}
    )
    assert all(problem.partition(":")[0] in settings.defaults() for problem in told)
    "\n".join(told).encode()
    for each in found.gateway_channels:
        provided = Provided(None, dict.fromkeys((each.key, *each.credentials.values()), "x"))
        _sendable(wire.channel_fields(each.spec(provided), with_key=True))
    for token in found.gateway_tokens:
        _sendable(wire.token_fields(token.spec()))
    for name, value in found.gateway_options.items():
        declarations.option_text(name, value).encode()


@given(
    st.sampled_from([declarations.channels, declarations.tokens, declarations.options, declarations.prune]), _ANYTHING
)
def test_a_check_answers_or_refuses(check: Any, value: Any) -> None:
    try:
        check(value)
    except InvalidError as problem:
        assert problem.problems


def _channels(*priorities: int, **fields: Any) -> tuple[declarations.Channel, ...]:
    rows = [{**CHANNEL, **fields, "name": f"c{place}", "priority": each} for place, each in enumerate(priorities)]
    return declarations.channels(rows)


@pytest.mark.parametrize(
    ("priorities", "fix"),
    [
        ((0, -1), "(priority of c0 0, c1 -1): use c0 1, c1 0"),
        ((-1, 0), "(priority of c0 -1, c1 0): use c0 0, c1 1"),
        ((-5, -9, 0, 0), "use c0 1, c1 0, c2 2, c3 2"),
        ((-5, -9), "use c0 1, c1 0"),
        ((1, 0), ""),
        ((1, -1), ""),
        ((0, 0), ""),
        ((-3, -3), ""),
        ((-1,), ""),
    ],
)
def test_priorities_that_a_memory_cache_would_not_heed_are_told(priorities: tuple[int, ...], fix: str) -> None:
    told = [*consistency.warnings(_channels(*priorities), PREVIEW)]
    assert len(told) == bool(fix)
    for warning in told:
        assert f"{', '.join(CHANNEL['models'])}: with a memory cache, One API heeds priorities only" in warning
        assert warning.endswith(fix)
    of_new_api = [*consistency.warnings(_channels(*priorities), "new-api:v1.0.0-rc.15")]
    assert "memory cache" not in "".join(of_new_api), "it sorts them"


def test_priorities_of_channels_that_do_not_meet_are_no_matter() -> None:
    first, second = _channels(0, -1)
    for other in ({"models": ("another",)}, {"groups": ("others",)}, {"status": declarations.STATUSES["disabled"]}):
        assert not [*consistency.warnings([first, replace(second, **other)], PREVIEW)], other  # type: ignore[arg-type]
    twice = [replace(channel, groups=("default", "vip")) for channel in (first, second)]
    assert len([*consistency.warnings(twice, PREVIEW)]) == 1, "once for all groups"
