"""A plan: what it says, in which order, and what it refuses to decide."""

from __future__ import annotations

from typing import Any

import pytest
from plan_kit import NOW, actual, channel, channel_spec, planned, said, token

from llm_gateway.flavours import Ambiguous, Declared, Invalid, Ours, TokenSpec

LATER = NOW + 86_400


def channels(*specs: Any) -> Declared:
    return Declared(channels=specs)


def tokens(*specs: TokenSpec) -> Declared:
    return Declared(tokens=specs)


def test_nothing_to_do_is_an_empty_plan() -> None:
    declared = Declared((channel_spec("a", "x", "y"),), (TokenSpec("t"),), {"RegisterEnabled": False})
    there = actual([channel(1, "a", "y", "x")], [token(2, "t")], RegisterEnabled="false")
    assert said(declared, there) == []


def test_a_plan_from_nothing() -> None:
    declared = Declared((channel_spec("dashscope"),), (TokenSpec("agent1"),), {"RegisterEnabled": False})
    assert said(declared, actual(RegisterEnabled="true")) == [
        "~ option RegisterEnabled: true → false",
        "+ channel dashscope",
        "+ token agent1",
    ]


def test_a_change_is_one_line_with_all_that_changes() -> None:
    there = actual([channel(7, "minimax", "MiniMax-M2", "old")])
    declared = channels(channel_spec("minimax", "MiniMax-M2", "MiniMax-M2.5", priority=10))
    (change,) = planned(declared, there, rotated=frozenset({"minimax"}))
    details = ("models +MiniMax-M2.5 -old", "priority 0 → 10", "key changed")
    assert str(change) == f"~ channel minimax: {', '.join(details)}"
    assert change.as_json() == {"sign": "~", "kind": "channel", "name": "minimax", "details": list(details)}


def test_the_key_is_sent_only_where_it_is_rotated() -> None:
    there = actual([channel(1, "a"), channel(2, "b")])
    declared = channels(channel_spec("a", "m", "m2"), channel_spec("b"))
    first, second = planned(declared, there, rotated=frozenset({"b"}))
    assert first.work.channel is not None
    assert second.work.channel is not None
    assert (first.work.channel.key, second.work.channel.key) == ("", "sk-b-secret")
    assert str(second) == "~ channel b: key changed"


def test_a_channel_is_written_again_though_nothing_is_seen_of_a_difference() -> None:
    there = actual([channel(1, "a"), channel(2, "b"), channel(3, "c")])
    declared = channels(*map(channel_spec, "abc"))
    assert said(declared, there, again=frozenset("ab"), rotated=frozenset("b")) == [
        "~ channel a: key sent again",
        "~ channel b: key changed",
    ]


def test_a_key_that_is_not_there_is_told_before_anything_is_written() -> None:
    keyless = channels(channel_spec("a", key=""))
    with pytest.raises(Invalid, match="channel 'a' needs a key"):
        planned(keyless, actual())
    there = actual([channel(1, "a")])
    with pytest.raises(Invalid, match="channel 'a' needs a key"):
        planned(keyless, there, rotated=frozenset("a"))
    assert said(keyless, there) == []


def test_the_order() -> None:
    """Closed first, then what adds, then what takes away, then tokens, other options, and removals last."""
    there = actual(
        [channel(1, "takes", "x", "y"), channel(2, "gone", "z"), channel(3, "adds", "x")],
        [token(4, "gone-too"), token(5, "kept")],
        RegisterEnabled="true",
        RetryTimes="0",
    )
    declared = Declared(
        (channel_spec("takes", "x"), channel_spec("adds", "x", "z"), channel_spec("new", "y")),
        (TokenSpec("kept", models=("z",)), TokenSpec("made")),
        {"RetryTimes": 2, "RegisterEnabled": False},
    )
    ours = Ours(frozenset({"gone"}), frozenset({"gone-too"}))
    assert said(declared, there, prune=True, ours=ours) == [
        "~ option RegisterEnabled: true → false",
        "+ channel new",
        "~ channel adds: models +z",
        "~ channel takes: models -y",
        "~ token kept: models all → z",
        "+ token made",
        "~ option RetryTimes: 0 → 2",
        "- token gone-too",
        "- channel gone",
    ]


def test_models_that_change_places_are_added_before_they_are_taken_away() -> None:
    there = actual([channel(1, "a", "x"), channel(2, "b", "y")])
    declared = channels(channel_spec("a", "y", priority=1), channel_spec("b", "x"))
    assert said(declared, there, rotated=frozenset({"a"})) == [
        "~ channel a: models +y, priority 0 → 1, key changed",
        "~ channel b: models +x -y",
        "~ channel a: models -x",
    ]


def test_a_channel_is_disabled_after_the_one_that_takes_over() -> None:
    there = actual([channel(1, "a", "x"), channel(2, "b", "x", status=3)])
    declared = channels(channel_spec("a", "x", status=2), channel_spec("b", "x"))
    assert said(declared, there) == [
        "~ channel b: status disabled by itself → enabled",
        "~ channel a: status enabled → disabled",
    ]


@pytest.mark.parametrize(
    ("prune", "gone"),
    [
        (False, []),
        (frozenset(), []),
        (True, ["- token ours", "- channel ours"]),
        (frozenset({"channel:by-hand"}), ["- channel by-hand"]),
        (frozenset({"channel:ours", "token:by-hand", "token:not-there"}), ["- token by-hand", "- channel ours"]),
    ],
)
def test_only_what_is_ours_or_named_is_removed(prune: Any, gone: list[str]) -> None:
    there = actual(
        [channel(1, "ours"), channel(2, "by-hand"), channel(3, "kept")],
        [token(1, "ours"), token(2, "by-hand"), token(3, "kept")],
    )
    both = frozenset({"ours", "kept", "gone-long-ago"})
    declared = Declared((channel_spec("kept"),), (TokenSpec("kept"),))
    assert said(declared, there, prune=prune, ours=Ours(both, both)) == gone


