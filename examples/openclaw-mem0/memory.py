"""mem0, asked by index.js: a line of JSON in, a line of JSON out, until standard input ends.

    {"id": 1, "search": "Where does she live?", "user": "alice", "limit": 5}   ->  {"id": 1, "memories": ["..."]}
    {"id": 2, "add": [{"role": "user", "content": "..."}], "user": "alice"}    ->  {"id": 2, "memories": ["..."]}

Gateway, key and models come with the environment (LLM_*, EMBEDDING_MODEL_ID), which OpenClaw takes from its .env; so
does the place of the memories (QDRANT_URL, QDRANT_HOST or QDRANT_PATH).
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from llm_client import LLMError
from llm_client.mem0 import open_memory


def answer(memory: Any, asked: dict[str, Any]) -> list[str]:
    """What mem0 finds, or what it has stored, as texts."""
    if "search" in asked:
        found = memory.search(asked["search"], filters={"user_id": asked["user"]}, top_k=asked["limit"])
    else:
        found = memory.add(asked["add"], user_id=asked["user"])
    return [result["memory"] for result in found["results"]]


def main() -> int:
    """Answer each line; 1 where mem0 cannot be opened."""
    # What a library prints would be no answer.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        memory = open_memory()
    except LLMError as problem:
        print(f"mem0 cannot be opened: {problem}", file=sys.stderr)
        return 1
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            said: dict[str, Any] = {"id": asked["id"], "memories": answer(memory, asked)}
        except Exception as problem:  # whatever mem0 and its libraries raise: the next question may be answered
            said = {"id": asked["id"], "error": f"{type(problem).__name__}: {problem}"}
        print(json.dumps(said, ensure_ascii=False), file=answers, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
