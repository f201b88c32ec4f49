"""The page of the fleet on a gateway's host: Debian's nginx with a configuration and a unit of ours, for the tailnet.

A person's own nginx on that host is left as it is, and so is nginx.service.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from ipaddress import IPv4Network
from pathlib import Path

from llm_gateway.hosts import remote
from llm_gateway.hosts.host_check import fail_if
from llm_gateway.hosts.topology import Node
from llm_gateway.model import layout, shell
from llm_gateway.model.checkout import ROOT
from llm_gateway.model.layout import PAGE_CONF, PAGE_HTML, PAGE_UNIT, PAGE_USERS, PROJECT
from llm_gateway.parts import apt, timers
from llm_gateway.parts.installation import Wanted, is_as_wanted, render

_SCRIPT = Path(__file__).with_name("page_server.sh")
_UNIT_PATH = layout.unit_path(PAGE_UNIT)


def is_wanted(node: Node) -> bool:
    """Whether the host is to serve it."""
    return node.settings.gateway_page_port is not None


def wanted_files(node: Node) -> list[Wanted]:
    """nginx's configuration and the unit; none where no page is served."""
    if not is_wanted(node):
        return []
    values = {
        "project": PROJECT,
        "address": node.address,
        "port": node.settings.gateway_page_port,
        "peers": [str(IPv4Network(text)) for text in node.settings.gateway_page_peers],
        "directory": PAGE_HTML.rpartition("/")[0],
    }
    conf = render(f"{PAGE_CONF.removeprefix('/')}.j2", **values)
    return [
        Wanted(PAGE_CONF, conf, "644", "the page's configuration of nginx"),
        Wanted(_UNIT_PATH, (ROOT / "files" / PAGE_UNIT).read_bytes(), "644", "the unit of the page"),
    ]


def url(node: Node) -> str:
    """Where it is."""
    return f"http://{node.address}:{node.settings.gateway_page_port}/"


def way_in(node: Node) -> str:
    """How a person gets in, in words; the token itself is told by the host alone."""
    if node.settings.gateway_page_peers:
        return "for gateway_page_peers alone, without a token"
    return f"user page; its token: `sed 's/.*}}//' {PAGE_USERS}` on {node.name}, as root"


def install(node: Node) -> None:
    """Put the page's server in place, or take it off."""
    if not is_wanted(node):
        if node.state.file(_UNIT_PATH) is not None:
            _run(name="Take off the page's server", node=node, call="take_off")
        return
    if "nginx" not in node.state.tools:
        _run(name="Install nginx, and let it serve nothing of its own", node=node, call="install_nginx")
    differing = [file for file in wanted_files(node) if not is_as_wanted(node, file)]
    for file in differing:
        file.write()
    has_token = _has_token(node)
    if not has_token:
        _run(name="Make the page's token", node=node, call="make_token")
    if differing or not has_token or not _is_running(node):
        _run(name="Start the page's server", node=node, call="start")


def _has_token(node: Node) -> bool:
    found = node.state.file(PAGE_USERS)
    return found is not None and (found.mode, found.owner) == ("600", "root:root")


def _is_running(node: Node) -> bool:
    unit = timers.properties(node).get(PAGE_UNIT, {})
    return (unit.get("ActiveState"), unit.get("UnitFileState"), unit.get("NeedDaemonReload")) == (
        "active",
        "enabled",
        "no",
    )


def _run(name: str, node: Node, call: str) -> None:
    remote.shell(name=name, command=_program(node, call))


def _program(node: Node, call: str) -> str:
    values = {
        "units": layout.UNITS,
        "unit": PAGE_UNIT,
        "conf": PAGE_CONF,
        "users": PAGE_USERS,
        "port": str(node.settings.gateway_page_port),
        "install": apt.command(["nginx"]),
        "expected": "" if node.settings.gateway_page_peers else "401",
    }
    return shell.program(values, _SCRIPT, call=call)


def verify(node: Node) -> None:
    """Let the run fail where a page is wanted and is not served, or without a token."""
    fail_if(name="Check the page's server", what="page", problem_of=partial(_fixable, node))


def _fixable(node: Node) -> str | None:
    if not is_wanted(node):
        return None
    found = problem(node) or remote.refusal(node.host, _program(node, "check"))
    return found and f"{found}: run deploy.py"


def problem(node: Node) -> str | None:
    """What is wrong with the page's server of a host that was read; None where all is well or none is wanted."""
    return next(_problems(node), None)


def _problems(node: Node) -> Iterator[str]:
    if not is_wanted(node):
        if node.state.file(_UNIT_PATH) is not None:
            yield "it is served, though gateway_page_port is None"
        return
    if differing := [file.what for file in wanted_files(node) if not is_as_wanted(node, file)]:
        yield f"another content, mode or owner: {', '.join(differing)}"
    if not _has_token(node):
        yield f"its token ({PAGE_USERS}) is missing, or not root's alone"
    if not _is_running(node):
        yield f"{PAGE_UNIT} does not run, or not as its file says"
