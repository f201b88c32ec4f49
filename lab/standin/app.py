"""The server as one object, and its start in One API's order."""

from __future__ import annotations

import secrets
import sqlite3
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from . import NAME, VERSION, faults
from .channels import Channels
from .config import EXAMPLE_SESSION_SECRET, Config
from .database import Database
from .encoders import ENCODERS, Encoder, EncoderError, check_encoders
from .logs import Log, new_request_id
from .options import DEFAULTS, Options
from .passwords import hash_password
from .ratelimit import RateLimiter
from .relay import not_found
from .routes import make_router
from .schema import CHANNELS, TABLES, TOKENS, USERS
from .server import Server
from .sessions import Sessions
from .tokens import Tokens
from .upstream import Upstream
from .web import Handler, Request, Response, compressed

WORKERS_BEHIND = 64
"""Threads that bill behind answers: far fewer than a container may have, which each connection takes one of, too."""
ROOT_QUOTA = 500_000_000_000_000
PAGE = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{NAME}</title></head>
<body><h1>{NAME}</h1><p>This is not One API. It is a small server that a test lab uses in its place
({VERSION}). It has no web interface; its API is at <a href="/api/status">/api/status</a>.</p></body></html>
"""


class App:
    """Starts up in the constructor, up to but not including the listening socket.

    `encoders` is for tests, which have no three megabytes of token tables.

    Raises SystemExit(1), after a [FATAL] line, where One API would not start.
    """

    def __init__(self, config: Config, encoders: tuple[Encoder, ...] = ENCODERS) -> None:
        self.config = config
        self.faults = faults.chosen(config.environ, config.workdir)
        self.start_time = int(time.time())
        self.log = self._open_log()
        self.banned_users: set[int] = set()
        self.limiter = RateLimiter()
        self.sessions = Sessions(config.session_secret)
        self.upstream = Upstream(config)
        self.router = make_router()
        self._behind = ThreadPoolExecutor(WORKERS_BEHIND)
        if config.session_secret_refused:
            self.log.system_error(
                f"SESSION_SECRET is set to the example value {EXAMPLE_SESSION_SECRET!r},"
                " please change it to a random string."
            )
        self.log.system(f"{NAME} {VERSION} started")
        self.database = self._open_database()
        self._create_root()
        self.channels = Channels(self.database)
        self.options = Options(self.database, {**DEFAULTS, "Theme": config.theme})
        self.tokens = Tokens(config.tiktoken_dir)
        self.log.system(f"using theme {self.options.values['Theme']}")
        self._load_encoders(encoders)

    def _open_log(self) -> Log:
        try:
            return Log(self.config.log_dir, self.config.one_log_file)
        except OSError as error:
            raise SystemExit(f"cannot log to {self.config.log_dir}: {error.strerror}") from None

    def _open_database(self) -> Database:
        try:
            database = self._connect()
        except sqlite3.Error as error:
            self.log.fatal(f"failed to initialize database: {error}")
        self.log.system("database migration started")
        try:
            database.migrate(TABLES, twice=CHANNELS)
        except sqlite3.Error as error:
            self.log.fatal(f"failed to migrate database: {error}")
        faults.migrate(self.faults, database)
        self.log.system("database migrated")
        return database

    def _connect(self) -> Database:
        if not self.config.sql_dsn:
            self.log.system("SQL_DSN not set, using SQLite as database")
            return Database(self.config.sqlite_path, self.config.busy_timeout_ms)
        if not self.config.sql_dsn.startswith("postgres://"):
            self.log.system("using MySQL as database")
            raise sqlite3.OperationalError("default addr for network unknown")
        self.log.system("using PostgreSQL as database")
        from .postgresql import PostgreSQL  # its driver is in the image, and not on every machine that runs this

        found = PostgreSQL(self.config.sql_dsn, self.config.most_connections)
        found.query("SELECT 1")
        return found

    def _create_root(self) -> None:
        """Make root/123456 where there is no user at all, with the tokens that the environment gives."""
        if self.database.rows(USERS, "LIMIT 1"):
            return
        self.log.system("no user exists, creating a root user for you: username is root, password is 123456")
        now = int(time.time())
        root = {
            "username": "root",
            "password": hash_password("123456"),
            "display_name": "Root User",
            "role": 100,
            "access_token": self.config.initial_root_access_token or secrets.token_hex(16),
            "quota": ROOT_QUOTA,
        }
        (root_id,) = self.database.insert(USERS, root)
        if not self.config.initial_root_token:
            return
        self.log.system("creating initial root token as requested")
        token = {
            "id": 1,
            "user_id": root_id,
            "key": self.config.initial_root_token,
            "name": "Initial Root Token",
            "created_time": now,
            "accessed_time": now,
            "expired_time": -1,
            "remain_quota": ROOT_QUOTA,
            "unlimited_quota": True,
        }
        self.database.insert(TOKENS, token)

    def _load_encoders(self, encoders: tuple[Encoder, ...]) -> None:
        self.log.system("initializing token encoders")
        try:
            check_encoders(self.config.tiktoken_dir, encoders)
        except EncoderError as error:
            self.log.fatal(str(error))
        self.log.system("token encoders initialized")

    def listen(self, host: str = "") -> Server:
        """Bind the port; on every interface unless a host is given.

        Raises SystemExit(1), after a [FATAL] line, where the port cannot be had.
        """
        faults.listen(self.faults)
        self.log.system(f"{NAME}: server started on http://localhost:{self.config.port}")
        try:
            return Server(self, host, self.config.port)
        except OSError as error:
            self.log.fatal(
                f"failed to start HTTP server: listen tcp :{self.config.port}: bind: {str(error.strerror).lower()}"
            )

    def new_request_id(self) -> str:
        """What a request is named by in its answer and in the log."""
        return new_request_id()

    def respond(self, request: Request) -> Response:
        """The answer to a request: a route, a redirect to one, a 404 or the page."""
        if nonsense := faults.answer(self.faults, request):
            return nonsense
        found = self.router.find(request.method, request.path)
        if not found:
            return self.router.redirect(request.method, request.target) or compressed(request, self._no_route(request))
        handler, request.params = found
        response = self._call(handler, request)
        return response if request.path.startswith("/v1") else compressed(request, response)

    def _call(self, handler: Handler, request: Request) -> Response:
        try:
            return handler(self, request)
        except Exception:
            trace = traceback.format_exc()
            self.log.system_error(f"[Recovery] panic recovered:\n{trace}")
            return Response(500)

    def _no_route(self, request: Request) -> Response:
        if not self.limiter.allow("GW", request.client_ip, self.config.web_rate_limit, 180):
            return Response(429)
        if urlsplit(request.target).path.startswith(("/v1", "/api")):
            return not_found(self, request)
        headers = {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-cache"}
        return Response(200, PAGE.encode(), headers)

    def background(self, job: Callable[[], object]) -> None:
        """Run something behind the answer; its failure is only logged, as in One API.

        One API makes as many goroutines as there are requests to be billed. As many threads, each waiting for its turn
        to write, would soon be more than a container may have, and requests would go unanswered.
        """

        def run() -> None:
            try:
                job()
            except (sqlite3.Error, LookupError, ValueError) as error:
                self.log.system_error(f"failed behind an answer: {error}")

        self._behind.submit(run)

    def hide(self, text: str, secret: str) -> str:
        """A text for the log, without a key that an upstream may have repeated."""
        return text.replace(secret, "***") if secret else text

    def close(self) -> None:
        """Wait for what runs behind answers and close files (tests only: the server just dies)."""
        self._behind.shutdown()
        self.database.close()
        self.log.close()
