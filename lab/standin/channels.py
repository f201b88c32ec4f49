"""Channels and abilities: what routing reads, and how an edit of a channel reaches it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable

from .database import Database, NotFoundError, Row
from .schema import ABILITIES, CHANNELS

ENABLED, MANUALLY_OFF, AUTO_OFF = 1, 2, 3


class Channels:
    """The channels of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_abilities(self, channel: Row) -> None:
        """One row for each group and model of the channel; names are not trimmed."""
        rows = [
            {
                "group": group,
                "model": model,
                "channel_id": channel["id"],
                "enabled": channel["status"] == ENABLED,
                "priority": channel["priority"],
            }
            for model in channel["models"].split(",")
            for group in channel["group"].split(",")
        ]
        self._database.insert(ABILITIES, *rows)

    def drop_abilities(self, channel_id: int) -> None:
        self._database.execute("DELETE FROM abilities WHERE channel_id = ?", (channel_id,))

    def switch_off(self, channel_id: int) -> None:
        """Disable a channel as the automatic does."""
        self._database.execute("UPDATE abilities SET enabled = 0 WHERE channel_id = ?", (channel_id,))
        self._database.update(CHANNELS, channel_id, {"status": AUTO_OFF})

    def by_id(self, channel_id: int) -> Row:
        """A channel with its key.

        Raises NotFoundError.
        """
        return self._database.first(CHANNELS, "id = ?", (channel_id,))

    def pick(self, group: str, model: str, any_priority: bool = False) -> Row:
        """A random channel among the enabled ones of the highest priority (or of any).

        Raises NotFoundError where none serves the model, BrokenAbilitiesError where routing points
        to a channel that is gone.
        """
        where = "`group` = ? AND model = ? AND enabled = 1"
        params: list[object] = [group, model]
        if not any_priority:
            where += f" AND priority = (SELECT MAX(priority) FROM abilities WHERE {where})"  # noqa: S608
            params *= 2
        found = self._database.query(
            f"SELECT channel_id FROM abilities WHERE {where} ORDER BY RANDOM() LIMIT 1",  # noqa: S608
            params,
        )
        if not found:
            raise NotFoundError
        channel_id = found[0]["channel_id"]
        try:
            return self.by_id(channel_id)
        except (NotFoundError, sqlite3.Error):
            raise BrokenAbilitiesError(channel_id) from None

    def group_models(self, group: str) -> list[str]:
        """The models that a group may use, sorted."""
        rows = self._database.query("SELECT DISTINCT model FROM abilities WHERE `group` = ? AND enabled = 1", (group,))
        return sorted(row["model"] for row in rows)


class BrokenAbilitiesError(Exception):
    """An ability names a channel that is not there."""

    def __init__(self, channel_id: int) -> None:
        super().__init__(f"渠道不存在：{channel_id}")


def model_mapping(channel: Row, complain: Callable[[str], None]) -> dict[str, str]:
    """The channel's model mapping; one that cannot be read is ignored with a log line."""
    text = channel["model_mapping"]
    if not text or text == "{}":
        return {}
    try:
        mapping = json.loads(text)
        if not isinstance(mapping, dict) or not all(isinstance(v, str) for v in mapping.values()):
            raise ValueError("not an object of strings")
    except ValueError as error:
        complain(f"failed to unmarshal model mapping for channel {channel['id']}, error: {error}")
        return {}
    return mapping
