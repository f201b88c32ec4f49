"""Docker's own apt repository: what of it a host has already, whose key it is, and what stands in its way."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from llm_gateway.hosts import remote
from llm_gateway.parts.docker import openpgp, packages, repository
from tests.unit.fake_hosts import FRESH, docker_info
from tests.unit.topology import make_node

KEY = """-----BEGIN PGP PUBLIC KEY BLOCK-----
Comment: made for this test by gpg 2.2.40

mDMEawy4pRYJKwYBBAHaRw8BAQdA5n20+Eu++HwzME2qguebeIshGtD13nRhafHA
oMC4Fiu0F3RoZSBsYWIgPGxhYkBsb2NhbGhvc3Q+iJAEExYIADgWIQSie3m87aKM
olisW6KE772sOIxGFwUCawy4pQIbAwULCQgHAgYVCgkICwIEFgIDAQIeAQIXgAAK
CRCE772sOIxGFwBDAQDPXgkEbEP7yrdnYGuxkXyNdwnC3DIVhTnhrvgT56R8CwEA
7JJCMCxsn8P0zgpXvHTtm1H7ToHNH8/0Y1xLWK+kJw4=
=5srH
-----END PGP PUBLIC KEY BLOCK-----
"""
FINGERPRINT = "A27B79BCEDA28CA258AC5BA284EFBDAC388C4617"
BINARY = base64.b64decode("".join(KEY.split("\n\n")[1].splitlines()[:-2]))
BOOKWORM = {**FRESH, "os_release": 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n'}
OURS: dict[str, Any] = {"docker_source": "docker", "docker_apt_key": FINGERPRINT}


@pytest.mark.parametrize("content", [KEY.encode(), KEY.replace("\n", "\r\n").encode(), BINARY])
def test_a_fingerprint_is_the_one_that_gpg_shows(content: bytes) -> None:
    assert openpgp.fingerprints(content) == [FINGERPRINT]


def test_every_key_of_a_keyring_is_found() -> None:
    assert openpgp.fingerprints(BINARY + BINARY) == [FINGERPRINT] * 2
    assert openpgp.fingerprints((KEY + KEY).encode()) == [FINGERPRINT] * 2
    # As every Debian has it: RSA, EdDSA, subkeys, old and new headers.
    found = openpgp.fingerprints(Path("/usr/share/keyrings/debian-archive-keyring.gpg").read_bytes())
    assert {"4D64FEC119C2029067D6E791F8D2585B8783D481", "41587F7DB8C774BCCF131416762F67A0B2C39DE4"} <= {*found}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no public key"),
        (b"<html>404</html>", "not an OpenPGP file"),
        (BINARY[:40], "cut off"),
        (BINARY[:1], "cut off"),
        (KEY.replace("mDME", "m*ME").encode(), "armour is damaged"),
        (b"\xc6\x01\x06", "of version 6, not 4"),
        (b"\x9b\x04", "no length"),
        (b"\xc6\xe1\x04", "in pieces"),
    ],
)
def test_what_is_no_key_is_told(content: bytes, words: str) -> None:
    with pytest.raises(openpgp.KeyFileError, match=words):
        openpgp.fingerprints(content)


def told(values: dict[str, str] | None = None, **chosen: Any) -> str | None:
    """Why Docker cannot be had on a Debian 12 host that differs in these answers."""
    return packages.problem(make_node({**BOOKWORM, **(values or {})}, **{**OURS, **chosen}))


def test_a_host_without_docker_is_in_order() -> None:
    assert told() is None
    assert (
        told({"docker_packages": "docker-ce half-configured 5:29.1\n", "docker_commands": "/usr/bin/docker\n"}) is None
    )
    assert told({"docker_packages": "docker-compose installed 1.29.2-3\ndocker.io config-files 20.10\n"}) is None
    assert told({"docker_info": docker_info()}) is None, "a Docker that is there is used"
    assert told({"apt_keyring": KEY}, docker_apt_key="a27b 79bc eda2 8ca2 58ac 5ba2 84ef bdac 388c 4617") is None
    of_others = {"apt_sources": "http://mirror.example/debian/\n", "os_release": BOOKWORM["os_release"]}
    assert told(of_others) is None


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"docker_packages": "docker.io installed 20.10.24+dfsg1\ncontainerd installed 1.6.20\n"},
            "`apt-get remove docker.io containerd` (images and data in /var/lib/docker stay",
        ),
        (
            {
                "docker_packages": "docker.io installed 20.10.24+dfsg1\n",
                "docker_commands": "/usr/bin/docker\n",
                "docker_info": docker_info("20.10.24+dfsg1", compose=""),
            },
            "`apt-get remove docker.io`",
        ),
        ({"docker_packages": "docker-compose installed 2.26.1-4\n"}, "`apt-get remove docker-compose`"),
        ({"os_release": "ID=debian\n"}, "names no release (VERSION_CODENAME)"),
        ({"apt_sources_file": "yes\n"}, "docker.sources is there, and apt takes no repository of Docker's from it"),
        ({"apt_keyring": "hush"}, "docker.asc is there, and is not a key (it is not an OpenPGP file)"),
        ({"apt_keyring": KEY + KEY}, f"with the key {FINGERPRINT}, {FINGERPRINT}, not {FINGERPRINT}"),
    ],
)
def test_what_is_in_its_way_is_told_before_anything_is_touched(values: dict[str, str], words: str) -> None:
    problem = told(values)
    assert problem is not None
    assert words in problem


@pytest.mark.parametrize(
    "there",
    [
        "https://download.docker.com/linux/debian/\n",
        "http://mirror.example/debian/\nhttps://mirrors.aliyun.com/docker-ce/linux/debian/\n",
        "http://packages.example/linux/debian/\n",
    ],
)
def test_a_repository_that_is_there_is_used_as_it_is(there: str) -> None:
    chosen = {**OURS, "docker_apt_url": "http://packages.example/linux"}
    assert repository.is_there(make_node({**BOOKWORM, "apt_sources": there}, **chosen))
    assert told({"apt_sources": there, "apt_sources_file": "yes\n", "apt_keyring": "hush"}, **chosen) is None


def test_a_distributions_docker_with_compose_1_is_told_the_way_out() -> None:
    old = {
        "docker_packages": "docker.io installed 20.10.24+dfsg1\n",
        "docker_commands": "/usr/bin/docker\n",
        "docker_info": docker_info("20.10.24+dfsg1", compose=""),
    }
    problem = packages.problem(make_node({**BOOKWORM, **old}))
    assert problem is not None
    assert 'set docker_source to "docker" for this host' in problem


def test_the_source_is_the_hosts_own() -> None:
    jammy = 'ID=ubuntu\nVERSION_ID="22.04"\nVERSION_CODENAME=jammy\n'
    made = make_node({**BOOKWORM, "os_release": jammy, "machine": "aarch64\n"}, **OURS)
    assert repository._sources(made).splitlines() == [
        "Types: deb",
        "URIs: https://download.docker.com/linux/ubuntu",
        "Suites: jammy",
        "Components: stable",
        "Architectures: arm64",
        "Signed-By: /etc/apt/keyrings/docker.asc",
    ]


@pytest.mark.parametrize(
    ("key", "words"), [(KEY + KEY, f"{FINGERPRINT}, {FINGERPRINT}, not"), ("<html>", "is not a key")]
)
def test_a_key_that_is_not_the_one_that_is_named_is_never_put_on_the_host(
    key: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One more in the file would be trusted as well."""
    said: list[str] = []

    def run(host: object, command: str, stdin: str | None = None) -> list[str]:
        assert "apt-helper" in command
        assert stdin is None
        return [base64.b64encode(key.encode()).decode()]

    def never(*arguments: object, **named: object) -> None:
        raise AssertionError(f"written: {arguments}")

    monkeypatch.setattr(remote, "run", run)
    monkeypatch.setattr(remote, "write_now", never)
    monkeypatch.setattr(remote, "complain", lambda _, text: said.append(text))
    made = make_node(BOOKWORM, **OURS)
    assert not repository._add(made.host, made)
    assert words in said[0]
    assert said[0].endswith("nothing was installed")
