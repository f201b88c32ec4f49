"""A run that is cut off in a state in which the gateway must not stay: the host itself goes back, and serves."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator

import pytest

from tests.lab.conftest import INVENTORY, ROOT, Lab
from tests.lab.faults import await_line, await_ssh, await_that, cut_power, running, steps_told, unplugged
from tests.lab.rows import DIRECTORY, rows

HOST = "gw4"
SCRIPT = str(ROOT / "tests/lab/undo_run.py")
ARGUMENTS = ("--limit", HOST, INVENTORY, SCRIPT)
HOME = "/var/lib/openclaw-llm-gateway"
GUARD = "openclaw-llm-gateway-guard.service"


UNTIL_ALLOWED = "until test -e /root/allowed; do sleep 0.1; done"


def allow(lab: Lab) -> None:
    """Let an undo go on that waits for it."""
    lab.ssh(HOST, "touch /root/allowed")


@pytest.fixture(scope="module")
def host(deployed: Lab) -> Iterator[Lab]:
    """A gateway of this file's own, which agents do not use."""
    with deployed.more_hosts(f"{HOST}:ready"):
        run = deployed.deploy("--limit", HOST)
        assert run.code == 0, run.output[-4000:]
        yield deployed


@pytest.fixture(autouse=True)
def as_before(host: Lab) -> Iterator[None]:
    """Every test ends with what it began with: a gateway that answers, the same rows, nothing left over."""
    before = kept_rows(host)
    host.ssh(HOST, "rm -f /root/allowed /root/seen")
    yield
    await_undone(host)
    await_that(lambda: answers(host), "the gateway answers")
    after = kept_rows(host)
    assert {table: rows - after[table] for table, rows in before.items()} == {table: set() for table in before}
    left = host.ssh(HOST, f"ls -A {HOME} {DIRECTORY}").split()
    assert not {"unfinished", "undoing", "unfinished.new", "undone", "committed", "data.away", "written-late"} & {*left}


def kept_rows(lab: Lab) -> dict[str, set[str]]:
    """The rows by table, less what asking the gateway counts up."""
    counted = ("used_quota", "remain_quota", "quota", "request_count", "accessed_time")
    found = rows(lab, HOST)
    return {
        table: {json.dumps({**row, **dict.fromkeys(counted, 0)}, sort_keys=True, default=str) for row in found[table]}
        for table in ("users", "channels", "tokens", "logs")
    }


def await_undone(lab: Lab) -> None:
    await_that(lambda: not lab.ssh(HOST, f"ls -d {HOME}/unfinished {HOME}/undoing 2>/dev/null || true"), "it is undone")


def answers(lab: Lab) -> bool:
    url = f"http://{lab.address(HOST)}:3000/api/status"
    return lab.command("peer", "--", "curl", "-sf", "-m", "2", url).code == 0


def why(lab: Lab) -> str:
    """Why the host has undone something the last time."""
    return lab.ssh(HOST, f"grep event.*undone.*why {HOME}/journal.jsonl | tail -n 1")


def test_a_run_killed_at_any_step_is_undone_by_the_host(host: Lab) -> None:
    whole = host.pyinfra("-y", *ARGUMENTS)
    assert whole.code == 0, whole.output[-3000:]
    steps = steps_told(whole.output, "trial")
    assert len(steps) == 6
    for step in steps:
        with running(*ARGUMENTS, environment={"UNDO_STEP_SECONDS": "0.05"}) as run:
            await_line(run, step)
        await_undone(host)
        await_that(lambda: answers(host), f"the gateway answers after a kill at {step!r}")
        assert "the run was cut off" in why(host)
        assert host.ssh(HOST, f"ls {DIRECTORY}/data.away 2>/dev/null || true") == ""


def test_a_failure_is_undone_at_once(host: Lab) -> None:
    failed = host.pyinfra("-y", *ARGUMENTS)
    assert failed.code == 0
    failed = _fail(host)
    assert f"trial of {HOST} was rolled back; everything is as it was before" in failed
    assert "it failed" in why(host)


def _fail(lab: Lab) -> str:
    run = lab.pyinfra("-y", *ARGUMENTS, environment={"UNDO_FAIL": "yes"})
    run.must_fail_with("the trial failed: as the test wishes")
    return run.output


