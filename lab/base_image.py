"""Debian 13 and 12, from a registry where one answers, else made here with mmdebstrap."""

import hashlib
import subprocess
from pathlib import Path

from lab import apt, registry
from lab.apt import AptSettings
from lab.building import HASH_LENGTH, REPOSITORY, Recipe, ensure
from lab.docker import SEARCH_PATH, Docker, require, sudo
from lab.errors import LabError
from lab.progress import step
from lab.state import CACHE

SUITE = "trixie"
"""What the lab runs, unless a host is to be older."""
OLDER = "bookworm"
PUBLISHED = {SUITE: "debian:13", OLDER: "debian:12"}
DEBSTRAP = (
    "mmdebstrap",
    "--variant=minbase",
    "--include=ca-certificates",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-include=/usr/share/doc/*/copyright",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
)


def ensure_base(docker: Docker, suite: str = SUITE) -> str:
    """Return the tag of the lab's image of a Debian release, made first if need be."""
    settings = apt.of_this_machine()
    tag = f"{REPOSITORY}/debian:{_recipe_hash(settings, suite)}"
    published = PUBLISHED[suite]
    if docker.has_image(tag):
        return tag
    if registry.offers(docker, published):
        with step(f"pulling {published}"):
            docker.run("pull", published)
        with_settings = ensure(docker, _published_with(settings, suite))
        docker.run("tag", with_settings, tag)
        return tag
    with step(f"no container registry answers: making a Debian image ({suite}) with mmdebstrap"):
        _debstrap(docker, settings, suite, tag)
    return tag


def _recipe_hash(settings: AptSettings, suite: str) -> str:
    text = repr((suite, DEBSTRAP, settings))
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_LENGTH]


def _published_with(settings: AptSettings, suite: str) -> Recipe:
    def write_settings(context: Path) -> None:
        (context / "apt.conf").write_text("\n".join(settings.proxy_lines) + "\n", encoding="utf-8")
        lines = settings.sources(suite)
        # The published image has no CA certificates: an https mirror could not be read with it.
        usable = lines if all(" http://" in line for line in lines) else []
        (context / "sources.list").write_text("\n".join(usable) + "\n", encoding="utf-8")

    return Recipe(
        name=f"debian-published-{_recipe_hash(settings, suite)}",
        folder="debian",
        base=PUBLISHED[suite],
        prepare=write_settings,
    )


def _debstrap(docker: Docker, settings: AptSettings, suite: str, tag: str) -> None:
    require("mmdebstrap", "mmdebstrap")
    options = [f"--aptopt={line}" for line in settings.proxy_lines]
    command = [*DEBSTRAP, *options, suite, "-", *settings.sources(suite)]
    CACHE.mkdir(parents=True, exist_ok=True)
    log = CACHE / "mmdebstrap.log"
    with (
        log.open("wb") as said,
        subprocess.Popen(
            [*sudo(), "env", f"PATH={SEARCH_PATH}", *command], stdout=subprocess.PIPE, stderr=said
        ) as making,
    ):
        # Imported under no name, so that a half-made file system never gets the tag.
        imported = subprocess.run(docker.argv("import", "-"), stdin=making.stdout, capture_output=True, check=False)
    if making.returncode != 0 or imported.returncode != 0:
        told = log.read_text(encoding="utf-8", errors="replace")[-1500:]
        told += imported.stderr.decode(errors="replace")
        raise LabError(f"mmdebstrap could not make {suite}; the end of {log}:\n{told}")
    docker.run("tag", imported.stdout.decode().strip(), tag)
