"""pyinfra is imported without what a run does not use, and that is there all the same."""

from __future__ import annotations

import subprocess
import sys

from llm_gateway.model.checkout import ROOT

_BEGINNING = (
    "import sys; from llm_gateway.command import lean_imports; lean_imports.prepare(); import pyinfra_cli.main;"
)


def _run(program: str, beginning: str = _BEGINNING) -> str:
    """In a process of its own: what is imported here already cannot be imported otherwise."""
    done = subprocess.run(
        [sys.executable, "-c", f"{beginning} {program}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


_LOADED = "print(*[name for name in ('invoke.config', 'pyinfra.facts.server') if name in sys.modules])"


def test_what_no_run_of_ours_uses_is_not_loaded() -> None:
    loaded = "invoke.config pyinfra.facts.server"
    assert _run(_LOADED, "import sys; import pyinfra_cli.main;") == loaded, "pyinfra loads less: delete the cut"
    assert _run(_LOADED) == ""


def test_what_is_loaded_later_works_when_it_is_used() -> None:
    assert _run("import pyinfra_cli.cli; print(pyinfra_cli.cli.server.shell.__name__)") == "shell"
    assert _run("from pyinfra.operations.server import user; print(user.__name__)") == "user"
    assert _run("from pyinfra.operations import apt; print(apt.packages.__name__)") == "packages"
    assert _run("import paramiko.config; print(paramiko.config.invoke.run.__name__)") == "run"


def test_all_entry_points_are_found_as_before() -> None:
    program = (
        "from importlib.metadata import distributions, entry_points as found;"
        "groups = sorted({each.group for package in distributions() for each in package.entry_points});"
        "print([(group, sorted(each.name for each in found(group=group))) for group in groups]);"
        "print(len(found(group='nobody has this')))"
    )
    assert _run(program) == _run(program, "import sys;")
    assert "pyinfra.connectors" in _run(program)
