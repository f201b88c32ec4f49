"""Which link of the chain is broken: each failure names it, and the fix."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from llm_client import LLMConnectionError, LLMError, LLMProtocolError, LLMStatusError, LLMTimeoutError
from llm_gateway.contents import admin
from llm_gateway.contents.desired import VERIFICATION_TOKEN
from llm_gateway.hosts import remote, route
from llm_gateway.hosts.topology import Agent, Node, Role, Run
from llm_gateway.model.asking import VerificationError
from llm_gateway.parts import database
from llm_gateway.proof import broken_links, verification_keys
from llm_gateway.proof.broken_links import Path, explain
from llm_gateway.tasks import verification
from tests.unit import ways
from tests.unit.fake_hosts import FRESH, OPENCLAW
from tests.unit.fake_one_api import FakeOneAPI
from tests.unit.topology import GENERATED, make_agent, make_machine, make_node

KEY = "relay-key-of-tests".ljust(48, "0")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the person at the terminal reads."""
    lines: list[str] = []
    monkeypatch.setattr(remote, "tell", lambda host, text, *_: lines.append(text))
    monkeypatch.setattr(remote, "complain", lambda host, text: lines.append(text))
    return lines


def gateway(**chosen: Any) -> Node:
    """A gateway whose tokens are known."""
    made = make_node(**chosen)
    made.gateway.token_keys = {VERIFICATION_TOKEN: KEY}
    return made


def verify(made: Role) -> bool:
    """Whether a verification succeeds."""
    commands = verification._verify._inner(made.machine, "changed")  # type: ignore[attr-defined]
    return all(command.function(None, made.host) for command in commands)


