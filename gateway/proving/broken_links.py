"""Which link of the chain to a model broke, and what mends it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from client import LLMConnectionError, LLMError, LLMProtocolError, LLMTimeoutError

if TYPE_CHECKING:
    from gateway.fleet import Member


class VerificationError(Exception):
    """A link of the chain is broken; the text says which, and the mend."""


@dataclass(frozen=True)
class Path:
    """The way that a question took: whose token asked, which gateway, and for which model."""

    asker: Member
    gateway: Member
    model: str


def explain(path: Path, problem: LLMError, seconds: float) -> str:
    """Which link of the chain broke, and the mend.

    Parameters: `seconds`, what the question was given.

    One API's own refusals carry the type `one_api_error`; an upstream's are passed on as they came, so a
    401 alone does not tell whose key was refused.
    """
    gateway, model = path.gateway, path.model
    is_own = problem.error_type == "one_api_error"
    if isinstance(problem, LLMTimeoutError):
        return (
            f"{model} did not answer within {max(1, round(seconds))} s: the upstream is slow or gone"
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
            f"One API refuses the token of {path.asker.name}: {problem.summary}. Where it is disabled or expired,"
            " enable it in the admin page, or delete it there and deploy again: that makes a new one"
        )
    if is_own and problem.status == 503:
        is_declared = any(model in channel.serves for channel in gateway.settings.gateway_channels)
        mend = "deploy, which declares it" if is_declared else "add it to the `models` of a channel in gateway_channels"
        return f"no channel serves {model}: {mend}, or enable the channel in the admin page: {problem.summary}"
    if problem.status in (401, 403) and not is_own:
        return (
            f"the upstream of {model} refuses the provider's key ({problem.status}: {problem.summary}): hand in"
            f" the right one ({_secrets_for(gateway, model)}) and deploy again"
        )
    if problem.error_code == "do_request_failed":
        return (
            f"{gateway.name} cannot reach the upstream of {model}: check the channel's base_url, and DNS, proxy and"
            f" firewall on the host{_private(problem.summary)}: {problem.summary}"
        )
    return f"{model}: the upstream or One API answered {problem.status}: {problem.summary}"


def _private(summary: str) -> str:
    """What our own firewall refuses comes as this error of the network."""
    is_refused = "no route to host" in summary.lower()
    return ", and gateway_private_upstreams where it is a private address" if is_refused else ""


def _secrets_for(gateway: Member, model: str) -> str:
    names = [channel.key for channel in gateway.settings.gateway_channels if model in channel.models]
    return " or ".join(dict.fromkeys(names)) or "the channel's secret"
