"""The five commands: each asks the gateway one thing and prints what came."""

from __future__ import annotations

import json
import math
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .._sync.client import LLMClient
from ..errors import LLMConfigError
from . import source, terminal
from .failures import one_line

_OWN_OPTIONS = {
    "model": "--model",
    "messages": "--system and the text",
    "stream": "--no-stream",
    "timeout": "--timeout",
}
_NUMBERS_SHOWN = 4
_TEXT_SHOWN = 40


@dataclass(frozen=True)
class Call:
    """What a command has to work with."""

    arguments: Namespace
    values: Mapping[str, str]
    client: LLMClient
    output: terminal.Output
    program: str

    def model(self, variable: str) -> str:
        """Return the model to ask, by default that of the environment variable."""
        return source.model(self.arguments.model, self.values, variable, self.program)

    def note(self, text: str) -> None:
        """Tell the person something about the answer; with ``--json`` nobody reads it."""
        if not self.arguments.json:
            terminal.tell(f"note: {one_line(text)}")


Command = Callable[[Call], None]


@dataclass(frozen=True)
class Price:
    """What a million tokens cost."""

    prompt: float
    completion: float
    currency: str


def chat(call: Call) -> None:
    """Ask a model and print its answer."""
    options = _options(call.arguments.option)
    model = call.model(source.CHAT_MODEL_VARIABLE)
    messages = _messages(call.arguments.system, _question(call.arguments.text))
    if call.arguments.json:
        answer = call.client.chat(model, messages, timeout=call.arguments.timeout, **options)
        call.output.json(_json(answer))
    elif call.arguments.no_stream:
        answer = call.client.chat(model, messages, timeout=call.arguments.timeout, **options)
        choice = answer["choices"][0]
        call.output.write(_text(choice.get("message")))
        call.output.end_line()
        _tell_of_the_end(call, choice.get("finish_reason"))
        _tell_usage(call, answer.get("usage"))
    else:
        _stream(call, model, messages, options)


def embed(call: Call) -> None:
    """Turn texts into vectors and print them, or in human form what is to be seen of them."""
    texts = _inputs(call.arguments.text)
    model = call.model(source.EMBEDDING_MODEL_VARIABLE)
    dimensions = call.arguments.dimensions
    vectors = call.client.embed(model, texts, dimensions=dimensions, timeout=call.arguments.timeout)
    if call.arguments.json:
        call.output.json(_json(vectors))
        return
    for text, vector in zip(texts, vectors, strict=True):
        call.output.line(_described(text, vector))


def models(call: Call) -> None:
    """List the models that the key may use."""
    names = call.client.models(timeout=call.arguments.timeout)
    if call.arguments.json:
        call.output.json(_json(names))
        return
    for name in names:
        call.output.line(name)
    if not names:
        call.note("the gateway lists no model: it has no channel, or this key may use none")


def ping(call: Call) -> None:
    """Tell whether the gateway is there and takes the key; nothing is billed."""
    begin = time.perf_counter()
    names = call.client.models(timeout=call.arguments.timeout)
    milliseconds = (time.perf_counter() - begin) * 1000
    if call.arguments.json:
        found = {"base_url": call.client.answered_by, "milliseconds": round(milliseconds, 1), "models": len(names)}
        call.output.json(_json(found))
    else:
        counted = "1 model" if len(names) == 1 else f"{len(names)} models"
        call.output.line(f"{call.client.answered_by} answered in {milliseconds:.0f} ms and takes the key: {counted}")


def usage(call: Call) -> None:
    """Tell what the key has used since it was made, as far as a gateway tells a key."""
    found = call.client.key_usage(timeout=call.arguments.timeout)
    until = found.expires and f"{datetime.fromtimestamp(found.expires, UTC):%Y-%m-%dT%H:%M:%SZ}"
    if call.arguments.json:
        used = found.used if found.is_counted else None
        call.output.json(_json({"used": used, "limit": found.limit, "left": found.left, "expires": until}))
        return
    if found.limit is not None and found.left is not None:
        call.output.line(f"used: {_amount(found.used)} of {_amount(found.limit)}, left: {_amount(found.left)}")
    elif found.is_counted:
        call.output.line(f"used: {_amount(found.used)}, without a limit")
    else:
        call.output.line("used: not counted, because the key has no limit")
    if until:
        call.output.line(f"valid until: {until}")
    call.note(
        "in all since the key was made, in dollars by the gateway's own prices; it tells a key no month and no tokens:"
        " whoever runs it has them (`llm-gateway usage --by agent,model`)"
    )


