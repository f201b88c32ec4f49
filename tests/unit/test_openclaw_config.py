"""What a run does with OpenClaw's configuration: what it says before, what it asks OpenClaw, and whom it believes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from llm_gateway.hosts import invocation, remote
from llm_gateway.hosts.topology import Agent, Run
from llm_gateway.parts.openclaw import openclaw_config, openclaw_json, openclaw_ready
from llm_gateway.tasks import preflight
from tests.unit.deployed import deployed
from tests.unit.topology import make_agent, make_node

DONE = deployed("gw1", "agent1").agent
COMMAND = {
    "openclaw_command": "/usr/lib/node\n/usr/lib/openclaw/dist/index.js\n",
    "openclaw_arguments": "--port 18789 ",
    "openclaw_variables": "OPENCLAW_STATE_DIR=/srv/claw",
    "openclaw_config_path": "/home/claw/.openclaw/openclaw.json",
    "openclaw_config": '{"gateway": {"mode": "local"}}',
}


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the person at the terminal reads."""
    lines: list[str] = []
    monkeypatch.setattr(remote, "tell", lambda host, text, *_: lines.extend(text.splitlines()))
    monkeypatch.setattr(openclaw_ready, "step", lambda host, text: lines.append(text))
    return lines


def agent(changed: dict[str, str] | None = None, **chosen: Any) -> Agent:
    """A host whose unit starts an OpenClaw that has only been onboarded."""
    run = Run()
    make_node(run=run)
    return make_agent({**DONE, **COMMAND, **(changed or {})}, name="agent1", run=run, **chosen)


def configured(**chosen: Any) -> dict[str, str]:
    """The answers of a host on which all is as these settings want it."""
    made = agent(**chosen)
    return {"openclaw_config": json.dumps(openclaw_json.patch(openclaw_config.wanted(made)))}


def test_what_is_to_change_is_told_before(told: list[str]) -> None:
    openclaw_config.announce(agent())
    assert told[0] == "to change in /home/claw/.openclaw/openclaw.json, by OpenClaw's own command:"
    assert "  agents.defaults.model.primary: default_llm/${LLM_MODEL_ID}" in told


@pytest.mark.parametrize(
    ("changed", "is_plan", "expected"),
    [
        ({}, False, "openclaw.json gets 4 new values (--dry shows them)"),
        ({}, True, None),
        ({"openclaw_config": '{"agents": {"defaults": {"model": {"primary": "a/b"}}}}'}, False, None),
    ],
)
def test_new_values_are_told_in_brief_unless_they_were_asked_for(
    changed: dict[str, str], is_plan: bool, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    briefs: list[str | None] = []
    monkeypatch.setattr(remote, "tell", lambda host, text, brief=None: briefs.append(brief))
    monkeypatch.setattr(invocation, "is_plan_now", lambda: is_plan)
    openclaw_config.announce(agent(changed))
    assert briefs[0] == expected


def test_a_host_that_is_as_it_should_be_is_not_told_of(told: list[str]) -> None:
    made = agent(configured())
    assert not openclaw_config.is_due(made)
    openclaw_config.announce(made)
    assert told == []


@pytest.mark.parametrize(
    ("changed", "chosen", "is_due"),
    [
        ({}, {}, True),
        ({}, {"openclaw_provider": None}, False),
        ({"openclaw_command": ""}, {}, False),
        (configured(), {"openclaw_context_window": 200000}, True),
        (configured(), {"openclaw_models": ["qwen3.5-plus"]}, True),
        (configured(), {"openclaw_default_model": False}, False),
    ],
)
def test_when_there_is_something_to_do(changed: dict[str, str], chosen: dict[str, Any], is_due: bool) -> None:
    assert openclaw_config.is_due(agent(changed, **chosen)) == is_due


def test_all_chat_models_of_the_gateway_are_offered_where_asked_for() -> None:
    wanted = openclaw_config.wanted(agent(openclaw_models="all"))
    rows = wanted["models", "providers", "default_llm"]["models"]
    assert [row["id"] for row in rows] == ["${LLM_MODEL_ID}", "qwen3.5-plus"]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"openclaw_command": ""}, "names no OpenClaw"),
        ({"openclaw_other_env": "LLM_API_KEY /home/claw/.env\n"}, "/home/claw/.env sets LLM_API_KEY"),
        ({"openclaw_env": "OPENAI_BASE_URL=http://x/v1\n"}, "sets OPENAI_BASE_URL, which Skills inherit"),
        ({"openclaw_config": "// mine\n{}"}, "drops its comments"),
    ],
)
def test_what_a_person_should_know_is_told(changed: dict[str, str], words: str, told: list[str]) -> None:
    openclaw_config.announce(agent(changed))
    assert words in " ".join(told)


def test_a_configuration_that_cannot_be_read_stops_the_run() -> None:
    (problem,) = preflight.openclaw_problems(agent({"openclaw_config": "{"}))
    assert "/home/claw/.openclaw/openclaw.json cannot be read" in problem
    assert list(preflight.openclaw_problems(agent({"openclaw_config": "{"}, openclaw_provider=None))) == []


