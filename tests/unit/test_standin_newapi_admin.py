"""The lab's stand-in for new-api: channels, tokens, options and logs; each seen on v1.0.0-rc.15."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from standin_newapi_kit import NewGateway

from lab.standin.newapi.schema import CHANNEL_INFO

pytest_plugins = ["standin_newapi_fixtures"]

URL = "http://127.0.0.1:9"


def abilities(gateway: NewGateway, channel_id: int) -> list[tuple[Any, ...]]:
    rows = gateway.app.database.query(
        "SELECT `group`, model, enabled, priority FROM abilities WHERE channel_id = ? ORDER BY 1, 2", (channel_id,)
    )
    return [tuple(row) for row in rows]


def wrapped(**channel: Any) -> dict[str, Any]:
    return {"mode": "single", "channel": {"type": 1, "key": "k", "name": "n", "models": "m", **channel}}


# --- channels


def test_a_bare_channel_ends_in_a_panic_that_gzip_hides(new_gateway: NewGateway) -> None:
    """The trap: the body that One API takes is answered with an empty 200, and no channel is made."""
    before = new_gateway.ok("GET", "/api/channel/")["total"]
    body = {"type": 1, "key": "k", "name": "bare", "models": "m"}
    hidden = new_gateway.request("POST", "/api/channel/", body)
    assert (hidden.status_code, hidden.content) == (200, b"")
    shown = new_gateway.request("POST", "/api/channel/", body, **{"Accept-Encoding": "identity"})
    assert (shown.status_code, shown.json()["error"]["type"]) == (500, "new_api_panic")
    assert new_gateway.ok("GET", "/api/channel/")["total"] == before


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({**wrapped(), "mode": "other"}, "不支持的添加模式"),
        (wrapped(key=""), "channel cannot be empty"),
        (wrapped(type="1"), "json: cannot unmarshal string into Go struct field Channel.channel.type of type int"),
        (
            wrapped(setting="{x"),
            "渠道额外设置[channel setting] 格式错误：invalid character 'x' looking for beginning of object key string",
        ),
        (wrapped(type=41), "部署地区不能为空"),
        (wrapped(type=41, other="{}"), "部署地区必须包含default字段"),
        (wrapped(models="m" * 256), f"模型名称过长: {'m' * 256}"),
    ],
)
def test_a_bad_channel_is_refused(new_gateway: NewGateway, body: dict[str, Any], message: str) -> None:
    assert new_gateway.refused("POST", "/api/channel/", body) == message


def test_a_channels_row_has_no_key_and_nothing_of_one_apis(new_gateway: NewGateway) -> None:
    channel_id = new_gateway.add_channel("shown", "a,b", URL, config="x", system_prompt="y")
    row = new_gateway.ok("GET", f"/api/channel/{channel_id}")
    assert row["key"] == ""
    assert not {"config", "system_prompt"} & row.keys()
    assert (row["setting"], row["model_mapping"], row["auto_ban"], row["balance"]) == (None, None, 1, 0)
    assert row["channel_info"]["is_multi_key"] is False
    (found,) = new_gateway.ok("GET", "/api/channel/search?keyword=shown")["items"]
    assert found == row
    assert abilities(new_gateway, channel_id) == [("default", "a", 1, 0), ("default", "b", 1, 0)]


def test_put_of_a_channel_is_partial_and_takes_the_status(new_gateway: NewGateway) -> None:
    channel_id = new_gateway.add_channel("partial", "a", URL, priority=5)
    off = new_gateway.ok("PUT", "/api/channel/", {"id": channel_id, "status": 2})
    assert (off["status"], off["key"], off["name"], off["multi_key_mode"]) == (2, "", "partial", None)
    assert abilities(new_gateway, channel_id) == [("default", "a", 0, 5)]
    kept = new_gateway.ok(
        "PUT", "/api/channel/", {"id": channel_id, "name": "", "models": "", "key": "", "priority": 0}
    )
    assert (kept["name"], kept["models"], kept["priority"], kept["status"]) == ("partial", "a", 0, 2)
    assert new_gateway.app.channels.by_id(channel_id)["key"] == "sk-partial"


def test_a_missing_channel_is_told_and_its_deletion_is_not(new_gateway: NewGateway) -> None:
    assert new_gateway.refused("PUT", "/api/channel/", {"id": 999, "status": 1}) == "record not found"
    assert new_gateway.refused("GET", "/api/channel/999") == "record not found"
    new_gateway.ok("DELETE", "/api/channel/999")


def test_pages_of_channels_begin_at_one_and_hold_at_most_100(new_gateway: NewGateway) -> None:
    made = [new_gateway.add_channel(f"page{number}", "p", URL, priority=number) for number in range(3)]
    page = new_gateway.ok("GET", "/api/channel/?p=1&page_size=200")
    assert (page["page"], page["page_size"]) == (1, 100)
    assert page["total"] == len(page["items"])
    assert sum(page["type_counts"].values()) == page["total"]
    assert {row["id"] for row in page["items"]} >= set(made)
    priorities = [row["priority"] for row in page["items"]]
    assert priorities == sorted(priorities, reverse=True)
    assert new_gateway.ok("GET", "/api/channel/?p=0")["page"] == 1
    assert len(new_gateway.ok("GET", "/api/channel/search?keyword=page&page_size=1000")["items"]) == 3


def test_several_keys_make_several_channels_or_one(new_gateway: NewGateway) -> None:
    channel = wrapped(name="batch", key="k1\nk2\n\nk3")["channel"]
    new_gateway.ok("POST", "/api/channel/", {"mode": "batch", "channel": channel})
    assert new_gateway.ok("GET", "/api/channel/search?keyword=batch")["total"] == 3
    one = {"mode": "multi_to_single", "multi_key_mode": "random", "channel": {**channel, "name": "multi"}}
    new_gateway.ok("POST", "/api/channel/", one)
    (row,) = new_gateway.ok("GET", "/api/channel/search?keyword=multi")["items"]
    assert (row["channel_info"]["is_multi_key"], row["channel_info"]["multi_key_size"]) == (True, 3)


def test_a_channels_key_cannot_be_read(new_gateway: NewGateway) -> None:
    answer = new_gateway.request("POST", "/api/channel/1/key", {})
    assert (answer.status_code, answer.json()["code"]) == (403, "VERIFICATION_REQUIRED")


def test_the_channel_info_of_the_schema_is_json(new_gateway: NewGateway) -> None:
    with sqlite3.connect(":memory:") as database:
        assert database.execute("SELECT json_valid(?)", (CHANNEL_INFO,)).fetchone() == (1,)


# --- tokens


def test_a_new_token_answers_nothing_and_is_listed_with_a_masked_key(new_gateway: NewGateway) -> None:
    """The trap: a reader that takes the list's key has a key with stars in it."""
    answer = new_gateway.api("POST", "/api/token/", {"name": "masked", "unlimited_quota": True})
    assert answer == {"message": "", "success": True}
    row = new_gateway.ok("GET", "/api/token/?p=1&page_size=1")["items"][0]
    assert row["name"] == "masked"
    assert (row["expired_time"], row["allow_ips"], row["group"], row["DeletedAt"]) == (-1, "", "", None)
    key = new_gateway.ok("POST", f"/api/token/{row['id']}/key")["key"]
    assert row["key"] == f"{key[:4]}**********{key[-4:]}"
    assert len(key) == 48
    answer = new_gateway.request("POST", "/api/token/batch/keys", {"ids": [row["id"], 9999]})
    assert answer.json()["data"] == {"keys": {str(row["id"]): key}}
    assert answer.headers["cache-control"].startswith("no-store")


