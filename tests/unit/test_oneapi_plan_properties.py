"""Whatever is there and whatever is declared: a plan leads there, and leaves no model without a channel on the way."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import httpx
import pytest
from fake_one_api import FakeOneAPI
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_kit import NOW, apply, channel_spec, look, planned

from llm_gateway.flavours import AdminError, Channel, ChannelSpec, Declared, Ours, TokenSpec, carry_out
from llm_gateway.flavours.oneapi import AdminClient
from llm_gateway.flavours.update_order import serves

pytestmark = pytest.mark.slow

ACCESS = "a" * 32
NAMES = "abcde"


def subsets(of: str) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(of), min_size=1, unique=True).map(tuple)


channel_specs = st.builds(
    lambda name, models, groups, priority, status, config, prompt: channel_spec(
        name,
        *models,
        groups=groups,
        priority=priority,
        status=status,
        config={"api_version": config},
        system_prompt=prompt,
    ),
    st.sampled_from(NAMES),
    subsets("vwxyz"),
    subsets("gh"),
    st.integers(-1, 1),
    st.sampled_from([1, 1, 1, 2]),
    st.sampled_from(["", "2024-06-01"]),
    st.sampled_from(["", "Be brief."]),
)
token_specs = st.builds(
    TokenSpec,
    name=st.sampled_from(NAMES),
    expired_time=st.sampled_from([-1, NOW - 5, NOW + 5]),
    quota=st.none() | st.integers(0, 9),
    models=st.just(()) | subsets("xyz"),
    subnets=st.sampled_from([(), ("100.64.0.0/10",)]),
    status=st.sampled_from([None, 1, 2]),
)
declared_options = st.fixed_dictionaries(
    {},
    optional={
        "RegisterEnabled": st.booleans(),
        "RetryTimes": st.integers(0, 3),
        "QuotaPerUnit": st.floats(0.001, 1e9),
        "ModelRatio": st.dictionaries(st.sampled_from("xyz"), st.floats(0, 50)),
        "Notice": st.text(),
    },
)


def named(specs: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(specs, max_size=len(NAMES), unique_by=lambda spec: spec.name).map(tuple)


declarations = st.builds(Declared, named(channel_specs), named(token_specs), declared_options)
prunings = st.booleans() | st.just(frozenset({"channel:e", "token:e"}))


def served(channels: list[Channel] | tuple[ChannelSpec, ...]) -> set[tuple[str, str]]:
    return {pair for channel in channels for pair in serves(channel)}


def gateway_with(held: Declared, used: int) -> tuple[FakeOneAPI, AdminClient]:
    """A gateway that holds what was declared to it, whose limited tokens were used."""
    one_api = FakeOneAPI(ACCESS)
    admin = AdminClient("http://gw", access_token=ACCESS, transport=one_api.transport)
    apply(admin, held)
    for row in one_api.tokens:
        if not row["unlimited_quota"]:
            row |= {"remain_quota": row["remain_quota"] - used, "used_quota": used}
    return one_api, admin


def allowed(declared: Declared, prune: bool | frozenset[str]) -> bool | frozenset[str]:
    """What is declared may not be removed by name."""
    if isinstance(prune, bool):
        return prune
    both = {f"channel:{spec.name}" for spec in declared.channels} | {f"token:{spec.name}" for spec in declared.tokens}
    return prune - both


@settings(deadline=None, max_examples=150)
@given(
    held=declarations,
    declared=declarations,
    used=st.integers(0, 5),
    prune=prunings,
    ours=st.sets(st.sampled_from(NAMES)),
)
def test_a_plan_leads_to_what_is_declared(
    held: Declared, declared: Declared, used: int, prune: bool | frozenset[str], ours: set[str]
) -> None:
    _, admin = gateway_with(held, used)
    before = look(admin)
    prune = allowed(declared, prune)
    given = {"ours": Ours(frozenset(ours), frozenset(ours)), "prune": prune}
    changes = planned(declared, before, **given)
    lasting = served(before.channels)
    for change in changes:
        lasting &= _at_the_end(declared, before.channels, changes)
        carry_out(change, admin)
        assert lasting <= served(admin.channels()), f"after {change}"
    after = look(admin)
    assert planned(declared, after, **given) == []
    _check_removals(before.channels, after.channels, {spec.name for spec in declared.channels}, ours, prune, "channel")
    _check_removals(before.tokens, after.tokens, {spec.name for spec in declared.tokens}, ours, prune, "token")


@settings(deadline=None)
@given(models=st.permutations("uvwxyz"), held=st.permutations("uvwxyz"), cuts=st.sets(st.integers(1, 5)))
def test_models_that_change_places_are_served_all_the_time(models: list[str], held: list[str], cuts: set[int]) -> None:
    """Each model is on one channel before and on one, mostly another, after."""

    def shared_out(shuffled: list[str]) -> Declared:
        bounds = [0, *sorted(cuts), 6]
        pieces = zip(NAMES + "f", bounds, bounds[1:], strict=False)
        return Declared(tuple(channel_spec(name, *shuffled[start:end]) for name, start, end in pieces))

    _, admin = gateway_with(shared_out(held), 0)
    everything = served(admin.channels())

    def check() -> None:
        assert served(admin.channels()) == everything

    apply(admin, shared_out(models), each=check)
    assert planned(shared_out(models), look(admin)) == []


def _at_the_end(declared: Declared, before: Any, changes: Any) -> set[tuple[str, str]]:
    names = {spec.name for spec in declared.channels} | {
        change.name for change in changes if (change.sign, change.kind) == ("-", "channel")
    }
    return served(declared.channels) | served([channel for channel in before if channel.name not in names])


def _check_removals(before: Any, after: Any, names: set[str], ours: set[str], prune: Any, kind: str) -> None:
    gone = {each.name for each in before} - {each.name for each in after}
    foreign = {each.name for each in before} - names
    if isinstance(prune, bool):
        assert gone == (foreign & ours if prune else set())
    else:
        assert gone == {name for name in foreign if f"{kind}:{name}" in prune}


@settings(deadline=None, max_examples=100)
@given(held=declarations, declared=declarations, last=st.integers(0, 12), is_lost=st.booleans())
def test_a_run_that_breaks_off_is_finished_by_the_next(
    held: Declared, declared: Declared, last: int, is_lost: bool
) -> None:
    """After any request, and whether or not the gateway has carried out the one whose answer is lost."""
    one_api, _ = gateway_with(held, 0)
    sent = 0

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal sent
        sent += 1
        if sent > last and request.method != "GET":
            if is_lost:
                one_api.transport.handle_request(request)
            raise httpx.ReadError("gone", request=request)
        return one_api.transport.handle_request(request)

    broken = AdminClient("http://gw", access_token=ACCESS, transport=httpx.MockTransport(answer))
    with suppress(AdminError):
        apply(broken, declared)
    fixed = AdminClient("http://gw", access_token=ACCESS, transport=one_api.transport)
    apply(fixed, declared)
    assert planned(declared, look(fixed)) == []


@given(held=declarations, declared=declarations, used=st.integers(0, 5))
def test_no_plan_shows_a_key(held: Declared, declared: Declared, used: int) -> None:
    _, admin = gateway_with(held, used)
    changes = planned(declared, look(admin), rotated=frozenset(NAMES), prune=True)
    for change in changes:
        shown = f"{change} {change!r} {change.as_json()}"
        assert "-secret" not in shown
        assert "relay-key" not in shown
        assert "\n" not in str(change)
    assert {c.name for c in changes if "key changed" in c.details} <= {spec.name for spec in declared.channels}
