"""Secrets: those that the operator hands in, and those that the deployment makes for itself.

Handed in: provider keys, from the environment or a 0600 file. Made: the root password, the admin access
token and the session secret. They live on the gateway host, readable by root alone, and every later run
reads them back from there, so that no state is kept on the machine that runs pyinfra.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import stat
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from llm_gateway.model import dotenv

ROOT_PASSWORD = "ONEAPI_ROOT_PASSWORD"  # noqa: S105 - the name of a variable
ACCESS_TOKEN = "ONEAPI_ACCESS_TOKEN"  # noqa: S105 - the name of a variable
SESSION_SECRET = "SESSION_SECRET"  # noqa: S105 - the name of a variable
FINGERPRINT_SECRET = "FINGERPRINT_SECRET"  # noqa: S105 - the name of a variable
SERVICE_ACCOUNT = "vertex_ai_adc"
"""The field of a channel's config that holds a JSON document: a service account of Google Cloud, key and all."""

_ALPHABET = string.ascii_letters + string.digits


class SecretsError(ValueError):
    """A secret cannot be had; the text says which and how to hand it in, never a value."""


@dataclass(frozen=True)
class Generated:
    """The secrets that a gateway makes for itself; `repr` shows none of them."""

    root_password: str = field(repr=False)
    access_token: str = field(repr=False)
    session_secret: str = field(repr=False)
    fingerprint_secret: str = field(default="", repr=False)
    """What the fingerprints of the channels' keys are made with; "" on older gateways: the session secret."""

    @property
    def mark_secret(self) -> str:
        """What the fingerprints of the channels' keys are made with, on any gateway."""
        return self.fingerprint_secret or self.session_secret

    @classmethod
    def new(cls) -> Generated:
        """Fresh ones. One API takes passwords of 8 to 20 characters and access tokens of exactly 32."""
        return cls(_random(20), _random(32), _random(48), _random(48))

    @classmethod
    def read(cls, text: str) -> Generated:
        """Read back what `render` wrote. Raises SecretsError when something is missing."""
        try:
            values = dotenv.read(text)
            made = values[ROOT_PASSWORD], values[ACCESS_TOKEN], values[SESSION_SECRET]
            return cls(*made, values.get(FINGERPRINT_SECRET, ""))
        except KeyError as missing:
            raise SecretsError(f"{missing.args[0]} is missing") from None
        except dotenv.DotenvError as problem:
            raise SecretsError(str(problem)) from None

    def render(self) -> str:
        """The content of `secrets.env` on the gateway host."""
        values = {
            ROOT_PASSWORD: self.root_password,
            ACCESS_TOKEN: self.access_token,
            SESSION_SECRET: self.session_secret,
        }
        if self.fingerprint_secret:
            values[FINGERPRINT_SECRET] = self.fingerprint_secret
        return "# Made by the deployment and read back by every later run. Root only.\n" + dotenv.render(values)


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


class Provided:
    """The secrets that the operator hands in, by name. `repr` shows none of them."""

    def __init__(self, file: str | None, environment: Mapping[str, str] | None = None) -> None:
        """Parameters: `file`, a dotenv file of mode 0600, or None; `environment`, `os.environ` when None."""
        self._environment = os.environ if environment is None else environment
        self._file = file

    @cached_property
    def from_file(self) -> dict[str, str]:
        """What the file holds, read when it is first needed: verification needs no provider keys.

        Raises SecretsError when the file is missing, readable by others, or not a dotenv file.
        """
        return {} if self._file is None else _read_private_file(Path(self._file).expanduser())

    def get(self, name: str) -> str | None:
        """The secret of that name without surrounding blanks, or None."""
        return self._environment.get(name, "").strip() or self.from_file.get(name) or None

    def require(self, name: str) -> str:
        """The secret of that name. Raises SecretsError that says how to hand it in."""
        value = self.get(name)
        if value is None:
            place = self._file or "a 0600 file named by the setting `secrets_file`"
            raise SecretsError(
                f"{name}: this secret is missing; `export {name}=…` in the shell that runs pyinfra,"
                f" or write `{name}=…` in {place}"
            )
        if value.startswith("{"):
            raise SecretsError(
                f"{name}: this secret is a JSON document and no key: a service account belongs into the channel's"
                f' config (`"config": {{"{SERVICE_ACCOUNT}": "{name}", …}}`), beside a `key` of any text'
            )
        if not value.isascii() or not value.isprintable() or " " in value:
            raise SecretsError(f"{name}: this secret holds a blank, a line break or a non-ASCII character")
        return value

    def credential(self, field: str, name: str) -> str:
        """The secret of that name for a field of a channel's config: unlike a key it may hold blanks and lines.

        Raises SecretsError that says how to hand it in.
        """
        value = self.get(name)
        if field == SERVICE_ACCOUNT and not _is_json_object(value or ""):
            wrong = "this secret is missing" if value is None else "this secret is no JSON document (not its path)"
            raise SecretsError(f"{name}: {wrong}; {_export_document(name)}")
        return value or self.require(name)


def _is_json_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _export_document(name: str) -> str:
    return (
        f'hand in a service account by `export {name}="$(cat FILE.json)"` in the shell that runs pyinfra, because the'
        " lines of `secrets_file` cannot hold one"
    )


def _read_private_file(path: Path) -> dict[str, str]:
    try:
        # The mode is read from the open file, so that what is checked is what is read.
        with path.open(encoding="utf-8") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise SecretsError(f"secrets_file: {path} is readable by others (mode {mode:04o}); `chmod 600 {path}`")
            text = file.read()
        return dotenv.read(text)
    except (OSError, UnicodeDecodeError) as problem:
        raise SecretsError(f"secrets_file: {path} cannot be read: {problem}") from None
    except dotenv.DotenvError as problem:
        document = re.search(r"^\s*([A-Za-z_]\w*)=\s*['\"]?\{", text, re.MULTILINE)
        fix = f"; {_export_document(document[1])}" if document else ""
        raise SecretsError(f"secrets_file: {path}: {problem}{fix}") from None
