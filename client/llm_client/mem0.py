"""mem0 on the gateway: one call for a memory that is configured, checked, and led astray by nothing.

    from llm_client.mem0 import open_memory      # from the wheel: from llm_client.mem0 import open_memory

    memory = open_memory()                   # LLM_*, EMBEDDING_MODEL_ID and QDRANT_* from the environment
    memory.add("I live in Shanghai", user_id="alice")

mem0 is an optional extra (``pip install './client[mem0]'``), imported when a memory is opened and not before.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from .mem0_settings import default_collection, export_openai_env, mem0_config_from_env, off_the_proxy, prepare
from .mem0_store import check_collection, imported, section
from .payloads import EMBEDDING_BATCH
from .settings import read_gateway

__all__ = [
    "bound_calls",
    "check_collection",
    "default_collection",
    "export_openai_env",
    "mem0_config_from_env",
    "open_memory",
]

_log = logging.getLogger("llm_client")


def open_memory(config: Mapping[str, Any] | None = None, *, timeout: float = 60.0, retries: int = 1) -> Any:
    """Return a ``mem0.Memory`` that talks to the gateway alone, fits its store, and gives up in time.

    Does what `export_openai_env` and `check_collection` do, then ``Memory.from_config``, then `bound_calls`.
    It changes the process's environment, since that is where mem0 looks.

    Args:
        config: default: that of `mem0_config_from_env`.
        timeout: seconds for the check, and for each read of mem0's own calls.
        retries: further attempts of each of mem0's own calls.

    Raises:
        LLMConfigError: a variable or the configuration is wrong, dimensions differ, or mem0 is not installed.
        LLMError: the gateway or Qdrant gave no answer; see `check_collection`.
    """
    chosen = mem0_config_from_env() if config is None else config
    embedder, store = section(chosen, "embedder", "openai"), section(chosen, "vector_store", "qdrant")
    prepare(os.environ, read_gateway(embedder.get("openai_base_url"), embedder.get("api_key")))
    off_the_proxy(os.environ, store.get("host") or urlsplit(store.get("url") or "").hostname)
    check_collection(chosen, timeout=timeout)
    memory = imported("mem0").Memory.from_config(dict(chosen))
    _warn_of_telemetry()
    bound_calls(memory, timeout=timeout, retries=retries)
    return memory


def bound_calls(memory: Any, *, timeout: float = 60.0, retries: int = 1) -> None:
    """Give the calls of a ``Memory`` or ``AsyncMemory`` a time-out, and its embedder ten texts at once at most.

    mem0 2.2.1 makes ``OpenAI(api_key=..., base_url=...)`` and no more, in ``llms/openai.py`` and in
    ``embeddings/openai.py``, and no setting of its reaches time-outs (``http_client_proxies`` is read for Azure
    and others only). So openai's own hold: 600 s a read, three attempts. Here its clients give way to copies.

    mem0 embeds up to 100 texts in one request; DashScope refuses more than ten ("batch size is invalid, it should not
    be larger than 10"), and mem0 then stores the memory without its entities, or not at all.

    Args:
        memory: what ``from_config`` returned.
        timeout: seconds for each read.
        retries: further attempts.
    """
    for part in (memory.llm, memory.embedding_model):
        client: Any = getattr(part, "client", None)
        if hasattr(client, "with_options"):
            part.client = client.with_options(timeout=timeout, max_retries=retries)
        else:
            _log.warning("%s has no openai client: its time-outs stay as they are", type(part).__name__)
    embedder = memory.embedding_model
    if hasattr(embedder, "embed_batch"):
        embedder.embed_batch = _in_small_batches(embedder.embed_batch)


def _in_small_batches(embed_batch: Callable[..., Sequence[Any]]) -> Callable[..., list[Any]]:
    def in_small_batches(texts: Sequence[str], *arguments: Any, **options: Any) -> list[Any]:
        starts = range(0, len(texts), EMBEDDING_BATCH)
        batches = [embed_batch(texts[start : start + EMBEDDING_BATCH], *arguments, **options) for start in starts]
        return [vector for batch in batches for vector in batch]

    return in_small_batches


def _warn_of_telemetry() -> None:
    """Say so where mem0 reports although the environment forbids it: it was imported before that was set."""
    forbidden = os.environ.get("MEM0_TELEMETRY", "").lower() not in ("true", "1", "yes")
    if forbidden and getattr(sys.modules.get("mem0.memory.telemetry"), "MEM0_TELEMETRY", False):
        _log.warning("mem0 reports to its makers: call export_openai_env() before anything imports mem0")