def reach(monkeypatch: pytest.MonkeyPatch, answer: Any) -> list[httpx.Request]:
    """Let the way to the gateway end here: every request gets this answer."""
    seen: list[httpx.Request] = []

    def answered(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer(request) if callable(answer) else answer

    @contextmanager
    def to_here(*where: object) -> Iterator[httpx.BaseTransport]:
        yield httpx.MockTransport(answered)

    ways.lead_to(monkeypatch, to_here)
    return seen


def base_resp(code: int) -> dict[str, Any]:
    """What MiniMax answers in an HTTP 200 where it refuses."""
    return {"choices": None, "base_resp": {"status_code": code, "status_msg": "told"}}


def error(status: int, message: str, kind: str = "one_api_error") -> httpx.Response:
    """A refusal in the shape that One API gives."""
    return httpx.Response(status, json={"error": {"message": message, "type": kind, "code": "x"}})


def test_a_gateway_that_answers_is_verified(monkeypatch: pytest.MonkeyPatch, told: list[str]) -> None:
    one_api = FakeOneAPI(GENERATED.access_token)
    ways.lead_to(monkeypatch, one_api.route)
    made = gateway()
    assert verify(made)
    assert told[0].startswith("verified on http://100.64.0.10:3000: MiniMax-M2.5 completed in ")
    assert "text-embedding-v4 embedded (1024 dimensions) in " in told[0]


def test_it_asks_on_the_path_of_the_users(monkeypatch: pytest.MonkeyPatch, told: list[str]) -> None:
    one_api = FakeOneAPI(GENERATED.access_token)
    seen = reach(monkeypatch, one_api.transport.handler)
    run = Run()
    made = gateway(run=run, verification_timeout=7)
    key = "agent-key".ljust(48, "0")
    agent = agent_with(ways.environment(key), run)
    made.gateway.token_keys["agent1"] = key
    assert verify(agent), told
    assert told[0].startswith("verified on http://100.64.0.10:3000 from this host, with its .env: MiniMax-M2.5")
    assert {str(request.url) for request in seen} == {
        "http://100.64.0.10:3000/v1/chat/completions",
        "http://100.64.0.10:3000/v1/embeddings",
    }
    assert {request.headers["Authorization"] for request in seen} == {f"Bearer sk-{'agent-key'.ljust(48, '0')}"}


@pytest.mark.parametrize(
    ("answer", "link", "fix"),
    [
        pytest.param(
            httpx.ConnectError("[Errno 111] Connection refused"),
            "no TCP connection to http://100.64.0.10:3000",
            "`systemctl status openclaw-llm-gateway` on gw1, and `tailscale status` on both",
            id="no TCP",
        ),
        pytest.param(
            httpx.ReadTimeout("late"),
            "did not answer within 60 s: the upstream is slow or gone",
            "raise verification_timeout",
            id="time-out",
        ),
        pytest.param(
            httpx.Response(200, html="<!doctype html><title>nginx</title>"),
            "what answers on http://100.64.0.10:3000 is not a gateway",
            "nginx",
            id="not One API",
        ),
        pytest.param(
            error(401, "该令牌状态不可用"),
            "One API refuses the token of gw1",
            "enable it in the admin page, or delete it there and deploy again",
            id="bad token",
        ),
        pytest.param(
            error(503, "当前分组 default 下对于模型 MiniMax-M2.5 无可用渠道"),
            "no channel serves ",
            "deploy, which declares it, or enable the channel in the admin page",
            id="no channel",
        ),
        pytest.param(
            error(401, "Incorrect API key provided", "invalid_request_error"),
            "refuses the provider's key (401",
            "hand in the right one (",
            id="upstream key",
        ),
        pytest.param(
            error(403, "Access denied", "invalid_request_error"),
            "refuses the provider's key (403",
            "and deploy again",
            id="upstream forbids",
        ),
        *(
            pytest.param(httpx.Response(status, json=body), link, fix, id=f"{status} {number}")
            for number, (status, body, link, fix) in enumerate(
                [
                    (200, base_resp(2049), "refuses the key", "hand in the right one ("),
                    (200, base_resp(1004), "refuses the key", "hand in the right one ("),
                    (200, base_resp(1008), "its balance is used up", "top it up there"),
                    (200, base_resp(1002), "too much was asked at once", "try again"),
                    (200, base_resp(1039), "too much was asked at once", "try again"),
                    (200, base_resp(2013), "the upstream or the gateway answered 200", "told"),
                    (
                        200,
                        {"error": {"code": 402, "message": "credits"}},
                        "its balance is used up",
                        "credits",
                    ),
                    (
                        402,
                        {"error": {"message": "Insufficient Balance"}},
                        "its balance is used up",
                        "top it up",
                    ),
                    (
                        400,
                        {"error": {"code": "Arrearage", "message": "x"}},
                        "its balance is used up",
                        "top it up",
                    ),
                    (
                        429,
                        {"error": {"code": "insufficient_quota", "message": "x"}},
                        "its balance is used up",
                        "top it up",
                    ),
                    (429, {"error": {"message": "slow down", "type": "x"}}, "too much was asked at once", "slow down"),
                ]
            )
        ),
        pytest.param(
            error(400, "max_tokens is too small", "invalid_request_error"),
            "the upstream or the gateway answered 400",
            "max_tokens is too small",
            id="upstream refuses",
        ),
        pytest.param(
            httpx.Response(
                500, json={"error": {"message": "dial tcp: no such host", "type": "x", "code": "do_request_failed"}}
            ),
            "gw1 cannot reach the upstream of ",
            "check the channel's base_url, and DNS, proxy and firewall",
            id="upstream unreachable",
        ),
        pytest.param(
            httpx.Response(
                500,
                json={"error": {"message": "connect: no route to host", "type": "x", "code": "do_request_failed"}},
            ),
            "gw1 cannot reach the upstream of ",
            "gateway_private_upstreams if it is a private address",
            id="upstream behind our firewall",
        ),
        pytest.param(
            httpx.Response(200, json={"choices": [{"message": {"content": "  "}}], "data": [{"embedding": [0.1]}]}),
            "answered with an empty text",
            "set llm_model to another",
            id="empty answer",
        ),
    ],
)
def test_a_broken_link_is_named_with_its_fix(
    monkeypatch: pytest.MonkeyPatch, told: list[str], answer: Any, link: str, fix: str
) -> None:
    reach(monkeypatch, answer)
    assert not verify(gateway())
    (text,) = told
    assert text.startswith("verification failed: ")
    assert link in text
    assert fix in text
    assert KEY not in text


@pytest.mark.parametrize(
    ("vector", "link"),
    [
        (
            [0.5] * 576,
            "text-embedding-v4: HTTP 200 with a vector that must not be stored: it has 576 dimensions, not 1024",
        ),
        (
            [0.0] * 1024,
            "text-embedding-v4: HTTP 200 with a vector that must not be stored: all of its numbers are zero",
        ),
    ],
)
def test_a_wrong_vector_is_told(
    monkeypatch: pytest.MonkeyPatch, told: list[str], vector: list[float], link: str
) -> None:
    chat = {"choices": [{"message": {"content": "Blue."}}]}
    reach(monkeypatch, httpx.Response(200, json={**chat, "data": [{"index": 0, "embedding": vector}]}))
    assert not verify(gateway())
    assert told[0].startswith(f"verification failed: {link}")


def test_a_model_that_only_thinks_has_answered(monkeypatch: pytest.MonkeyPatch, told: list[str]) -> None:
    chat = {"choices": [{"message": {"content": "", "reasoning_content": "The sky is"}}]}
    data = [{"index": 0, "embedding": [0.5] * 1024}]
    reach(monkeypatch, httpx.Response(200, json={**chat, "data": data}))
    assert verify(gateway()), told


def test_no_way_to_the_gateway_is_told(monkeypatch: pytest.MonkeyPatch, told: list[str]) -> None:
    def no_route(*where: object) -> None:
        raise route.RouteError("nothing listens on 100.64.0.10:3000")

    ways.lead_to(monkeypatch, no_route)
    assert not verify(gateway())
    assert told[0].startswith("verification failed: no TCP connection to http://100.64.0.10:3000: nothing listens")
    assert "On gw1: `systemctl status openclaw-llm-gateway`" in told[0]


def test_an_unreached_gateway_is_told(told: list[str]) -> None:
    run = Run()
    made = gateway(run=run)
    agent = make_agent({**FRESH, **OPENCLAW}, name="agent1", run=run)
    run.gateway_of = lambda agent: made.gateway  # type: ignore[method-assign]
    del run.machines["gw1"]
    assert not verify(agent)
    assert "its gateway gw1 is not reached in this run; fix it, or run without --limit" in told[0]


def agent_with(text: str, run: Run) -> Agent:
    """An OpenClaw host with this .env."""
    return make_agent({**FRESH, **OPENCLAW, "openclaw_env": text}, name="agent1", run=run)


HUSH = "hush".ljust(48, "0")
WELL = ways.environment(HUSH)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(
            "A=1\n", "has no LLM_BASE_URL, LLM_API_KEY, LLM_MODEL_ID, EMBEDDING_MODEL_ID: run d", id="not ours"
        ),
        pytest.param("", "has no LLM_BASE_URL, LLM_API_KEY", id="none"),
        pytest.param(
            WELL.replace("LLM_API_KEY=", "#LLM_API_KEY="), "has no LLM_API_KEY: run deploy.py", id="commented"
        ),
        pytest.param(WELL.replace("LLM_MODEL_ID=MiniMax-M2.5", "LLM_MODEL_ID="), "has no LLM_MODEL_ID", id="empty"),
        pytest.param(WELL.replace(HUSH, "hush of mine"), "line 4: LLM_API_KEY: put the value in", id="blanks"),
        pytest.param(WELL.replace(HUSH, "hush-of-another"), "is not the token agent1 that gw1 has", id="another key"),
        pytest.param(f"{WELL}LLM_API_KEY=sk-hush2\n", "sets LLM_API_KEY twice: run deploy.py", id="twice"),
        pytest.param(f"export {WELL}".replace("# mine\n", ""), "", id="export of others"),
        pytest.param(WELL.replace("LLM_BASE", "export LLM_BASE"), "no `export`", id="export of ours"),
        pytest.param(f"\ufeff{WELL}", "", id="a byte order mark"),
        pytest.param(f"A='hush\nLLM_API_KEY=x\n{WELL}", "opens a quote and does not close it", id="an open quote"),
    ],
)
def test_an_env_file_that_was_edited_by_hand(
    monkeypatch: pytest.MonkeyPatch, told: list[str], text: str, words: str
) -> None:
    ways.lead_to(monkeypatch, FakeOneAPI(GENERATED.access_token).route)
    run = Run()
    gateway(run=run).gateway.token_keys["agent1"] = HUSH
    assert verify(agent_with(text, run)) == (not words), told
    assert words in told[0]
    assert "hush" not in told[0]


