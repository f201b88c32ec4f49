"""What a page says of a host, a line for each thing, in the reader's language."""

from __future__ import annotations

from collections.abc import Iterator

from llm_gateway.model.budgets import amount
from llm_gateway.model.wording import CHINESE, Wording
from llm_gateway.proof.agent_path import Look
from llm_gateway.status import ages, status_table
from llm_gateway.status.canary_status import Canary
from llm_gateway.status.page_words import STATES
from llm_gateway.status.shapes import AgentBudget, GatewayStatus, HostStatus, OpenClawStatus


def state(status: HostStatus, words: Wording) -> str:
    """The state of a host in a word or three."""
    if status.gateway and status.gateway.migrated_to:
        return words("moved to", host=status.gateway.migrated_to)
    return _word(status_table.state(status), words)


def _word(text: str, words: Wording) -> str:
    return STATES.get(text, text) if words.language == CHINESE else text


def lines(status: HostStatus, words: Wording) -> Iterator[tuple[str, str]]:
    """Labels and what stands behind them."""
    if status.gateway:
        yield from ((words(name), text) for name, text in _of_gateway(status.gateway, words))
    if status.openclaw:
        yield words("OpenClaw"), words("ready", unit=status.openclaw.unit, state=_unit(status.openclaw, words))
        yield words("uses"), status_table.gateways(status.openclaw)
        looks = [status.openclaw.reaches, *(fallback.reaches for fallback in status.openclaw.fallbacks)]
        yield words("reaches it"), "; ".join(_reaches(look, words) for look in looks)
    if status.gateway or status.openclaw:
        drift = words(f"drift {status.drift.differs}", count=len(status.drift.what))
        yield words("drift"), "; ".join([drift, *status.drift.what])
        yield words("last run"), status_table.last_run(status.last_run)


def _reaches(look: Look, words: Wording) -> str:
    if look.seconds is None:
        return words("not reached", why=look.short)
    return words("reached", milliseconds=look.seconds * 1000)


def _unit(found: OpenClawStatus, words: Wording) -> str:
    told = _word(found.state, words)
    return told if found.readiness in (None, "ready") else words("not ready", state=told)


def _of_gateway(found: GatewayStatus, words: Wording) -> Iterator[tuple[str, str]]:
    none = status_table.NONE
    yield "version", found.version or none
    yield "image", found.image or none
    yield "up", none if found.uptime is None else age(found.uptime, words)
    yield "address", found.address or none
    yield "last backup", _backup(found, words)
    yield "canary", _canary(found.canary, words)
    rows = "" if found.logs.rows is None else words("rows", count=found.logs.rows)
    yield "logs", words("of logs", sizes=status_table.logs(found), rows=rows)
    yield "models", ", ".join(found.models) or none
    for each in found.budgets:
        yield "budget", _budget(each, words)
    for place in found.elsewhere:
        yield "elsewhere", str(place)
    if found.disk:
        yield "disk", words("free of", free=ages.size(found.disk.free * 1024), size=ages.size(found.disk.size * 1024))


def _budget(found: AgentBudget, words: Wording) -> str:
    used, limit, left = (amount(value, found.unit) for value in (found.used, found.limit, found.left))
    until = found.until[:16].replace("T", " ")
    percent = int(found.used * 100 // found.limit)
    return words(
        "spent", agent=found.agent, percent=percent, used=used, limit=limit, unit=found.unit, left=left, until=until
    )


def _backup(found: GatewayStatus, words: Wording) -> str:
    kept = found.backup
    told = status_table.NONE if kept.age is None else words("ago", age=age(kept.age, words))
    size = "" if kept.size is None else words("kept", size=ages.size(kept.size), count=kept.count)
    return f"{told}{' !' if kept.problem else ''}{size}"


def _canary(found: Canary, words: Wording) -> str:
    bad = " !" if found.problem else ""
    if found.result is None or found.age is None:
        return f"{status_table.NONE}{bad}"
    told = words(f"canary {found.result}", age=age(found.age, words), seconds=found.seconds or 0.0)
    counted = words("of results", ok=found.ok, count=found.count) if found.count else ""
    return f"{told}{counted}{bad}"


def age(seconds: float, words: Wording) -> str:
    """Such as "3 d", "5 h", "12 min", "40 s"."""
    count, unit = ages.age(seconds).split()
    return words(unit, count=count)
