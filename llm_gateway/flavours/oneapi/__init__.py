"""A typed client of One API's admin API (v0.6.10 and v0.6.11-preview), and a plan of what to change in it.

from llm_gateway.flavours.oneapi import AdminClient, only

with AdminClient("http://127.0.0.1:3000", access_token=token) as admin:
    channel = only(admin.channels(), "dashscope")
"""

from llm_gateway.flavours.oneapi.admin import AdminClient
from llm_gateway.flavours.oneapi.change_plan import Actual, Declared, Ours, carry_out, plan
from llm_gateway.flavours.oneapi.changes import Change
from llm_gateway.flavours.oneapi.channel_types import ChannelType, channel_type, type_name
from llm_gateway.flavours.oneapi.compare import only
from llm_gateway.flavours.oneapi.contents import Contents
from llm_gateway.flavours.oneapi.errors import (
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
from llm_gateway.flavours.oneapi.flavours import Flavour, flavour_of, recognise
from llm_gateway.flavours.oneapi.options import option_text, option_value
from llm_gateway.flavours.oneapi.shapes import Channel, LogRow, Status, Token, User
from llm_gateway.flavours.oneapi.specs import ChannelSpec, TokenSpec

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
    "LogRow",
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
