"""What a token is told of its own limits and use, as OpenAI's billing API once did (One API's `controller/billing.go`).

It takes the days of that API, and heeds none. A token without a limit counts nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .relay import guarded
from .relay_auth import Caller, identify
from .web import Request, Response, json_response

if TYPE_CHECKING:
    from .app import App

UNLIMITED = 100_000_000


@guarded
def subscription(app: App, request: Request) -> Response:
    """What the token may use in all, or the rest that its user has."""
    caller = identify(app, request)
    amount, until = _shown(app, caller.user["quota"]), 0
    if app.options.on("DisplayTokenStatEnabled"):
        token = caller.token
        amount = UNLIMITED if token["unlimited_quota"] else _shown(app, token["remain_quota"] + token["used_quota"])
        until = max(0, token["expired_time"])
    limits = dict.fromkeys(("soft_limit_usd", "hard_limit_usd", "system_hard_limit_usd"), amount)
    return json_response(
        {"object": "billing_subscription", "has_payment_method": True, **limits, "access_until": until}
    )


@guarded
def usage(app: App, request: Request) -> Response:
    """What it has used since it was made, or its user has."""
    used = _used(app, identify(app, request))
    return json_response({"object": "list", "total_usage": _plain(used * 100)})


def _used(app: App, caller: Caller) -> float:
    counted = caller.token if app.options.on("DisplayTokenStatEnabled") else caller.user
    return _shown(app, counted["used_quota"])


def _shown(app: App, quota: int) -> float:
    in_currency = app.options.on("DisplayInCurrencyEnabled")
    return _plain(quota / app.options.decimal("QuotaPerUnit") if in_currency else quota)


def _plain(amount: float) -> float:
    """As Go writes a number: 2, and not 2.0."""
    return int(amount) if amount == int(amount) else amount
