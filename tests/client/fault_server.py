"""A gateway on loopback that misbehaves as told: one step of a script for each request.

A step is a dict, as the vectors write it:

==============  ======================================================================================
status          of the answer; without it (and without `raw`) nothing is answered at all
headers         a dict; of the usual ones only the framing is sent unasked
json, text, hex the body; `repeat` times, if given
packing         ``gzip`` or ``deflate``: the body is sent packed, with its header; ``gzip members`` (two, one
                after the other) and ``raw deflate`` (without zlib's head) are of those kinds, too
framing         ``length`` (the default), ``chunked``, or ``close``: the body ends where the connection does
cut_at          only so many bytes of the framed body are sent
raw             sent as it is, in place of a head and a body
drip_ms         what is sent goes byte by byte, so many milliseconds apart
wait_ms         milliseconds of silence before the answer
gather          the answer waits until so many requests have come in all
unread          true: the request's body is never read
then            ``keep`` the connection (the default), ``close`` it, ``reset`` it, ``silence`` until the
                client goes, ``endless``: send the body again and again, or ``die``: seem to be kept, and
                reset the connection as soon as the client uses it again; ``hold``: keep it open, read nothing;
                ``linger``: close it, after the half second that Go's server gives a client to hear the answer
==============  ======================================================================================
"""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
import zlib
from collections.abc import Iterator
from types import TracebackType
from typing import Any

Step = dict[str, Any]
_KEYS = {
    *("status", "headers", "json", "text", "hex", "repeat", "packing", "framing"),
    *("cut_at", "raw", "drip_ms", "wait_ms", "gather", "unread", "then"),
}
_WINDOW_BITS = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS, "raw deflate": -zlib.MAX_WBITS}


