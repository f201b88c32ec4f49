"""`llm-gateway init`: what it writes, who can read it, and what it refuses."""

from __future__ import annotations

import os
import runpy
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from llm_gateway.command import cli, new_inventory
from llm_gateway.inputs import inventory_groups
from llm_gateway.inputs.secrets import Provided

KEY = "sk-typed-by-a-person"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty present directory, and no key in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in new_inventory.secret_names():
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def init(*arguments: str, typed: str | None = None) -> Result:
    """`llm-gateway init …`; `typed` at a terminal, else without one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(new_inventory, "_has_terminal", lambda: typed is not None)
        return CliRunner().invoke(cli.main, ["init", *arguments], input=typed, prog_name="llm-gateway")


def mode(path: Path) -> int:
    """Who can read it."""
    return stat.S_IMODE(path.stat().st_mode)


def test_options_alone_make_both_files(place: Path) -> None:
    done = init("--gateway", "gw1.example.ts.net", "--openclaw", "a1", "--openclaw", "a2", "--ssh-user", "admin")
    assert done.exit_code == 0, done.output
    groups: dict[str, Any] = runpy.run_path(str(place / "inventory.py"))
    login = {"ssh_user": "admin", "_sudo": True}
    secrets = str(place / "secrets.env")
    assert groups["gateways"] == [("gw1.example.ts.net", {**login, "secrets_file": secrets})]
    assert groups["openclaw"] == [("a1", login), ("a2", login)]
    assert list(inventory_groups.wrong_groups(groups)) == []
    assert mode(place / "secrets.env") == 0o600
    assert Provided(secrets).from_file == {}
    assert done.stderr.splitlines()[-2:] == ["Next: write the keys into secrets.env", "Next: llm-gateway deploy"]
    assert done.stdout == ""


def test_a_person_is_asked_and_keys_are_not_shown(place: Path) -> None:
    done = init("hosts.py", typed=f"gw1, gw2\na1\n\n{KEY}\n\n")
    assert done.exit_code == 0, done.output
    assert KEY not in done.output
    groups: dict[str, Any] = runpy.run_path(str(place / "hosts.py"))
    secrets = str(place / "secrets.env")
    assert groups["gateways"] == [(name, {"ssh_user": "root", "secrets_file": secrets}) for name in ("gw1", "gw2")]
    assert groups["openclaw"] == [("a1", {"ssh_user": "root"})]
    assert Provided(secrets, {}).from_file == {"DASHSCOPE_API_KEY": KEY}
    assert "# MINIMAX_API_KEY=\n" in (place / "secrets.env").read_text()
    assert done.stderr.splitlines()[-1] == "Next: llm-gateway deploy hosts.py"


def test_keys_of_the_environment_are_taken(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in new_inventory.secret_names():
        monkeypatch.setenv(name, KEY)
    done = init("--gateway", "gw1")
    assert KEY not in done.output
    assert set(Provided(str(place / "secrets.env"), {}).from_file.values()) == {KEY}
    assert done.stderr.splitlines()[-1] == "Next: llm-gateway deploy"
    assert "write the keys" not in done.output


def test_the_secrets_are_private_from_their_first_byte(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the umask lets others read what is made."""
    modes: list[int] = []
    fdopen = os.fdopen

    def looking(descriptor: int, *arguments: Any, **options: Any) -> Any:
        modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        assert os.fstat(descriptor).st_size == 0
        return fdopen(descriptor, *arguments, **options)

    monkeypatch.setattr(os, "fdopen", looking)
    before = os.umask(0)
    try:
        assert init("--gateway", "gw1").exit_code == 0
    finally:
        os.umask(before)
    assert modes == [0o600, 0o644]


@pytest.mark.parametrize("name", ["inventory.py", "secrets.env"])
@pytest.mark.parametrize("kind", ["file", "link"])
def test_nothing_is_overwritten(name: str, kind: str, place: Path) -> None:
    path = place / name
    path.write_text("mine\n") if kind == "file" else path.symlink_to("nowhere")
    done = init("--gateway", "gw1")
    assert done.exit_code == 2
    assert f"{name} is there already and is left as it is" in done.output
    assert [each.name for each in place.iterdir()] == [name]
    assert kind == "link" or path.read_text() == "mine\n"


def test_without_a_terminal_and_a_host_it_says_what_to_name(place: Path) -> None:
    done = init()
    assert done.exit_code == 2
    assert "--gateway: name the host" in done.output
    assert list(place.iterdir()) == []


def test_a_host_with_quotes_in_its_name_stays_a_text(place: Path) -> None:
    assert init("--gateway", 'a"b\\', "--no-sudo").exit_code == 0
    assert runpy.run_path(str(place / "inventory.py"))["gateways"][0][0] == 'a"b\\'


def test_no_option_takes_a_secret() -> None:
    flags = {flag for parameter in cli.main.commands["init"].params for flag in parameter.opts}
    assert not [flag for flag in flags if "key" in flag.lower() or "password" in flag]
