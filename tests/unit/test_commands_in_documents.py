"""Each command and setting in a document is one that there is, with the options that it has, and a test runs it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from lab.__main__ import _parser as lab_parser
from llm_client.cli.arguments import _parser as client_parser
from llm_gateway.command import cli
from llm_gateway.command.commands import COMMANDS
from llm_gateway.inputs.settings import SETTINGS
from scripts import pages
from tests.unit.test_documents import DOCUMENTS, ROOT, read

EXAMPLES = sorted(path.relative_to(ROOT) for path in ROOT.glob("examples/ci/*.yml"))
GENERATED = {Path("docs/commands.md"), Path("docs/settings.md"), Path("docs/settings.zh-CN.md")}
PAGES = [page for page in DOCUMENTS if page not in GENERATED]
NO_SETTINGS = {
    "gateway_database": "a reason of the client's errors",
    "openclaw_llm_gateway": "a prefix of metrics",
}
"""Names that look like a setting's."""
NOT_RUN = {
    "lab": "tests bring up the same hosts themselves (tests/lab/conftest.py)",
    "lab-down": "as `make lab`: the lab's tests take down what they brought up",
    "test": "it is what runs the tests",
    "test-full": "it is what runs the tests",
    "test-attack": "a part of `make test-full`",
    "test-flavours": "a part of `make test-full`",
    "test-faults": "a part of `make test-full`",
    "test-hosts": "a part of `make test`",
    "test-unit": "a part of `make test`",
    "test-lab": "a part of `make test`",
    "test-tailnet": "it builds real tailscaleds: by hand",
    "test-runtimes": "it downloads six versions of Node: by hand",
    "bench": "a measurement, by hand",
    "bench-backup": "a measurement, by hand",
    "bench-canary": "a measurement, by hand",
    "bench-client": "a measurement, by hand",
    "bench-load": "a measurement, by hand",
    "bench-migration": "a measurement, by hand",
    "bench-new-api": "a measurement, by hand",
    "bench-page": "a measurement, by hand",
    "bench-pruning": "a measurement, by hand",
    "bench-tokens": "a measurement, by hand",
    "bench-usage": "a measurement, by hand",
    "docs": "it builds the site, by hand; its parts: tests/unit/test_docs_site.py",
    "format": "it changes the checkout; `make lint` compares",
    "generated": "it changes the checkout; `make lint` compares",
    "lock": "it changes the lock files",
    "setup": "each target of `make test` begins with it",
}
"""The targets of make that no test calls, and why."""


OTHERS = {
    ".": "of the shell",
    "cd": "of the shell",
    "export": "of the shell",
    "cat": "it writes the file that the page shows",
    "printf": "it writes the line that the page shows",
    "cp": "the examples are read where they lie: tests/unit/test_examples.py",
    "install -m 600": "it makes an empty file",
    "ln -s": "tests/lab/test_restore.py",
    "editor": "a person's",
    "git": "of a checkout that is there",
    "ssh-keygen": "lab/keys.py",
    "docker save": "tests/lab/by_hand.py",
    "docker logs": "it only looks",
    "journalctl": "it only looks",
    "ss": "it only looks",
    "systemctl status": "it only looks",
    "systemctl --user restart": "tests/lab/test_real_openclaw.py",
    "promtool check rules": "tests/unit/test_monitoring.py",
    "openclaw config patch": "tests/lab/test_real_openclaw.py",
    "openclaw plugins install": "tests/lab/test_real_openclaw.py",
    "npm rebuild": "it builds what a host's Node lacks: by hand",
    "python3 -m venv": "tests/lab/test_as_a_package.py",
    "python3 -m pip": "tests/lab/test_as_a_package.py",
    ".venv/bin/pip install": "scripts/environments.sh",
    "~/mem0/bin/pip install": "tests/lab/test_real_openclaw.py",
}
"""How commands begin that are other people's programs: what runs them (a path), or why nothing does."""
_OURS = re.compile(
    r"(llm-gateway|pyinfra|make|(\S*/)?python3? (-m (llm_gateway|lab|client)|deploys/\w+\.py|(deploy|verify)\.py))( |$)"
)
"""How ours begin; the tests below take them apart."""


def typed(page: Path) -> Iterator[str]:
    """Each command of the blocks of shell of a page, without variables before it and what is fed to it."""
    for block in pages.blocks(read(page)):
        if block.language == "sh":
            lines = "\n".join(re.sub(r"(^|\s+)#.*$", "", line) for line in block.lines).replace("\\\n", " ")
            lines = re.sub(r"<<'?END\b.*?\nEND$", "", lines, flags=re.MULTILINE | re.DOTALL)
            for part in re.split(r"\n|&&|\||;", lines):
                if command := re.sub(r"^(\w+=\S*\s+)*", "", part.strip()):
                    yield command


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_other_peoples_commands_are_run_or_marked(page: Path) -> None:
    starts = tuple(f"{start} " for start in OTHERS)
    unknown = [each for each in typed(page) if not _OURS.match(each) and not f"{each} ".startswith(starts)]
    assert unknown == [], "say in OTHERS what runs it, or why nothing does"


def test_what_runs_other_peoples_commands_is_there() -> None:
    all_typed = {each for page in PAGES for each in typed(page)}
    assert [start for start in OTHERS if not any(f"{each} ".startswith(f"{start} ") for each in all_typed)] == []
    for start, place in OTHERS.items():
        if re.fullmatch(r"\S+/\S+", place):
            words = set(re.findall(r"[\w-]{2,}", start)) - {"python3", "venv", "bin", "user", "-m", "-s"}
            text = (ROOT / place).read_text(encoding="utf-8")
            assert {word for word in words if word not in text} == set(), f"{place} does not run `{start}`"


