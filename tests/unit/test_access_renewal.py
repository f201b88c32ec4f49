"""New secrets of a gateway, wherever the run is cut off: on a real database, by the real API of the stand-in."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from standin_kit import Gateway

from llm_gateway.hosts import remote
from llm_gateway.inputs.secrets import Generated, SecretsError
from llm_gateway.model.layout import NEXT_SECRETS
from llm_gateway.parts import database, service
from llm_gateway.tasks.rotation import access_renewal
from llm_gateway.tasks.rotation.access_renewal import KINDS, RotationError, carry_out, staged, with_new
from tests.unit.local_host import LocalHost
from tests.unit.topology import GENERATED

pytestmark = pytest.mark.slow

pytest_plugins = ["standin_fixtures"]
STEPS = (
    "writing the new secrets beside the present ones, in secrets.env.next",
    "giving root the new access token",
    "setting root's new password",
    "putting the new secrets in the place of the present ones, in secrets.env",
    "starting the gateway anew with its session secret: it does not answer for some seconds",
)


class CutOffError(Exception):
    """The run was killed."""


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalHost:
    made = LocalHost(tmp_path, monkeypatch, "python3")
    for program, text in (("docker", "echo 172.18.0.2"), ("systemctl", 'echo "$*" >> "$0.asked"')):
        place = tmp_path / "programs" / program
        place.write_text(f"#!/bin/sh\n{text}\n")
        place.chmod(0o755)
    monkeypatch.setattr(service, "await_answer", lambda *arguments: None)
    monkeypatch.setattr(access_renewal, "runs_with_older_files", lambda node: False)
    return made


@pytest.fixture
def gateway(host: LocalHost, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    running = Gateway(host.place / "data", INITIAL_ROOT_ACCESS_TOKEN=GENERATED.access_token, SQLITE_BUSY_TIMEOUT="200")
    running.ok("PUT", "/api/user/self", {"password": GENERATED.root_password}, GENERATED.access_token)
    remote.write_now(None, f"{host.place}/secrets.env", GENERATED.render().encode(), "600")  # type: ignore[arg-type]
    host.lead_to(running.url, monkeypatch)
    yield running
    running.stop()


def rotate(host: LocalHost, kinds: tuple[str, ...], step: Callable[[str], None] = lambda text: None) -> None:
    """As a run does: it reads the host, and finishes what another has left."""
    left = host.place / NEXT_SECRETS
    made = host.gateway(**({"next_secrets": left.read_text()} if left.exists() else {}))
    carry_out(made.node, with_new(staged(made.node) or made.generated, kinds), step)


def works(host: LocalHost, gateway: Gateway) -> Generated:
    """The secrets of the file, which the gateway takes; the file is root's alone, and the only one."""
    file = host.place / "secrets.env"
    kept = Generated.read(file.read_text())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not (host.place / NEXT_SECRETS).exists()
    assert gateway.ok("GET", "/api/user/self", token=kept.access_token)["role"] == 100
    assert gateway.login("root", kept.root_password).json()["success"]
    said = "\n".join((*host.told, *host.commands))
    for secret in (*vars(kept).values(), kept.access_token.encode().hex()):
        assert not secret or secret not in said
    return kept


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_alone_changes_nothing_else(host: LocalHost, gateway: Gateway, kind: str) -> None:
    told: list[str] = []
    rotate(host, (kind,), told.append)
    kept = works(host, gateway)
    now, before = vars(kept), vars(GENERATED)
    assert {name for name in now if now[name] != before[name]} - {"fingerprint_secret"} == {kind}
    assert kept.mark_secret == GENERATED.mark_secret, "the fingerprints of the channels' keys stay valid"
    restarted = host.place / "programs/systemctl.asked"
    assert restarted.exists() == (kind == "session_secret")
    number = {"access_token": 1, "root_password": 2, "session_secret": 4}[kind]
    assert told == [STEPS[at] for at in sorted({0, 3, number})]


