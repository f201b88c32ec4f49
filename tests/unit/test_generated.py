"""The files that are made from the code are as they would be made now."""

from __future__ import annotations

import runpy
import shutil
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


@pytest.mark.parametrize("name", generated.FILES)
def test_a_stale_file_is_told_and_left_as_it_is_until_it_is_asked_for(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for each in generated.FILES:
        (tmp_path / each).parent.mkdir(exist_ok=True)
        shutil.copy(generated.ROOT / each, tmp_path / each)
    assert generated.main(["--check"], tmp_path) == 0
    (tmp_path / name).write_text("edited\n")
    assert generated.main(["--check"], tmp_path) == 1
    assert capsys.readouterr().err == f"{name}: is not as it is generated; run `make generated`\n"
    assert (tmp_path / name).read_text() == "edited\n"
    assert generated.main([], tmp_path) == 0
    assert generated.main(["--check"], tmp_path) == 0


def test_a_file_that_is_not_there_is_stale(tmp_path: Path) -> None:
    assert generated.stale(tmp_path).keys() == generated.FILES.keys()


@pytest.mark.parametrize("page", ["docs/settings.md", "docs/settings.zh-CN.md"])
def test_the_pages_have_a_row_for_each_setting_that_can_be_linked_to(page: str) -> None:
    lines = (generated.ROOT / page).read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| <a id=")]
    assert [row.split("`")[1] for row in rows] == [*SETTINGS]
    for row in rows:
        assert row.startswith(f'| <a id="{row.split("`")[1]}"></a>`')
        assert row.replace("\\|", "").count("|") == 5, row
