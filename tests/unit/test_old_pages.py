"""Which Chinese pages are older than their English original, by git's word."""

from __future__ import annotations

from pathlib import Path

from scripts import old_pages
from tests.unit.test_release import commit, git


def write(root: Path, *names: str, text: str) -> None:
    """Write pages."""
    for name in names:
        (root / "docs" / name).write_text(text)


def test_a_page_is_named_while_its_original_is_newer(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    git(tmp_path, "init", "--quiet")
    write(tmp_path, "a.md", "a.zh-CN.md", "b.md", "b.zh-CN.md", "alone.md", text="one")
    commit(tmp_path)
    assert list(old_pages.older(tmp_path)) == []
    write(tmp_path, "a.md", "alone.md", text="two")
    assert list(old_pages.older(tmp_path)) == [(Path("docs/a.zh-CN.md"), "today")]
    commit(tmp_path)
    write(tmp_path, "b.zh-CN.md", text="two")
    assert list(old_pages.older(tmp_path)) == [(Path("docs/a.zh-CN.md"), "2027-01-31")]
    write(tmp_path, "a.zh-CN.md", text="two")
    commit(tmp_path)
    assert list(old_pages.older(tmp_path)) == []
