"""The lab's stand-in for new-api: the relay, its errors and what it charges; each seen on v1.0.0-rc.15."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from standin_kit import Upstream
from standin_newapi_kit import NewGateway, new_error_of

pytest_plugins = ["standin_fixtures", "standin_newapi_fixtures"]

CHAT, EMBEDDINGS = "/v1/chat/completions", "/v1/embeddings"
USER = {"role": "user", "content": "hi"}


@pytest.fixture(scope="module", autouse=True)
def replies(upstream: Upstream) -> Iterator[None]:
    """An upstream that fails in every way."""
    error = {"error": {"message": "see https://api.example.com/keys/1", "type": "auth", "code": "invalid_api_key"}}
    upstream.replies |= {
        "err401": (401, "application/json", json.dumps(error).encode()),
        "err429": (429, "application/json", b'{"error":{"message":"slow down","type":"rate_limit","code":null}}'),
        "html": (502, "text/html", b"<h1>bad gateway</h1>"),
        "words": (400, "application/json", b'{"message":"plain words"}'),
        "err200": (200, "application/json", b'{"error":{"message":"inner","type":"t","code":"c"}}'),
        "empty": (200, "application/json", b'{"usage":{"prompt_tokens":1,"completion_tokens":2},"base_resp":{"x":1}}'),
        "text": (200, "application/json", b"hello"),
    }
    yield


@pytest.fixture(scope="module")
def key(new_gateway: NewGateway, upstream: Upstream) -> str:
    """An unlimited token, beside a channel that serves everything."""
    models = f"chat,emb,asked,{','.join(upstream.replies)}"
    new_gateway.add_channel("one", models, upstream.url, model_mapping='{"asked":"called"}')
    return new_gateway.new_key(name="main")


def sent(upstream: Upstream) -> Any:
    return json.loads(upstream.requests[-1][2])


def last_log(gateway: NewGateway) -> dict[str, Any]:
    return dict(gateway.ok("GET", "/api/log/?type=2&page_size=1")["items"][0])


# --- what goes through


def test_a_chat_goes_through_and_is_charged(new_gateway: NewGateway, upstream: Upstream, key: str) -> None:
    before = new_gateway.ok("GET", "/api/user/self")["quota"]
    answer = new_gateway.chat("chat", key)
    assert answer.json()["choices"][0]["message"]["content"] == "hello"
    assert answer.headers["x-upstream"] == "seen"
    row = last_log(new_gateway)
    assert (row["token_name"], row["model_name"], row["channel_name"], row["is_stream"]) == (
        "main",
        "chat",
        "one",
        False,
    )
    # In self-use mode a token of a model without a price costs 37.5.
    assert (row["quota"], row["prompt_tokens"], row["completion_tokens"], row["content"]) == (188, 3, 2, "")
    assert row["request_id"] == answer.headers["x-oneapi-request-id"]
    assert json.loads(row["other"])["model_ratio"] == 37.5
    assert new_gateway.ok("GET", "/api/user/self")["quota"] == before - 188
    token = new_gateway.ok("GET", f"/api/token/{row['token_id']}")
    assert token["remain_quota"] == -token["used_quota"] == -188


def test_the_body_is_written_anew_from_known_fields(new_gateway: NewGateway, upstream: Upstream, key: str) -> None:
    dropped = {"thinking_budget": 5, "repetition_penalty": 1.1, "min_p": 0.1, "guided_json": {}, "unknown": 1}
    removed = {"service_tier": "x", "safety_identifier": "s"}
    kept = {"enable_thinking": False, "top_k": 3, "seed": 0, "temperature": 0, "metadata": {"b": 1, "a": 2}}
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    strict = {**tool, "function": {**tool["function"], "strict": True}}  # type: ignore[dict-item]
    body = {"model": "asked", "messages": [USER], "tools": [strict], **dropped, **removed, **kept}
    assert new_gateway.relay(CHAT, body, key).status_code == 200
    assert sent(upstream) == {"model": "called", "messages": [USER], "tools": [tool], **kept}
    headers = upstream.requests[-1][1]
    assert headers["Authorization"] == "Bearer sk-one"
    assert "Transfer-Encoding" not in headers


def test_pass_through_sends_the_callers_bytes_but_for_embeddings(
    new_gateway: NewGateway, upstream: Upstream, key: str
) -> None:
    channel_id = new_gateway.add_channel(
        "through", "raw", upstream.url, setting='{"pass_through_body_enabled":true}', model_mapping='{"raw":"called"}'
    )
    body = {"model": "raw", "messages": [USER], "thinking_budget": 5}
    new_gateway.relay(CHAT, body, key)
    assert sent(upstream) == body, "not mapped, either"
    new_gateway.relay(EMBEDDINGS, {"model": "raw", "input": "x", "unknown": 1}, key)
    assert sent(upstream) == {"model": "called", "input": "x"}
    anthropic = {"model": "raw", "messages": [USER], "unknown": 1}
    new_gateway.relay("/v1/messages", anthropic, key)
    assert (upstream.requests[-1][0], sent(upstream)) == (CHAT, anthropic), "which is not what the path is for"
    new_gateway.ok("DELETE", f"/api/channel/{channel_id}")


def test_a_stream_ends_with_usage_unless_it_was_refused(new_gateway: NewGateway, upstream: Upstream, key: str) -> None:
    answer = new_gateway.chat("chat", key, stream=True)
    assert sent(upstream)["stream_options"] == {"include_usage": True}
    events = answer.text.split("\n\n")[:-1]
    assert events[-1] == "data: [DONE]"
    assert '"usage": {"prompt_tokens": 3' in events[-2]
    less = new_gateway.chat("chat", key, stream=True, stream_options={"include_usage": False})
    assert less.text.split("\n\n")[:-1] == [*events[:-2], "data: [DONE]"]
    row = last_log(new_gateway)
    assert (row["is_stream"], row["prompt_tokens"], row["completion_tokens"]) == (True, 3, 2)


def test_embeddings_keep_what_they_know(new_gateway: NewGateway, upstream: Upstream, key: str) -> None:
    body = {"model": "emb", "input": ["a"], "dimensions": 2, "encoding_format": "float", "user": "u"}
    assert new_gateway.relay(EMBEDDINGS, {**body, "unknown": 1}, key).status_code == 200
    assert sent(upstream) == body


def test_responses_and_messages_are_served(new_gateway: NewGateway, upstream: Upstream, key: str) -> None:
    new_gateway.relay("/v1/responses", {"model": "chat", "input": "hi", "unknown": 1}, key)
    assert (upstream.requests[-1][0], sent(upstream)) == ("/v1/responses", {"model": "chat", "input": "hi"})
    body = {"model": "chat", "max_tokens": 10, "system": "be kind", "messages": [USER]}
    answer = new_gateway.client.post("/v1/messages", json=body, headers={"x-api-key": f"sk-{key}"})
    wanted = {"model": "chat", "messages": [{"role": "system", "content": "be kind"}, USER], "max_tokens": 10}
    assert (upstream.requests[-1][0], sent(upstream)) == (CHAT, wanted)
    message = answer.json()
    assert (message["type"], message["content"]) == ("message", [{"type": "text", "text": "hello"}])
    assert (message["usage"]["input_tokens"], message["usage"]["output_tokens"]) == (3, 2)


def test_a_stream_of_messages_has_anthropics_events(new_gateway: NewGateway, upstream: Upstream, key: str) -> None:
    body = {"model": "chat", "max_tokens": 10, "messages": [USER], "stream": True}
    answer = new_gateway.relay("/v1/messages", body, key)
    kinds = [line.removeprefix("event: ") for line in answer.text.splitlines() if line.startswith("event: ")]
    assert kinds == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


def test_messages_of_tools_become_openais(new_gateway: NewGateway, upstream: Upstream, key: str) -> None:
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "a"}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "res"}]},
    ]
    tools = [{"name": "f", "description": "d", "input_schema": {"type": "object"}}]
    new_gateway.relay("/v1/messages", {"model": "chat", "messages": messages, "tools": tools}, key)
    call = {"id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    assert sent(upstream) == {
        "model": "chat",
        "messages": [
            messages[0],
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "content": "res", "name": "f", "tool_call_id": "t1"},
        ],
        "max_tokens": 8192,
        "tools": [
            {"type": "function", "function": {"description": "d", "name": "f", "parameters": {"type": "object"}}}
        ],
    }


@pytest.mark.parametrize(
    ("setting", "own", "expected"),
    [
        ({"system_prompt": "forced"}, None, "forced"),
        ({"system_prompt": "forced"}, "mine", "mine"),
        ({"system_prompt": "forced", "system_prompt_override": True}, "mine", "forced\nmine"),
    ],
)
def test_a_channels_system_prompt_goes_before_the_callers(
    new_gateway: NewGateway, upstream: Upstream, key: str, setting: dict[str, Any], own: str | None, expected: str
) -> None:
    channel_id = new_gateway.add_channel("prompt", "prompted", upstream.url, setting=json.dumps(setting))
    messages = [*([{"role": "system", "content": own}] if own else []), USER]
    new_gateway.relay(CHAT, {"model": "prompted", "messages": messages}, key)
    assert sent(upstream)["messages"] == [{"role": "system", "content": expected}, USER]
    new_gateway.ok("DELETE", f"/api/channel/{channel_id}")


@pytest.mark.parametrize(
    ("kind", "path", "wanted"),
    [
        (1, CHAT, CHAT),
        (17, CHAT, "/compatible-mode/v1/chat/completions"),
        (17, EMBEDDINGS, "/compatible-mode/v1/embeddings"),
        (35, CHAT, "/v1/text/chatcompletion_v2"),
        (45, CHAT, "/api/v3/chat/completions"),
        (26, CHAT, "/api/paas/v4/chat/completions"),
        (46, CHAT, "/v2/chat/completions"),
        (43, CHAT, CHAT),
        (77, CHAT, CHAT),
        (3, CHAT, "/openai/deployments/typed/chat/completions?api-version=2025-04-01-preview"),
        (8, CHAT, "/"),
    ],
)
def test_a_types_number_decides_the_path(
    new_gateway: NewGateway, upstream: Upstream, key: str, kind: int, path: str, wanted: str
) -> None:
    channel_id = new_gateway.add_channel("typed", "typed", upstream.url, type=kind)
    body = {"model": "typed", "input": "x"} if path == EMBEDDINGS else {"model": "typed", "messages": [USER]}
    answer = new_gateway.relay(path, body, key)
    assert answer.status_code == 200, answer.text
    assert upstream.requests[-1][0] == wanted
    new_gateway.ok("DELETE", f"/api/channel/{channel_id}")


@pytest.mark.parametrize(("kind", "code"), [(35, "do_request_failed"), (43, "convert_request_failed")])
def test_some_types_have_no_embeddings(
    new_gateway: NewGateway, upstream: Upstream, key: str, kind: int, code: str
) -> None:
    channel_id = new_gateway.add_channel("noemb", "noemb", upstream.url, type=kind)
    assert new_gateway.relay(EMBEDDINGS, {"model": "noemb", "input": "x"}, key).json()["error"]["code"] == code
    new_gateway.ok("DELETE", f"/api/channel/{channel_id}")


# --- who may call


def refusal(answer: httpx.Response, status: int) -> tuple[str, str]:
    """Code and text of a refusal, whose type is always new-api's own."""
    error = new_error_of(answer, status)
    assert error["type"] == "new_api_error"
    return error["code"], error["message"]


