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
    """The clients used last, one for each gateway, key and way to retry."""

    def __init__(self, make: Callable[..., _Client]) -> None:
        self._make = make
        self.forget()

    def forget(self) -> None:
        """Keep none of them any longer."""
        self._lock = threading.Lock()
        self._clients: OrderedDict[tuple[Gateway, Retries], _Client] = OrderedDict()

    def get(self, gateway: Gateway, retries: Retries) -> _Client:
        """Return the client for `gateway` and `retries`."""
        wanted = (gateway, retries)
        with self._lock:
            client = self._clients.get(wanted)
            if client is None:
                client = self._clients[wanted] = self._make(
                    gateway.base, gateway.key, proxy=gateway.proxy, retries=retries.count, retry_billed=retries.billed
                )
            self._clients.move_to_end(wanted)
            while len(self._clients) > _KEPT:
                self._clients.popitem(last=False)
            return client
