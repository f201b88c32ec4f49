"""A typed client of One API's admin API (v0.6.10 and v0.6.11-preview), and a plan of what to change in it.

from oneapi import AdminClient, only

with AdminClient("http://127.0.0.1:3000", access_token=token) as admin:
    channel = only(admin.channels(), "dashscope")
"""

from oneapi.admin import AdminClient
from oneapi.changes import Change
from oneapi.channel_types import ChannelType, channel_type, type_name
from oneapi.compare import only
from oneapi.contents import Contents
from oneapi.errors import (
    Ambiguous,
    Invalid,
    NotOneAPI,
    OneAPIError,
    RateLimited,
    Refused,
    Unauthorised,
    UnknownVersion,
    Unreachable,
)
from oneapi.flavours import Flavour, flavour_of, recognise
from oneapi.options import option_text, option_value
from oneapi.planning import Actual, Declared, Ours, carry_out, plan
from oneapi.shapes import Channel, Status, Token, User
from oneapi.specs import ChannelSpec, TokenSpec

__all__ = [
    "Actual",
    "AdminClient",
    "Ambiguous",
    "Change",
    "Channel",
    "ChannelSpec",
    "ChannelType",
    "Contents",
    "Declared",
    "Flavour",
    "Invalid",
    "NotOneAPI",
    "OneAPIError",
    "Ours",
    "RateLimited",
    "Refused",
    "Status",
    "Token",
    "TokenSpec",
    "Unauthorised",
    "UnknownVersion",
    "Unreachable",
    "User",
    "carry_out",
    "channel_type",
    "flavour_of",
    "only",
    "option_text",
    "option_value",
    "plan",
    "recognise",
    "type_name",
]
