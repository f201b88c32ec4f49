"""The access token and root's password, changed by hand and made right again: on a real database, by the real API."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from pyinfra.api import DeployError
from standin_kit import Gateway

from llm_gateway.hosts import remote
from llm_gateway.hosts.topology import Node
from llm_gateway.inputs.secrets import Generated, Provided
from llm_gateway.parts import database
from llm_gateway.tasks import reset_admin
from llm_gateway.tasks.reset_admin import Access
from tests.unit.local_host import LocalHost
from tests.unit.topology import GENERATED

pytestmark = pytest.mark.slow

pytest_plugins = ["standin_fixtures"]
HAND_MADE = "set-by-a-person"
WORKS = "work: nothing to fix"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalHost:
    return LocalHost(tmp_path, monkeypatch, "python3")


@pytest.fixture
def gateway(host: LocalHost, monkeypatch: pytest.MonkeyPatch) -> object:
    """A gateway as a deployment leaves it."""
    running = Gateway(host.place / "data", INITIAL_ROOT_ACCESS_TOKEN=GENERATED.access_token, SQLITE_BUSY_TIMEOUT="200")
    running.ok("PUT", "/api/user/self", {"password": GENERATED.root_password}, GENERATED.access_token)
    remote.write_now(None, f"{host.place}/secrets.env", GENERATED.render().encode(), "600")  # type: ignore[arg-type]
    host.lead_to(running.url, monkeypatch)
    yield running
    running.stop()


def change_by_hand(gateway: Gateway, password: str | None = None, *, token: bool = True) -> str:
    """What a person clicks: another root password, a new access token. Returns the token that works afterwards."""
    if password:
        gateway.ok("PUT", "/api/user/self", {"password": password}, GENERATED.access_token)
    return gateway.ok("GET", "/api/user/token", token=GENERATED.access_token) if token else GENERATED.access_token


def fix(made: Node, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], bool]:
    """Run it: the names of the steps, and whether they succeeded."""
    names: list[str] = []
    outcomes: list[bool] = []

    def shell(name: str, command: str) -> None:
        names.append(name)

    def carry_out(name: str, node: Node, access: Access) -> None:
        names.append(name)
        (command,) = inner(node, access)
        outcomes.append(command.function(None, node.host, *command.args))

    inner = reset_admin._fix._inner  # type: ignore[attr-defined]
    with monkeypatch.context() as patched:
        patched.setattr(remote, "shell", shell)
        patched.setattr(reset_admin, "_fix", carry_out)
        reset_admin.fix(made.machine)
    return names, all(outcomes)


def check_right(host: LocalHost, gateway: Gateway) -> Generated:
    """Both secrets of the file work, it is root's alone, and nothing secret was said."""
    file = host.place / "secrets.env"
    kept = Generated.read(file.read_text())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert gateway.ok("GET", "/api/user/self", token=kept.access_token)["role"] == 100
    assert gateway.login("root", kept.root_password).json()["success"]
    said = "\n".join((*host.told, *host.commands))
    for secret in (kept.access_token, kept.root_password, kept.session_secret, kept.access_token.encode().hex()):
        assert secret not in said
    return kept


