"""The gateway's data are full, gone, damaged or of another time: nothing is lost, and a person is told what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from llm_gateway.flavours import AdminError
from llm_gateway.flavours.specs import TokenSpec
from tests.lab.conftest import Lab
from tests.lab.faults import await_that, kill_at
from tests.lab.outages import UNIT, Gateway, gateway_of_its_own
from tests.lab.rows import DIRECTORY, rows
from tests.lab.seen_status import attention
from tests.lab.shown import Shown

pytestmark = pytest.mark.fault

HOST = "gwdata"
DATA = f"{DIRECTORY}/data"
DATABASE = f"{DATA}/one-api.db"
DISK = "/srv/disk"
KEPT = f"{DISK}/of-the-gateway"
DIRECTORY_MOUNT = r"'opt-openclaw\x2dllm\x2dgateway.mount'"
DATA_MOUNT = r"'opt-openclaw\x2dllm\x2dgateway-data.mount'"
"""The names of the units that systemd makes of lines in fstab, as a shell reads them."""


@pytest.fixture(scope="module")
def gateway(deployed: Lab) -> Iterator[Gateway]:
    """A gateway of this file's own."""
    with gateway_of_its_own(deployed, HOST) as found:
        yield found


def _tokens(gateway: Gateway) -> list[str]:
    return sorted(row["name"] for row in rows(gateway.lab, HOST)["tokens"])


def _told(gateway: Gateway) -> str:
    return attention(str(gateway.inventory), HOST)


# --- no room


@contextmanager
def _small_disk(gateway: Gateway) -> Iterator[None]:
    """The data on a disk of their own, of 12 MiB."""
    gateway.ssh(
        f"systemctl stop {UNIT} && mkdir {DISK} && cp -a {DATA} {KEPT} &&"
        f" mount -t tmpfs -o size=12m,mode=700 tmpfs {DATA} &&"
        f" cp -a {KEPT}/. {DATA} && systemctl start {UNIT}"
    )
    try:
        yield
    finally:
        gateway.ssh(
            f"systemctl stop {UNIT}; docker rm -f {UNIT} >/dev/null 2>&1; rm -f {DATA}/fill; cp -a {DATA}/. {KEPT} &&"
            f" umount {DATA} && cp -a {KEPT}/. {DATA} && rm -r {DISK} && systemctl start {UNIT}"
        )


def test_a_full_disk_leaves_what_is_there_readable(gateway: Gateway, shown: Shown) -> None:
    with _small_disk(gateway), gateway.admin() as admin:
        gateway.await_completion()
        before = _tokens(gateway)
        with shown("fault", "the disk of the data is full") as it:
            gateway.ssh(f"cat /dev/zero > {DATA}/fill 2>/dev/null || true")
            gateway.await_completion(5)
            assert sorted(token.name for token in admin.tokens()) == before
            with pytest.raises(AdminError):
                admin.create_token(TokenSpec("there-is-no-room-for-it"))
            told = _told(gateway)
            assert f"the disk of {DATA} is full" in told
            started = gateway.started()
            gateway.ssh(f"systemctl restart {UNIT}")
            gateway.await_restart(started)
            gateway.await_completion()
            it.start()
            gateway.ssh(f"rm {DATA}/fill")
            admin.create_token(TokenSpec("there-is-room-again"))
            it.lap()
            it.happened("completions go on, also after a restart; status says so; writes again once there is room")
        assert _tokens(gateway) == sorted([*before, "there-is-room-again"])
        assert "is full" not in _told(gateway)
    gateway.await_completion()


# --- not there


@contextmanager
def _disk_of_its_own(gateway: Gateway, place: str, mount: str) -> Iterator[None]:
    """A directory mounted from elsewhere, by a line in fstab that lets the host boot without.

    Parameters: `mount`, the name of the unit that systemd makes of the line.
    """
    gateway.ssh(
        f"systemctl stop {UNIT} && mkdir {DISK} && mv {place} {KEPT} && mkdir -m 700 {place} &&"
        f" echo '{KEPT} {place} none bind,nofail 0 0' >> /etc/fstab &&"
        f" systemctl daemon-reload && systemctl start {mount} && systemctl start {UNIT}"
    )
    try:
        yield
    finally:
        gateway.ssh(
            f"systemctl stop {UNIT}; systemctl stop {mount}; sed -i '\\|^{KEPT} |d' /etc/fstab;"
            f" systemctl daemon-reload; rmdir {place} && mv {KEPT} {place} && rmdir {DISK} && systemctl start {UNIT}"
        )


