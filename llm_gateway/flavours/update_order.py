"""The order of channel updates in which no model is without a channel in between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from llm_gateway.flavours import values
from llm_gateway.flavours.shapes import Channel
from llm_gateway.flavours.specs import ChannelSpec

Serves = frozenset[tuple[str, str]]
"""Pairs of a group and a model: what routing looks up."""


@dataclass(frozen=True)
class Update:
    """A channel that is there and what it is to become."""

    channel: Channel
    spec: ChannelSpec

    @property
    def added(self) -> Serves:
        return serves(self.spec) - serves(self.channel)

    @property
    def taken(self) -> Serves:
        return serves(self.channel) - serves(self.spec)


def serves(channel: Channel | ChannelSpec) -> Serves:
    """What a channel serves: nothing while it is disabled."""
    if channel.status != values.ENABLED:
        return frozenset()
    return frozenset((group, model) for group in channel.groups for model in channel.models)


def ordered(
    updates: Iterable[Update], *, before: Iterable[Channel], made: Iterable[ChannelSpec], removed: Iterable[Channel]
) -> list[Update]:
    """Return `updates` in the order to carry them out, after what is made and before what is removed.

    Where models change places between channels, no order will do; such an update comes back in two:
    first the models are added, and at its second turn the old ones are taken away.

    Args:
        updates: to be ordered; each channel once.
        before: all channels that are there now.
        made: channels to be made first.
        removed: channels to be removed last.
    """
    updates = list(updates)
    before = list(before)
    final = {update.channel.id: serves(update.spec) for update in updates}
    final.update({channel.id: frozenset() for channel in removed})
    now: Counter[tuple[str, str]] = Counter()
    end: set[tuple[str, str]] = set()
    for channel in before:
        now.update(serves(channel))
        end |= final.get(channel.id, serves(channel))
    kept = set(now)
    for spec in made:
        now.update(serves(spec))
        end |= serves(spec)
    return _in_turn(updates, now, kept & end)


def _in_turn(updates: list[Update], now: Counter[tuple[str, str]], kept: set[tuple[str, str]]) -> list[Update]:
    """First what only adds, then what also takes away as soon as it may, last what only takes away."""
    turn = [update for update in updates if not update.taken]
    mixed = [update for update in updates if update.taken and update.added]
    taking = [update for update in updates if update.taken and not update.added]
    for update in turn:
        now.update(update.added)
    while mixed:
        next_one = next((each for each in mixed if not _blocked(each, now, kept)), None)
        if next_one is None:
            next_one = mixed[0]
            wide = _widened(next_one, _blocked(next_one, now, kept))
            turn.append(wide)
            now.update(wide.added)
            taking.append(Update(_as_if(next_one.channel, wide.spec), replace(next_one.spec, key="")))
        else:
            turn.append(next_one)
            now.update(next_one.added)
            now.subtract(next_one.taken)
        mixed.remove(next_one)
    return turn + taking


def _blocked(update: Update, now: Counter[tuple[str, str]], kept: set[tuple[str, str]]) -> Serves:
    """What the update would take away though no other channel serves it yet."""
    return frozenset(pair for pair in update.taken & kept if now[pair] <= 1)


def _widened(update: Update, blocked: Serves) -> Update:
    """All of the update, but what is blocked stays for now."""
    spec = update.spec
    groups = dict.fromkeys((*spec.groups, *sorted(group for group, _ in blocked)))
    models = dict.fromkeys((*spec.models, *sorted(model for _, model in blocked)))
    return Update(update.channel, replace(spec, models=tuple(models), groups=tuple(groups)))


def _as_if(channel: Channel, spec: ChannelSpec) -> Channel:
    """The channel once it is what `spec` says."""
    return replace(
        channel,
        type=spec.type,
        base_url=spec.base_url,
        models=spec.models,
        model_mapping=spec.model_mapping,
        groups=spec.groups,
        priority=spec.priority,
        weight=spec.weight,
        status=spec.status,
        config=values.filled(spec.config),
        system_prompt=spec.system_prompt,
        pass_through=spec.pass_through,
    )
