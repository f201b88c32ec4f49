"""Plans carried out over HTTP, on the lab's stand-in for One API: what routing and tokens do afterwards."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from plan_kit import apply, channel_spec, look, planned
from standin_kit import ACCESS_TOKEN, Gateway, Upstream, wait_for

from lab.standin.envelope import AdminError
from llm_gateway.flavours import Channel, Declared, Ours, Refused, TokenSpec, carry_out, only
from llm_gateway.flavours.oneapi import AdminClient
from llm_gateway.flavours.oneapi.versions import version_of

pytest_plugins = ["standin_fixtures"]


class Counting(httpx.HTTPTransport):
    """Keeps the method and the path of each request."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(f"{request.method} {request.url.path}")
        return super().handle_request(request)


@pytest.fixture
def counted() -> Counting:
    return Counting()


@pytest.fixture
def admin(gateway: Gateway, counted: Counting) -> Iterator[AdminClient]:
    with AdminClient(gateway.url, access_token=ACCESS_TOKEN, transport=counted) as client:
        yield client


def channels(*specs: Any) -> Declared:
    return Declared(channels=specs)


def channel_named(admin: AdminClient, name: str) -> Channel:
    found = only(admin.channels(), name)
    assert found is not None
    return found


def key_of(admin: AdminClient, name: str) -> str:
    found = only(admin.tokens(), name)
    assert found is not None
    return found.key


def test_from_nothing_to_all_of_it_and_again(admin: AdminClient, counted: Counting, gateway: Gateway) -> None:
    declared = Declared(
        (
            channel_spec("all", "all-1", "all-2", groups=("vip", "default"), priority=3, weight=2, status=2),
            channel_spec("all-azure", "all-3", type=3, config={"api_version": "2024-06-01"}, system_prompt="Be brief."),
            channel_spec("all_%", "all-4", model_mapping={"all-4": "模型"}),
        ),
        (
            TokenSpec("all", quota=500, models=("all-1",), expired_time=int(time.time()) + 900),
            TokenSpec("all_%", subnets=("127.0.0.0/8",), status=2),
        ),
        {"RegisterEnabled": False, "QuotaPerUnit": 0.50, "ModelRatio": {"all-3": 1.5}, "Notice": "你好\n"},
    )
    assert version_of(admin.status().version).name == "One API v0.6.10"
    assert len(apply(admin, declared)) == 9
    counted.sent.clear()
    assert planned(declared, look(admin), now=time.time()) == []
    assert counted.sent == ["GET /api/channel/search", "GET /api/token/search", "GET /api/option/"]
    assert gateway.api("GET", "/api/status")["data"]["quota_per_unit"] == 0.5


def test_each_change_costs_one_request(admin: AdminClient, counted: Counting) -> None:
    old = Declared((channel_spec("cost", "cost-1"),), (TokenSpec("cost", quota=5),), {"RetryTimes": 1})
    apply(admin, old)
    new = Declared((channel_spec("cost", "cost-2"),), (TokenSpec("cost", quota=9),), {"RetryTimes": 2})
    changes = planned(new, look(admin), rotated=frozenset({"cost"}))
    counted.sent.clear()
    for change in changes:
        carry_out(change, admin)
    assert counted.sent == ["PUT /api/channel/", "PUT /api/token/", "PUT /api/option/"]


def test_all_that_was_changed_by_hand_is_named_and_undone(admin: AdminClient, gateway: Gateway) -> None:
    spec = channel_spec("drift", "drift-1", model_mapping={"drift-1": "x"}, config={"region": "eu"}, groups=("b", "a"))
    declared = Declared((spec,), (TokenSpec("drift", models=("drift-1",)),), {"LogConsumeEnabled": True})
    apply(admin, declared)
    number = channel_named(admin, "drift").id
    hand: dict[str, Any] = {"models": "drift-1,own", "config": '{"region":"us","sk":"s3cret"}', "system_prompt": "x"}
    hand |= {"model_mapping": "", "group": "a", "status": 2, "weight": 7, "priority": -1, "type": 8, "base_url": ""}
    gateway.ok("PUT", "/api/channel/", {"id": number, **hand})
    token = only(admin.tokens(), "drift")
    gateway.ok("PUT", "/api/token/", {"id": token.id if token else 0, "name": "drift", "remain_quota": 7})
    gateway.ok("PUT", "/api/option/", {"key": "LogConsumeEnabled", "value": "false"})
    assert apply(admin, declared) == [
        "~ channel drift: models -own, groups +b, type custom → openai, base_url (none) → http://127.0.0.1:9,"
        " model_mapping drift-1: (none) → x, priority -1 → 0, weight 7 → 0, status disabled → enabled,"
        " config region: us → eu sk removed, system_prompt changed",
        "~ token drift: models all → drift-1, quota 7 → unlimited, expires 1970-01-01 00:00:00Z → never",
        "~ option LogConsumeEnabled: false → true",
    ]
    assert planned(declared, look(admin)) == []


