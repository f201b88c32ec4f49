"""The files that are made from the code are as they would be made now."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from llm_gateway.inputs import settings
from llm_gateway.inputs.settings import SETTINGS
from scripts import generated


def test_the_generated_files_are_not_stale() -> None:
    assert [*generated.stale(generated.ROOT)] == [], "run `make generated`"


def test_group_data_as_pyinfra_executes_it_has_the_defaults() -> None:
    found = runpy.run_path(str(generated.ROOT / "group_data/all.py"))
    assert {name: value for name, value in found.items() if not name.startswith("__")} == settings.defaults()


def test_a_stale_file_is_told_with_the_command_that_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generated, "FILES", dict.fromkeys(("right", "edited", "missing"), lambda: "made\n"))
    (tmp_path / "right").write_text("made\n")
    (tmp_path / "edited").write_text("edited\n")
    assert generated.main(["--check"], tmp_path) == 1
    told = [f"{name}: is not as it is generated; run `make generated`" for name in ("edited", "missing")]
    assert capsys.readouterr().err.splitlines() == told
    assert (tmp_path / "edited").read_text() == "edited\n"
    assert generated.main([], tmp_path) == 0
    assert generated.main(["--check"], tmp_path) == 0


@pytest.mark.parametrize("page", ["docs/settings.md", "docs/settings.zh-CN.md"])
def test_the_pages_have_a_row_for_each_setting_that_can_be_linked_to(page: str) -> None:
    lines = (generated.ROOT / page).read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| <a id=")]
    assert [row.split("`")[1] for row in rows] == [*SETTINGS]
    for row in rows:
        assert row.startswith(f'| <a id="{row.split("`")[1]}"></a>`')
        assert row.replace("\\|", "").count("|") == 5, row