@pytest.mark.parametrize("ids", [[], None, list(range(101))])
def test_a_batch_of_keys_has_limits(new_gateway: NewGateway, ids: list[int] | None) -> None:
    wanted = "Too many items in batch request, maximum is 100" if ids else "Invalid parameters"
    assert new_gateway.refused("POST", "/api/token/batch/keys", {"ids": ids}) == wanted


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "x" * 51}, "Token name is too long"),
        ({"remain_quota": -1}, "Quota value cannot be negative"),
        ({"remain_quota": 5 * 10**14 + 1}, "Quota value exceeds valid range, maximum is 500000000000000"),
    ],
)
def test_a_bad_token_is_refused(new_gateway: NewGateway, fields: dict[str, Any], message: str) -> None:
    token = new_gateway.new_token()
    assert new_gateway.refused("POST", "/api/token/", fields) == message
    assert new_gateway.refused("PUT", "/api/token/", {"id": token["id"], **fields}) == message


def test_put_of_a_token_replaces_all_or_the_status_alone(new_gateway: NewGateway) -> None:
    token = new_gateway.new_token(name="whole", model_limits_enabled=True, model_limits="a", allow_ips="10.0.0.0/8")
    row = new_gateway.ok("PUT", "/api/token/", {"id": token["id"], "name": "whole", "unlimited_quota": True})
    assert (row["model_limits_enabled"], row["model_limits"], row["allow_ips"]) == (False, "", None)
    assert "*" in row["key"]
    off = new_gateway.ok("PUT", "/api/token/?status_only=true", {"id": token["id"], "status": 2})
    assert (off["status"], off["name"]) == (2, "whole")
    assert new_gateway.refused("PUT", "/api/token/", {"id": 9999, "unlimited_quota": True}) == "record not found"


def test_an_expired_token_is_mended_in_two_calls(new_gateway: NewGateway) -> None:
    """By the row of before: the call that moves the time cannot enable the token, too."""
    token = new_gateway.new_token(expired_time=1_600_000_000)
    assert new_gateway.client.get("/v1/models", headers={"Authorization": f"Bearer {token['key']}"}).status_code == 401
    assert new_gateway.ok("GET", f"/api/token/{token['id']}")["status"] == 3
    mended = {"id": token["id"], "name": "t", "unlimited_quota": True, "expired_time": -1}
    both = new_gateway.refused("PUT", "/api/token/", {**mended, "status": 1})
    assert both.startswith("Token has expired and cannot be enabled.")
    new_gateway.ok("PUT", "/api/token/", mended)
    new_gateway.ok("PUT", "/api/token/?status_only=true", {"id": token["id"], "status": 1})
    assert new_gateway.ok("GET", f"/api/token/{token['id']}")["status"] == 1


