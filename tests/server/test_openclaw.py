"""An OpenClaw host, seen from outside: .env, the drop-in, the Skills' client, and what its process really has."""

from __future__ import annotations

import hashlib
import re
import secrets
import shlex
from urllib.parse import urlsplit

import pytest

from llm_gateway.model import dotenv, layout
from llm_gateway.model.layout import PROJECT
from llm_gateway.parts import skills
from tests.server.conftest import Server

NAMES = ("LLM_BASE_URL", "LLM_API_KEY", "LLM_MODEL_ID", "EMBEDDING_MODEL_ID")


def _systemctl(agent: Server, arguments: str) -> str:
    if agent.settings.openclaw_unit_scope == "user":
        user = agent.settings.openclaw_user
        uid = agent.sh(f"id -u {user}")
        return agent.sh(f"runuser -u {user} -- env XDG_RUNTIME_DIR=/run/user/{uid} systemctl --user {arguments}")
    return agent.sh(f"systemctl {arguments}")


def _has_unit(agent: Server) -> bool:
    return _systemctl(agent, f"show -p LoadState --value {agent.settings.openclaw_unit}") == "loaded"


def _user(agent: Server) -> str:
    of_unit = _systemctl(agent, f"show -p User --value {agent.settings.openclaw_unit}")
    return agent.settings.openclaw_user or of_unit or "root"


def _home(agent: Server) -> str:
    return agent.sh(f"getent passwd {shlex.quote(_user(agent))} | cut -d: -f6")


def _environment_file(agent: Server) -> str:
    """Where OpenClaw itself looks (2026.9.6): OPENCLAW_STATE_DIR, else its home and the option --profile say so."""
    unit = shlex.quote(agent.settings.openclaw_unit)
    pid = _systemctl(agent, f"show -p MainPID --value {unit}") if _has_unit(agent) else "0"
    read = f"tr '\\0' '\\n' < /proc/{pid}/environ | grep -E '^OPENCLAW_(STATE_DIR|HOME)=' || true"
    variables = dict(line.split("=", 1) for line in agent.sh(read).splitlines()) if pid != "0" else {}
    profile = re.search(r" --profile[ =](\S+)", _systemctl(agent, f"show -p ExecStart --value {unit}"))
    suffix = f"-{profile[1]}" if profile and profile[1] != "default" else ""
    home = variables.get("OPENCLAW_HOME") or _home(agent)
    return f"{variables.get('OPENCLAW_STATE_DIR') or f'{home}/.openclaw{suffix}'}/.env"


def test_the_environment_file_points_at_the_gateway(agent: Server) -> None:
    lines = agent.sh(f"cat {shlex.quote(_environment_file(agent))}").splitlines()
    ours = [line for line in lines if line.startswith(NAMES)]
    values = dotenv.read("\n".join(ours) + "\n")
    assert sorted(values) == sorted(NAMES)
    assert len(ours) == len(NAMES), "a name stands there twice"
    assert values["LLM_BASE_URL"].endswith("/v1")
    assert values["LLM_MODEL_ID"] == agent.settings.llm_model
    assert values["EMBEDDING_MODEL_ID"] == agent.settings.embedding_model


def test_one_api_sees_the_agents_own_address(agent: Server, gateways: list[Server]) -> None:
    """Not that of the bridge, which all would share: by it tokens are kept to `subnets`, and log-ins are counted."""
    line = agent.sh(f"grep ^LLM_BASE_URL= {shlex.quote(_environment_file(agent))}")
    there = urlsplit(dotenv.read(f"{line}\n")["LLM_BASE_URL"])
    gateway = next(each for each in gateways if each.address == there.hostname)
    path = f"/api/status?{secrets.token_hex(8)}"
    ask = f"exec 3<>/dev/tcp/{there.hostname}/{there.port}; printf 'GET {path} HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3"
    assert '"success":true' in agent.sh(f"timeout 10 bash -c {shlex.quote(ask)}")
    logged = gateway.sh(f"docker logs --since 1m {PROJECT} 2>&1 | grep -F '{path}'")
    assert [part.strip() for part in logged.split("|")][4] == agent.address, logged


def test_the_environment_file_is_its_users_alone(agent: Server) -> None:
    file = agent.host.file(_environment_file(agent))
    assert (file.mode, file.user) == (0o600, _user(agent))


def test_skills_have_this_checkouts_client(agent: Server) -> None:
    workspace = agent.settings.openclaw_workspace
    if workspace is None:
        return  # none was asked for
    if workspace.startswith("~/"):
        workspace = f"{_home(agent)}{workspace[1:]}"
    file = agent.host.file(f"{workspace}/{layout.SHARED_CLIENT}")
    assert (file.mode, file.user) == (0o644, _user(agent))
    assert file.sha256sum == hashlib.sha256(skills.SOURCE.read_bytes()).hexdigest()


def test_the_drop_in_is_in_force(agent: Server) -> None:
    unit = agent.settings.openclaw_unit
    if not _has_unit(agent):
        assert not agent.settings.openclaw_unit_required, f"{unit} is required and missing"
        return
    unset = _systemctl(agent, f"show -p UnsetEnvironment --value {unit}").split()
    assert set(agent.settings.openclaw_unset_environment) <= set(unset)
    assert _systemctl(agent, f"show -p NeedDaemonReload --value {unit}") == "no"


def test_the_running_process_has_none_of_the_old_names(agent: Server) -> None:
    # Not `systemctl show -p Environment`: it lists what UnsetEnvironment= has removed.
    if not _has_unit(agent):
        assert not agent.settings.openclaw_unit_required
        return
    pid = int(_systemctl(agent, f"show -p MainPID --value {agent.settings.openclaw_unit}"))
    if pid == 0:
        pytest.fail(f"{agent.settings.openclaw_unit} does not run: `journalctl -u {agent.settings.openclaw_unit}`")
    names = set(agent.sh(f"tr '\\0' '\\n' < /proc/{pid}/environ | sed 's/=.*//'").split())
    assert not names & set(agent.settings.openclaw_unset_environment)
