"""What a gateway is asked about its declared models: one question for each model on each of its channels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import httpx

from llm_client import LLMClient, LLMConnectionError, LLMError, LLMProtocolError, LLMStatusError, LLMTimeoutError
from llm_gateway.flavours import AdminError, only
from llm_gateway.hosts.topology import Gateway
from llm_gateway.inputs.declarations import Channel
from llm_gateway.inputs.model_kinds import EMBEDDING, NONE, kind_of
from llm_gateway.model.asking import Answer, Question, VerificationError
from llm_gateway.model.real_requests import complete, embed
from llm_gateway.parts import database
from llm_gateway.proof.broken_links import OF_TOKEN, OWN_TYPES, Path, explain

ALL, CHANGED, NOTHING = "all", "changed", "none"
_ENABLED = 1  # One API's number for it


@dataclass(frozen=True)
class Served:
    """A declared model on one of the channels that declare it."""

    model: str
    channel: Channel
    kind: str
    is_routed: bool
    """Whether One API's own choice can be no other channel, so that a plain question proves its routing as well."""

    @property
    def is_asked(self) -> bool:
        """Whether there is something to ask."""
        return self.kind != NONE and self.channel.status == _ENABLED

    def unasked(self) -> Answer:
        """Its line in the table where it is not asked."""
        why = (
            "neither chat nor embedding (else: verification_model_kinds)"
            if self.kind == NONE
            else "the channel is declared disabled"
        )
        return Answer(self.model, self.channel.name, None, f"not asked: {why}")


def served_models(gateway: Gateway, scope: str) -> list[Served]:
    """The models to look at, in the order of their declaration.

    Parameters: `scope`, ALL, CHANGED (those of `gateway.changed_channels`) or NOTHING.
    """
    channels = gateway.settings.gateway_channels
    ways = Counter(model for channel in channels for model in channel.serves)
    return [
        Served(model, channel, kind_of(model, gateway.settings), ways[model] == 1 and model in channel.serves)
        for channel in channels
        if scope == ALL or (scope == CHANGED and channel.name in gateway.changed_channels)
        for model in channel.models
    ]


def channels_for(model: str, gateway: Gateway) -> list[str]:
    """The declared channels that One API chooses among for a model: those of the highest priority."""
    serving = [channel for channel in gateway.settings.gateway_channels if model in channel.serves]
    highest = max((channel.priority for channel in serving), default=0)
    return [channel.name for channel in serving if channel.priority == highest]


def questions(
    gateway: Gateway, served: Sequence[Served], key: str, transport: httpx.BaseTransport
) -> Iterator[Question]:
    """The questions for these models.

    Where several channels serve a model, One API picks one of the highest priority, so that the others would be
    proven only when they are needed. Each is therefore asked by its id, which a root user's token may append
    (One API's middleware/auth.go); the model that has one channel is asked as the users ask.

    Parameters: `key`, a token of root's without "sk-"; `transport`, the way to the gateway.
    Raises VerificationError when the ids are needed and cannot be read.
    """
    ids = {} if all(each.is_routed for each in served) else _channel_ids(gateway, transport)
    plain = _client(gateway, key, transport)
    for each in served:
        path = Path(gateway.name, gateway, each.model)
        if each.is_routed:
            ask = partial(_ask, gateway, each, plain)
            yield Question(each.model, each.channel.name, ask, partial(_explain, path))
        elif each.channel.name in ids:
            ask = partial(_ask, gateway, each, _client(gateway, f"{key}-{ids[each.channel.name]}", transport))
            yield Question(each.model, each.channel.name, ask, partial(_explain_channel, path, each.channel.name))
        else:
            missing = partial(_missing, each.channel.name)
            yield Question(each.model, each.channel.name, missing, partial(_explain, path))


def _client(gateway: Gateway, key: str, transport: httpx.BaseTransport) -> LLMClient:
    return LLMClient(f"{gateway.base_url}/v1", f"sk-{key}", transport=transport)


def _channel_ids(gateway: Gateway, transport: httpx.BaseTransport) -> dict[str, int]:
    """The ids as they are now: what was read of the host may be older than the channels that this run has made."""
    # Not closed: that would close the transport.
    admin = gateway.node.flavour.admin(
        gateway.base_url, access_token=gateway.generated.access_token, transport=transport
    )
    try:
        rows = admin.channels()
        declared = [only(rows, channel.name) for channel in gateway.settings.gateway_channels]
    except AdminError as problem:
        raise VerificationError(f"the gateway's channels cannot be read: {database.told(gateway, problem)}") from None
    return {row.name: row.id for row in declared if row is not None}


def _missing(channel: str, seconds: float) -> str:
    raise VerificationError(f"the gateway has no channel {channel}: deploy (pyinfra inventory.py deploy.py)")


def _ask(gateway: Gateway, served: Served, client: LLMClient, seconds: float) -> str:
    if served.kind != EMBEDDING:
        return complete(client, served.model, seconds)
    settings = gateway.settings
    wanted = settings.embedding_dimensions if served.model == settings.embedding_model else None
    return embed(client, served.model, wanted, seconds)


def _explain(path: Path, problem: LLMError, seconds: float) -> str:
    return explain(path, problem, seconds) + _hint(problem, path.model)


def _explain_channel(path: Path, channel: str, problem: LLMError, seconds: float) -> str:
    """The same for a question to one channel, which a gateway refuses where that is disabled."""
    is_own = problem.error_type in OWN_TYPES
    if is_own and problem.status == 403 and problem.error_code not in OF_TOKEN:
        return (
            f"channel {channel} cannot be asked for {path.model}: {problem.summary}. If somebody has disabled it,"
            " enable it in the admin page, or declare it disabled"
        )
    told = _explain(path, problem, seconds)
    is_of_all_channels = isinstance(problem, LLMConnectionError) or (is_own and problem.status in (401, 403))
    return told if is_of_all_channels else f"channel {channel}: {told}"


def _hint(problem: LLMError, model: str) -> str:
    """For what a model of another kind may be the cause of."""
    if problem.error_type in OWN_TYPES or problem.reason:  # the gateway and the provider say what is wrong themselves
        return ""
    if isinstance(problem, (LLMTimeoutError, LLMConnectionError)) or problem.status in (401, 403, 429, 502, 503, 504):
        return ""
    if not isinstance(problem, (LLMStatusError, LLMProtocolError)) or problem.code == "LLM_BAD_VECTOR":
        return ""
    declared = f'verification_model_kinds = {{"{model}": "embedding"}}'
    return f'. If it is a model of another kind, say so: {declared}, or "none"'
