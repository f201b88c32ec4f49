"""/v1/messages at a channel that speaks OpenAI's protocol: the request and the answer in the other's words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from ..models import CREATED
from ..web import go_json
from .errors import RelayError

DEFAULT_MAX_TOKENS = 8192
_STOPS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}


def as_openai(given: Any) -> dict[str, Any]:
    """Anthropic's request as OpenAI's. Raises RelayError where it has no messages."""
    if not isinstance(given, dict) or not given.get("messages"):
        raise RelayError(500, "field messages is required", "invalid_request", is_final=True)
    stops = given.get("stop_sequences") or []
    body = {
        "model": given.get("model"),
        "messages": [*_system(given.get("system")), *_messages(given["messages"])],
        "stream": given.get("stream"),
        "max_tokens": given.get("max_tokens") or DEFAULT_MAX_TOKENS,
        **{name: given.get(name) for name in ("temperature", "top_p", "top_k")},
        "stop": stops[0] if len(stops) == 1 else stops or None,
        "tools": [_tool(tool) for tool in given.get("tools") or []] or None,
    }
    return {name: value for name, value in body.items() if value is not None}


def _system(system: Any) -> list[dict[str, Any]]:
    text = system if isinstance(system, str) else "".join(str(part.get("text") or "") for part in system or [])
    return [{"role": "system", "content": text}] if text else []


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    function = {name: tool.get(name) or "" for name in ("description", "name")}
    return {"type": "function", "function": {**function, "parameters": tool.get("input_schema")}}


def _messages(messages: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Calls of tools stand beside a message there, and their results are messages of their own."""
    names: dict[str, str] = {}
    for message in messages:
        content = message.get("content")
        if not isinstance(content, list):
            yield {"role": message.get("role", ""), "content": content}
            continue
        parts, calls = [], []
        for part in content:
            kind = part.get("type")
            if kind == "text":
                parts.append({"type": "text", "text": part.get("text", "")})
            elif kind == "image":
                source = part.get("source") or {}
                url = f"data:{source.get('media_type')};base64,{source.get('data')}"
                parts.append({"type": "image_url", "image_url": {"url": url}})
            elif kind == "tool_use":
                names[part["id"]] = part["name"]
                arguments = go_json(part.get("input")).decode()
                function = {"name": part["name"], "arguments": arguments}
                calls.append({"id": part["id"], "type": "function", "function": function})
            elif kind == "tool_result":
                yield _result(part, names)
        if calls:
            yield {"role": message["role"], "content": None, "tool_calls": calls}
        elif parts:
            yield {"role": message["role"], "content": parts}


def _result(part: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    content, call = part.get("content"), str(part.get("tool_use_id"))
    text = content if isinstance(content, str) else go_json(content).decode()
    return {"role": "tool", "content": text, "name": names.get(call, ""), "tool_call_id": call}


def usage(prompt: int, completion: int) -> dict[str, int]:
    """Anthropic's form of a usage, with what new-api adds to it."""
    return {
        "input_tokens": prompt,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": completion,
        "claude_cache_creation_5_m_tokens": 0,
        "claude_cache_creation_1_h_tokens": 0,
    }


def as_message(given: Mapping[str, Any], prompt: int, completion: int) -> bytes:
    """OpenAI's answer as Anthropic's."""
    content: list[dict[str, Any]] = []
    stop = ""
    for choice in given.get("choices") or ():
        stop = _STOPS.get(choice.get("finish_reason"), "end_turn")
        message = choice.get("message") or {}
        if stop == "tool_use":
            content += [_use(call) for call in message.get("tool_calls") or ()]
        else:
            content.append({"type": "text", "text": message.get("content") or ""})
    return go_json(
        {
            "id": given.get("id", ""),
            "type": "message",
            "role": "assistant",
            "content": content,
            "stop_reason": stop,
            "model": given.get("model", ""),
            "usage": usage(prompt, completion),
        }
    )


def _use(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call.get("function") or {}
    try:
        arguments = json.loads(function.get("arguments") or "{}")
    except ValueError:
        arguments = function["arguments"]
    return {"type": "tool_use", "id": call.get("id", ""), "name": function.get("name", ""), "input": arguments}


def model_list(names: list[str]) -> dict[str, Any]:
    """The models as Anthropic's clients read them."""
    created = datetime.fromtimestamp(CREATED, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    rows = [{"id": name, "created_at": created, "display_name": name, "type": "model"} for name in names]
    return {"data": rows, "first_id": names[0], "has_more": False, "last_id": names[-1]}


class Events:
    """A stream of OpenAI's chunks as Anthropic's events."""

    def __init__(self) -> None:
        self._started = False
        self._stop = "end_turn"

    def of_chunk(self, chunk: Mapping[str, Any], prompt_tokens: int) -> Iterator[bytes]:
        """The events of one chunk. A text in the chunk that also ends the answer is lost, as in new-api."""
        if not self._started:
            self._started = True
            message = {
                "type": "message",
                "model": chunk.get("model", ""),
                "usage": usage(prompt_tokens, 0),
                "role": "assistant",
                "id": chunk.get("id", ""),
                "content": [],
            }
            yield _event("message_start", message=message)
            yield _event("content_block_start", index=0, content_block={"type": "text", "text": ""})
        for choice in chunk.get("choices") or ():
            text = (choice.get("delta") or {}).get("content")
            if choice.get("finish_reason"):
                self._stop = _STOPS.get(choice["finish_reason"], "end_turn")
            elif text:
                yield _event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})

    def end(self, prompt: int, completion: int) -> Iterator[bytes]:
        """The events at the end."""
        yield _event("content_block_stop", index=0)
        yield _event("message_delta", usage=usage(prompt, completion), delta={"stop_reason": self._stop})
        yield _event("message_stop")


def _event(kind: str, **fields: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), go_json({"type": kind, **fields}))
