"""Putting the page of the fleet on the gateways' hosts that serve it (see `llm_gateway.parts.page_server`).

`deploys/page.py` looks at all hosts once in a run, as `deploys/status.py` does, and writes the page at one moment: who
reads it sees the old one or the new one.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from weakref import WeakKeyDictionary

from pyinfra import logger
from pyinfra.api import DeployError
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.hosts import invocation, remote
from llm_gateway.hosts.topology import Node
from llm_gateway.inputs import run_options
from llm_gateway.model.checks import InvalidError, in_seconds, page_interval
from llm_gateway.model.concurrency import concurrently
from llm_gateway.model.layout import PAGE_HTML
from llm_gateway.parts import page_server
from llm_gateway.status.status_page import Page
from llm_gateway.tasks import status

EVERY, LANGUAGE = "page_every", "page_language"
OPTIONS = {
    EVERY: f"how often it is put there (by default it may get {status.DEFAULT_MINUTES} min old before it says so)",
    LANGUAGE: "its language, en or zh; by the locale",
}
_codes: WeakKeyDictionary[State, int | DeployError] = WeakKeyDictionary()
_lock = threading.Lock()


def put(state: State, host: Host) -> None:
    """Look at all hosts and put the page of what was seen in place, once in a run. Raises DeployError."""
    with _lock:
        if state not in _codes:
            logger.info("--> Reading the hosts...")
            try:
                _codes[state] = _put(state)
            except DeployError as refusal:
                _codes[state] = refusal
    found = _codes[state]
    if isinstance(found, DeployError):
        raise found


def finish(state: State) -> int | None:
    """The exit code; None where no host was looked at. A host that is down is shown as such, and is no failure."""
    found = _codes.get(state)
    return None if isinstance(found, DeployError) else found


def _put(state: State) -> int:
    options = run_options.read(state, OPTIONS)
    minutes = _minutes(options.get(EVERY))
    language = status.page_language(options.get(LANGUAGE))
    survey = status.Survey(state, with_past=True)
    nodes = [machine.node for machine in survey.machines.values() if machine.node]
    serving = [node for node in nodes if page_server.is_wanted(node)]
    if not serving:
        raise DeployError(
            "gateway_page_port: no gateway that was reached serves a page: set it in the inventory, then deploy.py"
        )
    page = Page(status.statuses(state, survey), datetime.now(UTC), minutes, survey.pasts, language)
    if invocation.is_plan_now():
        return 0
    content = page.text().encode()
    return int(not all(concurrently(lambda node: _place(node, content), serving)))


def _place(node: Node, content: bytes) -> bool:
    """Put it on a host, and say where; or why not, and return False."""
    if problem := _refusal(node, content):
        remote.complain(node.host, f"the page is not there: {problem}")
        return False
    remote.tell(node.host, f"{page_server.url(node)} ({page_server.way_in(node)})")
    return True


def _refusal(node: Node, content: bytes) -> str | None:
    if not node.machine.is_read or not node.state.is_root:
        return "this host cannot be read; `llm-gateway status` says why"
    if problem := page_server.problem(node):
        return f"{problem}: run deploy.py"
    try:
        remote.write_now(node.host, PAGE_HTML, content, "644")
    except remote.RemoteError as problem:
        return str(problem)
    return None


def _minutes(text: str | None) -> int:
    """After how many minutes it is old. Raises DeployError."""
    if text is None:
        return status.DEFAULT_MINUTES
    try:
        # Reading the hosts takes its time, too.
        return in_seconds(page_interval(text)) // 60 + 1
    except InvalidError as problem:
        raise DeployError(f"--every {text}: {problem}") from None
