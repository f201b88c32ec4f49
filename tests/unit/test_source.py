"""The gateway that is to be moved: which one it is, and how it is stopped and started again."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from llm_gateway.hosts import remote
from llm_gateway.tasks.migration import source
from llm_gateway.tasks.migration.source import Source, SourceError
from tests.unit.topology import GENERATED

HOST: Any = None
OURS = "/opt/openclaw-llm-gateway"
UNIT = "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\n"
CONTAINER = {
    "Name": "/one-api",
    "State": {"Running": True},
    "Config": {"Image": "justsong/one-api:v0.6.10"},
    "HostConfig": {
        "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
        "PortBindings": {"3000/tcp": [{"HostIp": "", "HostPort": "8080"}]},
    },
}


class Answers:
    """In the place of a host: what it says when it is looked for gateways, and of the one that was chosen."""

    def __init__(self, seen: dict[str, str], found: dict[str, str]) -> None:
        self._seen, self._found = seen, found
        self.asked: list[str] = []

    def run(self, host: object, command: str, stdin: str | None = None) -> list[str]:
        """In the place of `remote.run`."""
        self.asked.append(command)
        answers = self._seen if "READ=''" in command else self._found
        said = {**answers, "end": "complete"}
        return [f"{name} {base64.b64encode(text.encode()).decode()}" for name, text in said.items()]


def _find(
    monkeypatch: pytest.MonkeyPatch,
    seen: dict[str, str],
    found: dict[str, str] | None = None,
    wanted: str | None = None,
) -> Source:
    answers = Answers(
        seen,
        {
            "old_container": json.dumps(CONTAINER),
            "old_environment": "TZ=Asia/Shanghai\nTHEME=berry\n",
            "database_size": "5000",
            **(found or {}),
        },
    )
    monkeypatch.setattr(remote, "run", answers.run)
    return source.find(HOST, OURS, wanted)


@pytest.mark.parametrize("missing_ok", ["", "!"])
def test_one_of_ours_is_known_by_its_unit_and_its_secrets(monkeypatch: pytest.MonkeyPatch, missing_ok: str) -> None:
    found = _find(
        monkeypatch,
        {"gateways": f"openclaw-llm-gateway {OURS}/data", "unit": f"{UNIT}WorkingDirectory={missing_ok}{OURS}"},
        {"secrets": GENERATED.render(), "first_start_done": "yes\n", "timer": "UnitFileState=enabled"},
    )
    assert (found.is_ours, found.is_enabled, found.is_running, found.backs_up) == (True, True, True, True)
    assert found.generated == GENERATED
    assert set(found.files) == {"secrets.env", "first-start-done"}
    assert GENERATED.access_token not in repr(found)


def test_one_that_was_set_up_by_hand_is_known_by_what_it_has_at_data(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _find(monkeypatch, {"gateways": "one-api /root/oneapi/data"})
    assert (found.container, found.database, found.mark) == (
        "one-api",
        "/root/oneapi/data/one-api.db",
        "/root/oneapi/migrated-to",
    )
    assert (found.is_ours, found.restart, found.published) == (False, "on-failure:3", ("127.0.0.1", 8080))
    assert found.generated is None
    assert found.given is not None
    assert found.given.environment == {"TZ": "Asia/Shanghai", "THEME": "berry"}
    assert found.image == "justsong/one-api:v0.6.10"


def test_the_data_of_a_volume_hold_the_mark_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _find(monkeypatch, {"gateways": "one-api /var/lib/docker/volumes/x/_data"})
    assert found.directory == found.data == "/var/lib/docker/volumes/x/_data"


def test_containers_that_are_there_for_a_moment_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    names = (f"openclaw-llm-gateway{end} {OURS}/data" for end in ("-replaced", "-first-start", ""))
    found = _find(monkeypatch, {"gateways": "\n".join(names)})
    assert found.container == "openclaw-llm-gateway"


def test_a_gateway_without_a_container_is_found_in_its_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _find(monkeypatch, {"expected": f"{OURS}/data"}, {"old_container": "", "migrated_to": "gw2 http://x since"})
    assert (found.container, found.is_running, found.moved_to) == (None, False, "gw2")


@pytest.mark.parametrize(
    ("seen", "found", "wanted", "words"),
    [
        ({}, {}, None, "no gateway is found on it"),
        ({"gateways": "a /x/data\nb /y/data"}, {}, None, "say which one, --data container=a"),
        ({"gateways": "a /x/data"}, {}, "b", "container=b: no container of that name has a one-api.db at /data"),
        (
            {"gateways": "a /x/data"},
            {"data_settings": "LOG_SQL_DSN\nSQL_DSN\n"},
            None,
            "(SQL_DSN is set)",
        ),
        ({"gateways": "a /x/data"}, {"data_settings": "SQLITE_PATH\n"}, None, "SQLITE_PATH is set"),
        ({"gateways": "a /x/data"}, {"data_settings": "LOG_SQL_DSN\n"}, None, "start it there without LOG_SQL_DSN"),
        ({"gateways": "a /x/data"}, {"next_secrets": "X=1"}, None, "run deploy.py, which ends that"),
    ],
)
def test_what_cannot_be_moved_is_refused_with_the_fix(
    monkeypatch: pytest.MonkeyPatch, seen: dict[str, str], found: dict[str, str], wanted: str | None, words: str
) -> None:
    with pytest.raises(SourceError) as refusal:
        _find(monkeypatch, seen, found, wanted)
    assert words in str(refusal.value)


class ByHand:
    """A gateway that was set up by hand, with a docker that only notes what it is told."""

    def __init__(self, place: Path) -> None:
        (place / "data").mkdir()
        (place / "data/one-api.db").write_bytes(b"x")
        programs = place / "programs"
        programs.mkdir()
        (programs / "docker").write_text(f'#!/bin/sh\necho "$*" >> {place}/told\n')
        (programs / "docker").chmod(0o755)
        self._place = place
        self._environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
        self.found = Source(
            directory=str(place),
            data=f"{place}/data",
            container="one-api",
            image="one-api",
            is_ours=False,
            is_enabled=False,
            is_running=True,
            restart="always",
            backs_up=False,
            published=None,
            size=1,
            moved_to=None,
            strangers=(),
            has_tool=True,
            given=None,
            in_file=(),
            unread="",
            files={},
        )

    def sh(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a script as the host would."""
        return subprocess.run(
            ["/bin/sh", "-euc", script], env=self._environment, capture_output=True, text=True, check=False
        )

    @property
    def told(self) -> str:
        """What docker was told."""
        return (self._place / "told").read_text()


def test_the_stop_is_marked_and_taken_back(tmp_path: Path) -> None:
    by_hand = ByHand(tmp_path)
    stop = by_hand.sh(source.stop_script(by_hand.found, "gw2 it's there"))
    assert (stop.returncode, stop.stderr) == (0, "")
    assert (tmp_path / "migrated-to").read_text() == "gw2 it's there\n"
    assert "update --restart=no one-api" in by_hand.told
    assert "stop --time 20 one-api" in by_hand.told
    for _ in range(2):  # it may be cut off, and run again
        undo = by_hand.sh(source.undo_script(by_hand.found))
        assert (undo.returncode, undo.stderr) == (0, "")
    assert not (tmp_path / "migrated-to").exists()
    assert "update --restart=always one-api\nstart one-api\n" in by_hand.told


def test_a_database_that_is_still_in_use_is_not_taken(tmp_path: Path) -> None:
    by_hand = ByHand(tmp_path)
    with (tmp_path / "data/one-api.db").open("rb"):
        stop = by_hand.sh(source.stop_script(by_hand.found, "gw2"))
    assert stop.returncode == 1
    assert "its database is still in use, by" in stop.stderr
