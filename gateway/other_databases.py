"""Settings by which One API keeps what it knows elsewhere than in its data/one-api.db, which is all that we carry.

Hosts find them by `database_settings.sh`: by name, in a container's environment and in the .env of its data.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

SCRIPT = Path(__file__).with_name("database_settings.sh")
"""Defines the shell function `database_settings`."""
_LOG = "LOG_SQL_DSN"


def that_holds_all(named: Sequence[str]) -> str | None:
    """Which of the settings that a host has named takes all of the data to another database."""
    return next((name for name in named if name != _LOG), None)


def that_holds_the_log(named: Sequence[str]) -> str | None:
    """Which of the settings that a host has named takes the rows of the table `logs` to another database."""
    return _LOG if _LOG in named else None
