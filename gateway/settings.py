"""The settings of one host, typed and checked.

`group_data/all.py` holds every setting and its default; the inventory overrides them. What is wrong
is collected as text and never raised here, so that all problems of all hosts are told at once.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
import runpy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

DEFAULTS_FILE = Path(__file__).parent.parent / "group_data" / "all.py"

# A name that starts like one of ours is meant for us, so an unknown one is a misspelling.
OUR_PREFIXES = ("gateway_", "docker_", "openclaw_", "llm_", "embedding_", "verification_", "secrets_")

_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET_NAME = re.compile(r"[A-Z][A-Z0-9_]*")
_SECRET_SHAPED = re.compile(r".*(_API_KEY|_SECRET|_TOKEN|_PASSWORD)$")
_IMAGE = re.compile(r"[a-z0-9][a-z0-9._/:-]*:[A-Za-z0-9_][A-Za-z0-9_.-]*")
# Without "." and "..", which systemd refuses, and without "//", which Docker does not give back.
_PATH = re.compile(r"(/(?!\.\.?(/|$))[A-Za-z0-9._+-]+)+")
_MODEL = re.compile(r"[^\s,\x00-\x1f'\"\\$`]+")
_UNIT = re.compile(r"[A-Za-z0-9:_.@-]+\.service")
_USER = re.compile(r"[a-z_][a-z0-9_-]*\$?")


@dataclass(frozen=True)
class Channel:
    """One declared channel; `key` is the name of a secret, not the secret."""

    name: str
    type: int
    base_url: str
    key: str
    models: tuple[str, ...]
    priority: int = 0


@dataclass(frozen=True)
class Settings:
    """The checked settings of one host; the meaning of each is told in `group_data/all.py`."""

    secrets_file: str | None
    gateway_directory: str
    gateway_port: int
    gateway_tailscale_address: str | None
    gateway_timezone: str
    gateway_image: str
    gateway_image_digest: str | None
    gateway_image_archive: str | None
    gateway_tiktoken_directory: str | None
    gateway_start_timeout: int
    docker_source: str
    docker_registry_mirrors: tuple[str, ...]
    docker_http_proxy: str | None
    docker_https_proxy: str | None
    docker_no_proxy: str | None
    gateway_channels: tuple[Channel, ...]
    llm_model: str
    embedding_model: str
    embedding_dimensions: int
    verification_timeout: int
    openclaw_gateway: str | None
    openclaw_unit: str
    openclaw_unit_scope: str
    openclaw_unit_required: bool
    openclaw_user: str | None
    openclaw_unset_environment: tuple[str, ...]


class InvalidError(ValueError):
    """A value does not fit its setting; the text says what would."""


def _text(pattern: re.Pattern[str], wanted: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise InvalidError(f"must be {wanted}")
        return value

    return check


def _integer(least: int, most: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise InvalidError(f"must be a whole number from {least} to {most}")
        return value

    return check


def _one_of(*allowed: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value not in allowed:
            raise InvalidError("must be " + " or ".join(f'"{name}"' for name in allowed))
        return str(value)

    return check


def _list_of(check_item: Callable[[Any], str], wanted: str) -> Callable[[Any], tuple[str, ...]]:
    def check(value: Any) -> tuple[str, ...]:
        if not isinstance(value, (list, tuple)):
            raise InvalidError(f"must be a list of {wanted}")
        return tuple(check_item(item) for item in value)

    return check


def _optional(check_value: Callable[[Any], str]) -> Callable[[Any], str | None]:
    return lambda value: None if value is None else check_value(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidError("must be True or False")
    return value


def _tailscale_address(value: Any) -> str:
    try:
        address = ipaddress.IPv4Address(value)
    except (ValueError, TypeError):
        raise InvalidError("must be an IPv4 address such as 100.64.0.1, or None") from None
    if address not in ipaddress.IPv4Network("100.64.0.0/10"):
        raise InvalidError("must be an address of the tailnet (100.64.0.0/10), or None")
    return str(address)


def _image(value: Any) -> str:
    checked = _text(_IMAGE, 'an image with its tag, such as "justsong/one-api:v0.6.10"')(value)
    if checked.endswith(":latest"):
        raise InvalidError('must be pinned: "latest" changes without you; name a version')
    return checked


def _http_url(value: Any) -> str:
    if not isinstance(value, str) or any(character in value for character in " \t\r\n'\"\\$`"):
        raise InvalidError('must be a URL such as "https://example.com"')
    try:
        parts = urlsplit(value)
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, or a bracket that does not close
        is_whole = False
    if not is_whole:
        raise InvalidError('must be a whole URL that starts with "http://" or "https://"')
    if parts.username or parts.password:
        raise InvalidError("must not hold a user name or password")
    return value.rstrip("/")


def _channel_url(value: Any) -> str:
    url = _http_url(value)
    if url.endswith("/v1"):
        raise InvalidError("must not end in /v1: One API appends it")
    return url


_CHANNEL_CHECKS: dict[str, Callable[[Any], Any]] = {
    "name": _text(re.compile(r"[^\s%_'\"\\]([^%_'\"\\\n\r\t]*[^\s%_'\"\\])?"), "a name"),
    "type": _integer(1, 51),
    "base_url": _channel_url,
    "key": _text(_SECRET_NAME, 'the NAME of a secret, such as "DASHSCOPE_API_KEY"'),
    "models": _list_of(_text(_MODEL, "a model name without spaces, commas or quotes"), "model names"),
    "priority": _integer(-(2**31), 2**31 - 1),
}


def _channel(value: Any) -> Channel:
    if not isinstance(value, Mapping):
        raise InvalidError("each channel must be a dict")
    name = value.get("name", "?")
    if unknown := set(value) - set(_CHANNEL_CHECKS):
        raise InvalidError(f"channel {name}: unknown {', '.join(sorted(map(str, unknown)))}")
    if missing := {"name", "base_url", "key", "models"} - set(value):
        raise InvalidError(f"channel {name}: {', '.join(sorted(missing))} is missing")
    checked: dict[str, Any] = {"type": 1}
    for field, field_value in value.items():
        try:
            checked[field] = _CHANNEL_CHECKS[field](field_value)
        except InvalidError as problem:
            raise InvalidError(f"channel {name}: {field} {problem}") from None
    if not checked["models"]:
        raise InvalidError(f"channel {name}: models must name at least one")
    return Channel(**checked)


def _channels(value: Any) -> tuple[Channel, ...]:
    if not isinstance(value, (list, tuple)):
        raise InvalidError("must be a list of dicts")
    channels = tuple(_channel(item) for item in value)
    names = [channel.name for channel in channels]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidError(f"must name each channel once: {', '.join(repeated)} stands twice")
    return channels


_local_path = _text(re.compile(r"(?!~[^/])[^\x00\n]+"), "a path on the machine that runs pyinfra")
_model = _text(_MODEL, "a model name without spaces, commas or quotes")

_CHECKS: dict[str, Callable[[Any], Any]] = {
    "secrets_file": _optional(_local_path),
    "gateway_directory": _text(_PATH, "an absolute path of letters, digits and . _ + - /"),
    "gateway_port": _integer(1, 65535),
    "gateway_tailscale_address": _optional(_tailscale_address),
    "gateway_timezone": _text(re.compile(r"[A-Za-z0-9_+/-]+"), 'a zone such as "Asia/Shanghai"'),
    "gateway_image": _image,
    "gateway_image_digest": _optional(_text(re.compile(r"sha256:[0-9a-f]{64}"), '"sha256:…"')),
    "gateway_image_archive": _optional(_local_path),
    "gateway_tiktoken_directory": _optional(_local_path),
    "gateway_start_timeout": _integer(1, 3600),
    "docker_source": _one_of("distribution", "preinstalled"),
    "docker_registry_mirrors": _list_of(_http_url, "URLs"),
    "docker_http_proxy": _optional(_http_url),
    "docker_https_proxy": _optional(_http_url),
    "docker_no_proxy": _optional(_text(re.compile(r"[^\s'\"\\$`]+"), "a comma list of hosts")),
    "gateway_channels": _channels,
    "llm_model": _model,
    "embedding_model": _model,
    "embedding_dimensions": _integer(1, 65536),
    "verification_timeout": _integer(1, 3600),
    "openclaw_gateway": _optional(_text(re.compile(r"\S+"), "the name of a host in `gateways`")),
    "openclaw_unit": _text(_UNIT, 'a unit such as "openclaw-gateway.service"'),
    "openclaw_unit_scope": _one_of("system", "user"),
    "openclaw_unit_required": _flag,
    "openclaw_user": _optional(_text(_USER, "the name of a user")),
    "openclaw_unset_environment": _list_of(_text(_ENVIRONMENT_NAME, "the name of a variable"), "names of variables"),
}


_OF_DAEMON = ("docker_registry_mirrors", "docker_http_proxy", "docker_https_proxy", "docker_no_proxy")


@cache
def defaults() -> dict[str, Any]:
    """The defaults, read from `group_data/all.py` so that they are written in one place only."""
    return {name: value for name, value in runpy.run_path(str(DEFAULTS_FILE)).items() if name in _CHECKS}


def _shown(name: str, value: Any) -> str:
    """The refused value, where it cannot hold a secret: a URL may have a password in it, a channel a pasted key."""
    return "" if name == "gateway_channels" or "@" in str(value) else f"; it is {value!r}"


def misspelt(names: set[str]) -> list[str]:
    """What in a host's data is not a setting though it looks meant as one, each with the mend."""
    problems = []
    for name in sorted(names - set(_CHECKS)):
        if _SECRET_SHAPED.fullmatch(name):
            problems.append(
                f"{name}: secrets are not taken from the inventory or --data, where they would be"
                f" printed; export {name}=… in the shell, or put it in the file `secrets_file`"
            )
            continue
        close = difflib.get_close_matches(name, _CHECKS, n=1, cutoff=0.8)
        if close:
            problems.append(f"{name}: no such setting; did you mean {close[0]}?")
        elif name.startswith(OUR_PREFIXES):
            problems.append(f"{name}: no such setting; group_data/all.py lists them all")
    return problems


