"""The token encoders: One API does not start without these two files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

BASE_URL = "https://openaipublic.blob.core.windows.net/encodings"


@dataclass(frozen=True)
class Encoder:
    """A file that One API wants at start-up, and the model in whose name it asks for it."""

    name: str
    model: str
    sha256: str

    @property
    def url(self) -> str:
        return f"{BASE_URL}/{self.name}.tiktoken"

    @property
    def cache_name(self) -> str:
        """tiktoken-go names a cached file after the SHA-1 of its URL."""
        return hashlib.sha1(self.url.encode()).hexdigest()  # noqa: S324 (a name, not a guard)


ENCODERS = (
    Encoder(
        "cl100k_base",
        "gpt-3.5-turbo",
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    ),
    Encoder(
        "o200k_base",
        "gpt-4o",
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    ),
)


class EncoderError(Exception):
    """A file is missing or is not what it should be."""


def check_encoders(directory: Path, encoders: tuple[Encoder, ...] = ENCODERS) -> None:
    """See that each file is in the cache directory and is the right one.

    Raises EncoderError in One API's words. The real server tries a download first; this one does
    not, and its message says so.
    """
    for encoder in encoders:
        path = directory / encoder.cache_name
        try:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            reason = f'Get "{encoder.url}": not tried by the stand-in, and no cached {path}: {error.strerror}'
        else:
            if digest == encoder.sha256:
                continue
            reason = f"{path} (from {encoder.url}) has SHA-256 {digest}, wanted {encoder.sha256}"
        raise EncoderError(f"failed to get {encoder.model} token encoder: {reason}")
