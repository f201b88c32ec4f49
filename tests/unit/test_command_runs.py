"""`llm-gateway` on fake hosts: its exit codes, what stands on stdout and on stderr, and that pyinfra does the same."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit import fake_hosts
from tests.unit.deployed import deployed
from tests.unit.fake_hosts import FRESH, KEYS, OPENCLAW, ROOT
from tests.unit.test_deploy_plan import AGENT, GATEWAY, leaks, prelude

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-m", "llm_gateway"]
ENVIRONMENT = {**os.environ, **KEYS, "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    """A folder with an inventory of a deployed gateway and its OpenClaw host."""
    done = deployed(GATEWAY, AGENT)
    lines = [
        prelude(tmp_path, channels=done.channels, tokens=done.tokens),
        f"gateways = [{fake_hosts.host('gw1', done.gateway)!r}]",
        f"openclaw = [{fake_hosts.host('agent1', done.agent)!r}]",
    ]
    (tmp_path / "inventory.py").write_text("\n".join(lines) + "\n")
    return tmp_path


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder with an inventory of two bare hosts, whose gateway never starts."""
    groups = {
        "gateways": [fake_hosts.host("gw1", gateway_start_timeout=1)],
        "openclaw": [fake_hosts.host("agent1", {**FRESH, **OPENCLAW})],
    }
    (tmp_path / "inventory.py").write_text("".join(f"{name} = {hosts!r}\n" for name, hosts in groups.items()))
    return tmp_path