def check(data: Mapping[str, Any]) -> tuple[Settings, list[str]]:
    """Turn a host's data into settings.

    Parameters: `data`, the host's data by name; names that are not ours are left to others.
    Returns the settings and the problems: one text each, naming the setting and the mend. Where there are
    any, the settings are good for finding more problems and for nothing else.
    """
    problems = misspelt(set(data))
    values: dict[str, Any] = {}
    for name, check_value in _CHECKS.items():
        # The default is no better than what was refused: a person may have edited group_data/all.py.
        values[name] = () if name == "gateway_channels" else None
        if name not in data and name not in defaults():
            problems.append(f"{name}: has no value; put its line back into group_data/all.py")
            continue
        value = data[name] if name in data else defaults()[name]
        try:
            values[name] = check_value(value)
        except InvalidError as problem:
            problems.append(f"{name}: {problem}{_shown(name, value)}")
    found = Settings(**values)
    asked = [name for name in _OF_DAEMON if getattr(found, name)]
    if asked and found.docker_source == "preinstalled":
        problems.append(f'{", ".join(asked)}: docker_source is "preinstalled", so nothing is configured; leave it out')
    if found.openclaw_unit_scope == "user" and found.openclaw_user is None:
        problems.append('openclaw_user: name the user whose unit it is, since openclaw_unit_scope is "user"')
    return found, problems
