"""Where alarms go: what `gateway_alerts` declares, and the forms of the secrets that it names."""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from llm_gateway.inputs.secrets import Provided, SecretsError
from llm_gateway.model.checks import InvalidError, takes
from llm_gateway.model.suggestion import suggest

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ADDRESS = re.compile(r"[^@\s,<>\"]+@[^@\s,<>\"]+")
_TELEGRAM = re.compile(r"(?:(?P<server>https?://[^/?#]+)/)?(?P<token>\d+:[A-Za-z0-9_-]+)/(?P<chat>-?\d+|@\w+)")
_PRIVATE_NAMES = (".ts.net", ".local", ".lan", ".internal", ".home.arpa")
_TOPIC = re.compile(r"/([A-Za-z0-9_-]{1,64})")


@dataclass(frozen=True)
class Destination:
    """Where alarms go, as files/send-alerts reads it; `repr` shows nothing secret.

    `name`: KIND:SECRET_NAME. `to`: a topic, a chat, or addresses with blanks between. `login`: a header's value, for
    email USER:PASSWORD. `extra`: the key that signs messages, for email the sender.
    """

    name: str
    url: str = field(repr=False)
    to: str = field(default="", repr=False)
    login: str = field(default="", repr=False)
    extra: str = field(default="", repr=False)


class _FormError(ValueError):
    """A secret is not of the form that its kind takes; the text completes "must be", and holds nothing of it."""


def _url(value: str, form: str, *schemes: str) -> SplitResult:
    try:
        parts = urlsplit(value)
        is_whole = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_whole = False
    if not is_whole:
        raise _FormError(form)
    if parts.scheme == "http" and not _is_private(parts.hostname or ""):
        raise _FormError(f"{form}; http:// only to an address of a LAN or tailnet, since it shows everybody the secret")
    return parts


def _is_private(host: str) -> bool:
    """An address that the Internet does not lead to, or a name of the tailnet or the LAN."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith(_PRIVATE_NAMES)


def _place(parts: SplitResult) -> str:
    """The URL's host and port, without what stands before @."""
    return parts.netloc.rpartition("@")[2]


def _ntfy(name: str, value: str) -> Destination:
    form = "a topic's URL, https://[TOKEN@ or USER:PASSWORD@]HOST/TOPIC"
    parts = _url(value, form, "https", "http")
    topic = _TOPIC.fullmatch(parts.path)
    if topic is None or parts.query or parts.fragment:
        raise _FormError(form)
    login = ""
    if parts.password is not None:
        login = _basic(parts)
    elif parts.username:
        login = f"Bearer {unquote(parts.username)}"
    return Destination(name, f"{parts.scheme}://{_place(parts)}/", topic[1], login)


def _basic(parts: SplitResult) -> str:
    """The value of the header Authorization for USER:PASSWORD of a URL."""
    login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return f"Basic {base64.b64encode(login.encode()).decode()}"


def _telegram(name: str, value: str) -> Destination:
    form = "BOT_TOKEN/CHAT_ID, 123456:AAE…/-1001234567890, behind https://SERVER/ where it is not api.telegram.org"
    found = _TELEGRAM.fullmatch(value)
    if found is None:
        raise _FormError(form)
    server = found["server"] or "https://api.telegram.org"
    _url(server, form, "https", "http")
    return Destination(name, f"{server}/bot{found['token']}/sendMessage", found["chat"])


def _robot(path: str, is_signed: bool) -> Callable[[str, str], Destination]:
    """A group's robot: its webhook's URL, behind "#" the key of its signatures."""
    form = f"the robot's webhook URL, https://HOST{path}" + ("; behind # the signing secret, if it has one" * is_signed)

    def read(name: str, value: str) -> Destination:
        parts = _url(value, form, "https", "http")
        start, _, parameter = path.partition("?")
        rest = parts.path.removeprefix(start.partition("…")[0])
        has_token = bool(parse_qs(parts.query).get(parameter.partition("=")[0])) if parameter else bool(rest.strip("/"))
        if not has_token or rest == parts.path or (parts.fragment and not is_signed) or parts.username is not None:
            raise _FormError(form)
        return Destination(name, value.partition("#")[0], extra=parts.fragment)

    return read


