"""A gateway that moves to another host: nothing is lost, whatever ends the run, and the next run completes it."""

from __future__ import annotations

import re
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.lab import by_hand, moving
from tests.lab.asking_agent import ENVIRONMENT, AskingAgent, ask, is_completion
from tests.lab.by_hand import AGENT, CONTAINER, OLD, ONE, OTHER
from tests.lab.conftest import Lab, Run
from tests.lab.faults import (
    await_boot,
    await_ssh,
    await_step,
    await_that,
    kill_at,
    running,
    steps_told,
    switch_off,
    switch_on,
    unplugged,
)
from tests.lab.moving import differing, migration
from tests.lab.rows import DIRECTORY, OLD_DIRECTORY, rows


@dataclass(frozen=True)
class Moved:
    """A migration of the gateway that was set up by hand, and what was seen of it from outside."""

    before: dict[str, list[Any]]
    kept: dict[str, list[Any]]
    refused: Run
    run: Run
    asking: AskingAgent


@pytest.fixture(scope="module")
def hosts(deployed: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A gateway that a person has set up by hand, an agent that uses it, and two bare hosts."""
    with deployed.more_hosts(f"{OLD}:legacy", f"{ONE}:fresh", f"{OTHER}:ready", f"{AGENT}:agent"):
        by_hand.start(deployed, tmp_path_factory.mktemp("old"))
        yield deployed


@pytest.fixture(scope="module")
def moved(hosts: Lab, tmp_path_factory: pytest.TempPathFactory) -> Moved:
    """The migration, while the agent asks all the time."""
    file = moving.inventory(tmp_path_factory.mktemp("first"), OLD, ONE, [AGENT], source_is_ours=False)
    before = rows(hosts, OLD)
    refused = hosts.pyinfra("-y", *migration(file, OLD))
    known = {"gateway_environment": {"STANDIN_SCHEMA": None}}
    file = moving.inventory(tmp_path_factory.mktemp("known"), OLD, ONE, [AGENT], source_is_ours=False, **known)
    with AskingAgent(hosts, AGENT) as asking:
        await_that(lambda: asking.look() > 2, "the agent's first answers", 90)
        run = hosts.pyinfra("-y", *migration(file, OLD))
        completed = asking.look()
        await_that(lambda: asking.look() > completed + 2, "the agent's answers afterwards", 90)
    return Moved(before, rows(hosts, OLD), refused, run, asking)


def test_what_it_was_given_besides_is_told_before_it_is_stopped(moved: Moved) -> None:
    moved.refused.must_fail_with(
        f"{ONE}: the gateway that is there (container {CONTAINER}) has variables that would be lost",
        '{"STANDIN_SCHEMA": "v0.5.10"}',
        "Nothing was changed.",
    )


def test_the_agent_misses_a_few_seconds_and_no_more(moved: Moved, capsys: pytest.CaptureFixture[str]) -> None:
    assert moved.run.code == 0, moved.run.output[-6000:]
    with capsys.disabled():
        print(
            f"\nmigration under load: {len(moved.asking.answers)} completions asked for,"
            f" {len(moved.asking.failures)} failed, {moved.asking.outage:.1f} s from the first failure to the last"
        )
    assert moved.asking.outage < 60


def test_every_row_is_there_as_it_was(hosts: Lab, moved: Moved) -> None:
    changed = differing(moved.kept, rows(hosts, ONE))
    # What the first start has to do with a gateway whose root has the default password, and what is declared.
    assert [text for text in changed if not text.startswith(("users 1 password", "users 1 access_token"))] == []
    ids = {row["id"] for row in moved.kept["logs"]}
    assert {row["id"] for row in moved.before["logs"]} <= ids


def test_the_outage_and_the_tokens_of_nobody_are_told(moved: Moved) -> None:
    told = " ".join(moved.run.output.split())
    assert "migration: outage: " in told
    assert f"s until the first completion on {ONE}" in told
    assert "s until the last OpenClaw host was pointed at it" in told
    assert "openclaw-main, mem0, laptop-of-wei" in told
    assert "Traceback" not in moved.run.output


def test_no_secret_is_told(hosts: Lab, moved: Moved) -> None:
    held = {row["key"] for table in ("tokens", "channels") for row in moved.kept[table]}
    assert not [key for key in held if key in moved.run.output]


def test_the_old_gateway_does_not_come_back_with_its_host(hosts: Lab, moved: Moved) -> None:
    assert hosts.command("host-restart", OLD).code == 0
    state = hosts.ssh(
        OLD, f"docker inspect {CONTAINER} --format '{{{{.State.Running}}}} {{{{.HostConfig.RestartPolicy.Name}}}}'"
    )
    assert state == "false no"
    assert ONE in hosts.ssh(OLD, f"cat {OLD_DIRECTORY}/migrated-to")


def test_a_second_run_finds_it_done(hosts: Lab, moved: Moved, tmp_path: Path) -> None:
    file = moving.inventory(tmp_path, OLD, ONE, [AGENT], source_is_ours=False)
    again = hosts.pyinfra("-y", *migration(file, OLD))
    assert again.code == 0, again.output[-3000:]
    assert "was moved here already" in again.output
    assert "stopping" not in " ".join(steps_told(again.output, "migration"))


def test_a_deployment_finds_nothing_to_do_after_it(hosts: Lab, moved: Moved, tmp_path: Path) -> None:
    run = hosts.pyinfra("-y", moving.inventory(tmp_path, ONE, ONE, [AGENT]), "deploy.py")
    assert run.code == 0, run.output[-3000:]
    assert run.output.count("; nothing was changed") == 2, run.output[-3000:]


def test_what_does_not_fit_is_refused_before_anything_is_touched(hosts: Lab, moved: Moved, tmp_path: Path) -> None:
    fits = moving.inventory(tmp_path, ONE, OTHER, [AGENT])
    for arguments, words in (
        (["source=gw77"], "the inventory has no such host"),
        (["target=gw77"], "target=gw77 is not another host of the group `gateways`"),
        (["sorce=gw7"], "did you mean 'source'?"),
        (["limit=soon"], "must be a number of seconds"),
        (["container=none"], "no container of that name has a one-api.db at /data"),
    ):
        hosts.pyinfra("-y", *migration(fits, ONE, *arguments)).must_fail_with(words)
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        Path(fits)
        .read_text()
        .replace(f"'openclaw_gateway\": '{OTHER}'", "")
        .replace(f'"openclaw_gateway": {OTHER!r}', f'"openclaw_gateway": {ONE!r}')
    )
    hosts.pyinfra("-y", *migration(str(wrong), ONE)).must_fail_with(f'"openclaw_gateway": "{OTHER}"')
    assert moving.is_served(hosts, ONE)


def test_new_api_s_database_is_refused_before_anything_is_touched(hosts: Lab, moved: Moved, tmp_path: Path) -> None:
    """In a migration, and in the dry run of a take-over."""
    fits = moving.inventory(tmp_path, ONE, OTHER, [AGENT])
    sql = f"sqlite3 {DIRECTORY}/data/one-api.db 'ALTER TABLE tokens {{}} COLUMN deleted_at'"
    hosts.ssh(ONE, sql.format("ADD"))
    try:
        hosts.pyinfra("-y", *migration(fits, ONE)).must_fail_with("its tokens have deleted_at", "Nothing was changed")
        hosts.ssh(OTHER, f"mkdir -p {DIRECTORY}/data")
        with closing(sqlite3.connect(tmp_path / "one-api.db")) as made:
            made.execute("CREATE TABLE `tokens` (`id` integer, `key` char(48), `model_limits` varchar(1024))")
        hosts.copy(OTHER, tmp_path / "one-api.db", f"{DIRECTORY}/data/one-api.db")
        taking_over = hosts.pyinfra("--dry", "--limit", OTHER, fits, "deploy.py")
        taking_over.must_fail_with("nothing was changed", "is new-api's", "its tokens have model_limits")
    finally:
        hosts.ssh(ONE, sql.format("DROP"))
        hosts.ssh(OTHER, f"rm -rf {DIRECTORY}")
    assert moving.is_served(hosts, ONE)


def _await_one_that_serves(lab: Lab, *gateways: str) -> None:
    """The hosts have undone what a killed run began, if that was needed."""
    for host in gateways:
        await_that(lambda host=host: moving.nothing_is_unfinished(lab, host), f"{host} has undone it", 90)  # type: ignore[misc]
    await_that(lambda: is_completion(ask(lab, AGENT)), "the agent is answered", 90)


@pytest.mark.full
def test_killed_at_any_step_nothing_is_lost_and_the_next_run_completes(
    hosts: Lab, moved: Moved, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # One run tells the steps; the walk then goes back the other way, each run killed at the next step.
    whole = hosts.pyinfra("-y", *migration(moving.inventory(tmp_path, ONE, OTHER, [AGENT]), ONE))
    assert whole.code == 0, whole.output[-6000:]
    steps = [
        step.replace(ONE, "FROM").replace(OTHER, "TO").replace("FROM", OTHER).replace("TO", ONE)
        for step in steps_told(whole.output, "migration")
    ]
    steps = list(dict.fromkeys(re.sub(r"(outage: ).*", r"\1", step) for step in steps))
    back = migration(moving.inventory(tmp_path, OTHER, ONE, [AGENT]), OTHER)
    was_over = False
    for step in steps:
        _await_one_that_serves(hosts, ONE, OTHER)
        source = ONE if was_over else OTHER
        before = rows(hosts, source)
        run = kill_at(step, *back)
        assert run.code == -signal.SIGKILL, f"{step}: {run.output[-3000:]}"
        _await_one_that_serves(hosts, ONE, OTHER)
        was_over = hosts.ssh(OTHER, f"cat {DIRECTORY}/migrated-to 2>/dev/null || true") != ""
        serving = ONE if was_over else OTHER
        assert moving.is_served(hosts, serving), step
        lost = differing(before, rows(hosts, serving))
        assert lost == [], f"{step}: {lost[:5]}"
        with capsys.disabled():
            print(f"\nkilled at: {step}: {serving} serves", end="")
    last = hosts.pyinfra("-y", *back)
    assert last.code == 0, last.output[-6000:]
    assert is_completion(ask(hosts, AGENT))
    assert f"http://{hosts.address(ONE)}:3000/v1" in hosts.ssh(AGENT, f"cat {ENVIRONMENT}")
    assert not moving.is_served(hosts, OTHER)


@pytest.mark.full  # as the walk
def test_a_deployment_knows_where_the_gateway_is(hosts: Lab, moved: Moved, tmp_path: Path) -> None:
    # After the walk: gw7 serves, and gw8 was given up.
    both = hosts.pyinfra("-y", moving.inventory(tmp_path, OTHER, ONE, [AGENT]), "deploy.py")
    both.must_fail_with(f"its gateway was moved to {ONE}, and is stopped here for good", "take this host out of")
    alone = hosts.pyinfra("-y", moving.inventory(tmp_path, ONE, ONE, [AGENT]), "deploy.py")
    assert alone.code == 0, alone.output[-3000:]
    assert f"{AGENT}: OpenClaw's .env names http://{hosts.address(ONE)}:3000/v1" in alone.output
    assert alone.output.count("; nothing was changed") == 2, alone.output[-3000:]


@pytest.mark.full
def test_a_network_that_goes_in_the_cut_over_leaves_the_old_gateway_serving(
    hosts: Lab, moved: Moved, tmp_path: Path
) -> None:
    before = rows(hosts, ONE)
    with running(*migration(moving.inventory(tmp_path, ONE, OTHER, [AGENT]), ONE, "limit=15")) as run:
        await_step(run, "migration: the last copy")
        with unplugged(hosts, ONE):
            ended = run.end()
            # Its host has not waited for the run to notice.
            assert moving.is_served(hosts, ONE)
    await_ssh(hosts, ONE)
    ended.must_fail_with("was not moved")
    _await_one_that_serves(hosts, ONE, OTHER)
    assert differing(before, rows(hosts, ONE)) == []
    assert not moving.is_served(hosts, OTHER)


@pytest.mark.parametrize(
    ("step", "host"), [("migration: the last copy", ONE), ("migration: starting the gateway", OTHER)]
)
def test_a_host_that_loses_its_power_in_the_cut_over_loses_nothing(
    hosts: Lab, moved: Moved, tmp_path: Path, step: str, host: str
) -> None:
    before = rows(hosts, ONE)
    with running(*migration(moving.inventory(tmp_path, ONE, OTHER, [AGENT]), ONE)) as run:
        await_step(run, step)
        switch_off(host)
        ended = run.end()
    switch_on(host)
    await_boot(hosts, host)
    ended.must_fail_with()
    _await_one_that_serves(hosts, ONE, OTHER)
    assert differing(before, rows(hosts, ONE)) == []
    assert not moving.is_served(hosts, OTHER)


@pytest.mark.full
def test_a_source_that_is_lost_when_it_is_given_up_is_found_out_about_by_the_next_run(
    hosts: Lab, moved: Moved, tmp_path: Path
) -> None:
    file = moving.inventory(tmp_path, ONE, OTHER, [AGENT])
    with running(*migration(file, ONE, "limit=15")) as run:
        await_step(run, "migration: giving the old gateway up")
        run.send_signal(signal.SIGSTOP)  # it may be faster than Docker is to take the network away
        with unplugged(hosts, ONE):
            run.send_signal(signal.SIGCONT)
            ended = run.end()
    await_ssh(hosts, ONE)
    assert ended.code == 1, ended.output[-3000:]
    assert "it is not known whether it serves again" in " ".join(ended.output.split())
    assert moving.is_served(hosts, OTHER)
    _await_one_that_serves(hosts, ONE, OTHER)
    last = hosts.pyinfra("-y", *migration(file, ONE))
    assert last.code == 0, last.output[-6000:]
    assert not moving.is_served(hosts, ONE)
    assert is_completion(ask(hosts, AGENT))
