"""Days two to a thousand in a few minutes: what operators do, in a random order, some of it killed half-way.

A model keeps what the gateway has acknowledged. After each act every acknowledged row must be there (after a restore:
every one of the backup), and OpenClaw must be answered with the key and the address of its own .env.
DAYS_SEED=… repeats a sequence, DAYS_ACTS=… makes it longer.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass

import pytest

from tests.lab.conftest import ROOT, Lab
from tests.lab.model import AGENT, MIGRATE, World, Writer

SEED = int(os.environ.get("DAYS_SEED") or random.SystemRandom().randrange(10**6))
ACTS = int(os.environ.get("DAYS_ACTS") or 8)
KILLED_ONE_TIME_IN = 2
STEPS = 11
"""The kill is at one of so many steps; a run of fewer may end unharmed, and then it was not killed."""
VARIANT = "openclaw-lab/days"
MAKE_VARIANT = "docker commit --change 'ENV STANDIN_FAULTS={faults}' $(docker create {image}) {variant} >/dev/null"


@dataclass(frozen=True)
class Act:
    """What an operator does: a script with its options, whether it is to succeed, and what it makes of the model."""

    script: str
    options: tuple[str, ...] = ()
    succeeds: bool = True
    then: Callable[[], None] = lambda: None
    rows_go_on: bool = True
    """Whether what is written meanwhile must be there afterwards."""


class Operator:
    """Chooses what to do next."""

    def __init__(self, world: World, images: dict[str, dict[str, str | None]], chance: random.Random) -> None:
        self.world, self.images, self.chance = world, images, chance

    def next(self) -> Act:
        """An act that fits the state of the world."""
        acts = [self.deploy, self.back_up, self.upgrade, self.upgrade_badly, self.migrate, self.rotate]
        if self.world.backups:
            acts += [self.restore, self.restore]
        return self.chance.choice(acts)()

    def deploy(self) -> Act:
        """Nothing new."""
        return Act("deploy.py")

    def back_up(self) -> Act:
        """An archive that must hold what is acknowledged by now."""
        world, known = self.world, set(self._archives())
        before = frozenset(world.acknowledged)

        def remember() -> None:
            for name in set(self._archives()) - known:
                world.backups[name] = before

        return Act("deploys/backup.py", then=remember)

    def _archives(self) -> list[str]:
        return self.world.directory_listing("backups/gateway-*.tar.gz")

    def restore(self) -> Act:
        """Back to one of the archives."""
        world, name = self.world, self.chance.choice(sorted(self.world.backups))

        def go_back() -> None:
            world.acknowledged = set(world.backups[name])

        return Act("deploys/restore.py", ("--data", f"backup={name}"), then=go_back, rows_go_on=False)

    def upgrade(self) -> Act:
        """Another version, which changes the schema."""
        self.world.image = self.images["migrates" if self.world.image == self.images[""] else ""]
        return Act("deploy.py")

    def upgrade_badly(self) -> Act:
        """A version that talks nonsense: refused, and pinned no more afterwards."""
        world, before = self.world, self.world.image
        world.image = self.images["nonsense"]

        def pin_the_old_one() -> None:
            world.image = before

        return Act("deploy.py", succeeds=False, then=pin_the_old_one)

    def migrate(self) -> Act:
        """To the other host."""
        world, source = self.world, self.world.gateway
        world.gateway, world.spare = world.spare, source
        world.backups = {}
        return Act(MIGRATE, ("--data", f"source={source}"))

    def rotate(self) -> Act:
        """New keys for all consumers."""
        return Act("deploys/rotate_keys.py", ("--data", "keys=tokens"))


@pytest.fixture
def world(deployed: Lab) -> Iterator[World]:
    """Two hosts of this test's own, one of them a gateway, and an agent of its own."""
    with deployed.more_hosts("gw8:ready", "gw9:ready", f"{AGENT}:agent"):
        found = World(deployed, "gw8", "gw9")
        run = found.run("deploy.py")
        assert run.code == 0, run.output[-4000:]
        yield found


def _images(world: World) -> dict[str, dict[str, str | None]]:
    """The lab's image and variants of it, as the settings name them: by archives, since no registry has them."""
    image = world.lab.state["gateway_image"]
    found: dict[str, dict[str, str | None]] = {}
    for faults in ("", "migrates", "nonsense"):
        variant = f"{VARIANT}:{faults or 'plain'}"
        world.lab.ssh(world.gateway, MAKE_VARIANT.format(faults=faults, image=image["reference"], variant=variant))
        archive = world.lab.directory / f"days-{faults or 'plain'}.tar"
        saved = [sys.executable, "-m", "lab", "ssh", world.gateway, "--", "sudo", "docker", "save", variant]
        with archive.open("wb") as file:
            subprocess.run(saved, cwd=ROOT, stdout=file, check=True, timeout=120)
        found[faults] = {"gateway_image": variant, "gateway_image_archive": str(archive)}
    return found


@pytest.mark.full
def test_whatever_operators_do_and_wherever_it_is_cut_off_nothing_is_lost(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(SEED)  # noqa: S311 - to be repeated, not to be secret
    operator = Operator(world, _images(world), chance)
    story = [f"DAYS_SEED={SEED} DAYS_ACTS={ACTS}"]
    try:
        for _ in range(ACTS):
            serving = world.gateway  # a migration is from there
            _carry_out(operator.next(), serving, world, chance, story)
    finally:
        with capsys.disabled():
            print("", *story, sep="\n  ")


def _carry_out(act: Act, serving: str, world: World, chance: random.Random, story: list[str]) -> None:
    with Writer(world, serving) if act.rows_go_on else nullcontext():
        if chance.randrange(KILLED_ONE_TIME_IN) == 0:
            killed_at = world.kill(chance.randrange(STEPS), act.script, *act.options)
            story.append(f"{act.script} {' '.join(act.options)} killed at: {killed_at}")
        run = world.run(act.script, *act.options)
    story.append(f"{act.script} {' '.join(act.options)} {world.image.get('gateway_image', '')} on {world.gateway}")
    assert (run.code == 0) is act.succeeds, "\n".join([*story, run.output[-5000:]])
    assert "Traceback" not in run.output, run.output[-5000:]
    act.then()
    lost = world.acknowledged - world.tokens()
    assert not lost, "\n".join([*story, f"lost: {sorted(lost)}", run.output[-3000:]])
    world.await_completion()
