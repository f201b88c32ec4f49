"""deploy.py is cut off at each of its operations in turn: the next run completes, and no consumer goes without.

WALK_SEED=… repeats what chance has chosen: the operations of a sample, the moment within each, the way it is cut off.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, product, repeat
from typing import TypeVar

import pytest

from tests.lab import interrupting
from tests.lab.asking_agent import AskingAgent, is_completion
from tests.lab.conftest import Lab
from tests.lab.interrupting import QUICK, How, Operation
from tests.lab.outages import Gateway, gateway_of_its_own
from tests.lab.shown import Shown

SEED = int(os.environ.get("WALK_SEED") or random.SystemRandom().randrange(10**6))
FRESH, FRESH_AGENT, GATEWAY, AGENT = "gwif", "agentif", "gwic", "agentic"
SAMPLE = 3
MOST_PASSED = 2
"""The operations of a first deployment that a sample lets pass, at most, between two that it cuts off."""
LONGEST_GAP_SECONDS = 30
"""What a consumer may wait, at the worst, where a change restarts the gateway and the run is cut off in that moment."""
NEEDED_SECONDS = 30
MOMENTS = (0.0, 0.1, 0.3, 1.0, 3.0)
"""Seconds into an operation of which nobody knows how long it takes."""

Number = TypeVar("Number", int, float)


@dataclass
class Walk:
    """A gateway whose deployments are interrupted, while its agent asks all the time."""

    gateway: Gateway
    chance: random.Random
    changing: list[Operation]
    """What a deployment does where everything differs."""
    unchanging: list[Operation]
    """What a deployment does where nothing does."""

    def interrupt_changing(self, at: Operation, how: How) -> None:
        """Cut a deployment off that has everything to do."""
        interrupting.drift(self.gateway)
        self._interrupt(at, how, *self._new_token())

    def interrupt_unchanging(self, at: Operation, how: How) -> None:
        """Cut a deployment off that has nothing to do."""
        self._interrupt(at, how)

    def _interrupt(self, at: Operation, how: How, *arguments: str) -> None:
        interrupting.interrupt(self.gateway, at, how, self.chance, *arguments)
        # Before anybody fixes anything.
        self.gateway.await_completion(NEEDED_SECONDS)
        again = interrupting.deploy_again(self.gateway, *arguments)
        assert "Traceback" not in again.output, again.output[-4000:]

    def _new_token(self) -> tuple[str, str]:
        return "--data", f'gateway_tokens=[{{"name": "walk-{self.chance.randrange(10**9)}"}}]'


def _told(capsys: pytest.CaptureFixture[str], text: str) -> None:
    with capsys.disabled():
        print(f"\n  {text}", flush=True)


@pytest.fixture(scope="module")
def walk(deployed: Lab) -> Iterator[Walk]:
    """A gateway and an agent of these tests' own."""
    with gateway_of_its_own(deployed, GATEWAY, AGENT) as gateway:
        unchanging = interrupting.operations(gateway)
        interrupting.drift(gateway)
        changing = interrupting.operations(gateway, "--data", 'gateway_tokens=[{"name": "walk"}]')
        chance = random.Random(SEED)  # noqa: S311 - to be repeated, not to be secret
        yield Walk(gateway, chance, changing, unchanging)


