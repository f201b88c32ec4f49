"""What our command needs of pyinfra's insides is there in the locked version."""

from __future__ import annotations

import ast
import inspect
import re
from importlib.metadata import version
from pathlib import Path

import pyinfra
import pyinfra.api.exceptions
import pyinfra.api.operations
from pyinfra.api.operation import OperationMeta

from llm_gateway.command import commands, pyinfra_adapter, screen
from llm_gateway.tasks import logs, survey
from tests.unit.fake_hosts import ROOT
from tests.unit.unpatched_pyinfra import cli

SOURCE = Path(inspect.getfile(cli)).read_text(encoding="utf-8")


def test_this_is_the_locked_version() -> None:
    locked = re.search(r"^pyinfra==(\S+)", (ROOT / "requirements/runtime.txt").read_text(), re.MULTILINE)
    assert locked and locked[1] == version("pyinfra") == "3.10.0", "look at what the adapter needs, then change this"


def test_pyinfra_calls_by_name_what_is_replaced() -> None:
    called = {node.id for node in ast.walk(ast.parse(SOURCE)) if isinstance(node, ast.Name)}
    for name in pyinfra_adapter.REPLACED:
        assert hasattr(cli, name)
        assert name in called, name


def test_pyinfra_says_what_steps_are_told_from() -> None:
    for text in (*screen._PHASES, *screen._BETWEEN):
        assert f'"--> {text}"' in SOURCE + inspect.getsource(survey) + inspect.getsource(logs), text
    assert pyinfra_adapter.CHANGES in SOURCE
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
