"""GET /api/channel/test/:id: a chat completion straight to the channel, past routing and quota."""

from __future__ import annotations

from http.client import HTTPMessage
from typing import TYPE_CHECKING, Any

from ..channels import model_mapping
from ..database import Row
from ..web import Request
from .body import CHAT
from .errors import RelayError, from_upstream
from .forward import ask, read_answer, read_content

if TYPE_CHECKING:
    from .app import App


def probe_channel(app: App, channel: Row, wanted: str) -> tuple[str, Any]:
    """Why the channel fails and with which code, or nothing; it is asked for the first of its models by default."""
    model = wanted or channel["test_model"] or channel["models"].split(",")[0]
    model = model_mapping(channel, app.log.system_error).get(model) or model
    body = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 16}
    request = Request("POST", CHAT, HTTPMessage(), b"", "", app.new_request_id())
    try:
        answer = ask(app, request, body, channel, model, CHAT)
        content = read_content(answer)
        if answer.status != 200:
            error = from_upstream(answer.status, content)
            shown = content.decode(errors="replace")
            words = f", message: {error.message}" if error.message else ""
            return f"bad response status code {answer.status}{words}, body: {shown}", error.code
        read_answer(answer.status, content)
    except RelayError as error:
        return error.message, error.code
    return "", None
