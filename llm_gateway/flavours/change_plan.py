"""What has to be done so that a gateway holds what is declared: looked at, put in order, and said in words.

actual = Actual(admin.channels(), admin.tokens(), admin.options())
for change in plan(declared, actual, ours=ours, rotated=frozenset(), prune=False):
    print(change)
    carry_out(change, admin)
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from llm_gateway.flavours import compare, options
from llm_gateway.flavours.apply import carry_out
from llm_gateway.flavours.changes import Change, Kind, Work
from llm_gateway.flavours.errors import Ambiguous, Invalid
from llm_gateway.flavours.shapes import Channel, Token
from llm_gateway.flavours.specs import ChannelSpec, TokenSpec
from llm_gateway.flavours.update_order import Update, ordered

_Item = TypeVar("_Item", Channel, Token)

__all__ = ["Actual", "Change", "Declared", "Ours", "carry_out", "plan"]


@dataclass(frozen=True)
class Declared:
    """What a gateway should hold. `options` are Python values by the names of `options.KINDS`."""

    channels: tuple[ChannelSpec, ...] = ()
    tokens: tuple[TokenSpec, ...] = ()
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Actual:
    """What it holds, as `AdminClient.channels`, `tokens` and `options` list it."""

    channels: Sequence[Channel]
    tokens: Sequence[Token]
    options: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class Ours:
    """Names of the channels and tokens that earlier runs made or took over."""

    channels: frozenset[str] = frozenset()
    tokens: frozenset[str] = frozenset()


def plan(
    declared: Declared,
    actual: Actual,
    *,
    ours: Ours,
    rotated: frozenset[str],
    prune: bool | frozenset[str],
    again: frozenset[str] = frozenset(),
    unstored: frozenset[str] = frozenset(),
    now: float | None = None,
) -> list[Change]:
    """Return what has to be changed, in the order to do it; empty when nothing has to. Asks nobody.

    First comes what closes the gateway to strangers, then channels in an order that leaves no model
    without one in between (one update may come in two parts for that), tokens, other options, and last
    what is removed.

    Args:
        declared: what should be.
        actual: what is.
        ours: what may be removed because it is ours. Nothing else is, unless it is named in `prune`.
        rotated: names of the channels whose key has changed, and is to be sent.
        again: names of the channels to be written, key and all, though nothing may be seen of a
            difference: because a person wants it, or because their last write is not known to have
            been finished. One API writes a channel and what its routing reads of it one after the
            other, and shows only the first. So whoever keeps a record takes a channel out of it
            before `carry_out`, puts it back after it, and gives here the ones that are not in it.
        prune: False removes nothing; True what is in `ours` and no longer declared; a set of
            ``channel:NAME`` and ``token:NAME`` these alone, whoever made them.
        unstored: names of the options to be set though they are listed as declared: One API lists what it has in
            memory, also where its database has not taken it. They are marked and given here as channels in `again`.
        now: seconds since 1970, to tell whether a token is past its time; the present when None.

    Raises:
        Ambiguous: two channels or tokens have a name that is declared or to be removed.
        Invalid: a value that One API cannot have, no key where one is to be sent, or `prune` names
            something that is declared.
    """
    texts = {name: options.option_text(name, value) for name, value in declared.options.items()}
    removed_channels = _removed("channel", declared.channels, actual.channels, ours.channels, prune)
    removed_tokens = _removed("token", declared.tokens, actual.tokens, ours.tokens, prune)
    option_changes = [*_option_changes(texts, actual.options, unstored)]
    return [
        *(change for change in option_changes if _closes(change)),
        *_channel_changes(declared.channels, actual.channels, removed_channels, _keys(rotated, again)),
        *_token_changes(declared.tokens, actual.tokens, time.time() if now is None else now),
        *(change for change in option_changes if not _closes(change)),
        *(Change("-", "token", token.name, work=Work(id=token.id)) for token in removed_tokens),
        *(Change("-", "channel", channel.name, work=Work(id=channel.id)) for channel in removed_channels),
    ]


def _removed(
    kind: Kind,
    declared: Iterable[ChannelSpec | TokenSpec],
    actual: Sequence[_Item],
    ours: frozenset[str],
    prune: bool | frozenset[str],
) -> list[_Item]:
    """What is to be removed; two of one name are told, among these and among the declared names."""
    counted = Counter(spec.name for spec in declared)
    for name, times in counted.items():
        if times > 1:
            raise Ambiguous(f"{kind} {name!r} is declared {times} times: keep one of them")
        _only(kind, actual, name)
    names = sorted(_names_to_remove(kind, frozenset(counted), ours, prune))
    return [item for name in names if (item := _only(kind, actual, name)) is not None]


def _names_to_remove(
    kind: Kind, declared: frozenset[str], ours: frozenset[str], prune: bool | frozenset[str]
) -> frozenset[str]:
    if isinstance(prune, bool):
        return ours - declared if prune else frozenset()
    for entry in prune:
        if not entry.startswith(("channel:", "token:")) or entry.endswith(":"):
            raise Invalid(f"prune names {entry!r}: each entry must be channel:NAME or token:NAME")
    names = frozenset(entry.removeprefix(f"{kind}:") for entry in prune if entry.startswith(f"{kind}:"))
    if both := sorted(names & declared):
        raise Invalid(f"prune names {kind}:{both[0]}, which is declared: take it out of the one or the other")
    return names


def _only(kind: Kind, items: Sequence[_Item], name: str) -> _Item | None:
    try:
        return compare.only(items, name)
    except Ambiguous as problem:
        text = str(problem)
    raise Ambiguous(f"{kind}s: {text}")


def _keys(rotated: frozenset[str], again: frozenset[str]) -> Mapping[str, str]:
    """The channels whose key is sent, and what is told of it."""
    return {**dict.fromkeys(again, compare.KEY_AGAIN), **dict.fromkeys(rotated, compare.KEY_CHANGED)}


def _channel_changes(
    declared: Sequence[ChannelSpec], actual: Sequence[Channel], removed: Sequence[Channel], keys: Mapping[str, str]
) -> Iterator[Change]:
    there = {channel.name: channel for channel in actual}
    made = [spec for spec in declared if spec.name not in there]
    for spec in declared:
        if not spec.key and (spec.name in keys or spec.name not in there):
            raise Invalid(f"channel {spec.name!r} needs a key: it is not there yet, or its key is to be sent")
    for spec in made:
        yield Change("+", "channel", spec.name, work=Work(channel=spec))
    known = [spec for spec in declared if spec.name in there]
    sent = [spec if spec.name in keys else replace(spec, key="") for spec in known]
    updates = [Update(there[spec.name], spec) for spec in sent]
    needed = [update for update in updates if _details(update, keys)]
    for update in ordered(needed, before=actual, made=made, removed=removed):
        work = Work(id=update.channel.id, channel=update.spec)
        yield Change("~", "channel", update.spec.name, _details(update, keys), work)


def _details(update: Update, keys: Mapping[str, str]) -> tuple[str, ...]:
    told = (keys[update.spec.name],) if update.spec.key else ()
    return (*compare.channel_differences(update.channel, update.spec), *told)


def _token_changes(declared: Sequence[TokenSpec], actual: Sequence[Token], now: float) -> Iterator[Change]:
    there = {token.name: token for token in actual}
    for spec in declared:
        token = there.get(spec.name)
        if token is None:
            yield Change("+", "token", spec.name, work=Work(spec=spec))
            continue
        details = compare.token_differences(token, spec)
        status = compare.token_status_wanted(token, spec, now)
        if details or status is not None:
            said = () if status is None else (compare.token_status_difference(token, status),)
            work = Work(id=token.id, spec=spec, token=token, is_rewritten=bool(details), status=status)
            yield Change("~", "token", spec.name, (*details, *said), work)


def _option_changes(texts: Mapping[str, str], actual: Mapping[str, str], unstored: frozenset[str]) -> Iterator[Change]:
    """Switches last: One API refuses some of them until the texts that they need are there."""
    for name in sorted(texts, key=lambda name: options.KINDS[name] is options.Kind.SWITCH):
        details = compare.option_differences(name, texts[name], actual.get(name))
        if not details and name in unstored:
            details = (compare.SET_AGAIN,)
        if details:
            text = options.merged(name, texts[name], actual.get(name, ""))
            yield Change("~", "option", name, details, Work(text=text))


def _closes(change: Change) -> bool:
    return change.name in options.CLOSING and change.work.text == "false"
