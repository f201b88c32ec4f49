"""OpenClaw's configuration as values: what of it is ours, what differs, how it is put in and taken out.

Nothing here knows a host. Only our own keys are ever changed: plugins and people write the same file.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

Path = tuple[str, ...]
Document = Mapping[str, Any]
Values = dict[Path, Any]
"""What stands, or is to stand, at some paths."""

_PRIMARY = ("agents", "defaults", "model", "primary")
_FALLBACKS = (*_PRIMARY[:-1], "fallbacks")
_SEARCH = ("memory", "search")
_SECRET_NAME = re.compile("key$|token$|secret$|password$", re.IGNORECASE)
_TOKENS = re.compile(
    r'(?P<text>"(?:\\.|[^"\\])*")'
    r"|(?P<quoted>'(?:\\.|[^'\\])*')"
    r"|(?P<comment>//[^\n]*|/\*.*?\*/)"
    r"|(?P<comma>,)(?=(?:\s|//[^\n]*|/\*.*?\*/)*[}\]])"
    r"|(?P<name>[A-Za-z_$][\w$]*)(?=\s*:)",
    re.DOTALL,
)


class ConfigurationError(ValueError):
    """The configuration cannot be read; the text says where."""


@dataclass(frozen=True)
class Difference:
    """What a run is to change: `before` is None where there is nothing yet."""

    path: Path
    before: Any
    after: Any

    def told(self) -> str:
        """In words, without a key."""
        name = ".".join(self.path)
        before, after = _shown(self.before), _shown(self.after)
        if self.before is None:
            return f"{name}: {after}"
        return f"{name}: {after}, with other values" if before == after else f"{name}: {after}; it is {before}"


def parse(text: str) -> dict[str, Any]:
    """The configuration, which people write as JSON5: with comments, names and strings in their own way.

    Raises ConfigurationError.
    """
    try:
        found = json.loads(text)
    except ValueError:
        try:
            found = json.loads(_TOKENS.sub(_as_json, text))
        except ValueError as problem:
            raise ConfigurationError(str(problem)) from None
    if not isinstance(found, dict):
        raise ConfigurationError("it is not an object")
    return found


def has_comments(text: str) -> bool:
    """Whether it has what OpenClaw's command does not keep."""
    return any(token.lastgroup == "comment" for token in _TOKENS.finditer(text))


def _as_json(token: re.Match[str]) -> str:
    if token.lastgroup == "quoted":
        inside = token[0][1:-1].replace("\\'", "'")
        return '"' + re.sub(r'(?<!\\)"', r"\"", inside) + '"'
    if token.lastgroup == "name":
        return f'"{token[0]}"'
    return token[0] if token.lastgroup == "text" else ""


@dataclass(frozen=True)
class Provider:
    """A gateway, by its name in the configuration, the variables of its base URL and key, and the models that it has
    more than the one that .env names."""

    name: str
    base_url: str
    key: str
    models: Sequence[str]


def wanted(
    providers: Sequence[Provider],
    context_window: int,
    max_tokens: int,
    is_default: bool,
    is_for_memory: bool,
) -> Values:
    """What makes OpenClaw use the gateways that its .env names; the .env alone changes with a rotation or a migration.

    Parameters: `providers`, the first one first, then its fallbacks.
    """
    row = {
        "reasoning": False,
        "input": ["text"],
        "contextWindow": context_window,  # unset: OpenClaw takes 200,000 for granted
        "maxTokens": max_tokens,
        # Else OpenClaw asks for no usage where the host is not spelled like a local one (2026.9.6), and counts none.
        "compat": {"supportsUsageInStreaming": True},
    }
    values: Values = {
        ("models", "providers", provider.name): {
            "baseUrl": f"${{{provider.base_url}}}",
            "apiKey": {"source": "env", "provider": "default", "id": provider.key},
            "api": "openai-completions",
            "models": [
                {"id": "${LLM_MODEL_ID}", "name": "LLM gateway", **row},
                *({"id": model, "name": f"{model} (LLM gateway)", **row} for model in provider.models),
            ],
        }
        for provider in providers
    }
    first, *others = (provider.name for provider in providers)
    if is_default:
        values[_PRIMARY] = f"{first}/${{LLM_MODEL_ID}}"
    if is_default and others:
        values[_FALLBACKS] = [f"{name}/${{LLM_MODEL_ID}}" for name in others]
    if is_for_memory:
        values[(*_SEARCH, "provider")] = first
        values[(*_SEARCH, "model")] = "${EMBEDDING_MODEL_ID}"
    if is_for_memory and others:
        values[(*_SEARCH, "fallback")] = others[0]  # it takes one (2026.9.6)
    return values


