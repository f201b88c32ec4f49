"""Settings from the environment and from `.env` in the working directory."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

EXAMPLE_SESSION_SECRET = "random_string"


@dataclass(frozen=True)
class Config:
    """What the environment says; names and defaults are those of v0.6.10.

    Relative paths are relative to `workdir` (/data in the container).
    """

    workdir: Path
    port: int = 3000
    log_dir: Path = Path("logs")
    one_log_file: bool = False
    sqlite_path: Path = Path("one-api.db")
    busy_timeout_ms: int = 3000
    sql_dsn: str = ""
    most_connections: int = 1000
    session_secret: str = field(default_factory=lambda: str(uuid.uuid4()))
    session_secret_refused: bool = False
    initial_root_token: str = ""
    initial_root_access_token: str = ""
    tiktoken_dir: Path = Path("/tmp/data-gym-cache")
    relay_proxy: str = ""
    relay_timeout_s: int = 0
    api_rate_limit: int = 240
    web_rate_limit: int = 120
    theme: str = "default"
    environ: Mapping[str, str] = field(default_factory=dict)


def load_config(environ: Mapping[str, str], workdir: Path, port: int = 3000, log_dir: str = "./logs") -> Config:
    """The settings; a variable of the real environment wins over the same one in `.env`."""
    env = {**read_dotenv(workdir / ".env"), **environ}
    secret = env.get("SESSION_SECRET", "")
    refused = secret == EXAMPLE_SESSION_SECRET
    cache_dir = env.get("TIKTOKEN_CACHE_DIR") or env.get("DATA_GYM_CACHE_DIR")
    return Config(
        workdir=workdir,
        port=number(env, "PORT", port),
        log_dir=workdir / log_dir,
        one_log_file=env.get("ONLY_ONE_LOG_FILE") == "true",
        sqlite_path=workdir / (env.get("SQLITE_PATH") or "one-api.db"),
        busy_timeout_ms=number(env, "SQLITE_BUSY_TIMEOUT", 3000),
        sql_dsn=env.get("SQL_DSN", ""),
        most_connections=number(env, "SQL_MAX_OPEN_CONNS", 1000),
        session_secret=secret if secret and not refused else str(uuid.uuid4()),
        session_secret_refused=refused,
        initial_root_token=env.get("INITIAL_ROOT_TOKEN", ""),
        initial_root_access_token=env.get("INITIAL_ROOT_ACCESS_TOKEN", ""),
        tiktoken_dir=workdir / (cache_dir or "/tmp/data-gym-cache"),
        relay_proxy=env.get("RELAY_PROXY", ""),
        relay_timeout_s=number(env, "RELAY_TIMEOUT", 0),
        api_rate_limit=number(env, "GLOBAL_API_RATE_LIMIT", 240),
        web_rate_limit=number(env, "GLOBAL_WEB_RATE_LIMIT", 120),
        theme=env.get("THEME") or "default",
        environ=env,
    )


def number(env: Mapping[str, str], name: str, default: int) -> int:
    """An integer variable; what is no number counts as unset, as in One API."""
    try:
        return int(env.get(name, ""))
    except ValueError:
        return default


def read_dotenv(path: Path) -> dict[str, str]:
    """The variables of a dotenv file; none where there is no such file."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    found = {}
    for line in lines:
        match = re.match(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.]*)\s*[=:]\s*(.*)$", line)
        if match:
            found[match[1]] = _unquoted(match[2])
    return found


def _unquoted(text: str) -> str:
    """A value without its quotes, or, unquoted, without the comment behind it."""
    quoted = re.match(r"""(['"])(.*?)(?<!\\)\1""", text)
    if not quoted:
        return re.sub(r"(^|\s)#.*$", "", text).strip()
    if quoted[1] == "'":
        return quoted[2]
    escapes = {"n": "\n", "r": "\r"}
    return re.sub(r"\\(.)", lambda m: escapes.get(m[1], m[1]), quoted[2])
