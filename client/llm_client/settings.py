"""Where the gateway is and which key opens it: read, checked and normalised once."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from .errors import LLMConfigError
from .http_library import httpx

BASE_URL_VARIABLE = "LLM_BASE_URL"
API_KEY_VARIABLE = "LLM_API_KEY"
PROXY_VARIABLE = "LLM_PROXY"
FALLBACK_URLS_VARIABLE = "LLM_FALLBACK_BASE_URLS"
FALLBACK_KEYS_VARIABLE = "LLM_FALLBACK_API_KEYS"

Several = str | Sequence[str]
"""A list, or its places with commas between."""

_OURS = re.compile(r"(?:/+(?:v1|chat/completions|completions|embeddings|models))*/*$")
"""What a person may have written behind the gateway's own path, which we add."""


@dataclass(frozen=True)
class Gateway:
    """A checked address (``scheme://host[:port]/.../v1``) and key."""

    base: str
    key: str = field(repr=False)
    proxy: str | None = field(default=None, repr=False)

    @property
    def url(self) -> httpx.URL:
        """The address, parsed."""
        return httpx.URL(self.base)


def read_gateway(base_url: str | None, api_key: str | None, proxy: str | None = None) -> Gateway:
    """Return the gateway that the arguments name, or else the environment.

    Args:
        base_url: in any of the ways that `normal_base` knows; default: ``LLM_BASE_URL``.
        api_key: default: ``LLM_API_KEY``.
        proxy: URL of a proxy that is asked for; default: ``LLM_PROXY``, and without that the environment's
            usual one for public hosts, none for private ones.

    Raises:
        LLMConfigError: one of them is missing, blank or malformed.
    """
    base = _given(base_url, "base_url", BASE_URL_VARIABLE)
    key = _given(api_key, "api_key", API_KEY_VARIABLE)
    asked = proxy if proxy is not None else os.environ.get(PROXY_VARIABLE)
    if asked is not None and not isinstance(asked, str):
        raise LLMConfigError("proxy must be a string")
    return Gateway(normal_base(base), _checked_key(key), (asked or "").strip() or None)


def read_gateways(
    base_url: str | None,
    api_key: str | None,
    proxy: str | None = None,
    fallback_base_urls: Several | None = None,
    fallback_api_keys: Several | None = None,
) -> tuple[Gateway, ...]:
    """Return the gateways that the arguments name, or else the environment, in the order in which they are asked.

    Args:
        base_url, api_key, proxy: as `read_gateway`, of the first one; the proxy is that of all.
        fallback_base_urls: further ones; default: ``LLM_FALLBACK_BASE_URLS``, but only beside an address that comes
            from the environment, too: no other gateway's key may go there.
        fallback_api_keys: their keys in step, where "" stands for that of the first; default:
            ``LLM_FALLBACK_API_KEYS`` beside ``LLM_FALLBACK_BASE_URLS``, and without it one key for all.

    Raises:
        LLMConfigError: one of them is missing, blank or malformed, or there is not one key for each address.
    """
    first = read_gateway(base_url, api_key, proxy)
    if fallback_base_urls is None and base_url is None:
        fallback_base_urls = os.environ.get(FALLBACK_URLS_VARIABLE)
        if fallback_api_keys is None:
            fallback_api_keys = os.environ.get(FALLBACK_KEYS_VARIABLE)
    if not fallback_base_urls and not fallback_api_keys:
        return (first,)
    urls = _places(fallback_base_urls, FALLBACK_URLS_VARIABLE)
    keys = _places(fallback_api_keys, FALLBACK_KEYS_VARIABLE)
    if keys and len(keys) != len(urls):
        raise LLMConfigError(
            f"{FALLBACK_KEYS_VARIABLE} holds {len(keys)} keys for the {len(urls)} addresses of"
            f" {FALLBACK_URLS_VARIABLE}: one each, an empty place for the key of the first gateway"
        )
    found = {first.base: first}
    for url, own_key in zip(urls, keys or [""] * len(urls), strict=True):
        base = _fallback_base(url)
        key = _checked_key(own_key, FALLBACK_KEYS_VARIABLE) or first.key
        found.setdefault(base, Gateway(base, key, first.proxy))
    return tuple(found.values())