def differences(document: Document, values: Values) -> list[Difference]:
    """What of the values is not there yet. What a person has added to an object of ours is no difference."""
    found: dict[Path, Difference] = {}
    for path, value in values.items():
        place, after = _place(document, path, value)
        if place in found:  # an object takes the place of what stands there, and this goes into it
            place, after = path, value
        if not _holds(before := get(document, place), after):
            found[place] = Difference(place, before, after)
    return [*found.values()]


def get(document: Document, path: Path) -> Any:
    """What stands at a path; None where nothing does."""
    found: Any = document
    for name in path:
        if not isinstance(found, Mapping) or name not in found:
            return None
        found = found[name]
    return found


def _place(document: Document, path: Path, value: Any) -> tuple[Path, Any]:
    """Where a value goes, and as what: `"model": "openai/x"`, which OpenClaw takes, has no room for a `primary`."""
    for length in range(1, len(path)):
        there = get(document, path[:length])
        if there is not None and not isinstance(there, Mapping):
            for name in reversed(path[length:]):
                value = {name: value}
            return path[:length], value
    return path, value


def _holds(there: Any, value: Any) -> bool:
    if isinstance(value, Mapping):
        return isinstance(there, Mapping) and all(_holds(there.get(name), part) for name, part in value.items())
    if isinstance(value, list):
        return isinstance(there, list) and len(there) == len(value) and all(map(_holds, there, value))
    return type(there) is type(value) and bool(there == value)


@dataclass(frozen=True)
class Kept:
    """What was at a path before we wrote to it, how many of the path's objects there were, and what we wrote."""

    before: Any
    depth: int
    ours: Any


Record = dict[Path, Kept]


def recorded(record: Record, document: Document, found: Sequence[Difference]) -> Record:
    """The record with what is about to be written; what was there before the first time stays what was there before."""
    grown = dict(record)
    for each in found:
        covering = (kept for at, kept in grown.items() if _wrote(at, kept, each.path))
        earlier = grown.get(each.path) or next(covering, None)
        if earlier is None:
            depth = max(length for length in range(len(each.path)) if get(document, each.path[:length]) is not None)
            grown[each.path] = Kept(each.before, depth, each.after)
        elif each.path in grown:
            grown[each.path] = Kept(earlier.before, earlier.depth, each.after)
    return grown


def _covers(path: Path, other: Path) -> bool:
    return other[: len(path)] == path


def _wrote(place: Path, kept: Kept, path: Path) -> bool:
    """Whether what was written at a place had something at this path."""
    return _covers(place, path) and get({"": kept.ours}, ("", *path[len(place) :])) is not None


def outdated(record: Record, values: Values) -> Record:
    """What earlier runs wrote that is not wanted any more, since a person has changed the settings."""
    return {path: kept for path, kept in record.items() if not any(_covers(path, other) for other in values)}


def is_ours(document: Document, path: Path, kept: Kept) -> bool:
    """Whether at a path there still is what we wrote; else a person has decided otherwise since.

    Nothing is there where a run was cut off between taking ours away and giving back what was there before.
    """
    there = get(document, path)
    return _holds(there, kept.ours) or (there is None and kept.before is not None)


def given_back(document: Document, record: Record) -> Values:
    """What is to be written so that all is as it was where it still is ours; None takes a path away.

    Objects that are there for our values alone go with them.
    """
    values: Values = {}
    present = copy.deepcopy(dict(document))
    for path, kept in record.items():
        if not is_ours(document, path, kept) or any(_covers(other, path) for other in values):
            continue
        if kept.before is not None:
            values[path] = kept.before
            continue
        del get(present, path[:-1])[path[-1]]
        place = path
        while len(place) - 1 > kept.depth and not get(present, place[:-1]):
            place = place[:-1]
            del get(present, place[:-1])[place[-1]]
        values = {other: value for other, value in values.items() if not _covers(place, other)}
        values[place] = None
    return values


def patch(values: Values) -> dict[str, Any]:
    """The values as the object that `openclaw config patch` takes."""
    made: dict[str, Any] = {}
    for path, value in values.items():
        inside = made
        for name in path[:-1]:
            inside = inside.setdefault(name, {})
        inside[path[-1]] = copy.deepcopy(value)  # what goes into it must not get into the values
    return made


