"""A typed client of One API's admin API (v0.6.10 and v0.6.11-preview).

from oneapi import AdminClient, ChannelSpec, only

with AdminClient("http://127.0.0.1:3000", access_token=token) as admin:
    channel = only(admin.channels(), "dashscope")
"""

from oneapi.admin import AdminClient
from oneapi.compare import differences, only
from oneapi.errors import (
    Ambiguous,
    Invalid,
    NotOneAPI,
    OneAPIError,
    RateLimited,
    Refused,
    Unauthorised,
    Unreachable,
)
from oneapi.shapes import Channel, Status, Token, User
from oneapi.specs import ChannelSpec, TokenSpec

__all__ = [
    "AdminClient",
    "Ambiguous",
    "Channel",
    "ChannelSpec",
    "Invalid",
    "NotOneAPI",
    "OneAPIError",
    "RateLimited",
    "Refused",
    "Status",
    "Token",
    "TokenSpec",
    "Unauthorised",
    "Unreachable",
    "User",
    "differences",
    "only",
]