@pytest.mark.parametrize("change", [{"status": 2}, {"expired_time": 1_600_000_000}, {"remain_quota": 0}, None])
def test_of_a_token_that_cannot_be_used_the_same_is_said(
    new_gateway: NewGateway, key: str, change: dict[str, Any] | None
) -> None:
    if change is None:
        used = "wrong"
    else:
        limited = "remain_quota" in change
        token = new_gateway.new_token(**({"unlimited_quota": False, "remain_quota": 1} if limited else {}))
        used = token["key"]
        whole = {"id": token["id"], "name": "t", "expired_time": -1, "unlimited_quota": not limited}
        path = "/api/token/?status_only=true" if "status" in change else "/api/token/"
        new_gateway.ok("PUT", path, {**whole, **change})
    assert refusal(new_gateway.chat("chat", used), 401) == ("", "Invalid token")


def test_a_token_is_limited_to_models(new_gateway: NewGateway, key: str) -> None:
    limited = new_gateway.new_key(model_limits_enabled=True, model_limits="emb")
    assert refusal(new_gateway.chat("chat", limited), 403) == ("", "This token has no access to model chat")
    assert new_gateway.relay(EMBEDDINGS, {"model": "emb", "input": "x"}, limited).status_code == 200
    listed = new_gateway.client.get("/v1/models", headers={"Authorization": f"Bearer {limited}"}).json()
    assert ([row["id"] for row in listed["data"]], listed["success"]) == (["emb"], True)
    none = new_gateway.new_key(model_limits_enabled=True, model_limits="")
    assert new_gateway.chat("chat", none).status_code == 403


