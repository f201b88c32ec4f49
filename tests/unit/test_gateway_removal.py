"""What a removal gives Docker's daemon back, and whom the data belong to after it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from llm_gateway.hosts import before
from llm_gateway.hosts.before import Before
from llm_gateway.hosts.host_state import HostState
from llm_gateway.model import layout
from llm_gateway.tasks.removal import gateway_removal, home, scope
from llm_gateway.tasks.removal.scope import Found, Leftovers
from tests.unit.fake_hosts import answer
from tests.unit.topology import make_node

MIRROR = "https://mirror.example"
OURS = {"registry-mirrors": [MIRROR]}


def _restored(present: str, former: str | None) -> str | None:
    answers = {"daemon_ours": json.dumps({**json.loads(former or "{}"), **OURS}) + "\n"}
    if former is not None:
        answers["daemon_before"] = former
    return gateway_removal.restored_daemon_json(present, HostState.parse(answer(answers)))


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
    state = HostState.parse(answer({}))
    assert gateway_removal.restored_daemon_json(json.dumps(OURS), state) == json.dumps(OURS)
    assert gateway_removal.restored_daemon_json(None, state) is None


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
    made = make_node(gateway_directory=str(tmp_path))
    (tmp_path / "data").mkdir()
    for name, uid in {"one-api.db": 59300, "of others": 4321}.items():
        (tmp_path / "data" / name).touch()
        os.chown(tmp_path / "data" / name, uid, uid)
    notes = {f"{tmp_path}{path}": Before("755", who, str(tmp_path)) for path, who in noted.items()}
    command = gateway_removal._owner_back(made, Found(Leftovers.parse(answer({})), notes))
    for _ in range(2):
        subprocess.run(["sh", "-euc", command], cwd=tmp_path, check=True)
    found = {path.name: (path.stat().st_uid, path.stat().st_gid) for path in (tmp_path / "data").iterdir()}
    assert found == {"one-api.db": owner, "of others": (4321, 4321)}


def test_what_runs_keep_goes_and_what_a_person_has_put_beside_it_stays(tmp_path: Path) -> None:
    place = tmp_path / "place"
    ours = (
        *(
            "canary.jsonl",
            "canary-hours.new",
            "canary.state.new",
            "journal.jsonl",
            "journal.jsonl.old",
            "undo-unfinished.llmgw-a1B2c3",
            "removing",
        ),
        *("before/9956adbdce44e60b", "unfinished/what", "firewall/rules.nft", "firewall/hold-firewall.llmgw-a1B2c3"),
        *("metrics/openclaw_llm_gateway.prom", "metrics/openclaw_llm_gateway.prom.new"),
    )
    theirs = ("notes.txt", "metrics/mine.prom", "firewall/mine.nft")

    def remove() -> list[str]:
        for command in (home.remove(), home.left()):
            text = command.replace(layout.STATE, str(place))
            done = subprocess.run(["sh", "-c", f"( set -e; {text}\n)"], check=True, capture_output=True, text=True)
            assert done.stderr == ""
        return sorted(done.stdout.split())

    for name in (*ours, *theirs):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).touch()
    for _ in range(2):
        assert remove() == sorted(f"{place}/{name}" for name in theirs)
    assert not home.is_ours(path.name for path in place.iterdir()), "nothing is installed there any more"
    for name in theirs:
        (place / name).unlink()
    for _ in range(2):
        assert remove() == []
    assert not place.exists()
    assert home.is_ours(["notes.txt", "before"])


def test_metrics_go_before_the_settings_that_say_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_node({"canary_metrics": "/srv/old\n"}, gateway_metrics_directory="/srv/new")
    monkeypatch.setattr(scope, "found_on", lambda _: Found(Leftovers({}), {}))
    lines = gateway_removal._files_script(made).splitlines()
    (metrics,) = (number for number, line in enumerate(lines) if "/srv/old/openclaw_llm_gateway.prom" in line)
    assert "/srv/new/openclaw_llm_gateway.prom" in lines[metrics]
    assert metrics < lines.index("rm -f canary.conf")
