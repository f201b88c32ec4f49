"""Checks of one value: each returns it as it is used, or raises InvalidError with what would fit."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

# As Docker itself reads a reference (github.com/distribution/reference): anything else fails at the pull, on the host.
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REGISTRY = r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?"
_TAG = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_IMAGE = re.compile(rf"(?=.{{1,255}}:[^:/]+$)(?:{_REGISTRY}/)?{_PART}(?:/{_PART})*:{_TAG}")
# Go's parser, which Docker and One API use, refuses more than Python's; dockerd does not start with what it refuses.
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")
_PATH_OF_URL = re.compile(r"(?:[A-Za-z0-9._~!&()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")

_Checked = TypeVar("_Checked")
_Checked_co = TypeVar("_Checked_co", covariant=True)


class InvalidError(ValueError):
    """A value does not fit its setting; each of `problems`, and the text, say what would."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class Check(Generic[_Checked_co]):
    """Returns a value as it is used, or raises InvalidError; says what it takes."""

    def __init__(self, check: Callable[[Any], _Checked_co], wanted: str, zh: str, edges: tuple[Any, ...] = ()) -> None:
        """Parameters: `wanted`, what it takes, as it follows "must be"; `zh`, the same in Chinese, for the reference of
        the settings; `edges`, values that it takes: the ends of a range, or all there are.
        """
        self._check = check
        self.wanted = wanted
        self.zh = zh
        self.edges = edges

    def __call__(self, value: Any) -> _Checked_co:
        return self._check(value)


def takes(wanted: str, zh: str, *edges: Any) -> Callable[[Callable[[Any], _Checked]], Check[_Checked]]:
    """Make a function a `Check` that takes this."""
    return lambda check: Check(check, wanted, zh, edges)