@pytest.mark.parametrize(
    ("url", "resolved", "words"),
    [
        ("http://100.64.0.10:3000/v1/", [], ""),
        ("http://gw1:3000/v1", ["100.64.0.10 STREAM gw1.tail.ts.net", "100.64.0.10 DGRAM"], ""),
        ("http://gw1:3000/v1", ["100.64.0.9 STREAM gw1"], "gw1, which LLM_BASE_URL in "),
        ("http://gw1:3000/v1", [], "names, is not resolved on this host, and its gateway gw1 is 100.64.0.10"),
        ("http://100.64.0.9:3000/v1", [], "is http://100.64.0.9:3000/v1, and its gateway gw1 is"),
        ("http://100.64.0.10:3001/v1", [], "is http://100.64.0.10:3001/v1, and its gateway gw1 is"),
        ("http://100.64.0.10:3000", [], "and its gateway gw1 is http://100.64.0.10:3000/v1"),
        (
            "https://dashscope.aliyuncs.com/compatible-mode/v1",
            [],
            "is https://dashscope.aliyuncs.com/compatible-mode/v1",
        ),
        ("https://gw1:3000/v1", [], "is https://gw1:3000/v1"),
        ("http://me:secret@gw1:3000/v1", [], "is http://…@gw1:3000/v1"),
        ("'http://100.64.0.10:3000/v1?key=secret'", [], "is http://100.64.0.10:3000/v1?…, and"),
        ("http://gw1:port/v1", [], "is http://gw1:port/v1"),
        ("'http://[gw1/v1'", [], "is http://[gw1/v1, and its gateway gw1 is"),
    ],
)
def test_an_address_that_is_not_the_gateways(
    monkeypatch: pytest.MonkeyPatch, told: list[str], url: str, resolved: list[str], words: str
) -> None:
    ways.lead_to(monkeypatch, FakeOneAPI(GENERATED.access_token).route)
    monkeypatch.setattr(remote, "run", lambda host, command, stdin=None: resolved)
    run = Run()
    gateway(run=run).gateway.token_keys["agent1"] = HUSH
    assert verify(agent_with(ways.environment(HUSH, url), run)) == (not words), told
    assert words in told[0]
    assert "secret" not in told[0]