@pytest.mark.parametrize(
    ("scope", "state", "words"),
    [
        ("system", "running", 'set openclaw_unit_scope to "user" and openclaw_user to "claw"'),
        ("user", "stopped", "`loginctl enable-linger claw`"),
    ],
)
def test_a_unit_that_the_settings_do_not_lead_to_stops_the_run(scope: str, state: str, words: str) -> None:
    made = agent(
        {"openclaw_unit": "", "openclaw_user_units": f"claw {state}\n"},
        openclaw_unit_scope=scope,
        openclaw_user="claw",
    )
    (problem,) = preflight.openclaw_problems(made)
    assert words in problem


@pytest.mark.parametrize(
    ("process", "words"),
    [
        ("812 claw openclaw-gateway-work.service", 'set openclaw_unit to "openclaw-gateway-work.service"'),
        ("812 root docker-0a1b.scope", "process 812 of root, which is in no unit (docker-0a1b.scope: a container"),
        ("812 claw session-4.scope", "run it as a unit (`openclaw gateway install`)"),
    ],
)
def test_an_openclaw_that_the_settings_do_not_lead_to_stops_the_run(process: str, words: str) -> None:
    made = agent({"openclaw_unit": "", "openclaw_processes": f"{process}\n"})
    (problem,) = preflight.openclaw_problems(made)
    assert words in problem


def test_openclaw_is_called_as_its_unit_calls_it_by_its_user() -> None:
    command = openclaw_config.command(agent(), ["config", "validate"])
    assert command.startswith("runuser -u claw -- sh -c 'cd / && timeout 300 env HOME=/home/claw PATH=/usr/lib:")
    assert "OPENCLAW_STATE_DIR=/srv/claw /usr/lib/node /usr/lib/openclaw/dist/index.js config validate" in command


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (["http://100.64.0.10:3000/v1", "default_llm/MiniMax-M2.5"], None),
        (["http://100.64.9.9:3000/v1", ""], "models.providers.default_llm.baseUrl is 'http://100.64.9.9:3000/v1'"),
        (["http://100.64.0.10:3000/v1", "openai/gpt-6-astra"], "agents.defaults.model.primary is 'openai/gpt-6-astra'"),
    ],
)
def test_openclaw_itself_is_believed(said: list[str], problem: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(said)
    monkeypatch.setattr(openclaw_config, "run", lambda *_: [json.dumps(next(answers))])
    found = openclaw_config.unused(agent())
    assert (found is None) if problem is None else (found is not None and problem in found)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (['{"valid":true,"warnings":[]}'], None),
        (['{"valid": false, "issues": [{"path": "gateway.port", "message": "no number"}]}'], "gateway.port: no number"),
        (["Error: Cannot find module"], "gives no answer: Error: Cannot find module"),
    ],
)
def test_openclaw_validates_its_configuration(
    lines: list[str], words: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "run", lambda *_: lines)
    found = openclaw_config.invalid(agent())
    assert (found is None) if words is None else (found is not None and words in found)


DUPLICATE = (
    "duplicate rows resolve to canonical session key agent:main:main; stop the Gateway and run openclaw doctor --fix."
    " Run openclaw gateway status --deep for diagnostics."
)
LEASE = "state lease heartbeat did not become ready"


