"""The proof: a real completion and a real embedding, on the path that the users take."""

from __future__ import annotations

import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyinfra.api import FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from client import LLMClient, LLMConnectionError, LLMError, LLMProtocolError, LLMTimeoutError
from gateway import dotenv, remote
from gateway.admin import admin_api
from gateway.provisioning import VERIFICATION_TOKEN, token_name
from gateway.route import RouteError, route
from oneapi import OneAPIError, only

if TYPE_CHECKING:
    from gateway.fleet import Member

PROMPT = [{"role": "user", "content": "Answer with one word: which colour is the sky?"}]
ANSWER_TOKENS = 16


class VerificationError(Exception):
    """A link of the chain is broken; the text says which, and the mend."""


@dataclass(frozen=True)
class Proof:
    """What a model answered, and how long it took in seconds."""

    model: str
    what: str
    seconds: float


def verify(member: Member) -> None:
    """Ask the gateway for a completion and an embedding; the run fails where it does not answer."""
    _verify(name="Verify with a real completion and a real embedding", member=member)


@operation()
def _verify(member: Member) -> Generator[FunctionCommand, None, None]:
    """A check, not a change: it yields a command, one that fails, only where something is wrong."""
    if not member.host.state.is_executing:
        return
    try:
        proofs = _prove(member)
    except VerificationError as problem:
        yield _failure(member, str(problem))
        return
    told = "; ".join(f"{proof.model} {proof.what} in {proof.seconds:.2f} s" for proof in proofs)
    remote.tell(member.host, f"verified on {member.gateway.base_url}: {told}")


def _failure(member: Member, problem: str) -> FunctionCommand:
    def fail(state: State, host: Host) -> bool:
        remote.complain(host, f"verification failed: {problem}")
        return False

    return FunctionCommand(fail, (), {})


def _prove(member: Member) -> list[Proof]:
    gateway = member.gateway
    if gateway.name not in member.fleet.members:
        raise VerificationError(
            f"its gateway {gateway.name} is not reached in this run; mend it, or run without --limit"
        )
    try:
        with route(gateway.host, gateway.address, gateway.settings.gateway_port) as transport:
            key = _key(member)
            with (
                LLMClient(f"{gateway.base_url}/v1", f"sk-{key}", transport=transport) as client,
                ThreadPoolExecutor(max_workers=2) as pool,
            ):
                asked = [pool.submit(step, client, member) for step in (_completion, _embedding)]
                return [answer.result() for answer in asked]
    except RouteError as problem:
        raise VerificationError(
            f"no TCP connection to {gateway.base_url}: {problem}. On {gateway.name}: `systemctl status"
            " openclaw-llm-gateway` and `tailscale status`"
        ) from None


def _key(member: Member) -> str:
    """The token that the users of this path have: what stands in OpenClaw's .env, else the gateway's own."""
    gateway = member.gateway
    name = token_name(member.name) if member.is_openclaw else VERIFICATION_TOKEN
    if name in gateway.token_keys:
        return gateway.token_keys[name]
    if member.is_openclaw:
        return _key_in_environment_file(member)
    try:
        with admin_api(gateway) as admin:
            found = only(admin.tokens(), name)
    except OneAPIError as problem:
        raise VerificationError(f"the gateway's tokens cannot be read: {problem}") from None
    if found is None:
        raise VerificationError(f"the gateway has no token {name}: deploy first (pyinfra inventory.py deploy.py)")
    return str(found.key)


def _key_in_environment_file(member: Member) -> str:
    for line in member.state.answers.get("openclaw_env", "").splitlines():
        if line.startswith("LLM_API_KEY="):
            try:
                return dotenv.read(line)["LLM_API_KEY"].removeprefix("sk-")
            except dotenv.DotenvError as problem:
                raise VerificationError(f"~/.openclaw/.env: {problem}: deploy again, which mends the line") from None
    raise VerificationError("~/.openclaw/.env has no LLM_API_KEY: deploy first (pyinfra inventory.py deploy.py)")


def _completion(client: LLMClient, member: Member) -> Proof:
    model, seconds = member.settings.llm_model, member.settings.verification_timeout
    started = time.monotonic()
    try:
        answer = client.chat(model, PROMPT, timeout=seconds, max_tokens=ANSWER_TOKENS, temperature=0)
    except LLMError as problem:
        raise VerificationError(explain(problem, member, model)) from None
    message = answer["choices"][0].get("message") or {}
    text = message.get("content") or message.get("reasoning_content")
    if not isinstance(text, str) or not text.strip():
        raise VerificationError(f"{model} answered with an empty text; try it by hand, or set llm_model to another")
    return Proof(model, "completed", time.monotonic() - started)


def _embedding(client: LLMClient, member: Member) -> Proof:
    settings = member.settings
    model = settings.embedding_model
    started = time.monotonic()
    try:
        vector = client.embed(
            model,
            ["天空是什么颜色?"],
            dimensions=settings.embedding_dimensions,
            timeout=settings.verification_timeout,
        )[0]
    except LLMError as problem:
        raise VerificationError(explain(problem, member, model)) from None
    return Proof(model, f"embedded ({len(vector)} dimensions)", time.monotonic() - started)


def explain(problem: LLMError, member: Member, model: str) -> str:
    """Which link of the chain broke, and the mend.

    One API's own refusals carry the type `one_api_error`; an upstream's are passed on as they came, so a
    401 alone does not tell whose key was refused.
    """
    gateway = member.gateway
    is_own = problem.error_type == "one_api_error"
    if isinstance(problem, LLMTimeoutError):
        return (
            f"{model} did not answer within {member.settings.verification_timeout} s: the upstream is slow or gone"
            " (`docker logs openclaw-llm-gateway` on the host shows the request), or raise verification_timeout"
        )
    if isinstance(problem, LLMConnectionError):
        return (
            f"no TCP connection to {gateway.base_url} ({problem.summary}): `systemctl status openclaw-llm-gateway`"
            f" on {gateway.name}, and `tailscale status` on both"
        )
    if problem.code == "LLM_BAD_VECTOR":
        return (
            f"{model}: {problem.summary}. Where its length is wrong, correct embedding_dimensions (and the vector"
            " store, whose collections keep their size) or choose another model; where all is zero, the upstream is"
            " broken"
        )
    if isinstance(problem, LLMProtocolError):
        return (
            f"what answers on {gateway.base_url} is not One API, or {model} is no model of that kind: {problem.summary}"
        )
    if is_own and problem.status == 401:
        return (
            f"One API refuses the token of {member.name}: {problem.summary}. Where it is disabled or expired, enable it"
            " in the admin page, or delete it there and deploy again: that makes a new one"
        )
    if is_own and problem.status == 503:
        return (
            f"no channel serves {model}: add it to the `models` of a channel in gateway_channels, or enable the channel"
            f" in the admin page: {problem.summary}"
        )
    if problem.status in (401, 403) and not is_own:
        return (
            f"the upstream of {model} refuses the provider's key ({problem.status}: {problem.summary}): hand in"
            f" the right one ({_secrets_for(gateway, model)}) and deploy again"
        )
    if problem.error_code == "do_request_failed":
        return (
            f"{gateway.name} cannot reach the upstream of {model}: check the channel's base_url, and DNS, proxy and"
            f" firewall on the host: {problem.summary}"
        )
    return f"{model}: the upstream or One API answered {problem.status}: {problem.summary}"


def _secrets_for(gateway: Member, model: str) -> str:
    names = [channel.key for channel in gateway.settings.gateway_channels if model in channel.models]
    return " or ".join(names) or "the channel's secret"