@pytest.mark.parametrize("entry", ["by-hand", "channel:", "option:Theme", "channel:kept"])
def test_a_removal_that_makes_no_sense_is_refused(entry: str) -> None:
    with pytest.raises(Invalid, match="prune names"):
        planned(channels(channel_spec("kept")), actual([channel(3, "kept")]), prune=frozenset({entry}))


def test_two_of_one_name_are_left_to_a_person() -> None:
    twins = actual([channel(1, "twin"), channel(9, "twin")], [token(2, "pair"), token(3, "pair")])
    with pytest.raises(Ambiguous, match=r"channels: 2 entries are named 'twin' \(ids 1, 9\)"):
        planned(channels(channel_spec("twin")), twins)
    with pytest.raises(Ambiguous, match="tokens: 2 entries are named 'pair'"):
        planned(tokens(TokenSpec("pair")), twins)
    with pytest.raises(Ambiguous, match="twin"):
        planned(Declared(), twins, prune=True, ours=Ours(channels=frozenset({"twin"})))
    with pytest.raises(Ambiguous, match="pair"):
        planned(Declared(), twins, prune=frozenset({"token:pair"}))
    with pytest.raises(Ambiguous, match="channel 'a' is declared 2 times"):
        planned(channels(channel_spec("a"), channel_spec("a")), twins)
    assert said(Declared(), twins, prune=True) == [], "what nobody asks for may be there twice"


def test_a_name_that_begins_like_another_or_looks_like_a_pattern_is_its_own() -> None:
    there = actual([channel(1, "dash"), channel(2, "dash%"), channel(3, "dash_1"), channel(4, "DASH")])
    assert said(channels(channel_spec("dash_"), channel_spec("dash%")), there) == ["+ channel dash_"]


def test_a_bad_option_is_told_before_anything_else() -> None:
    with pytest.raises(Invalid, match="did you mean 'RetryTimes'"):
        planned(Declared(options={"RetryTime": 3}), actual())


# --- tokens


@pytest.mark.parametrize(
    ("row", "spec", "line"),
    [
        ({"models": "x"}, {"models": ("x", "y")}, "models +y"),
        ({"models": "x"}, {}, "models x → all"),
        ({"models": None, "subnet": ""}, {}, None),
        ({"models": "x,y"}, {"models": ("y", "x")}, None),
        ({"subnet": "100.64.0.0/10, 10.0.0.0/8"}, {"subnets": ("10.0.0.0/8", "100.64.0.0/10")}, None),
        ({}, {"subnets": ("10.0.0.0/8",)}, "subnets all → 10.0.0.0/8"),
        ({}, {"quota": 100}, "quota unlimited → 100"),
        ({}, {"expired_time": 1_801_439_999}, "expires never → 2027-01-31 23:59:59Z"),
        ({"expired_time": 0}, {}, "expires 1970-01-01 00:00:00Z → never"),
        ({"expired_time": 1 << 60}, {}, f"expires {1 << 60} → never"),
    ],
)
def test_what_a_token_may(row: dict[str, Any], spec: dict[str, Any], line: str | None) -> None:
    expected = [f"~ token t: {line}"] if line else []
    assert said(tokens(TokenSpec("t", **spec)), actual([], [token(1, "t", **row)])) == expected


def limited(remain: int, used: int, **more: Any) -> dict[str, Any]:
    return {"unlimited_quota": False, "remain_quota": remain, "used_quota": used, **more}


def test_use_of_a_limited_token_is_no_drift() -> None:
    for used in (0, 1, 99, 100, 130):
        there = actual([], [token(1, "t", **limited(100 - used, used))])
        assert said(tokens(TokenSpec("t", quota=100)), there) == []


@pytest.mark.parametrize(
    ("status", "declared", "line"),
    [
        (2, None, None),
        (1, None, None),
        (2, 1, "status disabled → enabled"),
        (1, 2, "status enabled → disabled"),
        (3, 2, "status expired → disabled"),
        (3, 1, "status expired → enabled"),
        (3, None, "status expired → enabled"),
        (4, None, "status exhausted → enabled"),
    ],
)
def test_the_status_of_a_token_that_has_time_and_quota_left(
    status: int, declared: int | None, line: str | None
) -> None:
    expected = [f"~ token t: {line}"] if line else []
    there = actual([], [token(1, "t", **limited(5, 95, status=status, expired_time=LATER))])
    assert said(tokens(TokenSpec("t", quota=100, expired_time=LATER, status=declared)), there) == expected


@pytest.mark.parametrize("declared", [None, 1])
def test_a_token_that_is_over_as_declared_is_no_drift(declared: int | None) -> None:
    over = token(1, "t", status=3, expired_time=NOW - 5)
    used_up = token(2, "u", **limited(0, 100, status=4))
    specs = TokenSpec("t", expired_time=NOW - 5, status=declared), TokenSpec("u", quota=100, status=declared)
    assert said(tokens(*specs), actual([], [over, used_up])) == []


@pytest.mark.parametrize("declared", [None, 1])
def test_more_time_or_quota_brings_a_token_back(declared: int | None) -> None:
    over = token(1, "t", status=3, expired_time=NOW - 5)
    used_up = token(2, "u", **limited(-3, 103, status=4))
    specs = TokenSpec("t", status=declared), TokenSpec("u", quota=500, status=declared)
    assert said(tokens(*specs), actual([], [over, used_up])) == [
        "~ token t: expires 2027-01-15 07:59:55Z → never, status expired → enabled",
        "~ token u: quota 100 → 500, status exhausted → enabled",
    ]
