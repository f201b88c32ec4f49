"""Trying the alarms of gateways: a test message from each host to each of its destinations, and what came of it.

With `--json`, one object is printed on stdout::

    {"gateways": [{"name": "gw1",
                   "problem": "",                                  # why none was sent
                   "destinations": [{"name": "ntfy:PHONE",
                                     "delivered": false,
                                     "problem": "HTTP 403: forbidden"}]}]}
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from weakref import WeakSet

import click
from pyinfra.api import DeployError
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.hosts import remote
from llm_gateway.hosts.topology import Node
from llm_gateway.inputs import run_options
from llm_gateway.model import layout
from llm_gateway.model.concurrency import concurrently
from llm_gateway.tasks import preflight, survey

AS_JSON = "alerts_json"
OPTIONS = {AS_JSON: "True: one object on stdout"}
PURPOSE = survey.Purpose((preflight.group_problems,), (preflight.machine_problems,), lock=False)
"""Changes nothing, not even the lock; what is sent to is what the last deployment has put on the host."""
_DELIVERED = "delivered"


@dataclass(frozen=True)
class Delivery:
    """What came of the message to a destination; `problem`, why it was not delivered, or ""."""

    name: str
    delivered: bool
    problem: str


@dataclass(frozen=True)
class Tried:
    """What came of the messages of a gateway's host; `problem`, why none was sent, or ""."""

    name: str
    problem: str
    destinations: tuple[Delivery, ...] = ()

    def lines(self) -> Iterator[str]:
        """What is told of it."""
        if self.problem:
            yield f"{self.name}: {self.problem}"
        for each in self.destinations:
            yield f"{self.name}: {each.name}: {_DELIVERED if each.delivered else f'not delivered: {each.problem}'}"

    @property
    def is_well(self) -> bool:
        """Whether each of them arrived."""
        return not self.problem and all(each.delivered for each in self.destinations)


_told_already: WeakSet[State] = WeakSet()


def test(state: State, host: Host) -> None:
    """Send the messages of all gateways, when the first host comes by. Raises DeployError where one did not arrive."""
    survey.machine_for(state, host, PURPOSE)
    if state in _told_already:
        return
    _told_already.add(state)
    is_json = run_options.read(state, OPTIONS, values=(AS_JSON,)).get(AS_JSON, "false") == "true"
    surveyed = survey.current(state)
    nodes = [machine.node for machine in surveyed.machines.values() if machine.node] if surveyed else []
    if not nodes:
        raise DeployError("no gateway in this run: is --limit right?")
    found = concurrently(tried, nodes)
    if is_json:
        click.echo(json.dumps({"gateways": [asdict(each) for each in found]}, ensure_ascii=False))
    else:
        click.echo("\n".join(line for each in found for line in each.lines()))
    if failed := [each.name for each in found if not each.is_well]:
        raise DeployError(f"not every test message was delivered: {', '.join(failed)}")


def tried(node: Node) -> Tried:
    """Send a host's messages."""
    script = f"{node.directory}/{layout.SEND_ALERTS}"
    if node.state.file(script) is None:
        why = "run deploy.py" if node.settings.gateway_alerts else "set gateway_alerts, and run deploy.py"
        return Tried(node.name, f"nothing sends alarms from this host yet: {why}")
    try:
        # Its exit code says that one was not delivered, which the lines say, too.
        lines = remote.run(node.host, f"{{ {shlex.quote(script)} --test || [ $? = 1 ]; }}")
    except remote.RemoteError as problem:
        return Tried(node.name, str(problem))
    pairs = [line.partition("\t")[::2] for line in lines]
    deliveries = (Delivery(name, what == _DELIVERED, "" if what == _DELIVERED else what) for name, what in pairs)
    return Tried(node.name, "", tuple(deliveries))
