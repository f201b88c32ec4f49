"""An OpenClaw host, seen from outside: .env, the drop-in, the Skills' client, and what its process really has."""

from __future__ import annotations

import hashlib
import shlex

import pytest

from gateway import dotenv, skills
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
    return f"{_home(agent)}/.openclaw/.env"


def test_the_environment_file_points_at_the_gateway(agent: Server) -> None:
    lines = agent.sh(f"cat {shlex.quote(_environment_file(agent))}").splitlines()
    ours = [line for line in lines if line.startswith(NAMES)]
    values = dotenv.read("\n".join(ours) + "\n")
    assert sorted(values) == sorted(NAMES)
    assert len(ours) == len(NAMES), "a name stands there twice"
    assert values["LLM_BASE_URL"].endswith("/v1")
    assert values["LLM_MODEL_ID"] == agent.settings.llm_model
    assert values["EMBEDDING_MODEL_ID"] == agent.settings.embedding_model


def test_the_environment_file_is_its_users_alone(agent: Server) -> None:
    file = agent.host.file(_environment_file(agent))
    assert (file.mode, file.user) == (0o600, _user(agent))


def test_skills_have_this_checkouts_client(agent: Server) -> None:
    workspace = agent.settings.openclaw_workspace
    if workspace is None:
        return  # none was asked for
    if workspace.startswith("~/"):
        workspace = f"{_home(agent)}{workspace[1:]}"
    file = agent.host.file(f"{workspace}/{skills.FILE}")
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
