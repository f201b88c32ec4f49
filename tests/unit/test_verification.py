"""Which link of the chain is broken: each failure names it, and the mend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from client import LLMConnectionError, LLMError, LLMProtocolError, LLMStatusError, LLMTimeoutError
from gateway import remote, route
from gateway.contents import admin
from gateway.contents.desired import VERIFICATION_TOKEN
from gateway.fleet import Member
from gateway.proving import verification, verification_keys
from gateway.proving.broken_links import Path, VerificationError, explain
from tests.unit.fake_hosts import FRESH, OPENCLAW
from tests.unit.fake_one_api import FakeOneAPI
from tests.unit.members import GENERATED, Fleet, member

KEY = "relay-key-of-tests".ljust(48, "0")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the person at the terminal reads."""
    lines: list[str] = []
    monkeypatch.setattr(remote, "tell", lambda host, text: lines.append(text))
    monkeypatch.setattr(remote, "complain", lambda host, text: lines.append(text))
    return lines


def gateway(**chosen: Any) -> Member:
    """A gateway whose tokens are known."""
    made = member(**chosen)
    made.token_keys = {VERIFICATION_TOKEN: KEY}
    return made


def verify(made: Member) -> bool:
    """Whether a verification succeeds."""
    commands = verification._verify._inner(made, "changed")  # type: ignore[attr-defined]
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

    monkeypatch.setattr(verification, "route", to_here)
    return seen


def error(status: int, message: str, kind: str = "one_api_error") -> httpx.Response:
    """A refusal in the shape that One API gives."""
    return httpx.Response(status, json={"error": {"message": message, "type": kind, "code": "x"}})


def test_a_gateway_that_answers_is_verified(monkeypatch: pytest.MonkeyPatch, told: list[str]) -> None:
    one_api = FakeOneAPI(GENERATED.access_token)
    monkeypatch.setattr(verification, "route", one_api.route)
    made = gateway()
    assert verify(made)
    assert told[0].startswith("verified on http://100.64.0.10:3000: MiniMax-M2.5 completed in ")
    assert "text-embedding-v4 embedded (1024 dimensions) in " in told[0]


def test_it_asks_on_the_path_of_the_users(monkeypatch: pytest.MonkeyPatch, told: list[str]) -> None:
    one_api = FakeOneAPI(GENERATED.access_token)
    seen = reach(monkeypatch, one_api.transport.handler)
    fleet = Fleet()
    made = gateway(fleet=fleet, verification_timeout=7)
    agent = member({**FRESH, **OPENCLAW}, name="agent1", roles="openclaw", fleet=fleet)
    made.token_keys["agent1"] = "agent-key".ljust(48, "0")
    assert verify(agent)
    assert {str(request.url) for request in seen} == {
        "http://100.64.0.10:3000/v1/chat/completions",
        "http://100.64.0.10:3000/v1/embeddings",
    }
    assert {request.headers["Authorization"] for request in seen} == {f"Bearer sk-{'agent-key'.ljust(48, '0')}"}


@pytest.mark.parametrize(
    ("answer", "link", "mend"),
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
            "what answers on http://100.64.0.10:3000 is not One API",
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
        pytest.param(
            error(400, "max_tokens is too small", "invalid_request_error"),
            "the upstream or One API answered 400",
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
            "gateway_private_upstreams where it is a private address",
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
def test_a_broken_link_is_named_with_its_mend(
    monkeypatch: pytest.MonkeyPatch, told: list[str], answer: Any, link: str, mend: str
) -> None:
    reach(monkeypatch, answer)
    assert not verify(gateway())
    (text,) = told
    assert text.startswith("verification failed: ")
    assert link in text
    assert mend in text
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

    monkeypatch.setattr(verification, "route", no_route)
    assert not verify(gateway())
    assert told[0].startswith("verification failed: no TCP connection to http://100.64.0.10:3000: nothing listens")
    assert "On gw1: `systemctl status openclaw-llm-gateway`" in told[0]


def test_an_unreached_gateway_is_told(told: list[str]) -> None:
    fleet = Fleet()
    made = gateway(fleet=fleet)
    agent = member({**FRESH, **OPENCLAW}, name="agent1", roles="openclaw", fleet=fleet)
    fleet.gateway_of = lambda member: made  # type: ignore[method-assign]
    del fleet.members["gw1"]
    assert not verify(agent)
    assert "its gateway gw1 is not reached in this run; mend it, or run without --limit" in told[0]


def agent_with(text: str) -> Member:
    """An OpenClaw host with this .env, whose gateway's tokens were not read in this run."""
    fleet = Fleet()
    member(fleet=fleet)
    return member({**FRESH, **OPENCLAW, "openclaw_env": text}, name="agent1", roles="openclaw", fleet=fleet)


def test_the_token_of_an_openclaw_host_is_the_one_in_its_env_file() -> None:
    assert verification_keys.key_of_users(agent_with("A=1\nLLM_API_KEY='sk-hush'\n")) == "hush"


@pytest.mark.parametrize(("text", "mend"), [("A=1\n", "deploy first"), ("LLM_API_KEY=sk-hush hush\n", "deploy again")])
def test_an_env_file_without_a_token_is_told(text: str, mend: str) -> None:
    with pytest.raises(VerificationError, match=mend) as refused:
        verification_keys.key_of_users(agent_with(text))
    assert "hush" not in str(refused.value)


def test_the_token_of_a_gateway_is_asked_of_its_admin_api(monkeypatch: pytest.MonkeyPatch) -> None:
    one_api = FakeOneAPI(GENERATED.access_token)
    monkeypatch.setattr(admin, "route", one_api.route)
    with pytest.raises(VerificationError, match="has no token llm-gateway-verification: deploy first"):
        verification_keys.key_of_users(member())
    one_api._create_token(
        {"name": "llm-gateway-verification", "unlimited_quota": True, "expired_time": -1, "remain_quota": 0}
    )
    assert verification_keys.key_of_users(member()) == one_api.tokens[0]["key"]
    one_api.access_token = "x" * 32
    with pytest.raises(VerificationError, match="the gateway's tokens cannot be read"):
        verification_keys.key_of_users(member())


def test_every_error_of_the_client_is_explained() -> None:
    made = gateway()
    texts = [
        explain(Path(made, made, "MiniMax-M2.5"), problem, 60)
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
    told = explain(Path(made, made, "a-model-of-nobody"), unserved, 60)
    assert "add it to the `models` of a channel in gateway_channels" in told
    assert "the channel's secret" in explain(
        Path(made, made, "a-model-of-nobody"), LLMStatusError("f", status=401, error_type="x"), 60
    )


def test_looking_at_a_plan_asks_nobody(told: list[str]) -> None:
    made = gateway()
    made.host.state.is_executing = False  # type: ignore[misc]
    assert verify(made)
    assert told == []
