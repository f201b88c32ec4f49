"""Packages of the distribution: what apt-get says becomes "package 3 of 27", and no lost connection ends it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest

from llm_gateway.command import chinese
from llm_gateway.hosts import progress
from llm_gateway.parts import apt

SAID = b"""\
Reading package lists...
Building dependency tree...
The following NEW packages will be installed:
  docker.io runc
1 upgraded, 2 newly installed, 0 to remove and 3 not upgraded.
Need to get 30.1 MB of archives.
Get:1 http://deb.example/debian trixie/main amd64 runc amd64 1.1.15 [3 MB]
Get:2 http://deb.example/debian trixie/main amd64 docker.io amd64 26.1.5 [27 MB]
Fetched 30.1 MB in 2s (15.0 MB/s)
Selecting previously unselected package runc.
Unpacking runc (1.1.15) ...
Unpacking docker.io (26.1.5) ...
Setting up runc (1.1.15) ...
Setting up docker.io (26.1.5) ...
Processing triggers for libc-bin (2.41) ...
"""
TOLD = [
    *("fetching package 1 of 3", "fetching package 2 of 3"),
    *("unpacking package 1 of 3", "unpacking package 2 of 3"),
    *("setting up package 1 of 3", "setting up package 2 of 3"),
]


@pytest.mark.parametrize("size", [1, 7, len(SAID)])
def test_what_apt_says_becomes_so_many_packages(size: int) -> None:
    told: list[str] = []
    taken = apt.Told(cast(progress.Told, told.append))
    for start in range(0, len(SAID), size):
        taken.add(SAID[start : start + size])
    assert told == TOLD


def test_nothing_is_told_where_the_number_is_not_known() -> None:
    told: list[str] = []
    apt.Told(cast(progress.Told, told.append)).add(b"Setting up left-behind (1) ...\nGet:1 http://deb.example x\n")
    assert told == []


def test_it_is_told_in_chinese() -> None:
    assert [chinese.said(text) for text in TOLD[1::2]] == [
        "正在下载第 2 个软件包，共 3 个",
        "正在解包第 2 个软件包，共 3 个",
        "正在配置第 2 个软件包，共 3 个",
    ]


def run(place: Path, apt_get: str, **more: Any) -> subprocess.Popen[str]:
    """The program that installs, with an apt-get and a dpkg of the test's own."""
    for name, text in {"apt-get": apt_get, "dpkg": "exit 0"}.items():
        (place / name).write_text(f"#!/bin/sh\n{text}\n")
        (place / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{place}:{os.environ['PATH']}", "TMPDIR": str(place / "tmp"), "LANG": "de_DE"}
    (place / "tmp").mkdir()
    return subprocess.Popen(
        ["sh", "-c", apt.program(["runc", "docker.io"], ["--no-remove"])],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def test_what_apt_says_comes_as_it_says_it(tmp_path: Path) -> None:
    """The second line is written only once the first has come."""
    words = 'echo "$LC_ALL $*"; until [ -e "$0.seen" ]; do sleep 0.05; done; [ "$1" = update ] || echo end; echo W: >&2'
    with run(tmp_path, f'[ "$1" != update ] || exit 0\n{words}') as process:
        assert process.stdout and process.stderr
        options = "-q -y --no-install-recommends -o DPkg::Lock::Timeout=120 --no-remove runc docker.io"
        assert process.stdout.readline() == f"C install {options}\n"
        (tmp_path / "apt-get.seen").touch()
        assert (process.stdout.read(), process.stderr.read(), process.wait(30)) == ("end\n", "", 0)
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_failure_is_told_with_the_way_by_hand(tmp_path: Path) -> None:
    with run(tmp_path, 'echo "E: no room" >&2; exit 100') as process:
        told, problem = process.communicate(timeout=30)
    assert process.returncode == 1
    assert problem == "E: no room\nInstall by hand on this host, and run again: runc docker.io\n"
    assert told == ""


def test_a_lost_connection_does_not_end_apt(tmp_path: Path) -> None:
    """Its next word would be its last if it went to the connection."""
    working = (
        'until [ -e "$0.lost" ]; do sleep 0.05; done; for i in 1 2 3; do echo more; sleep 0.3; done; touch "$0.done"'
    )
    with run(tmp_path, f'[ "$1" != update ] || exit 0\necho begun\n{working}') as process:
        assert process.stdout and process.stderr
        assert process.stdout.readline() == "begun\n"
        process.stdout.close()
        process.stderr.close()
        (tmp_path / "apt-get.lost").touch()
        assert process.wait(30) == 0
    assert (tmp_path / "apt-get.done").exists()
    assert list((tmp_path / "tmp").iterdir()) == []