def told(page: Path) -> Iterator[str]:
    """The lines of a page that may be commands: of its blocks of code, and code within sentences."""
    text = read(page)
    if page.suffix == ".yml":
        yield from text.splitlines()
        return
    for block in pages.blocks(text):
        joined = "\n".join(block.lines).replace("\\\n", " ")
        yield from joined.splitlines()
    yield from re.findall(r"`([^`\n]+)`", pages.prose(text))


def commands(page: Path, *starts: str) -> Iterator[list[str]]:
    """The arguments of each command that begins with one of the words, up to a comment, pipe or the end."""
    for line in told(page):
        for found in re.finditer(rf"(?:^|[\s(：])(?:\S*/)?(?:{'|'.join(starts)})(?= |$)([^#|&;<>；，]*)", line):
            rest = found[1].strip()
            try:
                yield shlex.split(rest)
            except ValueError:  # a quote in a sentence
                yield rest.split()


def refused(arguments: list[str]) -> str | None:
    """What is wrong with `llm-gateway ARGUMENTS…`."""
    name, *rest = arguments
    if name.isupper() or name.startswith("-") or name == "…":
        return None
    command = cli.main.commands.get(name)
    if command is None:
        return f"llm-gateway {name}: there is no such command"
    # Click keeps what its help options are called from the first context on; docs/commands.md is made of them.
    context = click.Context(command, info_name=name, help_option_names=["-h", "--help"])
    try:
        command.make_parser(context).parse_args([each for each in rest if each != "…"])
    except click.UsageError as problem:
        return f"llm-gateway {shlex.join(arguments)}: {problem.format_message()}"
    return None


@cache
def targets() -> frozenset[str]:
    """The targets of the Makefile."""
    return frozenset(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("page", [*PAGES, *EXAMPLES], ids=str)
def test_commands_are_there_and_have_the_options_that_are_told(page: Path) -> None:
    lines = [each for each in commands(page, "llm-gateway", r"python3? -m llm_gateway") if each]
    assert [problem for each in lines if (problem := refused(each))] == []


@pytest.mark.parametrize("page", [*PAGES, *EXAMPLES], ids=str)
def test_scripts_have_the_options_that_are_told(page: Path) -> None:
    by_script = {command.script: command.name for command in reversed(COMMANDS)}
    wrong = []
    for script, name in by_script.items():
        lines = commands(page, rf"python3? {re.escape(script)}")
        wrong += [problem for each in lines if (problem := refused([name, *each]))]
    assert wrong == []


@pytest.mark.parametrize("page", [*PAGES, *EXAMPLES], ids=str)
def test_targets_of_make_are_there_and_are_run(page: Path) -> None:
    named = {word for each in commands(page, "make") for word in each[:1] if re.fullmatch(r"[a-z][a-z0-9-]*", word)}
    assert named - targets() == set(), "no such targets"
    called = "\n".join(path.read_text(encoding="utf-8") for path in ROOT.glob("tests/**/*.py")) + recipe_of_test()
    unrun = {each for each in named if each not in NOT_RUN and not re.search(rf"[\"'\s]{each}[\"'\s]", called)}
    assert unrun == set(), "a test should call it, or NOT_RUN say why none does"


@cache
def recipe_of_test() -> str:
    """What `make test` depends on and calls."""
    found = re.search(r"^test:.*\n(?:\t.*\n)+", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert found
    return found[0] + "\n"


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_data_of_a_run_are_options_of_its_script(page: Path) -> None:
    options = {command.script: {option.data for option in command.options} for command in COMMANDS}
    wrong = []
    for line in told(page):
        scripts = [script for script in options if re.search(rf"(?<![\w/]){re.escape(script)}", line)]
        known = set().union(*(options[script] for script in scripts or options))
        wrong += [name for name in re.findall(r"--data (\w+)=", line) if name not in known and name not in SETTINGS]
    assert [name for name in wrong if not name.isupper()] == []


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_settings_are_there(page: Path) -> None:
    text = read(page)
    spans = re.findall(r"`((?:gateway|openclaw|docker|verification)_[a-z_]+)(?: ?=[^`]*)?`", pages.prose(text))
    assigned = [name for block in pages.blocks(text) for line in block.lines for name in _assigned(block, line)]
    unknown = [name for name in [*spans, *assigned] if name not in SETTINGS and name not in NO_SETTINGS]
    assert unknown == []


def _assigned(block: pages.Block, line: str) -> list[str]:
    pattern = r"(?:^|[{\"' ])((?:gateway|openclaw|docker|verification)_[a-z_]+)(?:\"?:| = )"
    return re.findall(pattern, line) if block.language == "python" else []


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_the_lab_and_the_client_take_what_is_told(page: Path) -> None:
    for arguments in commands(page, r"python3? -m lab"):
        if arguments and arguments[0] not in ("--help", "COMMAND"):
            lab_parser().parse_args(arguments)
    for arguments in commands(page, r"python3? -m client", "llm-client"):
        if arguments and not arguments[0].isupper():
            client_parser("llm-client").parse_args(arguments)


def test_each_command_is_run_by_a_test() -> None:
    of_lab = "\n".join(path.read_text(encoding="utf-8") for path in ROOT.glob("tests/lab/*.py"))
    scripts = {command.script for command in COMMANDS}
    assert {
        script for script in scripts if Path(script).name not in of_lab and Path(script).stem not in of_lab
    } == set()


def test_what_is_not_there_is_named() -> None:
    assert refused(["rewind", "my-hosts.py"]) == "llm-gateway rewind: there is no such command"
    assert "No such option" in str(refused(["status", "--chekc"]))
    assert refused(["restore", "--host", "gw1", "--backup", "./a", "my-hosts.py"]) is None
