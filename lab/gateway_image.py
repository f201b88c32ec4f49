"""The images that the lab's gateways run: real ones, or the lab's stand-ins, of One API or of new-api.

``LAB_GATEWAY`` names the flavours that a lab has at hand, the first of which its gateways run: ``one-api`` (the
default), ``new-api``, or both, such as ``one-api,new-api``. Where no registry answers, a machine that has a real image
can hand it in: ``docker save justsong/one-api:v0.6.10 -o one-api.tar`` there, and ``LAB_GATEWAY_ARCHIVE=one-api.tar``
for ``make lab`` and for the lab tests here; several are separated by ``:``. The repository's name tells whose it is.
"""

import os
import re
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lab import registry
from lab.building import Recipe, copy_into, ensure
from lab.docker import Docker
from lab.errors import LabError
from lab.progress import say, step
from lab.state import CACHE, LAB_ROOT, GatewayImage, load_if_any

WANTED = "LAB_GATEWAY"
HANDED_IN = "LAB_GATEWAY_ARCHIVE"
STAND_IN = Path(__file__).resolve().parent / "standin"


@dataclass(frozen=True)
class Flavour:
    """A gateway software: its name here (a part of its images' names), what people call it, and its real image."""

    name: str
    title: str
    real: str


ONE_API = Flavour("one-api", "One API", "justsong/one-api:v0.6.10")
NEW_API = Flavour("new-api", "new-api", "calciumion/new-api:v1.0.0-rc.15")
FLAVOURS = {flavour.name: flavour for flavour in (ONE_API, NEW_API)}


def flavour_of(reference: str) -> Flavour:
    """The flavour of an image, by its repository's last name; One API where it says neither."""
    return NEW_API if NEW_API.name in reference.rpartition("/")[2].partition(":")[0] else ONE_API


def wanted() -> list[Flavour]:
    """The flavours that the environment asks for, none where it says nothing.

    Raises:
        LabError: it names another one.
    """
    names = [name.strip() for name in os.environ.get(WANTED, "").split(",") if name.strip()]
    if unknown := [name for name in names if name not in FLAVOURS]:
        raise LabError(f"{WANTED}: no flavour is called {', '.join(unknown)}", f"use {' or '.join(FLAVOURS)}, or both")
    return [FLAVOURS[name] for name in dict.fromkeys(names)]


def choose(docker: Docker, python_image: str) -> dict[str, GatewayImage]:
    """Return the image of each flavour that is wanted, the first of which the lab's gateways run.

    Of each, what was handed in, or the real one where a registry gives it, else the stand-in. Where the environment
    names no flavour, it is that of what was handed in, else One API.

    Raises:
        LabError: what was handed in is no archive of an image, or a stand-in could not be built or saved.
    """
    asked = wanted()
    paths = [path for path in os.environ.get(HANDED_IN, "").split(":") if path]
    images = [_handed_in(docker, path, asked[0] if asked else ONE_API) for path in paths]
    real = {flavour_of(image.reference).name: image for image in images}
    names = [flavour.name for flavour in asked] or list(real) or [ONE_API.name]
    before = _archives()
    chosen = {name: real.get(name) or _of_flavour(docker, FLAVOURS[name], python_image) for name in names}
    if _archives() != before:
        _remove_unused(chosen.values())
    say(f"the gateways run {chosen[names[0]].reference}")
    return chosen


def _of_flavour(docker: Docker, flavour: Flavour, python_image: str) -> GatewayImage:
    if registry.offers(docker, flavour.real):
        say(f"the real {flavour.title}: {flavour.real}")
        return GatewayImage(flavour.real, None, is_stand_in=False)
    reference = ensure(docker, _stand_in(flavour, python_image))
    archive = CACHE / f"gateway-image-{reference.rpartition(':')[2]}.tar"
    if not archive.exists():
        with step(f"saving {reference} to {archive.name}"):
            _save(docker, reference, archive)
    say(f"the lab's STAND-IN for {flavour.title}: {reference}")
    return GatewayImage(reference, str(archive), is_stand_in=True)


def _handed_in(docker: Docker, path: str, expected: Flavour) -> GatewayImage:
    archive = Path(path).expanduser().resolve()
    loaded = docker.try_run("load", "--quiet", "--input", str(archive))
    name = loaded.stdout.strip().removeprefix("Loaded image: ")
    if loaded.returncode != 0 or not re.fullmatch(r"[^\s:@]+(:\d+/[^\s:@]+)?:[^\s:@]+", name):
        raise LabError(
            f"{HANDED_IN}: {archive} does not give one image with a name: {(loaded.stderr or loaded.stdout).strip()}",
            f"docker save {expected.real} -o {archive.name}",
        )
    say(f"handed in: {name} of {archive} ({HANDED_IN})")
    return GatewayImage(name, str(archive), is_stand_in=False)


def _stand_in(flavour: Flavour, python_image: str) -> Recipe:
    return Recipe(
        name=f"{flavour.name}-stand-in",
        folder="gateway",
        base=python_image,
        target=flavour.name,
        also=(STAND_IN,),
        prepare=lambda context: copy_into(STAND_IN, context),
    )


def _remove_unused(chosen: Iterable[GatewayImage]) -> None:
    """Remove archives of older stand-ins, except those just chosen and those that a lab of this checkout names."""
    named = {str(image.archive) for image in chosen}
    for folder in LAB_ROOT.iterdir():
        state_file = folder / "state.json"
        if state_file.is_file() and (lab := load_if_any(folder.name)) is not None:
            named |= {str(image.archive) for image in (lab.gateway_image, *lab.gateway_images.values()) if image}
    for archive in _archives():
        if str(archive) not in named:
            archive.unlink()


def _archives() -> set[Path]:
    return set(CACHE.glob("gateway-image-*.tar"))


def _save(docker: Docker, reference: str, archive: Path) -> None:
    handle, temporary = tempfile.mkstemp(dir=CACHE, prefix="gateway-image-", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as output:
            result = subprocess.run(docker.argv("save", reference), stdout=output, stderr=subprocess.PIPE, check=False)
        if result.returncode != 0:
            said = result.stderr.decode(errors="replace")
            raise LabError(f"docker save of {reference} failed: {said}", "is the disk full? df -h")
        Path(temporary).replace(archive)
    finally:
        Path(temporary).unlink(missing_ok=True)