def test_a_user_who_is_not_there_is_told(told: list[str]) -> None:
    run = Run()
    gateway(run=run)
    agent = make_agent({**FRESH, "openclaw_env": WELL}, name="agent1", run=run)
    assert not verify(agent)
    assert "the user that OpenClaw runs as is not on this host" in told[0]


def test_a_gateway_with_openclaw_is_asked_as_both(monkeypatch: pytest.MonkeyPatch, told: list[str]) -> None:
    seen = reach(monkeypatch, FakeOneAPI(GENERATED.access_token).transport.handler)
    both = make_machine({**FRESH, **OPENCLAW, "openclaw_env": WELL}, roles="gateway openclaw")
    both.node.gateway.token_keys = {VERIFICATION_TOKEN: KEY, "gw1": HUSH}
    assert verify(both.node), told
    assert (
        sorted(request.headers["Authorization"] for request in seen)
        == [f"Bearer sk-{HUSH}"] * 2 + [f"Bearer sk-{KEY}"] * 2
    )
    assert [line.partition(":3000")[0] for line in told] == ["verified on http://100.64.0.10"] * 2


TIMED_OUT = "no answer from 100.64.0.10:3000 within 10 s"


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (["tailnet=", "tailscale=tailscaled does not run"], f"({TIMED_OUT}): on agent1, tailscaled does not run"),
        (
            ["tailnet=", "tailscale="],
            f"({TIMED_OUT}): Tailscale on agent1 has no address: `tailscale up` there",
        ),
        (
            ["tailnet=100.64.0.11", "tailscale=an exit node: `tailscale set`"],
            "on agent1, an exit node: `tailscale set`",
        ),
        (
            [
                "said=Connection refused",
                "said=/dev/tcp/x: Connection refused",
                "tailnet=100.64.0.11",
                "tailscale=",
            ],
            "(Connection refused), though its own Tailscale runs (100.64.0.11): `tailscale ping 100.64.0.10` there;",
        ),
        (
            ["tailnet=100.64.0.11", "tailscale="],
            "`tailscale set --shields-up=false`; in the inventory gateway_allowed_p",
        ),
    ],
)
def test_an_agent_that_is_cut_off_is_told_why(
    monkeypatch: pytest.MonkeyPatch, told: list[str], seen: list[str], words: str
) -> None:
    def no_route(*where: object) -> None:
        raise route.RouteError(TIMED_OUT)

    ways.lead_to(monkeypatch, no_route)
    monkeypatch.setattr(remote, "run", lambda host, command, stdin=None: seen)
    run = Run()
    gateway(run=run).gateway.token_keys["agent1"] = HUSH
    assert not verify(agent_with(WELL, run))
    assert "agent1 gets no connection to its gateway gw1 on 100.64.0.10:3000 (" in told[0]
    assert words in told[0]


