"""Somebody changes the access token and root's password by hand; `deploys/reset_admin.py` makes them right again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.lab.conftest import INVENTORY, Lab, Run
from tests.lab.rows import DIRECTORY, rows, secrets
from tests.lab.watching import Watchers

pytestmark = pytest.mark.flavours

SCRIPT = "deploys/reset_admin.py"
BY_HAND = "a-person-set-it"  # within One API's 20 characters
NOTHING = "nothing to fix"
ONE = ("--limit", "gw1")

_AS_ROOT = """
read -r token; read -r body
header() {
    printf 'header = "%s"\\n' "Authorization: $token" 'Content-Type: application/json' 'New-Api-User: 1'
}
header | curl -s -K - -X PUT -d "$body" "http://$0:3000/api/user/self"; echo
header | curl -s -K - "http://$0:3000/api/user/token"
"""


def _reset(lab: Lab, *arguments: str, environment: dict[str, str] | None = None) -> Run:
    return lab.pyinfra(*arguments, *ONE, INVENTORY, SCRIPT, environment=environment)


def _of_the_file(lab: Lab, name: str) -> str:
    return lab.ssh("gw1", f"grep ^{name}= {DIRECTORY}/secrets.env").split("=", 1)[1]


def _change_by_hand(lab: Lab, password: str | None) -> str:
    """As a person does in the admin page: another root password, then a new access token, which is returned."""
    # new-api wants the name, and the password of before.
    body = {"username": "root", "display_name": "Root User"}
    body |= {"original_password": _of_the_file(lab, "ONEAPI_ROOT_PASSWORD")}
    body |= {"password": password} if password else {}
    stdin = f"{_of_the_file(lab, 'ONEAPI_ACCESS_TOKEN')}\n{json.dumps(body)}\n"
    answers = lab.command("peer", "--", "sh", "-c", _AS_ROOT, lab.address("gw1"), stdin=stdin).stdout.splitlines()
    assert all(json.loads(answer)["success"] for answer in answers), answers
    return str(json.loads(answers[-1])["data"])


def _logs_in(lab: Lab, password: str) -> bool:
    script = 'curl -s -H "Content-Type: application/json" -d @- "http://$0:3000/api/user/login"'
    body = json.dumps({"username": "root", "password": password})
    answer = lab.command("peer", "--", "sh", "-c", script, lab.address("gw1"), stdin=body)
    return bool(json.loads(answer.stdout)["success"])


def _backups(lab: Lab) -> list[str]:
    return lab.ssh("gw1", f"find {DIRECTORY}/backups -type f -printf '%p %m %u\\n' 2>/dev/null || true").splitlines()


def _started(lab: Lab) -> str:
    return lab.ssh("gw1", "docker inspect openclaw-llm-gateway --format '{{.Id}} {{.State.StartedAt}}'")


@pytest.fixture
def untried(deployed: Lab) -> Lab:
    """A gateway that has forgotten who logged in: it takes 20 log-ins in 20 minutes, and these tests need more."""
    waiting = f"until curl -sf -m 2 http://{deployed.address('gw1')}:3000/api/status; do sleep 0.2; done"
    deployed.ssh("gw1", "systemctl restart openclaw-llm-gateway")
    assert deployed.command("peer", "--", "timeout", "60", "sh", "-c", waiting).code == 0
    return deployed


def _deploy_changes_nothing(lab: Lab) -> None:
    again = lab.deploy("--json", *ONE)
    assert again.code == 0, again.output[-4000:]
    totals: dict[str, Any] = json.loads(again.stdout)["results"]["totals"]
    assert (totals["success"], totals["error"]) == (0, 0), again.output[-4000:]


def test_where_nothing_is_wrong_nothing_is_changed(untried: Lab) -> None:
    deployed = untried
    before = _started(deployed), deployed.ssh("gw1", f"stat -c '%i %Y' {DIRECTORY}/secrets.env"), _backups(deployed)
    for arguments in (["--dry"], ["-y"]):
        run = _reset(deployed, *arguments)
        assert run.code == 0, run.output[-3000:]
        assert NOTHING in run.output
    now = _started(deployed), deployed.ssh("gw1", f"stat -c '%i %Y' {DIRECTORY}/secrets.env"), _backups(deployed)
    assert now == before


def test_a_changed_token_and_password_are_fixed_through_the_database(deployed: Lab) -> None:
    by_hand = _change_by_hand(deployed, BY_HAND)
    before, started, old_backups = rows(deployed, "gw1"), _started(deployed), _backups(deployed)
    deployed.deploy(*ONE).must_fail_with("refuses the access token", SCRIPT)
    dry = _reset(deployed, "--dry")
    assert dry.code == 0, dry.output[-3000:]
    assert "Give root a new access token through the database" in dry.output
    assert rows(deployed, "gw1")["users"] == before["users"], "a dry run changes nothing"
    old = secrets(deployed, "gw1")

    with Watchers(deployed, "gw1") as watchers:
        run = _reset(deployed, "-y", "-vvv", "--diff")
    assert run.code == 0, run.output[-5000:]
    for secret in {*old, *secrets(deployed, "gw1"), by_hand, BY_HAND}:
        assert secret not in run.output, "a secret stands in the run's output (its value is not shown here)"
        assert secret not in watchers.arguments(), "a secret was an argument (its value is not shown here)"

    assert _started(deployed) == started, "the gateway served on"
    (backup,) = set(_backups(deployed)) - set(old_backups)
    path, mode, owner = backup.split()
    assert (mode, owner) == ("600", "root")
    assert path in run.output
    assert deployed.ssh("gw1", f"stat -c '%a %U' {DIRECTORY}/backups {DIRECTORY}/secrets.env").splitlines() == [
        "700 root",
        "600 root",
    ]
    now = rows(deployed, "gw1")
    for table in ("channels", "abilities", "tokens", "options"):
        assert now[table] == before[table], table
    assert now["logs"][: len(before["logs"])] == before["logs"]
    changed = [
        {column for column in old_row if old_row[column] != row[column]}
        for old_row, row in zip(before["users"], now["users"], strict=True)
    ]
    assert set().union(*changed) - {"last_login_at"} == {"access_token", "password"}
    assert _logs_in(deployed, _of_the_file(deployed, "ONEAPI_ROOT_PASSWORD"))
    assert not _logs_in(deployed, BY_HAND)
    _deploy_changes_nothing(deployed)
    assert NOTHING in _reset(deployed, "-y").output


@pytest.mark.parametrize("handed_in", (False, True))
def test_with_a_known_password_the_database_is_left_alone(untried: Lab, handed_in: bool) -> None:
    deployed = untried
    _change_by_hand(deployed, BY_HAND if handed_in else None)
    backups = _backups(deployed)
    run = _reset(deployed, "-y", environment={"ONEAPI_ROOT_PASSWORD": BY_HAND} if handed_in else {})
    assert run.code == 0, run.output[-3000:]
    assert "Have a new access token made, with root's password" in run.output
    assert BY_HAND not in run.output
    assert _backups(deployed) == backups
    assert (_of_the_file(deployed, "ONEAPI_ROOT_PASSWORD") == BY_HAND) == handed_in
    _deploy_changes_nothing(deployed)


def test_a_lost_file_is_made_anew(deployed: Lab) -> None:
    deployed.ssh("gw1", f"mv {DIRECTORY}/secrets.env /root/lost.env")
    started = _started(deployed)
    run = _reset(deployed, "-y")
    deployed.ssh("gw1", "rm /root/lost.env")
    assert run.code == 0, run.output[-3000:]
    # What the fingerprints of the channels' keys were made with is lost too, so the keys are sent once more.
    assert deployed.deploy(*ONE).code == 0
    _deploy_changes_nothing(deployed)
    assert _started(deployed) == started


def test_a_locked_database_is_named_and_nothing_is_changed(untried: Lab) -> None:
    deployed = untried
    _change_by_hand(deployed, BY_HAND)
    before = rows(deployed, "gw1")["users"], _backups(deployed), _of_the_file(deployed, "ONEAPI_ACCESS_TOKEN")
    # The script has installed sqlite3: somebody forgets it open, in the middle of a transaction.
    hold = f"(echo 'BEGIN IMMEDIATE;'; exec sleep 600) | sqlite3 {DIRECTORY}/data/one-api.db"
    deployed.ssh("gw1", f'setsid sh -c "{hold}" >/dev/null 2>&1 & echo; until pidof sqlite3; do sleep 0.1; done')
    try:
        _reset(deployed, "-y").must_fail_with(
            "one-api.db locked: sqlite3 (process ", "End it, and run the command again"
        )
    finally:
        deployed.ssh("gw1", "kill $(pidof sqlite3)")
    now = rows(deployed, "gw1")["users"], _backups(deployed), _of_the_file(deployed, "ONEAPI_ACCESS_TOKEN")
    assert now == before
    fixed = _reset(deployed, "-y")
    assert fixed.code == 0, fixed.output[-3000:]
    _deploy_changes_nothing(deployed)
