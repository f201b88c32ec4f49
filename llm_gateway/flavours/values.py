"""The numbers and limits of channels and tokens; they have One API's values, which its forks kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ENABLED = 1
DISABLED = 2
AUTO_DISABLED = 3
"""A channel's; a token's 3 is another thing."""
EXPIRED = 3
EXHAUSTED = 4
NEVER_EXPIRES = -1
PASSWORD_CHARACTERS = range(8, 21)
CONFIG_FIELDS = frozenset(
    ("region", "sk", "ak", "user_id", "api_version", "library_id", "plugin", "vertex_ai_project_id", "vertex_ai_adc")
)
"""What a channel's config may hold; One API passes over anything else."""
INT64 = range(-(1 << 63), 1 << 63)
TOKEN_NAME_BYTES = 30
MODEL_MAPPING_CHARACTERS = 1024
NOT_FOUND = "record not found"
"""How the gateway's database library says that there is no such row; no code comes with it."""


def filled(config: Mapping[str, Any]) -> dict[str, Any]:
    """A channel's config without empty values, which One API's web page writes and which mean nothing."""
    return {name: value for name, value in config.items() if value not in ("", None)}
