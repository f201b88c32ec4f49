"""Another image is tried before anybody gets it, and where it fails, the one before serves, with every row."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import upgrading
from tests.lab.conftest import INVENTORY, Lab
from tests.lab.faults import await_boot, await_that, cut_power, kill_at
from tests.lab.rows import DIRECTORY
from tests.lab.upgrading import HOST, START_SECONDS, deploy, files, pin, serving, token_names, write

STEPS = (
    "making a backup",
    "trial: starting",
    "trial: asking",
    "upgrade: keeping what is replaced",
    "upgrade: stopping the gateway",
    "upgrade: putting tried:good",
    "upgrade: writing the gateway's files",
    "upgrade: starting the gateway",
    "upgrade: asking",
)
ROLLBACK, RESTORE = "deploys/rollback.py", "deploys/restore.py"


@pytest.fixture(scope="module")
def gwup(deployed: Lab) -> Iterator[Lab]:
    """The tests' lab with a gateway of this file's own, deployed, and images to upgrade it to."""
    with deployed.more_hosts(f"{HOST}:ready"):
        first = deployed.deploy("--limit", HOST)
        assert first.code == 0, first.output[-4000:]
        upgrading.make_images(deployed)
        yield deployed


def _rollback(gwup: Lab, *arguments: str) -> list[str]:
    return [*upgrading.of_host(), *arguments, INVENTORY, ROLLBACK]


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("mute", [f"it did not answer within {START_SECONDS} s", "nothing listens", "database migrated"]),
        ("nonsense", ["an answer without choices", "The gateway as it serves now does it"]),
        ("crashing", ["it ended. Its log", "this version does not run"]),
    ],
)
def test_a_bad_image_is_never_let_near_the_agents(gwup: Lab, image: str, words: list[str]) -> None:
    before = serving(gwup), files(gwup), upgrading.tables(gwup)
    with upgrading.asking(gwup) as agent:
        run = deploy(gwup, image, START_SECONDS)
    run.must_fail_with("serves on, as it did all the time", f"the upgrade to tried:{image} was not made", *words)
    print(f"{image}: {len(agent.answers)} completions meanwhile, {len(agent.failures)} failed")
    assert len(agent.answers) > 3
    assert agent.failures == []
    assert (serving(gwup), files(gwup), upgrading.tables(gwup)) == before
    upgrading.nothing_is_left_over(gwup)


def test_one_that_is_bad_on_the_database_itself_is_taken_back(gwup: Lab) -> None:
    """On the copy it was good: so it was published, changed the schema, and answers nonsense."""
    write(gwup, "before-late")
    before, tables, names = files(gwup), upgrading.tables(gwup), token_names(gwup)
    gwup.ssh(HOST, f"touch {DIRECTORY}/data/bad-here")
    run = deploy(gwup, "late")
    gwup.ssh(HOST, f"rm {DIRECTORY}/data/bad-here")
    run.must_fail_with(
        "the upgrade to tried:late",
        "was taken back",
        "without choices",
        "had changed the database's schema",
        "serves again",
    )
    assert (files(gwup), upgrading.tables(gwup), token_names(gwup)) == (before, tables, names)
    aside = gwup.ssh(HOST, f"ls -d {DIRECTORY}/backups/other-image-*")
    assert "novelties" in gwup.ssh(HOST, f"sqlite3 {aside}/one-api.db .tables")
    upgrading.nothing_is_left_over(gwup)


def test_a_dry_run_says_what_is_to_come(gwup: Lab) -> None:
    before = serving(gwup), files(gwup)
    run = gwup.pyinfra("--dry", *pin("good"), INVENTORY, "deploy.py")
    assert run.code == 0, run.output
    reference = gwup.state["gateway_image"]["reference"]
    assert f"to come: upgrade {reference} (" in run.output
    assert "-> tried:good, after a backup and a trial" in run.output
    assert (serving(gwup), files(gwup)) == before


def test_an_upgrade_killed_at_each_of_its_steps_leaves_the_old_image_serving(gwup: Lab) -> None:
    old = serving(gwup).split()[:2]
    written = set()
    for number, step in enumerate(STEPS):
        killed = kill_at(step, *pin("good"), INVENTORY, "deploy.py")
        # With nobody's help: the host sees that the run is gone.
        await_that(lambda: _is_settled(gwup), f"the host has undone what was killed at {step!r}")
        write(gwup, f"after-{number}")
        written.add(f"after-{number}")
        if serving(gwup).split()[:2] != old:
            assert step == STEPS[-1], killed.output  # it was committed in the same moment
            break
    run = deploy(gwup, "good")
    assert run.code == 0, run.output[-4000:]
    assert serving(gwup).startswith("tried:good ")
    assert written <= token_names(gwup)
    assert "novelties" in upgrading.tables(gwup)
    upgrading.nothing_is_left_over(gwup)
    again = gwup.deploy(*pin("good"), "--json")
    assert json.loads(again.stdout)["results"]["totals"]["success"] == 0


def _is_settled(gwup: Lab) -> bool:
    unfinished = gwup.ssh(HOST, "ls -d /var/lib/openclaw-llm-gateway/un* 2>/dev/null | grep -v undo-unfinished; true")
    address = f"http://{gwup.address(HOST)}:3000/api/status"
    return not unfinished and gwup.command("peer", "--", "curl", "-sf", "-m", "2", address).code == 0


def test_the_way_back_tells_what_it_would_cost(gwup: Lab) -> None:
    write(gwup, "since-the-upgrade")
    before = serving(gwup), files(gwup)
    run = gwup.pyinfra("-y", *_rollback(gwup))
    run.must_fail_with("has changed the database's schema", " of tokens", f"--data yes={HOST}", "nothing was changed")
    assert (serving(gwup), files(gwup)) == before


def test_a_power_cut_in_the_middle_of_the_way_back(gwup: Lab) -> None:
    names = token_names(gwup)
    kill_at("rollback: starting", *_rollback(gwup, "--data", f"yes={HOST}"))
    cut_power(HOST)
    await_boot(gwup, HOST)
    await_that(lambda: _is_settled(gwup), "the host serves again after the power cut", 120)
    assert serving(gwup).startswith("tried:good ")
    assert token_names(gwup) == names
    upgrading.nothing_is_left_over(gwup)


_OF_AN_EARLIER_VERSION = """
sed -i /openclaw-llm-gateway-firewall/d /etc/systemd/system/openclaw-llm-gateway.service && systemctl daemon-reload
systemctl disable --quiet --now openclaw-llm-gateway-firewall
rm -r /etc/systemd/system/openclaw-llm-gateway-firewall.service /var/lib/openclaw-llm-gateway/firewall
systemctl daemon-reload && nft delete table inet openclaw_llm_gateway
systemctl is-active openclaw-llm-gateway
"""
"""A host whose gateway serves without a firewall."""


def test_the_way_back_brings_image_and_data_back_and_a_firewall_where_there_was_none(gwup: Lab) -> None:
    assert gwup.ssh(HOST, _OF_AN_EARLIER_VERSION).endswith("active")
    run = gwup.pyinfra("-y", *_rollback(gwup, "--data", f"yes={HOST}"))
    assert run.code == 0, run.output[-4000:]
    told = " ".join(run.output.split())
    assert "Before the next deploy.py" in told
    assert gwup.ssh(HOST, "systemctl is-active openclaw-llm-gateway-firewall") == "active"
    assert serving(gwup).startswith(gwup.state["gateway_image"]["reference"])
    assert "novelties" not in upgrading.tables(gwup)
    names = token_names(gwup)
    assert "after-0" in names  # from before the upgrade
    assert "since-the-upgrade" not in names
    upgrading.nothing_is_left_over(gwup)
    # What is pinned is what serves now, so a deployment has nothing to do to it.
    again = gwup.deploy("--limit", HOST, "--json")
    assert json.loads(again.stdout)["results"]["totals"]["success"] == 0, again.output
    gwup.pyinfra("-y", *_rollback(gwup)).must_fail_with("there is nothing to go back to")


def test_without_a_new_schema_the_way_back_keeps_every_row(gwup: Lab) -> None:
    assert deploy(gwup, "better").code == 0
    write(gwup, "with-better")
    run = gwup.pyinfra("-y", *_rollback(gwup))
    assert run.code == 0, run.output[-4000:]
    assert serving(gwup).startswith(gwup.state["gateway_image"]["reference"])
    assert "with-better" in token_names(gwup)


def test_from_v068_both_starts_are_out_of_reach_and_its_backup_is_restored_so_too(gwup: Lab) -> None:
    upgrading.make_old(gwup)
    write(gwup, "with-the-old")
    names = token_names(gwup)
    with upgrading.asking(gwup) as agent:
        run = deploy(gwup, "better")
    assert run.code == 0, run.output[-4000:]
    assert run.output.count("starting it again") == 2, "on the copy, and then on the database itself"
    assert "system_prompt" in upgrading.channel_columns(gwup)
    assert token_names(gwup) == names
    print(f"{len(agent.failures)} of {len(agent.answers)} completions failed in the swap")
    # The backup that the upgrade has made is of v0.6.8, and secured: the newer image gets it in a restore.
    arguments = (*pin("better"), "--data", f"host={HOST}", INVENTORY, RESTORE)
    restored = gwup.pyinfra("-y", *arguments)
    assert restored.code == 0, restored.output[-4000:]
    assert restored.output.count("starting it again") == 1
    assert "system_prompt" in upgrading.channel_columns(gwup)
    assert token_names(gwup) == names
    upgrading.nothing_is_left_over(gwup)


def test_other_bytes_under_the_same_name_are_an_upgrade(gwup: Lab, tmp_path: Path) -> None:
    """As an archive: loading it gives the name to the new image, while the old one serves under it."""
    name = f"openclaw-lab-of-{gwup.directory.name}:pinned"
    good, mute = (_archive(gwup, tmp_path, name, fault) for fault in ("", "mute"))

    def arguments(archive: Path) -> list[str]:
        data = ("--data", f"gateway_image={name}", "--data", f"gateway_image_archive={archive}")
        return [*upgrading.of_host(), *data]

    assert gwup.deploy(*arguments(good)).code == 0
    before = serving(gwup)
    kill_at("trial: asking", *arguments(_archive(gwup, tmp_path, name, "migrates")), INVENTORY, "deploy.py")
    await_that(lambda: _is_settled(gwup), "the trial was taken down")
    little_time = ("--data", f"gateway_start_timeout={START_SECONDS}")
    gwup.deploy(*arguments(mute), *little_time).must_fail_with("serves on, as it did all the time")
    assert serving(gwup) == before
    # A restart, for whatever reason, does not bring what has failed.
    gwup.ssh(HOST, "systemctl restart openclaw-llm-gateway")
    write(gwup, "after-the-restart")
    assert serving(gwup).split()[1] == before.split()[1]
    # Nor does the archive that was sent last, where the image is gone.
    gwup.ssh(HOST, f"docker rm -f openclaw-llm-gateway && docker rmi -f {before.split()[1]}")
    write(gwup, "after-the-loading")
    assert serving(gwup).split()[1] == before.split()[1]
    again = gwup.deploy(*arguments(good), "--json")
    assert json.loads(again.stdout)["results"]["totals"]["success"] == 0, again.output


def _archive(gwup: Lab, place: Path, name: str, fault: str) -> Path:
    """An image of that name as `docker save` writes it."""
    path = place / f"{fault or 'good'}.tar"
    base = gwup.state["gateway_image"]["reference"]
    model = f"{name.partition(':')[0]}-model"
    for command in (
        ["create", "--name", model, base],
        ["commit", "--change", f"ENV STANDIN_FAULTS={fault}", model, name],
        ["rm", model],
        ["save", "--output", str(path), name],
        ["rmi", name],
    ):
        subprocess.run(["docker", *command], check=True, capture_output=True, timeout=120)
    return path