def _stream(call: Call, model: str, messages: list[dict[str, object]], options: dict[str, Any]) -> None:
    """Print the answer as it comes; when it breaks off, what has come stays, on a line of its own.

    What a model thinks before it answers (``reasoning_content``) is no part of the answer.
    """
    if _wants_usage(call):
        options.setdefault("stream_options", {"include_usage": True})
    try:
        with call.client.stream(model, messages, timeout=call.arguments.timeout, **options) as deltas:
            for delta in deltas:
                call.output.write(_text(delta))
    finally:
        call.output.end_line()
    _tell_of_the_end(call, deltas.finish_reason)
    _tell_usage(call, deltas.usage)


def _tell_of_the_end(call: Call, finish_reason: object) -> None:
    if not call.output.printed:
        call.note("the answer holds no text")
    if finish_reason == "length":
        call.note("the answer is cut at the model's limit or at max_tokens (finish_reason: length)")
    elif finish_reason not in (None, "stop"):
        call.note(f"finish_reason: {finish_reason}")


def _wants_usage(call: Call) -> bool:
    return call.arguments.usage or call.arguments.price is not None


def _tell_usage(call: Call, usage: object) -> None:
    """Tell the tokens and the gateway, by whose word they are, and what they cost by the price that was handed in."""
    if not _wants_usage(call):
        return
    counts = usage if isinstance(usage, Mapping) else {}
    prompt, completion = counts.get("prompt_tokens"), counts.get("completion_tokens")
    if type(prompt) is not int or type(completion) is not int:
        call.note("the gateway told no tokens for this answer")
        return
    told = f"usage: {prompt:,} prompt + {completion:,} completion tokens by {call.client.answered_by}"
    if (price := call.arguments.price) is not None:
        told += f", {_amount((prompt * price.prompt + completion * price.completion) / 1e6)} {price.currency}"
    terminal.tell(told)


def _amount(value: float) -> str:
    """A sum of money to a millionth, without zeros at its end."""
    return f"{value:,.6f}".rstrip("0").rstrip(".")


def _text(message: object) -> str:
    content = message.get("content") if isinstance(message, Mapping) else None
    return content if isinstance(content, str) else ""


def _messages(system: str | None, question: str) -> list[dict[str, object]]:
    before: list[dict[str, object]] = []
    if system is not None:
        before = [{"role": "system", "content": terminal.argument_text(system)}]
    return [*before, {"role": "user", "content": question}]


def _question(arguments: Sequence[str]) -> str:
    """The words on the command line; standard input takes the place of a ``-``, set apart by an empty line."""
    words = [terminal.argument_text(argument) for argument in arguments]
    if "-" not in words and words:
        text = " ".join(words)
    else:
        _refuse_to_wait(words)
        piped = terminal.standard_input()
        text = "\n\n".join(piped if word == "-" else word for word in words or ["-"])
    if not text.strip():
        raise LLMConfigError("the text is blank: there is nothing to ask")
    return text


def _inputs(arguments: Sequence[str]) -> list[str]:
    """The texts to embed: the arguments, or the lines of standard input."""
    texts = [terminal.argument_text(argument) for argument in arguments]
    where = "argument"
    if texts in ([], ["-"]):
        _refuse_to_wait(texts)
        where = "line"
        texts = [line.removesuffix("\r") for line in terminal.standard_input().rstrip().split("\n")]
    for number, text in enumerate(texts, start=1):
        if not text.strip():
            raise LLMConfigError(f"{where} {number} is blank: a vector belongs to a text")
    return texts


def _refuse_to_wait(words: Sequence[str]) -> None:
    """Without a word and with nothing piped in, the program would seem to hang; a ``-`` means it."""
    if not words and sys.stdin is not None and sys.stdin.isatty():
        raise LLMConfigError("no text: give it as an argument, or pipe it in")


def _options(pairs: Sequence[str]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = terminal.argument_text(pair).partition("=")
        if not equals or not name.isidentifier() or name == "self":
            raise LLMConfigError(f"--option {pair}: it needs the form name=JSON, such as temperature=0.2")
        if name in _OWN_OPTIONS:
            raise LLMConfigError(f"--option {name}: that is what {_OWN_OPTIONS[name]} is for")
        options[name] = _json_value(name, value)
    return options


def _json_value(name: str, value: str) -> object:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        text = value[:40]
    raise LLMConfigError(f"""--option {name}: {text} is no JSON; a text needs quotes: '{name}="{text}"'""")


def _described(text: str, vector: Sequence[float]) -> str:
    numbers = ", ".join(f"{number:.4f}" for number in vector[:_NUMBERS_SHOWN])
    more = ", …" if len(vector) > _NUMBERS_SHOWN else ""
    shown = text if len(text) <= _TEXT_SHOWN else text[: _TEXT_SHOWN - 1] + "…"
    return f"{len(vector)} dimensions  norm {math.hypot(*vector):.4f}  [{numbers}{more}]  {one_line(shown)}"


def _json(found: object) -> str:
    return json.dumps(found, ensure_ascii=False)
