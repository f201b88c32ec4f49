"""How a run restarts an OpenClaw that works: on the stand-in, which can be told to be busy."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.lab.conftest import INVENTORY, Lab
from tests.lab.faults import await_step, running

HOME = "/home/openclaw/.openclaw"
LIMITS = ("--limit", "gw1", "--limit", "agent1")
DROP_IN = "/etc/systemd/system/openclaw-gateway.service.d"
_NAMES = ["OPENAI_API_BASE", "OPENAI_BASE_URL", "MEM0_DASHSCOPE_API_KEY"]


def _something_new(name: str) -> tuple[str, str]:
    """What a run has to restart it for: one more variable that its drop-in takes away."""
    return "--data", f"openclaw_unset_environment={json.dumps([*_NAMES, name])}"


def _process(lab: Lab) -> str:
    return lab.ssh("agent1", "systemctl show -p MainPID --value openclaw-gateway")


def _files(lab: Lab) -> str:
    return lab.ssh("agent1", f"sha256sum {HOME}/.env {HOME}/openclaw.json {DROP_IN}/*; ls -A {HOME} {DROP_IN}")


@contextmanager
def _turn(lab: Lab) -> Iterator[Callable[[], str]]:
    """While a turn runs, which the function ends."""
    lab.ssh("agent1", f"touch {HOME}/turn")
    yield lambda: lab.ssh("agent1", f"rm {HOME}/turn")
    lab.ssh("agent1", f"rm -f {HOME}/turn")


@pytest.fixture(scope="module")
def agent(deployed: Lab) -> Iterator[Lab]:
    """The lab; at the end its agent is as it was."""
    yield deployed
    run = deployed.deploy(*LIMITS)
    assert run.code == 0, run.output[-3000:]


def test_what_it_has_begun_is_finished_and_the_run_says_so(agent: Lab) -> None:
    before = _process(agent)
    with _turn(agent) as end, running(*LIMITS, *_something_new("ONE"), INVENTORY, "deploy.py") as under_way:
        # Its first look may come before OpenClaw has said what it waits for.
        await_step(under_way, "at most 90 s: it finishes what it has begun: embeddedRuns=1")
        end()
        run = under_way.end()
    assert run.code == 0, run.output[-3000:]
    assert "openclaw: restarting openclaw-gateway.service, whose stop may take 90 s" in run.output
    assert _process(agent) != before


def test_one_that_is_busy_for_too_long_is_left_as_it_is(agent: Lab) -> None:
    before = _process(agent), _files(agent)
    idle = ("--data", "openclaw_restart=idle", "--data", "openclaw_idle_timeout=1")
    with _turn(agent):
        run = agent.deploy(*LIMITS, *_something_new("TWO"), *idle)
    run.must_fail_with("it is not idle within 1 s (embeddedRuns=1)", "nothing was changed here")
    assert (_process(agent), _files(agent)) == before
    run = agent.deploy(*LIMITS, *_something_new("TWO"), *idle)
    assert run.code == 0, run.output[-3000:]
    assert _process(agent) != before[0]


def test_one_that_only_a_person_restarts_is_told_of_until_that_is_done(agent: Lab) -> None:
    before = _process(agent)
    never = (*LIMITS, *_something_new("THREE"), "--data", "openclaw_restart=never")
    told = "keeps what it read at its start until a person restarts it: `systemctl restart openclaw-gateway"
    run = agent.deploy(*never)
    assert run.code == 0 and told in run.output, run.output[-3000:]
    again = agent.deploy("--json", *never)
    assert json.loads(again.stdout)["results"]["totals"]["success"] == 0 and told in again.stderr, again.output[-3000:]
    verified = agent.verify(*never)
    verified.must_fail_with("openclaw-gateway.service runs with what it read before its .env or drop-in was changed")
    assert _process(agent) == before
    agent.ssh("agent1", "systemctl restart openclaw-gateway")
    again = agent.deploy(*never)
    assert again.code == 0 and told not in again.output, again.output[-3000:]


def test_one_that_dies_seconds_after_its_start_gets_back_what_it_had(agent: Lab) -> None:
    """By a file that a person has put there and not loaded, so that the one that runs knows nothing of it."""
    before = _files(agent)
    broken = f"{DROP_IN}/later.conf"
    agent.ssh("agent1", "echo '{' > /srv/broken.json")
    agent.ssh("agent1", f"printf '[Service]\\nEnvironment=OPENCLAW_CONFIG_PATH=/srv/broken.json\\n' > {broken}")
    run = agent.deploy(*LIMITS, *_something_new("FOUR"))
    agent.ssh(
        "agent1", f"rm {broken} /srv/broken.json && systemctl daemon-reload && systemctl restart openclaw-gateway"
    )
    run.must_fail_with(
        "openclaw-gateway.service has ended with 78", "the change of OpenClaw's gateway on agent1 was rolled back"
    )
    assert _files(agent) == before


def test_a_configuration_that_it_cannot_read_stops_a_run_before_it_is_stopped(agent: Lab) -> None:
    good, before = agent.ssh("agent1", f"cat {HOME}/openclaw.json"), _process(agent)
    agent.ssh("agent1", f"echo '{{' > {HOME}/openclaw.json")
    run = agent.deploy(*LIMITS, *_something_new("FIVE"))
    agent.ssh("agent1", f"cat > {HOME}/openclaw.json", f"{good}\n")
    run.must_fail_with(f"{HOME}/openclaw.json is not valid, and OpenClaw would not start again", "nothing was changed")
    assert _process(agent) == before
