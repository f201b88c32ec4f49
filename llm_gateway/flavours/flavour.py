"""What differs between the gateway software that a deployment knows: one object each, found by the image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import httpx

from llm_gateway.flavours.carrying import Arrival
from llm_gateway.flavours.channel_types import ChannelType
from llm_gateway.flavours.contents import Admin
from llm_gateway.flavours.errors import UnknownVersion
from llm_gateway.flavours.options import is_same
from llm_gateway.flavours.shapes import Status
from llm_gateway.flavours.specs import ChannelSpec
from llm_gateway.model.budgets import TokenTable
from llm_gateway.model.usage import UsageLog


class Version(Protocol):
    """One version of one gateway software."""

    @property
    def name(self) -> str:
        """What people call it, such as ``One API v0.6.10``."""
        ...

    def is_version(self, version: str) -> bool:
        """Whether a gateway that gives this version, or an image of this tag, is it."""
        ...

    def knows(self, kind: ChannelType) -> bool:
        """Whether its relay can serve this kind of channel."""
        ...

    @property
    def is_newer_in_bodies(self) -> bool:
        """Whether a channel's system prompt counts for every model, and mapped requests keep their reasoning fields."""
        ...


class MakeAdmin(Protocol):
    """How a client of its admin API is made: see `AdminAPI`."""

    def __call__(
        self,
        base_url: str,
        *,
        access_token: str | None = None,
        transport: httpx.BaseTransport | None = None,
        timeout: float = 10.0,
    ) -> Admin: ...


@dataclass(frozen=True)
class Reads:
    """What is read of a gateway on its host, without a question of ours: paths of its admin API.

    Args:
        channels, tokens, options: the first page of each list.
        header: a further line of such a request; "" for none.
        keys: where the keys of tokens are told by their ids, which is read in the database; "" where `tokens` has them.
    """

    channels: str
    tokens: str
    options: str
    header: str = ""
    keys: str = ""


@dataclass(frozen=True)
class Flavour:
    """One gateway software.

    Args:
        name: what people call it.
        admin: makes a client of its admin API.
        version_of: a version by what `Status.version` or an image's tag says. Raises UnknownVersion.
        usage_log: what the rows of its log mean.
        token_table: where it keeps its tokens, and how one is switched off by a budget.
        reads: what is read of it on its host.
        held: a declared channel as it holds and lists it. Raises Invalid where it has nothing like it.
        options: the names of those that may be declared.
        option_defaults: what options are before anybody sets them, by name; without ratios.
        default_options: those that hold unless they are declared otherwise.
        environment: variables of its container, by name, in the place of One API's, which the templates have.
        unread: variables of One API that it does not read, and without which it asks providers another way.
        has_default_account: whether it begins with an account that everybody knows, and takes an access token for it.
        needs_tiktoken: whether it counts tokens by files that it would fetch.
        own_tables: names of tables that no other software of these has.
        drops_fields: examples of fields that it drops from a request that is not mapped; "" where it drops none.
        arrival: how a database of the other software is brought to it.
        living: a condition in SQL for the rows of `tokens` that have not been deleted.
        knows_unknown: whether a version that is not known is taken for a known one.
    """

    name: str
    admin: MakeAdmin
    version_of: Callable[[str], Version]
    usage_log: UsageLog
    token_table: TokenTable
    reads: Reads
    held: Callable[[ChannelSpec], ChannelSpec]
    options: frozenset[str]
    option_defaults: Mapping[str, str]
    default_options: Mapping[str, object]
    environment: Mapping[str, str]
    unread: frozenset[str]
    has_default_account: bool
    needs_tiktoken: bool
    own_tables: frozenset[str]
    drops_fields: str
    arrival: Arrival
    living: str
    knows_unknown: bool

    def problem_of(self, status: Status) -> str | None:
        """Why what answers is not this software, or not in a version that is known; None where it is."""
        if status.is_new_api == self.has_default_account:
            there = "new-api" if status.is_new_api else "One API"
            return (
                f"what answers is {there} {status.version}, and gateway_image names {self.name}: give the image a name"
                f" whose repository {'ends in' if status.is_new_api else 'does not end in'} new-api"
            )
        try:
            self.version_of(status.version)
        except UnknownVersion as problem:
            return None if self.knows_unknown else str(problem)
        return None

    def unread_problems(self, names: Iterable[str]) -> Iterator[str]:
        """What is wrong with variables of these names, as texts with the fix."""
        for name in sorted(self.unread.intersection(names)):
            yield f"{self.name} does not read {name}: give it the proxy by HTTPS_PROXY, and leave {name} out"

    def is_default(self, name: str, text: str) -> bool:
        """Whether the text of an option is in effect its default; False for ratios, whose default is not known."""
        return name in self.option_defaults and is_same(name, self.option_defaults[name], text)

    def version_of_image(self, image: str | None) -> Version:
        """The version that an image's tag names. Raises UnknownVersion."""
        return self.version_of(tag_of(image))


def tag_of(image: str | None) -> str:
    """The tag in an image's name; "" where it has none, or is named by a digest alone."""
    name = (image or "").partition("@")[0]
    return name.rpartition(":")[2] if ":" in name.rpartition("/")[2] else ""