def test_a_config_is_taken_away(admin: AdminClient) -> None:
    """One API passes over an empty text, so that it has to be an empty object."""
    apply(admin, channels(channel_spec("config", config={"api_version": "1"})))
    assert apply(admin, channels(channel_spec("config"))) == ["~ channel config: config api_version: 1 → (none)"]
    assert channel_named(admin, "config").config == {}


def test_routing_follows(admin: AdminClient, gateway: Gateway, upstream: Upstream) -> None:
    """Models change places, a key is rotated, a channel goes; the one that stays serves."""
    url = upstream.url
    apply(admin, channels(*(channel_spec(f"way-{n}", f"way-model-{n}", base_url=url) for n in "ab")))
    swapped = (("a", "b"), ("b", "a"))
    specs = [channel_spec(f"way-{n}", f"way-model-{m}", base_url=url, key=f"sk-new-{n}") for n, m in swapped]
    answers: list[int] = []
    said = apply(
        admin,
        channels(*specs),
        rotated=frozenset({"way-a"}),
        each=lambda: answers.extend(gateway.chat(f"way-model-{n}").status_code for n in "ab"),
    )
    assert answers == [200] * 6
    assert len(said) == 3
    assert gateway.chat("way-model-b").status_code == 200
    assert upstream.requests[-1][1]["Authorization"] == "Bearer sk-new-a", "the rotated key"
    assert gateway.chat("way-model-a").status_code == 200
    assert upstream.requests[-1][1]["Authorization"] == "Bearer sk-way-b-secret", "the other stays"
    ours = Ours(channels=frozenset({"way-b"}))
    assert apply(admin, channels(specs[0]), ours=ours, prune=True) == ["- channel way-b"]
    assert gateway.chat("way-model-b").status_code == 200
    assert gateway.chat("way-model-a").status_code == 503


def test_a_token_that_was_exhausted_or_expired_comes_back(
    admin: AdminClient, gateway: Gateway, upstream: Upstream
) -> None:
    used_up, over = TokenSpec("back-quota", quota=1), TokenSpec("back-time", expired_time=int(time.time()) - 5)
    declared = Declared((channel_spec("back", "back", base_url=upstream.url),), (used_up, over))
    apply(admin, declared)
    assert gateway.chat("back", key_of(admin, "back-quota")).status_code == 200
    wait_for(lambda: gateway.chat("back", key_of(admin, "back-quota")).status_code == 401)
    assert gateway.chat("back", key_of(admin, "back-time")).status_code == 401
    wait_for(lambda: {4, 3} <= {token.status for token in admin.tokens()})
    assert planned(declared, look(admin), now=time.time()) == [], "as declared"
    more = Declared(declared.channels, (TokenSpec("back-quota", quota=9_000), TokenSpec("back-time")))
    first, second = apply(admin, more)
    assert first.startswith("~ token back-quota: quota 1 → 9000, status exhausted → enabled")
    assert second.endswith("→ never, status expired → enabled")
    for name in ("back-quota", "back-time"):
        assert gateway.chat("back", key_of(admin, name)).status_code == 200


def test_use_while_a_token_is_rewritten_is_not_lost(admin: AdminClient, gateway: Gateway, upstream: Upstream) -> None:
    apply(admin, Declared((channel_spec("busy", "busy", base_url=upstream.url),), (TokenSpec("busy", quota=9_000),)))
    wider = Declared(tokens=(TokenSpec("busy", quota=20_000),))
    (change,) = planned(wider, look(admin))
    gateway.chat("busy", key_of(admin, "busy"))
    used = wait_for(lambda: sum(token.used_quota for token in admin.tokens() if token.name == "busy"))
    carry_out(change, admin)
    token = only(admin.tokens(), "busy")
    assert token is not None
    assert (token.total_quota, token.used_quota) == (20_000, used)


