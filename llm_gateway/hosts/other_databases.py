"""Settings by which One API keeps what it knows elsewhere than in its data/one-api.db, which is all that we carry.

Hosts find them by `files/database-settings`: by name, in a container's environment and in the .env of its data.
"""

from __future__ import annotations

from collections.abc import Sequence

from llm_gateway.model import layout
from llm_gateway.model.checkout import ROOT

SCRIPT = ROOT / "files" / layout.DATABASE_SETTINGS
"""Defines the shell function `database_settings`; a gateway's host has it, too, for what runs there by itself."""
_LOG = "LOG_SQL_DSN"


def that_holds_all(named: Sequence[str]) -> str | None:
    """Which of the settings that a host has named takes all of the data to another database."""
    return next((name for name in named if name != _LOG), None)


def that_holds_the_log(named: Sequence[str]) -> str | None:
    """Which of the settings that a host has named takes the rows of the table `logs` to another database."""
    return _LOG if _LOG in named else None
