"""GET /api/channel/test/:id: a chat completion straight to the channel, past routing and quota."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .channels import model_mapping
from .database import Row
from .errors import RelayError, from_upstream
from .forward import ask_headers, base_url, read_answer, read_whole
from .upstream import UpstreamError

if TYPE_CHECKING:
    from .app import App


def probe_channel(app: App, channel: Row, wanted: str) -> str:
    """Why the channel fails, or nothing.

    It is always a chat completion, so a channel that serves embeddings only always fails. A model
    that is no substring of the channel's list is replaced by the first one without a word.
    """
    model = wanted or "gpt-3.5-turbo"
    if model not in channel["models"]:
        model = channel["models"].split(",")[0]
    model = model_mapping(channel, app.log.system_error).get(model) or model
    messages = [{"role": "user", "content": "hi"}]
    body = json.dumps({"messages": messages, "model": model, "max_tokens": 2})
    app.log.system(body)
    try:
        headers = ask_headers(channel, "application/json", "")
        url = base_url(channel) + "/v1/chat/completions"
        answer = app.upstream.send("POST", url, headers, body.encode())
        content = read_whole(answer)
        if answer.status != 200:
            message = from_upstream(answer.status, content).message
            return f"status code {answer.status}: {message}"
        read_answer(answer.status, content)
    except RelayError as error:
        return error.message
    except UpstreamError as error:
        return str(error)
    shown = app.hide(content.decode(errors="replace"), channel["key"])
    app.log.system(f"testing channel #{channel['id']}, response: \n{shown}")
    return ""
