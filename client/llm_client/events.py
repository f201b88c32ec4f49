"""A streamed answer, put together from the server-sent events in which it comes (no I/O here)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .answers import Reply, error_inside, json_answer
from .errors import LLMProtocolError
from .http_library import httpx

_END = b"[DONE]"
_EVENT_LIMIT = 4 * 1024 * 1024
_BEGINNING = 64 * 1024
_BOM = b"\xef\xbb\xbf"

Delta = dict[str, Any]
"""What a chunk adds to the answer, as the gateway sent it: ``{"content": "Hel"}``."""


class StreamedAnswer:
    """What is known of an answer while its chunks come in.

    Attributes:
        finish_reason: why the model stopped (``stop``, ``length``, ...); None until then.
        usage: the tokens used, where the gateway tells them.
        model: the model that answers, by the gateway's own word.
        request_id: One API's ``X-Oneapi-Request-Id``.
        base_url: the gateway that answers; None until it does.
        is_over: the gateway has said that nothing more comes.
    """

    def __init__(self) -> None:
        self.finish_reason: str | None = None
        self.usage: dict[str, Any] | None = None
        self.model: str | None = None
        self.request_id: str | None = None
        self.base_url: str | None = None
        self.is_over = False
        self._status = 200
        self._lines = _Lines()
        self._data: list[bytes] = []
        self._waiting = 0
        self._beginning = b""

    def begins(self, response: httpx.Response, base_url: str) -> None:
        """Take note of the head of the answer, and of the gateway that it comes from."""
        self.base_url = base_url
        self._status = response.status_code
        self.request_id = response.headers.get("x-oneapi-request-id")

    def add(self, piece: bytes) -> Iterator[Delta]:
        """Yield the deltas that `piece` completes.

        Raises:
            LLMProtocolError: an event that is no JSON, holds an error, or has no end.
        """
        if len(self._beginning) < _BEGINNING:
            self._beginning += piece[:_BEGINNING]
        for line in self._lines.add(piece):
            yield from self._take(line)
        if self._lines.waiting + self._waiting > _EVENT_LIMIT:
            raise self._wrong(f"an event of more than {_EVENT_LIMIT >> 20} MiB")

    def ends(self) -> Iterator[Delta]:
        """Yield what the end of the connection completes.

        Raises:
            LLMProtocolError: the end came too early. One API says ``[DONE]`` also where its upstream broke off,
                so that only a ``finish_reason`` shows a whole answer.
        """
        yield from self._take(self._lines.rest())
        yield from self._take(b"")
        if self.finish_reason is None:
            if self._beginning.lstrip()[:1] in (b"{", b"["):  # an error in JSON, under the name of a stream
                json_answer(Reply(self._status, self._beginning, request_id=self.request_id))
            raise self._wrong("a stream that was cut before its end")

    def _take(self, line: bytes) -> Iterator[Delta]:
        """One line of the event stream (WHATWG HTML, 9.2.6); only `data` is of use here."""
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
            self._waiting += len(value)
        elif not line and self._data:
            data = b"\n".join(self._data)
            self._data.clear()
            self._waiting = 0
            yield from self._event(data)

    def _event(self, data: bytes) -> Iterator[Delta]:
        if self.is_over or not data.strip():
            return
        if data.strip() == _END:
            self.is_over = True
            return
        chunk = json_answer(Reply(self._status, data, request_id=self.request_id))
        if isinstance(chunk.get("usage"), dict):
            self.usage = chunk["usage"]
        if isinstance(chunk.get("model"), str):
            self.model = chunk["model"]
        if "choices" not in chunk and chunk.get("message"):  # DashScope's own way to tell an error
            raise error_inside(Reply(self._status, data, request_id=self.request_id))
        choices = chunk.get("choices") or []
        if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
            raise self._wrong("a stream whose choices are not a list of objects")
        for choice in choices:
            delta = choice.get("delta")
            if isinstance(delta, dict) and delta:
                yield delta
            if choice.get("finish_reason"):
                self.finish_reason = str(choice["finish_reason"])

    def _wrong(self, what: str) -> LLMProtocolError:
        return LLMProtocolError(f"HTTP {self._status} with {what}", status=self._status, request_id=self.request_id)


class _Lines:
    """Lines out of pieces of any size; they end in LF, CR LF or CR."""

    def __init__(self) -> None:
        self._rest = b""
        self._is_first = True

    @property
    def waiting(self) -> int:
        return len(self._rest)

    def add(self, piece: bytes) -> Iterator[bytes]:
        text = self._rest + piece
        # A CR at the very end may be the first half of CR LF.
        held = b"\r" if text.endswith(b"\r") else b""
        if self._is_first and len(text) >= len(_BOM):
            text = text.removeprefix(_BOM)
            self._is_first = False
        *whole, self._rest = text.removesuffix(held).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest += held
        yield from whole

    def rest(self) -> bytes:
        return self._rest.rstrip(b"\r")