def test_a_suffix_leads_past_the_limits_of_a_token(new_gateway: NewGateway, upstream: Upstream, key: str) -> None:
    """Unlike One API, new-api looks at a token's models only where it chooses the channel itself."""
    channel_id = new_gateway.add_channel("limited", "chat", upstream.url)
    none = new_gateway.new_key(model_limits_enabled=True, model_limits="")
    assert new_gateway.chat("chat", f"{none}-{channel_id}").status_code == 200


def test_models_are_listed_in_anthropics_form_for_its_clients(new_gateway: NewGateway, key: str) -> None:
    limited = new_gateway.new_key(model_limits_enabled=True, model_limits="emb")
    headers = {"x-api-key": f"sk-{limited}", "anthropic-version": "2023-06-01"}
    row = {"id": "emb", "created_at": "2021-07-20T10:40:00Z", "display_name": "emb", "type": "model"}
    listed = {"data": [row], "first_id": "emb", "has_more": False, "last_id": "emb"}
    assert new_gateway.client.get("/v1/models", headers=headers).json() == listed


@pytest.mark.parametrize(
    ("ips", "status"),
    [
        ("", 200),
        ("127.0.0.1", 200),
        ("10.0.0.0/8\n127.0.0.0/8", 200),
        ("10.0.0.0/8", 403),
        ("10.0.0.0/8,127.0.0.1", 403),
    ],
)
def test_a_token_is_limited_to_networks_one_a_line(new_gateway: NewGateway, key: str, ips: str, status: int) -> None:
    answer = new_gateway.chat("chat", new_gateway.new_key(allow_ips=ips))
    assert answer.status_code == status
    if status == 403:
        assert refusal(answer, 403) == ("access_denied", "您的 IP 不在令牌允许访问的列表中")