def test_nothing_is_changed_where_nothing_is_wrong(
    host: LocalHost, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fix(host.gateway().node, monkeypatch) == ([], True)
    assert host.told[0].endswith(WORKS)
    assert check_right(host, gateway) == GENERATED


def test_with_both_changed_it_goes_through_the_database(
    host: LocalHost, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = host.rows("SELECT * FROM users"), host.rows("SELECT * FROM tokens")
    by_hand = change_by_hand(gateway, HAND_MADE)
    names, done = fix(host.gateway().node, monkeypatch)
    assert (names, done) == (["Give root a new access token through the database"], True), host.told
    kept = check_right(host, gateway)
    assert kept == replace(GENERATED, access_token=kept.access_token), "the password of the file is root's again"
    assert kept.access_token != GENERATED.access_token, "One API has written the refused one into its log"
    assert not gateway.api("GET", "/api/user/self", token=by_hand)["success"]
    (backup,) = host.backups
    assert str(backup) in host.told[0]
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert host.rows("SELECT access_token FROM users WHERE id = 1", backup) == [(by_hand,)]
    assert host.rows("SELECT id, username FROM users") == [row[:2] for row in before[0]]
    assert host.rows("SELECT * FROM tokens") == before[1]
    assert fix(host.gateway().node, monkeypatch)[0] == [], "a second run has nothing to do"


def test_with_the_password_still_right_the_api_makes_a_token(
    host: LocalHost, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_by_hand(gateway)
    assert fix(host.gateway().node, monkeypatch)[0] == ["Have a new access token made, with root's password"]
    assert check_right(host, gateway).root_password == GENERATED.root_password
    assert host.backups == []


def test_a_password_that_is_handed_in_stays(host: LocalHost, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    change_by_hand(gateway, HAND_MADE)
    made = host.gateway()
    made.node.machine.provided = Provided(None, {"ONEAPI_ROOT_PASSWORD": HAND_MADE})
    assert fix(made.node, monkeypatch)[0] == ["Have a new access token made, with root's password"]
    assert check_right(host, gateway).root_password == HAND_MADE
    assert host.backups == []


def test_a_handed_in_password_is_written_where_the_token_works(
    host: LocalHost, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_by_hand(gateway, HAND_MADE, token=False)
    made = host.gateway()
    made.node.machine.provided = Provided(None, {"ONEAPI_ROOT_PASSWORD": HAND_MADE})
    assert fix(made.node, monkeypatch)[0] == ["Write the root password that was handed in into secrets.env"]
    assert check_right(host, gateway) == replace(GENERATED, root_password=HAND_MADE)


def test_an_unknown_password_is_set_by_the_token(
    host: LocalHost, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_by_hand(gateway, HAND_MADE, token=False)
    made = host.gateway()
    made.node.machine.provided = Provided(None, {"ONEAPI_ROOT_PASSWORD": "a wrong guess"})
    assert fix(made.node, monkeypatch)[0] == ["Set root's password to the one in secrets.env"]
    assert host.told[0] == "the password in ONEAPI_ROOT_PASSWORD is not root's either"
    assert check_right(host, gateway) == GENERATED


def test_a_lost_file_is_made_anew_and_nobody_is_logged_out(
    host: LocalHost, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    (host.place / "secrets.env").unlink()
    assert fix(host.gateway().node, monkeypatch)[1], host.told
    assert check_right(host, gateway).session_secret == "in-force"


@pytest.mark.parametrize("password", ["short", "x" * 21, "with-ünïcode", "123456"])
def test_a_password_in_the_file_that_one_api_would_refuse_is_replaced(
    host: LocalHost, gateway: Gateway, monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    change_by_hand(gateway, HAND_MADE)
    made = host.gateway()
    made.generated = replace(GENERATED, root_password=password, access_token="not one")
    assert fix(made.node, monkeypatch)[1], host.told
    assert len(check_right(host, gateway).root_password) == 20


@pytest.mark.parametrize("where", ["back_up", "set_token"])
def test_a_run_that_is_cut_off_is_finished_by_the_next(
    host: LocalHost, gateway: Gateway, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    by_hand = change_by_hand(gateway, HAND_MADE)

    def cut_off(*arguments: object) -> str:
        raise remote.RemoteError("the connection is gone")

    with monkeypatch.context() as patched:
        patched.setattr(database, where, cut_off)
        assert not fix(host.gateway().node, monkeypatch)[1]
    assert "the admin access is not right yet: the connection is gone" in host.told[-1]
    assert gateway.api("GET", "/api/user/self", token=by_hand)["success"], "what worked before works still"
    assert fix(host.gateway().node, monkeypatch)[1], host.told
    check_right(host, gateway)


def test_a_run_that_is_cut_off_before_the_password_is_finished_by_the_next(
    host: LocalHost, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_by_hand(gateway, HAND_MADE)

    def cut_off(*arguments: object) -> None:
        raise remote.RemoteError("the connection is gone")

    with monkeypatch.context() as patched:
        patched.setattr(reset_admin, "_confirm", cut_off)
        assert not fix(host.gateway().node, monkeypatch)[1]
    assert fix(host.gateway().node, monkeypatch) == (["Set root's password to the one in secrets.env"], True)
    check_right(host, gateway)


def test_a_locked_database_changes_nothing(host: LocalHost, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    by_hand = change_by_hand(gateway, HAND_MADE)
    with host.locked():
        assert not fix(host.gateway().node, monkeypatch)[1]
    assert "keeps the database" in host.told[-1]
    assert "End it, and run the command again" in host.told[-1]
    assert (host.place / "secrets.env").read_text() == GENERATED.render()
    assert host.rows("SELECT access_token FROM users WHERE id = 1") == [(by_hand,)]


def test_a_lock_while_the_api_writes_is_told_too(
    host: LocalHost, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_by_hand(gateway)
    with host.locked():
        assert not fix(host.gateway().node, monkeypatch)[1]
    assert "GET /api/user/token failed, another program keeps the database" in host.told[-1]


def test_a_token_that_the_database_has_and_the_gateway_refuses(
    host: LocalHost, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One API says so of every token while its database cannot be read."""
    monkeypatch.setattr(reset_admin, "examine", lambda node: Access("root", token=False, password=None))
    assert not fix(host.gateway().node, monkeypatch)[1]
    assert "Another program may have kept the database locked at that moment: run this again" in host.told[-1]
    assert host.backups == []


def test_too_many_log_ins_are_told(host: LocalHost, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    while httpx.post(f"{gateway.url}/api/user/login", json={}).status_code != 429:
        pass
    with pytest.raises(DeployError, match="takes no more log-ins for now: run this again in 20 minutes"):
        fix(host.gateway().node, monkeypatch)


def test_a_password_that_can_be_set_and_not_tried(
    host: LocalHost, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_by_hand(gateway, HAND_MADE)
    monkeypatch.setattr(reset_admin, "examine", lambda node: Access("root", token=False, password=None))
    while httpx.post(f"{gateway.url}/api/user/login", json={}).status_code != 429:
        pass
    assert fix(host.gateway().node, monkeypatch)[1], host.told
    assert "root's password was set, and not tried: the gateway takes no more log-ins" in "".join(host.told)
    check_right(host, gateway)


def test_sqlite_is_installed_where_nothing_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = LocalHost(tmp_path, monkeypatch)
    monkeypatch.setattr(reset_admin, "examine", lambda node: Access("root", token=False, password=None))
    monkeypatch.setattr(reset_admin, "_run", lambda *arguments: True)
    names, _ = fix(host.gateway().node, monkeypatch)
    assert names == [
        "Install sqlite3, which writes the gateway's database",
        "Give root a new access token through the database",
    ]


def test_a_gateway_on_another_database_is_refused(
    host: LocalHost, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_by_hand(gateway, HAND_MADE)
    with pytest.raises(DeployError, match=r"gw1: the gateway does not use .*; nothing was changed"):
        fix(host.gateway(database_size="").node, monkeypatch)
