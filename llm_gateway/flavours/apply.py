"""Carrying out one change of a plan, in steps that a next run can go on from wherever they break off."""

from __future__ import annotations

from llm_gateway.flavours import values
from llm_gateway.flavours.changes import Change, Work
from llm_gateway.flavours.compare import only
from llm_gateway.flavours.contents import Contents
from llm_gateway.flavours.errors import Refused
from llm_gateway.flavours.shapes import Token
from llm_gateway.flavours.specs import ChannelSpec, TokenSpec

_ROUNDS = 5


def carry_out(change: Change, admin: Contents) -> Token | None:
    """Do what a change says, with as few requests as is safe.

    Args:
        change: from `change_plan.plan`, of what was listed just before.
        admin: of the gateway that the plan was made for.

    Returns:
        The token that was made, with its key; None for all else.

    Raises:
        AdminError: it could not be done, or not all of it; a new plan says what is left.
    """
    work = change.work
    if change.kind == "option":
        admin.set_option(change.name, work.text)
    elif change.kind == "channel":
        _channel(change, admin)
    elif change.sign == "-":
        admin.delete_token(work.id)
    elif work.spec is not None and work.token is not None:
        _update_token(admin, work, work.token, work.spec)
    elif work.spec is not None:
        return _create_token(admin, work.spec)
    return None


def _channel(change: Change, admin: Contents) -> None:
    work = change.work
    if work.channel is None:
        _remove_channel(admin, work.id)
    elif change.sign == "+":
        _create_channel(admin, work.channel)
    else:
        _update_channel(admin, work.id, work.channel)


def _create_channel(admin: Contents, spec: ChannelSpec) -> None:
    """One API makes the channel and then its routing entries; where it fails at these, the channel stays without."""
    try:
        admin.create_channel(spec)
    except Refused:
        made = only(admin.channels(), spec.name)
        if made is None:
            raise
        admin.update_channel(made.id, spec)


def _update_channel(admin: Contents, channel_id: int, spec: ChannelSpec) -> None:
    """One API removes the routing entries and makes them anew; where it fails in between, its models are unserved."""
    try:
        admin.update_channel(channel_id, spec)
    except Refused as refused:
        if refused.message == values.NOT_FOUND:
            raise
        admin.update_channel(channel_id, spec)


def _remove_channel(admin: Contents, channel_id: int) -> None:
    """Out of routing first: an enabled entry that outlives its channel lets its model fail with 503."""
    admin.switch_channel_off(channel_id)
    admin.delete_channel(channel_id)


def _create_token(admin: Contents, spec: TokenSpec) -> Token:
    """One API makes every token enabled; nobody has the key of this one yet."""
    token = admin.create_token(spec)
    return admin.set_token_status(token, values.DISABLED) if spec.status == values.DISABLED else token


def _update_token(admin: Contents, work: Work, token: Token, spec: TokenSpec) -> None:
    """Disabled before it is rewritten, enabled after: One API enables only what has time and quota left."""
    if work.status == values.DISABLED:
        admin.set_token_status(token, values.DISABLED)
    if work.is_rewritten:
        token = _rewrite(admin, token, spec)
    if work.status == values.ENABLED:
        admin.set_token_status(token, values.ENABLED)


def _rewrite(admin: Contents, token: Token, spec: TokenSpec) -> Token:
    """Again when the token was used since it was looked at: its total would be too large by that use."""
    for _ in range(_ROUNDS):
        token = admin.update_token(token, spec)
        if token.total_quota == spec.quota:
            break
    return token
