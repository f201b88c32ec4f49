"""What mem0 is told, and what it must not find: its configuration, and the environment around it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, MutableMapping
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .errors import LLMConfigError
from .proxies import is_private
from .settings import API_KEY_VARIABLE, BASE_URL_VARIABLE, Gateway, read_gateway

DIMENSIONS = 1024
"""Length of a vector where nothing else is said: that of text-embedding-v4."""
HIJACKERS = ("OPENAI_API_BASE", "OPENROUTER_API_KEY", "OPENAI_CUSTOM_HEADERS")
"""Variables that lead mem0 astray; read in the sources of mem0ai 2.2.1 and openai 3.54.

mem0's LLM goes to OpenRouter as soon as ``OPENROUTER_API_KEY`` is set, whatever its configuration says. Its
embedder, where its configuration names no base URL, prefers ``OPENAI_API_BASE`` to ``OPENAI_BASE_URL``. The
openai package lets an ``Authorization`` in ``OPENAI_CUSTOM_HEADERS`` replace the key. What stays:
``OPENROUTER_API_BASE`` does nothing without its key, and ``OPENAI_ORG_ID`` and ``OPENAI_PROJECT_ID`` only add
headers, which One API does not pass on.
"""

_LONGEST = 65536
"""Qdrant's limit to the length of a vector."""
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_PLACES = ("QDRANT_URL", "QDRANT_HOST", "QDRANT_PATH")
_HTTP_URL = re.compile(r"https?://[^/\s@?#]+(/[^\s@?#]*)?")
_HOST = re.compile(r"[^\s/:@\[\]]+|\[[0-9A-Fa-f:.]+\]")
_COLLECTION = re.compile(r"[^<>:\"/\\|?*\x00-\x1f]{1,200}")
"""What Qdrant allows, less some length: mem0 makes a second collection, with ``_entities`` after the name."""


def mem0_config_from_env(
    environ: Mapping[str, str] | None = None,
    *,
    collection_name: str | None = None,
    dimensions: int | None = None,
    qdrant: Mapping[str, object] | None = None,
) -> dict[str, Any]:
    """Return the configuration for ``mem0.Memory.from_config``: LLM and embedder on the gateway.

    It holds the key, twice, since mem0 looks elsewhere for what it is not given: do not print it.

    Args:
        environ: where the variables are; default: the process's environment.
            ``LLM_BASE_URL``, ``LLM_API_KEY``, ``LLM_MODEL_ID``, ``EMBEDDING_MODEL_ID`` are needed.
        collection_name: default: ``mem0_<embedding model>_<dimensions>``, so that another model or length
            gets a collection of its own: mem0 never resizes one, and vectors of two models do not mix.
        dimensions: length of a vector, for embedder and store alike; default: ``EMBEDDING_DIMENSIONS``, or 1024.
        qdrant: where Qdrant is, in mem0's words: ``{"path": ...}``, or ``{"url": ..., "api_key": ...}``, or
            ``{"host": ..., "port": ...}``; the environment is then not asked. Default: one of ``QDRANT_URL``,
            ``QDRANT_HOST`` (with ``QDRANT_PORT``, default 6333) and ``QDRANT_PATH``; the first two with
            ``QDRANT_API_KEY``, where there is one (qdrant-client then speaks https to a host).
            There is no silent default: mem0's own is ``/tmp/qdrant``, which a reboot empties.

    Raises:
        LLMConfigError: a variable is missing, blank or malformed; the message names it.
    """
    env = os.environ if environ is None else environ
    gateway = _gateway(env)
    model = _needed(env, "LLM_MODEL_ID")
    embedder = _needed(env, "EMBEDDING_MODEL_ID")
    length = _dimensions(env, dimensions)
    place = _place_from_env(env) if qdrant is None else _place_from_argument(qdrant)
    name = default_collection(embedder, length) if collection_name is None else collection_name
    if not isinstance(name, str) or not _COLLECTION.fullmatch(name) or not name.strip():
        raise LLMConfigError(f"collection_name {name!r:.90} is blank, too long, or has a character Qdrant refuses")
    access = {"openai_base_url": gateway.base, "api_key": gateway.key}
    return {
        "llm": {"provider": "openai", "config": {"model": model, **access}},
        "embedder": {"provider": "openai", "config": {"model": embedder, "embedding_dims": length, **access}},
        "vector_store": {
            "provider": "qdrant",
            "config": {"collection_name": name, "embedding_model_dims": length, **place},
        },
    }


def default_collection(model: str, dimensions: int) -> str:
    """Return ``mem0_<model>_<dimensions>``, fit for Qdrant and for a file system; unlike names stay unlike."""
    slug = re.sub(r"[^a-z0-9._-]", "-", model.lower())[:80]
    if slug != model:
        slug += "-" + sha256(model.encode()).hexdigest()[:8]
    return f"mem0_{slug}_{dimensions}"


