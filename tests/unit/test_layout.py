"""The names of a host's files stand in model/layout.py, and what hosts run spells none that does not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from llm_gateway.model import layout
from llm_gateway.model.checkout import ROOT

ON_HOSTS = sorted(
    path
    for pattern in ("files/*", "templates/**/*.j2", "llm_gateway/**/*.sh")
    for path in ROOT.glob(pattern)
    if path.suffix != ".js"
)
MODULES = sorted(path for path in ROOT.glob("llm_gateway/**/*.py") if path.name != "layout.py")

_PROJECT = r"(?:openclaw-llm-gateway|\$\{?project\b\}?|\$\{?PROJECT\b\}?|\{\{ project \}\})"
_DIRECTORY = r"(?:\$\{?directory\b\}?|\$\{?DIRECTORY\b\}?|\$READ\b|\{\{ directory \}\})\"?"
_NAME = r"([A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*)"
_IN_DIRECTORY = re.compile(f"{_DIRECTORY}/{_NAME}")
_IN_STATE = re.compile(f"/var/lib/{_PROJECT}/{_NAME}")
_IN_HOME = re.compile(rf"\$\{{?home\b\}}?\"?/{_NAME}")
_IN_RUN = re.compile(rf"(?:/run|\$run)/{_PROJECT}([A-Za-z0-9._/-]*)")
_UNIT = re.compile(rf"{_PROJECT}((?:-[a-z-]+)?\.(?:service|timer|path))\b")

# Of earlier versions, and what Python alone writes and reads.
PYTHON_ALONE = {
    *("wait-for-address", "journal.jsonl.old", "removing", "env-given-back"),
    *("openclaw_llm_gateway.prom.new", "openclaw-llm-gateway-docker.sources"),
}


def spelled(text: str) -> Iterator[str]:
    """The paths of ours in the text of a script, unit or template, those in the gateway's directory relative to it."""
    yield from (name.rstrip(".") for name in _IN_DIRECTORY.findall(text))
    yield from (f"{layout.STATE}/{name}" for name in _IN_STATE.findall(text))
    if "home=/var/lib/" in text or "home=$PWD" in text:  # elsewhere it is a person's
        yield from (f"{layout.STATE}/{name}" for name in _IN_HOME.findall(text))
    yield from (f"{layout.RUNTIME}{name}".rstrip(".") for name in _IN_RUN.findall(text))
    yield from (layout.unit_path(f"{layout.PROJECT}{name}") for name in _UNIT.findall(text))


@cache
def known() -> frozenset[str]:
    """Every path of the layout, with the directories that they are in."""
    paths = [Path(file.path) for file in layout.FILES]
    return frozenset(map(str, {*paths, *(above for path in paths for above in path.parents)}))


def strangers(text: str) -> list[str]:
    """What a text spells that the layout does not know; what is in a directory of ours that goes whole is known."""
    whole = [f"{file.path}/" for file in layout.FILES if layout.Role.WORK in file.roles]
    whole += [f"{layout.DATA}/", f"{layout.TIKTOKEN}/"]
    whole.append(".config/")  # of a person's home, which a loop calls "directory"
    found = (path.removesuffix(".new") for path in spelled(text))  # until it is whole
    return [path for path in found if path not in known() and not path.startswith(tuple(whole))]


@pytest.mark.parametrize("path", ON_HOSTS, ids=lambda path: path.name)
def test_what_hosts_run_spells_no_path_that_the_layout_does_not_know(path: Path) -> None:
    assert strangers(path.read_text()) == []


@pytest.mark.parametrize(
    "text",
    [
        '[ -e "$directory/first-start-finished" ]',
        '"$DIRECTORY/secret.env"',
        "ExecStart={{ directory }}/start",
        "/var/lib/openclaw-llm-gateway/canaries.jsonl",
        'home=/var/lib/$project\n"$home/prune.json"',
        '"/run/$PROJECT.locked"',
        '"$PROJECT-backups.timer"',
        "After=openclaw-llm-gateway-wall.service",
    ],
)
def test_a_path_that_was_renamed_on_one_side_is_seen(text: str) -> None:
    assert len(strangers(text)) == 1


def test_every_name_of_the_layout_is_one_that_hosts_use() -> None:
    """A name that only the layout was given is found here; most scripts work within the directory."""
    text = "\n".join([*(path.read_text() for path in ON_HOSTS), *(path.name for path in ON_HOSTS)])
    text = re.sub(_PROJECT, layout.PROJECT, text)
    names = {Path(file.path).name for file in layout.FILES}
    assert {name for name in names if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text)} == PYTHON_ALONE


_GOES_THERE = re.compile(r'cd "\$\{?(?:directory|DIRECTORY)\}?"')
_RELATIVE = re.compile(r"(?<![\w$./{}*\\:%@-])([a-z][\w.-]*)/[A-Za-z0-9._-]")
_HALF = re.compile(r"\.(?:new|partial|undone)$")
_OF_OTHERS = {"chain", "deploys", "s"}
"""An error of iptables, a script of the checkout, and a command of sed."""


def relative(text: str) -> set[str]:
    """The directories that a script spells which works within the gateway's."""
    if not _GOES_THERE.search(text):
        return set()
    lines = (re.sub(r"(^|\s)#.*", "", line) for line in text.splitlines())
    return {_HALF.sub("", name) for line in lines for name in _RELATIVE.findall(line)} - _OF_OTHERS


@pytest.mark.parametrize("path", ON_HOSTS, ids=lambda path: path.name)
def test_a_script_that_works_there_spells_no_directory_that_the_layout_does_not_know(path: Path) -> None:
    there = {name.partition("/")[0] for name in known() if not name.startswith("/")}
    assert relative(path.read_text()) <= there


def test_a_directory_that_was_renamed_on_one_side_is_seen() -> None:
    text = 'cd "$directory"\n[ ! -e "arrived/$name" ] || mv -T arrived/one-api.db data/one-api.db'
    assert relative(text) - {"data"} == {"arrived"}


def literals(source: str) -> Iterator[str]:
    """The strings of a module, and the pieces of those with values in them; neither docstrings nor shell scripts."""
    tree = ast.parse(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
        if is_text and "\n" not in node.value:
            yield node.value


_NAMES = "|".join(
    re.escape(name)
    for name in {layout.DATABASE, *(Path(file.path).name for file in layout.FILES)} - {layout.ENVIRONMENT}
    if re.search("[.-]", name)  # others are words, too
)
_SPELLED = re.compile(rf"^(?:{_NAMES})$|(?<!…)/(?:{_NAMES})(?![\w.-])|^{layout.PROJECT}|/{layout.PROJECT}\b")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT / "llm_gateway")))
def test_no_other_module_spells_them(path: Path) -> None:
    assert [text for text in literals(path.read_text()) if _SPELLED.search(text)] == []


@pytest.mark.parametrize("text", ['f"{directory}/secrets.env"', '"/var/lib/openclaw-llm-gateway"', '"canary.conf"'])
def test_one_that_did_would_be_seen(text: str) -> None:
    assert any(_SPELLED.search(each) for each in literals(f'"""A docstring."""\nx = {text}\n'))
