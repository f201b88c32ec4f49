"""A gateway that a person has clicked together is exported, and taken over with a plan of no changes."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llm_gateway.flavours import ChannelSpec, TokenSpec, only
from llm_gateway.flavours.contents import Admin
from llm_gateway.inputs.secrets import Generated
from tests.lab.conftest import INVENTORY, ROOT, Lab, Run, python
from tests.lab.rows import DIRECTORY, rows, secrets

pytestmark = pytest.mark.flavours

SCRIPT = "deploys/export.py"
RECORD = f"{DIRECTORY}/applied-keys.json"
ONE = ("--limit", "gw1")
KEYS = {"CLICKED_API_KEY": "sk-clicked-by-hand-1", "CLICKED_AZURE_API_KEY": "sk-clicked-2"}
NOTICE = 'Ask "Wei"\nbefore you change it'
TWIN = "clicked-twin"
_LOG_IN = 7
"""new-api's number for a row of its log that tells of one."""

_INVENTORY = """
from runpy import run_path

_lab = run_path({lab!r})
_declared = {{name: value for name, value in run_path({file!r}).items() if name.startswith("gateway_")}}
gateways = [(name, {{**data, **(_declared if name == "gw1" else {{}})}}) for name, data in _lab["gateways"]]
openclaw = _lab["openclaw"]
"""
_ELSEWHERE = """
from runpy import run_path

_lab = run_path({lab!r})
gateways = [(name, {{**data, "gateway_directory": "/opt/elsewhere"}}) for name, data in _lab["gateways"]]
openclaw = _lab["openclaw"]
"""


def _configuration(lab: Lab) -> dict[str, list[dict[str, Any]]]:
    """What a person sets: verification's own requests are counted in the rest."""
    found = rows(lab, "gw1")
    tables = ("channels", "abilities", "tokens", "options")
    counted = ("used_quota", "remain_quota", "accessed_time")
    return {
        table: [row | {name: 0 for name in counted if row.get("unlimited_quota", True)} for row in found[table]]
        for table in tables
    }


def _kept(lab: Lab) -> dict[str, list[dict[str, Any]]]:
    """All but what new-api notes of a log-in."""
    found = rows(lab, "gw1")
    users = [{**row, "last_login_at": 0} for row in found["users"]]
    return {**found, "users": users, "logs": [row for row in found["logs"] if row["type"] != _LOG_IN]}


def _made(lab: Lab) -> Generated:
    return Generated.read(lab.ssh("gw1", f"cat {shlex.quote(DIRECTORY)}/secrets.env"))


@pytest.fixture(scope="module")
def clicked(deployed: Lab) -> Iterator[Admin]:
    """gw1 with what a person adds by its admin API; afterwards all of it goes again."""
    url = str(deployed.state["upstream"]["base_url"])
    kept = deployed.ssh("gw1", f"cat {RECORD}")
    with deployed.admin("gw1") as admin:
        before = admin.options()
        old = {channel.id for channel in admin.channels()}, {token.id for token in admin.tokens()}
        for spec in _channels(url):
            admin.create_channel(spec)
        admin.create_token(
            TokenSpec("laptop-of-wei", models=("qwen-by-hand",), quota=9_000_000, expired_time=4_000_000_000)
        )
        off = admin.create_token(TokenSpec("百炼", subnets=("100.64.0.0/10",)))
        admin.set_token_status(off, 2)
        admin.set_option("RetryTimes", "4")
        admin.set_option("Notice", NOTICE)
        yield admin
        for channel in admin.channels():
            _ = channel.id in old[0] or admin.delete_channel(channel.id)
        for token in admin.tokens():
            _ = token.id in old[1] or admin.delete_token(token.id)
        for name in ("RetryTimes", "Notice"):
            admin.set_option(name, before[name])
    deployed.ssh("gw1", f"cat > {RECORD}", kept + "\n")


