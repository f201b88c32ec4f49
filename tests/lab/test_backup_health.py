"""Backups as an operator meets them: seen when they fail, encrypted where they leave the host, refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llm_gateway.parts.backups.archive import NAME
from llm_gateway.parts.backups.scheduled_backups import SERVICE, TIMER
from tests.lab.conftest import INVENTORY, Lab, Run, python
from tests.lab.rows import DIRECTORY

BACKUPS = f"{DIRECTORY}/backups"
CHECKS = ("-m", "pytest", "-q", "tests/server/test_backup.py", f"--inventory={INVENTORY}", "-k", "gw1")


@pytest.fixture(scope="module")
def gateway(deployed: Lab) -> Iterator[Lab]:
    """gw1, which afterwards is as the settings say."""
    yield deployed
    run = deployed.deploy("--limit", "gw1")
    assert run.code == 0, run.output[-3000:]
    deployed.ssh("gw1", f"{DIRECTORY}/make-backup 'after the tests'")


def _backup(*arguments: str) -> Run:
    return python("deploys/backup.py", INVENTORY, "--limit", "gw1", *arguments)


def _last(lab: Lab) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(lab.ssh("gw1", f"head -n 1 {BACKUPS}/last.json"))
    return found


def test_verification_and_the_checks_of_the_server_show_that_backups_fail(gateway: Lab) -> None:
    failing = gateway.deploy("--limit", "gw1", "--data", "gateway_backup_command=echo no such bucket >&2; exit 3")
    assert failing.code == 0, failing.output[-3000:]
    assert "Write the settings of the backups" in failing.output
    gateway.ssh("gw1", f"! systemctl start {SERVICE}")
    # A password may stand in what it says: for root on the host alone.
    assert "no such bucket" in gateway.ssh("gw1", f"cat {DIRECTORY}/backups/.command.log")
    assert "no such bucket" not in gateway.ssh("gw1", f"journalctl --no-pager -u {SERVICE}")
    gateway.verify("--limit", "gw1").must_fail_with(
        "gateway_backup_command failed with exit code 3", f"systemctl start {SERVICE}"
    )
    assert "1 failed" in python(*CHECKS).stdout
    fixed = gateway.deploy("--limit", "gw1")
    assert fixed.code == 0, fixed.output[-3000:]
    gateway.ssh("gw1", f"systemctl start {SERVICE}")
    verified = gateway.verify("--limit", "gw1")
    assert verified.code == 0, verified.output[-3000:]
    assert "4 passed" in python(*CHECKS).stdout
    assert gateway.ssh("gw1", f"systemctl is-active {TIMER}; systemctl is-enabled {TIMER}").split() == [
        "active",
        "enabled",
    ]


_NO_BACKUPS = (".lock", "last.json", ".command.log")


def _names(lab: Lab) -> list[str]:
    return [name for name in lab.ssh("gw1", f"ls -A {BACKUPS}").split() if name not in _NO_BACKUPS]


def test_two_at_once_and_one_that_is_killed(gateway: Lab) -> None:
    both = f'cd / && for n in 1 2; do {DIRECTORY}/make-backup "turn $n" & done; wait'
    lines = [json.loads(line) for line in gateway.ssh("gw1", both).splitlines()]
    assert sorted(line["reason"] for line in lines) == ["turn 1", "turn 2"]
    assert len({line["file"] for line in lines}) == 2
    before = _names(gateway)
    # As a power cut does: all of it at once, in the middle of the copy or of what follows.
    partial = f"ls -d {BACKUPS}/.partial-*/members/one-api.db"
    gateway.ssh(
        "gw1",
        f"setsid sh -c 'echo $$ > /run/killed; exec {DIRECTORY}/make-backup killed' >/dev/null 2>&1 &"
        f" until {partial} >/dev/null 2>&1; do :; done; kill -s KILL -- -$(cat /run/killed)",
    )
    left = _names(gateway)
    assert len(left) == len(before) + 1
    assert [name for name in left if NAME.fullmatch(name)] == before
    assert _last(gateway)["ok"] is True, "of the one before"
    gateway.ssh("gw1", f"{DIRECTORY}/make-backup")
    assert _last(gateway)["file"] in _names(gateway)
    assert not [name for name in _names(gateway) if name.startswith(".partial")]


def test_what_leaves_the_host_is_encrypted_for_the_recipient(gateway: Lab, tmp_path: Path) -> None:
    # Somebody's; Debian's age comes with the deployment.
    setting = "gateway_backup_recipient=age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"
    first = gateway.deploy("--limit", "gw1", "--data", setting)
    assert first.code == 0, first.output[-3000:]
    assert "Install age" in first.output
    keys = gateway.ssh("gw1", "rm -rf /root/keys /root/out; age-keygen -o /root/keys 2>&1").split()
    data = ("--data", f"gateway_backup_recipient={keys[-1]}", "--data", 'gateway_backup_command=cp "$1" /root/out')
    deployed = gateway.deploy("--limit", "gw1", *data)
    assert deployed.code == 0, deployed.output[-3000:]
    run = _backup("--fetch", str(tmp_path), *data)
    assert run.code == 0, run.output[-3000:]
    (file,) = (tmp_path / "gw1").iterdir()
    name = file.name.removesuffix(".age")
    assert file.name.endswith(".tar.gz.age")
    assert b"age-encryption.org/v1" in file.read_bytes()[:64]
    gateway.copy("gw1", file, "/root/fetched")
    sums = "age -d -i /root/keys /root/fetched | sha256sum; age -d -i /root/keys /root/out | sha256sum"
    assert len(set(gateway.ssh("gw1", f"{sums}; sha256sum < {BACKUPS}/{name}").splitlines())) == 1
    gateway.ssh("gw1", f"[ ! -e {BACKUPS}/.outgoing ]")
    gateway.ssh("gw1", "rm -r /root/keys /root/out /root/fetched; apt-get purge -qq -y age >/dev/null 2>&1")
    gateway.ssh("gw1", f"! {DIRECTORY}/make-backup")
    assert "apt-get install age" in _last(gateway)["error"]


def test_a_gateway_with_another_database_fails_loudly(gateway: Lab) -> None:
    gateway.ssh("gw1", f"echo SQL_DSN=root:secret@tcp/oneapi > {DIRECTORY}/data/.env")
    try:
        run = _backup()
    finally:
        gateway.ssh("gw1", f"rm {DIRECTORY}/data/.env")
    run.must_fail_with("SQL_DSN is set", "with the tools of that database")
    assert "root:secret" not in run.output


def test_no_secret_is_told_and_a_wrong_option_is_refused(gateway: Lab, tmp_path: Path) -> None:
    run = _backup("-vvv", "--debug", "--fetch", str(tmp_path))
    assert run.code == 0, run.output[-3000:]
    for line in gateway.ssh("gw1", f"cat {DIRECTORY}/secrets.env").splitlines():
        value = line.partition("=")[2].strip("'")
        assert len(value) < 8 or value not in run.output
    (tmp_path / "file").touch()
    _backup("--fetch", str(tmp_path / "file")).must_fail_with("is a file; name a directory")
    _backup("--data", "fech=x").must_fail_with("did you mean 'fetch'?")
    assert list((tmp_path / "gw1").iterdir())
