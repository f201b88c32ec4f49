"""Gateway software: what its channels, tokens and options are, a plan of what to change in them, and how it is done.

A folder here is one software's own: paths, fields, accounts (`oneapi`). All beside the folders holds for each of them;
kinds of channel, options and numbers have One API's names.

from llm_gateway.flavours import only
from llm_gateway.flavours.oneapi import AdminClient

with AdminClient("http://127.0.0.1:3000", access_token=token) as admin:
    channel = only(admin.channels(), "dashscope")
"""

from llm_gateway.flavours.change_plan import Actual, Declared, Ours, carry_out, plan
from llm_gateway.flavours.changes import Change
from llm_gateway.flavours.channel_types import ChannelType, channel_type, type_name
from llm_gateway.flavours.compare import only
from llm_gateway.flavours.contents import Contents
from llm_gateway.flavours.errors import (
    AdminError,
    Ambiguous,
    Invalid,
    NotAdminAPI,
    RateLimited,
    Refused,
    Unauthorised,
    UnknownVersion,
    Unreachable,
)
from llm_gateway.flavours.options import option_text, option_value
from llm_gateway.flavours.shapes import Channel, LogRow, Status, Token, User
from llm_gateway.flavours.specs import ChannelSpec, TokenSpec

__all__ = [
    "Actual",
    "AdminError",
    "Ambiguous",
    "Change",
    "Channel",
    "ChannelSpec",
    "ChannelType",
    "Contents",
    "Declared",
    "Invalid",
    "LogRow",
    "NotAdminAPI",
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
    "only",
    "option_text",
    "option_value",
    "plan",
    "type_name",
]
