"""The server as one object, and its start in new-api's order."""

from __future__ import annotations

import secrets
import sqlite3
import string
import time
import traceback
from datetime import UTC, datetime
from urllib.parse import urlsplit

from .. import faults
from ..config import Config as UpstreamConfig
from ..database import Database
from ..logs import Log
from ..ratelimit import RateLimiter
from ..server import Server
from ..sessions import Sessions
from ..upstream import Upstream
from ..web import Handler, Request, Response, compressed, json_response
from . import NAME, REAL_VERSION, VERSION
from .channels import Channels
from .config import WEB, Config
from .options import Options
from .routes import make_router
from .schema import SETUPS, TABLES, USERS

PAGE = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{NAME}</title></head>
<body><h1>{NAME}</h1><p>This is not new-api. It is a small server that a test lab uses in its place
({VERSION}). It has no web interface; its API is at <a href="/api/status">/api/status</a>.</p></body></html>
"""
ROOT = 100
_CACHE_VERSION = {"Cache-Version": secrets.token_hex(32)}


class App:
    """Starts up in the constructor, up to but not including the listening socket.

    Raises SystemExit(1), after a [FATAL] line, where new-api would not start.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.faults = faults.chosen(config.environ, config.workdir)
        self.start_time = self.now()
        self.log = self._open_log()
        self._mark = secrets.token_hex(4)
        self.limiter = RateLimiter()
        self.sessions = Sessions(config.session_secret, "; HttpOnly; SameSite=Strict")
        self.upstream = Upstream(UpstreamConfig(config.workdir, environ=config.environ))
        self.router = make_router()
        self.log.system(f"{NAME} {VERSION} started")
        self.database = self._open_database()
        self.is_set_up = self._look_for_root()
        self.channels = Channels(self.database)
        self.options = Options(self.database, config.sync_seconds)

    def _open_log(self) -> Log:
        try:
            return Log(self.config.log_dir)
        except OSError as error:
            raise SystemExit(f"cannot log to {self.config.log_dir}: {error.strerror}") from None

    def _open_database(self) -> Database:
        self.log.system("SQL_DSN not set, using SQLite as database")
        self.log.system("database migration started")
        try:
            database = Database(self.config.sqlite_path, self.config.busy_timeout_ms, self.config.pragmas)
            database.migrate(TABLES)
        except sqlite3.Error as error:
            self.log.fatal(f"failed to initialize database: {error}")
        faults.migrate(self.faults, database)
        return database

    def _look_for_root(self) -> bool:
        """Whether the set-up is done: it counts as done where somebody, such as One API, has made a root already."""
        if self.database.rows(SETUPS, "LIMIT 1"):
            return True
        if not self.has_root():
            self.log.system("system is not initialized and no root user exists")
            return False
        self.log.system("system is not initialized, but root user exists")
        self.database.insert(SETUPS, {"version": REAL_VERSION, "initialized_at": self.now()})
        return True

    def has_root(self) -> bool:
        return bool(self.database.rows(USERS, f"WHERE role = {ROOT} AND deleted_at IS NULL LIMIT 1"))

    def listen(self, host: str = "") -> Server:
        """Bind the port; on every interface unless a host is given.

        Raises SystemExit(1), after a [FATAL] line, where the port cannot be had.
        """
        faults.listen(self.faults)
        try:
            return Server(self, host, self.config.port)
        except OSError as error:
            why = str(error.strerror).lower()
            self.log.fatal(f"failed to start HTTP server: listen tcp :{self.config.port}: bind: {why}")

    def new_request_id(self) -> str:
        """UTC to the second, its nanoseconds, a mark of this process and eight letters or digits."""
        now = time.time_ns()
        stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime(now // 1_000_000_000))
        letters = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(8))
        return f"{stamp}{now % 1_000_000_000}{self._mark}{letters}"

    def now(self) -> int:
        return int(time.time())

    def timestamp(self) -> str:
        """Now, as Go's SQLite driver writes a time."""
        return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00:00")

    def allows(self, mark: str, caller: str) -> bool:
        """Whether one more request of this kind may pass."""
        limit = self.config.limits[mark]
        return self.limiter.allow(mark, caller, limit.number, limit.seconds)

    def respond(self, request: Request) -> Response:
        """The answer to a request: a route, a redirect to one, a 404 or the page."""
        response = faults.answer(self.faults, request) or self._routed(request)
        response.headers["X-New-Api-Version"] = VERSION
        return response

    def _routed(self, request: Request) -> Response:
        self.options.refresh()
        found = self.router.find(request.method, request.path)
        if not found:
            redirect = self.router.redirect(request.method, request.target)
            return redirect or compressed(request, self._no_route(request))
        handler, request.params = found
        response = self._call(handler, request)
        return response if request.path.startswith("/v1") else compressed(request, response)

    def _call(self, handler: Handler, request: Request) -> Response:
        try:
            return handler(self, request)
        except Exception as error:
            self.log.system_error(f"panic detected: {error!r}\n{traceback.format_exc()}")
            message = f"Panic detected, error: {error}. This is the {NAME}."
            return json_response({"error": {"message": message, "type": "new_api_panic"}}, 500)

    def _no_route(self, request: Request) -> Response:
        if not self.allows(WEB, request.client_ip):
            return Response(429)
        if urlsplit(request.target).path.startswith(("/v1", "/api")) or request.method != "GET":
            error = {
                "message": f"Invalid URL ({request.method} {request.path})",
                "type": "invalid_request_error",
                "param": "",
                "code": "",
            }
            return json_response({"error": error}, 404, {"Cache-Control": "max-age=604800", **_CACHE_VERSION})
        headers = {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-cache", **_CACHE_VERSION}
        return Response(200, PAGE.encode(), headers)

    def close(self) -> None:
        """Close files (tests only: the server just dies)."""
        self.database.close()
        self.log.close()
