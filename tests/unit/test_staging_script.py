"""What is staged on a host: room for it first, and nothing left of it where that fails."""

from __future__ import annotations

import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parent.parent.parent / "llm_gateway/tasks/restore/staging.sh"


def _run(function: str, directory: Path, size: int = 0) -> subprocess.CompletedProcess[str]:
    text = f"directory='{directory}' bytes={size}\n{SCRIPT.read_text()}\n{function}\n"
    return subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=False)


def test_what_does_not_fit_is_refused_with_what_is_free(tmp_path: Path) -> None:
    refused = _run("begin", tmp_path, 1 << 60)
    assert refused.returncode == 1
    assert f"no room: it takes {1 << 40} MiB in {tmp_path}, and" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_an_earlier_run_left_is_cleared(tmp_path: Path) -> None:
    for name in ("incoming", "incoming.partial"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "one-api.db").write_text("old")
    assert _run("begin", tmp_path).returncode == 0
    assert [path.name for path in tmp_path.rglob("*")] == ["incoming.partial"]
    assert (tmp_path / "incoming.partial").stat().st_mode & 0o777 == 0o700


def test_it_is_called_incoming_only_at_the_end_and_a_link_is_no_file(tmp_path: Path) -> None:
    staged = tmp_path / "incoming.partial"
    staged.mkdir()
    for name in ("one-api.db", "one-api.db-journal", ".env"):
        (staged / name).write_text(name)
    assert _run("finish", tmp_path).returncode == 0
    assert {path.name for path in (tmp_path / "incoming").iterdir()} == {"one-api.db", ".env"}
    staged.mkdir()
    (staged / "secrets.env").symlink_to("/etc/shadow")
    linked = _run("belongings", tmp_path)
    assert linked.returncode == 1
    assert "secrets.env is not a file" in linked.stderr
    assert linked.stdout == ""
