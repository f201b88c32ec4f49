"""What the hosts' journals tell of runs that changed something, that changed nothing, that were cut off."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import Any

from tests.lab.conftest import INVENTORY, ROOT, Lab, Run
from tests.lab.faults import await_line, running
from tests.lab.rows import DIRECTORY, secrets

HOST = "gw1"
JOURNAL = "/var/lib/openclaw-llm-gateway/journal.jsonl"
SPOILED = f"chmod 600 {DIRECTORY}/own-data"


def history(*arguments: str) -> Run:
    """`python deploys/history.py …`, from another directory than the checkout's."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "deploys/history.py"), str(ROOT / INVENTORY), *arguments],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Run(done.returncode, done.stdout, done.stderr)


def runs() -> list[dict[str, Any]]:
    """The runs on the host, by the journal."""
    shown = history("--json", "--last", "all", "--limit", HOST)
    assert shown.code == 0, shown.output
    found: list[dict[str, Any]] = json.loads(shown.stdout)[HOST]["runs"]
    return found


def test_a_run_that_changed_something_is_told_with_its_person_and_versions(deployed: Lab) -> None:
    deployed.ssh(HOST, SPOILED)
    assert deployed.deploy("--limit", HOST).code == 0
    last = runs()[-1]
    assert (last["script"], last["outcome"]) == ("deploy.py", "done")
    assert "@" in last["who"]
    assert last["version"]
    assert last["commit"] or not (ROOT / ".git").exists()
    assert "Write the script that gives the data to the gateway's user" in last["changes"]
    assert last["image"]
    assert last["seconds"] > 0
    shown = history("--limit", HOST).stdout.splitlines()
    assert shown[0] == HOST
    assert any(f"deploy.py by {last['who']}" in line and "changes in" in line for line in shown)
    assert deployed.ssh(HOST, f"stat -c %a {JOURNAL}") == "600"


def test_a_run_that_changes_nothing_writes_one_line_and_a_plan_none(deployed: Lab) -> None:
    assert deployed.deploy("--limit", HOST).code == 0
    before = deployed.ssh(HOST, f"wc -l < {JOURNAL}")
    assert deployed.deploy("--limit", HOST).code == 0
    assert deployed.deploy("--dry", "--limit", HOST).code == 0
    assert deployed.verify("--limit", HOST).code == 0
    assert int(deployed.ssh(HOST, f"wc -l < {JOURNAL}")) == int(before) + 1
    assert runs()[-1]["how"] == "changed nothing"


def test_runs_that_were_cut_off_and_interrupted(deployed: Lab) -> None:
    for number, words in ((signal.SIGKILL, "CUT OFF before its end"), (signal.SIGINT, "interrupted by its person")):
        deployed.ssh(HOST, SPOILED)
        with running("--limit", HOST, INVENTORY, "deploy.py") as run:
            await_line(run, "Starting operation: Publish the gateway")
            run.send_signal(signal.SIGSTOP)  # or it could be over before that was asked
            assert runs()[-1]["how"] == "at work"
            run.send_signal(number)
            run.send_signal(signal.SIGCONT)
            assert run.wait().code in (-signal.SIGKILL, 130)
        assert runs()[-1]["how"] == words
    assert deployed.deploy("--limit", HOST).code == 0
    assert runs()[-1]["failed_at"] is None


def test_a_run_that_fails_tells_where_and_one_that_is_refused_did_nothing(deployed: Lab) -> None:
    deployed.ssh(HOST, f"cd {DIRECTORY} && rm own-data && mkdir own-data")
    assert deployed.deploy("--limit", HOST).code == 1
    assert runs()[-1]["how"] == "FAILED at: Write the script that gives the data to the gateway's user"
    deployed.ssh(HOST, f"rmdir {DIRECTORY}/own-data")
    assert deployed.deploy("--limit", HOST, "--data", "gateway_tailscale_address=100.64.9.9").code == 1
    assert runs()[-1]["how"] == "refused"
    assert deployed.deploy("--limit", HOST).code == 0
    absent = ("--limit", HOST, "--data", f"host={HOST}", "--data", "backup=/nowhere", INVENTORY)
    assert deployed.pyinfra("-y", *absent, "deploys/restore.py").code == 1
    fixed, refused = (run["how"] for run in runs()[-2:])
    assert fixed.endswith("changes")
    assert refused == "refused"


def test_no_secret_is_in_a_journal(deployed: Lab) -> None:
    journal = deployed.ssh(HOST, f"cat {JOURNAL}")
    assert [secret for secret in secrets(deployed, HOST) if secret and secret in journal] == []


def test_wrong_options_are_refused(deployed: Lab) -> None:
    history("--last", "none").must_fail_with("--data last=none: a number from 1, or all")
    deployed.pyinfra("-y", "--data", "lst=3", INVENTORY, "deploys/history.py").must_fail_with("did you mean 'last'?")
