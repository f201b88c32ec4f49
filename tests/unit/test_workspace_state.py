"""What the script that reads a host finds in the workspace of an OpenClaw host."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from llm_gateway.hosts.host_state import HostState
from tests.unit.state_reader import commands, read

_MODULE = """printf '{\\n "type" :\\t"module"\\n}\\n'"""


def workspace(place: Path, setting: str = "~/w s", user: str = "claw") -> HostState:
    """What is read of the workspace of a user whose home is `place`."""
    path = commands(
        place / "bin",
        getent=f'echo "{user}:x:7:8::{place}:/bin/sh"',
        systemctl="exit 1",
        runuser='[ "$1 $3" = "-u --" ] || exit; shift 3; exec "$@"',
    )
    return read(place, "openclaw", path=path, OPENCLAW_USER=user, OPENCLAW_WORKSPACE=setting)


def test_the_client_of_the_skills_is_read(tmp_path: Path) -> None:
    shared = tmp_path / "w s/skills/shared"
    shared.mkdir(parents=True)
    (shared / "llm_client.js").write_bytes(b"client")
    (shared / "llm_client.js").chmod(0o640)
    found = {
        "nearest": "skills/shared",
        "writable": "yes",
        "stat": f"640 {shared.owner()}",
        "sha256": f"{hashlib.sha256(b'client').hexdigest()}  llm_client.js",
    }
    state = workspace(tmp_path)
    assert state.properties("openclaw_workspace") == found
    assert "openclaw_workspace_way" not in state.answers, "which matters where OpenClaw runs as root"
    shutil.rmtree(tmp_path / "bin")
    assert workspace(tmp_path, str(tmp_path / "w s")).properties("openclaw_workspace") == found


@pytest.mark.parametrize(
    ("made", "found"),
    [
        pytest.param("", {}, id="no workspace"),
        pytest.param("touch 'w s'", {}, id="a file"),
        pytest.param("mkdir 'w s'", {"nearest": ".", "writable": "yes"}, id="no skills"),
        pytest.param("mkdir -p 'w s/skills'", {"nearest": "skills", "writable": "yes"}, id="nothing shared"),
        pytest.param(
            f"mkdir 'w s'; {_MODULE} > 'w s/package.json'",
            {"nearest": ".", "writable": "yes", "modules": "above"},
            id="a workspace of ES modules",
        ),
        pytest.param(
            f"mkdir 'w s'; {_MODULE} > package.json",
            {"nearest": ".", "writable": "yes", "modules": "above"},
            id="a home of ES modules",
        ),
        pytest.param(
            f"mkdir 'w s'; {_MODULE} > package.json; echo {{}} > 'w s/package.json'",
            {"nearest": ".", "writable": "yes"},
            id="the nearest counts",
        ),
        pytest.param(
            f"mkdir -p 'w s/skills/shared'; {_MODULE} > package.json; touch 'w s/skills/shared/other.js'",
            {"nearest": "skills/shared", "writable": "yes", "modules": "others"},
            id="other ES modules beside it",
        ),
        pytest.param(
            f"mkdir -p 'w s/skills/shared'; {_MODULE} > 'w s/skills/shared/package.json'",
            {"nearest": "skills/shared", "writable": "yes", "modules": "others"},
            id="a package.json of a person beside it",
        ),
        pytest.param("mkdir 'w s'; touch 'w s/skills'", {"nearest": "skills"}, id="skills is a file"),
        pytest.param("mkdir 'w s'; ln -s no 'w s/skills'", {"nearest": "skills", "leads_to": "no"}, id="dangling"),
        pytest.param(
            "mkdir -p 'w s' there; ln -s ../there 'w s/skills'",
            {"nearest": "skills", "leads_to": "../there", "writable": "yes"},
            id="a link",
        ),
        pytest.param(
            "mkdir -p 'w s/skills/shared/llm_client.js'",
            {"nearest": "skills/shared", "writable": "yes", "unreadable": "yes"},
            id="the client is a directory",
        ),
        pytest.param(
            "mkdir -p 'w s/skills/shared'; ln -s no 'w s/skills/shared/llm_client.js'",
            {"nearest": "skills/shared", "writable": "yes"},
            id="the client is a dangling link",
        ),
    ],
)
def test_a_workspace_that_is_otherwise_is_read(tmp_path: Path, made: str, found: dict[str, str]) -> None:
    subprocess.run(["sh", "-c", made], cwd=tmp_path, check=True)
    if leads_to := found.get("leads_to"):
        found = {**found, "leads_to": os.path.normpath(tmp_path / "w s" / leads_to)}
    assert workspace(tmp_path).properties("openclaw_workspace") == found


def test_a_workspace_is_seen_as_its_user() -> None:
    """Root could read and write everything there."""
    if os.getuid() != 0:
        raise pytest.fail.Exception("this test needs root, as the deployment does", pytrace=False)
    with tempfile.TemporaryDirectory() as name:  # which others may enter, unlike pytest's own
        Path(name).chmod(0o755)
        client = Path(name, "ws/skills/shared/llm_client.js")
        client.parent.mkdir(parents=True)
        client.write_text("client")
        client.chmod(0o600)
        path = commands(Path(name, "bin"), getent=f'echo "nobody:x:7:8::{name}:/bin/sh"', systemctl="exit 1")
        state = read(Path(name), "openclaw", path=path, OPENCLAW_USER="nobody", OPENCLAW_WORKSPACE="~/ws")
        assert state.properties("openclaw_workspace") == {"nearest": "skills/shared", "unreadable": "yes"}
        Path(name).chmod(0o700)
        path = Path(name, "bin")
        state = read(Path(name), "openclaw", path=path, OPENCLAW_USER="nobody", OPENCLAW_WORKSPACE="~/ws")
        assert state.answers["openclaw_workspace"] == ""


def test_the_way_to_roots_workspace_is_read(tmp_path: Path) -> None:
    (tmp_path / "w s").mkdir()
    way = workspace(tmp_path, user="root").lines("openclaw_workspace_way")
    assert way[0] == f"f: {tmp_path}/w s/skills/shared"
    assert way[-1].endswith("skills - No such file or directory")
    assert way[-2].split(maxsplit=3)[0].startswith("drwx")
    assert way[-2].endswith(" w s")