def test_a_token_of_a_group_needs_that_group(new_gateway: NewGateway, key: str) -> None:
    assert new_gateway.chat("chat", new_gateway.new_key(group="default")).status_code == 200
    assert refusal(new_gateway.chat("chat", new_gateway.new_key(group="svip")), 403) == ("", "无权访问 svip 分组")
    code, message = refusal(new_gateway.chat("chat", new_gateway.new_key(group="vip")), 503)
    assert (code, message) == ("model_not_found", "No available channel for model chat under group vip (distributor)")


def test_a_suffix_names_a_channel_whatever_it_serves(new_gateway: NewGateway, upstream: Upstream, key: str) -> None:
    channel_id = new_gateway.add_channel("named", "other", upstream.url)
    assert new_gateway.chat("unserved", f"{key}-{channel_id}").status_code == 200
    for suffix in ("999", "x"):
        assert refusal(new_gateway.chat("chat", f"{key}-{suffix}"), 400) == ("", "Invalid channel ID")
    new_gateway.ok("PUT", "/api/channel/", {"id": channel_id, "status": 2})
    assert refusal(new_gateway.chat("chat", f"{key}-{channel_id}"), 403) == ("", "This channel has been disabled")
    assert refusal(new_gateway.chat("other", key), 503)[0] == "model_not_found"


# --- what fails


@pytest.mark.parametrize(
    ("model", "status", "error"),
    [
        (
            "err401",
            401,
            {"message": "see https://***.com/***/***", "type": "auth", "param": "", "code": "invalid_api_key"},
        ),
        ("err429", 429, {"message": "slow down", "type": "rate_limit", "param": "", "code": None}),
        (
            "html",
            502,
            {
                "message": "openai_error",
                "type": "bad_response_status_code",
                "param": "",
                "code": "bad_response_status_code",
            },
        ),
        (
            "words",
            400,
            {
                "message": "plain words",
                "type": "bad_response_status_code",
                "param": "",
                "code": "bad_response_status_code",
            },
        ),
        ("err200", 200, {"message": "inner", "type": "t", "param": "", "code": "c"}),
        (
            "text",
            500,
            {
                "message": "invalid character 'h' looking for beginning of value",
                "type": "bad_response_body",
                "param": "",
                "code": "bad_response_body",
            },
        ),
    ],
)
def test_an_upstreams_failure_is_passed_on_without_addresses(
    new_gateway: NewGateway, key: str, model: str, status: int, error: dict[str, Any]
) -> None:
    answer = new_gateway.chat(model, key)
    assert (answer.status_code, answer.json()) == (status, {"error": error})


