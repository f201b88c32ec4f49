"""Embeddings: batches, order, encodings, and what is refused (no network)."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest
from test_client import client_for

from llm_client import LLMConfigError, LLMProtocolError, vector_problem
from llm_client.http_library import httpx


def rows_for(request: httpx.Request) -> list[dict[str, Any]]:
    texts = json.loads(request.content)["input"]
    return [{"index": i, "embedding": [float(text), 1]} for i, text in enumerate(texts)]


def test_embeddings_are_asked_for_in_batches_and_keep_their_order() -> None:
    sent: list[dict[str, Any]] = []

    def handler(request: httpx.Request) -> httpx.Response:
        sent.append(json.loads(request.content))
        return httpx.Response(200, json={"data": rows_for(request)[::-1]})

    texts = [str(number) for number in range(23)]
    vectors = client_for(handler).embed("e", texts, dimensions=2)
    assert vectors == [[float(number), 1.0] for number in range(23)]
    assert [len(body["input"]) for body in sent] == [10, 10, 3]
    assert all(body["encoding_format"] == "float" and body["dimensions"] == 2 for body in sent)


def test_base64_embeddings_are_decoded() -> None:
    packed = base64.b64encode(struct.pack("<3f", 0.5, -1.0, 2.0)).decode()
    reply = httpx.Response(200, json={"data": [{"index": 0, "embedding": packed}]})
    assert client_for(reply).embed("e", ["x"]) == [[0.5, -1.0, 2.0]]


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0]}],
        [{"index": 3, "embedding": [1.0]}],
        [{"index": [], "embedding": [1.0]}],
        [{"index": 0}],
        [{"index": 0, "embedding": []}],
        [{"index": 0, "embedding": ["a"]}],
        [{"index": 0, "embedding": [True]}],
        [{"index": 0, "embedding": [10**400]}],
        [{"index": 0, "embedding": "AAA="}],
        [{"index": 0, "embedding": base64.b64encode(struct.pack("<f", float("nan"))).decode()}],
        ["x"],
    ],
)
def test_embeddings_of_a_wrong_shape_are_refused(data: object) -> None:
    with pytest.raises(LLMProtocolError):
        client_for(httpx.Response(200, json={"data": data})).embed("e", ["x"])


@pytest.mark.parametrize(
    "arguments",
    [{"inputs": "text"}, {"inputs": []}, {"inputs": [1]}, {"dimensions": 0}, {"timeout": 0}],
)
def test_bad_embedding_arguments_are_configuration_errors(arguments: dict[str, Any]) -> None:
    with pytest.raises(LLMConfigError):
        client_for(httpx.Response(200)).embed(**{"model": "e", "inputs": ["x"], **arguments})


def test_a_vector_is_judged() -> None:
    assert vector_problem([0.6, 0.8], 2) is None
    assert vector_problem([0.6], 2) == "it has 1 dimensions, not 2"
    assert vector_problem([0.0, 0.0], 2) == "all of its numbers are zero"
