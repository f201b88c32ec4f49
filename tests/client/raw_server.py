"""Servers on loopback that do what a test wants done to a connection."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ANSWER = {"choices": [{"message": {"role": "assistant", "content": "hi"}}], "usage": {}}
BODY = json.dumps(ANSWER).encode()
OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
Behaviour = Callable[[socket.socket], None]


def read_request(connection: socket.socket) -> bool:
    """Read all of it, as bytes that stay unread would turn the close into a reset; False when none comes."""
    data = connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            missing = int(line.split(b":")[1]) - len(body)
            while missing > 0 and (more := connection.recv(65536)):
                missing -= len(more)
    return bool(data)


@contextmanager
def raw_server(behave: Behaviour) -> Iterator[str]:
    """A server that reads one request on each connection and then does what `behave` says."""
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def talk(connection: socket.socket) -> None:
        with connection:
            try:
                read_request(connection)
                behave(connection)
            except OSError:
                return  # the client hung up, as it should

    def accept() -> None:
        while not done.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        done.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def drip(start: bytes, piece: bytes) -> Behaviour:
    """Send `start`, then `piece` every 50 ms until the client goes."""

    def behave(connection: socket.socket) -> None:
        connection.sendall(start)
        while True:
            connection.sendall(piece)
            time.sleep(0.05)  # the slowness is the subject of the test

    return behave


def silent(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass
