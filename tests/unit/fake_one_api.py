"""One API's admin API and its relay in memory: just what a deployment asks of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from llm_gateway.flavours import option_text
from llm_gateway.flavours.known import ONE_API

Row = dict[str, Any]
DEFAULT_PASSWORD = "123456"
DEPLOYED_OPTIONS = {name: option_text(name, value) for name, value in ONE_API.default_options.items()}
"""What a deployment sets where nothing else is declared."""
POINTERS = {"base_url", "model_mapping", "priority", "weight", "system_prompt"}


class FakeOneAPI:
    """Takes requests by `transport`; `requests` are all but the looking ones: method, path, body."""

    def __init__(self, access_token: str, dimensions: int = 1024) -> None:
        self.access_token = access_token
        self.dimensions = dimensions
        self.password = DEFAULT_PASSWORD
        self.channels: list[Row] = []
        self.tokens: list[Row] = []
        self.options = {
            "RegisterEnabled": "true",
            "RetryTimes": "0",
            "ApproximateTokenEnabled": "false",
            "SystemName": "One API",
        }
        self.changes: list[tuple[str, str, Row]] = []
        self.tried: list[str] = []
        """The passwords that were tried."""
        self.refusal: str | None = None
        """What every change is refused with, where it is."""
        self._answers: dict[tuple[str, str], Callable[[Row], object]] = {
            ("GET", "/api/status"): lambda _: {"version": "v0.6.10", "system_name": "One API", "start_time": 1},
            ("GET", "/api/user/self"): lambda _: {"id": 1, "username": "root", "role": 100},
            ("PUT", "/api/user/self"): self._set_password,
            ("GET", "/api/user/token"): self._new_access_token,
            ("GET", "/api/channel/search"): lambda _: [{**row, "key": ""} for row in self.channels],
            ("POST", "/api/channel/"): self._create_channel,
            ("PUT", "/api/channel/"): self._update_channel,
            ("GET", "/api/channel/"): lambda row: {**_by_id(self.channels, row), "key": ""},
            ("DELETE", "/api/channel/"): self._delete_channel,
            ("GET", "/api/token/search"): lambda _: self.tokens,
            ("POST", "/api/token/"): self._create_token,
            ("PUT", "/api/token/"): self._update_token,
            ("DELETE", "/api/token/"): self._delete_token,
            ("GET", "/api/option/"): lambda _: [{"key": key, "value": value} for key, value in self.options.items()],
            ("PUT", "/api/option/"): lambda row: self.options.update({row["key"]: row["value"]}),
        }

    @property
    def transport(self) -> httpx.MockTransport:
        """How clients reach it."""
        return httpx.MockTransport(self._answer)

    @contextmanager
    def route(self, *where: object) -> Iterator[httpx.BaseTransport]:
        """In the place of `llm_gateway.hosts.route.route`."""
        yield self.transport

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path, method = request.url.path, request.method
        body = json.loads(request.content or b"{}")
        if request.url.params.get("status_only"):
            body = {"id": body["id"], "status": body["status"]}
        if path.startswith("/v1/"):
            return self._relay(path)
        if path == "/api/user/login":
            return self._log_in(body["password"])
        is_known = request.headers.get("Authorization") == self.access_token or "session=" in request.headers.get(
            "Cookie", ""
        )
        if path != "/api/status" and not is_known:
            return httpx.Response(
                401, json={"success": False, "message": "无权进行此操作，未登录且未提供 access token"}
            )
        if method != "GET":
            if self.refusal:
                return _envelope(success=False, message=self.refusal)
            self.changes.append((method, path, body))
        place, _, number = path.rpartition("/")
        if number.isdigit():
            path, body = f"{place}/", {"id": int(number)}
        return _envelope(self._answers[method, path](body))

    def _log_in(self, password: str) -> httpx.Response:
        self.tried.append(password)
        answer = _envelope(success=password == self.password)
        if password == self.password:
            answer.headers["Set-Cookie"] = "session=1; Path=/"
        return answer

    def _new_access_token(self, _: Row) -> str:
        self.access_token = "new-access-token".ljust(32, "0")
        return self.access_token

    def _set_password(self, row: Row) -> None:
        self.password = row["password"]

    def _create_channel(self, row: Row) -> None:
        self.channels.append({"id": _next_id(self.channels), "status": 1, "created_time": 1, **row})

    def _update_channel(self, row: Row) -> Row:
        """What has no pointer in Go and is zero stays as it is."""
        set_ones = {name: value for name, value in row.items() if value or name in POINTERS}
        _by_id(self.channels, row).update(set_ones)
        return _by_id(self.channels, row)

    def _delete_channel(self, row: Row) -> None:
        self.channels = [channel for channel in self.channels if channel["id"] != row["id"]]

    def _create_token(self, row: Row) -> Row:
        number = _next_id(self.tokens)
        key = f"relay-key-{number}".ljust(48, "0")
        self.tokens.append({"id": number, "key": key, "status": 1, "used_quota": 0, **row})
        return self.tokens[-1]

    def _update_token(self, row: Row) -> Row:
        _by_id(self.tokens, row).update(row)
        return _by_id(self.tokens, row)

    def _delete_token(self, row: Row) -> None:
        self.tokens.remove(_by_id(self.tokens, row))

    def _relay(self, path: str) -> httpx.Response:
        if path.endswith("embeddings"):
            return httpx.Response(200, json={"data": [{"index": 0, "embedding": [0.5] * self.dimensions}]})
        return httpx.Response(200, json={"choices": [{"message": {"role": "assistant", "content": "Blue."}}]})


def _envelope(data: object = None, *, success: bool = True, message: str = "") -> httpx.Response:
    return httpx.Response(200, json={"success": success, "message": message, "data": data})


def _by_id(rows: list[Row], sought: Row) -> Row:
    return next(row for row in rows if row["id"] == sought["id"])


def _next_id(rows: list[Row]) -> int:
    return max((row["id"] for row in rows), default=0) + 1
