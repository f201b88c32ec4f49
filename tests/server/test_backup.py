"""A gateway host's backups, seen from outside: scheduled, fresh, for root alone, and such as say what is in them."""

from __future__ import annotations

from datetime import UTC, datetime

from llm_gateway.model.layout import DATABASE
from llm_gateway.parts.backups import backup_health
from llm_gateway.parts.backups.archive import MANIFEST, NAME, Manifest, Outcome, newest
from llm_gateway.parts.backups.scheduled_backups import SERVICE, TIMER
from tests.server.conftest import Server

PROPERTIES = "-p Id -p LoadState -p ActiveState -p Result -p LastTriggerUSec -p NextElapseUSecRealtime"


def _backups(gateway: Server) -> str:
    return f"{gateway.settings.gateway_directory}/backups"


def test_backups_are_scheduled_and_made(gateway: Server) -> None:
    if gateway.settings.gateway_backup_schedule is None:
        return  # none were asked for
    shown = gateway.sh(f"TZ=UTC LC_ALL=C systemctl show {TIMER} {SERVICE} {PROPERTIES}")
    units = [dict(line.split("=", 1) for line in block.splitlines()) for block in shown.split("\n\n")]
    installed = datetime.fromtimestamp(int(gateway.sh(f"stat -c %Y /etc/systemd/system/{TIMER}")), UTC)
    last = Outcome.parse(gateway.sh(f"cat {_backups(gateway)}/last.json 2>/dev/null || true"))
    now = datetime.fromtimestamp(int(gateway.sh("date +%s")), UTC)
    assert backup_health.problem({unit["Id"]: unit for unit in units}, last, installed, now) is None
    assert gateway.host.service(TIMER).is_enabled


def test_what_makes_backups_is_roots(gateway: Server) -> None:
    for name, mode in (
        ("make-backup", 0o755),
        ("backup.conf", 0o600),
        ("script-functions", 0o644),
        ("database-settings", 0o644),
    ):
        file = gateway.host.file(f"{gateway.settings.gateway_directory}/{name}")
        assert (file.mode, file.user, file.group) == (mode, "root", "root"), name


def test_backups_are_readable_by_root_alone(gateway: Server) -> None:
    if not gateway.host.file(_backups(gateway)).exists:
        return  # none was made yet; whether one should have been is asked above
    found = gateway.sh(f"find {_backups(gateway)} -printf '%m %u %y %p\\n'").splitlines()
    assert found[0].split()[:3] == ["700", "root", "d"]
    ours = [line.split(maxsplit=3) for line in found if NAME.fullmatch(line.rpartition("/")[2])]
    assert all((mode, user) == ("600", "root") for mode, user, _, _ in ours), ours


def test_the_newest_backup_is_readable_and_says_what_is_in_it(gateway: Server) -> None:
    name = newest(gateway.sh(f"ls {_backups(gateway)} 2>/dev/null || true").split())
    if name is None:
        return
    listed = gateway.sh(f"tar -tzf {_backups(gateway)}/{name}").splitlines()
    manifest = Manifest.parse(gateway.sh(f"tar -xOzf {_backups(gateway)}/{name} {MANIFEST}"))
    assert listed[:2] == [MANIFEST, DATABASE]
    assert set(listed) == {MANIFEST, *manifest.members}
    assert manifest.tables["users"] >= 1