def run(place: Path, *arguments: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    """`python -m llm_gateway …` in that folder; no secret, traceback or escape code is in what it writes."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=place,
        env={**ENVIRONMENT, **environment},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    told = done.stdout + done.stderr
    assert done.returncode == code, told
    assert leaks(told) == []
    assert "Traceback" not in told and "\x1b" not in told
    return done


def test_a_run_that_changes_nothing(fleet: Path) -> None:
    done = run(fleet, "deploy", "-y")
    assert done.stdout == ""
    told = done.stderr.splitlines()
    for host in (GATEWAY, AGENT):
        assert f"✓ {host}: verified within " in done.stderr
    table = told.index("host          what changed  seconds")
    assert [line.split()[:2] for line in told[table + 1 : table + 3]] == [[GATEWAY, "nothing"], [AGENT, "nothing"]]
    assert told[-1] == "Next: python -m llm_gateway status"
    assert not [line for line in told if "Skipped" in line or line.startswith("-->")]


def test_a_failed_run_says_what_was_done_what_was_not_and_what_to_type(bare: Path) -> None:
    done = run(bare, "deploy", "-y", code=1)
    told = " ".join(done.stderr.split())
    assert done.stdout == ""
    assert "✗ Replace the default password out of everybody's reach (@fake/gw1)" in told
    assert "@fake/gw1 17 changes, FAILED" in told
    assert "failed at Replace the default password out of everybody's reach done Install Docker" in told
    assert "not done Publish the gateway on its Tailscale address; Write 9 files;" in told
    assert "No hosts remaining" not in told and "executed 0 commands" not in told
    assert done.stderr.splitlines()[-1].endswith("python -m llm_gateway deploy -y")
    assert len(done.stderr.splitlines()) < 45


def test_the_summary_is_chinese_where_the_locale_says_so(bare: Path) -> None:
    told = run(bare, "deploy", "-y", code=1, LC_ALL="zh_CN.UTF-8").stderr
    for words in ("主机", "更改", "17 处更改, 失败", "失败于", "未完成", " 个短步骤", "然后运行： python -m"):
        assert words in told, words
    assert f"详见： {ROOT / 'docs/'}" in told and ".zh-CN.md" in told.splitlines()[-2]


def test_what_is_refused_changes_nothing_and_says_so(fleet: Path) -> None:
    done = run(fleet, "deploy", "-y", "--data", "gateway_port=99999", code=1)
    *_, nothing, page, again = done.stderr.splitlines()
    assert "gateway_port: must be a whole number" in done.stderr
    assert nothing == "Nothing was changed."
    assert page == f"More: {ROOT / 'docs/settings.md'}"
    assert again.endswith("then: python -m llm_gateway deploy -y --data gateway_port=99999")


def test_a_plan_of_a_deployment_is_an_answer(bare: Path) -> None:
    done = run(bare, "deploy", "--dry")
    assert done.stdout.startswith("@fake/gw1: to come: Install Docker from the distribution's packages")
    assert "Write 5 files; Start the firewall" in done.stdout
    assert "@fake/agent1: to come: Point OpenClaw at the gateway" in done.stdout
    assert max(map(len, done.stdout.splitlines())) < 80
    assert done.stderr.splitlines()[-1] == "Next: python -m llm_gateway deploy"


def test_answers_stand_alone_on_stdout(fleet: Path) -> None:
    assert run(fleet, "plan").stdout == f"{GATEWAY}: as declared: nothing to change\n"
    assert run(fleet, "history", "--quiet").stderr == ""
    differs = run(fleet, "plan", "--check", "--data", 'gateway_options={"RetryTimes": 3}', code=3)
    assert differs.stdout == f"{GATEWAY}: ~ option RetryTimes: 10 → 3\n"
    again = "Next: python -m llm_gateway deploy --data 'gateway_options=…'"  # options of One API may hold secrets
    assert differs.stderr.splitlines()[-1] == again


@pytest.mark.parametrize("name", ["plan", "status", "history", "deploy", "verify"])
def test_json_is_clean_on_stdout(fleet: Path, name: str) -> None:
    assert json.loads(run(fleet, name, "--json", *(["-y"] if name == "deploy" else [])).stdout)


def test_quiet_says_nothing_where_all_is_well(fleet: Path) -> None:
    done = run(fleet, "deploy", "-y", "--quiet")
    assert (done.stdout, done.stderr) == ("", "")


def test_with_v_pyinfra_writes_as_it_always_does(fleet: Path) -> None:
    done = run(fleet, "deploy", "-y", "-v")
    for words in ("--> Beginning operation run...", "--> Results:", "admin page http://100.64.0.10:3000"):
        assert words in done.stderr


def test_without_a_terminal_it_says_what_to_add(fleet: Path) -> None:
    assert "add -y to carry it out, or --dry" in run(fleet, "deploy", code=1).stderr


def test_pyinfra_and_the_command_plan_the_same(bare: Path) -> None:
    theirs = subprocess.run(
        [str(Path(sys.executable).with_name("pyinfra")), "--dry", "--json", str(bare / "inventory.py"), "deploy.py"],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    ours = run(bare, "deploy", "--dry", "--json")
    plans = [[{**each, "op_hash": ""} for each in json.loads(text)["plan"]] for text in (theirs.stdout, ours.stdout)]
    assert plans[0] == plans[1]


def at_a_terminal(place: Path, typed: bytes) -> tuple[int, str]:
    """How a deployment ends that asks, and what stands on the terminal, once that was typed."""
    terminal, its_end = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "deploy"], cwd=place, env=ENVIRONMENT, stdin=its_end, stdout=its_end, stderr=its_end
    ) as run:
        os.close(its_end)
        told = b""
        while b"Press Enter to do it" not in told:
            told += os.read(terminal, 4096)
        if typed == b"\x03":
            run.send_signal(signal.SIGINT)
        else:
            os.write(terminal, typed)
        try:
            while piece := os.read(terminal, 4096):
                told += piece
        except OSError:  # Linux says so where nobody has the other end any more
            pass
        code = run.wait(timeout=60)
    os.close(terminal)
    return code, told.decode()


def test_a_person_is_asked_behind_the_list_of_what_is_to_come(fleet: Path) -> None:
    code, told = at_a_terminal(fleet, b"\n")
    assert code == 0, told
    assert told.index("Nothing would change.") < told.index("Press Enter")
    assert "Detected changes may not include" not in told


def test_a_person_who_says_no_has_nothing_done(fleet: Path) -> None:
    code, told = at_a_terminal(fleet, b"no\n")
    assert code == 1
    assert "Nothing was carried out, as you wished." in told
    assert told.rstrip().endswith("Next: python -m llm_gateway deploy")


def test_ctrl_c_ends_it_with_130(fleet: Path) -> None:
    code, told = at_a_terminal(fleet, b"\x03")
    assert code == 130, told
    assert "Interrupted: run the same command again" in told
    assert told.rstrip().endswith("Next: python -m llm_gateway deploy")
