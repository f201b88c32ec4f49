"""What a removal gives Docker's daemon back, and whom the data belong to after it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from gateway.host_state import HostState
from gateway.uninstall import before, removed_gateway
from gateway.uninstall.before import Before
from gateway.uninstall.removal import Found
from tests.unit.fake_hosts import answer
from tests.unit.members import member

MIRROR = "https://mirror.example"
OURS = {"registry-mirrors": [MIRROR]}


def _restored(present: str, former: str | None) -> str | None:
    answers = {"daemon_ours": json.dumps({**json.loads(former or "{}"), **OURS}) + "\n"}
    if former is not None:
        answers["daemon_before"] = f"{former}\n"
    return removed_gateway.restored_daemon_json(present, Found(HostState.parse(answer(answers)), {}))


@pytest.mark.parametrize("former", ['{"log-driver":"local"}\n', '{ "registry-mirrors": ["https://theirs.example"] }'])
def test_what_was_there_comes_back_byte_for_byte(former: str) -> None:
    assert _restored(json.dumps({**json.loads(former), **OURS}, indent=2), former) == former


def test_a_file_that_was_made_goes() -> None:
    assert _restored(json.dumps(OURS), None) is None


def test_what_was_added_since_stays() -> None:
    restored = _restored(json.dumps({**OURS, "debug": True}), None)
    assert restored is not None
    assert json.loads(restored) == {"debug": True}


@pytest.mark.parametrize("present", ['{"registry-mirrors": ["https://others.example"]}', "no JSON", "[]"])
def test_what_is_not_ours_any_more_is_left_alone(present: str) -> None:
    assert _restored(present, None) == present


def test_where_nothing_was_written_nothing_is_changed() -> None:
    found = Found(HostState.parse(answer({})), {})
    assert removed_gateway.restored_daemon_json(json.dumps(OURS), found) == json.dumps(OURS)
    assert removed_gateway.restored_daemon_json(None, found) is None


def test_notes_are_named_after_what_they_are_about() -> None:
    assert before.content_of("/a") != before.content_of("/b")


@pytest.mark.parametrize(
    ("noted", "owner"),
    [
        pytest.param({"/data/one-api.db": "1234:1235", "/data": "0:0"}, (1234, 1235), id="as the database was"),
        pytest.param({"/data": "1236:1237"}, (1236, 1237), id="noted by an earlier version"),
        pytest.param({}, (0, 0), id="not noted"),
    ],
)
def test_taken_over_data_belong_to_whom_they_belonged(
    tmp_path: Path, noted: dict[str, str], owner: tuple[int, int]
) -> None:
    if os.getuid() != 0:
        raise pytest.fail.Exception("this test needs root, as a removal has it", pytrace=False)
    made = member(gateway_directory=str(tmp_path))
    (tmp_path / "data").mkdir()
    for name, uid in {"one-api.db": 59300, "of others": 4321}.items():
        (tmp_path / "data" / name).touch()
        os.chown(tmp_path / "data" / name, uid, uid)
    notes = {f"{tmp_path}{path}": Before("755", who, str(tmp_path)) for path, who in noted.items()}
    command = removed_gateway._owner_back(made, Found(HostState.parse(answer({})), notes))
    for _ in range(2):
        subprocess.run(["sh", "-euc", command], cwd=tmp_path, check=True)
    found = {path.name: (path.stat().st_uid, path.stat().st_gid) for path in (tmp_path / "data").iterdir()}
    assert found == {"one-api.db": owner, "of others": (4321, 4321)}
