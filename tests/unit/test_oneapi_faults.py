"""The admin client when something is wrong: with the server, with the network, with the caller."""

from __future__ import annotations

import http.server
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from test_oneapi import ACCESS, CHANNEL_ROW, KEY, SPEC, TOKEN_ROW, admin_for, ok

from llm_gateway.flavours import (
    AdminError,
    Invalid,
    NotAdminAPI,
    RateLimited,
    Refused,
    TokenSpec,
    Unauthorised,
    Unreachable,
)
from llm_gateway.flavours.oneapi import AdminClient, wire

TOKEN = wire.read_token(TOKEN_ROW)
Calls = list[Callable[[AdminClient], object]]
CALLS: Calls = [
    lambda admin: admin.status(),
    lambda admin: admin.own_user(),
    lambda admin: admin.set_own_password("long enough"),
    lambda admin: admin.new_access_token(),
    lambda admin: admin.channels(),
    lambda admin: admin.create_channel(SPEC),
    lambda admin: admin.update_channel(7, SPEC),
    lambda admin: admin.switch_channel_off(7),
    lambda admin: admin.delete_channel(7),
    lambda admin: admin.tokens(),
    lambda admin: admin.delete_token(3),
    lambda admin: admin.set_token_status(TOKEN, 2),
    lambda admin: admin.update_token(TOKEN, TokenSpec("agent1")),
    lambda admin: admin.options(),
    lambda admin: admin.set_option("a", "b"),
]
NO_SUCH_PATH = {"error": {"message": "Invalid URL (GET /api/x)", "type": "invalid_request_error"}}


def envelope(message: str, status: int = 200) -> httpx.Response:
    return httpx.Response(status, json={"success": False, "message": message})


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("reply", "kind", "text"),
    [
        (httpx.Response(429), RateLimited, "too many requests"),
        (httpx.Response(200, text="<!doctype html>"), NotAdminAPI, "a web page"),
        (httpx.Response(200, text="ok"), NotAdminAPI, "not JSON"),
        (httpx.Response(200), NotAdminAPI, "empty body"),
        (httpx.Response(200, json=[1]), NotAdminAPI, "HTTP 200"),
        (httpx.Response(200, json={"data": []}), NotAdminAPI, "JSON of another kind"),
        (httpx.Response(404, json=NO_SUCH_PATH), NotAdminAPI, "Invalid URL"),
        (httpx.Response(301, headers={"location": "/x"}), NotAdminAPI, "redirect"),
        (httpx.Response(502, text="<html>"), Unreachable, "HTTP 502"),
        (envelope("无权进行此操作，未登录且未提供 access token", 401), Unauthorised, "未登录"),
        (envelope("无权进行此操作，access token 无效"), Unauthorised, "无效"),
        (envelope("无权进行此操作，权限不足"), Unauthorised, "权限不足"),
        (httpx.Response(401), Unauthorised, "401"),
    ],
)
def test_every_call_checks_every_answer(
    call: Callable[[AdminClient], object],
    reply: httpx.Response,
    kind: type[AdminError],
    text: str,
) -> None:
    admin, _ = admin_for(reply)
    with pytest.raises(kind) as caught:
        call(admin)
    assert text in str(caught.value)
    assert "/api/" in str(caught.value)
    assert caught.value.__context__ is None


def test_a_refusal_keeps_the_servers_words() -> None:
    admin, _ = admin_for(envelope("令牌名称过长"))
    with pytest.raises(Refused) as caught:
        admin.set_option("a", "b")
    assert caught.value.message == "令牌名称过长"
    assert str(caught.value) == "PUT /api/option/ was refused: 令牌名称过长"


