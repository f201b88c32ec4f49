"""Settings by which One API keeps what it knows elsewhere than in its data/one-api.db, which is all that we carry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_ALL = ("SQL_DSN", "SQLITE_PATH")
_LOG = "LOG_SQL_DSN"

READ_ENV_FILE = r"""sed -nE 's/^ *(export +)?((LOG_)?SQL_DSN|SQLITE_PATH) *= *[^ ].*/\2/p'"""
"""A shell command that prints which of them the .env names that follows it: One API reads one in its working directory,
/data, too. Their values stay on the host: a DSN has a password in it."""


def that_holds_all(container: Mapping[str, Any], in_env_file: Iterable[str]) -> str | None:
    """The name of a setting that takes all of the data to another database.

    Args:
        container: what `docker container inspect` says of the container; {} where there is none.
        in_env_file: the lines that `READ_ENV_FILE` printed.
    """
    return next((name for name in _ALL if name in _named(container, in_env_file)), None)


def that_holds_the_log(container: Mapping[str, Any], in_env_file: Iterable[str]) -> str | None:
    """The name of the setting that takes the rows of the table `logs` to another database; arguments as above."""
    return _LOG if _LOG in _named(container, in_env_file) else None


def _named(container: Mapping[str, Any], in_env_file: Iterable[str]) -> set[str]:
    """One API takes an empty value for none (`model/main.go`)."""
    entries = (entry.partition("=") for entry in container.get("Config", {}).get("Env") or [])
    return {name for name, _, value in entries if value} | {line.strip() for line in in_env_file}
