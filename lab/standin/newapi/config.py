"""Settings from the environment and from `.env` in the working directory."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..config import number, read_dotenv

GLOBAL, WEB, CRITICAL, SEARCH = "GA", "GW", "CT", "search:user:"
DRIVERS_BUSY_TIMEOUT = "busy_timeout(5000)"
_LIMITS = {
    GLOBAL: ("GLOBAL_API_RATE_LIMIT", 360, 180),
    WEB: ("GLOBAL_WEB_RATE_LIMIT", 120, 180),
    CRITICAL: ("CRITICAL_RATE_LIMIT", 20, 20 * 60),
    SEARCH: ("SEARCH_RATE_LIMIT", 10, 60),
}


@dataclass(frozen=True)
class Limit:
    """So many requests in so many seconds; 0 is no limit."""

    number: int
    seconds: int


@dataclass(frozen=True)
class Config:
    """What the environment says; names and defaults are those of v1.0.0-rc.15.

    Relative paths are relative to `workdir` (/data in the container).
    """

    workdir: Path
    port: int
    log_dir: Path
    sqlite_path: Path
    busy_timeout_ms: int
    pragmas: tuple[str, ...]
    session_secret: str
    limits: Mapping[str, Limit]
    sync_seconds: int
    overloaded: str
    """What the host is short of, `cpu`, `memory` or `disk`: for tests; nothing but this trips the monitor."""
    environ: Mapping[str, str] = field(repr=False)


def load_config(environ: Mapping[str, str], workdir: Path, port: int = 3000, log_dir: str = "./logs") -> Config:
    """The settings; a variable of the real environment wins over the same one in `.env`.

    Raises SystemExit where SESSION_SECRET is the example's.
    """
    env = {**read_dotenv(workdir / ".env"), **environ}
    if env.get("SESSION_SECRET") == "random_string":
        raise SystemExit("[FATAL] Please set SESSION_SECRET to a random string.")
    name, _, query = (env.get("SQLITE_PATH") or "one-api.db").partition("?")
    pragmas = tuple(part.removeprefix("_pragma=") for part in query.split("&") if part.startswith("_pragma="))
    busy = next((text for text in pragmas if text.startswith("busy_timeout(")), DRIVERS_BUSY_TIMEOUT)
    return Config(
        workdir=workdir,
        port=number(env, "PORT", port),
        log_dir=workdir / log_dir,
        sqlite_path=workdir / name,
        busy_timeout_ms=int(busy[len("busy_timeout(") : -1]),
        pragmas=pragmas,
        session_secret=env.get("SESSION_SECRET") or secrets.token_hex(16),
        limits={mark: _limit(env, *limit) for mark, limit in _LIMITS.items()},
        sync_seconds=number(env, "SYNC_FREQUENCY", 60),
        overloaded=env.get("STANDIN_OVERLOADED", ""),
        environ=env,
    )


def _limit(env: Mapping[str, str], name: str, default: int, seconds: int) -> Limit:
    if env.get(f"{name}_ENABLE", "true") == "false":
        return Limit(0, 0)
    return Limit(number(env, name, default), number(env, f"{name}_DURATION", seconds))
