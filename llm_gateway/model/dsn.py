"""Where a gateway's database is that is no file: the DSN of a PostgreSQL, checked, and as its readers need it.

One API takes a DSN with the prefix `postgres://` alone for PostgreSQL, and any other for MySQL (model/main.go,
chooseDB); what is not percent-encoded in it ends up in its log.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlsplit

SQLITE = "sqlite"
"""What the setting `gateway_database` holds in place of a secret's name."""
FORM = "postgres://USER:PASSWORD@HOST[:PORT]/DATABASE[?sslmode=require]"
SSL_MODES = ("disable", "prefer", "require")
"""Those that need no certificate in the container."""
CONNECTIONS = 20
"""How many connections a node may open, and keep open: One API's own 1000 lost a third of all quotas."""
CONNECT_SECONDS = 10
_PREFIX = "postgres://"
_ENCODED = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")
_NAME = re.compile(r"(?=.{1,63}$)[A-Za-z_][A-Za-z0-9_$-]*")
_HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
_ZONE = re.compile(r"(?=.{1,64}$)[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9][A-Za-z0-9_+-]*)*")
_OF_MYSQL = re.compile(r"mysql://|[^:/@]+:.*@(?:tcp|unix)\(|[^@]*@tcp\(")


class DsnError(ValueError):
    """A DSN cannot be used; the text completes "this secret", and holds nothing of it but a parameter's name."""


@dataclass(frozen=True)
class Dsn:
    """A database of a PostgreSQL; `repr` shows no password.

    Args:
        host: an IPv4 address or a name.
        sslmode: one of SSL_MODES.
        zone: of its sessions, by which One API counts days; "" where the DSN leaves it to the gateway's.
    """

    host: str
    port: int
    database: str
    user: str
    password: str = field(repr=False)
    sslmode: str
    zone: str = ""

    @classmethod
    def parse(cls, text: str) -> Dsn:
        """Read a DSN. Raises DsnError."""
        _require_postgres(text)
        authority, slash, rest = text.removeprefix(_PREFIX).partition("/")
        login, at, place = authority.rpartition("@")
        name, colon, word = login.partition(":")
        # What is not encoded may have cut the text anywhere, so it is not told which part of it that is.
        if text.count("@") != 1 or text.count("#") or not slash or not at or not colon:
            raise DsnError(
                f"must be {FORM}, with all signs of USER and PASSWORD but letters, digits and . _ ~ - as %XX"
                " (`@` is %40, `/` is %2F, `#` is %23, `?` is %3F, `%` is %25)"
            )
        for part, of in ((name, "USER"), (word, "PASSWORD")):
            if not _ENCODED.fullmatch(part) or not _is_text(part):
                raise DsnError(f"must have {of} percent-encoded, and not empty (`@` is %40, `/` is %2F, `%` is %25)")
        host, port = _place(place)
        database, _, query = rest.partition("?")
        if not _NAME.fullmatch(database):
            raise DsnError("must name one database behind HOST: a letter, then letters, digits, _ and -, 63 at most")
        given = _parameters(query)
        return cls(
            host,
            port,
            database,
            unquote(name),
            unquote(word),
            given.get("sslmode", "prefer"),
            given.get("timezone", ""),
        )

    @property
    def place(self) -> str:
        """What messages call it: no secret is in it."""
        return f"{self.database} on {self.host}:{self.port}"

    @property
    def address(self) -> str | None:
        """Its host as an IPv4 address; None where that is a name."""
        try:
            return str(ipaddress.IPv4Address(self.host))
        except ValueError:
            return None

    def uri(self, zone: str) -> str:
        """The DSN that the gateway gets: unreserved signs and %XX alone, so that nothing that reads it sees more in it.

        Parameters: `zone`, the gateway's, where the DSN names none.
        """
        login = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}"
        query = f"sslmode={self.sslmode}&TimeZone={quote(self.zone or zone, safe='')}"
        return f"{_PREFIX}{login}@{self.host}:{self.port}/{quote(self.database, safe='')}?{query}"

    def service(self) -> str:
        """The same as a file of libpq's services, by which psql and pg_dump find it: no secret is in an argument."""
        values = {
            "host": self.host,
            "port": self.port,
            "dbname": self.database,
            "user": self.user,
            "password": self.password,
            "sslmode": self.sslmode,
            "connect_timeout": CONNECT_SECONDS,
        }
        lines = (f"{name}={value}" for name, value in values.items())
        return "# Made by the deployment; psql reads it. Root only.\n[gateway]\n" + "\n".join(lines) + "\n"

    @classmethod
    def of_service(cls, text: str) -> Dsn | None:
        """Read back what `service` wrote; None where it is something else."""
        values = dict(line.partition("=")[::2] for line in text.splitlines() if "=" in line)
        try:
            named = (values[name] for name in ("host", "port", "dbname", "user", "password", "sslmode"))
            host, port, database, user, password, sslmode = named
            return cls(host, int(port), database, user, password, sslmode)
        except (KeyError, ValueError):
            return None


