"""What a channel or a token should be, checked before One API can misread it."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from llm_gateway.flavours import values
from llm_gateway.flavours.errors import Invalid
from llm_gateway.model.suggestion import suggest


@dataclass(frozen=True)
class ChannelSpec:
    """A channel to make, or to make an existing one into.

    Args:
        name: how it is found again; One API does not keep names unique, this client's users do.
        type: One API's number; 1 is OpenAI and all that is like it.
        base_url: without ``/v1`` and trailing slash (One API appends ``/v1/...``; type 50 keeps
            its own ``/v1``); empty for the default of the type.
        key: the provider's; empty only to keep an existing channel's.
        models: the names it serves.
        model_mapping: asked-for name to upstream name, where they differ.
        groups: the user groups that may use it.
        priority: the highest one that serves a model wins.
        weight: stored, but not used by One API's routing.
        status: 1 enabled, 2 disabled.
        config: what some types need beside the key, such as `api_version` for Azure; it may hold
            secrets (`sk`). An empty value is the same as none.
        system_prompt: put in the place of the caller's; v0.6.10 does so only for models that it maps to another name.
        pass_through: whether requests go on as they came. One API sends them so (but to types that have a form of their
            own); new-api drops fields that it does not know.

    Raises:
        Invalid: a value that One API would store and then misread.
    """

    name: str
    type: int
    base_url: str
    key: str = field(repr=False)
    models: tuple[str, ...]
    model_mapping: Mapping[str, str] | None = None
    groups: tuple[str, ...] = ("default",)
    priority: int = 0
    weight: int = 0
    status: int = values.ENABLED
    config: Mapping[str, str] = field(default_factory=dict, repr=False)
    system_prompt: str = field(default="", repr=False)
    pass_through: bool = False

    def __post_init__(self) -> None:
        where = f"channel {self.name!r}"
        _check_name(self.name, "channel name")
        _require(self.type > 0, f"{where}: type must be above zero")
        _check_base_url(self.base_url, where)
        _require(
            all("!" <= c <= "~" for c in self.key),
            f"{where}: the key holds a blank, a line break or a non-ASCII character",
        )
        _check_list(self.models, f"{where}: models")
        _check_list(self.groups, f"{where}: groups")
        _require(self.status in (1, 2), f"{where}: status must be 1 (enabled) or 2 (disabled)")
        _require(0 <= self.weight in values.INT64, f"{where}: weight must be a whole number from 0")
        _require(self.priority in values.INT64, f"{where}: priority must be a whole number of 64 bits")
        for name, value in self.config.items():
            _check_config_field(name, value, where)
        _require(
            len(self.mapping_text) <= values.MODEL_MAPPING_CHARACTERS,
            f"{where}: model_mapping is longer than {values.MODEL_MAPPING_CHARACTERS} characters",
        )

    @property
    def mapping_text(self) -> str:
        """The model mapping as One API stores it: JSON, or empty."""
        if not self.model_mapping:
            return ""
        return json.dumps(dict(self.model_mapping), ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True)
class TokenSpec:
    """A token to make, or to make an existing one into; One API chooses the key.

    Args:
        name: at most 30 bytes.
        expired_time: seconds since 1970; -1 is never.
        quota: all that it may ever use, in One API's unit (500,000 to the dollar by default), what it
            has used included; None is unlimited (its use is then not counted on it).
        models: the only ones it may use; empty for all.
        subnets: the only client networks (CIDR) it may come from; empty for all.
        status: 1 enabled, 2 disabled, None to leave that to a person.
        has_budget: whether a status of 4 (quota used up) is a budget's doing, which it takes back itself.

    Raises:
        Invalid: a value that One API would refuse or misread.
    """

    name: str
    expired_time: int = values.NEVER_EXPIRES
    quota: int | None = None
    models: tuple[str, ...] = ()
    subnets: tuple[str, ...] = ()
    status: int | None = None
    has_budget: bool = False

    def __post_init__(self) -> None:
        where = f"token {self.name!r}"
        _check_name(self.name, "token name")
        size = len(self.name.encode())
        _require(
            size <= values.TOKEN_NAME_BYTES,
            f"{where}: the name has {size} bytes; a gateway takes {values.TOKEN_NAME_BYTES}",
        )
        _require(
            self.expired_time == values.NEVER_EXPIRES or self.expired_time > 0,
            f"{where}: expired_time must be -1 (never) or seconds since 1970",
        )
        _require(
            self.quota is None or 0 <= self.quota in values.INT64,
            f"{where}: quota must be a whole number from 0, or None for unlimited",
        )
        _require(
            self.status in (None, values.ENABLED, values.DISABLED),
            f"{where}: status must be 1 (enabled), 2 (disabled) or None",
        )
        if self.models:
            _check_list(self.models, f"{where}: models")
        for subnet in self.subnets:
            _check_subnet(subnet, where)


def check_password(password: str) -> None:
    """Raise Invalid unless One API takes `password`: 8 to 20 characters, or it answers "no"."""
    allowed = values.PASSWORD_CHARACTERS
    _require(password.isprintable(), "the password holds a control character")
    _require(
        len(password) in allowed,
        f"the password has {len(password)} characters; a gateway takes {allowed.start} to {allowed.stop - 1}",
    )


def _check_name(name: str, what: str) -> None:
    _require(
        bool(name) and name == name.strip() and name.isprintable(),
        f"{what} {name!r} must be a string without blanks around it",
    )


def _check_list(items: tuple[str, ...], what: str) -> None:
    """One API splits at commas and trims nothing: ``"a, b"`` makes the model ``" b"``."""
    _require(bool(items) and not isinstance(items, str), f"{what} must name at least one")
    for item in items:
        _require(
            bool(item) and "," not in item and item == item.strip() and item.isprintable(),
            f"{what}: {item!r} must not be empty, hold a comma, or have blanks around it",
        )
    _require(len(set(items)) == len(items), f"{what}: one is named twice")


def _check_base_url(base_url: str, where: str) -> None:
    if not base_url:
        return
    has_host = base_url.startswith(("http://", "https://")) and len(base_url.split("/")[2]) > 0
    _require(
        has_host and not any(c.isspace() for c in base_url),
        f"{where}: base_url must begin with http:// or https:// and a host",
    )
    _require(not base_url.endswith("/"), f"{where}: base_url must not end with a slash")


def _check_config_field(name: str, value: str, where: str) -> None:
    known = values.CONFIG_FIELDS
    _require(name in known, f"{where}: config has no field {name!r}{suggest(name, known)}")
    _require(isinstance(value, str), f"{where}: config {name} must be a string")


def _check_subnet(subnet: str, where: str) -> None:
    try:
        ipaddress.ip_network(subnet, strict=False)
    except ValueError:
        valid = False
    else:
        valid = "/" in subnet
    _require(valid, f"{where}: subnet {subnet!r} must be a network such as 100.64.0.0/10")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise Invalid(message)
