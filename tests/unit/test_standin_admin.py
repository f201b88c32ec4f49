"""The lab's stand-in for One API: channels, tokens, options and logs."""

from __future__ import annotations

import time
from typing import Any

import pytest
from standin_kit import RELAY_KEY, Gateway, Upstream, wait_for

pytest_plugins = ["standin_fixtures"]

URL = "http://127.0.0.1:9"


def search(gateway: Gateway, name: str) -> list[dict[str, Any]]:
    return list(gateway.ok("GET", f"/api/channel/search?keyword={name}"))


def abilities(gateway: Gateway, channel_id: int) -> list[tuple[Any, ...]]:
    rows = gateway.app.database.query(
        "SELECT `group`, model, enabled, priority FROM abilities WHERE channel_id = ? ORDER BY 1, 2",
        (channel_id,),
    )
    return [tuple(row) for row in rows]


# --- channels


def test_channel_answers_no_id_and_shows_no_key(gateway: Gateway) -> None:
    body = {"type": 1, "key": "sk-1", "name": "blind", "models": "m", "base_url": URL}
    assert gateway.api("POST", "/api/channel/", body) == {"message": "", "success": True}
    (found,) = search(gateway, "blind")
    shown = [found, gateway.ok("GET", f"/api/channel/{found['id']}")]
    shown += [row for row in gateway.ok("GET", "/api/channel/?p=0") if row["id"] == found["id"]]
    assert [row["key"] for row in shown] == ["", "", ""]
    assert (found["status"], found["group"], found["priority"]) == (1, "default", 0)


def test_names_are_not_unique_and_keys_split_at_newlines(gateway: Gateway) -> None:
    gateway.add_channel("twin", "m", URL, key="k1\nk2\n\nk3")
    assert len(search(gateway, "twin")) == 3


def test_empty_key_is_refused(gateway: Gateway) -> None:
    answer = gateway.api("POST", "/api/channel/", {"type": 1, "key": "", "name": "no-key"})
    assert (answer["success"], answer["message"]) == (False, "empty slice found")


def test_wrong_type_is_refused(gateway: Gateway) -> None:
    answer = gateway.api("POST", "/api/channel/", {"type": "1", "key": "k"})
    assert not answer["success"]
    assert "Channel.type of type int" in answer["message"]


def test_put_skips_zero_fields_and_answers_with_the_key(gateway: Gateway) -> None:
    channel_id = gateway.add_channel("skip", "a,b", URL, priority=5)
    zeros = {"key": "", "models": "", "group": "", "config": "", "status": 0, "name": ""}
    row = gateway.ok("PUT", "/api/channel/", {"id": channel_id, **zeros})
    assert (row["key"], row["models"], row["name"]) == ("sk-skip", "a,b", "skip")
    assert (row["group"], row["status"], row["priority"]) == ("default", 1, 5)


def test_put_sets_pointer_fields_to_zero(gateway: Gateway) -> None:
    channel_id = gateway.add_channel("ptr", "m", URL, priority=5, model_mapping='{"m":"n"}')
    zeros = {"base_url": "", "model_mapping": "", "priority": 0}
    row = gateway.ok("PUT", "/api/channel/", {"id": channel_id, **zeros})
    assert (row["base_url"], row["model_mapping"], row["priority"]) == ("", "", 0)


def test_put_of_the_id_alone_changes_nothing(gateway: Gateway) -> None:
    channel_id = gateway.add_channel("alone", "m", URL)
    before = gateway.ok("GET", f"/api/channel/{channel_id}")
    row = gateway.ok("PUT", "/api/channel/", {"id": channel_id})
    assert row == {**before, "key": "sk-alone"}


def test_abilities_follow_the_channel(gateway: Gateway) -> None:
    channel_id = gateway.add_channel("follow", "a, b", URL, group="default,vip", priority=2)
    assert abilities(gateway, channel_id) == [
        ("default", " b", 1, 2),
        ("default", "a", 1, 2),
        ("vip", " b", 1, 2),
        ("vip", "a", 1, 2),
    ]
    gateway.ok("PUT", "/api/channel/", {"id": channel_id, "models": "c", "group": "default"})
    assert abilities(gateway, channel_id) == [("default", "c", 1, 2)]
    gateway.ok("PUT", "/api/channel/", {"id": channel_id, "status": 2})
    assert abilities(gateway, channel_id) == [("default", "c", 0, 2)]
    gateway.ok("DELETE", f"/api/channel/{channel_id}")
    assert abilities(gateway, channel_id) == []


def test_repeated_group_breaks_after_the_row_exists(gateway: Gateway) -> None:
    body = {"type": 1, "key": "k", "name": "twice", "models": "m", "group": "g,g"}
    answer = gateway.api("POST", "/api/channel/", body)
    assert not answer["success"]
    assert "UNIQUE constraint failed: abilities" in answer["message"]
    assert len(search(gateway, "twice")) == 1


