"""What One API drops of requests that it writes anew: those for a mapped model, and those with a system prompt.

Seen of v0.6.10 and read in its `relay/controller/text.go`: the request for a model that is not mapped goes on byte for
byte, and the channel's system prompt is lost, though One API's log says that it was set; a mapping of a model to itself
is none. From v0.6.11-preview.4 on a system prompt counts for every model (one-api#2069).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from llm_gateway.flavours import channel_types, known
from llm_gateway.flavours.errors import UnknownVersion
from llm_gateway.inputs.declarations import Channel

_LOST = (
    "enable_thinking, thinking, chat_template_kwargs, extra_body, repetition_penalty and what else a provider takes"
    " beyond OpenAI's fields; a tool's `strict`; a tool call's `index`; a message's cache_control"
)
_LOST_BEFORE = "; reasoning_effort, and reasoning_content of earlier messages"


def problems(declared: Iterable[Channel], image: str | None) -> Iterator[str]:
    """What is declared and would have no effect, with the fix."""
    if known.of_image(image).drops_fields or _is_newer(image):
        return
    for channel in declared:
        if channel.system_prompt and _passes_on(channel) and not mapped(channel):
            first = channel.models[0]
            yield (
                f"gateway_channels: channel {channel.name}: system_prompt has no effect: One API v0.6.10 adds it"
                " only for models that are mapped to another name. Serve them by names of your own"
                f' (models = ["my-{first}"], model_mapping = {{"my-{first}": "{first}"}}), or take system_prompt out'
            )


def warnings(declared: Iterable[Channel], image: str | None) -> Iterator[str]:
    """What gets lost on the way through the declared channels, though it is wanted as it is declared."""
    if (software := known.of_image(image)).drops_fields:
        whole = [channel.name for channel in declared if not channel.pass_through and _passes_on(channel)]
        if whole:
            yield (
                f"channel {_listed(whole)}: {software.name} drops fields of requests that it does not know, such as"
                f" {software.drops_fields}; pass_through sends them on"
            )
        return
    is_newer = _is_newer(image)
    for channel in declared:
        if not _passes_on(channel):
            continue
        prompted = bool(channel.system_prompt)
        names = channel.models if prompted and is_newer else mapped(channel)
        if not names:
            continue
        why = "have a system prompt" if prompted and is_newer else "are mapped to another name"
        yield (
            f"channel {channel.name}: {_listed(names)} {why}, so One API writes the requests anew and drops {_LOST}"
            f"{'' if is_newer else _LOST_BEFORE}; a `seed` above 2^53 is rounded"
        )
        if prompted:
            others = [model for model in channel.models if model not in names]
            but = f"; {_listed(others)} are asked without it" if others else ""
            told = f"its system_prompt takes the place of the caller's own for {_listed(names)}"
            yield f"channel {channel.name}: {told}{but}"


def mapped(channel: Channel) -> list[str]:
    """The channel's models that the provider is asked for by another name."""
    return [model for model in channel.models if channel.model_mapping.get(model, model) != model]


def _passes_on(channel: Channel) -> bool:
    return channel_types.channel_type(channel.type).passes_on


def _is_newer(image: str | None) -> bool:
    try:
        return known.of_image(image).version_of_image(image).is_newer_in_bodies
    except UnknownVersion:  # somebody's own tag: the stable version is the likelier one
        return False


def _listed(names: Iterable[str]) -> str:
    shown = list(names)
    return ", ".join(shown[:3]) + (f" and {len(shown) - 3} more" if len(shown) > 3 else "")
