"""OpenClaw as a unit of its user, as `openclaw gateway install` makes it. Runs last: it changes the host's set-up."""

from __future__ import annotations

import json

from tests.lab.conftest import Lab

_TO_USER_UNIT = """
set -e
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends libpam-systemd >/dev/null
loginctl enable-linger openclaw
timeout 60 sh -c "until [ -S /run/user/$(id -u openclaw)/systemd/private ]; do sleep 0.1; done"
old=/etc/systemd/system/openclaw-gateway.service
systemctl disable --quiet --now openclaw-gateway
runuser -u openclaw -- sh -c "mkdir -p ~/.config/systemd/user
    sed -e '/^User=/d' -e 's/multi-user/default/' $old > ~/.config/systemd/user/openclaw-gateway.service"
rm -r $old $old.d
systemctl daemon-reload
USER_MANAGER daemon-reload
USER_MANAGER enable --quiet --now openclaw-gateway
"""
_MANAGER = "runuser -u openclaw -- env XDG_RUNTIME_DIR=/run/user/$(id -u openclaw) systemctl --user"
_USER_UNIT = (
    *("--limit", "gw1", "--limit", "agent1"),
    *("--data", "openclaw_unit_scope=user", "--data", "openclaw_user=openclaw"),
)


def _names(lab: Lab) -> set[str]:
    pid = lab.ssh("agent1", f"{_MANAGER} show -p MainPID --value openclaw-gateway")
    return set(lab.ssh("agent1", f"tr '\\0' '\\n' < /proc/{pid}/environ | sed 's/=.*//'").split())


def test_a_user_unit_is_freed_of_the_old_variables(deployed: Lab) -> None:
    deployed.ssh("agent1", _TO_USER_UNIT.replace("USER_MANAGER", _MANAGER))
    assert "OPENAI_BASE_URL" in _names(deployed)
    run = deployed.deploy(*_USER_UNIT)
    assert run.code == 0, run.output[-3000:]
    assert "openclaw: restarting openclaw-gateway.service" in run.output
    assert not _names(deployed) & {"MEM0_DASHSCOPE_API_KEY", "OPENAI_API_BASE", "OPENAI_BASE_URL"}
    again = deployed.deploy("--json", *_USER_UNIT)
    assert json.loads(again.stdout)["results"]["totals"]["success"] == 0, again.stdout