def test_a_power_cut_in_the_middle_and_another_in_the_undo(host: Lab) -> None:
    seen = "systemctl is-active openclaw-llm-gateway >> /root/seen || true"
    with running(*ARGUMENTS, environment={"UNDO_FIRST": f"{seen}\n{UNTIL_ALLOWED}"}) as run:
        await_line(run, "trial: working")
        cut_power(HOST)
    for _ in range(2):
        await_ssh(host, HOST)
        await_that(lambda: "undoing" in host.ssh(HOST, f"ls {HOME}"), "the host undoes it at its boot", 30)
        cut_power(HOST)
    await_ssh(host, HOST)
    allow(host)
    await_undone(host)
    assert "the host was restarted meanwhile" in why(host)
    assert set(host.ssh(HOST, "cat /root/seen").split()) == {"inactive"}, "it does not start before it is undone"


def test_a_run_whose_time_is_over_can_do_no_more(host: Lab) -> None:
    """A laptop that was closed: its connection stays, and when it wakes up, it goes on where it was."""
    with running(*ARGUMENTS, environment={"UNDO_SECONDS": "10", "UNDO_STEP_SECONDS": "0.2"}) as run:
        await_line(run, "trial: working")
        run.send_signal(signal.SIGSTOP)
        await_that(lambda: answers(host), "the gateway answers while the run sleeps", 30)
        await_undone(host)
        again = host.deploy("--limit", HOST)
        assert again.code == 0, "its lock is gone too: " + again.output[-2000:]
        run.send_signal(signal.SIGCONT)
        ended = run.end()
    assert ended.code == 1
    told = " ".join(ended.output.split())
    assert "the host undoes this already" in told
    assert "was rolled back because it was not done within 10 s" in told


def test_a_network_that_is_gone_is_not_waited_for(host: Lab) -> None:
    with running(*ARGUMENTS, environment={"UNDO_SECONDS": "10", "UNDO_STEP_SECONDS": "0.2"}) as run:
        await_line(run, "trial: working")
        with unplugged(host, HOST):
            await_that(lambda: answers(host), "the gateway answers its users, who come another way", 30)
    await_undone(host)
    assert "it was not done within 10 s" in why(host)


def test_a_guard_that_is_killed_comes_back(host: Lab) -> None:
    with running(*ARGUMENTS, environment={"UNDO_STEP_SECONDS": "0.3"}) as run:
        await_line(run, "trial: working")
        host.ssh(HOST, f"systemctl kill --signal KILL {GUARD}")
    await_undone(host)
    assert "the run was cut off" in why(host)


def test_the_next_run_waits_while_the_host_undoes(host: Lab) -> None:
    with running(*ARGUMENTS, environment={"UNDO_FIRST": UNTIL_ALLOWED}) as run:
        await_line(run, "trial: working")
    with running("--limit", HOST, INVENTORY, "deploy.py") as again:
        await_line(again, f"an interrupted run (trial of {HOST}) is being undone by the host: waiting for it")
        allow(host)
        ended = again.end()
        assert ended.code == 0, ended.output


def test_an_undo_that_fails_is_told_and_goes_on_once_it_is_fixed(host: Lab) -> None:
    first = "test -e /root/allowed || { echo no such luck; exit 1; }"
    with running(*ARGUMENTS, environment={"UNDO_FIRST": first}) as run:
        await_line(run, "trial: working")
    host.deploy("--limit", HOST).must_fail_with(
        f"an interrupted trial of {HOST} is being undone by the host", "no such luck", f"--unit {GUARD}"
    )
    allow(host)
    again = host.deploy("--limit", HOST)
    assert again.code == 0, again.output[-3000:]


def test_a_gateway_started_by_hand_is_not_taken_for_a_boot(host: Lab) -> None:
    with running(*ARGUMENTS, environment={"UNDO_STEP_SECONDS": "1.5"}) as run:
        await_line(run, "trial: stopping the gateway")
        host.ssh(HOST, "systemctl restart openclaw-llm-gateway; systemctl start openclaw-llm-gateway-undo.service")
        time.sleep(0.5)  # in which it must not be undone
        assert host.ssh(HOST, f"ls {HOME}/unfinished")