def _require_postgres(text: str) -> None:
    if text.startswith(_PREFIX):
        return
    if _OF_MYSQL.match(text):
        raise DsnError(
            f"is a DSN of MySQL, whose data this deployment can neither back up nor restore: make a PostgreSQL, {FORM},"
            f' or leave gateway_database at "{SQLITE}"'
        )
    if re.match(r"postgresql://|(host|user|dbname|port|password|sslmode)\s*=", text):
        raise DsnError(
            f"must begin with {_PREFIX}: One API takes any other form for MySQL's, and does not start; {FORM}"
        )
    raise DsnError(f"must be {FORM}")


def _is_text(part: str) -> bool:
    """Whether a line of libpq's service file can hold it: one line, whose end is no blank."""
    try:
        found = unquote(part, errors="strict")
    except UnicodeDecodeError:
        return False
    return found.isprintable() and found == found.strip() and len(found.encode()) <= 200


def _place(text: str) -> tuple[str, int]:
    if "," in text:
        raise DsnError("must name one host: One API does not go on with the next one of several")
    if text.startswith("["):
        raise DsnError("must name its host by an IPv4 address or a name: the gateway's network has no IPv6")
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname or "", parts.port or 5432
    except ValueError:
        raise DsnError("must have a port from 1 to 65535 behind the host's colon") from None
    if parts.port == 0 or not _HOST.fullmatch(host):
        raise DsnError("must name its host by an IPv4 address or a name, with a port from 1 to 65535 or none")
    if host == "localhost" or host.startswith(("127.", "0.")):
        raise DsnError(
            "must name its host by an address that the gateway's container reaches: its own loopback is another one."
            " A database on the gateway's host is reached at the host's Tailscale address"
        )
    return host, port


_PARAMETERS: dict[str, tuple[Callable[[str], bool], str]] = {
    "sslmode": (SSL_MODES.__contains__, f"must have one of {', '.join(SSL_MODES)} as its sslmode"),
    "timezone": (
        lambda value: _ZONE.fullmatch(value) is not None,
        "must have a zone such as Asia/Shanghai as its TimeZone",
    ),
}


def _parameters(query: str) -> dict[str, str]:
    """Its parameters, by their names in small letters."""
    try:
        given = [(name.lower(), value) for name, value in parse_qsl(query, strict_parsing=True)] if query else []
    except ValueError:
        raise DsnError("must have its parameters behind `?` as NAME=VALUE, with & between two") from None
    if unknown := [name for name, _ in given if name not in _PARAMETERS]:
        shown = unknown[0] if re.fullmatch(r"[a-z_]{1,40}", unknown[0]) else "one"
        raise DsnError(f"has a parameter that is not taken ({shown}): sslmode and TimeZone are")
    for name, value in given:
        fits, words = _PARAMETERS[name]
        if not fits(value):
            raise DsnError(words)
    return dict(given)
