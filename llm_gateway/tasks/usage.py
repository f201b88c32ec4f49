"""What the gateways' users have used, from each gateway's own log, summed up on its host. Nothing is changed.

`deploys/usage.py` reads each host; when the run ends, `config.py`'s guard has it told (`finish`), since only then is it
known which hosts were not reached.

With `--json`, one object is printed on stdout::

    {"made_at": "2026-11-30T10:11:12Z",
     "since": "7d", "by": ["agent", "model"],              # as asked for
     "gateways": [{"name": "gw1",
                   "state": "read",                        # or "down" (not reached), "unreadable", "moved"; then all
                   "problem": "",                          #   below is null, and this says why, or where it is now
                   "since": "2026-11-24T00:00:00+08:00",   # in its time zone, in which days begin, too
                   "time_zone": "Asia/Shanghai",
                   "rows_since": "2026-09-01T00:00:03Z",   # the oldest row that is kept; null where there is none
                   "total": {"requests": 300,              # answered ones
                             "prompt_tokens": 81000, "completion_tokens": 12000,
                             "cost": {"CNY": 1.25},        # of what has a price; in units of the currency
                             "requests_without_price": 4,
                             "requests_without_tokens": 0},   # images, speech, answers without any usage
                   "groups": [{"agent": "agent1", "model": "qwen3.5-plus",     # what `by` names; then as in `total`
                               "requests": 300, "prompt_tokens": 81000}],      # ...
                   "group_count": 1,
                   "other_groups": null,                   # the sums of those that are left out, as in `total`
                   "models_without_price": [{"model": "m", "requests": 4, "tokens": 90}],      # the largest 20
                   "failed_attempts": {"known_since": "2026-09-01T00:00:00+08:00",   # null: it is not known
                                       "total": 2,         # tries at a channel, of which a request can make several
                                       "groups": [{"day": "2026-11-30", "channel": "main",     # where `by` names them
                                                   "attempts": 2}]},
                   "lost_rows": 0}]}                       # requests that the log could not take
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from weakref import WeakKeyDictionary

import click
from pyinfra import logger
from pyinfra.api import DeployError
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.hosts import remote
from llm_gateway.hosts.topology import Machine
from llm_gateway.inputs import run_options
from llm_gateway.model.concurrency import concurrently
from llm_gateway.model.usage import (
    DEFAULT_BY,
    DEFAULT_SINCE,
    Since,
    UsageError,
    asked,
)
from llm_gateway.model.wording import Wording, language
from llm_gateway.status import usage_page, usage_report, usage_table
from llm_gateway.status.usage_question import Question
from llm_gateway.status.usage_report import DOWN, UNREADABLE, GatewayUsage, Report
from llm_gateway.status.usage_words import WORDS
from llm_gateway.tasks import preflight, survey

SINCE, BY, AS_JSON, AS_CSV, AS_HTML = "usage_since", "usage_by", "usage_json", "usage_csv", "usage_html"
OPTIONS = {
    SINCE: f"from when on ({DEFAULT_SINCE}): 7d, 24h or 2026-11-01",
    BY: f"groups ({DEFAULT_BY}): agent, model, channel, day, with commas between",
    AS_JSON: "True: one object on stdout",
    AS_CSV: "True: a table for a spreadsheet on stdout",
    AS_HTML: "True: a page on stdout",
}


class Survey(survey.Survey):
    """The gateways that were reached, each of them read by one command. One that cannot be read stops nobody."""

    def __init__(self, state: State, since: Since, by: tuple[str, ...], now: datetime) -> None:
        """Read all logs. Raises DeployError where the settings are wrong."""
        self.since, self.by, self.now = since, by, now
        self.found: dict[str, GatewayUsage] = {}
        super().__init__(state, PURPOSE)

    def _read_all(self) -> None:
        nodes = [machine for machine in self.machines.values() if machine.node]
        self.found = {each.name: each for each in concurrently(self._usage_of, nodes)}

    def _usage_of(self, machine: Machine) -> GatewayUsage:
        remote.mind_connection(machine.host)
        gateway = self.gateways[machine.name]
        question = Question.of(gateway, self.since, self.by, self.now)
        try:
            return question.read(gateway.store.run(question.script()))
        except (remote.RemoteError, OSError) as problem:
            return GatewayUsage(gateway.name, UNREADABLE, str(problem))


PURPOSE = survey.Purpose((preflight.group_problems,), (), lock=False)

_surveys: WeakKeyDictionary[State, Survey | DeployError] = WeakKeyDictionary()
_lock = threading.Lock()


def _asked(data: Mapping[str, Any]) -> tuple[Since, tuple[str, ...]]:
    forms = [f"--{name.removeprefix('usage_')}" for name in (AS_JSON, AS_CSV, AS_HTML) if data.get(name)]
    return asked(str(data.get(SINCE, DEFAULT_SINCE)), str(data.get(BY, DEFAULT_BY)), forms)


def look(state: State, host: Host) -> None:
    """Read all gateways, once in a run. Raises DeployError where settings or options are wrong."""
    with _lock:
        if state not in _surveys:
            logger.info("--> Reading the hosts...")
            try:
                run_options.read(state, OPTIONS, values=OPTIONS)
                _surveys[state] = Survey(state, *_asked(state.inventory.get_override_data()), datetime.now(UTC))
            except UsageError as problem:
                _surveys[state] = DeployError(str(problem))
            except DeployError as refusal:
                _surveys[state] = refusal
    found = _surveys[state]
    if isinstance(found, DeployError):
        raise found


def finish(state: State, data: Mapping[str, Any]) -> int | None:
    """Tell what was read, in the form that was asked for.

    Returns the exit code, 0; None where no host was looked at because the settings were wrong.
    """
    survey = _surveys.get(state)
    hosts = [host for host in state.inventory if state.is_host_in_limit(host)]
    if not isinstance(survey, Survey) and (state.activated_hosts or not hosts):
        return None
    found = survey.found if isinstance(survey, Survey) else {}
    _, by = _asked(data)
    names = [str(host.name) for host in hosts if "gateways" in host.groups]
    gateways = tuple(found.get(name) or GatewayUsage(name, DOWN) for name in names)
    made_at = survey.now if isinstance(survey, Survey) else datetime.now(UTC)
    report = Report(made_at, str(data.get(SINCE, DEFAULT_SINCE)), by, gateways)
    words = Wording(WORDS, language(os.environ, sys.stdout.encoding))
    _tell(report, data, words)
    return 0


def _tell(report: Report, data: Mapping[str, Any], words: Wording) -> None:
    if data.get(AS_JSON):
        click.echo(json.dumps(usage_report.as_json(report), ensure_ascii=False))
    elif data.get(AS_CSV):
        click.echo(usage_report.as_csv(report), nl=False)
        for each in report.gateways:
            if each.usage is None:
                logger.warning(usage_table.state(each, words))
    elif data.get(AS_HTML):
        click.echo(usage_page.page(report, words))
    else:
        click.echo(usage_table.text(report, words))