def _places(several: Several | None, variable: str) -> list[str]:
    places = several.split(",") if isinstance(several, str) else several
    if places is None:
        return []
    if not isinstance(places, (list, tuple)) or not all(isinstance(place, str) for place in places):
        raise LLMConfigError(f"{variable}: a list of strings is needed, or one string with commas")
    return [place.strip() for place in places] if any(place.strip() for place in places) else []


def _fallback_base(text: str) -> str:
    if not text:
        raise LLMConfigError(f"{FALLBACK_URLS_VARIABLE} holds an empty place")
    reason: str
    try:
        return normal_base(text)
    except LLMConfigError as error:
        reason = error.summary
    raise LLMConfigError(f"{FALLBACK_URLS_VARIABLE}: {reason}")


@lru_cache(maxsize=64)
def normal_base(text: str) -> str:
    """Return the base URL ending in ``/v1``, whichever way a person wrote it.

    ``http://h``, ``http://h/``, ``http://h/v1/`` and ``http://h/v1/chat/completions`` are the same.

    Raises:
        LLMConfigError: not an http(s) URL with a host.
    """
    url = _parsed(text.strip())
    path = _OURS.sub("", url.raw_path.decode("ascii"), count=1)
    return str(url.copy_with(raw_path=f"{path}/v1".encode()))


def _parsed(text: str) -> httpx.URL:
    if any(c.isspace() or not c.isprintable() for c in text):
        raise LLMConfigError(f"the base URL holds a blank or control character: {_shown(text)}")
    if "\\" in text:
        raise LLMConfigError(f"the base URL {_shown(text)} holds a backslash: it needs slashes")
    try:
        url = httpx.URL(text)
        _ = url.host  # decodes it
    except (httpx.InvalidURL, ValueError):  # ValueError: a host that IDNA cannot encode
        url = None
    if url is None:
        raise LLMConfigError(f"the base URL {_shown(text)} cannot be read: is the port a number?")
    _check_parts(url, text)
    return url


def _check_parts(url: httpx.URL, text: str) -> None:
    if url.scheme not in ("http", "https") or not url.host:
        raise LLMConfigError(f"the base URL {_shown(text)} needs the form http://host:port or https://host")
    if url.userinfo:
        raise LLMConfigError("the base URL holds a user name or password: only the key opens it")
    if "?" in text or "#" in text:
        raise LLMConfigError(f"the base URL {_shown(text)} must not hold '?' or '#'")
    if url.port is not None and not 0 < url.port < 65536:
        raise LLMConfigError(f"the base URL {_shown(text)} has an impossible port")


def _shown(text: str) -> str:
    """A URL for an error: without anything that could be a secret in it."""
    without_query = re.split(r"[?#]", text, maxsplit=1)[0]
    without_user = re.sub(r".*@", "[hidden]@", without_query)
    without_key = re.sub(r"sk-\S+", "sk-[hidden]", without_user)
    return repr(re.sub(r"[A-Za-z0-9_-]{24,}", "[hidden]", without_key)[:120])


def _given(argument: str | None, name: str, variable: str) -> str:
    source = name if argument is not None else variable
    value = argument if argument is not None else os.environ.get(variable)
    if value is None:
        raise LLMConfigError(f"{variable} is not set: set it, or pass {name}")
    if not isinstance(value, str):
        raise LLMConfigError(f"{source} must be a string")
    if not value.strip():
        raise LLMConfigError(f"{source} is blank")
    return value


def _checked_key(text: str, source: str = API_KEY_VARIABLE) -> str:
    """The key, trimmed; refused here because httpx's own refusal quotes the whole header."""
    key = text.strip()
    if not all("!" <= c <= "~" for c in key):
        raise LLMConfigError(f"the API key ({source}) holds a character that is not printable ASCII")
    return key