def test_a_deleted_tokens_row_stays(new_gateway: NewGateway) -> None:
    token = new_gateway.new_token()
    new_gateway.ok("DELETE", f"/api/token/{token['id']}")
    assert new_gateway.refused("DELETE", f"/api/token/{token['id']}") == "record not found"
    (row,) = new_gateway.app.database.query("SELECT deleted_at FROM tokens WHERE id = ?", (token["id"],))
    assert row["deleted_at"].endswith("+00:00")
    ids = [row["id"] for row in new_gateway.ok("GET", "/api/token/?p=1&page_size=100")["items"]]
    assert token["id"] not in ids


def test_tokens_are_searched_by_their_whole_name(new_gateway: NewGateway) -> None:
    new_gateway.new_token(name="search-one")
    assert new_gateway.ok("GET", "/api/token/search?keyword=search")["total"] == 0
    assert new_gateway.ok("GET", "/api/token/search?keyword=search-one")["total"] == 1
    assert new_gateway.ok("GET", "/api/token/search?keyword=search%25")["total"] == 1
    refused = new_gateway.refused("GET", "/api/token/search?keyword=%25")
    assert refused == "使用模糊搜索时，关键词长度至少为 2 个字符"


def test_a_user_has_only_so_many_tokens(start_new: Callable[..., NewGateway]) -> None:
    gateway = start_new().set_up()
    gateway.new_token()
    gateway.set_option("token_setting.max_user_tokens", 1)
    assert gateway.refused("POST", "/api/token/", {"name": "over"}) == "已达到最大令牌数量限制 (1)"


# --- options


def test_options_are_scalars_and_unknown_ones_are_kept(new_gateway: NewGateway) -> None:
    for value, stored in ((True, "true"), (3, "3"), ("text", "text"), (1.5, "1.5")):
        new_gateway.set_option("my.own", value)
        listed = {row["key"]: row["value"] for row in new_gateway.ok("GET", "/api/option/")}
        assert listed["my.own"] == stored
    assert not {key for key in listed if key.endswith(("Token", "Secret", "Key", "secret", "api_key"))}
    assert listed["performance_setting.monitor_enabled"] == "true"
    assert "Theme" not in listed


@pytest.mark.parametrize(
    ("key", "value", "message", "is_stored"),
    [
        ("ModelRatio", "{x", "invalid character 'x' looking for beginning of object key string", True),
        ("ModelRatio", '{"a":"b"}', "json: cannot unmarshal string into Go value of type float64", True),
        ("GroupRatio", "x", "invalid character 'x' looking for beginning of value", False),
        ("GroupRatio", '{"default":-1}', "group ratio must be not less than 0: default", False),
        ("AutomaticRetryStatusCodes", "500-400", "invalid http status code rules: 500-400", False),
        ("AutomaticDisableStatusCodes", "x", "invalid http status code rules: x", False),
        ("theme.frontend", "x", "无效的主题值，可选值：default（新版前端）、classic（经典前端）", False),
        ("payment_setting.compliance_confirmed", True, "合规确认字段不允许通过通用设置接口修改", False),
        ("oidc.enabled", True, "无法启用 OIDC 登录，请先填入 OIDC Client Id 以及 OIDC Client Secret！", False),
    ],
)
def test_a_bad_option_is_refused(
    new_gateway: NewGateway, key: str, value: object, message: str, is_stored: bool
) -> None:
    assert new_gateway.refused("PUT", "/api/option/", {"key": key, "value": value}) == message
    listed = {row["key"]: row["value"] for row in new_gateway.ok("GET", "/api/option/")}
    assert (listed.get(key) == value) is is_stored
    new_gateway.set_option("ModelRatio", "{}")


def test_rewards_need_the_compliance_that_nobody_confirms_here(new_gateway: NewGateway) -> None:
    refused = new_gateway.refused("PUT", "/api/option/", {"key": "QuotaForInviter", "value": 5})
    assert refused.startswith("Payment, redemption, subscription")


def test_an_option_without_a_body_is_told_with_400(new_gateway: NewGateway) -> None:
    headers = {"Authorization": new_gateway.access_token, "New-Api-User": "1"}
    answer = new_gateway.client.put("/api/option/", content=b"{", headers=headers)
    assert (answer.status_code, answer.json()) == (400, {"message": "无效的参数", "success": False})


# --- logs


def test_each_write_of_an_admin_is_logged(new_gateway: NewGateway) -> None:
    new_gateway.set_option("my.logged", "x")
    (row,) = new_gateway.ok("GET", "/api/log/?type=3&page_size=1")["items"]
    assert (row["content"], row["username"]) == ("Updated system setting my.logged", "root")
    assert new_gateway.ok("GET", "/api/log/?type=7&page_size=1")["items"][0]["content"].startswith("Logged in")
