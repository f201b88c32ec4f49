"""The lab's stand-in for One API: quota, and many requests at once."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from standin_kit import RELAY_KEY, Gateway, Upstream, error_of, new_key, new_token, wait_for

from lab.standin.app import WORKERS_BEHIND
from llm_client import KeyUsage, LLMClient

pytestmark = pytest.mark.slow

pytest_plugins = ["standin_fixtures"]

JSON = "application/json"


@pytest.fixture(scope="module", autouse=True)
def channel(gateway: Gateway, upstream: Upstream) -> int:
    """A channel for the model `m`."""
    return gateway.add_channel("main", "m,n", upstream.url)


# --- accounts


def test_unlimited_token_keeps_its_counters(gateway: Gateway) -> None:
    token = new_token(gateway, name="unlimited")
    gateway.chat("m", token["key"])
    wait_for(lambda: gateway.ok("GET", "/api/log/?token_name=unlimited"))
    assert gateway.ok("GET", f"/api/token/{token['id']}") == token


def test_limited_token_pays_ratio_30(gateway: Gateway, channel: int) -> None:
    before = gateway.ok("GET", f"/api/channel/{channel}")["used_quota"]
    token = new_token(gateway, name="limited", unlimited_quota=False, remain_quota=1000)
    gateway.chat("m", token["key"])

    def counters() -> tuple[int, int]:
        row = gateway.ok("GET", f"/api/token/{token['id']}")
        return row["remain_quota"], row["used_quota"]

    wait_for(lambda: counters() == (850, 150))
    wait_for(lambda: gateway.ok("GET", f"/api/channel/{channel}")["used_quota"] >= before + 150)


def billing(gateway: Gateway, key: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the token is told of itself; of the days that are asked for nothing is seen."""
    headers = {"Authorization": f"Bearer sk-{key}"}
    pages = ("subscription", "usage?start_date=2030-01-01&end_date=2030-02-01")
    limits, usage = (gateway.client.get(f"/v1/dashboard/billing/{page}", headers=headers) for page in pages)
    return limits.json(), usage.json()


def test_a_token_is_told_its_total_and_none_without_a_limit(gateway: Gateway) -> None:
    """Seen of the real v0.6.10; and what the client makes of it."""
    limited = new_key(gateway, name="told", unlimited_quota=False, remain_quota=1_000_000)
    unlimited = new_key(gateway, name="told nothing")
    for key in (limited, unlimited):
        assert gateway.chat("m", key).status_code == 200
    wait_for(lambda: billing(gateway, limited)[1]["total_usage"])
    head = {"object": "billing_subscription", "has_payment_method": True, "access_until": 0}
    amounts = ("soft_limit_usd", "hard_limit_usd", "system_hard_limit_usd")
    assert billing(gateway, limited) == (
        head | dict.fromkeys(amounts, 2),
        {"object": "list", "total_usage": 0.03},
    )
    assert billing(gateway, unlimited) == (
        head | dict.fromkeys(amounts, 100_000_000),
        {"object": "list", "total_usage": 0},
    )
    with LLMClient(gateway.url, f"sk-{limited}") as client:
        assert client.key_usage() == KeyUsage(0.0003, 2.0, None)
    with LLMClient(gateway.url, f"sk-{unlimited}") as client:
        assert not client.key_usage().is_counted
    assert gateway.client.get("/v1/dashboard/billing/usage").status_code == 401


def test_user_without_quota(gateway: Gateway) -> None:
    user = gateway.add_user("poor")
    key = gateway.ok("GET", "/api/token/", token=user["access_token"])[0]["key"]
    answer = gateway.chat("m", key)
    assert answer.status_code == 403
    assert error_of(answer) == {
        "message": "user quota is not enough",
        "type": "one_api_error",
        "param": "",
        "code": "insufficient_user_quota",
    }


def test_quota_taken_beforehand(gateway: Gateway, upstream: Upstream) -> None:
    user = gateway.add_user("modest", quota=100_000)
    access = user["access_token"]
    small = {"name": "small", "remain_quota": 10}
    key = gateway.ok("POST", "/api/token/", small, access)["key"]
    answer = gateway.chat("m", key)
    assert (answer.status_code, error_of(answer)["code"]) == (403, "pre_consume_token_quota_failed")
    key = gateway.ok("GET", "/api/token/search?keyword=default", token=access)[0]["key"]
    upstream.replies["fails"] = (400, JSON, b'{"error":{"message":"x"}}')
    gateway.add_channel("fails", "fails", upstream.url)
    gateway.chat("fails", key)

    def quota() -> int:
        return int(gateway.ok("GET", "/api/user/self", token=access)["quota"])

    wait_for(lambda: quota() == 100_000)
    gateway.chat("m", key)
    wait_for(lambda: quota() == 100_000 - 150)
    gateway.add_channel("dead", "dead", "http://127.0.0.1:9")
    gateway.chat("dead", key)
    assert quota() < 90_000, "not given back when the upstream cannot be reached"


def test_a_token_deleted_in_use_leaves_its_row_and_charges_nobody(gateway: Gateway, upstream: Upstream) -> None:
    user = gateway.add_user("leaving", quota=10**9)
    access = user["access_token"]
    token = gateway.ok("POST", "/api/token/", {"name": "gone", "unlimited_quota": True}, access)
    gateway.add_channel("asks back", "asks back", upstream.url)
    deleted = []

    def delete() -> None:
        deleted.append(gateway.api("DELETE", f"/api/token/{token['id']}", token=access)["success"])

    upstream.before["asks back"] = delete
    assert gateway.chat("asks back", token["key"]).status_code == 200
    assert deleted == [True]
    wait_for(lambda: gateway.ok("GET", "/api/log/?type=2&token_name=gone"))
    assert gateway.ok("GET", "/api/user/self", token=access)["quota"] == 10**9


# --- under load


def test_200_connections_at_once(start: Callable[..., Gateway], upstream: Upstream) -> None:
    gateway = start(SQLITE_BUSY_TIMEOUT="10000")  # as the deployment sets it
    gateway.add_channel("many", "m", upstream.url)
    with httpx.Client(base_url=gateway.url, limits=httpx.Limits(max_connections=200), timeout=30) as client:
        headers = {"Authorization": f"Bearer {RELAY_KEY}"}
        body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}

        def ask(_: int) -> int:
            return client.post("/v1/chat/completions", json=body, headers=headers).status_code

        with concurrent.futures.ThreadPoolExecutor(200) as pool:
            assert set(pool.map(ask, range(200))) == {200}
    wait_for(lambda: gateway.ok("GET", "/api/log/?type=2&p=19")[9:], seconds=20)


def test_billing_that_waits_does_not_use_up_the_threads(gateway: Gateway) -> None:
    """A container may have 1024. Bills pile up where the disk is slower than the answers."""
    before, may_write, billed = threading.active_count(), threading.Event(), []
    for number in range(1000):
        gateway.app.background(lambda number=number: may_write.wait(30) and billed.append(number))  # type: ignore[misc]
    assert threading.active_count() - before <= WORKERS_BEHIND
    may_write.set()
    wait_for(lambda: len(billed) == 1000)
