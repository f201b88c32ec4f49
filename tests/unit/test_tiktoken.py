"""The tiktoken files: where they come from, and that nothing else passes for them."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from llm_gateway.parts import tiktoken
from tests.unit.fake_hosts import FRESH, tiktoken_answers
from tests.unit.topology import DIRECTORY, make_node

CONTENTS = {name: f"content of {url}".encode() for name, (url, _) in tiktoken.FILES.items()}
ORIGINALS = dict(tiktoken.FILES)


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small files in the place of the real ones, known by their own SHA-256."""
    for name, (url, _) in ORIGINALS.items():
        monkeypatch.setitem(tiktoken.FILES, name, (url, hashlib.sha256(CONTENTS[name]).hexdigest()))


def put(place: Path, **changed: bytes) -> Path:
    """A directory with the files."""
    place.mkdir(exist_ok=True)
    for name, content in CONTENTS.items():
        (place / name).write_bytes(changed.get(name, content))
    return place


def answer_with(monkeypatch: pytest.MonkeyPatch, contents: dict[str, bytes] | Exception) -> list[str]:
    """Stand in for the origin; the URLs that are asked for."""
    asked: list[str] = []

    def get(url: str, **options: Any) -> httpx.Response:
        asked.append(url)
        if isinstance(contents, Exception):
            raise contents
        return httpx.Response(200, content=contents[url], request=httpx.Request("GET", url))

    monkeypatch.setattr(httpx, "get", get)
    return asked


BY_URL = {url: CONTENTS[name] for name, (url, _) in ORIGINALS.items()}


def test_the_names_are_what_one_api_looks_for() -> None:
    """tiktoken-go names a file in its cache after the SHA-1 of its URL."""
    for name, (url, _) in ORIGINALS.items():
        assert name == hashlib.sha1(url.encode()).hexdigest()  # noqa: S324 - a name


def test_a_host_that_has_them_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = tiktoken_answers(DIRECTORY)
    assert tiktoken.missing_on(make_node({**FRESH, **whole})) == []
    first, second = tiktoken.FILES
    assert tiktoken.missing_on(make_node(FRESH)) == [first, second]
    damaged = whole["tracked_sum"].replace(tiktoken.FILES[first][1], "0" * 64)
    assert tiktoken.missing_on(make_node({**FRESH, **whole, "tracked_sum": damaged})) == [first]


def test_a_directory_of_the_operator_is_read_and_left_alone(tmp_path: Path) -> None:
    place = put(tmp_path / "tiktoken")
    assert tiktoken.read_local(str(place)) == CONTENTS
    first = next(iter(CONTENTS))
    (place / first).unlink()
    with pytest.raises(tiktoken.TiktokenError) as refused:
        tiktoken.read_local(str(place))
    assert str(refused.value).startswith(f"gateway_tiktoken_directory: [Errno 2] No such file or directory: '{place}")
    assert str(refused.value).endswith("`make tiktoken` gets the files")
    put(place, **{first: b"an error page"})
    with pytest.raises(tiktoken.TiktokenError) as refused:
        tiktoken.read_local(str(place))
    assert str(refused.value) == (
        f"{place / first} is damaged (its SHA-256 is wrong); remove it and run `make tiktoken`"
    )


def test_the_cache_is_filled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    asked = answer_with(monkeypatch, BY_URL)
    assert tiktoken.read_local(None) == CONTENTS
    assert sorted(asked) == sorted(BY_URL)
    assert tiktoken.read_local(None) == CONTENTS
    assert len(asked) == 2
    kept = tiktoken.cache_directory()
    assert kept == tmp_path / "openclaw-llm-gateway/tiktoken"
    assert sorted(path.name for path in kept.iterdir()) == sorted(CONTENTS), "and nothing else is left there"


def test_only_what_is_missing_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = put(tmp_path / "tiktoken")
    first = next(iter(CONTENTS))
    (place / first).unlink()
    asked = answer_with(monkeypatch, BY_URL)
    tiktoken.fill(place)
    assert asked == [ORIGINALS[first][0]]


def test_an_error_page_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer_with(monkeypatch, dict.fromkeys(BY_URL, b"<html>blocked</html>"))
    with pytest.raises(tiktoken.TiktokenError, match="is something else"):
        tiktoken.fill(tmp_path / "tiktoken")
    assert list((tmp_path / "tiktoken").iterdir()) == []


def test_the_wheel_is_asked_when_the_origin_is_out_of_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer_with(monkeypatch, httpx.ConnectError("no way"))
    commands: list[list[str]] = []

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        with zipfile.ZipFile(Path(command[command.index("--dest") + 1]) / "some.whl", "w") as wheel:
            for name, content in CONTENTS.items():
                wheel.writestr(f"litellm/litellm_core_utils/tokenizers/{name}", content)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    tiktoken.fill(tmp_path / "tiktoken")
    assert {path.name: path.read_bytes() for path in (tmp_path / "tiktoken").iterdir()} == CONTENTS
    (command,) = commands
    assert command[0] == sys.executable
    assert "--require-hashes" in command
    assert Path(command[-1]).is_file(), "the pin is there"
    assert "trying the wheel" in capsys.readouterr().err


def test_no_way_at_all_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    answer_with(monkeypatch, httpx.ConnectError("no way"))
    refused = subprocess.CompletedProcess([], 1, "", "ERROR: no matching distribution")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: refused)
    assert tiktoken.main() == 1
    told = capsys.readouterr().err
    assert "on a machine with internet run `make tiktoken`" in told
    assert "pip said: ERROR: no matching distribution" in told
    assert "Traceback" not in told


def test_the_command_says_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    answer_with(monkeypatch, BY_URL)
    assert tiktoken.main() == 0
    assert capsys.readouterr().out == f"The tiktoken files are in {tmp_path}/openclaw-llm-gateway/tiktoken.\n"