def test_missing_channel(gateway: Gateway) -> None:
    answer = gateway.api("GET", "/api/channel/99999")
    assert answer == {"message": "record not found", "success": False}
    assert gateway.api("DELETE", "/api/channel/99999")["success"]


def test_delete_disabled_leaves_abilities(gateway: Gateway) -> None:
    channel_id = gateway.add_channel("off", "m", URL, status=2)
    assert gateway.ok("DELETE", "/api/channel/disabled") >= 1
    assert search(gateway, "off") == []
    assert abilities(gateway, channel_id) == [("default", "m", 0, 0)]


def test_search_is_by_prefix_or_id_and_an_empty_one_finds_all(gateway: Gateway) -> None:
    gateway.add_channel("another", "m", URL)
    channel_id = gateway.add_channel("prefix-one", "m", URL)
    assert [row["id"] for row in search(gateway, "prefix-")] == [channel_id]
    assert search(gateway, "one") == []
    assert [row["id"] for row in search(gateway, str(channel_id))] == [channel_id]
    (count,) = gateway.app.database.query("SELECT count(*) FROM channels")[0]
    assert len(search(gateway, "")) == count > 1
    assert len(search(gateway, "%25")) == len(search(gateway, ""))


def test_pages_are_zero_based_tens_newest_first(gateway: Gateway) -> None:
    for number in range(11):
        gateway.add_channel(f"page{number}", "m", URL)
    pages = [gateway.ok("GET", f"/api/channel/?p={p}") for p in range(9)]
    ids = [row["id"] for page in pages for row in page]
    assert len(pages[0]) == 10
    assert pages[0] == gateway.ok("GET", "/api/channel/")
    assert ids == sorted(ids, reverse=True)
    assert len(ids) == len(search(gateway, ""))


def test_channel_test_is_a_chat_with_top_level_fields(gateway: Gateway, upstream: Upstream) -> None:
    channel_id = gateway.add_channel("probe", "first,second", upstream.url)
    answer = gateway.api("GET", f"/api/channel/test/{channel_id}?model=absent")
    assert answer.keys() == {"success", "message", "time", "model"}
    assert (answer["success"], answer["message"], answer["model"]) == (True, "", "absent")
    path, headers, body = upstream.requests[-1]
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer sk-probe"
    assert b'"first"' in body


def test_channel_test_fails_with_the_upstreams_words(gateway: Gateway, upstream: Upstream) -> None:
    upstream.replies["embed"] = (400, "application/json", b'{"error":{"message":"no chat"}}')
    channel_id = gateway.add_channel("embed-only", "embed", upstream.url)
    answer = gateway.api("GET", f"/api/channel/test/{channel_id}")
    assert (answer["success"], answer["time"]) == (False, 0)
    assert answer["message"] == "status code 400: no chat"


# --- tokens


def test_token_row_has_id_and_a_key_of_48(gateway: Gateway) -> None:
    row = gateway.ok("POST", "/api/token/", {"name": "mine", "key": "chosen", "remain_quota": 5})
    assert row["id"] > 0
    assert len(row["key"]) == 48
    assert "-" not in row["key"]
    assert (row["expired_time"], row["remain_quota"], row["unlimited_quota"]) == (-1, 5, False)
    assert (row["models"], row["subnet"], row["status"]) == (None, "", 1)
    assert gateway.ok("GET", "/api/token/search?keyword=mine")[0]["key"] == row["key"]


@pytest.mark.parametrize("name, accepted", [("密" * 10, True), ("密" * 10 + "x", False)])
def test_token_name_has_30_bytes(gateway: Gateway, name: str, accepted: bool) -> None:
    assert gateway.api("POST", "/api/token/", {"name": name})["success"] is accepted


def test_token_subnet_must_be_a_cidr(gateway: Gateway) -> None:
    assert not gateway.api("POST", "/api/token/", {"name": "s", "subnet": "100.64.0.1"})["success"]
    gateway.ok("POST", "/api/token/", {"name": "s", "subnet": "100.64.0.0/10, 10.0.0.0/8"})


def test_put_token_overwrites_with_what_is_not_sent(gateway: Gateway) -> None:
    row = gateway.ok("POST", "/api/token/", {"name": "wide", "unlimited_quota": True, "models": "m"})
    gateway.ok("PUT", "/api/token/", {"id": row["id"], "name": "narrow", "key": "other"})
    after = gateway.ok("GET", f"/api/token/{row['id']}")
    assert (after["name"], after["expired_time"], after["models"]) == ("narrow", 0, None)
    assert (after["unlimited_quota"], after["remain_quota"]) == (False, 0)
    assert after["key"] == row["key"]


def test_status_only_changes_the_status_and_nothing_else_does(gateway: Gateway) -> None:
    row = gateway.ok("POST", "/api/token/", {"name": "switch", "unlimited_quota": True})
    gateway.ok("PUT", "/api/token/?status_only=1", {"id": row["id"], "status": 2})
    off = gateway.ok("GET", f"/api/token/{row['id']}")
    assert off == {**row, "status": 2}
    gateway.ok("PUT", "/api/token/", {**row, "status": 1})
    assert gateway.ok("GET", f"/api/token/{row['id']}")["status"] == 2


