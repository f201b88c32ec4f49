"""GET /api/channel/test/:id: a chat completion straight to the channel, past routing and quota."""

from __future__ import annotations

from http.client import HTTPMessage
from typing import TYPE_CHECKING, Any

from ..channels import model_mapping
from ..database import Row
from ..web import Request
from .billing import Bill
from .body import CHAT
from .errors import RelayError, from_upstream
from .forward import ask, read_answer, read_content, usage_of
from .relay_auth import Caller

if TYPE_CHECKING:
    from .app import App


NAME_OF_TESTS = "模型测试"


def probe_channel(app: App, asked_by: Request, channel: Row) -> tuple[str, Any]:
    """Why the channel fails and with which code, or nothing; it is asked for the first of its models by default.

    The log has a row of what the test has used, as if of a token; nobody is charged.
    """
    wanted = asked_by.query("model") or channel["test_model"] or channel["models"].split(",")[0]
    model = model_mapping(channel, app.log.system_error).get(wanted) or wanted
    user = {"id": asked_by.user_id, "username": asked_by.username}
    body = {"messages": [{"role": "user", "content": "hi"}], "stream": False, "max_tokens": 16}
    request = Request("POST", CHAT, HTTPMessage(), b"", "", app.new_request_id())
    try:
        bill = Bill(app, request, Caller({"id": 0, "name": NAME_OF_TESTS}, user, "default", None), wanted, False)
        answer = ask(app, request, body, channel, model, CHAT)
        content = read_content(answer)
        if answer.status != 200:
            error = from_upstream(answer.status, content)
            shown = content.decode(errors="replace")
            words = f", message: {error.message}" if error.message else ""
            return f"bad response status code {answer.status}{words}, body: {shown}", error.code
        bill.record(channel, *usage_of(read_answer(answer.status, content)), content=NAME_OF_TESTS)
    except RelayError as error:
        return error.message, error.code
    return "", None
