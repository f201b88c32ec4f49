"""Every vector in every language: Python, asyncio, Node (once only: it has no httpx to be replaced)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from node_process import NodeProcess, has_node, node_major
from vector_runner import Vector, call_async, call_python, load_vectors, play

from llm_client.http_library import httpx

# Node alike with httpx2, and not in environments for other versions of Python, which have none.
_LANGUAGES = ("python", "async", "node") if httpx.__name__ == "httpx" and has_node() else ("python", "async")
_CASES = [
    pytest.param(language, vector, id=f"{language}-{vector['name'].replace(' ', '-')}")
    for vector in load_vectors()
    for language in _LANGUAGES
    if language in vector.get("only", _LANGUAGES)
    if language != "node" or node_major() >= vector.get("node_from", 18)
]


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProcess]:
    with NodeProcess() as process:
        yield process


@pytest.mark.parametrize(("language", "vector"), _CASES)
def test_vector(language: str, vector: Vector, request: pytest.FixtureRequest) -> None:
    if language == "node":
        play(vector, request.getfixturevalue("node").call)
    else:
        play(vector, {"python": call_python, "async": call_async}[language])
