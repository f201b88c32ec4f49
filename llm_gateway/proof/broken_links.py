"""Which link of the chain to a model broke, and what fixes it."""

from __future__ import annotations

import math
import re
import threading
import time
from dataclasses import dataclass

from llm_client import LLMConnectionError, LLMError, LLMProtocolError, LLMTimeoutError
from llm_gateway.contents import budgets
from llm_gateway.hosts.topology import Gateway
from llm_gateway.model import layout
from llm_gateway.parts import database

_FRESH_SECONDS = 20
"""How long what was seen of a database is good for."""


@dataclass(frozen=True)
class Path:
    """The way that a question took: the host whose token asked, which gateway, and for which model."""

    asker: str
    gateway: Gateway
    model: str


_NEW_API = "new_api_error"
OWN_TYPES = ("one_api_error", _NEW_API)
"""The types of a gateway's own refusals: One API's and new-api's. An upstream's are passed on with their own."""
_OF_QUOTA = ("insufficient_user_quota", "pre_consume_token_quota_failed")
OF_TOKEN = (*_OF_QUOTA, "access_denied")
"""The codes of a 403 that is about the token, whichever channel was asked."""
_NO_CHANNEL = "model_not_found"
_UNPRICED = "model_price_error"
_BUSY = re.compile(r"system_\w+_overloaded")
_PROVIDER = {
    "provider_key": "refuses the key: hand in the right one ({secrets}) and deploy again",
    "provider_balance": "says that its balance is used up: top it up there",
    "provider_rate": "says that too much was asked at once: try again, or raise the limit there",
}
"""By the reason that the client reads out of an answer, what the provider says."""
_OF_STATUS = {402: "provider_balance", 429: "provider_rate"}
_OF_BALANCE = ("Arrearage", "insufficient_quota")
"""Codes of it in other statuses: DashScope's 400, OpenAI's and Moonshot's 429."""


def explain(path: Path, problem: LLMError, seconds: float) -> str:
    """Which link of the chain broke, and the fix.

    Parameters: `seconds`, what the question was given.

    A gateway's own refusals carry a type of its own; an upstream's are passed on as they came, so a 401 alone does not
    tell whose key was refused.
    """
    if isinstance(problem, LLMTimeoutError):
        return (
            f"{path.model} did not answer within {max(1, round(seconds))} s: the upstream is slow or gone"
            f" (`docker logs {layout.PROJECT}` on the host shows the request), or raise verification_timeout"
        )
    if isinstance(problem, LLMConnectionError):
        return (
            f"no TCP connection to {path.gateway.base_url} ({problem.summary}): `systemctl status"
            f" {layout.PROJECT}` on {path.gateway.name}, and `tailscale status` on both"
        )
    if problem.reason == "gateway_database":
        return _database(path.gateway, problem)
    if said := _PROVIDER.get(_reason(problem) or ""):
        told = said.format(secrets=_secrets_for(path.gateway, path.model))
        return f"the provider of {path.model} {told}: {problem.summary}"
    if problem.code == "LLM_BAD_VECTOR":
        return (
            f"{path.model}: {problem.summary}. If its length is wrong, correct embedding_dimensions (and the vector"
            " store, whose collections keep their size) or choose another model; if all is zero, the upstream is"
            " broken"
        )
    if isinstance(problem, LLMProtocolError) and (problem.error_type, problem.error_code) == (None, None):
        return (
            f"what answers on {path.gateway.base_url} is not a gateway, or {path.model} does not support such requests:"
            f" {problem.summary}"
        )
    return (_own(path, problem) if problem.error_type in OWN_TYPES else None) or _upstream(path, problem)


def _reason(problem: LLMError) -> str | None:
    """Whose fault it is, where the client knows, or where the status of a provider tells."""
    if problem.reason or problem.error_type in OWN_TYPES:
        return problem.reason
    if problem.error_code in _OF_BALANCE or problem.error_type in _OF_BALANCE:
        return "provider_balance"
    return _OF_STATUS.get(problem.status or 0)


