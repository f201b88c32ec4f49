"""Unit tests have this machine to themselves: nothing of it may be asked of a host, be it by mistake.

Beside them, labs may be up whose hosts have the addresses that the tests name.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def _loopback_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family == socket.AF_INET and not ipaddress.ip_address(address[0]).is_loopback:
            raise OSError(errno.ENETUNREACH, f"unit tests ask nobody but this machine, and not {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
