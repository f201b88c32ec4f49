"""Run a command in a network of its own, in which a gateway is far away: `python far_network.py MS LOST -- COMMAND...`.

The name gw.example.ts.net has an address of each family there. What is sent to one comes back with source and
destination exchanged, half of MS milliseconds later, to the gateway that this program is: so the kernel's own TCP meets
a round trip of MS. LOST: "ipv4" or "ipv6", of which nothing comes back; "route", there is no way to IPv6; or "nothing".

It needs /dev/net/tun, and runs where root or `unshare` has made a network and a mount namespace.
"""

from __future__ import annotations

import fcntl
import heapq
import os
import select
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PORT = 3000
NAME = "gw.example.ts.net"
NEAR = {"ipv4": "10.77.0.1/24", "ipv6": "2001:db8:77::1/64"}
FAR = {"ipv4": "10.77.0.2", "ipv6": "2001:db8:77::2"}
VERSIONS = {4: "ipv4", 6: "ipv6"}
_TUNSETIFF = 0x400454CA
_TUN_WITHOUT_HEADER = 0x1001
_ANSWER = b'{"choices":[{"message":{"role":"assistant","content":"hi"}}]}'


class Gateway(BaseHTTPRequestHandler):
    """Answers every call."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(_ANSWER)))
        self.end_headers()
        self.wfile.write(_ANSWER)

    def log_message(self, form: str, *values: object) -> None:
        """Nothing."""


class Server(ThreadingHTTPServer):
    """Listens on both families."""

    address_family = socket.AF_INET6


def exchanged(packet: bytes) -> bytes:
    """The packet with its addresses exchanged, which leaves every checksum right."""
    start, size = (12, 4) if packet[0] >> 4 == 4 else (8, 16)
    middle, end = start + size, start + 2 * size
    return packet[:start] + packet[middle:end] + packet[start:middle] + packet[end:]


def reflect(device: int, delay: float, lost: str) -> None:
    """Send everything back, `delay` seconds later."""
    waiting: list[tuple[float, int, bytes]] = []
    count = 0
    while True:
        timeout = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        if select.select([device], [], [], timeout)[0]:
            packet = os.read(device, 65536)
            count += 1
            if VERSIONS.get(packet[0] >> 4) != lost:
                heapq.heappush(waiting, (time.monotonic() + delay, count, exchanged(packet)))
        while waiting and waiting[0][0] <= time.monotonic():
            os.write(device, heapq.heappop(waiting)[2])


def set_up(lost: str) -> int:
    """Make the network; returns the descriptor of its device."""
    device = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH14x", b"far0", _TUN_WITHOUT_HEADER))
    commands = ["link set lo up", "link set far0 up"]
    commands += [
        f"addr add {address} dev far0{' nodad' if family == 'ipv6' else ''}"
        for family, address in NEAR.items()
        if not (lost == "route" and family == "ipv6")
    ]
    for command in commands:
        subprocess.run(["ip", *command.split()], check=True)
    with tempfile.NamedTemporaryFile("w", suffix=".hosts") as hosts:
        hosts.write("".join(f"{address} {NAME}\n" for address in FAR.values()))
        hosts.flush()
        Path(hosts.name).chmod(0o644)
        subprocess.run(["mount", "--bind", hosts.name, "/etc/hosts"], check=True)
    return device


def main(milliseconds: str, lost: str, command: list[str]) -> int:
    """Run the command; returns its exit code."""
    device = set_up(lost)
    threading.Thread(target=reflect, args=(device, int(milliseconds) / 2000, lost), daemon=True).start()
    with Server(("::", PORT), Gateway) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[4:]))
