"""Whether a vector store takes what the embedder gives: asked before mem0 stores anything."""

from __future__ import annotations

import importlib
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import LLMConfigError, LLMConnectionError, LLMError, embed, vector_problem
from .redact import Redactor

_MEM0_SIZE = 1536
"""mem0's own size of a collection, where its configuration names none."""
_PROBE = "one vector, to see its length"


def check_collection(config: Mapping[str, Any], *, timeout: float = 60.0) -> None:
    """See that embedder, configuration and existing collections agree on the length of a vector.

    mem0 notices nothing until it stores, and then fails with numpy's or Qdrant's words.
    This asks the embedder for one vector, and Qdrant for sizes; it stores nothing and makes no collection.

    Args:
        config: as from `mem0_config_from_env`.
        timeout: seconds for the embedding; Qdrant has its client's 5 seconds a request.

    Raises:
        LLMConfigError: they differ (the message says which, and the fix); `config` is not for Qdrant; Qdrant's
            directory is in use by another process or unreadable; qdrant-client is not installed.
        LLMConnectionError: Qdrant does not answer, or refuses (code ``EQDRANT``).
        LLMError: the gateway gave no embedding.
    """
    embedder, store = section(config, "embedder", "openai"), section(config, "vector_store", "qdrant")
    model, asked = embedder.get("model"), embedder.get("embedding_dims")
    size = store.get("embedding_model_dims", _MEM0_SIZE)
    wanted = size if asked is None else asked
    problems = []
    if wanted != size:
        problems.append(f"embedder.embedding_dims is {asked} but vector_store.embedding_model_dims is {size}")
    misfit = _misfit(embedder, wanted, timeout)
    if misfit is not None:
        problems.append(misfit)
    for name, held in _existing_sizes(store).items():
        if held != wanted:
            problems.append(
                f"the collection {name!r} holds vectors of {held} dimensions, not {wanted} as {model} is to give, and "
                "is never resized: name another collection, or go back to the model that filled this one"
            )
    if problems:
        raise LLMConfigError("mem0 cannot store: " + "; ".join(problems))


def section(config: Mapping[str, Any], name: str, provider: str) -> Mapping[str, Any]:
    """Return one part of mem0's configuration.

    Raises:
        LLMConfigError: it is missing, or of another provider, which nothing here knows.
    """
    part = config.get(name)
    inner = part.get("config") if isinstance(part, Mapping) else None
    if not isinstance(part, Mapping) or not isinstance(inner, Mapping) or part.get("provider") != provider:
        raise LLMConfigError(f"mem0's configuration needs {name} with provider {provider!r} and a config")
    return inner


def imported(name: str) -> Any:
    """Import a package of the extra ``mem0``.

    Raises:
        LLMConfigError: it, or something that it needs, is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        missing = exc.name
    raise LLMConfigError(f"{name} cannot be imported, {missing} is missing: pip install mem0ai qdrant-client")


def _misfit(embedder: Mapping[str, Any], wanted: int, timeout: float) -> str | None:
    """Ask for one vector, and say what is wrong with it."""
    model = embedder.get("model")
    try:
        (vector,) = embed(
            str(model or ""),
            [_PROBE],
            dimensions=embedder.get("embedding_dims"),
            timeout=timeout,
            base_url=embedder.get("openai_base_url"),
            api_key=embedder.get("api_key"),
        )
        wrong = vector_problem(vector, wanted)
    except LLMError as error:
        if error.code != "LLM_BAD_VECTOR":
            raise
        wrong = error.summary
    if wrong is None:
        return None
    return (
        f"{model} was asked for a vector of {wanted} dimensions: {wrong}: if the model or its channel ignores "
        "`dimensions`, set EMBEDDING_DIMENSIONS to the model's own length; else correct EMBEDDING_MODEL_ID"
    )


def _existing_sizes(store: Mapping[str, Any]) -> dict[str, int | None]:
    """The sizes of mem0's two collections, of those that exist; None for one without a plain vector."""
    qdrant = store.get("client")
    if qdrant is not None:
        return _sizes(qdrant, store)
    settings = {name: store[name] for name in ("url", "host", "port", "api_key", "https") if store.get(name)}
    if not {"url", "host"} & set(settings):
        if not store.get("path"):
            raise LLMConfigError("mem0's configuration does not say where Qdrant is: a path, a url, or a host")
        if not (Path(store["path"]) / "meta.json").exists():
            return {}  # opening it would make it
        settings = {"path": store["path"]}
    library = imported("qdrant_client")
    failures = (
        imported("qdrant_client.http.exceptions").ApiException,
        OSError,
        sqlite3.Error,
        RuntimeError,
        ValueError,
    )
    error: LLMError
    try:
        qdrant = library.QdrantClient(**settings, **({} if "path" in settings else {"check_compatibility": False}))
        try:
            return _sizes(qdrant, store)
        finally:
            qdrant.close()
    except failures as exc:
        error = _explained(exc, settings)
    raise error  # outside the handler: Qdrant's exceptions hold the request, and so its key


def _sizes(qdrant: Any, store: Mapping[str, Any]) -> dict[str, int | None]:
    base = store.get("collection_name", "mem0")
    there = {collection.name for collection in qdrant.get_collections().collections}
    found: dict[str, int | None] = {}
    for name in (base, f"{base}_entities"):
        if name in there:
            vectors = qdrant.get_collection(name).config.params.vectors
            found[name] = getattr(vectors, "size", None)
    return found


def _explained(exc: Exception, settings: Mapping[str, Any]) -> LLMError:
    text = Redactor(str(settings.get("api_key") or "\0")).line(str(exc) or type(exc).__name__)
    if "path" in settings:
        return LLMConfigError(f"Qdrant's directory {settings['path']} cannot be opened: {text}")
    place = settings.get("url") or f"{settings['host']}:{settings.get('port')}"
    return LLMConnectionError(f"EQDRANT: Qdrant at {place} gave no list of its collections: {text}", code="EQDRANT")
