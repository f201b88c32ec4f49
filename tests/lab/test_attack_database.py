"""Whoever has broken into One API can write its database as they like, and waits for root to read it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import pytest

from tests.lab.conftest import Lab
from tests.lab.outages import UNIT, Gateway, gateway_of_its_own
from tests.lab.rows import DIRECTORY
from tests.lab.shown import Shown

pytestmark = pytest.mark.attack

DATABASE = f"{DIRECTORY}/data/one-api.db"
OWNED = "/root/owned"
SHELL = f"sqlite3 -init /dev/null -batch -bail {DATABASE}"
# sqlite3's shell calls this function from a CHECK, though SQLite documents that it would not (seen with 3.40 and 3.46).
PREPARE = """
PRAGMA ignore_check_constraints = ON;
CREATE TABLE prepared (a CHECK (writefile('/root/owned', 'x') >= 0));
INSERT INTO prepared VALUES (1);
INSERT INTO logs (user_id, created_at, type, content) VALUES (1, 1, 2, 'old');
CREATE TRIGGER trap AFTER DELETE ON logs BEGIN SELECT writefile('/root/owned', 'x'); END;
"""
OLD_ROWS = "SELECT count(*) FROM logs WHERE created_at = 1;"


@pytest.fixture(scope="module")
def gateway(deployed: Lab) -> Iterator[Gateway]:
    """A gateway of this file's own, with what its intruder has prepared in its database."""
    with gateway_of_its_own(deployed, "gw62") as found:
        # As One API's own user, and while it runs: by what is open to an intruder there.
        as_intruder = f"setpriv --reuid 59300 --regid 59300 --clear-groups --no-new-privs {SHELL}"
        found.ssh(f"printf %s {shlex.quote(PREPARE)} | {as_intruder}")
        yield found


def _is_root(gateway: Gateway) -> bool:
    return "yes" in gateway.ssh(f"[ ! -e {OWNED} ] || {{ rm {OWNED}; echo yes; }}")


def test_a_database_that_calls_functions_of_the_shell_makes_nobody_root(gateway: Gateway, shown: Shown) -> None:
    gateway.ssh(f"echo 'PRAGMA quick_check;' | {SHELL}")
    assert _is_root(gateway), "what a careless look does not set off shows nothing"
    with shown("attack", "a database prepared to call writefile() when root checks it") as it:
        for command in (
            f"systemctl restart {UNIT}",
            f"systemctl start {UNIT}-backup.service",
            f"systemctl start {UNIT}-canary.service",
            f"systemctl start {UNIT}-prune-logs.service",
        ):
            gateway.ssh(command)
            gateway.await_completion()
            assert not _is_root(gateway), command
        assert gateway.ssh(f"printf %s {shlex.quote(OLD_ROWS)} | {SHELL}") == "0", "it was pruned"
        assert gateway.ssh(f"find {DIRECTORY}/data -user root ! -name .env") == "", "nor is a journal left of root's"
        for run in (
            gateway.deploy(),
            gateway.verify(),
            gateway.lab.pyinfra("-y", str(gateway.inventory), "deploys/reset_admin.py"),
            gateway.lab.pyinfra("-y", str(gateway.inventory), "deploys/backup.py"),
            gateway.lab.pyinfra("-y", str(gateway.inventory), "deploys/restore.py"),
        ):
            assert run.code == 0, run.output[-3000:]
            assert not _is_root(gateway), run.output[-3000:]
        it.happened("every start, backup, canary, pruning, deployment and restore reads it, and nothing is called")
    gateway.await_completion()
