"""What every gateway software lists alike: the rows of its accounts, channels, tokens and log. What a software has
otherwise is handed in. Each raises KeyError or TypeError where the row is something else.
"""

from __future__ import annotations

from collections.abc import Mapping

from llm_gateway.flavours.rows import Row, flag, mapping, names, text, whole
from llm_gateway.flavours.shapes import Channel, LogRow, Token, User


def user(row: Row) -> User:
    """An account."""
    return User(whole(row, "id"), text(row, "username"), whole(row, "role"))


def channel(
    row: Row, *, type_: int, config: Mapping[str, str], system_prompt: str, pass_through: bool = False
) -> Channel:
    """A channel: its key is blank."""
    return Channel(
        id=whole(row, "id"),
        name=text(row, "name"),
        type=type_,
        base_url=text(row, "base_url", null=""),
        models=names(row, "models"),
        model_mapping=mapping(text(row, "model_mapping", null="")),
        groups=names(row, "group"),
        priority=whole(row, "priority", null=0),
        weight=whole(row, "weight", null=0),
        status=whole(row, "status"),
        config=config,
        system_prompt=system_prompt,
        pass_through=pass_through,
    )


def token(row: Row, *, models: tuple[str, ...], subnets: tuple[str, ...], key: str) -> Token:
    """A token."""
    return Token(
        id=whole(row, "id"),
        name=text(row, "name"),
        status=whole(row, "status"),
        expired_time=whole(row, "expired_time"),
        remain_quota=whole(row, "remain_quota"),
        unlimited_quota=flag(row, "unlimited_quota"),
        models=models,
        subnets=subnets,
        key=key,
        used_quota=whole(row, "used_quota", null=0),
    )


def log_row(row: Row) -> LogRow:
    """A billed request."""
    return LogRow(
        id=whole(row, "id"),
        token_name=text(row, "token_name"),
        model_name=text(row, "model_name"),
        channel=whole(row, "channel", null=0),
        prompt_tokens=whole(row, "prompt_tokens", null=0),
        completion_tokens=whole(row, "completion_tokens", null=0),
        quota=whole(row, "quota", null=0),
    )