@contextmanager
def _booted_without(gateway: Gateway, mount: str) -> Iterator[None]:
    """While the block runs, the host has booted without that disk; then it is mounted, and nothing else is done."""
    # A file in its place: a directory that is missing would be made by systemd.
    gateway.ssh(f"mv {DISK} {DISK}.unplugged && touch {DISK}")
    restarted = gateway.lab.command("host-restart", HOST)
    assert restarted.code == 0, restarted.output
    try:
        yield
    finally:
        gateway.ssh(f"rm {DISK} && mv {DISK}.unplugged {DISK} && systemctl start {mount}")


def test_data_that_are_not_mounted_at_boot_make_no_new_gateway(gateway: Gateway, shown: Shown) -> None:
    with _disk_of_its_own(gateway, DATA, DATA_MOUNT):
        gateway.await_completion()
        before = _tokens(gateway)
        with shown("fault", "the data are not mounted at boot (one-api#1207)") as it:
            with _booted_without(gateway, DATA_MOUNT):
                await_that(lambda: "one-api.db" in gateway.state(), "the unit says why it waits")
                assert f"{DATABASE} is not there" in _told(gateway)
                assert gateway.ssh(f"find {DATA} -mindepth 1") == "", "something was written where the data belong"
                assert gateway.ssh("docker ps --quiet") == ""
                gateway.verify().must_fail_with(HOST)
                it.start()
            gateway.await_completion()
            assert it.lap() < 30
            assert _tokens(gateway) == before
            it.happened("does not start and says why; writes nothing there; answers by itself once it is mounted")
    gateway.await_completion()


def test_an_install_directory_that_is_not_mounted_at_boot_is_waited_for(gateway: Gateway, shown: Shown) -> None:
    with _disk_of_its_own(gateway, DIRECTORY, DIRECTORY_MOUNT):
        gateway.await_completion()
        with shown("fault", "the whole install directory is not mounted at boot") as it:
            with _booted_without(gateway, DIRECTORY_MOUNT):
                assert f"nothing of it is in {DIRECTORY}: mount its file system" in _told(gateway)
                gateway.deploy().must_fail_with(f"nothing of it is in {DIRECTORY}: mount its file system")
                assert gateway.ssh(f"find {DIRECTORY} -mindepth 1") == ""
                it.start()
            gateway.await_completion()
            assert it.lap() < 30
            it.happened("does not start; deploy.py begins nothing anew; answers by itself once it is mounted")
    gateway.await_completion()


# --- damaged


_OVERWRITE = f"dd if=/dev/urandom of={DATABASE} conv=notrunc status=none"
DAMAGES = {
    "its first bytes are overwritten": f"{_OVERWRITE} bs=100 count=1",
    "pages in its middle are overwritten": f"{_OVERWRITE} bs=4096 seek=6 count=4",
    "its second half is lost": f"truncate -s $(($(stat -c %s {DATABASE}) / 8192 * 4096)) {DATABASE}",
    # One API would make a new database in it, with root/123456.
    "it is empty": f"truncate -s 0 {DATABASE}",
}


def _damage(gateway: Gateway, how: str) -> str:
    """Damage the database of a gateway that stands still, and start that. Returns the sum of the damaged bytes."""
    gateway.ssh(f"systemctl stop {UNIT} && cp -a {DATABASE} /srv/whole.db && {DAMAGES[how]}")
    damaged = gateway.ssh(f"sha256sum < {DATABASE}")
    gateway.ssh(f"systemctl start --no-block {UNIT}")
    return damaged


def _await_refusal(gateway: Gateway, damaged: str) -> None:
    await_that(lambda: "deploys/restore.py" in gateway.state(), f"the unit names the fix: {gateway.state()}")
    assert gateway.ssh("docker ps --quiet") == ""
    assert gateway.ssh(f"sha256sum < {DATABASE}") == damaged, "the damaged database was touched"
    assert gateway.ssh(f"ls {DATA} | grep -c -- -journal || true") == "0"


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_database_is_not_started(gateway: Gateway, how: str, shown: Shown) -> None:
    with shown("fault", f"the database is damaged: {how}") as it:
        damaged = _damage(gateway, how)
        _await_refusal(gateway, damaged)
        assert "deploys/restore.py" in _told(gateway)
        it.start()
        gateway.ssh(f"cp -a /srv/whole.db {DATABASE}")
        gateway.await_completion()
        it.lap()
        it.happened("is not started, and status says which command restores; with whole data it starts by itself")