def text(pattern: re.Pattern[str], wanted: str, zh: str = "") -> Check[str]:
    """A printable string that matches as a whole; `wanted` completes "must be"."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or not value.isprintable() or not pattern.fullmatch(value):
            raise InvalidError(f"must be {wanted}")
        return value

    return Check(check, wanted, zh)


def integer(least: int, most: int) -> Check[int]:
    """A whole number in a range, both ends included."""
    wanted = f"a whole number from {least} to {most}"

    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise InvalidError(f"must be {wanted}")
        return value

    return Check(check, wanted, f"{least} 到 {most} 的整数", (least, most))


def number(least: float, most: float) -> Check[float]:
    """A number in a range, both ends included, to a hundredth."""
    wanted = f"a number from {least:g} to {most:g}"

    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
            raise InvalidError(f"must be {wanted}")
        return round(float(value), 2)

    return Check(check, wanted, f"{least:g} 到 {most:g} 的数", (least, most))


def one_of(*allowed: str) -> Check[str]:
    """One of a few words."""
    words = [f'"{name}"' for name in allowed]
    wanted = " or ".join(words)

    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise InvalidError(f"must be {wanted}")
        return value

    return Check(check, wanted, " 或 ".join(words), allowed)


def list_of(check_item: Callable[[Any], str], wanted: str, zh: str = "") -> Check[tuple[str, ...]]:
    """A list whose items all pass a check."""

    def check(value: Any) -> tuple[str, ...]:
        if not isinstance(value, (list, tuple)):
            raise InvalidError(f"must be a list of {wanted}")
        return tuple(check_item(item) for item in value)

    return Check(check, f"a list of {wanted}", f"{zh}的列表", ((),))


def names(check_item: Callable[[Any], str], wanted: str) -> Callable[[Any], tuple[str, ...]]:
    """A list whose items all pass a check, each of them there once."""
    check_list = list_of(check_item, wanted)

    def check(value: Any) -> tuple[str, ...]:
        found = check_list(value)
        if repeated := sorted({name for name in found if found.count(name) > 1}):
            raise InvalidError(f"must not contain duplicates: {', '.join(repeated)}")
        return found

    return check


def map_of(check_value: Callable[[Any], str], wanted: str, zh: str) -> Check[dict[str, str]]:
    """A dict whose keys are texts and whose values all pass a check."""

    def check(value: Any) -> dict[str, str]:
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise InvalidError(f"must be a dict of {wanted}")
        checked = {}
        for key, item in value.items():
            try:
                checked[key] = check_value(item)
            except InvalidError as problem:
                raise InvalidError(f"{key}: {problem}") from None
        return checked

    return Check(check, f"a dict of {wanted}", f"{zh}的字典", ({},))


_HOST_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,62}))*")


@takes("a dict of names to IPv4 addresses", "主机名到 IPv4 地址的字典", {})
def extra_hosts(value: Any) -> dict[str, str | None]:
    """A dict of host names to IPv4 addresses; None stands for one that an old gateway knows, and that is left out."""
    wanted = 'must be a dict of names to IPv4 addresses, such as {"ollama": "192.168.1.5"}'
    if not isinstance(value, Mapping):
        raise InvalidError(wanted)
    checked: dict[str, str | None] = {}
    for name, address in value.items():
        if not isinstance(name, str) or not _HOST_NAME.fullmatch(name):
            raise InvalidError(wanted)
        if address == "host-gateway":
            raise InvalidError(
                f'{name}: must be an address instead of "host-gateway", which is that of Docker\'s bridge, mostly'
                " 172.17.0.1 (`ip -4 addr show docker0` on the host)"
            )
        try:
            checked[name] = None if address is None else str(ipaddress.IPv4Address(_plain(address)))
        except ValueError:
            raise InvalidError(wanted) from None
    return checked


def optional(check: Check[_Checked]) -> Check[_Checked | None]:
    """None, or what passes a check."""
    wanted = check.wanted if check.wanted.endswith("None") else f"{check.wanted}, or None"
    return Check(
        lambda value: None if value is None else check(value), wanted, f"{check.zh}，或 None", (None, *check.edges)
    )


def either_all_or(check: Check[tuple[str, ...]]) -> Check[str | tuple[str, ...]]:
    """The word "all", or a list that passes a check."""
    return Check(
        lambda value: "all" if value == "all" else check(value),
        f'{check.wanted}, or "all"',
        f'{check.zh}，或 "all"',
        ("all", *check.edges),
    )


def one_or_several(check_item: Check[str], several: str, zh: str = "") -> Check[tuple[str, ...]]:
    """A string that passes a check, or a list of them that is not empty and has none twice; a list comes of both."""
    wanted, check_list = f"{check_item.wanted}, or {several}", names(check_item, several)

    def check(value: Any) -> tuple[str, ...]:
        if not isinstance(value, (list, tuple)):
            return (check_item(value),)
        if not value:
            raise InvalidError(f"must be {wanted}: the list is empty")
        return check_list(value)

    return Check(check, wanted, f"{check_item.zh}，或{zh}", check_item.edges)


@takes("True or False", "True 或 False", False, True)
def flag(value: Any) -> bool:
    """True or False, and not a word for it."""
    if not isinstance(value, bool):
        raise InvalidError("must be True or False")
    return value


@takes("an IPv4 address of the tailnet (100.64.0.0/10)", "tailnet 的 IPv4 地址（100.64.0.0/10）")
def tailscale_address(value: Any) -> str:
    """An IPv4 address of the range that Tailscale gives out (RFC 6598)."""
    try:
        address = ipaddress.IPv4Address(value)
    except (ValueError, TypeError):
        raise InvalidError("must be an IPv4 address such as 100.64.0.1, or None") from None
    if address not in ipaddress.IPv4Network("100.64.0.0/10"):
        raise InvalidError("must be an address of the tailnet (100.64.0.0/10), or None")
    return str(address)


def tailnet(value: Any) -> str:
    """An address, or a network, of the range that Tailscale gives out."""
    try:
        network = ipaddress.IPv4Network(_plain(value))
    except (ValueError, TypeError):
        raise InvalidError('must name addresses or networks such as "100.64.0.1" or "100.64.0.0/24"') from None
    if not network.subnet_of(ipaddress.IPv4Network("100.64.0.0/10")):
        raise InvalidError("must name addresses of the tailnet (100.64.0.0/10)")
    return str(network)


def upstream(value: Any) -> str:
    """An address, or a network, with a port or for all of them: "192.168.1.5:8000", "10.0.0.0/24"."""
    network, colon, port = _plain(value).partition(":")
    try:
        found = ipaddress.IPv4Network(network)
    except ValueError:
        raise InvalidError(
            'must name IPv4 addresses or networks such as "192.168.1.5:8000" or "10.0.0.0/24" (whose last bits are 0)'
        ) from None
    if found.prefixlen < 8:
        raise InvalidError(f"{found} is nearly everything: name networks of /8 or smaller")
    if colon and not (re.fullmatch(r"[1-9][0-9]{0,4}", port) and int(port) <= 65535):
        raise InvalidError("must have a port from 1 to 65535 behind the colon, or no colon")
    return f"{found}{colon}{port}"


def _plain(value: Any) -> str:
    """A text; ipaddress takes numbers and bytes as well."""
    if not isinstance(value, str):
        raise InvalidError("must be strings")
    return value


_SPAN = re.compile(r"([1-9][0-9]{0,5})(s|min|h|d)")
_UNIT_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}


def in_seconds(span: str) -> int:
    """A span of time that has passed `time_span`, in seconds."""
    count = span.rstrip("dhimns")
    return int(count) * _UNIT_SECONDS[span.removeprefix(count)]


def time_span(least: str, most: str) -> Check[str]:
    """A span of time as systemd reads it, of one unit, such as "5min"; both ends included."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or not _SPAN.fullmatch(value):
            raise InvalidError('must be a span of time such as "30s", "5min", "2h" or "1d"')
        if not in_seconds(least) <= in_seconds(value) <= in_seconds(most):
            raise InvalidError(f'must be from "{least}" to "{most}"')
        return value

    return Check(
        check, f'a span of time from "{least}" to "{most}"', f'"{least}" 到 "{most}" 的时间间隔', (least, most)
    )


