"""Unit tests ask nobody but this machine, be it by mistake: beside them, labs may be up at the addresses they name.

This holds for the tests' own process; programs that they start get hosts of the `@fake` connector (fake_hosts.py).
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from typing import Any

import pytest

from tests import property_tests  # noqa: F401 - its profile


@pytest.fixture(autouse=True)
def _loopback_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not ipaddress.ip_address(address[0]).is_loopback:
            raise OSError(errno.ENETUNREACH, f"unit tests ask nobody but this machine, and not {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