def with_references(document: Document, values: Values) -> list[Path]:
    """The paths of objects and lists that are to be replaced and that name variables now."""
    return [at for at, value in values.items() if _has_parts(value) and "${" in json.dumps(get(document, at))]


def replaced(values: Values) -> list[str]:
    """The paths that take the place of what is there: otherwise OpenClaw refuses to drop a row of a list."""
    return [".".join(path) for path, value in values.items() if _has_parts(value)]


def _has_parts(value: Any) -> bool:
    return isinstance(value, (Mapping, list))


def record_text(path: str, record: Record) -> str:
    """The record as it is kept on the host, of the configuration at `path`. It may hold keys: for root alone."""
    rows = [
        {"path": list(at), "before": kept.before, "depth": kept.depth, "ours": kept.ours} for at, kept in record.items()
    ]
    return json.dumps({"file": path, "kept": rows}, indent=2) + "\n"


def parse_record(text: str) -> Record:
    """What `record_text` made; of nothing, nothing."""
    rows = json.loads(text)["kept"] if text.strip() else []
    return {tuple(row["path"]): Kept(row["before"], row["depth"], row["ours"]) for row in rows}


def past_the_gateway(document: Document, ours: Collection[str]) -> Iterator[str]:
    """What of a person's own goes on without the gateway, in words.

    Parameters: `ours`, the names of the providers that are gateways.
    """
    for name, entry in _agents(document):
        model = entry.get("model")
        primary = model.get("primary") if isinstance(model, Mapping) else model
        if isinstance(primary, str) and primary.partition("/")[0] not in ours:
            yield f"the agent {name} has a model of its own, {primary}, which does not go through the gateway"
    providers = get(document, ("models", "providers"))
    for name, entry in (providers if isinstance(providers, Mapping) else {}).items():
        url = entry.get("baseUrl") if isinstance(entry, Mapping) else None
        if name not in ours and isinstance(url, str) and "${" not in url:
            yield f"models.providers.{name} stays, with the baseUrl {_url(url)}: what names it goes past the gateway"


def _agents(document: Document) -> Iterator[tuple[str, Mapping[str, Any]]]:
    entries = get(document, ("agents", "entries"))
    if isinstance(entries, Mapping):
        yield from ((name, entry) for name, entry in entries.items() if isinstance(entry, Mapping))
    listed = get(document, ("agents", "list"))
    if isinstance(listed, list):
        yield from ((str(entry.get("id")), entry) for entry in listed if isinstance(entry, Mapping))


def secrets(document: Document) -> list[str]:
    """The values that stand in it under the name of a key, a token or a password."""
    return [value for path, value in _texts(document, ()) if _SECRET_NAME.search(path[-1])]


def outside(document: Document, place: str) -> list[str]:
    """The paths of the agents' directories that are not beside the configuration at `place`, with what they are."""
    beside = f"{place.rpartition('/')[0]}/"
    found = ((path, value) for path, value in _texts(document.get("agents"), ("agents",)) if path[-1] == "agentDir")
    return [f"{'.'.join(path)} ({value})" for path, value in found if value[:1] == "/" and not value.startswith(beside)]


def dangling(document: Document, record: Record) -> list[str]:
    """The paths of a person's own values that name our provider or our variables, which are about to go."""
    providers = [path[-1] for path in record if path[:-1] == ("models", "providers")]
    ours = re.compile("|".join([*(f"{re.escape(name)}(/.*)?" for name in providers), r".*\$\{(LLM|EMBEDDING)_.*"]))
    return [
        ".".join(path)
        for path, value in _texts(document, ())
        if ours.fullmatch(value) and not any(_covers(at, path) for at in record)
    ]


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for name, part in value.items():
            if name == "models" and path == ("agents", "defaults") and isinstance(part, Mapping):
                yield from (((*path, name, model), model) for model in part)
            yield from _texts(part, (*path, name))
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from _texts(part, (*path, str(number)))


def _shown(value: Any) -> str:
    """A value in short, without a key that may be in it."""
    if not isinstance(value, Mapping):
        return str(value)
    url, models = value.get("baseUrl"), value.get("models")
    if not isinstance(url, str):
        return json.dumps(value) if set(value) <= {"primary", "fallbacks"} else "another object"
    ids = [str(row.get("id")) for row in models if isinstance(row, Mapping)] if isinstance(models, list) else []
    return f"{_url(url)} with {', '.join(ids) or 'no model'}"


def _url(url: str) -> str:
    if "${" in url:
        return url
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
