"""What is declared right by itself, and wrong or surprising together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import product

from llm_gateway.flavours import channel_types, known
from llm_gateway.flavours.errors import Invalid, UnknownVersion
from llm_gateway.flavours.flavour import Flavour, tag_of
from llm_gateway.inputs import lost_fields
from llm_gateway.inputs.declaration_checks import DEFAULT_GROUP, STATUSES
from llm_gateway.inputs.declarations import Channel, DeclaredToken
from llm_gateway.model.suggestion import suggest

_VERSION = re.compile(r"v?[0-9]+\.[0-9]")


def served(declared: Iterable[Channel]) -> frozenset[str]:
    """The models that a token made here can use by any of these channels."""
    return frozenset(model for channel in declared for model in channel.serves)


def unserved(model: str, declared: Sequence[Channel]) -> str | None:
    """Why no declared channel serves a model, and the fix; None where one does, or where none is declared at all.

    A gateway without declared channels is one whose channels a person makes by hand.
    """
    if not declared or model in (all_served := served(declared)):
        return None
    if holders := [channel.name for channel in declared if model in channel.models]:
        return (
            f"{model} is served by no channel that is enabled and of the group {DEFAULT_GROUP}:"
            f" enable {' or '.join(holders)}, or add that group to it"
        )
    near = suggest(model, all_served)
    fix = f"{near} Otherwise add it to" if near else ": add it to"
    return f"{model} is served by no channel of gateway_channels{fix} the models of one"


def contradictions(
    declared: Sequence[Channel],
    tokens_: Sequence[DeclaredToken],
    pruned: bool | frozenset[str],
    image: str | None,
    options: Iterable[str] = (),
    environment: Iterable[str] = (),
) -> Iterator[str]:
    """What is right by itself and wrong together, as texts with the fix.

    Parameters: the settings of one host, `image` with its tag; what was refused is left out of them, or None.
    """
    flavour = known.of_image(image)
    yield from _unknown_to(flavour, declared, image, options)
    yield from (f"gateway_environment: {problem}" for problem in flavour.unread_problems(environment))
    yield from _unknown_types(declared, image)
    yield from lost_fields.problems(declared, image)
    for token in tokens_:
        for model in token.models:
            if problem := unserved(model, declared):
                yield f"gateway_tokens: token {token.name}: {problem}"
    kept = {f"channel:{each.name}" for each in declared} | {f"token:{each.name}" for each in tokens_}
    for name in sorted(kept & pruned if isinstance(pruned, frozenset) else ()):
        yield f"gateway_prune: {name} is declared as well: take it out of one of the two"


def warnings(declared: Sequence[Channel], image: str | None) -> Iterator[str]:
    """What is taken as declared, and works otherwise than its reader may expect, with the fix where there is one.

    Parameters: as of `contradictions`.
    """
    yield from lost_fields.warnings(declared, image)
    if known.of_image(image) is known.ONE_API:  # new-api sorts them, whatever they are (model/channel_cache.go)
        yield from _unheeded_priorities(declared)


def _unheeded_priorities(declared: Sequence[Channel]) -> Iterator[str]:
    """Channels of a model whose order a memory cache would not keep.

    With it (MEMORY_CACHE_ENABLED, or Redis), One API looks at priorities only where the highest of a group's channels
    of a model is above 0 (model/cache.go, CacheGetRandomSatisfiedChannel); seen of v0.6.10 with 0 and -1: 25 of 40
    calls went to the -1, with 1 and 0 none.
    """
    serving: dict[tuple[str, str], list[Channel]] = {}
    for channel in declared:
        if channel.status == STATUSES["enabled"]:
            for place in product(channel.groups, channel.models):
                serving.setdefault(place, []).append(channel)
    models: dict[tuple[tuple[str, int], ...], list[str]] = {}
    for (_, model), channels_ in serving.items():
        order = sorted({channel.priority for channel in channels_}, reverse=True)
        if len(order) > 1 and order[0] <= 0:
            named = models.setdefault(tuple((channel.name, channel.priority) for channel in channels_), [])
            named += [] if model in named else [model]
    for together, named in models.items():
        order = sorted({priority for _, priority in together}, reverse=True)
        better = {priority: len(order) - place for place, priority in enumerate(order, 1)}
        told = ", ".join(f"{name} {priority}" for name, priority in together)
        fix = ", ".join(f"{name} {better[priority]}" for name, priority in together)
        yield (
            f"gateway_channels: {', '.join(named)}: with a memory cache, One API heeds priorities only where the"
            f" highest is above 0 (priority of {told}): use {fix}"
        )


def _unknown_to(
    flavour: Flavour, declared: Sequence[Channel], image: str | None, options: Iterable[str]
) -> Iterator[str]:
    """What the gateway software has not."""
    if fork := known.fork_in(image):
        yield f"gateway_image: {fork} is neither One API nor new-api, which are all that this deployment knows"
    if not flavour.knows_unknown and _VERSION.match(tag_of(image)):
        try:
            flavour.version_of_image(image)
        except UnknownVersion as problem:
            yield f"gateway_image: {problem}"
    for name in options:
        if name not in flavour.options:
            yield f"gateway_options: {flavour.name} has no option {name}: leave it out"
    for channel in declared:
        try:
            flavour.held(channel.shape())
        except Invalid as problem:
            yield f"gateway_channels: {problem}"


def _unknown_types(declared: Sequence[Channel], image: str | None) -> Iterator[str]:
    """An image that does not know a type takes it, and fails at its requests."""
    try:
        flavour = known.of_image(image).version_of_image(image)
    except UnknownVersion:  # somebody's own tag, which tells nothing
        return
    for channel in declared:
        kind = channel_types.channel_type(channel.type)
        if not flavour.knows(kind):
            yield (
                f'gateway_channels: channel {channel.name}: {flavour.name} has no type "{kind.name}", which came with'
                f' {kind.since}: choose another type ("openai" is right for every OpenAI-compatible service), or'
                " another gateway_image"
            )
