"""Model lists: One API knows some hundred names; the stand-in knows a few and calls the rest custom."""

from __future__ import annotations

from typing import Any

KNOWN = {
    "gpt-3.5-turbo": "openai",
    "gpt-4": "openai",
    "gpt-4o": "openai",
    "gpt-4o-mini": "openai",
    "text-embedding-3-small": "openai",
    "text-embedding-ada-002": "openai",
    "qwen-turbo": "ali",
    "qwen-plus": "ali",
    "qwen-max": "ali",
    "text-embedding-v1": "ali",
}
CREATED = 1626777600
OPENAI_TYPE, ALI_TYPE, LAST_TYPE = 1, 17, 46
PERMISSION = {
    "id": "modelperm-LwHkVFn8AcMItP432fKKDIKJ",
    "object": "model_permission",
    "created": CREATED,
    "allow_create_engine": True,
    "allow_sampling": True,
    "allow_logprobs": True,
    "allow_search_indices": False,
    "allow_view": True,
    "allow_fine_tuning": False,
    "organization": "*",
    "group": None,
    "is_blocking": False,
}


def model_object(name: str) -> dict[str, Any]:
    """A model as the list shows it; a name that is not known has no permission and the owner custom."""
    return {
        "id": name,
        "object": "model",
        "created": CREATED,
        "owned_by": KNOWN.get(name, "custom"),
        "permission": [PERMISSION] if name in KNOWN else None,
        "root": name,
        "parent": None,
    }


def known_models() -> list[dict[str, Any]]:
    return [model_object(name) for name in KNOWN]


def models_by_channel_type() -> dict[str, list[str]]:
    """The suggestions of the web form, by channel type."""
    lists: dict[str, list[str]] = {str(number): [] for number in range(1, LAST_TYPE + 1)}
    for number, owner in ((OPENAI_TYPE, "openai"), (ALI_TYPE, "ali")):
        lists[str(number)] = [name for name, owned_by in KNOWN.items() if owned_by == owner]
    return lists
