"""JSON as Go's encoding/json reads it into a gateway's structs and writes it out of them: what is unknown is lost.

A kind is a Go type: "string", "int", "float64", "bool", "any", "map", "raw" (json.RawMessage), a struct of ours, `[]`
before it for a list, `*` for a pointer, and `!` behind what is written even when it is zero (a field without
`omitempty`). The structs of new-api are named `dto.…`, those of One API without their package.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .envelope import kind_of

STRUCTS: Mapping[str, Mapping[str, str]] = {
    "GeneralOpenAIRequest": {
        "messages": "[]Message",
        "model": "string",
        "store": "*bool",
        "metadata": "any",
        "frequency_penalty": "*float64",
        "logit_bias": "any",
        "logprobs": "*bool",
        "top_logprobs": "*int",
        "max_tokens": "int",
        "max_completion_tokens": "*int",
        "n": "int",
        "modalities": "[]string",
        "prediction": "any",
        "audio": "*Audio",
        "presence_penalty": "*float64",
        "response_format": "*ResponseFormat",
        "seed": "float64",
        "service_tier": "*string",
        "stop": "any",
        "stream": "bool",
        "stream_options": "*StreamOptions",
        "temperature": "*float64",
        "top_p": "*float64",
        "top_k": "int",
        "tools": "[]Tool",
        "tool_choice": "any",
        "parallel_tool_calls": "*bool",
        "user": "string",
        "function_call": "any",
        "functions": "any",
        "input": "any",
        "encoding_format": "string",
        "dimensions": "int",
        "prompt": "any",
        "quality": "*string",
        "size": "string",
        "style": "*string",
        "instruction": "string",
        "num_ctx": "int",
    },
    "Message": {
        "role": "string",
        "content": "any",
        "name": "*string",
        "tool_calls": "[]Tool",
        "tool_call_id": "string",
    },
    "Tool": {"id": "string", "type": "string", "function": "Function!"},
    "Function": {"description": "string", "name": "string", "parameters": "any", "arguments": "any"},
    "ResponseFormat": {"type": "string", "json_schema": "*JSONSchema"},
    "JSONSchema": {"description": "string", "name": "string!", "schema": "map", "strict": "*bool"},
    "Audio": {"voice": "string", "format": "string"},
    "StreamOptions": {"include_usage": "bool"},
    "ImageRequest": {
        "model": "string!",
        "prompt": "string!",
        "n": "int",
        "size": "string",
        "quality": "string",
        "response_format": "string",
        "style": "string",
        "user": "string",
    },
    "TextToSpeechRequest": {
        "model": "string!",
        "input": "string!",
        "voice": "string!",
        "speed": "float64!",
        "response_format": "string!",
    },
    "dto.GeneralOpenAIRequest": {
        "model": "string",
        "messages": "[]dto.Message",
        "prompt": "any",
        "prefix": "any",
        "suffix": "any",
        "stream": "*bool",
        "stream_options": "*dto.StreamOptions",
        "max_tokens": "*uint",
        "max_completion_tokens": "*uint",
        "reasoning_effort": "string",
        "verbosity": "raw",
        "temperature": "*float64",
        "top_p": "*float64",
        "top_k": "*int",
        "stop": "any",
        "n": "*int",
        "input": "any",
        "instruction": "string",
        "size": "string",
        "functions": "raw",
        "frequency_penalty": "*float64",
        "presence_penalty": "*float64",
        "response_format": "*dto.ResponseFormat",
        "encoding_format": "raw",
        "seed": "*float64",
        "parallel_tool_calls": "*bool",
        "tools": "[]dto.ToolCallRequest",
        "tool_choice": "any",
        "function_call": "raw",
        "user": "raw",
        "service_tier": "raw",
        "logprobs": "*bool",
        "top_logprobs": "*int",
        "dimensions": "*int",
        "modalities": "raw",
        "audio": "raw",
        "safety_identifier": "raw",
        "store": "raw",
        "prompt_cache_key": "string",
        "prompt_cache_retention": "raw",
        "logit_bias": "raw",
        "metadata": "raw",
        "prediction": "raw",
        "extra_body": "raw",
        "search_parameters": "raw",
        "web_search_options": "raw",
        "usage": "raw",
        "reasoning": "raw",
        "vl_high_resolution_images": "raw",
        "enable_thinking": "raw",
        "chat_template_kwargs": "raw",
        "enable_search": "raw",
        "think": "raw",
        "web_search": "raw",
        "thinking": "raw",
        "search_domain_filter": "raw",
        "search_recency_filter": "raw",
        "return_images": "*bool",
        "return_related_questions": "*bool",
        "search_mode": "raw",
        "reasoning_split": "raw",
    },
    "dto.Message": {
        "role": "string!",
        "content": "any!",
        "name": "*string",
        "prefix": "*bool",
        "reasoning_content": "*string",
        "reasoning": "*string",
        "tool_calls": "raw",
        "tool_call_id": "string",
    },
    "dto.ToolCallRequest": {"id": "string", "type": "string!", "function": "dto.FunctionRequest!", "custom": "raw"},
    "dto.FunctionRequest": {"description": "string", "name": "string!", "parameters": "any", "arguments": "string"},
    "dto.ResponseFormat": {"type": "string", "json_schema": "raw"},
    "dto.StreamOptions": {"include_usage": "bool", "include_obfuscation": "bool"},
    "dto.EmbeddingRequest": {
        "model": "string!",
        "input": "any!",
        "encoding_format": "string",
        "dimensions": "*int",
        "user": "string",
        "seed": "*float64",
        "temperature": "*float64",
        "top_p": "*float64",
        "frequency_penalty": "*float64",
        "presence_penalty": "*float64",
    },
    "dto.OpenAIResponsesRequest": {
        "model": "string!",
        "input": "raw",
        "include": "raw",
        "conversation": "raw",
        "context_management": "raw",
        "instructions": "raw",
        "max_output_tokens": "*uint",
        "top_logprobs": "*int",
        "metadata": "raw",
        "parallel_tool_calls": "raw",
        "previous_response_id": "string",
        "reasoning": "raw",
        "service_tier": "string",
        "store": "raw",
        "prompt_cache_key": "raw",
        "prompt_cache_retention": "raw",
        "safety_identifier": "raw",
        "stream": "*bool",
        "stream_options": "*dto.StreamOptions",
        "temperature": "*float64",
        "text": "raw",
        "tool_choice": "raw",
        "tools": "raw",
        "top_p": "*float64",
        "truncation": "raw",
        "user": "raw",
        "max_tool_calls": "*uint",
        "prompt": "raw",
        "enable_thinking": "raw",
        "preset": "raw",
    },
}
_ZEROES: Mapping[str, Any] = {"string": "", "int": 0, "uint": 0, "float64": 0, "bool": False}
_PLAIN: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "int": int,
    "uint": int,
    "float64": (int, float),
    "bool": bool,
}
_WRITTEN_WHOLE = 1e21
"""From here on Go writes a number with an exponent."""


def read(value: Any, struct: str) -> dict[str, Any]:
    """The fields of a struct that an object gives; null ones and unknown ones are left out.

    Raises ValueError in Go's words for a value of another type.
    """
    if value is None:  # to Go, null is an object without fields
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"json: cannot unmarshal {kind_of(value)} into Go value of type {_typed(struct)}")
    return _fields(value, struct, "")


def written(value: Mapping[str, Any], struct: str) -> dict[str, Any]:
    """The struct as Go writes it, in its order: zero values are left out unless they are pointed to."""
    found = {}
    for field, kind in STRUCTS[struct].items():
        bare = kind.rstrip("!")
        given = value.get(field)
        if bare == "raw":
            if field in value:
                found[field] = given
            continue
        if given is None:
            given = {} if bare in STRUCTS else _ZEROES.get(bare)
        is_empty = given is None or (bare in _ZEROES and given == _ZEROES[bare]) or (bare[:2] == "[]" and not given)
        if bare in STRUCTS or kind.endswith("!") or not is_empty:
            found[field] = _out(given, bare)
    return found


def _fields(value: Mapping[str, Any], struct: str, path: str) -> dict[str, Any]:
    kinds = STRUCTS[struct]
    place = f"{struct.removeprefix('dto.')}.{path}"
    return {
        name: _in(given, kinds[name].rstrip("!"), f"{place}{name}", f"{path}{name}.")
        for name, given in value.items()
        if name in kinds and (given is not None or kinds[name] == "raw")
    }


def _in(value: Any, kind: str, place: str, path: str) -> Any:
    bare = kind.removeprefix("*")
    if bare in ("any", "raw"):
        return value
    if bare.startswith("[]"):
        if not isinstance(value, list):
            raise _mismatch(value, place, bare)
        return [{} if item is None else _in(item, bare[2:], place, path) for item in value]
    if bare == "map" or bare in STRUCTS:
        if not isinstance(value, dict):
            raise _mismatch(value, place, bare)
        return value if bare == "map" else _fields(value, bare, path)
    is_plain = isinstance(value, _PLAIN[bare]) and (bare == "bool" or not isinstance(value, bool))
    if not is_plain or (bare == "uint" and value < 0):
        raise _mismatch(value, place, bare)
    return value


def _mismatch(value: Any, place: str, kind: str) -> ValueError:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    shown = f"number {value}" if kind in ("int", "uint") and is_number else kind_of(value)
    name = kind.removeprefix("[]")
    lists = "[]" if kind.startswith("[]") else ""
    typed = _typed(name) if name in STRUCTS else {"map": "map[string]interface {}"}.get(name, name)
    return ValueError(f"json: cannot unmarshal {shown} into Go struct field {place} of type {lists}{typed}")


def _typed(struct: str) -> str:
    return struct if struct.startswith("dto.") else f"model.{struct}"


def _out(value: Any, kind: str) -> Any:
    bare = kind.removeprefix("*")
    if bare.startswith("[]"):
        return [_out(item, bare[2:]) for item in value]
    return written(value, bare) if bare in STRUCTS else through_map(value)


def through_map(value: Any) -> Any:
    """What went through an `interface{}`: keys sorted, each number a float64."""
    if isinstance(value, dict):
        return {name: through_map(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [through_map(item) for item in value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        number = float(value)
        return int(number) if number.is_integer() and abs(number) < _WRITTEN_WHOLE else number
    return value