def _own(path: Path, problem: LLMError) -> str | None:
    """What the gateway itself refuses; None where it only tells what became of the upstream."""
    gateway, model, code = path.gateway, path.model, problem.error_code or ""
    if problem.status == 401:
        if told := _of_budget(path):
            return f"{told}: {problem.summary}"
        is_new_api = problem.error_type == _NEW_API
        used_up = "; it says the same of a token whose quota is used up" if is_new_api else ""
        return (
            f"{'new-api' if is_new_api else 'One API'} refuses the token of {path.asker}: {problem.summary}{used_up}."
            " If it is disabled or expired, enable it in the admin page, or delete it there and deploy again: that"
            " makes a new one"
        )
    if code in _OF_QUOTA:
        return (
            f"the quota of the token of {path.asker}, or of the user whose token it is, is used up"
            f" ({problem.summary}): raise it in the admin page, {gateway.base_url}"
        )
    if problem.status == 403:
        return (
            f"the gateway does not let the token of {path.asker} ask {model} from there ({problem.summary}):"
            " correct the token's models and subnets in the admin page, or in gateway_tokens"
        )
    if _BUSY.fullmatch(code):
        return (
            f"{gateway.name} refuses what is asked while its host is busy ({problem.summary}): try again, or set the"
            " option performance_setting.monitor_enabled of new-api to false"
        )
    if problem.status == 503 or code == _NO_CHANNEL:
        is_declared = any(model in channel.serves for channel in gateway.settings.gateway_channels)
        fix = "deploy, which declares it" if is_declared else "add it to the `models` of a channel in gateway_channels"
        return f"no channel serves {model}: {fix}, or enable the channel in the admin page: {problem.summary}"
    if code == _UNPRICED:
        return (
            f"the gateway has no price for {model}, and new-api serves none without ({problem.summary}): set its option"
            " ModelRatio for it, or SelfUseModeEnabled to true"
        )
    return None


def _of_budget(path: Path) -> str | None:
    """That the asker's budget is used up, where its token is refused by that."""
    agent = next((each for each in path.gateway.agents if each.name == path.asker), None)
    return budgets.refusal(agent, path.gateway) if agent else None


def _upstream(path: Path, problem: LLMError) -> str:
    gateway, model = path.gateway, path.model
    if problem.error_code == "do_request_failed":
        return (
            f"{gateway.name} cannot reach the upstream of {model}: check the channel's base_url, and DNS, proxy and"
            f" firewall on the host{_private(problem)}: {problem.summary}"
        )
    if problem.status in (401, 403):
        return (
            f"the upstream of {model} refuses the provider's key ({problem.status}: {problem.summary}): hand in"
            f" the right one ({_secrets_for(gateway, model)}) and deploy again"
        )
    return f"{model}: the upstream or the gateway answered {problem.status}: {problem.summary}"


_looking = threading.Lock()
_looked: dict[str, tuple[float, str | None]] = {}


def _database(gateway: Gateway, problem: LLMError) -> str:
    """What is wrong with the gateway's database, looked at on its host: once for questions that are asked together."""
    told = f"{gateway.name} could not read its database ({problem.summary}); no token is wrong"
    if not gateway.node.machine.is_read:  # this run does not reach it
        return f"{told}: run this again with {gateway.name} in it, which looks at the database"
    with _looking:
        moment, found = _looked.get(gateway.name, (-math.inf, None))
        if time.monotonic() - moment > _FRESH_SECONDS:
            found = database.trouble(gateway)
            _looked[gateway.name] = time.monotonic(), found
    why = found or (
        "it can be read again now, so another program had it locked, or its disk was full (`df -h` on the host): run"
        " this again"
    )
    return f"{told}: {why}"


def _private(problem: LLMError) -> str:
    """What our own firewall refuses comes as this error of the network; new-api tells none."""
    is_told = problem.error_type != _NEW_API
    if is_told and "no route to host" not in problem.summary.lower():
        return ""
    log = "" if is_told else f" (`docker logs {layout.PROJECT}` there says which)"
    return f"{log}, and gateway_private_upstreams if it is a private address"


def _secrets_for(gateway: Gateway, model: str) -> str:
    names = [channel.key for channel in gateway.settings.gateway_channels if model in channel.models]
    return " or ".join(dict.fromkeys(names)) or "the channel's secret"
