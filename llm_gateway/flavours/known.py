"""The gateway software that a deployment knows."""

from __future__ import annotations

import re
from dataclasses import replace

from llm_gateway.flavours import option_defaults, paths
from llm_gateway.flavours.carrying import Arrival
from llm_gateway.flavours.flavour import Flavour, Reads
from llm_gateway.flavours.newapi import arrival, departure
from llm_gateway.flavours.newapi import usage as newapi_usage
from llm_gateway.flavours.newapi import versions as newapi_versions
from llm_gateway.flavours.newapi import wire as newapi_wire
from llm_gateway.flavours.newapi.admin import NewAPIClient
from llm_gateway.flavours.oneapi import budgets
from llm_gateway.flavours.oneapi import usage as oneapi_usage
from llm_gateway.flavours.oneapi import versions as oneapi_versions
from llm_gateway.flavours.oneapi import wire as oneapi_wire
from llm_gateway.flavours.oneapi.admin import AdminClient
from llm_gateway.flavours.options import KINDS, OF_NEW_API, OF_ONE_API
from llm_gateway.flavours.specs import ChannelSpec
from llm_gateway.model import layout

_IS_A_FORK = re.compile(r"(?:.*[/-])?(one-hub|done-hub)(?:-[^/]*)?")
_IS_NEW_API = re.compile(r"(.*[/-])?new-api(-[^/]*)?")


def _passed_on(spec: ChannelSpec) -> ChannelSpec:
    """One API sends the bytes of a request on in any case."""
    return replace(spec, pass_through=False)


ONE_API = Flavour(
    name="One API",
    admin=AdminClient,
    version_of=oneapi_versions.version_of,
    usage_log=oneapi_usage.LOG,
    token_table=budgets.TABLE,
    reads=Reads(oneapi_wire.ALL_CHANNELS, oneapi_wire.ALL_TOKENS, paths.OPTIONS),
    held=_passed_on,
    options=frozenset(KINDS) - OF_NEW_API,
    option_defaults=option_defaults.ONE_API,
    default_options={
        "RegisterEnabled": False,
        # The first retry asks the failed channel's equals alone, each later one any channel by chance: with one spare,
        # one request of 2^9 is lost. A retry that hits the channel that has just failed makes no request.
        "RetryTimes": 10,
        # Counting tokens exactly is quadratic in text without spaces: minutes of a processor for 1 MB of Chinese.
        "ApproximateTokenEnabled": True,
    },
    environment={},
    unread=frozenset(),
    has_default_account=True,
    needs_tiktoken=True,
    own_tables=frozenset(),
    drops_fields="",
    arrival=Arrival(departure.REASONS, departure.statements, departure.TOKENS, departure.TOLD, departure.LOSES),
    living="1",
    knows_unknown=True,
)
_PAGE = f"?p=1&page_size={newapi_wire.PAGE}"
NEW_API = Flavour(
    name="new-api",
    admin=NewAPIClient,
    version_of=newapi_versions.version_of,
    usage_log=newapi_usage.LOG,
    token_table=budgets.TABLE,
    reads=Reads(
        f"{paths.CHANNELS}{_PAGE}",
        f"{paths.TOKENS}{_PAGE}",
        paths.OPTIONS,
        f"{newapi_wire.USER_HEADER}: 1",
        newapi_wire.KEYS,
    ),
    held=newapi_wire.held,
    options=frozenset(KINDS) - OF_ONE_API,
    option_defaults=option_defaults.NEW_API,
    default_options={
        "RegisterEnabled": False,
        "RetryTimes": 10,
        # Else a model without a price is refused.
        "SelfUseModeEnabled": True,
        # Else every request is refused while the host's processors are busy.
        "performance_setting.monitor_enabled": False,
    },
    environment={
        # Its driver takes none of SQLITE_BUSY_TIMEOUT: with 24 requests at once, rows of the log were lost.
        "SQLITE_PATH": f"/data/{layout.DATABASE}?_pragma=busy_timeout(10000)",
        "GLOBAL_API_RATE_LIMIT": "2400",
        # Log-ins, and requests for the keys of tokens, from one address in 20 minutes; its own 20 lock out a person
        # after some runs.
        "CRITICAL_RATE_LIMIT": "100",
    },
    unread=frozenset({"RELAY_PROXY", "USER_CONTENT_REQUEST_PROXY"}),
    has_default_account=False,
    needs_tiktoken=False,
    own_tables=frozenset({"setups"}),
    drops_fields="thinking_budget, repetition_penalty and a tool's strict",
    arrival=Arrival(arrival.REASONS, arrival.statements, arrival.TOKENS, arrival.TOLD),
    living="deleted_at IS NULL",
    knows_unknown=False,
)


def of_image(image: str | None) -> Flavour:
    """The software in an image, by the name of its repository."""
    return NEW_API if _IS_NEW_API.fullmatch(_repository(image)) else ONE_API


def fork_in(image: str | None) -> str | None:
    """The name of another fork that an image is of by its repository, such as "one-hub"; None where it is of none."""
    found = _IS_A_FORK.fullmatch(_repository(image))
    return found[1] if found else None


def _repository(image: str | None) -> str:
    return re.sub(r"(:[^/:]*)?(@.*)?$", "", image or "")
