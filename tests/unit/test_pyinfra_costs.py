"""What is cut out of pyinfra was there, and what it found without that is the same."""

from __future__ import annotations

import inspect
import os
from pathlib import Path

import pyinfra.api.util
import pytest

from llm_gateway import pyinfra_insides
from tests.unit.unpatched_pyinfra import inventory


@pytest.fixture
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in (
        (pyinfra.api.util, "stack"),
        (pyinfra.api.util, "getframeinfo"),
        (inventory, "_get_imported_names"),
    ):
        monkeypatch.setattr(module, name, getattr(module, name))


@pytest.mark.usefixtures("_as_it_was")
def test_group_data_are_parsed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "all.py"
    file.write_text("import os\n")
    names = {"os": os, **{f"name{number}": number for number in range(9)}}
    monkeypatch.setattr(inventory, "exec_file", lambda *_, **__: names)
    parsed: list[str] = []
    parse = inventory._get_imported_names
    monkeypatch.setattr(inventory, "_get_imported_names", lambda name: (parsed.append(name), parse(name))[1])
    before = inventory._get_group_data(str(file))
    assert len(parsed) > 1, "pyinfra does it once by itself now: delete the cut"
    parsed.clear()
    pyinfra_insides.cut_costs()
    assert inventory._get_group_data(str(file)) == before
    assert "os" not in before["all"] and len(before["all"]) == 9
    assert parsed == [str(file)]


@pytest.mark.usefixtures("_as_it_was")
def test_the_place_of_a_step_is_found_without_its_source() -> None:
    def place() -> inspect.Traceback:
        return pyinfra.api.util.get_caller_frameinfo(frame_offset=-1)

    with_source = place()
    pyinfra_insides.cut_costs()
    without = place()
    assert with_source.code_context, "pyinfra reads no source by itself now: delete the cut"
    assert without.code_context is None
    assert (without.filename, without.function) == (with_source.filename, with_source.function)
