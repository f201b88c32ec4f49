"""Whether a gateway that was just started does its work: its admin API, a real completion and a real embedding.

Asked at any address, published or not, with a token that its own database holds; so it proves a copy of the database
and another version of One API as well as the gateway that everybody uses.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import partial

from llm_client import LLMClient, LLMError
from llm_gateway.contents.admin import ANSWER_SECONDS
from llm_gateway.contents.desired import VERIFICATION_TOKEN
from llm_gateway.flavours import AdminError, Channel, Token
from llm_gateway.hosts.route import RouteError, route
from llm_gateway.hosts.topology import Node
from llm_gateway.inputs.model_kinds import CHAT, EMBEDDING, kind_of
from llm_gateway.model.asking import ROUNDS, Question, ask_all
from llm_gateway.model.real_requests import complete, embed

_ENABLED = 1  # One API's number for it


class ProofError(Exception):
    """The gateway does not do its work; the text says what it does instead."""


def longest(node: Node) -> float:
    """How many seconds a proof takes at most."""
    return ROUNDS * node.settings.verification_timeout + 2 * ANSWER_SECONDS


def prove(node: Node, address: str, port: int, tokens: Sequence[Token] | None = None) -> str:
    """Ask a gateway, as the host sees it there, for what its users ask it. Raises ProofError.

    Parameters: `tokens`, of which one is to be asked with where one of them can be; None: of all that it has.
    Returns what it answered, in words. A model that its database does not serve (yet) is not asked for.
    """
    base_url = f"http://{address}:{port}"
    try:
        with route(node.host, address, port) as way:
            admin = node.flavour.admin(
                base_url, access_token=node.gateway.generated.access_token, transport=way, timeout=ANSWER_SECONDS
            )
            key = usable_key(tokens or ()) or usable_key(admin.tokens())
            client = LLMClient(f"{base_url}/v1", f"sk-{key}", transport=way)
            found = list(_questions(node, client, admin.channels())) if key else []
            answers = ask_all(found, node.settings.verification_timeout)
    except RouteError as problem:
        raise ProofError(str(problem)) from None
    except AdminError as problem:
        raise ProofError(f"its admin API fails: {problem}") from None
    if problems := [answer.problem for answer in answers if answer.problem]:
        raise ProofError("; ".join(problems))
    told = [f"{answer.model} {answer.result} in {answer.seconds or 0:.2f} s" for answer in answers]
    return "; ".join(told) or "its admin API answers (it has no token and model to ask with)"


def usable_key(tokens: Sequence[Token]) -> str | None:
    """Of a token that may use any model from anywhere: a refusal would say nothing of the gateway."""
    usable = [token for token in tokens if token.status == _ENABLED and not _is_bounded(token)]
    own = [token for token in usable if token.name == VERIFICATION_TOKEN]
    return next((token.key for token in [*own, *usable]), None)


def _is_bounded(token: Token) -> bool:
    is_past = token.expired_time != -1 and token.expired_time <= time.time()
    is_used_up = not token.unlimited_quota and token.remain_quota <= 0
    return bool(is_past or is_used_up or token.models or token.subnets)


def _questions(node: Node, client: LLMClient, channels: list[Channel]) -> Iterator[Question]:
    served = [model for channel in channels if channel.status == _ENABLED for model in channel.models]
    if model := _chosen(node, node.settings.llm_model, CHAT, served):
        yield Question(model, "", partial(complete, client, model), partial(_told, model))
    if model := _chosen(node, node.settings.embedding_model, EMBEDDING, served):
        length = node.settings.embedding_dimensions if model == node.settings.embedding_model else None
        yield Question(model, "", partial(embed, client, model, length), partial(_told, model))


def _chosen(node: Node, wanted: str, kind: str, served: list[str]) -> str | None:
    """The model that agents use; where the database does not serve it yet, another of its kind."""
    if wanted in served:
        return wanted
    return next((model for model in served if kind_of(model, node.settings) == kind), None)


def _told(model: str, problem: LLMError, seconds: float) -> str:
    return f"{model}: {problem.summary}"