def export_openai_env(environ: MutableMapping[str, str] | None = None) -> None:
    """Set ``OPENAI_BASE_URL`` and ``OPENAI_API_KEY`` from ``LLM_*``, and remove what would lead mem0 elsewhere.

    Call it before mem0 is imported, in place of the mapping that plugins make by hand. It also

    - removes the variables in `HIJACKERS`;
    - sets ``MEM0_TELEMETRY=False`` unless it is set: otherwise mem0 reports to PostHog, the collection's name
      among other things, and keeps a second Qdrant collection for that; it reads the variable when imported;
    - adds a private gateway (loopback, LAN, tailnet) to ``NO_PROXY`` where a proxy is set: openai would
      send the call there, key and all.

    Args:
        environ: what is read and changed; default: the process's environment.

    Raises:
        LLMConfigError: address or key missing or malformed; then nothing is changed.
    """
    env = os.environ if environ is None else environ
    prepare(env, _gateway(env))


def prepare(env: MutableMapping[str, str], gateway: Gateway) -> None:
    """Do the work of `export_openai_env` for a gateway that is known and checked."""
    env["OPENAI_BASE_URL"] = gateway.base
    env["OPENAI_API_KEY"] = gateway.key
    for name in HIJACKERS:
        env.pop(name, None)
    env.setdefault("MEM0_TELEMETRY", "False")
    off_the_proxy(env, urlsplit(gateway.base).hostname)


def off_the_proxy(env: MutableMapping[str, str], host: str | None) -> None:
    """Add `host` to ``NO_PROXY``, if it is private and a proxy is set.

    Python's libraries prefer the lower-case name, Go's the upper-case one: both get the same.
    """
    host = (host or "").strip("[]")
    if not host or not is_private(host) or not any(env.get(n) or env.get(n.upper()) for n in _PROXIES):
        return
    spared = [entry.strip() for entry in env.get("no_proxy", env.get("NO_PROXY", "")).split(",") if entry.strip()]
    if host not in spared and "*" not in spared:
        spared.append(host)
    env["no_proxy"] = env["NO_PROXY"] = ",".join(spared)


def _gateway(env: Mapping[str, str]) -> Gateway:
    return read_gateway(_needed(env, BASE_URL_VARIABLE), _needed(env, API_KEY_VARIABLE))


def _needed(env: Mapping[str, str], variable: str) -> str:
    value = env.get(variable)
    if value is None:
        raise LLMConfigError(f"{variable} is not set: mem0 needs it (OpenClaw keeps it in ~/.openclaw/.env)")
    if not value.strip():
        raise LLMConfigError(f"{variable} is blank")
    return value.strip()


def _dimensions(env: Mapping[str, str], argument: int | None) -> int:
    source = "dimensions" if argument is not None else "EMBEDDING_DIMENSIONS"
    text = str(argument) if argument is not None else env.get(source, "").strip() or str(DIMENSIONS)
    if not re.fullmatch(r"[1-9][0-9]{0,4}", text) or int(text) > _LONGEST:
        raise LLMConfigError(f"{source} must be a whole number from 1 to {_LONGEST}, not {text!r:.40}")
    return int(text)


def _place_from_argument(qdrant: Mapping[str, object]) -> dict[str, object]:
    place = dict(qdrant)
    if not any(place.get(name) for name in ("path", "url", "host", "client")):
        raise LLMConfigError("qdrant needs a path, a url, or a host and a port")
    if place.get("host") and not place.get("port"):
        place["port"] = 6333  # without a port mem0 forgets the host, and takes a directory
    if isinstance(place.get("path"), (str, Path)):
        # on_disk: older versions of mem0 emptied, at every start, the directory of a store without it.
        return {"on_disk": True, **place, "path": str(Path(str(place["path"])).expanduser().absolute())}
    return place


def _place_from_env(env: Mapping[str, str]) -> dict[str, object]:
    given = {name: env[name].strip() for name in _PLACES if env.get(name, "").strip()}
    if not given:
        raise LLMConfigError(
            "where is Qdrant? set QDRANT_URL (http://host:6333), or QDRANT_HOST and QDRANT_PORT, or QDRANT_PATH "
            "(a directory, for one process at a time): mem0's own default, /tmp/qdrant, does not survive a reboot"
        )
    if len(given) > 1:
        raise LLMConfigError(f"{' and '.join(given)} are set: which one is meant?")
    ((name, value),) = given.items()
    if name == "QDRANT_PATH":
        return _place_from_argument({"path": value})
    access = _qdrant_key(env)
    if name == "QDRANT_HOST":
        if not _HOST.fullmatch(value):
            raise LLMConfigError("QDRANT_HOST must be a name or an address alone, [IPv6] in brackets; else QDRANT_URL")
        return {"host": value, "port": _port(env), **access}
    if not _HTTP_URL.fullmatch(value):
        raise LLMConfigError("QDRANT_URL needs the form http://host:6333 or https://host:6333")
    return {"url": value, **access}


def _qdrant_key(env: Mapping[str, str]) -> dict[str, object]:
    key = env.get("QDRANT_API_KEY", "").strip()
    if not all("!" <= c <= "~" for c in key):  # an HTTP library's own refusal would quote it
        raise LLMConfigError("QDRANT_API_KEY holds a character that is not printable ASCII")
    return {"api_key": key} if key else {}


def _port(env: Mapping[str, str]) -> int:
    text = env.get("QDRANT_PORT", "").strip() or "6333"
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) < 65536:
        raise LLMConfigError(f"QDRANT_PORT must be a port number, not {text!r}")
    return int(text)
