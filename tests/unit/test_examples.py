"""What stands in examples/ is what a run would take: inventories, a deploy.py of somebody's own, files for CI."""

from __future__ import annotations

import ast
import json
import os
import runpy
import subprocess
from pathlib import Path
from typing import Any

import pytest

import llm_gateway
from llm_gateway.hosts.topology import Run
from llm_gateway.inputs import host_data, inventory_groups
from llm_gateway.tasks import preflight
from scripts import pages
from tests.unit.fake_hosts import FRESH, OPENCLAW
from tests.unit.readers import compose
from tests.unit.topology import make_agent, make_node

EXAMPLES = pages.ROOT / "examples"
INVENTORIES = sorted([*EXAMPLES.glob("*/hosts.py"), *EXAMPLES.glob("*/inventory.py")])
CI = sorted(EXAMPLES.glob("ci/*.yml"))


def of_ours(data: dict[str, Any]) -> dict[str, Any]:
    """A host's data without what is pyinfra's own."""
    return {name: value for name, value in data.items() if not name.startswith(("ssh_", "_"))}


@pytest.mark.parametrize("inventory", INVENTORIES, ids=lambda path: path.parent.name)
def test_an_inventory_is_taken_as_it_is(inventory: Path) -> None:
    groups = runpy.run_path(str(inventory))
    assert list(inventory_groups.wrong_groups(groups)) == []
    for name, data in [*groups["gateways"], *groups["openclaw"]]:
        assert list(inventory_groups.misspelt_connection(data)) == [], name
        assert host_data.check(of_ours(data))[1] == [], name
    run = Run()
    hosts = [
        *(make_node(name=name, run=run, **of_ours(data)).machine for name, data in groups["gateways"]),
        *(
            make_agent({**FRESH, **OPENCLAW}, name=name, run=run, **of_ours(data)).machine
            for name, data in groups["openclaw"]
        ),
    ]
    assert [problem for each in hosts for problem in preflight.declaration_problems(each)] == []


@pytest.mark.parametrize("name", ["config.py", "deploy.py"])
def test_a_deploy_file_of_ones_own_imports_what_the_package_has(name: str) -> None:
    tree = ast.parse((EXAMPLES / "own-deploy" / name).read_text(encoding="utf-8"))
    imported = [
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "llm_gateway"
        for alias in node.names
    ]
    called = [node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    assert imported
    assert {*imported} <= {*called}
    assert {*imported} <= {*llm_gateway._STEPS}


def parsed(file: Path, place: Path) -> dict[str, Any]:
    """A YAML file, as compose's reader takes it: below an extension of a compose file, which it leaves as it is."""
    inner = "".join(f"  {line}" if line.strip() else line for line in file.read_text(encoding="utf-8").splitlines(True))
    (place / "compose.yml").write_text(f"services: {{}}\nx-file:\n{inner}", encoding="utf-8")
    done = subprocess.run(
        [compose.binary(), "--file", "compose.yml", "config", "--no-interpolate", "--format", "json"],
        cwd=place,
        env={"HOME": str(place), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    read: dict[str, Any] = json.loads(done.stdout)["x-file"]
    return read


def test_github_plans_deploys_and_checks(tmp_path: Path) -> None:
    workflow = parsed(EXAMPLES / "ci" / "github.yml", tmp_path)
    assert {*workflow["on"]} == {"pull_request", "push", "schedule"}
    assert workflow["on"]["push"] == {"branches": ["main"]}
    steps = workflow["jobs"]["gateway"]["steps"]
    conditions = {step["name"]: step.get("if") for step in steps if "name" in step}
    assert conditions["Plan"] == "github.event_name == 'pull_request'"
    assert conditions["Deploy"] == "github.event_name == 'push'"
    assert conditions["Check"] == "github.event_name == 'schedule'"
    assert all("run" in step or "uses" in step for step in steps)


def test_gitlab_plans_deploys_and_checks(tmp_path: Path) -> None:
    pipeline = parsed(EXAMPLES / "ci" / "gitlab.yml", tmp_path)
    jobs = {name: job for name, job in pipeline.items() if name != "default"}
    assert {*jobs} == {"plan", "deploy", "check"}
    assert all(job["rules"] and job["script"] for job in jobs.values())
    assert "--yes" in jobs["deploy"]["script"][0]
    assert "deploy" not in " ".join([*jobs["plan"]["script"], *jobs["check"]["script"]])


@pytest.mark.parametrize("file", CI, ids=lambda path: path.name)
def test_no_secret_is_an_argument(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert "--data" not in text
    assert "set -x" not in text
