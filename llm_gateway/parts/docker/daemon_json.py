"""/etc/docker/daemon.json: what settings ask of Docker's daemon, beside what a person has put there. Values, no I/O.

What is put there is remembered beside the notes of what was there before: so a setting that is taken back is taken out
again, and nothing else is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from llm_gateway.inputs.settings import Settings

PATH = "/etc/docker/daemon.json"
Document = dict[str, Any]
"""daemon.json, or a part of it, read."""

_MIRRORS = "registry-mirrors"
_PROXIES = "proxies"
_NO_PROXY = "no-proxy"
_OF_PROXIES = ("http-proxy", "https-proxy", _NO_PROXY)
_Leaves = dict[str, Any]
"""The keys that settings can set, on one level; those that hold several values as lists."""


def asked(settings: Settings) -> Document:
    """What the settings ask for, as it stands in daemon.json."""
    proxies = zip(
        _OF_PROXIES, (settings.docker_http_proxy, settings.docker_https_proxy, settings.docker_no_proxy), strict=True
    )
    ours: Document = {_MIRRORS: list(settings.docker_registry_mirrors), _PROXIES: {k: v for k, v in proxies if v}}
    return _with({}, _leaves(ours))


def read(text: str) -> Document:
    """A file's content; "" is an empty object. Raises ValueError, in words, where settings cannot be put into it."""
    try:
        found = json.loads(text or "{}")
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("it is not a JSON object")
    _leaves(found)
    return found


def recorded(text: str) -> Document:
    """As `read`, of a record of ours: what is no such object records nothing."""
    try:
        return read(text)
    except ValueError:
        return {}


def merged(theirs: Document, ours: Document) -> Document:
    """Both: of several mirrors, and hosts without a proxy, ours first; where only one can be, ours."""
    leaves = _leaves(theirs)
    for key, value in _leaves(ours).items():
        leaves[key] = _union(value, leaves.get(key, [])) if isinstance(value, list) else value
    return _with(theirs, leaves)


def without(present: Document, ours: Document, former: Document) -> Document:
    """A file less what was put into it, with what stood there before; what somebody has changed since is left alone."""
    leaves, before = _leaves(present), _leaves(former)
    for key, value in _leaves(ours).items():
        if key not in leaves:
            continue
        if leaves[key] == value:
            leaves[key] = before.get(key)
        elif isinstance(value, list):
            there = {_bare(each) for each in leaves[key]}
            kept = [each for each in before.get(key, []) if _bare(each) in there]
            gone = {_bare(each) for each in [*value, *kept]}
            leaves[key] = [*kept, *(each for each in leaves[key] if _bare(each) not in gone)]
    return _with(present, {key: value for key, value in leaves.items() if value})


def text_of(wanted: Document, former_text: str | None) -> str | None:
    """The file's content: as it was before where it is the same; None where there is to be no file."""
    former = recorded(former_text or "")
    if former_text is not None and _with(former, _leaves(wanted)) is former and _rest(wanted) == _rest(former):
        return former_text
    return json.dumps(wanted, indent=2) + "\n" if wanted else None


def _leaves(document: Mapping[str, Any]) -> _Leaves:
    proxies = document.get(_PROXIES, {})
    if not isinstance(proxies, dict):
        raise ValueError(f"its {_PROXIES} are not a JSON object")
    found: _Leaves = {key: proxies[key] for key in _OF_PROXIES if key in proxies}
    if not all(isinstance(value, str) for value in found.values()):
        raise ValueError(f"its {_PROXIES} are not all strings")
    if _NO_PROXY in found:
        found[_NO_PROXY] = [each.strip() for each in found[_NO_PROXY].split(",") if each.strip()]
    if _MIRRORS in document:
        found[_MIRRORS] = document[_MIRRORS]
        if not isinstance(found[_MIRRORS], list) or not all(isinstance(each, str) for each in found[_MIRRORS]):
            raise ValueError(f"its {_MIRRORS} are not a list of strings")
    return found


def _with(document: Document, leaves: _Leaves) -> Document:
    """The document with these leaves for its own; the very same where it has them already."""
    if leaves == _leaves(document):
        return document
    rest = _rest(document)[_PROXIES]
    proxies = {key: _joined(leaves[key]) for key in _OF_PROXIES if leaves.get(key)}
    changed = {_MIRRORS: leaves.get(_MIRRORS), _PROXIES: {**rest, **proxies}}
    found = {**document, **changed}
    return {key: value for key, value in found.items() if value or key not in changed}


def _rest(document: Document) -> Document:
    """The document without the keys that settings can set."""
    proxies = {key: value for key, value in document.get(_PROXIES, {}).items() if key not in _OF_PROXIES}
    return {**{key: value for key, value in document.items() if key != _MIRRORS}, _PROXIES: proxies}


def _joined(value: str | list[str]) -> str:
    return value if isinstance(value, str) else ",".join(value)


def _union(first: list[str], second: list[str]) -> list[str]:
    known = {_bare(each) for each in first}
    return [*first, *(each for each in second if _bare(each) not in known)]


def _bare(text: str) -> str:
    """Docker takes a mirror with a slash at its end for the same as one without."""
    return text.rstrip("/")
