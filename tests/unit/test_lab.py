"""The parts of the lab that need no Docker."""

import dataclasses
import json
import os
import shlex
import sqlite3
import subprocess
import tarfile
from io import BytesIO
from ipaddress import IPv4Network
from pathlib import Path

import bcrypt
import pytest

from lab import (
    apt,
    archives,
    building,
    docker,
    gateway_image,
    keys,
    legacy_database,
    openclaw_image,
    profiles,
    state,
    subnets,
    tailnet,
    waiting,
)
from lab.errors import LabError

CHECKOUT = Path(__file__).resolve().parents[2]
HOST = state.Host("fresh", "172.30.4.10", "100.64.4.10", 22, "operator", "/k", "/known_hosts")


def test_subnets_avoid_what_docker_and_the_routes_use() -> None:
    used = [IPv4Network("100.64.0.7/32"), IPv4Network("172.30.1.0/24"), IPv4Network("10.0.0.0/8")]
    tailnet, lan = subnets.choose(used)
    assert (str(tailnet), str(lan)) == ("100.64.2.0/24", "172.30.2.0/24")


def test_subnets_can_run_out() -> None:
    with pytest.raises(LabError, match="no free subnet"):
        subnets.choose([IPv4Network("172.30.0.0/16")])


def test_only_narrow_routes_count() -> None:
    routes = [
        {"dst": "default"},
        {"dst": "100.64.0.0/10"},
        {"dst": "100.64.3.4"},
        {"type": "broadcast", "dst": "172.30.0.255"},
        {"dst": "172.30.9.0/24"},
    ]
    found = subnets.routes_from_json(json.dumps(routes))
    assert [str(n) for n in found] == ["100.64.3.4/32", "172.30.0.255/32", "172.30.9.0/24"]


def test_hosts_may_carry_their_own_profile() -> None:
    read = profiles.parse_hosts("gw1, old1:legacy,agent1:agent", "fresh")
    assert read == {"gw1": "fresh", "old1": "legacy", "agent1": "agent"}


@pytest.mark.parametrize(
    ("is_built", "answer", "is_real"),
    [
        (True, None, True),
        (False, subprocess.CompletedProcess([], 0, "2026.9.6", ""), True),
        (False, subprocess.CompletedProcess([], 1, "", "npm error code ENOTFOUND\nnpm error more"), False),
        (False, None, False),
    ],
)
def test_agents_are_real_where_npm_answers_and_it_says_which(
    is_built: bool,
    answer: "subprocess.CompletedProcess[str] | None",
    is_real: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(docker.Docker, "has_image", lambda *_: is_built)
    monkeypatch.setattr(openclaw_image, "_npm", lambda *_, timeout: answer)
    assert openclaw_image.is_available(docker.Docker(), "below:1") == is_real
    told = "the real OpenClaw, openclaw@2026" if is_real else "PLACE-HOLDER for OpenClaw (npm cannot be asked: n"
    assert told in capsys.readouterr().err


def test_another_openclaw_has_images_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = openclaw_image._package("below:1").tag()
    monkeypatch.setenv("LAB_OPENCLAW_VERSION", "2026.8.2")
    assert openclaw_image._package("below:1").tag() != usual
    monkeypatch.setenv("LAB_OPENCLAW_VERSION", "2026.1.1")
    with pytest.raises(LabError, match=r"there is no lock file for OpenClaw 2026\.1\.1"):
        openclaw_image.is_available(docker.Docker(), "below:1")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("gw1:new", "unknown profile 'new'"),
        ("", "'' is not a valid host name"),
        ("gw1,,gw2", "'' is not a valid host name"),
        ("gw1,gw1", "given twice"),
        ("peer", "taken by the lab"),
        ("GW1", "'GW1' is not a valid host name"),
    ],
)
def test_bad_hosts_are_refused(text: str, problem: str) -> None:
    with pytest.raises(LabError, match=problem):
        profiles.parse_hosts(text, "fresh")


def test_mirrors_of_deb822_sources() -> None:
    text = (
        "Types: deb deb-src\n# a comment\nURIs: http://mirror.test/debian/\n"
        "Suites: bookworm bookworm-updates\nComponents: main\n\n"
        "Types: deb\nURIs: http://mirror.test/security\nSuites: bookworm-security\n\n"
        "Types: deb\nEnabled: no\nURIs: http://other.test/\nSuites: bookworm\n"
    )
    assert apt.mirrors([text], "bookworm") == (
        "http://mirror.test/debian/",
        "http://mirror.test/security",
    )


def test_mirrors_of_one_line_sources() -> None:
    text = (
        "# deb http://old.test/debian bookworm main\n"
        "deb [arch=amd64 signed-by=/k.gpg] https://tools.test/ stable main\n"
        "deb https://user:secret@private.test/debian bookworm main\n"
        "deb [arch=amd64] https://mirror.test/debian bookworm main\n"
    )
    assert apt.mirrors([text], "bookworm") == ("https://mirror.test/debian", None)


