"""What a gateway must hold, as it is declared: its channels, its tokens, its options, and what may be removed.

All of it is checked before any host is looked at, and all that is wrong is told, never only the first of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from llm_gateway.flavours import ChannelSpec, Invalid, TokenSpec, channel_types, values
from llm_gateway.flavours.options import KINDS, option_text
from llm_gateway.inputs import declaration_checks as fields
from llm_gateway.inputs.declaration_checks import DEFAULT_GROUP as DEFAULT_GROUP
from llm_gateway.inputs.declaration_checks import STATUSES as STATUSES
from llm_gateway.inputs.secrets import Provided
from llm_gateway.model.checks import InvalidError, takes

_OPENAI = 1
_OWN_PATH = ("proxy", "openai-compatible", "gemini-openai-compatible")
"""Types whose base URL One API takes as it is; to all others it appends /v1 or a path of theirs."""
_PRUNED = re.compile(r"(channel|token):\S(.*\S)?")


@dataclass(frozen=True)
class Channel:
    """One declared channel; `key` is the NAME of a secret, and so is each of `config` that is a credential."""

    name: str
    type: int
    base_url: str
    key: str
    models: tuple[str, ...]
    priority: int = 0
    model_mapping: Mapping[str, str] = field(default_factory=dict)
    groups: tuple[str, ...] = (DEFAULT_GROUP,)
    weight: int = 0
    status: int = STATUSES["enabled"]
    config: Mapping[str, str] = field(default_factory=dict)
    system_prompt: str = ""
    pass_through: bool = False

    @property
    def credentials(self) -> Mapping[str, str]:
        """Those fields of `config` that are credentials, with the names of their secrets."""
        return {field: name for field, name in self.config.items() if field in fields.CONFIG_SECRETS}

    @property
    def serves(self) -> tuple[str, ...]:
        """The models that a token made here gets from it: none while it is disabled, or for other groups only."""
        is_open = self.status == STATUSES["enabled"] and DEFAULT_GROUP in self.groups
        return self.models if is_open else ()

    def spec(self, secrets: Provided) -> ChannelSpec:
        """What One API is to hold, with its secrets. Raises SecretsError where one cannot be had."""
        config = {field: secrets.credential(field, name) for field, name in self.credentials.items()}
        return self._spec(secrets.require(self.key), {**self.config, **config})

    def _spec(self, key: str, config: Mapping[str, str]) -> ChannelSpec:
        return ChannelSpec(
            name=self.name,
            type=self.type,
            base_url=self.base_url,
            key=key,
            models=self.models,
            model_mapping=self.model_mapping,
            groups=self.groups,
            priority=self.priority,
            weight=self.weight,
            status=self.status,
            config=config,
            system_prompt=self.system_prompt,
            pass_through=self.pass_through,
        )

    def check(self) -> None:
        """Raise Invalid where One API would misread what each field alone does not show."""
        self.shape()

    def shape(self) -> ChannelSpec:
        """As `spec`, with names in the place of secrets."""
        return self._spec("key", self.config)


@dataclass(frozen=True)
class DeclaredToken:
    """One declared token. `quota` is its total in One API's units, None for no limit; One API chooses the key."""

    name: str
    models: tuple[str, ...] = ()
    quota: int | None = None
    expired_time: int = values.NEVER_EXPIRES
    subnets: tuple[str, ...] = ()
    status: int | None = None

    def spec(self) -> TokenSpec:
        """What One API is to hold."""
        return TokenSpec(
            name=self.name,
            expired_time=self.expired_time,
            quota=self.quota,
            models=self.models,
            subnets=self.subnets,
            status=self.status,
        )

    def check(self) -> None:
        """Raise Invalid where One API would misread it."""
        self.spec()


_Item = TypeVar("_Item", Channel, DeclaredToken)


@takes("a list of dicts", "字典的列表", ())
def channels(value: Any) -> tuple[Channel, ...]:
    """The setting `gateway_channels`. Raises InvalidError with all that is wrong."""
    return _items(value, "channel", _channel)