@pytest.mark.parametrize(
    ("answer_to_look", "methods"),
    [("record not found", ["PUT", "GET", "DELETE"]), ("database is locked", ["PUT", "GET"])],
)
def test_routing_entries_of_a_channel_that_is_gone_are_taken_away(answer_to_look: str, methods: list[str]) -> None:
    """One API says success, and has made broken routing entries; a channel that may be there is let be."""

    def handler(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return envelope(answer_to_look)
        return ok({"id": 99, "key": KEY, "created_time": 0})

    admin, seen = admin_for(handler)
    with pytest.raises(Refused, match=answer_to_look):
        admin.update_channel(99, SPEC)
    assert [request.method for request in seen] == methods


def test_a_channel_that_was_put_there_without_a_time_is_updated() -> None:
    admin, seen = admin_for(lambda request: ok({**CHANNEL_ROW, "created_time": 0}))
    admin.update_channel(7, SPEC)
    assert [request.method for request in seen] == ["PUT", "GET"]


def test_a_banned_user_is_not_authorised() -> None:
    admin, _ = admin_for(envelope("用户已被封禁"))
    with pytest.raises(Unauthorised, match="封禁"):
        admin.own_user()


def test_a_login_that_is_closed_is_no_wrong_password() -> None:
    admin, _ = admin_for(envelope("管理员关闭了密码登录"), access_token=None)
    with pytest.raises(Refused):
        admin.log_in("root", "123456")


def test_logging_in_too_often_is_told() -> None:
    admin, _ = admin_for(httpx.Response(429), access_token=None)
    with pytest.raises(RateLimited):
        admin.log_in("root", "123456")


@pytest.mark.parametrize(
    "data",
    [{}, [], "x", None, {"id": "1", "username": "root", "role": 1}, {"id": True, "username": ""}],
)
def test_data_of_another_shape_is_not_one_api(data: Any) -> None:
    admin, _ = admin_for(ok(data))
    with pytest.raises(NotAdminAPI, match="/api/user/self"):
        admin.own_user()
    with pytest.raises(NotAdminAPI, match="/api/status"):
        admin.status()


def test_a_list_of_other_things_is_not_one_api() -> None:
    for data in ([1], {"a": 1}, [{**CHANNEL_ROW, "models": 1}], [{"id": 1}]):
        admin, _ = admin_for(ok(data))
        with pytest.raises(NotAdminAPI):
            admin.channels()


PASSWORD = "correct horse"
ECHO = f"UNIQUE constraint failed: {'x' * 260} {KEY} {ACCESS} {PASSWORD}"


@pytest.mark.parametrize(
    ("call", "secret"),
    [
        (lambda admin: admin.create_channel(SPEC), KEY),
        (lambda admin: admin.update_channel(1, SPEC), KEY),
        (lambda admin: admin.set_option("a", "b"), KEY),
        (lambda admin: admin.set_own_password(PASSWORD), PASSWORD),
        (lambda admin: admin.own_user(), ACCESS),
    ],
)
@pytest.mark.parametrize(
    "reply",
    [
        envelope(ECHO),
        envelope(ECHO[200:]),
        httpx.Response(404, json={"error": {"message": ECHO[200:]}}),
        httpx.Response(200, json={"success": 1, "data": {"key": KEY}}),
        httpx.Response(200, text=f"<html>{ECHO}"),
        httpx.Response(200, text=ECHO),
    ],
)
def test_no_error_repeats_a_secret(call: Callable[[AdminClient], object], secret: str, reply: httpx.Response) -> None:
    admin, _ = admin_for(reply)
    with pytest.raises(AdminError) as caught:
        call(admin)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert secret[:10] not in shown


@pytest.mark.parametrize("base", ["", "gw:3000", "ftp://gw", "http://root:pw@gw", "http://gw:x"])
def test_a_bad_address_is_told_before_anything_is_sent(base: str) -> None:
    with pytest.raises(Invalid, match="http://host:port"):
        AdminClient(base)


@pytest.mark.parametrize("token", ["", "a b", "a\nb", "密"])
def test_a_token_that_no_header_can_carry_is_refused(token: str) -> None:
    with pytest.raises(Invalid) as caught:
        AdminClient("http://gw", access_token=token)
    assert not token or token not in str(caught.value)


def test_a_refused_connection_is_unreachable_with_its_reason() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with AdminClient(base, access_token=ACCESS) as admin, pytest.raises(Unreachable) as caught:
            admin.status()
    assert "GET /api/status" in str(caught.value)
    assert "ECONNREFUSED" in str(caught.value)
    assert base in str(caught.value)
    assert caught.value.__context__ is None


class Slow(http.server.BaseHTTPRequestHandler):
    """Answers /api/status byte by byte, all else never."""

    stop = threading.Event()

    def do_GET(self) -> None:
        if self.path == "/api/status":
            self.send_response(200)
            self.end_headers()
            while not self.stop.wait(0.05):
                try:
                    self.wfile.write(b" ")
                except OSError:
                    return
        self.stop.wait(10)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def slow_server() -> Iterator[str]:
    Slow.stop.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        Slow.stop.set()
        running.shutdown()


def test_a_server_that_is_too_slow_is_unreachable(slow_server: str) -> None:
    with AdminClient(slow_server, access_token=ACCESS, timeout=0.3) as admin:
        for call in (admin.status, admin.own_user):
            begun = time.monotonic()
            with pytest.raises(Unreachable, match=r"within 0\.3 s"):
                call()
            assert time.monotonic() - begun < 5


def test_the_environments_proxy_is_never_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "[fd7a::1]")
    data = {"version": "v", "system_name": "s", "start_time": 1}
    body = ok(data).content

    class Quick(Slow):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quick) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        with AdminClient(f"http://127.0.0.1:{running.server_address[1]}") as admin:
            assert admin.status().version == "v"
        running.shutdown()
