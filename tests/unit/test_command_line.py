"""The commands of `llm-gateway`: their help, and what of their options pyinfra gets."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from llm_gateway.command import cli, commands
from tests.unit.fake_hosts import ROOT

COMMANDS = sorted(cli.main.commands)
Run = Callable[..., list[str]]


def invoke(*arguments: str) -> Result:
    """`llm-gateway …` in this process, as far as pyinfra."""
    return CliRunner().invoke(cli.main, arguments, prog_name="llm-gateway")


def words_of(*values: str) -> list[str]:
    """Words for pyinfra of data and a script."""
    *data, script = values
    return ["-y", *(part for value in data for part in ("--data", value)), script]


def invoke_script(name: str, *arguments: str) -> Result:
    """`python deploys/NAME.py …` in this process, as far as pyinfra."""

    @click.command(context_settings={"ignore_unknown_options": True})
    @click.argument("given", nargs=-1, type=click.UNPROCESSED)
    def script(given: tuple[str, ...]) -> None:
        cli.run_script(name, given)

    return CliRunner().invoke(script, arguments)


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """The words that pyinfra gets, without the inventory and the script."""
    seen: list[dict[str, Any]] = []
    running = SimpleNamespace(
        Shown=lambda *_, **__: None,
        run=lambda words, typed, spell, place: seen.append({"words": words, "raw": True}),
        run_on_screen=lambda words, shown, spell, place, is_quiet: seen.append({"words": words, "raw": False}),
    )
    monkeypatch.setitem(sys.modules, "llm_gateway.command.running", running)
    monkeypatch.setattr("llm_gateway.command.running", running, raising=False)
    monkeypatch.setattr("llm_gateway.command.cli.signal.pthread_sigmask", lambda *_: None)
    monkeypatch.setattr("llm_gateway.command.cli.lean_imports.prepare", lambda: None)
    monkeypatch.setattr("llm_gateway.command.cli.early.begin", lambda *_: None)
    (tmp_path / "inventory.py").touch()
    (tmp_path / "hosts.py").touch()
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, inventory: str = "inventory.py", raw: bool = False, script: bool = False) -> list[str]:
        os.chdir(tmp_path)  # the command goes where config.py is
        result = invoke(*arguments) if not script else invoke_script(*arguments)
        assert result.exit_code == 0, result.output
        call = seen[0]
        place = inventory if inventory == "@local" else str(tmp_path / inventory)
        assert call["raw"] is raw
        assert call["words"][-4:-1] == ["--config", str(ROOT / "config.py"), place]
        assert (ROOT / call["words"][-1]).is_file()
        return [*call["words"][:-4], Path(call["words"][-1]).name]

    return run


def test_all_commands_are_there() -> None:
    expected = "deploy plan verify status history backup restore migrate upgrade rollback rotate remove export"
    assert set(COMMANDS) >= {*expected.split(), "reset-admin"}


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_says_its_purpose_in_a_line_and_an_example(name: str) -> None:
    result = invoke(name, "--help")
    assert result.exit_code == 0
    usage, _, purpose, _, example = result.output.splitlines()[:5]
    assert usage == f"Usage: llm-gateway {name} [OPTIONS] [INVENTORY]"
    assert purpose.endswith(".") and len(purpose) <= 80
    assert example.startswith(f"  Example: llm-gateway {name}")
    assert max(map(len, result.output.splitlines())) <= 80


def test_the_list_of_commands_fits_80_columns() -> None:
    listed = invoke("--help").output.splitlines()
    assert max(map(len, listed)) <= 80
    assert not [line for line in listed if line.endswith("...") and "Usage" not in line]


@pytest.mark.parametrize("name", [command.name for command in commands.COMMANDS])
def test_an_example_can_be_typed(name: str, words: Run) -> None:
    example = commands.by_name(name).example.split()
    assert words(*example)[-1] == Path(commands.by_name(name).script).name


def test_options_become_data_that_pyinfra_reads_as_text(words: Run) -> None:
    assert words("history", "--last", "20", "--json") == [
        *("-y", "--data", "last=20", "--data", "json=True"),
        "history.py",
    ]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (("deploy",), ["deploy.py"]),
        (("deploy", "-y", "--limit", "gw1", "--limit", "a1"), ["-y", "--limit", "gw1", "--limit", "a1", "deploy.py"]),
        (("deploy", "-y", "--dry"), ["--dry", "deploy.py"]),
        (("deploy", "-y", "--json"), ["-y", "--json", "deploy.py"]),
        (("plan", "--check", "--json"), ["-y", "--data", "plan_check=True", "--data", "plan_json=True", "plan.py"]),
        (
            ("usage", "--since", "30d", "--by", "day", "--json"),
            ["-y", "--data", 'usage_since="30d"', "--data", 'usage_by="day"', "--data", "usage_json=True", "usage.py"],
        ),
        (("usage", "--html"), ["-y", "--data", "usage_html=True", "usage.py"]),
        (("verify", "--models", "none"), ["-y", "--data", 'verification_models="none"', "verify.py"]),
        (("verify", "--turn"), ["-y", "--data", "openclaw_turn=always", "verify.py"]),
        (("restore", "--backup", "1.10"), ["--data", 'backup="1.10"', "restore.py"]),
        (
            ("migrate", "--source", "gw1", "--time-limit", "60"),
            ["--data", 'source="gw1"', "--data", "limit=60", "migrate.py"],
        ),
        (("remove", "-y", "--confirm", "gw1,a1"), ["-y", "--data", 'yes="gw1,a1"', "remove.py"]),
        (("upgrade", "--image", "one-api:v1"), ["--data", 'gateway_image="one-api:v1"', "deploy.py"]),
        (("export", "--output", "-"), ["-y", "--data", 'export_output="-"', "export.py"]),
        (("reset-admin", "--same-sudo-password"), ["--same-sudo-password", "reset_admin.py"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_typed_and_what_pyinfra_gets(typed: tuple[str, ...], expected: list[str], words: Run) -> None:
    assert words(*typed) == expected


@pytest.mark.parametrize(
    ("called", "expected"),
    [
        (("verify", "@local", "--models", "none"), ["-y", "--data", 'verification_models="none"', "verify.py"]),
        (("verify", "-vv", "--limit", "gw1", "@local"), ["-y", "--limit", "gw1", "-v", "-v", "verify.py"]),
        (("plan", "@local", "--check", "--json"), words_of("plan_check=True", "plan_json=True", "plan.py")),
        (("status", "@local", "--every", "5"), words_of("status_every=5", "status.py")),
        (("usage", "@local", "--since", "24h", "--csv"), words_of('usage_since="24h"', "usage_csv=True", "usage.py")),
        (("history", "@local", "--last", "3", "--json"), words_of("last=3", "json=True", "history.py")),
        (("backup", "@local"), ["-y", "backup.py"]),
        (("export", "@local", "--output", "-"), words_of('export_output="-"', "export.py")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_script_is_its_command_with_pyinfras_output(called: tuple[str, ...], expected: list[str], words: Run) -> None:
    assert words(*called, inventory="@local", raw=True, script=True) == expected


@pytest.mark.parametrize(
    ("called", "told"),
    [
        (("backup", "--fetch", ""), "--fetch: there is nothing behind it"),
        (("backup", "--fetch", "~nobody-of-that-name/in"), "~nobody-of-that-name/in: Could not determine home"),
        (("status", "--html", ""), "--html: there is nothing behind it"),
        (("status", "--every", "soon"), "'soon' is not a valid integer"),
        (("usage", "--since", "x"), "--since x: must be such as 7d, 24h or 2026-11-01"),
        (("usage", "--csv", "--html"), "--csv and --html: choose one"),
        (("history", "nowhere/inventory.py"), "There is no inventory file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_a_script_refuses(called: tuple[str, ...], told: str) -> None:
    script = commands.by_name(called[0]).script
    done = subprocess.run(
        [sys.executable, str(ROOT / script), *(["@local"] if "/" not in called[-1] else []), *called[1:]],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (1, 2)
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_files_are_written_where_it_was_typed(words: Run, tmp_path: Path) -> None:
    assert words("export") == ["-y", "--data", f'export_output="{tmp_path / "declared"}"', "export.py"]


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (("--since", "yesterday"), "--since yesterday: must be such as 7d, 24h or 2026-11-01"),
        (("--by", "agent,modl"), "did you mean 'model'?"),
        (("--json", "--html"), "--json and --html: choose one"),
    ],
)
def test_a_report_that_there_is_not_is_refused_before_anything_is_begun(
    typed: tuple[str, ...], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inventory.py").touch()
    result = invoke("usage", *typed)
    assert result.exit_code == 2
    assert told in result.output


def test_paths_are_those_of_where_it_was_typed(words: Run, tmp_path: Path) -> None:
    fetched = words("backup", "--fetch", "backups", "hosts.py", inventory="hosts.py")
    assert fetched == ["-y", "--data", f'fetch="{tmp_path / "backups"}"', "backup.py"]


def test_a_backup_with_a_slash_is_a_path_here(words: Run, tmp_path: Path) -> None:
    assert words("restore", "--backup", "./b.tar.gz")[1] == f'backup="{tmp_path / "b.tar.gz"}"'


@pytest.mark.parametrize("option", ["-v", "-vvv", "--diff", "--serial", "--no-wait", "--debug"])
def test_pyinfras_own_output_is_shown_where_it_is_asked_for(option: str, words: Run) -> None:
    given = ["-v"] * (len(option) - 1) if option.startswith("-v") else [option]
    assert words("deploy", option, raw=True) == [*given, "deploy.py"]


def test_without_an_inventory_it_says_what_makes_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke("deploy")
    assert result.exit_code == 2
    assert "there is no ./inventory.py here" in result.output
    assert "llm-gateway init" in result.output


@pytest.mark.parametrize(
    "typed", [["deploy", "--nosuch"], ["migrate"], ["rotate"], ["upgrade"], ["verify", "--models", "some"], ["nosuch"]]
)
def test_what_is_typed_wrongly_ends_with_2(typed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inventory.py").touch()
    result = invoke(*typed)
    assert result.exit_code == 2, result.output
    assert "Usage: llm-gateway" in result.output


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_its_commands(shell: str) -> None:
    script = subprocess.run(
        [sys.executable, "-c", "from llm_gateway.command.cli import main; main(prog_name='llm-gateway')"],
        env={**os.environ, "_LLM_GATEWAY_COMPLETE": f"{shell}_source"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if shell == "bash" and "Bash" in script.stderr:
        pytest.fail(script.stderr)
    assert "llm-gateway" in script.stdout
    assert f"{shell}_complete" in script.stdout


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("llm-gateway mig", ["migrate"]),
        ("llm-gateway verify --mod", ["--models"]),
        ("llm-gateway verify --models ", ["all", "changed", "none"]),
        ("llm-gateway deploy inv", ["inventory.py"]),
    ],
)
def test_bash_completes_what_is_typed(typed: str, expected: list[str], tmp_path: Path) -> None:
    """As bash itself asks for it, once `eval "$(_LLM_GATEWAY_COMPLETE=bash_source llm-gateway)"` was run."""
    program = tmp_path / "bin" / "llm-gateway"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nfrom llm_gateway.command.start import main\nmain()\n")
    program.chmod(0o755)
    (tmp_path / "inventory.py").touch()
    asking = """
        eval "$(_LLM_GATEWAY_COMPLETE=bash_source llm-gateway)"
        read -ra COMP_WORDS <<< "$1"
        [[ $1 != *" " ]] || COMP_WORDS+=("")
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        function=$(complete -p llm-gateway | sed 's/.*-F \\([^ ]*\\).*/\\1/')
        compopt() { :; }  # of a completion under way alone
        "$function" llm-gateway
        # for a path, bash itself lists files
        [ "${#COMPREPLY[@]}" -gt 0 ] || COMPREPLY=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    done = subprocess.run(
        ["bash", "-c", asking, "bash", typed],
        env={**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout.split(), done.stderr) == (expected, "")


def test_help_loads_nothing_of_pyinfra() -> None:
    """Completion runs the program at each press of the key."""
    loaded = "import sys; from llm_gateway.command import cli; print([m for m in sys.modules if 'pyinfra' in m])"
    result = subprocess.run([sys.executable, "-c", loaded], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("deploy", "--json"), "add -y to carry it out, or --dry"),
        (("restore", "--json", "--backup", "a"), "add -y to carry it out, or --dry"),
        (("upgrade", "--image", ""), "--image: there is nothing behind it"),
        (("restore", "--backup", ""), "--backup: there is nothing behind it"),
        (("status", "--html", ""), "--html: there is nothing behind it"),
        (("remove", "--fetch", ""), "--fetch: there is nothing behind it"),
        (("logs", "--json"), "No such option"),
        (("export", "--json"), "No such option"),
        (("deploy", "--group-data", "nosuch"), "does not exist"),
        (("deploy", "--parallel", "x"), "is not a valid integer"),
        (("logs", "--lines", "abc"), "is not a valid integer"),
        (("deploy", "--data", "foo"), "write it as NAME=VALUE"),
        (("deploy", "--quiet", "--serial"), "--quiet, and an option that shows"),
        (("deploy", ""), "there is no ./inventory.py"),
    ],
)
def test_what_is_typed_wrongly_is_refused(words: Run, arguments: tuple[str, ...], told: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2, result.output
    assert told in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("inventory", "seen"),
    [
        ("hosts.py", "{here}/hosts.py"),
        ("nope.py", "{here}/nope.py"),
        ("lab/inventory.py", "{here}/lab/inventory.py"),
        ("@local", "@local"),
        ("gw1,gw2", "gw1,gw2"),
        ("@ssh/gw1", "@ssh/gw1"),
    ],
)
def test_an_inventory_is_one_that_is_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inventory: str, seen: str
) -> None:
    (tmp_path / "hosts.py").touch()
    monkeypatch.chdir(tmp_path)
    assert commands.seen_from_here(inventory) == seen.format(here=tmp_path)