def test_an_answer_without_choices_is_passed_on(new_gateway: NewGateway, key: str) -> None:
    assert new_gateway.chat("empty", key).json()["base_resp"] == {"x": 1}


def test_an_upstream_that_is_not_there(new_gateway: NewGateway, key: str) -> None:
    new_gateway.add_channel("dead", "dead", "http://127.0.0.1:9")
    answer = refusal(new_gateway.chat("dead", key), 500)
    assert answer == ("do_request_failed", "upstream error: do request failed")


@pytest.mark.parametrize(
    ("body", "status", "code", "message"),
    [
        ({"model": "chat", "messages": []}, 500, "invalid_request", "field messages is required"),
        ({"model": ""}, 400, "", "Model name not specified, model name cannot be empty"),
        ({"model": 5}, 400, "", "Invalid request: Invalid request: field model must be a string"),
        (
            {"model": "chat", "messages": [USER], "max_tokens": -1},
            500,
            "invalid_request",
            "json: cannot unmarshal number -1 into Go struct field GeneralOpenAIRequest.max_tokens of type uint",
        ),
        (
            {"model": "chat", "messages": "x"},
            500,
            "invalid_request",
            "json: cannot unmarshal string into Go struct field ***.messages of type []***.Message",
        ),
    ],
)
def test_a_bad_request_is_refused(
    new_gateway: NewGateway, key: str, body: dict[str, Any], status: int, code: str, message: str
) -> None:
    assert refusal(new_gateway.relay(CHAT, body, key), status) == (code, message)


def test_a_failure_of_messages_is_anthropics(new_gateway: NewGateway, key: str) -> None:
    answer = new_gateway.relay("/v1/messages", {"model": "err429", "max_tokens": 1, "messages": [USER]}, key)
    assert answer.status_code == 429
    request_id = answer.headers["x-oneapi-request-id"]
    error = {"type": "<nil>", "message": f"slow down (request id: {request_id})"}
    assert answer.json() == {"error": error, "type": "error"}


def test_retries_go_down_the_priorities(new_gateway: NewGateway, upstream: Upstream, key: str) -> None:
    new_gateway.add_channel("first", "again", "http://127.0.0.1:9", priority=9)
    channel_id = new_gateway.add_channel("second", "again", upstream.url, priority=5)
    assert new_gateway.chat("again", key).status_code == 500
    new_gateway.set_option("RetryTimes", 2)
    assert new_gateway.chat("again", key).status_code == 200
    assert json.loads(last_log(new_gateway)["other"])["admin_info"]["use_channel"][-1] == str(channel_id)
    before = len(upstream.requests)
    assert new_gateway.chat("err401", key).status_code == 401
    assert len(upstream.requests) == before + 3, "a wrong key of a provider is tried again, too"
    new_gateway.set_option("RetryTimes", 0)


# --- prices and wallets


def test_a_model_without_a_price_is_refused_and_not_listed(
    start_new: Callable[..., NewGateway], upstream: Upstream
) -> None:
    gateway = start_new().set_up()
    gateway.add_channel("one", "chat,emb", upstream.url)
    key = gateway.new_key()
    code, message = refusal(gateway.chat("chat", key), 400)
    assert code == "model_price_error"
    assert "Model chat price not configured." in message
    headers = {"Authorization": f"Bearer {key}"}
    assert gateway.client.get("/v1/models", headers=headers).json()["data"] == []
    probed = gateway.api("GET", "/api/channel/test/1?model=chat")
    assert (probed["success"], probed["error_code"]) == (False, "model_price_error")
    gateway.set_option("ModelRatio", '{"chat":2}')
    gateway.set_option("ModelPrice", '{"emb":0.01}')
    assert gateway.chat("chat", key).status_code == 200
    assert last_log(gateway)["quota"] == 10
    assert gateway.relay(EMBEDDINGS, {"model": "emb", "input": "x"}, key).status_code == 200
    assert [row["id"] for row in gateway.client.get("/v1/models", headers=headers).json()["data"]] == ["chat", "emb"]


