"""What the client for threads and the one for event loops share: its gateways, their requests, their failures."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from types import TracebackType

from .deadline import Deadline, checked_timeout
from .errors import LLMConfigError, LLMError
from .http_library import httpx
from .payloads import Call
from .redact import Redactor
from .retries import Retries
from .settings import Gateway
from .turns import Order, Turns
from .version import VERSION

_log = logging.getLogger("llm_client")


class Requests:
    """Builds the requests to one gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self._base = gateway.base
        self._headers = httpx.Headers(
            {
                "Host": gateway.url.netloc.decode(),
                "Authorization": f"Bearer {gateway.key}",
                "Accept": "application/json, text/event-stream",
                "Accept-Encoding": "identity",
                "Content-Type": "application/json",
                "User-Agent": f"llm-client/{VERSION}",
            }
        )
        self._urls: dict[str, httpx.URL] = {}

    def make(self, call: Call[object]) -> httpx.Request:
        """Return a new request for `call`."""
        url = self._urls.get(call.path)
        if url is None:
            url = self._urls[call.path] = httpx.URL(f"{self._base}/{call.path}")
        return httpx.Request(call.method, url, headers=self._headers, content=call.body)


class Caller:
    """Makes the requests of a client's calls, gives them their turns, and cleans their errors."""

    def __init__(self, gateways: Sequence[Gateway], retries: Retries) -> None:
        self.is_closed = False
        self._retries = retries
        self._requests = [Requests(gateway) for gateway in gateways]
        self._redactor = Redactor(*(gateway.key for gateway in gateways))
        self.order = Order([gateway.base for gateway in gateways], self._redactor)

    def begin(self, timeout: float) -> Deadline:
        """Start the clock of a call; LLMConfigError for a bad `timeout` (seconds) or a closed client."""
        seconds = checked_timeout(timeout)
        if self.is_closed:
            raise LLMConfigError("this client is closed")
        return Deadline(seconds)

    def turns(self, deadline: Deadline) -> Turns:
        """Return the turns of the gateways in a call that has until `deadline`."""
        return Turns(self.order, self._retries, deadline)

    def request(self, call: Call[object], turns: Turns) -> httpx.Request:
        """Return a new request for `call` to the gateway whose turn it is."""
        return self._requests[turns.number].make(call)

    def reporting(self, model: str | None) -> Reporting:
        """The context of one call: an error that leaves it names the model, holds no key, and is logged once."""
        return Reporting(self._redactor, model)


class Reporting:
    """See `Caller.reporting`.

    Attributes:
        base: the gateway whose answer has begun.
    """

    __slots__ = ("_model", "_redactor", "base")

    def __init__(self, redactor: Redactor, model: str | None) -> None:
        self._redactor = redactor
        self._model = model
        self.base: str | None = None

    def __enter__(self) -> Reporting:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, LLMError):
            error.model = self._model
            error.base_url = error.base_url or self.base
            self._redactor.clean(error)
            _log.error("[LLM_Client] Error calling %s: %s", error.model or "models", error.summary)
