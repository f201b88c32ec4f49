"""The whole fleet at a glance: every host of the inventory, those that cannot be reached included. Nothing is changed.

`deploys/status.py` looks at each host; when the run ends, `config.py`'s guard has it told (`finish`), since only then
is it known which hosts were not reached.

With `--json`, one object is printed on stdout::

    {"made_at": "2026-11-22T10:11:12Z",
     "hosts": [{"name": "gw1", "roles": ["gateways"],      # of "gateways" and "openclaw"
                "state": "up",                             # "up", "down" (not reached), "unreadable"; then all below is
                "problem": "",                             #   null or empty, and this says why
                "gateway": {"is_running": true,            # null on a host that is none
                            "address": "100.64.0.1:3000", "version": "v0.6.10", "image": "justsong/one-api:v0.6.10",
                            "uptime": 86400.0,             # seconds; null where it does not run
                            "models": ["MiniMax-M2.5"],    # of the channels that are switched on
                            "backup": {"file": "gateway-20261122T031500Z.tar.gz", "age": 25000.0,    # seconds
                                       "size": 123456, "count": 14, "problem": ""},                  # bytes
                            "canary": {"result": "ok",     # or "failed", "stopped", null: it has not looked yet
                                       "age": 180.0, "seconds": 0.8, "error": "", "ok": 287, "count": 288,
                                       "problem": "",      # what is wrong with the canary itself
                                       "wrong": []},       # what else it found: restarts, budgets, a key that expires
                            "logs": {"database": 41152736, "files": 1048576,   # bytes: one-api.db, data/logs
                                     "rows": 100000,       # of the table `logs`, when it was pruned last, or null
                                     "problem": ""},       # what is wrong with the pruning
                            "budgets": [{"agent": "agent1", "month": "2026-12", "unit": "tokens",    # or "CNY", "USD"
                                         "used": 4150000.0, "limit": 5000000.0, "left": 850000.0,
                                         "at_limit": "disable", "is_refused": false, "unpriced": [],
                                         "until": "2027-01-01T00:00:00+08:00", "told": "83 % (…"}],
                            "health": "healthy",           # by Docker's health check; "unhealthy", "starting", null
                            "disk": {"size": 41152736, "free": 30000000, "mount": "/"},              # KiB; the fullest
                            "migrated_to": null,           # the host that it was moved to
                            "migrating_from": null,        # the host whose gateway has not arrived here yet
                            "waits_for": ""},              # why it is not started, in words
                "openclaw": {"unit": "openclaw-gateway.service", "state": "active", "gateway": "gw1",      # or null
                             "reaches": {"seconds": 0.012,   # from the host, with its .env; null where it does not
                                         "short": "", "problem": ""},                              # why it does not
                             "readiness": "ready",           # or what /readyz says instead; null: it is not known
                             "rejected": null},              # what it has against its configuration, though it runs
                "drift": {"differs": "no", "what": []},    # "yes", "no", "unknown", and how it differs, or why unknown
                "unfinished": "",                          # what an interrupted run has left, and is to be undone
                "last_run": {"script": "deploy.py", "who": "wei@laptop", "at": "2026-11-22T10:00:00Z",     # or null
                             "how": "3 changes", "is_bad": false,
                             "is_changing": false},        # it is at work: what is not in order may be its doing
                "attention": []}]}                         # what needs a person, in words; empty: nothing
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import click
from pyinfra import logger
from pyinfra.api import DeployError
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.hosts import answers, invocation, remote
from llm_gateway.hosts.topology import Machine
from llm_gateway.inputs import run_options
from llm_gateway.model import shell
from llm_gateway.model.checkout import CARRIER
from llm_gateway.model.columns import room
from llm_gateway.model.concurrency import concurrently
from llm_gateway.model.layout import PROJECT
from llm_gateway.model.usage import Since
from llm_gateway.model.wording import LANGUAGES, language
from llm_gateway.parts.docker.engine import LOOK
from llm_gateway.status import attention, host_status, page_charts, past, status_table
from llm_gateway.status.shapes import HostStatus
from llm_gateway.status.status_answers import StatusAnswers
from llm_gateway.status.status_page import Page
from llm_gateway.status.usage_question import Question
from llm_gateway.tasks import preflight, survey

ATTENTION = 3
"""The exit code of a check that found something that needs a person."""
CHECK, AS_JSON, HTML, EVERY = "status_check", "status_json", "status_html", "status_every"
LANGUAGE = "status_language"
DEFAULT_MINUTES = 10
OPTIONS = {
    CHECK: "True: exit code 3 if something needs a person",
    AS_JSON: "True: one object on stdout",
    HTML: "a file here that the page is written to",
    EVERY: "how often that page is made anew, in minutes (10): an older one says that it is",
    LANGUAGE: "its language, en or zh; by the locale",
}
_SCRIPTS = (answers.SCRIPT, CARRIER, LOOK, Path(__file__).with_name("status.sh"))


class Survey(survey.Survey):
    """The hosts that were reached. Unlike a deployment, one that cannot be read stops nobody."""

    def __init__(self, state: State, *, with_past: bool) -> None:
        """Read all hosts. Raises DeployError where the settings are wrong.

        Parameters: `with_past`, whether the last two weeks of gateways are read as well.
        """
        self.found: dict[str, HostStatus] = {}
        self.pasts: dict[str, past.Past] = {}
        self._with_past = with_past
        super().__init__(state, PURPOSE)

    def _read_all(self) -> None:
        gateways = [machine for machine in self.machines.values() if machine.node]
        others = [machine for machine in self.machines.values() if not machine.node]
        # Gateways first: whether a host's token is the right one is seen from its gateway's.
        for group in (gateways, others):
            self.found |= {each.name: each for each in concurrently(self._status_of, group)}

    def _status_of(self, machine: Machine) -> HostStatus:
        found, has_just_ended = self._look(machine)
        return self._look(machine)[0] if found.attention and has_just_ended else found

    def _look(self, machine: Machine) -> tuple[HostStatus, bool]:
        """What a host is like, and whether a run ended meanwhile, so that this is to be asked anew."""
        roles = host_status.roles_of(machine)
        if problem := self._read_one(machine):
            return host_status.unreadable(machine.name, roles, problem), False
        problems = preflight.verification_problems(machine)
        if not machine.state.is_root:
            return host_status.unreadable(machine.name, roles, problems[0]), False
        nodes = machine.agent.nodes if machine.agent else []
        changing = frozenset(
            node.name for node in nodes if (its := self.found.get(node.name)) and attention.is_changing(its)
        )
        try:
            seen = self._seen(machine)
            found = host_status.of(machine, seen, problems, changing)
            return found, host_status.has_just_ended(seen)
        except (remote.RemoteError, answers.UnreadableError, OSError) as unread:
            return host_status.unreadable(machine.name, roles, f"its state cannot be read: {unread}"), False

    def _seen(self, machine: Machine) -> StatusAnswers:
        """What `status.sh` answers. Raises RemoteError or UnreadableError."""
        address, port = machine.state.published
        roles = {"gateways": "gateway", "openclaw": "openclaw"}
        question = None
        if machine.node and self._with_past:
            question = Question.of(machine.node.gateway, Since(days=past.DAYS), page_charts.BY, datetime.now(UTC))
        values = {
            "ROLES": " ".join(roles[role] for role in host_status.roles_of(machine)),
            "PROJECT": PROJECT,
            "DIRECTORY": machine.settings.gateway_directory,
            "ADDRESS": address,
            "PORT": port,
            "USAGE": question.script() if question else "",
        }
        seen = StatusAnswers.parse(remote.run(machine.host, shell.program(values, *_SCRIPTS)))
        if question:
            self.pasts[machine.name] = past.of(seen, question.read(seen.usage))
        return seen


PURPOSE = survey.Purpose((preflight.group_problems,), (), lock=False)

_surveys: WeakKeyDictionary[State, Survey | DeployError] = WeakKeyDictionary()
_lock = threading.Lock()


def look(state: State, host: Host) -> None:
    """Look at all hosts, once in a run. Raises DeployError where the settings are wrong."""
    with _lock:
        if state not in _surveys:
            logger.info("--> Reading the hosts...")
            try:
                options = run_options.read(state, OPTIONS, values=(CHECK, AS_JSON, EVERY))
                _minutes(options.get(EVERY))
                page_language(options.get(LANGUAGE))
                _surveys[state] = Survey(state, with_past=bool(options.get(HTML)))
            except DeployError as refusal:
                _surveys[state] = refusal
    survey = _surveys[state]
    if isinstance(survey, DeployError):
        raise survey


def finish(state: State, data: Mapping[str, Any]) -> int | None:
    """Tell what was seen, in the form that was asked for.

    Returns the exit code: 3 where a check was asked for and something needs a person, else 0; None where no host was
    looked at because the settings were wrong.
    """
    looked = _surveys.get(state)
    survey = looked if isinstance(looked, Survey) else None
    if survey is None and (state.activated_hosts or not _hosts(state)):
        return None
    seen = statuses(state, survey)
    made_at = datetime.now(UTC)
    if data.get(AS_JSON):
        shown = {"made_at": made_at.strftime("%Y-%m-%dT%H:%M:%SZ"), "hosts": [each.as_json() for each in seen]}
        click.echo(json.dumps(shown, ensure_ascii=False))
    elif not data.get(HTML):
        click.echo(status_table.text(seen, room()))
    if path := data.get(HTML):
        try:
            pasts = survey.pasts if survey else {}
            made = Page(seen, made_at, _minutes(data.get(EVERY)), pasts, page_language(data.get(LANGUAGE)))
            made.write(Path(str(path)))
        except OSError as problem:
            logger.error(f"{path} cannot be written: {problem}")
            return 1
        logger.info(f"{path} is written")
    return ATTENTION if data.get(CHECK) and any(each.attention for each in seen) else 0


def _hosts(state: State) -> list[Host]:
    return [host for host in state.inventory if state.is_host_in_limit(host)]


def statuses(state: State, survey: Survey | None) -> list[HostStatus]:
    """All hosts of a run, those that were not reached included."""
    found = survey.found if survey else {}
    seen = [found.get(str(host.name)) or host_status.down(str(host.name), _roles(host)) for host in _hosts(state)]
    return [replace(each, attention=tuple(map(invocation.spelled, each.attention))) for each in seen]


def _minutes(text: object) -> int:
    """How often the page is made anew. Raises DeployError."""
    asked = str(DEFAULT_MINUTES if text is None else text)
    if not asked.isdecimal() or not 1 <= int(asked) <= 1440:
        raise DeployError(f"--every {asked}: must be a whole number of minutes, from 1 to 1440")
    return int(asked)


def page_language(text: object) -> str:
    """The page's language. Raises DeployError."""
    if text in (None, *LANGUAGES):
        return str(text or language(os.environ, "utf-8"))
    raise DeployError(f"--language {text}: must be {' or '.join(LANGUAGES)}")


def _roles(host: Host) -> tuple[str, ...]:
    return tuple(group for group in ("gateways", "openclaw") if group in host.groups)
