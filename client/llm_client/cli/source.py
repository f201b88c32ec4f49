"""Where address, key and model come from: the command line, a file that it names, the environment."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from ..errors import LLMConfigError
from ..settings import API_KEY_VARIABLE, BASE_URL_VARIABLE, FALLBACK_KEYS_VARIABLE, FALLBACK_URLS_VARIABLE

CHAT_MODEL_VARIABLE = "LLM_MODEL_ID"
EMBEDDING_MODEL_VARIABLE = "EMBEDDING_MODEL_ID"

_FALLBACKS = (FALLBACK_URLS_VARIABLE, FALLBACK_KEYS_VARIABLE)
_NAMES = (BASE_URL_VARIABLE, API_KEY_VARIABLE, *_FALLBACKS, CHAT_MODEL_VARIABLE, EMBEDDING_MODEL_VARIABLE)
_OPENCLAW = "~/.openclaw/.env"
_FILE_LIMIT = 1 << 20
"""Bytes; as much as OpenClaw reads of its .env."""
_SETTING = re.compile(rf"\s*(?:export\s+)?(?P<name>{'|'.join(_NAMES)})\s*=\s*(?P<value>.*?)\s*")
_VALUE = re.compile(r"""'(?P<single>[^'\\]*)'|"(?P<double>[^"\\$`]*)"|(?P<bare>[^\s'"\\$`#]*)""")
"""What all readers of such files take alike."""


def environment(env_file: str | None) -> dict[str, str]:
    """Return the variables that matter here; a file named on the command line wins over the environment.

    Raises:
        LLMConfigError: the file cannot be read, is open to others, or holds one of them in a way that the
            readers of such files (OpenClaw, systemd, docker compose) do not read alike.
    """
    values = {name: os.environ[name] for name in _NAMES if name in os.environ}
    if env_file is not None:
        # Foreign bytes, such as a comment in GBK, stand in other lines as they are: deploy.py keeps them as well.
        found = _settings_in(_private_text("--env-file", env_file, "surrogateescape"), env_file)
        if BASE_URL_VARIABLE in found:  # what the environment has beside its own gateway does not belong to this one
            values = {name: value for name, value in values.items() if name not in _FALLBACKS}
        values |= found
    return values


def base_url(given: str | None, values: Mapping[str, str]) -> str:
    """Return the gateway's address as somebody wrote it; the client checks it.

    Raises:
        LLMConfigError: there is none.
    """
    return given or _required(values, BASE_URL_VARIABLE, "--base-url URL")


def fallbacks(given: str | None, values: Mapping[str, str]) -> tuple[str, str]:
    """Return the further gateways' addresses and keys as somebody wrote them; none beside a `given` address."""
    urls, keys = ("" if given else values.get(name, "") for name in _FALLBACKS)
    return urls, keys


def api_key(key_file: str | None, values: Mapping[str, str]) -> str:
    """Return the key, never from the command line: everybody on the machine can read that.

    Raises:
        LLMConfigError: there is none, or its file cannot be read, is open to others or holds more than a key.
    """
    if key_file is None:
        return _required(values, API_KEY_VARIABLE, "--key-file PATH")
    key = _private_text("--key-file", key_file).strip()
    if not key:
        raise LLMConfigError(f"--key-file: {key_file} is empty")
    if len(key.split()) > 1 or "=" in key.rstrip("="):
        raise LLMConfigError(
            f"--key-file: {key_file} must hold the key and nothing else; a file of NAME=value lines is an --env-file"
        )
    return key


def model(given: str | None, values: Mapping[str, str], variable: str, program: str) -> str:
    """Return the model to ask.

    Raises:
        LLMConfigError: none is named.
    """
    found = given or values.get(variable, "").strip()
    if not found:
        raise LLMConfigError(f"which model? --model NAME, or {variable}; `{program} models` lists what there is")
    return found


def _required(values: Mapping[str, str], variable: str, option: str) -> str:
    value = values.get(variable)
    if value is not None and value.strip():
        return value
    example = _OPENCLAW if Path(os.path.expanduser(_OPENCLAW)).is_file() else "PATH"  # noqa: PTH111 (never raises)
    state = "is not set" if value is None else "is blank"
    raise LLMConfigError(f"{variable} {state}: set it, or use {option} or --env-file {example}")


def _private_text(option: str, name: str, foreign: str = "strict") -> str:
    """The text of a file with a secret in it, which as with ssh's keys must not be open to others."""
    path = Path(os.path.expanduser(name))  # noqa: PTH111 (Path's own raises for a user that is not there)
    try:
        with path.open("rb") as file:
            _refuse_open(option, name, os.fstat(file.fileno()))
            text = file.read(_FILE_LIMIT + 1).decode("utf-8-sig", foreign)
    except OSError as exc:
        reason = exc.strerror or str(exc)
    except ValueError:  # not UTF-8, or a zero byte in the name
        reason = "it is not a text file"
    else:
        if len(text) <= _FILE_LIMIT:
            return text
        reason = "it is too large"
    raise LLMConfigError(f"{option}: {name}: {reason}")


def _refuse_open(option: str, name: str, found: os.stat_result) -> None:
    """Like ssh: a regular file of one's own; a pipe or a mounted secret of root's is somebody else's affair."""
    own = hasattr(os, "getuid") and found.st_uid == os.getuid()
    mode = stat.S_IMODE(found.st_mode)
    if own and stat.S_ISREG(found.st_mode) and mode & 0o077:
        raise LLMConfigError(f"{option}: others can read {name} (mode {mode:04o}): chmod 600 {name}")


def _settings_in(text: str, name: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        setting = _SETTING.fullmatch(line)
        if setting is None:
            continue
        variable = setting["name"]
        if not setting["value"].isprintable():
            raise LLMConfigError(f"--env-file: {name}, line {number}: {variable} is not UTF-8 text: write it anew")
        value = _VALUE.fullmatch(setting["value"])
        if value is None:
            raise LLMConfigError(
                f"--env-file: {name}, line {number}: {variable} is written in a way that not all programs read"
                " alike: no comment behind it, no blank, quote, backslash or $ in it"
            )
        if variable in values:
            raise LLMConfigError(f"--env-file: {name}, line {number}: {variable} is set a second time: keep one")
        values[variable] = value["single"] or value["double"] or value["bare"] or ""
    return values