@pytest.mark.parametrize(
    ("looks", "chosen", "starts", "words"),
    [
        (["waiting", "ready"], {}, 0, None),
        (["down 78", "ready"], {}, 1, None),
        ([f"down 78 {LEASE}", "ready"], {}, 1, None),
        (["down 78", "down 78"], {}, 1, "has ended with 78: `journalctl"),
        (["down 1"], {}, 0, "has ended with 1: `journalctl"),
        (["down 78 tailscale route is owned by another"], {}, 0, "has ended with 78: tailscale route is owned by"),
        ([f"down 1 {DUPLICATE}"], {}, 0, "has ended with 1: duplicate rows resolve to canonical session key agent:"),
        (["waiting (HTTP/1.1 503)"], {"openclaw_start_timeout": 1}, 0, "is not ready after 1 s (HTTP/1.1 503)"),
    ],
)
def test_readiness_is_awaited_and_a_start_tried_twice_where_that_may_help(
    looks: list[str], chosen: dict[str, Any], starts: int, words: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each further start counts towards OpenClaw's own limit: 3 unclean ones in 5 minutes."""
    answers, clock, commands = iter(looks), iter(range(0, 1000, 1)), []
    monkeypatch.setattr(openclaw_ready, "look", lambda *_: next(answers))
    monkeypatch.setattr(openclaw_ready.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(openclaw_config, "invalid", lambda _: None)
    monkeypatch.setattr(remote, "run", lambda host, command: commands.append(command) or [])
    found = openclaw_ready.await_ready(agent(**chosen))
    assert (found is None) if words is None else (found is not None and words in found)
    assert len(commands) == starts


@pytest.mark.parametrize(
    ("reason", "entries", "words"),
    [
        (DUPLICATE, {}, "`systemctl stop openclaw-gateway.service`; `env OPENCLAW_STATE_DIR=/srv/claw /usr/lib/node"),
        (DUPLICATE, {}, "/usr/lib/openclaw/dist/index.js doctor --fix` as claw; `systemctl start openclaw-gateway"),
        (DUPLICATE, {"main": {"agentDir": "/home/claw/.openclaw/agents/main/agent"}}, "index.js doctor --fix` as claw"),
        (
            DUPLICATE,
            {"main": {"agentDir": "/srv/old/.openclaw/agents/main/agent"}},
            "correct agents.entries.main.agentDir (/srv/old/.openclaw/agents/main/agent) in it, and the workspaces",
        ),
    ],
)
def test_the_end_of_openclaw_is_told_with_what_fixes_it(reason: str, entries: dict[str, Any], words: str) -> None:
    made = agent({"openclaw_config": json.dumps({"agents": {"entries": entries}})})
    found = openclaw_ready.ended(made, f"down 1 {reason}")
    assert words in found and found.startswith("has ended with 1: duplicate rows")
    assert found.endswith("; `journalctl -u openclaw-gateway.service` says why")


@pytest.mark.parametrize(
    "said", ["sk-of-the-env-12", "of-the-dotenv-file", "of-the-configuration", "http://u:word@10.0.0.1/"]
)
def test_no_key_is_told_of_the_last_words_of_openclaw(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {
        "openclaw_env": "export TELEGRAM_BOT_TOKEN='of-the-dotenv-file'\nNAME=gateway\n",
        "openclaw_config": '{"gateway": {"auth": {"mode": "token", "token": "of-the-configuration"}}}',
    }
    monkeypatch.setattr(remote, "run", lambda *_: [f"down 1 the gateway refuses {said}"])
    found = openclaw_ready.look(agent(answers), 1)
    assert found == "down 1 the gateway refuses " + ("http://[hidden]@10.0.0.1/" if "http" in said else "[hidden]")
    monkeypatch.setattr(remote, "run", lambda *_: ["down 1 " + "x" * 10000])
    assert len(openclaw_ready.look(agent(answers), 1)) == 400


@pytest.mark.parametrize(
    ("state", "log", "answer"),
    [
        (
            "ActiveState=failed\nExecMainStatus=1",
            f"2026-11-30T04:43:53.944+00:00 Gateway failed to start: {DUPLICATE}",
            f"down 1 {DUPLICATE}",
        ),
        (
            "ActiveState=inactive\nExecMainStatus=1",
            "Gateway failed to start: one\nGateway failed to start: two\n[x] y",
            "down 1 two",
        ),
        ("ActiveState=failed\nExecMainStatus=137", "a person wrote: Gateway failed to start: it is Monday", "down 137"),
        (
            "ActiveState=activating\nSubState=auto-restart\nExecMainStatus=1",
            "Gateway failed to start: one",
            "down 1 one",
        ),
        ("ActiveState=failed\nExecMainStatus=0\nExecMainStartTimestamp=", "Gateway failed to start: older", "down 0"),
    ],
)
def test_the_host_says_why_openclaw_has_ended_in_its_own_words(
    tmp_path: Path, state: str, log: str, answer: str
) -> None:
    if "ExecMainStartTimestamp" not in state:
        state += "\nExecMainStartTimestamp=Mon 2026-11-30 04:43:40 UTC"
    (tmp_path / "log").write_text(log)
    (tmp_path / "systemctl").write_text(f"#!/bin/sh\ncat <<'END'\n{state}\nEND\n")
    since = "--unit openclaw-gateway.service --since 2026-11-30 04:43:40 UTC "
    (tmp_path / "journalctl").write_text(f'#!/bin/sh\ncase "$*" in "{since}"*) cat {tmp_path}/log ;; esac\n')
    for name in ("systemctl", "journalctl"):
        (tmp_path / name).chmod(0o755)
    head = "SCOPE=system UNIT=openclaw-gateway.service PORT=18789 SECONDS_TO_WAIT=0\n"
    done = subprocess.run(
        ["sh", "-c", head + openclaw_ready._SCRIPT.read_text()],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == answer


@pytest.mark.parametrize(
    ("changed", "port"),
    [
        ({}, "18789"),
        ({"openclaw_arguments": "", "openclaw_variables": "OPENCLAW_GATEWAY_PORT=18800"}, "18800"),
        ({"openclaw_arguments": "", "openclaw_config": "{gateway: {auth: {}, port: 18801}}"}, "18801"),
        ({"openclaw_arguments": "run"}, "18789"),
    ],
)
def test_the_port_is_what_openclaw_takes(changed: dict[str, str], port: str) -> None:
    assert openclaw_ready.port(agent(changed)) == port
