"""The clients behind the functions of a process."""

from __future__ import annotations

import os

from ..kept import Kept
from ..retries import Retries
from ..settings import read_gateways
from .client import LLMClient

_clients = Kept(LLMClient)

if hasattr(os, "register_at_fork"):
    # A forked child must not talk on its parent's connections.
    os.register_at_fork(after_in_child=_clients.forget)


def shared_client(base_url: str | None, api_key: str | None, retries: int, retry_billed: bool) -> LLMClient:
    """Return the process's client for a gateway and key. Raises LLMConfigError."""
    return _clients.get(read_gateways(base_url, api_key), Retries(retries, retry_billed))