def test_the_old_ones_are_refused(host: LocalHost, gateway: Gateway) -> None:
    rotate(host, KINDS)
    kept = works(host, gateway)
    assert not gateway.api("GET", "/api/user/self", token=GENERATED.access_token)["success"]
    assert not gateway.login("root", GENERATED.root_password).json()["success"]
    assert f"SESSION_SECRET={kept.session_secret}\n" in (host.place / ".env").read_text()
    assert host.rows("SELECT count(*) FROM users") == [(1,)]


@pytest.mark.parametrize("following", [(), KINDS], ids=["a deployment", "another rotation"])
@pytest.mark.parametrize("at", range(len(STEPS)))
def test_a_run_that_is_cut_off_leaves_a_way_in_and_is_finished_by_the_next(
    host: LocalHost, gateway: Gateway, at: int, following: tuple[str, ...]
) -> None:
    def step(text: str) -> None:
        if text == STEPS[at]:
            raise CutOffError

    with pytest.raises(CutOffError):
        rotate(host, KINDS, step)
    known = [Generated.read(file.read_text()) for file in host.place.glob("secrets.env*")]
    found = {each.access_token for each in known}
    assert any(gateway.api("GET", "/api/user/self", token=token)["success"] for token in found)
    assert any(gateway.login("root", each.root_password).json()["success"] for each in known)
    rotate(host, following)
    kept = works(host, gateway)
    assert kept.mark_secret == GENERATED.mark_secret
    if at > 0 or following:
        assert kept.access_token != GENERATED.access_token


def test_one_api_never_sees_a_token_that_it_does_not_know(host: LocalHost, gateway: Gateway) -> None:
    """It writes each into its log."""
    rotate(host, KINDS)
    assert works(host, gateway).access_token not in gateway.log_text()


def test_a_locked_database_is_told_and_the_present_secrets_work(host: LocalHost, gateway: Gateway) -> None:
    with host.locked(), pytest.raises(database.DatabaseError, match="End it, and run the command again"):
        rotate(host, ("access_token",))
    assert Generated.read((host.place / "secrets.env").read_text()) == GENERATED
    assert gateway.ok("GET", "/api/user/self", token=GENERATED.access_token)["role"] == 100
    rotate(host, ())
    assert works(host, gateway).access_token != GENERATED.access_token


def test_a_password_that_cannot_be_tried_is_told(host: LocalHost, gateway: Gateway) -> None:
    while httpx.post(f"{gateway.url}/api/user/login", json={}).status_code != 429:
        pass
    rotate(host, ("root_password",))
    assert "root's password was set, and not tried: the gateway takes no more log-ins" in "".join(host.told)
    works(host, gateway)


def test_a_gateway_that_does_not_start_again_is_told(
    host: LocalHost, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "await_answer", lambda *arguments: "after 1 s: nothing listens")
    with pytest.raises(RotationError, match="does not answer with its new session secret: after 1 s"):
        rotate(host, ("session_secret",))


def test_a_gateway_that_does_not_run_is_told(host: LocalHost, gateway: Gateway) -> None:
    (host.place / "programs/docker").write_text("#!/bin/sh\necho\n")
    with pytest.raises(RotationError, match=r"systemctl start .* then run this again"):
        rotate(host, ("root_password",))


def test_secrets_that_were_left_and_cannot_be_read_are_told(host: LocalHost, gateway: Gateway) -> None:
    with pytest.raises(SecretsError, match=r"secrets.env.next, which a rotation has left, is damaged: .* remove it"):
        staged(host.gateway(next_secrets="SESSION_SECRET=half\n").node)


def test_two_rotations_of_the_session_secret_keep_the_fingerprints() -> None:
    older = replace(GENERATED, fingerprint_secret="")
    for before, secret in ((GENERATED, GENERATED.fingerprint_secret), (older, older.session_secret)):
        once = with_new(before, ("session_secret",))
        twice = Generated.read(with_new(once, ("session_secret",)).render())
        assert len({before.session_secret, once.session_secret, twice.session_secret}) == 3
        assert twice.mark_secret == once.mark_secret == before.mark_secret == secret


def test_the_secrets_of_an_older_gateway_are_read_and_written_as_they_were() -> None:
    older = replace(GENERATED, fingerprint_secret="")
    assert Generated.read(older.render()) == older
    assert "FINGERPRINT" not in older.render(), "another content would start the gateway anew"