class FaultServer:
    """Plays `steps`, one for each request in the order in which they come; a context manager.

    Attributes:
        port: where it listens, on 127.0.0.1.
        hung_up: set once a client left in the midst of an answer.
        requests: what came: dicts of method, path, headers (lower-case names), body (the JSON).
    """

    def __init__(self, steps: list[Step], tls: ssl.SSLContext | None = None, deaf_seconds: float = 0) -> None:
        """`deaf_seconds`: so long it takes no connection, as a host does that is far away."""
        for step in steps:
            if unknown := set(step) - _KEYS:
                raise ValueError(f"a step of the fault server does not know {sorted(unknown)}")
        self.requests: list[dict[str, Any]] = []
        self._steps = steps
        self._tls = tls
        self._over = threading.Event()
        self.hung_up = threading.Event()
        self._lock = threading.Lock()
        self._one_more = threading.Condition(self._lock)
        self._deaf_seconds = deaf_seconds
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=0 if deaf_seconds else 128)
        self.port: int = self._listener.getsockname()[1]
        self._queue = [socket.socket() for _ in range(2 if deaf_seconds else 0)]

    def __enter__(self) -> FaultServer:
        for waiting in self._queue:  # what comes after them is not answered, and comes again after a second
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, name="fault-server", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the accept
        self._listener.close()
        for waiting in self._queue:
            waiting.close()

    def _accept(self) -> None:
        self._over.wait(self._deaf_seconds)
        while not self._over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # closed by __exit__
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        # The client may hang up in the midst of anything: that is what many vectors are about.
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection:
                while self._answer_one(connection):
                    pass
        except OSError:
            self.hung_up.set()

    def _answer_one(self, connection: socket.socket) -> bool:
        """Read one request, play its step; return whether the connection stays."""
        head = _read_head(connection)
        if head is None:
            return False
        step = self._next_step(head)
        if not step.get("unread"):
            head["body"] = _read_body(connection, head)
        self._over.wait(step.get("wait_ms", 0) / 1000)
        with self._one_more:
            self._one_more.wait_for(lambda: len(self.requests) >= step.get("gather", 0), timeout=10)
        for piece in _answer(step):
            self._send(connection, piece, step.get("drip_ms"))
        return self._end(connection, step)

    def _next_step(self, head: dict[str, Any]) -> Step:
        with self._lock:
            number = len(self.requests)
            self.requests.append(head)
            self._one_more.notify_all()
        if number < len(self._steps):
            return self._steps[number]
        return {"status": 418, "text": "a request that the vector does not expect", "then": "close"}

    def _send(self, connection: socket.socket, data: bytes, drip_ms: float | None) -> None:
        if drip_ms is None:
            connection.sendall(data)
            return
        for byte in data:
            connection.sendall(bytes([byte]))
            if self._over.wait(drip_ms / 1000):
                return

    def _end(self, connection: socket.socket, step: Step) -> bool:
        then = step.get("then", "keep")
        if then == "endless":
            while not self._over.is_set():
                self._send(connection, _framed(step), step.get("drip_ms"))
        elif then == "silence":
            while connection.recv(65536):
                pass
        elif then in ("hold", "linger"):
            self._over.wait({"hold": 10, "linger": 0.5}[then])
        elif then in ("reset", "die"):
            if then == "die":
                connection.recv(1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif then not in ("keep", "close"):
            raise ValueError(f"a step of the fault server cannot end with {then!r}")
        return then == "keep" and step.get("framing") != "close"


def _read_head(connection: socket.socket) -> dict[str, Any] | None:
    """The head of the next request, with what came of its body as ``rest``; None where none comes."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return None
        data += more
        if not data[:1].isalpha():  # TLS, say
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            return None
    head, _, rest = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return {"method": method, "path": path, "headers": headers, "rest": rest}


def _read_body(connection: socket.socket, head: dict[str, Any]) -> object:
    """All of it: bytes that stay unread would turn the close into a reset."""
    body = bytearray(head.pop("rest"))
    length = int(head["headers"].get("content-length", 0))
    while len(body) < length and (more := connection.recv(65536)):
        body += more
    return json.loads(body)


def _answer(step: Step) -> Iterator[bytes]:
    """What a step sends before its end."""
    if "raw" in step:
        yield step["raw"].encode()
        return
    if "status" not in step:
        return
    body, framing = _body(step), step.get("framing", "length")
    headers = dict(step.get("headers", {}))
    if "packing" in step:
        headers["Content-Encoding"] = step["packing"].removeprefix("raw ").removesuffix(" members")
    if framing == "length":
        headers["Content-Length"] = str(len(body))
    elif framing == "chunked":
        headers["Transfer-Encoding"] = "chunked"
    lines = [f"HTTP/1.1 {step['status']} Said", *(f"{name}: {value}" for name, value in headers.items())]
    yield ("\r\n".join(lines) + "\r\n\r\n").encode()
    framed = _framed(step)
    if framing == "chunked" and step.get("then") != "endless":
        framed += b"0\r\n\r\n"
    yield framed[: step.get("cut_at")]


def _body(step: Step) -> bytes:
    whole = json.dumps(step["json"], ensure_ascii=False) if "json" in step else step.get("text", "")
    one = bytes.fromhex(step["hex"]) if "hex" in step else whole.encode()
    plain = one * step.get("repeat", 1)
    if "packing" not in step:
        return plain
    if step["packing"] == "gzip members":
        return pack(plain[:20], "gzip") + pack(plain[20:], "gzip")
    return pack(plain, step["packing"])


def pack(plain: bytes, packing: str) -> bytes:
    """`plain` as a body of one of the packings above, in one member."""
    packer = zlib.compressobj(1, wbits=_WINDOW_BITS[packing])
    return packer.compress(plain) + packer.flush()


def _framed(step: Step) -> bytes:
    """The body as it is sent, the end of the last chunk apart."""
    body = _body(step)
    return b"%x\r\n%s\r\n" % (len(body), body) if body and step.get("framing") == "chunked" else body
