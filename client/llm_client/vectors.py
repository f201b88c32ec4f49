"""Embeddings: out of an answer, in the order of the inputs, and fit for use."""

from __future__ import annotations

import base64
import binascii
import math
import struct
from collections.abc import Sequence

from .answers import Reply, json_answer
from .errors import LLMProtocolError


def embedding_vectors(reply: Reply, expected: int, dimensions: int | None) -> list[list[float]]:
    """Return one vector for each of the `expected` inputs, ordered by their index.

    Args:
        reply: the answer.
        expected: number of inputs.
        dimensions: the length that was asked for, if one was; some upstreams ignore it.

    Raises:
        LLMStatusError: the status is not 2xx.
        LLMProtocolError: fewer, more, or other things than vectors; code ``LLM_BAD_VECTOR`` where they have
            another length than was asked for, or nothing but zeros.
    """
    rows = json_answer(reply).get("data")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _wrong(reply, "an answer without embeddings")
    if len(rows) != expected:
        raise _wrong(reply, f"{len(rows)} embeddings for {expected} inputs")
    placed: dict[int, list[float]] = {}
    for position, row in enumerate(rows):
        index = position if row.get("index") is None else row["index"]
        if isinstance(index, int) and not isinstance(index, bool):
            placed[index] = _vector(reply, row.get("embedding"))
    if set(placed) != set(range(expected)):
        raise _wrong(reply, "embeddings whose index does not count the inputs")
    vectors = [placed[number] for number in range(expected)]
    if len({len(vector) for vector in vectors}) != 1:
        raise _wrong(reply, "embeddings of different lengths")
    for vector in vectors:
        problem = vector_problem(vector, dimensions or len(vector))
        if problem is not None:
            raise _wrong(reply, f"a vector that must not be stored: {problem}", code="LLM_BAD_VECTOR")
    return vectors


def vector_problem(vector: Sequence[float], dimensions: int) -> str | None:
    """Say in words why `vector` must not be stored, or return None when it is good.

    Some gateways ignore the `dimensions` they are asked for, and some clients misread a vector as
    zeros: both look like success until the vector store refuses or finds nothing. `embed` checks what it
    was asked for; this is for vectors from elsewhere.
    """
    if len(vector) != dimensions:
        return f"it has {len(vector)} dimensions, not {dimensions}"
    if not math.hypot(*vector) > 0:
        return "all of its numbers are zero"
    return None


def _vector(reply: Reply, value: object) -> list[float]:
    numbers = _decoded(value) if isinstance(value, str) else value
    if not isinstance(numbers, list) or not numbers:
        raise _wrong(reply, "an embedding that is not a list of numbers")
    if not all(type(number) is float or type(number) is int for number in numbers):
        raise _wrong(reply, "an embedding that holds something else than numbers")
    if not all(map(_finite, numbers)):
        raise _wrong(reply, "an embedding with a number that is not finite")
    return [float(number) for number in numbers]


def _decoded(text: str) -> list[float] | None:
    """Little-endian 32-bit floats in base64, as OpenAI sends them; None if it is not that."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(raw) % 4:
        return None
    return list(struct.unpack(f"<{len(raw) // 4}f", raw))


def _finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # a whole number that no float can hold
        return False


def _wrong(reply: Reply, what: str, code: str | None = None) -> LLMProtocolError:
    summary = f"HTTP {reply.status} with {what}"
    return LLMProtocolError(summary, code=code, status=reply.status, request_id=reply.request_id)
