"""The clients behind the functions: made when first needed, kept while in use."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from .retries import Retries
from .settings import Gateway

_KEPT = 32
"""Clients kept; an older one goes when its last call ends, and its sockets with it."""

_Client = TypeVar("_Client")


class Kept(Generic[_Client]):
    """The clients used last, one for each list of gateways, with their keys, and way to retry."""

    def __init__(self, make: Callable[..., _Client]) -> None:
        self._make = make
        self.forget()

    def forget(self) -> None:
        """Keep none of them any longer."""
        self._lock = threading.Lock()
        self._clients: OrderedDict[tuple[tuple[Gateway, ...], Retries], _Client] = OrderedDict()

    def get(self, gateways: tuple[Gateway, ...], retries: Retries) -> _Client:
        """Return the client for `gateways` and `retries`."""
        wanted = (gateways, retries)
        with self._lock:
            client = self._clients.get(wanted)
            if client is None:
                first, *others = gateways
                client = self._clients[wanted] = self._make(
                    first.base,
                    first.key,
                    proxy=first.proxy,
                    retries=retries.count,
                    retry_billed=retries.billed,
                    fallback_base_urls=[other.base for other in others],
                    fallback_api_keys=[other.key for other in others],
                )
            self._clients.move_to_end(wanted)
            while len(self._clients) > _KEPT:
                self._clients.popitem(last=False)
            return client
