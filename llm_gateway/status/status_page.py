"""The fleet as one page of HTML that needs nothing beside itself, in light or dark, on a desk or a phone."""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import markupsafe

from llm_gateway.status import ages, canary_status, html, status_table
from llm_gateway.status.shapes import GatewayStatus, HostStatus

REFRESH_SECONDS = 60
"""How often a browser that has the page open reads it anew."""
_TEMPLATE = "status_page.html.j2"
_SCRIPT = Path(__file__).with_name("status_page.js")
"""All that the page runs, named by its SHA-256 in the page's own policy."""


def write(path: Path, statuses: Sequence[HostStatus], made_at: datetime, minutes: int) -> None:
    """Put the page in place, whole or not at all: a browser may be reading it.

    Parameters: `minutes`, how often it is made anew; an older one says itself that it is.
    Raises OSError, with a text for a person. A directory that is not there is a mistyped one: it is not made.
    """
    if path.is_dir():
        raise IsADirectoryError("it is a directory: name a file")
    if not path.parent.is_dir():
        raise NotADirectoryError(f"there is no directory {path.parent}")
    number, new = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(page(statuses, made_at, minutes))
        # There is nothing secret in it, and a web server may be what shows it.
        Path(new).chmod(0o644)
        Path(new).replace(path)
    finally:
        with suppress(FileNotFoundError):
            Path(new).unlink()


def page(statuses: Sequence[HostStatus], made_at: datetime, minutes: int) -> str:
    """The page's text, what needs a person first. What comes from hosts is escaped: they can have any name."""
    script = _SCRIPT.read_text(encoding="utf-8").strip()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return html.template(_TEMPLATE).render(
        refresh=REFRESH_SECONDS,
        made_at=made_at.strftime("%Y-%m-%d %H:%M:%S UTC"),
        made_at_iso=made_at.isoformat(timespec="seconds"),
        minutes=minutes,
        needing=sum(bool(each.attention) for each in statuses),
        hosts=[_shown(each) for each in sorted(statuses, key=lambda each: not each.attention)],
        script=markupsafe.Markup(script),  # noqa: S704 - a file of ours, as it is
        script_digest=digest,
    )


def _shown(status: HostStatus) -> dict[str, Any]:
    return {
        "name": status.name,
        "state": status_table.state(status),
        "attention": status.attention,
        "lines": list(_lines(status)),
        # Where it is published: a page that another program shows there is not an admin page.
        "admin_page": f"http://{status.gateway.address}/" if status.gateway and status.gateway.version else None,
    }


def _lines(status: HostStatus) -> Iterator[tuple[str, str]]:
    if status.gateway:
        yield from _of_gateway(status.gateway)
    if status.openclaw:
        yield "OpenClaw", f"{status.openclaw.unit}: {status_table.unit(status.openclaw)}"
        yield "uses", status.openclaw.gateway
        yield "reaches it", status_table.reaches(status.openclaw.reaches)
    if status.gateway or status.openclaw:
        yield "drift", "; ".join([status_table.drift(status), *status.drift.what])
        yield "last run", status_table.last_run(status.last_run)


def _of_gateway(found: GatewayStatus) -> Iterator[tuple[str, str]]:
    none = status_table.NONE
    yield "One API", found.version or none
    yield "image", found.image or none
    yield "up", none if found.uptime is None else ages.age(found.uptime)
    yield "address", found.address or none
    size = "" if found.backup.size is None else f", {ages.size(found.backup.size)}, {found.backup.count} kept"
    yield "last backup", f"{status_table.backup(found)}{size}"
    yield "canary", canary_status.told(found.canary, none)
    rows = "" if found.logs.rows is None else f", {found.logs.rows:,} rows"
    yield "logs", f"{status_table.logs(found)} (database + data/logs{rows})"
    yield "models", ", ".join(found.models) or none
    for place in found.elsewhere:
        yield place.name, str(place)
    if found.disk:
        yield "disk", f"{ages.size(found.disk.free * 1024)} of {ages.size(found.disk.size * 1024)} free"
