"""A real OpenClaw in a unit of the system, written by hand, and one that a run does not find; on a host of their own.

Where somebody has had a turn before its state is copied, OpenClaw 2026.9.6 ends with 1, since the copy still names the
agent's directory at the old place (findings/openclaw-copied-state-names-its-old-place-and-ends-with-1.sh).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.conftest import ROOT, Lab
from tests.lab.test_real_openclaw import AGENT, AS_OPENCLAW, LIMITS, names_of, onboarded

_BY_HAND = """set -e
cat > /etc/systemd/system/openclaw-gateway.service
cd /
AS_OPENCLAW systemctl --user disable --now openclaw-gateway
install -d -o openclaw -g openclaw /srv/claw
cp -a /home/openclaw/.openclaw /srv/claw/
AS_OPENCLAW OPENCLAW_HOME=/srv/claw openclaw config patch --file /srv/claw/older-gateway.json
systemctl daemon-reload
systemctl start openclaw-gateway
"""
_IMAGES = ROOT / "lab/images/openclaw-host/system"


@pytest.fixture(scope="module")
def host(deployed: Lab) -> Iterator[Lab]:
    """The lab with a host on which OpenClaw was onboarded."""
    with onboarded(deployed):
        yield deployed


def test_a_unit_written_by_hand_for_an_older_gateway_is_used_where_it_has_its_files(host: Lab) -> None:
    """Of the system, with DashScope in its environment, a literal URL in openclaw.json, and its home elsewhere."""
    unit = (_IMAGES / "openclaw-gateway.service").read_text()
    host.ssh(
        AGENT, "mkdir -p /srv/claw && cat > /srv/claw/older-gateway.json", (_IMAGES / "older-gateway.json").read_text()
    )
    moved = unit.replace("[Service]\n", "[Service]\nEnvironment=OPENCLAW_HOME=/srv/claw\n")
    host.ssh(AGENT, _BY_HAND.replace("AS_OPENCLAW", AS_OPENCLAW), moved)
    run = host.deploy(*LIMITS, "--data", "openclaw_unit_scope=system")
    assert run.code == 0, run.output[-5000:]
    for told in (
        "to change in /srv/claw/.openclaw/openclaw.json, by OpenClaw's own command:",
        "${LLM_BASE_URL} with ${LLM_MODEL_ID}; it is http://100.64.9.9:3000/v1 with qwen-plus, qwen-max",
        "agents.defaults.model.primary: default_llm/${LLM_MODEL_ID}; it is default_llm/qwen-plus",
        f"{AGENT}: OpenClaw uses http://{host.address('gw1')}:3000/v1",
    ):
        assert told in run.output, run.output[-5000:]
    names = names_of(host, "systemctl")
    assert not names & {"OPENAI_BASE_URL", "OPENAI_API_BASE", "MEM0_DASHSCOPE_API_KEY"} and "OPENCLAW_HOME" in names
    assert "LLM_API_KEY" in host.ssh(AGENT, "cat /srv/claw/.openclaw/.env")
    assert host.ssh(AGENT, "ls /home/openclaw/.openclaw/.env 2>/dev/null || echo none") == "none"


def test_a_unit_whose_user_is_logged_out_and_one_that_has_another_name_stop_the_run(host: Lab) -> None:
    other = host.deploy(*LIMITS, "--data", "openclaw_unit_scope=system", "--data", "openclaw_unit=clawdbot.service")
    other.must_fail_with("OpenClaw runs here as openclaw-gateway.service of openclaw", "and not as clawdbot.service")
    host.ssh(AGENT, "systemctl disable --now openclaw-gateway && rm /etc/systemd/system/openclaw-gateway.service")
    host.ssh(AGENT, "systemctl daemon-reload; loginctl disable-linger openclaw; systemctl stop user@$(id -u openclaw)")
    stopped = host.deploy(*LIMITS)
    stopped.must_fail_with("the systemd of the user openclaw does not run", "`loginctl enable-linger openclaw`")