@pytest.mark.parametrize(
    ("here", "words"),
    [
        (None, ""),
        ("closed", "this machine does not reach gw1 by the tailnet: closed"),
        ("open", "this machine reaches gw1"),
    ],
)
def test_the_way_of_this_machine_is_named_apart_and_fails_nothing(
    monkeypatch: pytest.MonkeyPatch, told: list[str], here: str | None, words: str
) -> None:
    one_api = FakeOneAPI(GENERATED.access_token)
    ways.lead_to(monkeypatch, one_api.route)

    @contextmanager
    def from_here(*where: object) -> Iterator[httpx.BaseTransport | None]:
        if here == "closed":
            raise route.RouteError(here)
        yield httpx.MockTransport(lambda request: httpx.Response(200, json={"data": [{"id": "m"}]})) if here else None

    monkeypatch.setattr(verification, "route_from_here", from_here)
    assert verify(gateway())
    assert len(told) == 1 + bool(words)
    assert words in told[-1]


def test_the_token_of_a_gateway_is_asked_of_its_admin_api(monkeypatch: pytest.MonkeyPatch) -> None:
    one_api = FakeOneAPI(GENERATED.access_token)
    monkeypatch.setattr(admin, "route", one_api.route)
    with pytest.raises(VerificationError, match="has no token llm-gateway-verification: deploy first"):
        verification_keys.key_of_gateway(make_node().gateway)
    one_api._create_token(
        {"name": "llm-gateway-verification", "unlimited_quota": True, "expired_time": -1, "remain_quota": 0}
    )
    assert verification_keys.key_of_gateway(make_node().gateway) == one_api.tokens[0]["key"]
    one_api.access_token = "x" * 32
    monkeypatch.setattr(remote, "run", lambda *command: [])  # the database has another token, too
    with pytest.raises(VerificationError, match="the gateway's tokens cannot be read: the gateway refuses the access"):
        verification_keys.key_of_gateway(make_node().gateway)


def test_every_error_of_the_client_is_explained() -> None:
    made = gateway()
    texts = [
        explain(Path(made.name, made.gateway, "MiniMax-M2.5"), problem, 60)
        for problem in (
            LLMTimeoutError("a"),
            LLMConnectionError("b"),
            LLMProtocolError("c"),
            LLMStatusError("d", status=401, error_type="one_api_error"),
            LLMStatusError("e", status=503, error_type="one_api_error"),
            LLMStatusError("f", status=401, error_type="invalid_request_error"),
            LLMStatusError("g", status=500, error_type="upstream_error"),
            LLMError("h"),
        )
    ]
    assert len(set(texts)) == len(texts)
    assert "(MINIMAX_API_KEY)" in texts[5], "the secret is named"
    unserved = LLMStatusError("e", status=503, error_type="one_api_error")
    told = explain(Path(made.name, made.gateway, "a-model-of-nobody"), unserved, 60)
    assert "add it to the `models` of a channel in gateway_channels" in told
    assert "the channel's secret" in explain(
        Path(made.name, made.gateway, "a-model-of-nobody"), LLMStatusError("f", status=401, error_type="x"), 60
    )