@pytest.mark.fault
def test_deployments_cut_off_at_operations_chosen_by_chance(
    walk: Walk, shown: Shown, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = [(at, walk.chance.choice(QUICK)) for at in walk.chance.sample(walk.changing, SAMPLE)]
    _walk(walk, "deploy.py is cut off at operations chosen by chance", chosen, [], shown, capsys)


@pytest.mark.fault
@pytest.mark.full
def test_deployments_cut_off_at_every_operation_in_every_way(
    walk: Walk, shown: Shown, capsys: pytest.CaptureFixture[str]
) -> None:
    changing, unchanging = list(product(walk.changing, QUICK)), list(product(walk.unchanging, QUICK))
    _walk(walk, "deploy.py is cut off at each of its operations", changing, unchanging, shown, capsys)
    # Nobody asks meanwhile: the model is beyond the network that goes away.
    walk.interrupt_changing(walk.chance.choice(walk.changing), How.UNPLUGGED)


Chosen = Sequence[tuple[Operation, How]]


def _walk(
    walk: Walk, name: str, changing: Chosen, unchanging: Chosen, shown: Shown, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway = walk.gateway
    hosts = (gateway.name, *gateway.agents)
    files = interrupting.names_of_files(gateway.lab, hosts)
    _told(capsys, f"WALK_SEED={SEED}")
    with shown("fault", name) as it, AskingAgent(gateway.lab, AGENT) as asking:
        for at, how in changing:
            _told(capsys, f"{how.value} at {at.name!r} ({at.seconds:.1f} s), everything to do")
            walk.interrupt_changing(at, how)
            _nobody_waited_long(asking)
        for at, how in unchanging:
            _told(capsys, f"{how.value} at {at.name!r} ({at.seconds:.1f} s), nothing to do")
            walk.interrupt_unchanging(at, how)
            _nobody_waited_long(asking)
        interrupting.changes_nothing(gateway)
        _nobody_waited_long(asking)
        it.took(asking.longest_gap)
        count = len(changing) + len(unchanging)
        it.happened(f"{count} times: the next run completed; the agent's longest wait for an answer")
        # A key or an address that is wrong for a moment would be another error than a restart's.
        refused = [answer for answer in asking.failures if is_refusal(answer)]
        assert not refused, refused[:10]
        left = interrupting.names_of_files(gateway.lab, hosts) - files
        assert not left, f"left behind: {sorted(left)}"


def _nobody_waited_long(asking: AskingAgent) -> None:
    asking.look()
    assert asking.longest_gap < LONGEST_GAP_SECONDS, asking.failures[-20:]


def is_refusal(answer: str) -> bool:
    """Whether the gateway has answered, and it was no completion."""
    return "HTTP/" in answer and not is_completion(answer)


@pytest.fixture
def fresh(deployed: Lab) -> Iterator[Gateway]:
    """Two hosts on which nothing was deployed yet."""
    with deployed.more_hosts(f"{FRESH}:fresh", f"{FRESH_AGENT}:agent"):
        yield Gateway(deployed, FRESH, (FRESH_AGENT,))


@pytest.mark.fault
@pytest.mark.full
def test_a_first_deployment_cut_off_again_and_again_goes_on_each_time(
    fresh: Gateway, walk: Walk, shown: Shown, capsys: pytest.CaptureFixture[str]
) -> None:
    moments, passed = chosen(walk, MOMENTS), chosen(walk, range(MOST_PASSED + 1))
    _first(fresh, walk, "the first deployment is cut off at moments chosen by chance", moments, passed, shown, capsys)


@pytest.mark.fault
@pytest.mark.full
def test_a_first_deployment_cut_off_at_every_operation_goes_on_each_time(
    fresh: Gateway, walk: Walk, shown: Shown, capsys: pytest.CaptureFixture[str]
) -> None:
    at_once, each = repeat(0.0), repeat(0)
    name = "the first deployment is cut off at each of its operations"
    assert _first(fresh, walk, name, at_once, each, shown, capsys) >= len(walk.changing)


def chosen(walk: Walk, among: Sequence[Number]) -> Iterator[Number]:
    """One by chance, again and again."""
    while True:
        yield walk.chance.choice(among)


def _first(
    fresh: Gateway,
    walk: Walk,
    name: str,
    moments: Iterator[float],
    passed: Iterator[int],
    shown: Shown,
    capsys: pytest.CaptureFixture[str],
) -> int:
    """One after the other on the same hosts: each run gets past the operation at which the last one was cut off.

    Returns how many were cut off.
    """
    ways, known, count = cycle(walk.chance.sample(QUICK, len(QUICK))), set[str](), 0
    _told(capsys, f"WALK_SEED={SEED}")
    with shown("fault", name) as it:
        while cut := interrupting.interrupt_at_next(fresh, known, next(ways), next(moments), next(passed)):
            count += 1
            _told(capsys, cut)
        interrupting.changes_nothing(fresh)
        it.happened(f"{count} times: each run went on, and the last one completed and verified")
    assert len(known) > len(walk.unchanging)
    return count
