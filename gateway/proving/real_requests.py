"""The two requests that prove a gateway: a completion and an embedding, as its users ask for them."""

from __future__ import annotations

from client import LLMClient
from gateway.proving.broken_links import VerificationError

PROMPT = [{"role": "user", "content": "Answer with one word: which colour is the sky?"}]
TEXT = "天空是什么颜色?"
ANSWER_TOKENS = 16


def complete(client: LLMClient, model: str, seconds: float) -> str:
    """Ask for a completion. Returns "completed".

    Parameters: `seconds`, how long it may take.
    Raises LLMError, or VerificationError where the answer has no text.
    """
    answer = client.chat(model, PROMPT, timeout=seconds, max_tokens=ANSWER_TOKENS, temperature=0)
    message = answer["choices"][0].get("message") or {}
    text = message.get("content") or message.get("reasoning_content")
    if not isinstance(text, str) or not text.strip():
        raise VerificationError(f"{model} answered with an empty text; try it by hand, or set llm_model to another")
    return "completed"


def embed(client: LLMClient, model: str, dimensions: int | None, seconds: float) -> str:
    """Ask for an embedding. Returns in words how long the vector is.

    Parameters: `dimensions`, the length that it must have, None for any; `seconds`, how long it may take.
    Raises LLMError.
    """
    vector = client.embed(model, [TEXT], dimensions=dimensions, timeout=seconds)[0]
    return f"embedded ({len(vector)} dimensions)"