def test_proxies_of_apt_config() -> None:
    dump = (
        'Acquire::http "";\nAcquire::http::Proxy "http://proxy.test:3128/";\n'
        'Acquire::http::Proxy::mirror.test "DIRECT";\nAcquire::Retries "3";\n'
    )
    assert apt.proxies(dump) == (
        'Acquire::http::Proxy "http://proxy.test:3128/";',
        'Acquire::http::Proxy::mirror.test "DIRECT";',
    )


def test_sources_of_another_release() -> None:
    settings = apt.AptSettings("http://m.test/debian", "http://m.test/security")
    assert settings.sources("trixie") == [
        "deb http://m.test/debian trixie main",
        "deb http://m.test/debian trixie-updates main",
        "deb http://m.test/security trixie-security main",
    ]
    assert apt.AptSettings().sources("trixie") == []


def test_the_content_hash_follows_contents_names_and_texts(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_text("1", encoding="utf-8")
    first = building.content_hash([folder], ["base"])
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "a.pyc").write_text("compiled", encoding="utf-8")
    assert building.content_hash([folder], ["base"]) == first
    assert building.content_hash([folder], ["other"]) != first
    (folder / "a").write_text("2", encoding="utf-8")
    second = building.content_hash([folder], ["base"])
    (folder / "a").rename(folder / "b")
    assert len({first, second, building.content_hash([folder], ["base"])}) == 3


def test_an_archive_keeps_owners_and_modes() -> None:
    packed = archives.pack([archives.Entry("/d", None, 0o700, 5, 6), archives.Entry("d/f", b"x", 0o640, 7, 8)])
    with tarfile.open(fileobj=BytesIO(packed)) as archive:
        folder, file = archive.getmembers()
        assert (folder.name, folder.isdir(), folder.mode, folder.uid, folder.gid) == (
            "d",
            True,
            0o700,
            5,
            6,
        )
        assert (file.name, file.mode, file.uid, file.gid) == ("d/f", 0o640, 7, 8)


def test_a_host_key_replaces_the_older_one_of_its_address() -> None:
    text = "172.30.4.1 ssh-ed25519 OTHER\n172.30.4.10 ssh-ed25519 OLD\n"
    assert keys.with_host_key(text, "172.30.4.10", "ssh-ed25519 NEW root@gw1\n") == (
        "172.30.4.1 ssh-ed25519 OTHER\n172.30.4.10 ssh-ed25519 NEW\n"
    )


def test_ssh_gives_several_words_to_the_host_as_they_are() -> None:
    words = ["ss", "-ltnH", "sport = :3000"]
    assert shlex.split(keys.ssh_command(HOST, words)[-1]) == words
    assert keys.ssh_command(HOST, ["ls | wc -l"])[-1] == "ls | wc -l"
    assert keys.ssh_command(HOST, ["true"], "root")[-2:] == ["root@172.30.4.10", "true"]


def test_a_host_finds_its_tailnet_and_its_keys_on_disk() -> None:
    entries = {entry.path: entry for entry in profiles.first_files(HOST, "100.64.4.0/24", 1.5, "ssh-x K\n")}
    tailnet = entries["etc/openclaw-lab/tailnet"].content
    assert tailnet == b"ADDRESS=100.64.4.10\nSUBNET=100.64.4.0/24\n"
    assert entries["etc/openclaw-lab/tailscale-delay"].content == b"1.5\n"
    assert entries["home/operator/.ssh/authorized_keys"].mode == 0o600
    assert not any(path.startswith((profiles.LEGACY_TREE, profiles.OPENCLAW_HOME)) for path in entries)


def test_a_host_with_openclaw_finds_its_workspace_on_disk() -> None:
    host = dataclasses.replace(HOST, profile="agent")
    entries = {entry.path: entry for entry in profiles.first_files(host, "100.64.4.0/24", 1.5, "ssh-x K\n")}
    workspace = entries["home/openclaw/.openclaw/workspace"]
    assert (workspace.content, workspace.mode, workspace.owner, workspace.group) == (None, 0o755, *profiles.OPENCLAW)


def test_the_old_gateway_has_the_rows_that_must_not_get_lost(tmp_path: Path) -> None:
    path = tmp_path / "one-api.db"
    path.write_bytes(legacy_database.build())
    database = sqlite3.connect(path)
    try:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        count = "SELECT (SELECT count(*) FROM channels), (SELECT count(*) FROM abilities),"
        count += " (SELECT count(*) FROM tokens), (SELECT count(*) FROM logs),"
        count += " (SELECT count(*) FROM options)"
        assert database.execute(count).fetchone() == (2, 3, 3, 300, 1)
        assert database.execute("SELECT DISTINCT length(key) FROM tokens").fetchall() == [(48,)]
        (hashed,) = database.execute("SELECT password FROM users WHERE username='root'").fetchone()
    finally:
        database.close()
    assert bcrypt.checkpw(b"123456", hashed.encode())


