"""The image that the lab's gateways run: the real One API, or the lab's stand-in.

Where no registry answers, a machine that has the real image can hand it in: ``docker save justsong/one-api:v0.6.10 -o
one-api.tar`` there, and ``LAB_GATEWAY_ARCHIVE=one-api.tar`` for ``make lab`` and for the lab tests here.
"""

import os
import re
import subprocess
import tempfile
from pathlib import Path

from lab import registry
from lab.building import Recipe, copy_into, ensure
from lab.docker import Docker
from lab.errors import LabError
from lab.progress import say, step
from lab.state import CACHE, LAB_ROOT, GatewayImage, load_if_any

REAL = "justsong/one-api:v0.6.10"
HANDED_IN = "LAB_GATEWAY_ARCHIVE"
STAND_IN = Path(__file__).resolve().parent / "standin"


def choose(docker: Docker, python_image: str) -> GatewayImage:
    """Return the image that was handed in, or the real one where a registry gives it, else the stand-in.

    Raises:
        LabError: what was handed in is no archive of an image, or the stand-in could not be built or saved.
    """
    if path := os.environ.get(HANDED_IN):
        return _handed_in(docker, path)
    if registry.offers(docker, REAL):
        say(f"the gateways run the real One API, {REAL}")
        return GatewayImage(REAL, None, is_stand_in=False)
    reference = ensure(docker, _stand_in(python_image))
    archive = CACHE / f"gateway-image-{reference.rpartition(':')[2]}.tar"
    if not archive.exists():
        with step(f"saving {reference} to {archive.name}"):
            _save(docker, reference, archive)
        _remove_unused(archive)
    say(f"the gateways run the lab's STAND-IN for One API, {reference} (no registry answers)")
    return GatewayImage(reference, str(archive), is_stand_in=True)


def _handed_in(docker: Docker, path: str) -> GatewayImage:
    archive = Path(path).expanduser().resolve()
    loaded = docker.try_run("load", "--quiet", "--input", str(archive))
    name = loaded.stdout.strip().removeprefix("Loaded image: ")
    if loaded.returncode != 0 or not re.fullmatch(r"[^\s:@]+(:\d+/[^\s:@]+)?:[^\s:@]+", name):
        raise LabError(
            f"{HANDED_IN}: {archive} does not give one image with a name: {(loaded.stderr or loaded.stdout).strip()}",
            f"docker save {REAL} -o {archive.name}",
        )
    say(f"the gateways run {name} of {archive} ({HANDED_IN})")
    return GatewayImage(name, str(archive), is_stand_in=False)


def _stand_in(python_image: str) -> Recipe:
    return Recipe(
        name="one-api-stand-in",
        folder="gateway",
        base=python_image,
        also=(STAND_IN,),
        prepare=lambda context: copy_into(STAND_IN, context),
    )


def _remove_unused(newest: Path) -> None:
    """Remove archives of older stand-ins, except those that a lab of this checkout names."""
    named = {str(newest)}
    for folder in LAB_ROOT.iterdir():
        state_file = folder / "state.json"
        if state_file.is_file():
            lab = load_if_any(folder.name)
            if lab is not None and lab.gateway_image is not None:
                named.add(str(lab.gateway_image.archive))
    for archive in CACHE.glob("gateway-image-*.tar"):
        if str(archive) not in named:
            archive.unlink()


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
