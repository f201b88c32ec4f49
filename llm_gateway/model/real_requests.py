"""The one way of asking a model, for deploys, verification, restores, upgrades, each channel and the canary.

Nothing optional is sent: MiniMax refuses a temperature of 0, kimi-k2.5 any but 1, gpt-5 temperature and max_tokens.
Where a model needs something all the same, its refusal says so, and bills nothing: NEEDS has what is added then.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from llm_client import LLMClient, LLMStatusError
from llm_gateway.model.asking import VerificationError

PROMPT = [{"role": "user", "content": "Answer with one word: which colour is the sky?"}]
TEXT = "天空是什么颜色?"
REFUSED = (400, 422)
"""Statuses of a request that a model does not take as it is; One API tries 400 on no other channel, either."""


@dataclass(frozen=True)
class Need:
    """Something that a model wants to be sent.

    `refusal` is looked for in what the model says: an expression that Python and bash (POSIX, extended) read alike,
    in lower case. `adds` are the fields that the request gets then; None takes a field out again.
    """

    refusal: str
    adds: Mapping[str, bool | int | None]


# In the order in which they are tried, each once. DashScope's Qwen3 does not think in whole answers ("parameter.
# enable_thinking must be set to false for non-streaming calls", langchain4j#3974; ModelScope: "enable thinking can not
# be support when `stream=False`"); where it cannot but think ("restricted to True"), or where a mapping of One API's
# has lost the field on the way, it streams. QwQ only streams ("This model only support stream mode", ragflow#5912).
# Claude behind another gateway wants a limit ("max_tokens: Field required", opencode-mem#50).
NEEDS = (
    Need("enable.thinking", {"enable_thinking": False}),
    Need("enable.thinking|[^p]stream", {"stream": True, "enable_thinking": None}),
    Need("max_tokens.*(required|missing)|(required|missing).*max_tokens", {"max_tokens": 64}),
)

_WORDS_IN = ("content", "reasoning_content", "reasoning", "reasoning_details", "refusal", "tool_calls", "function_call")
"""Fields of a message in which a model's words may stand, as texts or in parts."""
_PARTS = ("text", "thinking", "summary", "data", "arguments")
"""Fields of such parts: Mistral's and Anthropic's thinking, OpenRouter's reasoning_details, calls of tools."""

ANSWERED = (
    rf'"({"|".join((*_WORDS_IN, *_PARTS))})"[[:space:]]*:[[:space:]]*"[^"]'
    r'|"finish_reason"[[:space:]]*:[[:space:]]*"length"'
)
"""The same as `has_answered`, for bash: what an answer that counts has in its JSON."""


def complete(client: LLMClient, model: str, seconds: float) -> str:
    """Ask for a completion, in the way that the model takes. Returns "completed".

    Parameters: `seconds`, how long it may take, all ways together.
    Raises LLMError, or VerificationError where the model has said nothing.
    """
    end = time.monotonic() + seconds
    needs, options = list(NEEDS), dict[str, Any]()
    while True:
        try:
            choice = _ask(client, model, seconds, options)
            break
        except LLMStatusError as refusal:
            need = _need(refusal, needs)
            seconds = end - time.monotonic()
            if need is None or seconds <= 0:
                raise
            needs.remove(need)
            options = {name: value for name, value in {**options, **need.adds}.items() if value is not None}
    if not has_answered(choice):
        raise VerificationError(f"{model} answered with an empty text; try it by hand, or set llm_model to another")
    return "completed"


def embed(client: LLMClient, model: str, dimensions: int | None, seconds: float) -> str:
    """Ask for an embedding. Returns in words how long the vector is.

    Parameters: `dimensions`, the length that it must have, None for any; `seconds`, how long it may take.
    Raises LLMError.
    """
    vector = client.embed(model, [TEXT], dimensions=dimensions, timeout=seconds)[0]
    return f"embedded ({len(vector)} dimensions)"


def has_answered(choice: Mapping[str, Any]) -> bool:
    """Whether a choice of a completion shows that its model was at work, in whichever field or form.

    One that was cut at its limit was, too: what OpenAI's models think is shown nowhere.
    """
    message = choice.get("message")
    found = [message.get(name) for name in _WORDS_IN] if isinstance(message, Mapping) else []
    return choice.get("finish_reason") == "length" or any(map(_has_words, found))


def question(model: str) -> dict[str, Any]:
    """What is asked at first, as the body of a request."""
    return {"model": model, "messages": PROMPT}


def needs_of_bash() -> Iterable[tuple[str, str]]:
    """Each need as bash takes it: the expression, and "NAME=JSON …" for the fields, with no JSON to take one out."""
    for need in NEEDS:
        adds = (f"{name}={'' if value is None else json.dumps(value)}" for name, value in need.adds.items())
        yield need.refusal, " ".join(adds)


def _ask(client: LLMClient, model: str, seconds: float, options: dict[str, Any]) -> Mapping[str, Any]:
    """The choice that the model makes. Raises LLMError."""
    if "stream" not in options:
        choice: Mapping[str, Any] = client.chat(model, PROMPT, timeout=seconds, **options)["choices"][0]
        return choice
    others = {name: value for name, value in options.items() if name != "stream"}
    stream = client.stream(model, PROMPT, timeout=seconds, **others)
    deltas = list(stream)
    # Which delta holds them does not matter: that there are words does.
    message = {name: [delta.get(name) for delta in deltas] for name in _WORDS_IN}
    return {"message": message, "finish_reason": stream.finish_reason}


def _need(refusal: LLMStatusError, left: list[Need]) -> Need | None:
    if refusal.status not in REFUSED:
        return None
    return next((need for need in left if re.search(need.refusal, refusal.summary.lower(), re.DOTALL)), None)


def _has_words(value: object) -> bool:
    if isinstance(value, str):
        return bool(value.strip())
    if isinstance(value, Mapping):
        return any(_has_words(value.get(name)) for name in (*_WORDS_IN, *_PARTS, "function"))
    return isinstance(value, list) and any(map(_has_words, value))
