"""What we need of pyinfra's insides is there in the locked version, and named in one module."""

from __future__ import annotations

import ast
import inspect
import re
from importlib.metadata import version
from pathlib import Path

import pyinfra
import pyinfra.api.exceptions
import pyinfra.api.operations
import pytest
from pyinfra.api.operation import OperationMeta

from llm_gateway import pyinfra_insides
from llm_gateway.command import commands, screen
from llm_gateway.tasks import logs, survey
from tests.unit.fake_hosts import ROOT
from tests.unit.unpatched_pyinfra import cli

SOURCE = Path(inspect.getfile(cli)).read_text(encoding="utf-8")


def test_this_is_the_locked_version() -> None:
    locked = re.search(r"^pyinfra==(\S+)", (ROOT / "requirements/runtime.txt").read_text(), re.MULTILINE)
    assert locked and locked[1] == version("pyinfra") == "3.10.0", "look at pyinfra_insides, then change this"


def test_pyinfra_calls_by_name_what_is_replaced() -> None:
    called = {node.id for node in ast.walk(ast.parse(SOURCE)) if isinstance(node, ast.Name)}
    for name in (*pyinfra_insides.OUTPUT, "_do_confirm", "disconnect_all"):
        assert hasattr(cli, name)
        assert name in called, name


def test_pyinfra_says_what_steps_are_told_from() -> None:
    for text in (*screen._PHASES, *screen._BETWEEN):
        assert f'"--> {text}"' in SOURCE + inspect.getsource(survey) + inspect.getsource(logs), text
    assert pyinfra_insides.CHANGES in SOURCE
    assert "executed {executed_commands} commands" in inspect.getsource(pyinfra.api.operations)
    assert "No hosts remaining!" in inspect.getsource(pyinfra.api.state)
    assert "_maybe_is_change" in inspect.getsource(OperationMeta)


def test_each_option_of_pyinfra_is_offered_or_left_out_for_a_reason() -> None:
    theirs = {max(parameter.opts, key=len) for parameter in cli.cli.params if parameter.param_type_name == "option"}
    offered = {option.flags[0] for option in commands.PYINFRA_OPTIONS}
    assert theirs == offered | set(commands.NOT_OFFERED)


def test_offered_options_take_a_value_where_pyinfras_do() -> None:
    theirs = {flag: parameter for parameter in cli.cli.params for flag in parameter.opts}
    for option in commands.PYINFRA_OPTIONS:
        takes_none = getattr(theirs[option.flags[0]], "is_flag", False) or getattr(
            theirs[option.flags[0]], "count", False
        )
        assert takes_none == (not option.metavar), option.flags[0]


PUBLIC = ("pyinfra", "pyinfra.api", "pyinfra.context")
"""What a deploy file of anybody's may import, and the modules below them."""
AS_THEY_ARE = {
    "pyinfra_cli",  # patches Python for gevent
    "pyinfra.connectors.local.LocalConnector",
    "pyinfra.connectors.ssh.SSHConnector",
    "pyinfra.connectors.ssh.ConnectorData",
    "pyinfra.connectors.util.extract_control_arguments",
    "pyinfra.connectors.util.make_unix_command_for_host",
}
"""No private names, and called as they are."""


def _imported(tree: ast.AST) -> set[str]:
    """The full names of what a module imports from pyinfra."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.split(".")[0] in ("pyinfra", "pyinfra_cli")}


def _is_public(name: str) -> bool:
    module, _, last = name.rpartition(".")
    return not last.startswith("_") and any(
        module == public or (public != "pyinfra" and module.startswith(f"{public}.")) or name == public
        for public in PUBLIC
    )


def _strangers(tree: ast.AST) -> set[str]:
    """What of pyinfra a module of ours must not name."""
    return {name for name in _imported(tree) if not _is_public(name)} - AS_THEY_ARE


def test_no_other_module_names_what_is_pyinfras_own() -> None:
    for path in [*(ROOT / "llm_gateway").rglob("*.py"), *ROOT.glob("*.py"), *ROOT.glob("deploys/*.py")]:
        if path != Path(inspect.getfile(pyinfra_insides)):
            assert _strangers(ast.parse(path.read_text(encoding="utf-8"))) == set(), path


@pytest.mark.parametrize(
    "line",
    [
        "import pyinfra_cli.cli",
        "from pyinfra_cli.exceptions import WrappedError",
        "from pyinfra.api.operation import _secret",
        "from pyinfra.connectors.ssh_util import get_private_key",
        "import pyinfra.connectors.ssh",
    ],
)
def test_what_is_pyinfras_own_is_found(line: str) -> None:
    assert _strangers(ast.parse(line))