def _channels(url: str) -> list[ChannelSpec]:
    azure: dict[str, Any] = {"config": {"api_version": "2024-10-21"}, "model_mapping": {"gpt-by-hand": "smollm2"}}
    return [
        ChannelSpec("clicked", 1, url, KEYS["CLICKED_API_KEY"], ("qwen-by-hand",), priority=7),
        ChannelSpec("clicked azure", 3, url, KEYS["CLICKED_AZURE_API_KEY"], ("gpt-by-hand",), **azure, status=2),
        ChannelSpec(TWIN, 1, url, "sk-clicked-twin-1", ("twin-model",)),
        ChannelSpec(TWIN, 1, url, "sk-clicked-twin-2", ("twin-model",)),
    ]


@pytest.fixture(scope="module")
def exported(deployed: Lab, clicked: Admin, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    """The run that exports gw1, and its file."""
    place = tmp_path_factory.mktemp("export") / "declared"
    run = python(SCRIPT, INVENTORY, "--output", str(place), *ONE)
    assert run.code == 0, run.output[-3000:]
    (file,) = place.iterdir()
    return run, file


def test_what_cannot_be_declared_is_told_and_no_secret_is(deployed: Lab, exported: tuple[Run, Path]) -> None:
    run, file = exported
    told = f"channel {TWIN}: 2 channels have this name"
    assert run.output.count(f"left out: {told}") == 2
    assert " ".join(file.read_text().split()).count(f"NOT DECLARED, {told}") == 2
    for secret in secrets(deployed, "gw1"):
        assert secret not in run.output + file.read_text(), "a secret is told (its value is not shown here)"
    asked = re.findall(r"secrets to hand in: (.*)", run.output)
    assert asked == ["LAB_UPSTREAM_API_KEY, CLICKED_API_KEY, CLICKED_AZURE_API_KEY"]


def test_declared_again_it_plans_nothing_and_a_run_changes_nothing(
    deployed: Lab, clicked: Admin, exported: tuple[Run, Path], tmp_path: Path
) -> None:
    inventory = tmp_path / "inventory.py"
    inventory.write_text(_INVENTORY.format(lab=str(ROOT / INVENTORY), file=str(exported[1])))
    before = _configuration(deployed)
    plan = python("deploys/plan.py", str(inventory), "--check", "--json", *ONE, environment=KEYS)
    assert plan.code == 0, plan.output[-3000:]
    assert json.loads(plan.stdout) == {"gw1": []}

    def deploy() -> list[str]:
        more = ("--json", *ONE, "--data", "verification_models=none")
        run = deployed.pyinfra("-y", *more, str(inventory), "deploy.py", environment=KEYS)
        assert run.code == 0, run.output[-3000:]
        assert "sk-clicked" not in run.output
        return [run.output, str(json.loads(run.stdout)["results"]["totals"]["success"])]

    output, changed = deploy()
    assert changed == "1", "the record, and nothing else"
    assert not re.search(r"[+~-] (channel|token|option) ", output), output[-3000:]
    assert _configuration(deployed) == before
    assert "clicked azure" in json.loads(deployed.ssh("gw1", f"cat {RECORD}"))["channels"]
    assert deploy()[1] == "0"
    assert only(clicked.channels(), "clicked") is not None


def test_before_the_first_deployment_roots_password_is_enough(
    deployed: Lab, exported: tuple[Run, Path], tmp_path: Path
) -> None:
    """As if nobody had ever deployed it: no directory of ours, so no access token."""
    inventory = tmp_path / "inventory.py"
    inventory.write_text(_ELSEWHERE.format(lab=str(ROOT / INVENTORY)))
    before = _kept(deployed), deployed.ssh("gw1", "ls -A /opt")
    command = [SCRIPT, str(inventory), *ONE, "--output"]
    wrong = python(*command, str(tmp_path), environment={"ONEAPI_ROOT_PASSWORD": "not-roots-password"})
    wrong.must_fail_with("ONEAPI_ROOT_PASSWORD is not root's: correct it")
    password = _made(deployed).root_password
    run = python(*command, "-", environment={"ONEAPI_ROOT_PASSWORD": password})
    assert run.code == 0, run.output[-3000:]
    assert run.stdout == exported[1].read_text()
    assert password not in run.output
    assert (_kept(deployed), deployed.ssh("gw1", "ls -A /opt")) == before
