"""What pyinfra cannot make hosts of among the groups of an inventory."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from pyinfra.api.arguments import AllArguments
from pyinfra.connectors.ssh import ConnectorData as SSHData

from llm_gateway.model.suggestion import suggest

OURS = ("gateways", "openclaw")
_CONNECTION = frozenset(SSHData.__annotations__)
_ARGUMENTS = frozenset(AllArguments.__annotations__)
_FORM = '["gw1", ("gw2", {"gateway_port": 3001})]'


def wrong_groups(attributes: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the groups of an inventory, each text with the fix.

    Parameters: `attributes`, what its variables are, by name. pyinfra takes each list or tuple for a group whose name
    does not begin with `_`.
    """
    yield from _missing_groups(attributes)
    for name, value in attributes.items():
        if name in OURS and not isinstance(value, (list, tuple)):
            yield f"{name} must be a list of hosts, such as {_FORM}"
        elif isinstance(value, (list, tuple)) and not name.startswith("_"):
            yield from _wrong_group(name, value)


def _missing_groups(attributes: Mapping[str, Any]) -> Iterator[str]:
    """A file with hosts in none of our groups; whoever has one of ours may have others, too."""
    there = [
        name
        for name, value in attributes.items()
        if not name.startswith("_") and isinstance(value, (list, tuple)) and _is_group(value)
    ]
    if any(name in attributes for name in OURS) or not there:
        return
    told = []
    for name in there:
        close = difflib.get_close_matches(name.lower(), OURS, n=1, cutoff=0.6)
        told.append(f"{name} (did you mean {close[0]}?)" if close else name)
    yield f"it has the groups {', '.join(told)}, and neither `gateways` nor `openclaw`: give its hosts one of these"


def _is_group(value: list[Any] | tuple[Any, ...]) -> bool:
    """Whether pyinfra takes it for one; what it cannot use is told otherwise."""
    hosts = value[0] if isinstance(value, tuple) and value else value
    return isinstance(hosts, list) and all(isinstance(host, (str, tuple)) for host in hosts)


def misspelt_connection(data: Mapping[Any, Any]) -> Iterator[str]:
    """What of a host's data looks meant for its connection, and is nothing that pyinfra knows."""
    for name in data:
        if not isinstance(name, str) or name in _CONNECTION or name in _ARGUMENTS:
            continue
        known = (
            _CONNECTION
            if name.startswith("ssh") and not name.startswith("sshd")
            else _ARGUMENTS
            if name.startswith("_")
            else frozenset()
        )
        if hint := suggest(name, sorted(known), cutoff=0.7):
            yield f"{name}: pyinfra knows no such data{hint}"
        elif name.startswith("ssh_"):
            yield f"{name}: pyinfra knows no such data; it knows {', '.join(sorted(_CONNECTION))}"


def _wrong_group(name: str, value: Any) -> Iterator[str]:
    hosts = value
    if isinstance(value, tuple):
        if len(value) != 2 or not isinstance(value[0], list) or not isinstance(value[1], dict):
            yield (
                f"{name} must be a list of hosts, such as {_FORM}, or a pair of such a list and a dict of settings for"
                " all of them; let its name begin with _ if it is not a group"
            )
            return
        hosts = value[0]
        yield from (f"{name}: {problem}" for problem in misspelt_connection(value[1]))
    if name not in OURS and not all(isinstance(host, (str, tuple)) for host in hosts):
        return  # pyinfra leaves it alone: it is a list of something else
    for host in hosts:
        if problem := wrong_host(host):
            yield f"{name}: {problem}"
        elif isinstance(host, tuple):
            yield from (f"{name}: {host[0]}: {problem}" for problem in misspelt_connection(host[1]))


def _is_network_name(name: str) -> bool:
    """Whether it can be looked up at all."""
    try:
        name.encode("idna")
    except UnicodeError:
        return False
    return True


def wrong_host(host: Any) -> str | None:
    """What is wrong with one host of a group, with the fix; None where nothing is."""
    name, data = host if isinstance(host, tuple) and len(host) == 2 else (host, {})
    if not isinstance(name, str):
        return f"a host must be a name, or a name with its settings: {_FORM}"
    if not name.isprintable() or not name.strip() or name != name.strip():
        return f"{name!r} is not a valid host name: it is empty, or has blanks around it or something unprintable in it"
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        return f"what stands beside {name} must be a dict of settings by their names, such as {_FORM}"
    if not name.startswith("@") and "ssh_hostname" not in data and not _is_network_name(name):
        return f"{name!r} is not a valid host name: a part between its dots is empty or too long"
    if "," in name and not name.startswith("@"):
        return f"{name!r} is not a valid host name: if several are named, commas stand between them"
    return None