def test_an_empty_wallet_stops_every_token(start_new: Callable[..., NewGateway], upstream: Upstream) -> None:
    gateway = start_new().set_up(SelfUseModeEnabled=True)
    gateway.add_channel("one", "chat", upstream.url)
    key = gateway.new_key()
    wallet = {"id": 1, "action": "add_quota", "mode": "override"}
    gateway.ok("POST", "/api/user/manage", {**wallet, "value": 0})
    answer = refusal(gateway.chat("chat", key), 403)
    assert answer == ("insufficient_user_quota", "用户额度不足, 剩余额度: ＄0.000000")
    gateway.ok("POST", "/api/user/manage", {**wallet, "value": 10})
    code, message = refusal(gateway.chat("chat", key), 403)
    assert code == "insufficient_user_quota"
    assert message.startswith("预扣费额度失败, 用户剩余额度: ＄0.000020, 需要预扣费额度: ")
    gateway.ok("POST", "/api/user/manage", {**wallet, "value": 10**9})
    small = gateway.new_key(unlimited_quota=False, remain_quota=1000)
    code, message = refusal(gateway.chat("chat", small), 403)
    assert code == "pre_consume_token_quota_failed"
    assert message == "token quota is not enough, token remain quota: ＄0.002000, need quota: ＄0.037500"
    assert gateway.ok("GET", "/api/user/self")["quota"] == 10**9


def test_what_was_taken_beforehand_is_given_back(start_new: Callable[..., NewGateway]) -> None:
    gateway = start_new().set_up(SelfUseModeEnabled=True)
    gateway.add_channel("dead", "dead", "http://127.0.0.1:9")
    token = gateway.new_token(unlimited_quota=False, remain_quota=100_000)
    assert gateway.chat("dead", token["key"]).status_code == 500
    assert gateway.ok("GET", f"/api/token/{token['id']}")["remain_quota"] == 100_000


def test_what_a_locked_database_refuses_is_lost_and_the_answer_is_not(
    start_new: Callable[..., NewGateway], upstream: Upstream
) -> None:
    gateway = start_new(SQLITE_PATH="one-api.db?_pragma=busy_timeout(50)").set_up(SelfUseModeEnabled=True)
    gateway.add_channel("one", "chat", upstream.url)
    token = gateway.new_token()
    other = sqlite3.connect(gateway.directory / "one-api.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert gateway.chat("chat", token["key"]).status_code == 200
    other.execute("ROLLBACK")
    other.close()
    assert gateway.ok("GET", f"/api/token/{token['id']}")["used_quota"] == 0
    assert gateway.ok("GET", "/api/log/?type=2")["total"] == 0


def test_a_busy_host_refuses_everybody_until_told_not_to(start_new: Callable[..., NewGateway]) -> None:
    gateway = start_new(STANDIN_OVERLOADED="cpu").set_up()
    answer = gateway.client.get("/v1/models")
    assert refusal(answer, 503) == (
        "system_cpu_overloaded",
        "system cpu overloaded (current: 99.9%, threshold: 90%)",
    )
    gateway.set_option("performance_setting.monitor_enabled", False)
    assert gateway.client.get("/v1/models").status_code == 401


# --- the rest


def test_a_channel_is_probed(new_gateway: NewGateway, upstream: Upstream, key: str) -> None:
    (row,) = new_gateway.ok("GET", "/api/channel/search?keyword=one&model=chat")["items"]
    answer = new_gateway.api("GET", f"/api/channel/test/{row['id']}?model=chat")
    assert answer.keys() == {"message", "success", "time"}
    assert sent(upstream) == {"model": "chat", "messages": [USER], "stream": False, "max_tokens": 16}
    log = last_log(new_gateway)
    assert (log["token_name"], log["content"], log["token_id"], log["quota"]) == ("模型测试", "模型测试", 0, 188)
    failed = new_gateway.api("GET", f"/api/channel/test/{row['id']}?model=err429")
    assert (failed["success"], failed["time"], failed["error_code"]) == (False, 0, "unknown_error")
    assert failed["message"].startswith("bad response status code 429, message: slow down, body: {")


def test_a_token_can_ask_for_its_own_usage(new_gateway: NewGateway, key: str) -> None:
    own = new_gateway.new_key(name="own")
    new_gateway.chat("chat", own)
    data = new_gateway.client.get("/api/usage/token/", headers={"Authorization": f"Bearer sk-{own}"}).json()["data"]
    assert (data["name"], data["total_used"], data["unlimited_quota"]) == ("own", 188, True)


def test_a_served_model_is_unknown_to_the_list_of_names(new_gateway: NewGateway, key: str) -> None:
    answer = new_gateway.client.get("/v1/models/chat", headers={"Authorization": f"Bearer {key}"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (200, "model_not_found")