def test_waiting_ends_at_its_deadline() -> None:
    with pytest.raises(LabError, match="too late"):
        waiting.until(lambda: False, 0.0, lambda: LabError("too late"))


def test_a_user_without_root_and_sudo_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(LabError, match="needs root or sudo"):
        docker.sudo()
    with pytest.raises(LabError, match=r"docker is missing.*\n  fix: make setup"):
        docker.connect()


@pytest.mark.parametrize(
    ("said", "name", "flavour"),
    [
        ("Loaded image: justsong/one-api:v0.6.10", "justsong/one-api:v0.6.10", "one-api"),
        ("Loaded image: registry.example:5000/one-api:v0.6.10", "registry.example:5000/one-api:v0.6.10", "one-api"),
        ("Loaded image: calciumion/new-api:v1.0.0-rc.15", "calciumion/new-api:v1.0.0-rc.15", "new-api"),
        ("Loaded image: r:5000/new-api/one-api:v1", "r:5000/new-api/one-api:v1", "one-api"),
        ("Loaded image ID: sha256:0320ebbf416f", None, ""),
        ("Loaded image: a:1\nLoaded image: b:2", None, ""),
        ("", None, ""),
    ],
)
def test_an_image_that_is_handed_in_needs_one_name(
    said: str, name: str | None, flavour: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Loading(docker.Docker):
        def try_run(self, *arguments: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[str]:
            assert arguments == ("load", "--quiet", "--input", str(tmp_path / "one-api.tar"))
            return subprocess.CompletedProcess(arguments, 0, said + "\n", "")

    monkeypatch.setenv("LAB_GATEWAY_ARCHIVE", str(tmp_path / "one-api.tar"))
    if name is None:
        with pytest.raises(LabError, match=r"docker save justsong/one-api:v0\.6\.10"):
            gateway_image.choose(Loading(), "unused")
    else:
        chosen = gateway_image.choose(Loading(), "unused")
        image = state.GatewayImage(name, str(tmp_path / "one-api.tar"), is_stand_in=False)
        assert chosen == {flavour: image}


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ("", []),
        ("new-api", ["new-api"]),
        ("one-api, new-api", ["one-api", "new-api"]),
        ("new-api,new-api", ["new-api"]),
    ],
)
def test_the_environment_says_which_gateways(monkeypatch: pytest.MonkeyPatch, said: str, names: list[str]) -> None:
    monkeypatch.setenv("LAB_GATEWAY", said)
    assert [flavour.name for flavour in gateway_image.wanted()] == names


def test_archives_of_both_stand_ins_are_kept_and_older_ones_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Building(docker.Docker):
        def has_image(self, reference: str) -> bool:
            return True

    def saving(_: docker.Docker, reference: str, archive: Path) -> None:
        archive.write_text(reference)

    monkeypatch.setenv("LAB_GATEWAY", "one-api,new-api")
    monkeypatch.delenv("LAB_GATEWAY_ARCHIVE", raising=False)
    monkeypatch.setattr(gateway_image, "LAB_ROOT", tmp_path)
    monkeypatch.setattr(gateway_image, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(gateway_image.registry, "offers", lambda *_: False)
    monkeypatch.setattr(gateway_image, "_save", saving)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "gateway-image-old.tar").touch()
    chosen = gateway_image.choose(Building(), "python")
    assert list(chosen) == ["one-api", "new-api"]
    assert {str(path) for path in (tmp_path / "cache").iterdir()} == {image.archive for image in chosen.values()}
    for name, image in chosen.items():
        assert image.reference.startswith(f"openclaw-lab/{name}-stand-in:")
        assert gateway_image.flavour_of(image.reference).name == name


def test_an_unknown_flavour_of_gateway_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_GATEWAY", "one-api,one-hub")
    with pytest.raises(LabError, match=r"no flavour is called one-hub\n  fix: use one-api or new-api, or both"):
        gateway_image.wanted()


@pytest.mark.parametrize(("said", "kind"), [("", "fake"), ("fake", "fake"), ("real", "real")])
def test_the_environment_says_which_tailnet(monkeypatch: pytest.MonkeyPatch, said: str, kind: str) -> None:
    monkeypatch.setenv("LAB_TAILNET", said)
    assert tailnet.wanted() == kind


def test_a_tailnet_of_another_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_TAILNET", "Real")
    with pytest.raises(LabError, match="LAB_TAILNET='Real'"):
        tailnet.wanted()
