"""Line endings: whatever git or an editor makes of a checkout, hosts get files that Linux can use, or none."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from llm_gateway.hosts import remote
from llm_gateway.model import checkout
from llm_gateway.model.checkout import ROOT
from llm_gateway.parts import installation
from tests.unit import fake_hosts
from tests.unit.test_remote import owner
from tests.unit.topology import make_node


def copy_of_checkout(place: Path) -> Path:
    for name in ("files", "templates", "llm_gateway"):
        shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
    return place


def git(*arguments: str | Path) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    subprocess.run(["git", *identity, *map(str, arguments)], check=True, capture_output=True)


def test_a_checkout_of_git_for_windows_has_the_line_endings_of_linux(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = tmp_path / "origin"
    git("init", "--quiet", copy_of_checkout(origin))
    shutil.copy(ROOT / ".gitattributes", origin)
    git("-C", origin, "add", ".")
    git("-C", origin, "commit", "--quiet", "--message", "all")
    git("clone", "--quiet", "-c", "core.autocrlf=true", origin, tmp_path / "clone")
    monkeypatch.setattr(checkout, "ROOT", tmp_path / "clone")
    assert checkout.problem() is None
    assert (tmp_path / "clone/files/canary").read_bytes() == (ROOT / "files/canary").read_bytes()


@pytest.mark.parametrize(
    "name",
    [
        *(
            "files/hold-firewall",
            "files/llm_client.js",
            "llm_gateway/hosts/host_state.sh",
            "llm_gateway/tasks/swap.sh",
        ),
        *("templates/etc/systemd/system/openclaw-llm-gateway.service.j2", "templates/gateway_directory/dot-env.j2"),
    ],
)
def test_what_is_sent_to_hosts_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(checkout, "ROOT", copy_of_checkout(tmp_path / "copy"))
    monkeypatch.setattr(checkout, "PACKAGE", tmp_path / "copy" / "llm_gateway")
    assert checkout.problem() is None
    file = tmp_path / "copy" / name
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n", 2))
    told = checkout.problem()
    assert told is not None
    assert told.startswith(f"{name}: hosts cannot use files with Windows line endings; ")
    command = told.split("`")[1]
    subprocess.run(["sh", "-c", command], check=True)
    assert checkout.problem() is None, "the command that it names fixes it"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "refused"), [("deploy.py", True), ("deploys/backup.py", True), ("verify.py", False)]
)
def test_a_run_that_would_send_them_is_refused_before_a_host_is_read(
    tmp_path: Path, script: str, refused: bool
) -> None:
    copy = copy_of_checkout(tmp_path / "copy")
    (copy / "files/canary").write_bytes(b"#!/bin/sh\r\n")
    prelude = f"from pathlib import Path\nfrom llm_gateway.model import checkout\ncheckout.ROOT = Path({str(copy)!r})"
    told = fake_hosts.run(
        tmp_path, "--dry", script=script, prelude=prelude, gateways=[fake_hosts.host("gw1", gateway_channels=[])]
    ).stderr
    assert ("a problem with this checkout; nothing was changed" in told) is refused
    assert ("files/canary: hosts cannot use files with Windows line endings" in told) is refused


GOOD = b"#!/bin/sh\necho good\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (GOOD, None),
        (b"#!/bin/bash -e\necho good\n", None),
        (b"#!/usr/bin/env python3\nprint('good')\n", None),
        (GOOD.replace(b"\n", b"\r\n"), "there is no interpreter /bin/sh^M$"),
        (b"#!/usr/bin/no-such-shell\n", "there is no interpreter /usr/bin/no-such-shell$"),
        (b"#!/bin/sh\nif true; then\n", "end of file"),
        (b"", "was not replaced"),
    ],
)
def test_a_script_is_tried_before_it_takes_the_place_of_one_that_is_in_use(
    tmp_path: Path, content: bytes, said: str | None
) -> None:
    file = tmp_path / "start-gateway"
    file.write_bytes(b"old")
    trial = installation.Wanted(str(file), content, "755", "the script").trial
    script = remote.write_script(str(file), "755", owner(), trial=trial)
    done = subprocess.run(["sh", "-c", script], input=remote.encoded(content) + "\n", capture_output=True, text=True)
    assert (done.returncode == 0) is (said is None), done.stderr
    assert file.read_bytes() == (b"old" if said else content)
    assert [path.name for path in tmp_path.iterdir()] == ["start-gateway"]
    if said:
        assert said in done.stderr
        assert f"{file} was not replaced: the new version is invalid" in done.stderr


@pytest.mark.parametrize("name", ["tailscale-problem", "database-settings", "database-access", "script-functions"])
def test_what_scripts_read_into_themselves_is_tried_too(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    for content, is_taken in (((ROOT / "files" / name).read_bytes(), True), (b"if true; then\n", False)):
        file.write_bytes(b"old")
        trial = installation.Wanted(str(file), content, "644", "what they read").trial
        script = remote.write_script(str(file), "644", owner(), trial=trial)
        done = subprocess.run(
            ["sh", "-c", script], input=remote.encoded(content) + "\n", capture_output=True, text=True
        )
        assert (done.returncode == 0) is is_taken, done.stderr
        assert file.read_bytes() == (content if is_taken else b"old")


def test_all_by_which_a_gateway_runs_is_tried_but_for_units_and_values() -> None:
    untried = {Path(file.path).name for file in installation.wanted_files(make_node()) if not file.trial}
    assert untried == {"secrets.env", ".env", "first-start.yml", "openclaw-llm-gateway.service"}


@pytest.mark.slow
@pytest.mark.parametrize("script", ["deploy.py", "verify.py", "deploys/status.py", "deploys/restore.py"])
def test_pyinfra_from_another_folder_names_the_command_that_works(tmp_path: Path, script: str) -> None:
    """It reads config.py and group_data where it is run; that ended with "No module named 'llm_gateway'"."""
    name, data = fake_hosts.host("gw1", gateway_channels=[])
    (tmp_path / "inventory.py").write_text(f"gateways = [({name!r}, {data!r})]\n")
    pyinfra = str(Path(sys.executable).with_name("pyinfra"))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            arguments, cwd=tmp_path, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
        )

    refused = run(pyinfra, "--dry", "inventory.py", str(ROOT / script))
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr
    told = refused.stderr.partition(" nothing was changed. Run: ")[2].splitlines()[0]
    assert told == f"pyinfra --chdir {ROOT} --dry {tmp_path / 'inventory.py'} {ROOT / script}"
    followed = run(pyinfra, *shlex.split(told)[1:])
    assert "has not read" not in followed.stderr
    assert "Reading the hosts" in followed.stderr
    if script != "deploys/restore.py":  # which asks for --data backup=…
        assert followed.returncode == 0, followed.stderr


def test_each_script_finds_the_package_from_anywhere() -> None:
    scripts = [ROOT / "deploy.py", ROOT / "verify.py", *(ROOT / "deploys").glob("*.py")]
    assert len(scripts) > 10
    for script in scripts:
        head = script.read_text(encoding="utf-8").partition("from pyinfra import")[0]
        assert "sys.path.append(str(Path(__file__).resolve().parent" in head, script