@takes("a list of dicts", "字典的列表", ())
def tokens(value: Any) -> tuple[DeclaredToken, ...]:
    """The setting `gateway_tokens`. Raises InvalidError with all that is wrong."""
    return _items(value, "token", _token)


@takes("a dict", "字典", {})
def options(value: Any) -> dict[str, object]:
    """The setting `gateway_options`. Raises InvalidError."""
    if not isinstance(value, Mapping):
        raise InvalidError('must be a dict, such as {"RetryTimes": 3}')
    problems = [problem for name, wanted in value.items() if (problem := _option_problem(name, wanted))]
    if problems:
        raise InvalidError(*problems)
    return dict(value)


def _option_problem(name: object, value: object) -> str | None:
    """What is wrong with one option; the value is not repeated, it may be a pasted key."""
    if not isinstance(name, str):
        return "the name of an option must be a string"
    try:
        option_text(name, value).encode()
    except Invalid as problem:
        return str(problem).partition(", not ")[0]
    except ValueError:  # a number too long to be written, or half of a surrogate pair
        return f"option {name} must be {KINDS[name].value}"
    return None


@takes(
    'False, True, or names such as `["channel:old", "token:old-host"]`',
    'False、True，或名称，例如 `["channel:old", "token:old-host"]`',
    False,
    True,
)
def prune(value: Any) -> bool | frozenset[str]:
    """The setting `gateway_prune`; on the command line names may stand with commas between them."""
    if isinstance(value, bool):
        return value
    wanted = re.split(r",(?=channel:|token:)", value) if isinstance(value, str) else value
    if not isinstance(wanted, (list, tuple)) or not all(
        isinstance(item, str) and item.isprintable() and _PRUNED.fullmatch(item) for item in wanted
    ):
        raise InvalidError('must be False, True, or names such as ["channel:old", "token:old-host"]')
    return frozenset(wanted)


def _items(value: Any, kind: str, make: Callable[[Any], _Item]) -> tuple[_Item, ...]:
    if not isinstance(value, (list, tuple)):
        raise InvalidError("must be a list of dicts")
    found, problems = [], []
    for place, item in enumerate(value, 1):
        where = f"{kind} {_label(item, place)}"
        try:
            made = make(item)
            made.check()
            found.append(made)
        except InvalidError as wrong:
            problems += [f"{where}: {problem}" for problem in wrong.problems]
        except Invalid as wrong:
            problems.append(str(wrong))
    names = [item.name for item in found]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        problems.append(f"must not contain duplicate {kind}s: {', '.join(repeated)}")
    if problems:
        raise InvalidError(*problems)
    return tuple(found)


def _label(item: Any, place: int) -> str:
    """The name, where there is one to be shown; else the place in the list."""
    try:
        return fields.name(item.get("name")) if isinstance(item, Mapping) else f"number {place}"
    except InvalidError:
        return f"number {place}"


def _channel(value: Any) -> Channel:
    checked = fields.fields_of(value, fields.CHANNEL, needed=("name", "key", "models"))
    # A type must be named for its own base URL to be meant: else the key of another provider went to OpenAI.
    kind = channel_types.channel_type(checked.setdefault("type", _OPENAI))
    if not checked.setdefault("base_url", "") and ("type" not in value or kind.needs_base_url):
        needs = (
            f'type "{kind.name}" has none of its own' if "type" in value else "only a type that is named has its own"
        )
        raise InvalidError(f"base_url is missing ({needs})")
    if checked["base_url"].endswith("/v1") and kind.name not in _OWN_PATH:
        raise InvalidError("base_url must not end in /v1: One API appends it")
    return Channel(**checked)


def _token(value: Any) -> DeclaredToken:
    checked = fields.fields_of(value, fields.TOKEN, needed=("name",))
    if "expires" in checked:
        checked["expired_time"] = checked.pop("expires")
    return DeclaredToken(**checked)
