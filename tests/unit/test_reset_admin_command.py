"""`pyinfra inventory.py deploys/reset_admin.py` as a person runs it, and what stops it before it begins."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llm_gateway.tasks import reset_admin
from tests.unit import fake_hosts
from tests.unit.deployed import deployed
from tests.unit.fake_hosts import FRESH, KEYS
from tests.unit.topology import GENERATED, make_agent, make_node

pytestmark = pytest.mark.slow

PRELUDE = """
from llm_gateway.tasks import reset_admin
from tests.unit.fake_one_api import FakeOneAPI
one_api = FakeOneAPI({token!r})
one_api.password = {password!r}
reset_admin.route = one_api.route
"""


def run(place: Path, *arguments: str, token: str, password: str) -> tuple[int, str]:
    """`pyinfra … deploys/reset_admin.py` from the checkout's root, on a fake host, without any provider key."""
    damaged = {"stderr": "Error: database disk image is malformed", "success": False}
    answers = deployed("@fake/gw1", "@fake/agent1").gateway
    done = fake_hosts.run(
        place,
        *arguments,
        script="deploys/reset_admin.py",
        environment={},
        prelude=PRELUDE.format(token=token, password=password),
        gateways=[fake_hosts.host("gw1", answers, fake_responses={"pragma_integrity_check": damaged})],
        openclaw=[fake_hosts.host("agent1")],
    )
    assert "Traceback" not in done.stderr
    for secret in (GENERATED.access_token, GENERATED.root_password):
        assert secret not in done.stdout + done.stderr
    return done.returncode, done.stderr + done.stdout


def test_from_the_command_line_with_nothing_wrong(tmp_path: Path) -> None:
    code, printed = run(tmp_path, "-y", "-vvv", token=GENERATED.access_token, password=GENERATED.root_password)
    assert code == 0, printed
    assert "work: nothing to fix" in printed
    assert "@fake/gw1: " in printed
    assert "nothing was changed" in printed


def test_a_dry_run_says_what_it_would_do(tmp_path: Path) -> None:
    code, printed = run(tmp_path, "--dry", "--json", token="another", password=GENERATED.root_password)
    assert code == 0, printed
    plan = json.loads(printed[printed.index("{") :])["plan"]
    assert [entry["names"] for entry in plan] == [["Have a new access token made, with root's password"]]


def test_a_failure_ends_with_one(tmp_path: Path) -> None:
    code, printed = run(tmp_path, "-y", token="another", password="set-by-a-person")
    assert code == 1, printed
    assert "one-api.db cannot be used: it is damaged (database disk image is malformed)" in printed
    assert "@fake/gw1: FAILED" in printed


def test_a_limit_that_matches_no_host_ends_with_one(tmp_path: Path) -> None:
    code, printed = run(
        tmp_path, "-y", "--limit", "nobody", token=GENERATED.access_token, password=GENERATED.root_password
    )
    assert code == 1
    assert "No host to work on" in printed


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"busy": "process 5"}, "another run is at work on this host (process 5)"),
        ({}, "no deployment has been completed in /opt/openclaw-llm-gateway: run deploy.py first"),
        (
            {"tracked_stat": "/opt/openclaw-llm-gateway/first-start-done 644 root:root 1.0\n"},
            "`systemctl start openclaw-llm-gateway.service` on the host starts it",
        ),
        ({"uid": "1000\n"}, "not root"),
    ],
)
def test_what_stands_in_the_way_is_told(values: dict[str, str], told: str) -> None:
    problems = list(reset_admin._problems(make_node({**FRESH, **values}).machine))
    assert [problem for problem in problems if told in problem], problems


def test_a_host_without_a_gateway_has_nothing_to_fix() -> None:
    made = make_agent()
    assert list(reset_admin._problems(made.machine)) == []
    reset_admin.fix(made.machine)


def test_a_password_that_cannot_be_kept_is_refused() -> None:
    (told,) = reset_admin._handed_in(make_node(secrets={**KEYS, "ONEAPI_ROOT_PASSWORD": "it's"}).machine)
    assert told.startswith("ONEAPI_ROOT_PASSWORD: ")
    assert "it's" not in told