def test_restore_fixes_a_damaged_database(gateway: Gateway, shown: Shown) -> None:
    gateway.ssh(f"{DIRECTORY}/make-backup 'by a test'")
    before = _tokens(gateway)
    with shown("fault", "the database is damaged, and restored from the newest backup") as it:
        damaged = _damage(gateway, "pages in its middle are overwritten")
        _await_refusal(gateway, damaged)
        it.start()
        restored = gateway.lab.pyinfra("-y", "--data", f"host={HOST}", str(gateway.inventory), "deploys/restore.py")
        assert restored.code == 0, restored.output[-4000:]
        gateway.await_completion()
        it.lap()
        assert _tokens(gateway) == before
        kept = gateway.ssh(f"sha256sum {DIRECTORY}/backups/replaced-*/data/one-api.db")
        assert damaged.split()[0] in kept, "the damaged database is kept, for those who can read it"
        it.happened("deploys/restore.py brings all rows back, and keeps what was damaged")


# --- of another time


def test_a_clock_that_was_ahead_does_not_make_every_run_restart_the_gateway(gateway: Gateway, shown: Shown) -> None:
    with shown("fault", "the host's clock was years ahead at the last deployment") as it:
        files = f"{DIRECTORY}/docker-compose.yml {DIRECTORY}/.env /etc/systemd/system/{UNIT}.service"
        gateway.ssh(f"touch -d 2099-01-01 {files} && systemctl daemon-reload && systemctl restart {UNIT}")
        gateway.await_completion()
        fixed = gateway.deploy()
        assert fixed.code == 0, fixed.output[-4000:]
        started = gateway.started()
        again = gateway.deploy("--json")
        assert again.code == 0, again.output[-4000:]
        assert gateway.started() == started, "restarted again, though nothing differs"
        it.happened("the next run restarts the gateway once, the one after that changes nothing")


def test_a_clock_that_was_ahead_hides_no_later_backup(gateway: Gateway, shown: Shown) -> None:
    with shown("fault", "the host's clock was years ahead at the last backup") as it:
        gateway.ssh(
            f"cd {DIRECTORY}/backups && newest=$(ls gateway-*Z.tar.gz | tail -n 1) &&"
            " cp -p $newest gateway-20990101T000000Z.tar.gz"
        )
        gateway.ssh(f"{DIRECTORY}/make-backup 'by a test' 2>/dev/null")
        names = gateway.ssh(f"cd {DIRECTORY}/backups && ls -t gateway-*Z.tar.gz").split()
        assert max(names) == names[0] == "gateway-20990101T000001Z.tar.gz"
        assert len(names) >= 3
        it.happened("the next one is named after it, so that it is the newest; none is removed")
        gateway.ssh(f"rm {DIRECTORY}/backups/gateway-2099*")


# --- booby-trapped


@pytest.mark.attack
def test_links_in_the_data_lead_root_nowhere(gateway: Gateway, shown: Shown) -> None:
    look = "stat -c '%n %u:%g %a' /etc /etc/shadow /root; sha256sum /etc/shadow"
    before = gateway.ssh(look)
    as_one_api = "setpriv --reuid 59300 --regid 59300 --clear-groups"
    links = f"cd {DATA} && ln -s /etc/shadow logs/oneapi.log && ln -s /etc etc && ln -s /root/planted one-api.db-wal"
    with shown("attack", "One API's user puts links into its data and waits for root") as it:
        gateway.ssh(f"{as_one_api} sh -c '{links}'")
        started = gateway.started()
        gateway.ssh(f"systemctl restart {UNIT}")
        gateway.await_restart(started)
        gateway.ssh(f"{DIRECTORY}/make-backup 'by a test' || true; systemctl stop {UNIT}")
        gateway.ssh(f"cd {DATA} && rm logs/oneapi.log etc one-api.db-wal; systemctl start {UNIT}")
        assert gateway.ssh(look) == before
        assert gateway.ssh("ls /root/planted* 2>/dev/null || true") == ""
        it.happened("starts and backups change nothing outside, and leave its owner and mode alone")
    gateway.await_completion()


# --- half of it gone; the last, for it ends this gateway


def test_a_removal_that_was_cut_off_is_told(gateway: Gateway, shown: Shown) -> None:
    remove = ("-y", "--data", f"yes={HOST}", str(gateway.inventory), "deploys/remove.py")
    with shown("fault", "deploys/remove.py is killed while it removes the files") as it:
        kill_at("remove: removing the files", *remove[1:])
        told = _told(gateway)
        assert "deploys/remove.py" in told and "cut off" in told.lower()
        assert "no deployment has been completed" not in told
        removed = gateway.lab.pyinfra(*remove)
        assert removed.code == 0, removed.output[-4000:]
        assert "cut off" not in _told(gateway).lower()
        it.happened("status says to run it again; that completes it")