def _email(name: str, value: str) -> Destination:
    form = "smtps://USER:PASSWORD@HOST[:PORT]?to=ADDRESS[,ADDRESS][&from=ADDRESS] (smtp://: STARTTLS), @ in USER as %40"
    parts = _url(value, form, "smtps", "smtp")
    try:
        query = parse_qs(parts.query, strict_parsing=True)
    except ValueError:
        raise _FormError(form) from None
    user = unquote(parts.username or "")
    to = [address for text in query.pop("to", []) for address in text.split(",")]
    (sender,) = query.pop("from", [user])[:1]
    addresses = [*to, sender]
    if query or not to or parts.path.strip("/") or not all(_ADDRESS.fullmatch(each) for each in addresses):
        raise _FormError(form)
    login = f"{user}:{unquote(parts.password or '')}" if user else ""
    return Destination(name, f"{parts.scheme}://{_place(parts)}", " ".join(to), login, sender)


def _webhook(name: str, value: str) -> Destination:
    form = "a URL, https://…, that takes a POST of JSON"
    parts = _url(value, form, "https", "http")
    login = _basic(parts) if parts.username else ""
    return Destination(name, parts._replace(netloc=_place(parts), fragment="").geturl(), login=login)


_KINDS: Mapping[str, Callable[[str, str], Destination]] = {
    "ntfy": _ntfy,
    "telegram": _telegram,
    "feishu": _robot("/open-apis/bot/v2/hook/…", is_signed=True),
    "dingtalk": _robot("/robot/send?access_token=…", is_signed=True),
    "wecom": _robot("/cgi-bin/webhook/send?key=…", is_signed=False),
    "email": _email,
    "webhook": _webhook,
}
KINDS = tuple(_KINDS)


@takes('a list of texts "KIND:SECRET_NAME"', "文本 `KIND:SECRET_NAME` 的列表", ())
def alerts(value: Any) -> tuple[str, ...]:
    """The setting `gateway_alerts`. Raises InvalidError with all that is wrong."""
    if not isinstance(value, (list, tuple)):
        raise InvalidError('must be a list of texts such as "ntfy:NTFY_URL"')
    problems = [problem for place, item in enumerate(value, 1) for problem in _problems(item, place)]
    if not problems:
        repeated = dict.fromkeys(item for item in value if list(value).count(item) > 1)
        problems = [f"{item} is there more than once" for item in repeated]
    if problems:
        raise InvalidError(*problems)
    return tuple(value)


def _problems(item: Any, place: int) -> list[str]:
    """What is wrong with one item. It is not shown but for its kind: a token may have been pasted there."""
    if not isinstance(item, str) or ":" not in item:
        return [f'number {place} must be a text KIND:SECRET_NAME such as "ntfy:NTFY_URL"']
    kind, _, name = item.partition(":")
    if kind not in KINDS:
        hint = suggest(kind, KINDS, cutoff=0.6) if kind.isalpha() else ""
        return [f"number {place}: its kind must be one of {', '.join(KINDS)}{hint}"]
    if not _NAME.fullmatch(name):
        return [
            f"number {place}: behind {kind}: must stand the name of a secret, whose value is in `secrets_file` or the"
            " environment, and not the value itself"
        ]
    return []


def destination(declared: str, provided: Provided) -> Destination:
    """Where alarms of an item of `gateway_alerts` go. Raises SecretsError, which never holds a value."""
    kind, _, name = declared.partition(":")
    try:
        return _KINDS[kind](declared, provided.require(name))
    except _FormError as form:
        raise SecretsError(f"{name}: for {kind} this secret must be {form}") from None
