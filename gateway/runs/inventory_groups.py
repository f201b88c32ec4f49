"""What pyinfra cannot make hosts of among the groups of an inventory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

OURS = ("gateways", "openclaw")
_FORM = '["gw1", ("gw2", {"gateway_port": 3001})]'


def wrong_groups(attributes: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the groups of an inventory, each text with the mend.

    Parameters: `attributes`, what its variables are, by name. pyinfra takes each list or tuple for a group whose name
    does not begin with `_`.
    """
    for name, value in attributes.items():
        if name in OURS and not isinstance(value, (list, tuple)):
            yield f"{name} must be a list of hosts, such as {_FORM}"
        elif isinstance(value, (list, tuple)) and not name.startswith("_"):
            yield from _wrong_group(name, value)


def _wrong_group(name: str, value: Any) -> Iterator[str]:
    hosts = value
    if isinstance(value, tuple):
        if len(value) != 2 or not isinstance(value[0], list) or not isinstance(value[1], dict):
            yield (
                f"{name} must be a list of hosts, such as {_FORM}, or a pair of such a list and a dict of settings for"
                " all of them; let its name begin with _ where it is no group"
            )
            return
        hosts = value[0]
    if name not in OURS and not all(isinstance(host, (str, tuple)) for host in hosts):
        return  # pyinfra leaves it alone: it is a list of something else
    for host in hosts:
        if problem := _wrong_host(host):
            yield f"{name}: {problem}"


def _wrong_host(host: Any) -> str | None:
    name, data = host if isinstance(host, tuple) and len(host) == 2 else (host, {})
    if not isinstance(name, str):
        return f"a host must be a name, or a name with its settings: {_FORM}"
    if not name.isprintable() or not name.strip() or name != name.strip():
        return f"{name!r} is no name of a host: it is empty, or has blanks around it or something unprintable in it"
    if "," in name and not name.startswith("@"):
        return f"{name!r} is no name of a host: where several are named, commas stand between them"
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        return f"what stands beside {name} must be a dict of settings by their names, such as {_FORM}"
    return None
