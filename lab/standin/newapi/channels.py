"""Channels and abilities: what routing reads, and how an edit of a channel reaches it."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

from ..channels import ENABLED
from ..database import Database, Row
from .schema import ABILITIES, CHANNELS

AUTO_OFF = 3
# A channel without weight is drawn, too.
SMOOTHING = 10


class Channels:
    """The channels of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def set_abilities(self, channel: Row) -> None:
        """One row for each group and model of the channel, in place of those that there were."""
        pairs = {
            (group, model): None
            for model in channel["models"].split(",")
            for group in channel["group"].split(",")
            if model and group
        }
        rows = [
            {
                "group": group,
                "model": model,
                "channel_id": channel["id"],
                "enabled": channel["status"] == ENABLED,
                "priority": channel["priority"],
                "weight": channel["weight"] or 0,
                "tag": channel["tag"],
            }
            for group, model in pairs
        ]
        self.drop_abilities(channel["id"])
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

    def pick(self, group: str, model: str, retry: int = 0) -> Row | None:
        """A channel of the priority whose turn it is at this retry, drawn by weight; None where none serves the model.

        Raises NotFoundError where routing points to a channel that is gone.
        """
        rows = self._database.query(
            "SELECT channel_id, priority, weight FROM abilities WHERE `group` = ? AND model = ? AND enabled = 1",
            (group, model),
        )
        if not rows:
            return None
        priorities = sorted({row["priority"] or 0 for row in rows}, reverse=True)
        wanted = priorities[min(retry, len(priorities) - 1)]
        among = [row for row in rows if (row["priority"] or 0) == wanted]
        (drawn,) = random.choices(among, [(row["weight"] or 0) + SMOOTHING for row in among])  # noqa: S311
        return self.by_id(drawn["channel_id"])

    def group_models(self, group: str) -> list[str]:
        """The models that a group may use, sorted."""
        rows = self._database.query("SELECT DISTINCT model FROM abilities WHERE `group` = ? AND enabled = 1", (group,))
        return sorted(row["model"] for row in rows)


def json_field(channel: Row, name: str) -> Mapping[str, Any]:
    """One of a channel's fields that hold an object; empty where it is none."""
    try:
        found = json.loads(channel[name] or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def key_of(channel: Row) -> str:
    """The key to ask with: of several, any."""
    if not json_field(channel, "channel_info").get("is_multi_key"):
        return str(channel["key"])
    return str(random.choice(channel["key"].split("\n")))  # noqa: S311
