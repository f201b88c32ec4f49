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
    for name in (*new_inventory.secret_names(), "LC_ALL", "LC_MESSAGES", "LANG"):
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
    assert groups["openclaw"] == [("a1", {"ssh_user": "root", "openclaw_gateway": "gw1"})]
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


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["new/hosts.py", "--gateway", "gw1"], "there is no directory new; make it first: mkdir -p new"),
        (["b/secrets.env", "--gateway", "gw1"], "an inventory cannot be called b/secrets.env"),
        ([f"{'a' * 300}.py", "--gateway", "gw1"], "cannot be written: File name too long"),
        (["b/file/hosts.py", "--gateway", "gw1"], "b/file/hosts.py cannot be written: Not a directory"),
        ([".", "--gateway", "gw1"], ". is there already"),
        (["--gateway", ""], "--gateway: '' names no host"),
        (["--gateway", "gw1", "--openclaw", " , "], "--openclaw: ' , ' names no host"),
        (["--gateway", "admin@127.0.0.1"], "name the host alone, and the user by --ssh-user admin"),
        (["--gateway", "gw1", "--openclaw", "a..b"], "--openclaw: 'a..b' is not a valid host name"),
    ],
)
def test_what_is_refused_is_refused_before_a_question(arguments: list[str], said: str, place: Path) -> None:
    (place / "b").mkdir()
    (place / "b" / "file").touch()
    done = init(*arguments, typed="")
    assert (done.exit_code, said in done.stderr) == (2, True), done.stderr
    assert "not shown" not in done.stderr
    assert sorted(str(path.relative_to(place)) for path in place.rglob("*")) == ["b", "b/file"]


def test_a_directory_that_one_may_not_write_into(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may write into any."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    done = init("--gateway", "gw1", typed="")
    assert (done.exit_code, "you may not write into the directory ." in done.stderr) == (2, True), done.stderr
    assert list(place.iterdir()) == []


def test_where_the_inventory_cannot_be_written_no_secrets_stay(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fdopen = os.fdopen
    modes = iter((False, True))

    def full(descriptor: int, *arguments: Any, **options: Any) -> Any:
        if next(modes):
            os.close(descriptor)
            raise OSError(28, "No space left on device")
        return fdopen(descriptor, *arguments, **options)

    monkeypatch.setattr(os, "fdopen", full)
    done = init("--gateway", "gw1")
    assert done.exit_code == 2
    assert "inventory.py cannot be written: No space left on device" in done.stderr
    assert list(place.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "hosts"),
    [
        (["--gateway", "gw1,gw2"], ["gw1", "gw2"]),
        (["--gateway", "gw1, gw2,", "--gateway", "gw1"], ["gw1", "gw2"]),
        (["--gateway", "@docker/one"], ["@docker/one"]),
    ],
)
def test_commas_stand_between_hosts_in_an_option_too(options: list[str], hosts: list[str], place: Path) -> None:
    assert init(*options).exit_code == 0
    assert [name for name, _ in runpy.run_path(str(place / "inventory.py"))["gateways"]] == hosts


def test_with_two_gateways_each_openclaw_host_says_which(place: Path) -> None:
    assert init("--gateway", "gw1,gw2", "--openclaw", "a1,gw2").exit_code == 0
    login = {"ssh_user": "root"}
    openclaw = runpy.run_path(str(place / "inventory.py"))["openclaw"]
    assert openclaw == [("a1", {**login, "openclaw_gateway": "gw1"}), ("gw2", login)]
    assert "`openclaw_gateway` says which" in (place / "inventory.py").read_text()


def test_a_wrong_answer_is_asked_again(place: Path) -> None:
    """Each where it was typed, and a key is not shown."""
    done = init(typed=f" , \nadmin@gw1\ngw1\n ,\na1\n\nsk-it's\nsk two\n {KEY} \n\n")
    assert done.exit_code == 0, done.output
    for said in (
        "Error: ' , ' names no host",
        "Error: 'admin@gw1' names a user",
        "Error: ' ,' names no host",
        "Error: DASHSCOPE_API_KEY: the value holds a single quote",
        "Error: DASHSCOPE_API_KEY: this secret holds a blank",
    ):
        assert said in done.stderr
    assert "sk-it's" not in done.output
    groups: dict[str, Any] = runpy.run_path(str(place / "inventory.py"))
    assert [[name for name, _ in groups[group]] for group in ("gateways", "openclaw")] == [["gw1"], ["a1"]]
    assert Provided(str(place / "secrets.env"), {}).from_file == {"DASHSCOPE_API_KEY": KEY}


def test_keys_of_the_environment_are_stripped_and_a_blank_one_is_missing(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DASHSCOPE_API_KEY", f" {KEY}\n")
    monkeypatch.setenv("MINIMAX_API_KEY", "  ")
    done = init("--gateway", "gw1")
    assert Provided(str(place / "secrets.env"), {}).from_file == {"DASHSCOPE_API_KEY": KEY}
    assert "Next: write the keys into secrets.env" in done.stderr


def test_a_wrong_key_in_the_environment_is_told_before_a_question(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-it's")
    done = init(typed="")
    assert (done.exit_code, "sk-it's" in done.output, "Hosts that" in done.output) == (2, False, False)
    assert "in the environment: DASHSCOPE_API_KEY: the value holds a single quote" in done.stderr
    assert list(place.iterdir()) == []


def test_a_person_is_asked_in_chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    done = init(typed="gw1\n\n\n\n\n")
    assert done.exit_code == 0, done.output
    assert "部署网关的主机" in done.stderr
    assert "下一步： llm-gateway deploy" in done.stderr


def test_the_end_of_the_input_is_no_interruption(place: Path) -> None:
    done = init(typed="gw1\n")
    assert (done.exit_code, "Aborted!" in done.stderr) == (1, True)
    assert list(place.iterdir()) == []
