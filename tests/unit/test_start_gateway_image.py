"""Where the image is gone, files/start-gateway gets the one that has served, and says so where it cannot be had."""

from __future__ import annotations

from pathlib import Path

from tests.unit import start_gateway_kit
from tests.unit.start_gateway_kit import COMPOSE, Place

place = start_gateway_kit.place

SERVED, OTHER = "sha256:" + "5e" * 32, "sha256:" + "07" * 32


def images(place: Place, policy: str) -> Path:
    """A Docker that has no image but what is loaded or pulled. Returns the file that holds its ID, as archives do."""
    has, log, registry = place.bin / "has", f'echo "$*" >> {place.bin}/docker.log', place.bin / "registry"
    has.touch()
    (place.directory / "docker-compose.yml").write_text(f"{COMPOSE}    pull_policy: {policy}\n")
    registry.write_text("Using default tag: latest\nError response from daemon: no such host\n")
    place.command(
        "docker",
        f"""{log}
case "$1 $2" in
    "image inspect") cat {has}; [ -s {has} ] ;;
    "image rm") : > {has} ;;
    "load --quiet") [ -s "$4" ] || {{ echo 'unexpected EOF' >&2; exit 1; }}; cat "$4" > {has}; echo "Loaded image: x" ;;
    "pull --quiet") cat {registry} >&2; grep -q '^sha256' {registry} && cat {registry} > {has} ;;
esac""",
    )
    return has


def test_a_missing_image_is_loaded_from_the_kept_archive(place: Place) -> None:
    images(place, "never")
    done = place.start()
    told = "the image one-api:1 is not on this host, and no archive of it is in the install directory: run deploy.py"
    assert (done.returncode, done.stderr) == (9, f"waiting: {told}\n")
    archive = place.directory / "image.tar"
    archive.touch()
    (place.bin / "slept").unlink()
    done = place.start()
    assert done.returncode == 9
    assert done.stderr.splitlines() == [
        f"loading one-api:1 out of {archive}",
        f"waiting: the image one-api:1 is not on this host and not in {archive} (unexpected EOF): run deploy.py",
    ]
    assert place.lines("docker.log").count("load --quiet --input image.tar") == 1, "not again at once"
    archive.write_text(SERVED)
    (place.bin / "slept").unlink()
    assert place.start().returncode == 0
    assert place.waits == 0


def test_after_a_rollback_the_archive_of_what_serves_is_loaded_and_no_other(place: Place) -> None:
    has = images(place, "never")
    has.write_text(SERVED)
    kept = place.directory / "images" / f"{SERVED[7:19]}.tar"
    kept.parent.mkdir()
    kept.write_text(SERVED)
    sent = place.directory / "image.tar"
    sent.write_text(OTHER)
    assert place.start().returncode == 0
    has.write_text("")
    assert place.start().returncode == 0
    assert has.read_text() == SERVED
    kept.unlink()
    has.write_text("")
    done = place.start()
    assert done.returncode == 9
    assert f"and not in {sent} (it holds {OTHER}): run deploy.py" in done.stderr
    assert has.read_text() == "", "its name would lead to the other one at the next start"
    has.write_text(OTHER)  # by a deployment
    assert place.start().returncode == 0
    assert (place.directory / "images/served").read_text() == f"{OTHER} one-api:1\n"


def test_an_image_that_cannot_be_pulled_is_told_of_and_tried_again(place: Place) -> None:
    has = images(place, "missing")
    done = place.start()
    assert done.returncode == 9
    assert done.stderr.splitlines() == [
        "pulling one-api:1",
        "waiting: the image one-api:1 is not on this host and cannot be pulled (no such host): run deploy.py",
    ]
    assert place.lines("docker.log").count("pull --quiet one-api:1") == 1, "not again at once"
    script = place.directory / "start-gateway"
    script.write_text(script.read_text().replace("RETRY_SECONDS=30", "RETRY_SECONDS=2"))
    (place.bin / "slept").unlink()
    place.at_each_wait(f"[ $n -ne 2 ] || echo {SERVED} > {place.bin}/registry")
    done = place.start()
    assert (done.returncode, done.stderr.count("waiting: "), done.stderr.count("pulling ")) == (0, 1, 1)
    assert has.read_text().strip() == SERVED
    has.write_text("")
    (place.bin / "registry").write_text("down\n")
    (place.bin / "slept").unlink()
    place.at_each_wait(f"[ $n -ne 1 ] || echo {SERVED} > {has}")
    assert place.start().returncode == 0
    assert place.waits == 1, "one that a person has loaded is seen at once"