page_interval = time_span("1min", "1d")
"""How often a page is made anew."""


@takes(
    'an image with its tag, such as "justsong/one-api:v0.6.10"; not "latest"',
    '带标签的镜像，例如 "justsong/one-api:v0.6.10"；不能是 "latest"',
)
def image(value: Any) -> str:
    """An image with a tag that does not move."""
    checked = text(_IMAGE, 'an image with its tag, such as "justsong/one-api:v0.6.10"')(value)
    if checked.endswith(":latest"):
        raise InvalidError('must be pinned: "latest" changes without you; name a version')
    return checked


@takes('a URL such as "https://example.com"', 'URL，例如 "https://example.com"')
def http_url(value: Any) -> str:
    """An http or https URL without user name, password or trailing slash."""
    if not isinstance(value, str) or not value.isprintable() or any(character in value for character in " '\"\\$`"):
        raise InvalidError('must be a URL such as "https://example.com"')
    try:
        parts = urlsplit(value)
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, or a bracket that does not close
        is_whole = False
    if not is_whole:
        raise InvalidError('must be a whole URL that starts with "http://" or "https://"')
    if "@" in parts.netloc:
        raise InvalidError("must not hold a user name or password")
    if "?" in value or "#" in value:
        raise InvalidError("must not hold '?' or '#'")
    host = parts.netloc if parts.port is None else parts.netloc.rpartition(":")[0]
    if not _HOST.fullmatch(host) or not _PATH_OF_URL.fullmatch(parts.path):
        raise InvalidError(
            "must be a URL of letters, digits and the signs that URLs may have: a host name in its xn-- form, other"
            " characters of a path as %XX"
        )
    return value.rstrip("/")