def test_tokens_are_their_owners_alone(gateway: Gateway) -> None:
    other = gateway.add_user("other")["access_token"]
    assert [row["name"] for row in gateway.ok("GET", "/api/token/", token=other)] == ["default"]
    assert not gateway.api("GET", "/api/token/1", token=other)["success"]
    assert not gateway.api("DELETE", "/api/token/1", token=other)["success"]


def test_delete_of_an_absent_token_fails(gateway: Gateway) -> None:
    row = gateway.ok("POST", "/api/token/", {"name": "gone"})
    gateway.ok("DELETE", f"/api/token/{row['id']}")
    assert not gateway.api("DELETE", f"/api/token/{row['id']}")["success"]


# --- options, logs, lists


def test_options_hide_secrets_and_keep_unknown_keys(gateway: Gateway) -> None:
    gateway.ok("PUT", "/api/option/", {"key": "Ours", "value": "1"})
    gateway.ok("PUT", "/api/option/", {"key": "SMTPToken", "value": "hush"})
    options = {row["key"]: row["value"] for row in gateway.ok("GET", "/api/option/")}
    assert options["Ours"] == "1"
    assert options["RegisterEnabled"] == "true"
    assert not [key for key in options if key.endswith(("Token", "Secret"))]


def test_option_with_a_bad_body_is_400(gateway: Gateway) -> None:
    headers = {"Authorization": "a" * 32}
    for bad in ({"content": b"{"}, {"json": {"key": "X", "value": False}}):
        answer = gateway.client.put("/api/option/", headers=headers, **bad)
        assert (answer.status_code, answer.json()["success"]) == (400, False)


def test_log_rows_come_after_the_answer(gateway: Gateway, upstream: Upstream) -> None:
    channel_id = gateway.add_channel("logged", "log-model", upstream.url)
    assert gateway.chat("log-model").status_code == 200
    path = "/api/log/?type=2&token_name=Initial%20Root%20Token&model_name=log-model"
    (row,) = wait_for(lambda: gateway.ok("GET", path))
    assert (row["channel"], row["username"], row["quota"]) == (channel_id, "root", 150)
    assert (row["prompt_tokens"], row["completion_tokens"]) == (3, 2)
    assert gateway.ok("GET", "/api/log/stat?model_name=log-model") == {"quota": 150}
    assert gateway.ok("GET", "/api/log/self?model_name=log-model")[0]["id"] == 0


def test_logs_are_deleted_up_to_a_time(gateway: Gateway) -> None:
    assert not gateway.api("DELETE", "/api/log/")["success"]
    gateway.ok("POST", "/api/topup", {"user_id": 1, "quota": 1, "remark": "r"})
    assert gateway.ok("GET", "/api/log/?type=1")[0]["content"] == "r"
    assert gateway.ok("DELETE", f"/api/log/?target_timestamp={int(time.time()) + 9}") >= 1
    assert gateway.ok("GET", "/api/log/") == []


def test_lists(gateway: Gateway) -> None:
    assert "default" in gateway.ok("GET", "/api/group/")
    assert "1" in gateway.ok("GET", "/api/models")
    assert gateway.api("GET", "/api/channel/models")["object"] == "list"
    gateway.add_channel("listed", "listed-model", URL)
    assert "listed-model" in gateway.ok("GET", "/api/user/available_models")


def test_what_the_stand_in_does_not_build_says_so(gateway: Gateway) -> None:
    answer = gateway.client.get("/api/redemption/", headers={"Authorization": RELAY_KEY})
    assert answer.status_code == 501
    assert "stand-in" in answer.json()["message"]


def test_ratios_have_to_be_numbers(gateway: Gateway) -> None:
    """Stored even so: what One API then makes of it, it makes of the whole text."""
    for text, problem in (
        ('{"a":"x"}', "json: cannot unmarshal string into Go value of type float64"),
        ("[1]", "json: cannot unmarshal array into Go value of type map[string]float64"),
        ('{"a":null}', ""),
    ):
        answer = gateway.api("PUT", "/api/option/", {"key": "CompletionRatio", "value": text})
        assert (answer["message"], answer["success"]) == (problem, not problem)


def test_a_switch_that_needs_another_option_first(gateway: Gateway) -> None:
    on = {"key": "TurnstileCheckEnabled", "value": "true"}
    assert "Turnstile" in gateway.api("PUT", "/api/option/", on)["message"]
    gateway.ok("PUT", "/api/option/", {"key": "TurnstileSiteKey", "value": "site"})
    gateway.ok("PUT", "/api/option/", on)
    gateway.ok("PUT", "/api/option/", {**on, "value": "false"})


def test_a_weight_below_zero_is_refused(gateway: Gateway) -> None:
    answer = gateway.api("PUT", "/api/channel/", {"id": 1, "weight": -1})
    problem = "json: cannot unmarshal number -1 into Go struct field Channel.weight of type uint"
    assert (answer["message"], answer["success"]) == (problem, False)
