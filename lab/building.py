"""The lab's images: each built once, named by a hash of all that it is built from."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.docker import Docker
from lab.errors import LabError
from lab.progress import step
from lab.state import CACHE

IMAGES = Path(__file__).resolve().parent / "images"
REPOSITORY = "openclaw-lab"
HASH_LENGTH = 16


@dataclass(frozen=True)
class Recipe:
    """How one image is made.

    Args:
        name: the image becomes ``openclaw-lab/<name>:<hash>``.
        folder: its folder in ``lab/images``.
        base: the tag of the image below, which its hash stands for.
        target: the stage of the Dockerfile; the last one if empty.
        also: files or folders outside of ``folder`` that go into the hash.
        prepare: puts what else is needed into the build's folder.
    """

    name: str
    folder: str
    base: str
    target: str = ""
    also: tuple[Path, ...] = ()
    prepare: Callable[[Path], None] | None = None

    def tag(self) -> str:
        """Return the image's full name with the hash of its contents."""
        digest = content_hash([IMAGES / self.folder, *self.also], [self.base, self.target])
        return f"{REPOSITORY}/{self.name}:{digest}"


def content_hash(paths: list[Path], texts: list[str]) -> str:
    """Return a short hash over files, whole folders and texts; compiled Python is left out."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(f"text {len(text)} {text}".encode())
    for top in paths:
        for file in [top] if top.is_file() else sorted(top.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                content = file.read_bytes()
                inside = file.relative_to(top.parent)
                digest.update(f"file {inside} {len(content)} ".encode() + content)
    return digest.hexdigest()[:HASH_LENGTH]


def ensure(docker: Docker, recipe: Recipe) -> str:
    """Build an image unless it is there already; return its tag.

    Raises:
        LabError: the build failed; the message holds the end of its log.
    """
    tag = recipe.tag()
    if not docker.has_image(tag):
        with step(f"building the image {tag}"):
            _build(docker, recipe, tag)
    return tag


def _build(docker: Docker, recipe: Recipe, tag: str) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="build-") as temporary:
        context = Path(temporary) / "context"
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(IMAGES / recipe.folder, context, ignore=ignore)
        if recipe.prepare is not None:
            recipe.prepare(context)
        _same_modes_everywhere(context)
        target = ["--target", recipe.target] if recipe.target else []
        arguments = ["build", "--build-arg", f"BASE={recipe.base}", *target, "--tag", tag]
        log = CACHE / f"build-{recipe.name}.log"
        _run_logged(build_command(docker, *arguments, str(context)), log)


def build_command(docker: Docker, *arguments: str) -> list[str]:
    """Return a docker command line that uses the builder which every docker has.

    BuildKit's client plugin is a package of its own that Debian's docker.io does not bring.
    """
    return [*docker.prefix, "env", "DOCKER_BUILDKIT=0", "docker", *arguments]


def _same_modes_everywhere(context: Path) -> None:
    """Undo the umask of whoever cloned the checkout: the modes end up in the image."""
    for path in context.rglob("*"):
        executable = path.is_dir() or os.access(path, os.X_OK)
        path.chmod(0o755 if executable else 0o644)


def _run_logged(command: list[str], log: Path) -> None:
    with log.open("wb") as output:
        code = subprocess.run(command, stdout=output, stderr=output, check=False).returncode
    if code != 0:
        tail = log.read_text(encoding="utf-8", errors="replace")[-2000:]
        raise LabError(f"a build failed; the end of {log}:\n{tail}", "look above, then run it again")


def copy_into(source: Path, context: Path) -> None:
    """Copy a folder of the checkout into a build's folder, without compiled Python."""
    shutil.copytree(source, context / source.name, ignore=shutil.ignore_patterns("__pycache__"))