def test_a_token_that_is_declared_disabled_is_made_so(admin: AdminClient, gateway: Gateway) -> None:
    (change,) = planned(Declared(tokens=(TokenSpec("shut", status=2),)), look(admin))
    made = carry_out(change, admin)
    assert made is not None
    assert (made.status, len(made.key)) == (2, 48)
    assert gateway.chat("any", made.key).status_code == 401


def test_a_token_is_removed(admin: AdminClient) -> None:
    apply(admin, Declared(tokens=(TokenSpec("old-host"),)))
    assert apply(admin, Declared(), prune=frozenset({"token:old-host"})) == ["- token old-host"]
    assert only(admin.tokens(), "old-host") is None


def test_ratios_survive_a_restart(start: Callable[..., Gateway]) -> None:
    declared = Declared(options={"ModelRatio": {"MiniMax-M2.5": 1}})
    with AdminClient(start().url, access_token=ACCESS_TOKEN) as admin:
        assert apply(admin, declared) == ["~ option ModelRatio: MiniMax-M2.5 (none) → 1"]
    with AdminClient(start().url, access_token=ACCESS_TOKEN) as admin:
        assert planned(declared, look(admin)) == []
        assert '"gpt-4"' in admin.options()["ModelRatio"]


# --- faults


@pytest.mark.parametrize("name", ["fault-made", "fault-changed"])
def test_routing_entries_that_one_api_fails_to_write_are_written_again(
    admin: AdminClient, gateway: Gateway, upstream: Upstream, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """It writes the channel first, so that the next plan would see nothing to do."""
    if name == "fault-changed":
        apply(admin, channels(channel_spec(name, "fault", base_url=upstream.url, priority=1)))
    (change,) = planned(channels(channel_spec(name, "fault", base_url=upstream.url)), look(admin))
    write = gateway.app.channels.add_abilities

    def fail_once(channel: Any) -> None:
        monkeypatch.setattr(gateway.app.channels, "add_abilities", write)
        raise AdminError("database is locked")

    monkeypatch.setattr(gateway.app.channels, "add_abilities", fail_once)
    carry_out(change, admin)
    assert gateway.chat("fault").status_code == 200
    assert channel_named(admin, name).priority == 0


def test_a_write_that_is_not_known_to_be_finished_is_done_again(
    admin: AdminClient, gateway: Gateway, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is seen of it in what One API lists: whoever keeps a record says `again`."""

    def fail(channel: Any) -> None:
        raise AdminError("database is locked")

    declared = channels(channel_spec("half", "half", base_url=upstream.url))
    with monkeypatch.context() as failing:
        failing.setattr(gateway.app.channels, "add_abilities", fail)
        with pytest.raises(Refused, match="database is locked"):
            apply(admin, declared)
    assert planned(declared, look(admin)) == []
    assert gateway.chat("half").status_code == 503
    assert apply(admin, declared, again=frozenset({"half"})) == ["~ channel half: key sent again"]
    assert gateway.chat("half").status_code == 200


def test_a_locked_database_is_told_and_the_next_run_does_it(start: Callable[..., Gateway]) -> None:
    gateway = start(SQLITE_BUSY_TIMEOUT="50")
    declared = Declared((channel_spec("locked"),), (TokenSpec("locked"),), {"RetryTimes": 2})
    with AdminClient(gateway.url, access_token=ACCESS_TOKEN) as admin:
        changes = planned(declared, look(admin))
        other = sqlite3.connect(gateway.directory / "one-api.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        for change in changes[:2]:
            with pytest.raises(Refused, match="database is locked"):
                carry_out(change, admin)
        other.rollback()
        other.close()
        assert apply(admin, declared) == [str(change) for change in changes]
        assert planned(declared, look(admin)) == []


def test_a_channel_that_went_after_the_plan_leaves_nothing_behind(admin: AdminClient, gateway: Gateway) -> None:
    apply(admin, channels(channel_spec("went", "went")))
    (change,) = planned(channels(channel_spec("went", "went", priority=1)), look(admin))
    admin.delete_channel(channel_named(admin, "went").id)
    with pytest.raises(Refused, match="record not found"):
        carry_out(change, admin)
    answer = gateway.chat("went")
    assert answer.status_code == 503
    assert "无可用渠道" in answer.text, "no channel, and no broken entry for one"
    assert apply(admin, channels(channel_spec("went", "went", priority=1))) == ["+ channel went"]
