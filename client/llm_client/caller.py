"""What the client for threads and the one for event loops share: one gateway, its requests, its failures."""

from __future__ import annotations

import logging
from types import TracebackType

from .deadline import Deadline, checked_timeout
from .errors import LLMConfigError, LLMError
from .http_library import httpx
from .payloads import Call
from .redact import Redactor
from .retries import Retries
from .settings import Gateway
from .version import VERSION

_log = logging.getLogger("llm_client")


class Caller:
    """Builds the requests to one gateway and cleans the errors of its calls."""

    def __init__(self, gateway: Gateway, retries: Retries) -> None:
        self.base = gateway.base
        self.retries = retries
        self.is_closed = False
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
        self._redactor = Redactor(gateway.key)

    def begin(self, timeout: float) -> Deadline:
        """Start the clock of a call; LLMConfigError for a bad `timeout` (seconds) or a closed client."""
        seconds = checked_timeout(timeout)
        if self.is_closed:
            raise LLMConfigError("this client is closed")
        return Deadline(seconds)

    def request(self, call: Call[object]) -> httpx.Request:
        """Return a new request for `call`."""
        url = self._urls.get(call.path)
        if url is None:
            url = self._urls[call.path] = httpx.URL(f"{self.base}/{call.path}")
        return httpx.Request(call.method, url, headers=self._headers, content=call.body)

    def reporting(self, model: str | None) -> Reporting:
        """The context of one call: an error that leaves it names the model, holds no key, and is logged once."""
        return Reporting(self._redactor, model)


class Reporting:
    """See `Caller.reporting`."""

    __slots__ = ("_model", "_redactor")

    def __init__(self, redactor: Redactor, model: str | None) -> None:
        self._redactor = redactor
        self._model = model

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, LLMError):
            error.model = self._model
            self._redactor.clean(error)
            _log.error("[LLM_Client] Error calling %s: %s", error.model or "models", error.summary)
