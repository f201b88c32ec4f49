"""What the tests of a migration need: its inventories and arguments, and what must be so after it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tests.lab.rows import TABLES

if TYPE_CHECKING:
    from tests.lab.conftest import Lab

_INVENTORY = """
from lab.inventory import gateways as _gateways, openclaw as _openclaw
_known = {{**dict(_gateways), **dict(_openclaw)}}
gateways = [(name, {{**_known[name], **{settings}}}) for name in {gateways}]
{strangers}
openclaw = [(name, {{**_known[name], "openclaw_gateway": {target!r}}}) for name in {agents}]
"""


def inventory(
    place: Path, source: str, target: str, agents: list[str], *, source_is_ours: bool = True, **settings: Any
) -> str:
    """Write the inventory of a person who is about to migrate: the agents name the new gateway. Returns its path.

    Parameters: `settings`, of the gateways.
    """
    gateways = [source, target] if source_is_ours else [target]
    strangers = "" if source_is_ours else f"strangers = [({source!r}, _known[{source!r}])]"
    file = place / f"from_{source}_to_{target}.py"
    file.write_text(
        _INVENTORY.format(gateways=gateways, strangers=strangers, target=target, agents=agents, settings=settings)
    )
    return str(file)


def migration(file: str, source: str, *arguments: str) -> list[str]:
    """The arguments of pyinfra that migrate by this inventory, with these `--data`."""
    options = [part for each in (f"source={source}", *arguments) for part in ("--data", each)]
    return [file, "deploys/migrate.py", *options]


def is_served(lab: Lab, host: str) -> bool:
    """Whether a gateway answers on a host."""
    try:
        return httpx.get(f"http://{lab.address(host)}:3000/api/status", timeout=3).status_code == 200
    except httpx.HTTPError:
        return False


def nothing_is_unfinished(lab: Lab, host: str) -> bool:
    """Whether a host has undone whatever it had to."""
    left = "ls -d /var/lib/openclaw-llm-gateway/unfinished /var/lib/openclaw-llm-gateway/undoing 2>/dev/null || true"
    return lab.ssh(host, left) == ""


def differing(kept: dict[str, list[Any]], now: dict[str, list[Any]]) -> list[str]:
    """Rows of the old gateway that the new one has not as they were, but for what its use has counted since."""
    counters = {"accessed_time", "used_quota", "request_count", "quota", "remain_quota"}
    found = []
    for table in TABLES:
        key = "id" if kept[table] and "id" in kept[table][0] else None
        there = {row[key] if key else tuple(row.values()): row for row in now[table]}
        for row in kept[table]:
            other = there.get(row[key] if key else tuple(row.values()), {})
            found += [
                f"{table} {row.get('id')} {name}: {value} became {other.get(name)}"
                for name, value in row.items()
                if name not in counters and other.get(name) != value
            ]
    return found
