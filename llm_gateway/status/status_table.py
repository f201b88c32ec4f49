"""The fleet as text: a line for each host, and below it what needs a person."""

from __future__ import annotations

from collections.abc import Sequence

from llm_gateway.model.columns import WIDTH, firm, width, wrapped
from llm_gateway.proof.agent_path import Look
from llm_gateway.status import ages, canary_status
from llm_gateway.status.shapes import UP, GatewayStatus, HostStatus, LastRun, OpenClawStatus

GATEWAY_HEAD = (
    *("gateway", "state", "version", "up", "address", "backup", "canary"),
    *("models", "drift", "logs", "disk free", "last run"),
)
OPENCLAW_HEAD = ("OpenClaw", "state", "gateway", "reaches its gateway", "drift", "last run")
GAP = "  "
NONE = "-"
MODELS_NAMED = 2
_ITEM = 40
"""The columns up to which what stands below a row is kept in one line."""


def text(statuses: Sequence[HostStatus], columns: int = WIDTH) -> str:
    """The tables of gateways and of OpenClaw hosts, and what needs a person, or that nothing does.

    Parameters: `columns`, what a line has room for.
    """
    gateways = [_gateway_row(each) for each in statuses if "gateways" in each.roles]
    agents = [_openclaw_row(each) for each in statuses if "openclaw" in each.roles]
    tables = [_table(head, rows, columns) for head, rows in ((GATEWAY_HEAD, gateways), (OPENCLAW_HEAD, agents)) if rows]
    needs = [f"  {each.name}: {what}" for each in statuses for what in each.attention]
    if spent := [
        f"  {each.agent}: {each.told}" for status in statuses if status.gateway for each in status.gateway.budgets
    ]:
        tables.append("\n".join(["Budgets:", *spent]))
    if places := [f"  {each.name}: {place}" for each in statuses if each.gateway for place in each.gateway.elsewhere]:
        tables.append("\n".join(["Elsewhere:", *places]))
    return "\n\n".join([*tables, "\n".join(["Needs attention:", *needs]) if needs else "All is well."])


def state(status: HostStatus) -> str:
    """The state of a host in a word or three."""
    if status.state != UP:
        return status.state.upper()
    if status.gateway is None:
        return status.openclaw.state if status.openclaw else status.state
    if status.last_run and status.last_run.is_changing and not (status.gateway.is_running and status.gateway.version):
        return f"{status.last_run.script} at work"
    if status.gateway.migrated_to:
        return f"moved to {status.gateway.migrated_to}"
    if not status.gateway.is_running:
        return "STOPPED"
    if status.gateway.version is None:
        return "NO ANSWER"
    return "UNHEALTHY" if status.gateway.health == "unhealthy" else "serves"


def backup(found: GatewayStatus) -> str:
    """The last backup's age, marked where something is wrong with it."""
    told = NONE if found.backup.age is None else f"{ages.age(found.backup.age)} ago"
    return f"{told} !" if found.backup.problem else told


def last_run(found: LastRun | None) -> str:
    """What was run last, when, and how it ended."""
    return f"{found.script} {found.at[:16].replace('T', ' ')}: {found.how}" if found else NONE


def reaches(look: Look) -> str:
    """Whether an OpenClaw host reaches a gateway, and how fast."""
    return f"no: {look.short}" if look.seconds is None else f"yes, {look.seconds * 1000:.0f} ms"


def gateways(found: OpenClawStatus) -> str:
    """The gateways of an OpenClaw host, the first one first."""
    return ", ".join([found.gateway, *(fallback.gateway for fallback in found.fallbacks)])


def reaches_all(found: OpenClawStatus) -> str:
    """Whether it reaches them, in this order."""
    return "; ".join([reaches(found.reaches), *(reaches(fallback.reaches) for fallback in found.fallbacks)])


def drift(status: HostStatus) -> str:
    """Whether it differs from what is declared, and in how many things."""
    count = len(status.drift.what)
    return f"yes ({count})" if status.drift.differs == "yes" else status.drift.differs


def models(found: GatewayStatus) -> str:
    """The first models, and how many there are besides."""
    more = len(found.models) - MODELS_NAMED
    named = ", ".join(found.models[:MODELS_NAMED]) or NONE
    return f"{named} +{more}" if more > 0 else named


def logs(found: GatewayStatus) -> str:
    """The size of the database and of the log's files, marked where something is wrong with their pruning."""
    sizes = [size for size in (found.logs.database, found.logs.files) if size is not None]
    told = " + ".join(map(ages.size, sizes)) or NONE
    return f"{told} !" if found.logs.problem else told


def _gateway_row(status: HostStatus) -> tuple[str, ...]:
    found = status.gateway
    if found is None:
        return (status.name, state(status), *[NONE] * (len(GATEWAY_HEAD) - 2))
    return (
        status.name,
        state(status),
        found.version or NONE,
        NONE if found.uptime is None else ages.age(found.uptime),
        found.address or NONE,
        backup(found),
        canary_status.short(found.canary, NONE),
        models(found),
        drift(status),
        logs(found),
        NONE if found.disk is None else ages.size(found.disk.free * 1024),
        last_run(status.last_run),
    )


def unit(found: OpenClawStatus) -> str:
    """The state of its unit, and whether it is ready where that is known."""
    return found.state if found.readiness in (None, "ready") else f"{found.state}, not ready"


def _openclaw_row(status: HostStatus) -> tuple[str, ...]:
    found = status.openclaw
    if found is None:
        return (status.name, state(status), *[NONE] * (len(OPENCLAW_HEAD) - 2))
    return (status.name, unit(found), gateways(found), reaches_all(found), drift(status), last_run(status.last_run))


def _item(name: str, cell: str) -> str:
    text = f"{name}: {cell}"
    return firm(text) if width(text) < _ITEM else text


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], columns: int) -> str:
    """A line for each row; what has no room beside the first columns stands below it, each with its head."""
    widths = [max(map(width, column)) for column in zip(head, *rows, strict=True)]
    beside = len(head)
    while beside > 2 and sum(widths[:beside]) + len(GAP) * (beside - 1) >= columns:
        beside -= 1
    lines = []
    for row in (head, *rows):
        cells = zip(row[:beside], widths[:beside], strict=True)
        lines.append(GAP.join(cell + " " * (room - width(cell)) for cell, room in cells).rstrip())
        below = [_item(name, cell) for name, cell in zip(head[beside:], row[beside:], strict=True) if cell != NONE]
        if below and row is not head:
            lines += wrapped("; ".join(below), "  ", "  ")
    return "\n".join(lines)
