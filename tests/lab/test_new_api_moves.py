"""From One API to new-api, on one host and to another: whatever comes in between, no limited token is unlimited."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import moving
from tests.lab.conftest import Lab
from tests.lab.faults import await_line, await_that, running
from tests.lab.flavours import answers, keys_of, on, settings_of, sql
from tests.lab.moving import migration
from tests.lab.rows import DIRECTORY
from tests.lab.test_new_api import OF_NO_KIND

ONE, OTHER, THIRD = "gwnc", "gwnd", "gwnf"
STATE = "/var/lib/openclaw-llm-gateway"
HELD = "/run/is-held"
# Holds up the very transaction by which the limits are carried over, in the database that is to serve.
_HOLD = f"""cat > /usr/local/bin/sqlite3 << 'EOF'
#!/bin/bash
case "$*" in *{DIRECTORY}/incoming/*) asked=$(cat) ;; *) exec /usr/bin/sqlite3 "$@" ;; esac
case "$asked" in *'SET model_limits'*) echo $$ > {HELD}; exec sleep 600 ;; esac
printf '%s\\n' "$asked" | /usr/bin/sqlite3 "$@"
EOF
chmod 755 /usr/local/bin/sqlite3; rm -f {HELD}"""
_LET_GO = f"kill $(cat {HELD}); rm -f {HELD} /usr/local/bin/sqlite3"
# As where somebody has removed what they took for left-overs.
_NO_WAY_BACK = f"""systemctl stop openclaw-llm-gateway-guard; systemctl disable --quiet openclaw-llm-gateway-undo
rm -rf {STATE}/unfinished {STATE}/undoing {STATE}/undo-unfinished"""


@pytest.fixture(scope="module")
def hosts(deployed: Lab) -> Iterator[Lab]:
    with deployed.more_hosts(f"{ONE}:ready", f"{OTHER}:ready", f"{THIRD}:ready"):
        run = deployed.deploy(*on(ONE, deployed, "one-api"))
        assert run.code == 0, run.output[-4000:]
        yield deployed


def _killed_before_limits_are_carried_over(lab: Lab, *, is_way_back_gone: bool) -> None:
    lab.ssh(ONE, _HOLD)
    with running(*on(ONE, lab, "new-api"), "lab/inventory.py", "deploy.py") as run:
        await_line(run, "upgrade: stopping the gateway")
        await_that(lambda: lab.ssh(ONE, f"cat {HELD} 2>/dev/null || true") != "", "limits are about to be carried", 90)
        limits = "SELECT group_concat(model_limits_enabled) FROM tokens"
        staged = lab.ssh(ONE, sql(limits).replace(f"{DIRECTORY}/data", f"{DIRECTORY}/incoming"))
        assert staged.strip("0,") == ""
        if is_way_back_gone:
            lab.ssh(ONE, _NO_WAY_BACK)
        assert run.kill().code == -signal.SIGKILL
    lab.ssh(ONE, _LET_GO)


@pytest.mark.fault
def test_a_run_that_is_killed_before_limits_are_carried_over_leaves_none_unlimited(hosts: Lab) -> None:
    """By the host's own way back; where that is gone, and the host boots, by a gateway that does not start."""
    before, keys = answers(hosts, ONE), keys_of(hosts, ONE)
    assert (before["one-model", "no-such-model"], before["elsewhere", "smollm2"]) == ("403", "403")
    _killed_before_limits_are_carried_over(hosts, is_way_back_gone=False)
    await_that(lambda: moving.nothing_is_unfinished(hosts, ONE), "the host has undone it", 90)
    await_that(lambda: moving.is_served(hosts, ONE), "One API serves again", 90)
    assert answers(hosts, ONE) == before
    assert "setups" not in hosts.ssh(ONE, f"sqlite3 {DIRECTORY}/data/one-api.db .tables")

    _killed_before_limits_are_carried_over(hosts, is_way_back_gone=True)
    assert hosts.command("host-restart", ONE).code == 0
    status = "systemctl show --property StatusText --value openclaw-llm-gateway"
    words = f"waiting: {DIRECTORY}/data/one-api.db is not there"
    await_that(lambda: words in hosts.ssh(ONE, status), "the gateway says that it is not started", 90)
    assert set(answers(hosts, ONE, keys).values()) == {"000"}

    refused = hosts.deploy(*on(ONE, hosts, "new-api"))
    refused.must_fail_with("one-api.db is gone though a gateway was set up there")
    kept = f"cd {DIRECTORY} && mv switching/data/one-api.db data/ && rm -r switching incoming"
    hosts.ssh(ONE, kept)
    finished = hosts.deploy(*on(ONE, hosts, "new-api"))
    assert finished.code == 0, finished.output[-5000:]
    assert "carrying over to new-api" in finished.output
    assert (answers(hosts, ONE), keys_of(hosts, ONE)) == (before, keys)
    again = hosts.deploy(*on(ONE, hosts, "new-api"))
    assert "nothing was changed" in again.output, again.output[-4000:]


def test_a_gateway_of_one_api_moves_to_a_host_of_new_api(hosts: Lab, tmp_path: Path) -> None:
    """And from that host to another one of new-api; what cannot be carried over is told while the old one serves."""
    run = hosts.deploy(*on(OTHER, hosts, "one-api"))
    assert run.code == 0, run.output[-4000:]
    before, keys = answers(hosts, OTHER), keys_of(hosts, OTHER)
    file = moving.inventory(tmp_path, OTHER, THIRD, [], **settings_of(hosts, "new-api"))
    hosts.ssh(OTHER, sql(OF_NO_KIND))
    refused = hosts.pyinfra("-y", *migration(file, OTHER))
    refused.must_fail_with("channel 'of-no-kind': new-api has no channels of its type", "Nothing was changed")
    hosts.ssh(OTHER, sql("DELETE FROM channels WHERE name = 'of-no-kind'"))

    moved = hosts.pyinfra("-y", *migration(file, OTHER))
    assert moved.code == 0, moved.output[-5000:]
    told = " ".join(moved.output.split())
    assert "which is another software: before it serves, it is given limits of tokens" in told
    assert "~ token" not in moved.output, "nothing was left to be limited after it served"
    assert (answers(hosts, THIRD), keys_of(hosts, THIRD)) == (before, keys)
    assert not moving.is_served(hosts, OTHER)

    hosts.ssh(OTHER, f"rm -f {DIRECTORY}/migrated-to")
    file = moving.inventory(tmp_path, THIRD, OTHER, [], **settings_of(hosts, "new-api"))
    onwards = hosts.pyinfra("-y", *migration(file, THIRD, f"replace={OTHER}"))
    assert onwards.code == 0, onwards.output[-5000:]
    assert "another software" not in onwards.output
    assert (answers(hosts, OTHER), keys_of(hosts, OTHER)) == (before, keys)

    file = moving.inventory(tmp_path, OTHER, THIRD, [], **settings_of(hosts, "one-api"))
    back = hosts.pyinfra("-y", *migration(file, OTHER, f"replace={THIRD}"))
    back.must_fail_with("its database is new-api's", "Nothing was changed")
    assert answers(hosts, OTHER) == before
