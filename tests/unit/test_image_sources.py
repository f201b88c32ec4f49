"""From where a host would pull its image, whether it can be reached, and what is said where it cannot."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from llm_gateway.model.checkout import ROOT
from llm_gateway.parts import image
from llm_gateway.tasks import preflight
from tests.unit import state_reader
from tests.unit.fake_hosts import FRESH
from tests.unit.topology import make_node

HUB = f"https://registry-1.{image.HUB}"
MIRROR = "https://mirror.example"


@pytest.mark.parametrize(
    ("settings", "registry", "mirrors"),
    [
        ({}, HUB, ""),
        ({"docker_registry_mirrors": [MIRROR, f"{MIRROR}2"]}, HUB, f"{MIRROR} {MIRROR}2"),
        ({"gateway_image": f"{image.HUB}/justsong/one-api:v1"}, HUB, ""),
        ({"gateway_image": "one-api:v1"}, HUB, ""),
        ({"gateway_image": "r.example/one-api:v1", "docker_registry_mirrors": [MIRROR]}, "r.example", "none"),
        ({"gateway_image": "localhost/one-api:v1"}, "localhost", "none"),
        ({"gateway_image": "r.example:5000/a/one-api:v1"}, "r.example:5000", "none"),
    ],
)
def test_where_an_image_comes_from(settings: dict[str, Any], registry: str, mirrors: str) -> None:
    found = image.pull_sources(make_node(**settings).settings)
    assert (found["REGISTRY"], found["MIRRORS"]) == (registry, mirrors)


def test_an_archive_is_pulled_from_nowhere() -> None:
    assert image.pull_sources(make_node(gateway_image_archive="/a.tar").settings) == {}


def test_a_registry_that_is_not_reached_is_told_before_anything_is_touched() -> None:
    made = make_node({**FRESH, "registry": f"{HUB}: Connection refused\n"})
    (told,) = preflight.problems(made.machine)
    for words in (f"{HUB}: Connection refused", "`docker_registry_mirrors`", "`gateway_image_archive`", "docker save"):
        assert words in told
    assert preflight.problems(make_node({**FRESH, "registry": "yes\n"}).machine) == []


def tools(place: Path, *more: str) -> Path:
    place.mkdir()
    for name in ("bash", "sh", "sed", "timeout", *more):
        (place / name).symlink_to(shutil.which(name) or name)
    return place


def reached(path: Path, places: str, proxy: str = "") -> list[str]:
    """What the shell says, with these programs alone."""
    done = subprocess.run(
        [
            str(path / "sh"),
            "-c",
            '. "$1"; reachable_registry "$2" "$3"',
            "sh",
            ROOT / "llm_gateway/hosts/registry.sh",
            places,
            proxy,
        ],
        env={"PATH": str(path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


@contextmanager
def listening(status: str = "401 Unauthorized") -> Iterator[str]:
    """HOST:PORT of something that answers in HTTP, as a registry or a proxy."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    if not connection.recv(4096).startswith(b"\x16"):  # no TLS here
                        connection.sendall(f"HTTP/1.0 {status}\r\n\r\n".encode())

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture(params=["curl", ""], ids=["curl", "no curl"])
def path(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return tools(tmp_path / "programs", *([request.param] if request.param else []))


@pytest.mark.parametrize("status", ["401 Unauthorized", "200 OK"])
def test_a_registrys_answer_at_any_place_will_do(path: Path, status: str) -> None:
    with listening(status) as place:
        assert reached(path, place) == ["yes"]
        assert reached(path, f"http://127.0.0.1:1 http://{place}/") == ["yes"]
        assert reached(path, f"http://{place}", "http://127.0.0.1:1") == ["yes"], "the proxy may not be for this one"
        assert reached(path, "http://r.invalid", f"http://user:hush@{place}") == ["yes"]


@pytest.mark.parametrize("status", ["403 Forbidden", "404 Not Found", "503 Service Unavailable"])
def test_another_answer_is_no_registrys(tmp_path: Path, status: str) -> None:
    path = tools(tmp_path / "programs", "curl")
    with listening(status) as place:
        told = f"HTTP {status.split()[0]}"
        assert reached(path, f"http://{place}") == [f"http://{place}: {told}"]
        assert reached(path, "http://r.invalid", f"http://{place}")[0].startswith("http://r.invalid: "), "a proxy's"


def test_docker_hub_is_asked_by_https_alone_and_has_to_show_its_certificate(tmp_path: Path) -> None:
    path = tools(tmp_path / "programs")
    log = tmp_path / "asked"
    (path / "curl").write_text(
        f'#!/bin/sh\nprintf "%s " "$@" >> {log}; echo >> {log}\necho "curl: (60) no peer certificate" >&2\nexit 60\n'
    )
    (path / "curl").chmod(0o755)
    assert reached(path, HUB) == [f"{HUB}: no peer certificate"]
    asked = log.read_text().splitlines()
    assert all(line.endswith(f" {HUB}/v2/ ") for line in asked), asked
    is_judged = Path("/etc/ssl/certs/ca-certificates.crt").exists()
    assert all(("-k" in line.split()) is not is_judged for line in asked), asked


def test_each_place_says_why_it_is_not_reached(path: Path) -> None:
    first, second = reached(path, "r.invalid http://127.0.0.1:1", "")
    assert first.startswith("r.invalid: ")
    assert first.endswith(("Name or service not known", "Temporary failure in name resolution", "host: r.invalid"))
    assert second.startswith("http://127.0.0.1:1: ")
    assert second.endswith(("Connection refused", "Couldn't connect to server"))


@pytest.mark.parametrize(("values", "asked"), [({}, True), ({"REGISTRY": ""}, False)])
def test_it_is_asked_only_where_the_image_is_to_be_pulled(tmp_path: Path, values: dict[str, str], asked: bool) -> None:
    programs = state_reader.commands(tmp_path / "programs", docker="exit 1", curl="echo 'HTTP 401'")
    given = {"REGISTRY": "r.example", "MIRRORS": "none", **values}
    found = state_reader.read(tmp_path, "gateway", path=programs, **given)
    assert found.text("registry") == ("yes" if asked else "")
    present = state_reader.commands(tmp_path / "docker", docker="case $* in image*) echo sha256:1 amd64 [] ;; esac")
    assert state_reader.read(tmp_path, "gateway", path=present, **given).text("registry") == ""