NEW, OLD = "new_api_error", "one_api_error"


@pytest.mark.parametrize(
    ("status", "kind", "code", "words"),
    [
        (401, NEW, "", "new-api refuses the token of gw1: its words; it says the same of a token whose quota"),
        (401, OLD, "", "One API refuses the token of gw1: its words. If it is disabled"),
        (403, NEW, "", "does not let the token of gw1 ask MiniMax-M2.5 from there"),
        (403, NEW, "access_denied", "correct the token's models and subnets"),
        (403, OLD, "", "correct the token's models and subnets"),
        (403, NEW, "pre_consume_token_quota_failed", "raise it in the admin page"),
        (403, NEW, "insufficient_user_quota", "raise it in the admin page"),
        (403, OLD, "insufficient_user_quota", "raise it in the admin page"),
        (503, NEW, "model_not_found", "no channel serves MiniMax-M2.5: deploy, which declares it"),
        (503, NEW, "system_cpu_overloaded", "while its host is busy"),
        (503, NEW, "system_memory_overloaded", "performance_setting.monitor_enabled"),
        (400, NEW, "model_price_error", "SelfUseModeEnabled"),
        (500, NEW, "do_request_failed", "gateway_private_upstreams"),
        (500, OLD, "do_request_failed", "gw1 cannot reach the upstream of MiniMax-M2.5"),
        (401, "bad_response_status_code", "bad_response_status_code", "refuses the provider's key (401"),
        (500, NEW, "invalid_request", "the upstream or the gateway answered 500"),
    ],
)
def test_the_gateways_own_refusals_are_told_from_the_providers(status: int, kind: str, code: str, words: str) -> None:
    made = gateway()
    refusal = LLMStatusError("its words", status=status, error_type=kind, error_code=code)
    told = explain(Path(made.name, made.gateway, "MiniMax-M2.5"), refusal, 60)
    assert words in told and "its words" in told
    assert ("provider's key" in told) == (kind not in (NEW, OLD))


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("provider_key", "refuses the key: hand in the right one (MINIMAX_API_KEY)"),
        ("provider_balance", "its balance is used up"),
        ("provider_rate", "too much was asked at once"),
    ],
)
def test_what_a_provider_says_within_an_answer_is_told(reason: str, words: str) -> None:
    made = gateway()
    told = explain(Path(made.name, made.gateway, "MiniMax-M2.5"), LLMProtocolError("its words", reason=reason), 60)
    assert told.startswith("the provider of MiniMax-M2.5 ") and words in told and "its words" in told


def test_a_database_that_cannot_be_read_is_no_wrong_token(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[str | None] = ["another program keeps it locked", None]
    monkeypatch.setattr(broken_links, "_looked", {})
    monkeypatch.setattr(database, "trouble", lambda made: looks.pop(0))
    made = gateway()
    refusal = LLMStatusError("its words", status=401, error_type=OLD, reason="gateway_database")
    told = [explain(Path(made.name, made.gateway, "MiniMax-M2.5"), refusal, 60) for _ in range(2)]
    assert told[0].endswith("no token is wrong: another program keeps it locked")
    assert told[1] == told[0], "looked at once for questions that are asked together"
    monkeypatch.setattr(broken_links, "_looked", {})
    assert "run this again" in explain(Path(made.name, made.gateway, "MiniMax-M2.5"), refusal, 60)


def test_looking_at_a_plan_asks_nobody(told: list[str]) -> None:
    made = gateway()
    made.host.state.is_executing = False  # type: ignore[misc]
    assert verify(made)
    assert told == []
