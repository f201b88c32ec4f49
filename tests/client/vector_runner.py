"""Plays one vector (see vectors/README.md) against a language's client, and checks what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import json
import logging
import math
import os
import socket
import ssl
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fault_server import FaultServer

from llm_client import LLMError, acall_specific_model, call_specific_model

Vector = dict[str, Any]
Outcome = dict[str, Any]
"""``answer`` or ``error`` (its public attributes), ``logged`` (lines), ``texts`` (all that left), ``elapsed_ms``."""

PIECE = "Q7zX2mN8vB4kL1pR9tY6wE3u" + "I5oA0sD7fG2hJ4kL6zX8cV1b"  # made up; in two, so that no scanner takes it for one
KEY = f"sk-{PIECE}-7"
_LEAK = 10
"""Characters of the key in a row that are a leak."""
_HELLO = [{"role": "user", "content": "hello"}]
_KEYS = {
    "vector": {"name", "only", "node_from", "environment", "listens", "resolves", "call", "server", "expect"},
    "call": {"model", "messages", "options", "timeout_ms", "before"},
    "expect": {"answer", "error", "logged", "requests", "within_ms", "at_least_ms"},
    "error": {
        *("code", "status", "summary", "summary_has", "request_id", "retryable"),
        *("retry_after", "model", "error_type", "error_code", "reason"),
    },
}


def load_vectors() -> list[Vector]:
    """Return all vectors; ValueError where one has a key that nobody would look at, or a name twice."""
    files = sorted(Path(__file__).with_name("vectors").glob("*.json"))
    vectors: list[Vector] = [vector for file in files for vector in json.loads(file.read_text())]
    for vector in vectors:
        expect = vector["expect"]
        parts = {"vector": vector, "call": vector.get("call", {}), "expect": expect, "error": expect.get("error", {})}
        for part, found in parts.items():
            if unknown := set(found) - _KEYS[part]:
                raise ValueError(f"vector {vector['name']!r}: {part} has unknown {sorted(unknown)}")
        if ("answer" in expect) == ("error" in expect):
            raise ValueError(f"vector {vector['name']!r} expects neither an answer nor an error, or both")
    names = [vector["name"] for vector in vectors]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"names that two vectors have: {sorted(twice)}")
    return vectors


def play(vector: Vector, call: Callable[[dict[str, str], dict[str, Any]], Outcome]) -> None:
    """Serve `vector`, let `call` (environment, arguments) make its call, and assert what it expects."""
    with _gateway(vector) as (server, port):
        vector = _filled(vector, port, vector.get("listens"))
        set_by_default = {"LLM_BASE_URL": _url(port, vector.get("listens")), "LLM_API_KEY": KEY}
        environment = {**set_by_default, **vector.get("environment", {})}
        arguments = {"model": "m", "messages": _HELLO, "options": {}, "timeout_ms": 5000, **vector.get("call", {})}
        arguments["resolves"] = vector.get("resolves")
        outcome = call({name: value for name, value in environment.items() if value is not None}, arguments)
        _check(vector, outcome, server.requests)
        if any(step.get("then") == "endless" for step in vector.get("server", [])):
            assert server.hung_up.wait(2), "the client keeps a connection of which it reads no more"


@contextlib.contextmanager
def _gateway(vector: Vector) -> Iterator[tuple[FaultServer, int]]:
    """The server of a vector and the port where its client looks for it."""
    listens = vector.get("listens", "http")
    # The script is filled in here, before its port is known: no step needs that.
    steps = _filled(vector.get("server", []), 0, None)
    tls = own_certificate()[0] if listens == "https" else None
    with FaultServer(steps, tls, 1.5 if listens == "late" else 0) as server, socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, so that nobody else gets it; not listening, so that it refuses
        yield server, nobody.getsockname()[1] if listens == "refuses" else server.port


def _url(port: int, listens: str | None) -> str:
    return f"{'https' if listens == 'https' else 'http'}://127.0.0.1:{port}"


def _filled(value: Any, port: int, listens: str | None) -> Any:
    """`value` with the placeholders of all its texts replaced."""
    if isinstance(value, dict):
        return {_filled(name, port, listens): _filled(item, port, listens) for name, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, port, listens) for item in value]
    if isinstance(value, str):
        words = {"server": _url(port, listens), "place": f"127.0.0.1:{port}", "port": str(port)}
        for name, text in {**words, "key": KEY, "bare": KEY.removeprefix("sk-"), "piece": PIECE}.items():
            value = value.replace(f"{{{name}}}", text)
    return value


# --- The call in Python -----------------------------------------------------------------------


def call_python(environment: dict[str, str], arguments: dict[str, Any]) -> Outcome:
    """Call `call_specific_model`."""

    def function(*args: Any, **named: Any) -> Any:
        if before := arguments.get("before"):
            with ThreadPoolExecutor(before) as pool:
                list(pool.map(lambda _: call_specific_model(*args, **named), range(before)))
        return call_specific_model(*args, **named)

    return _call(environment, arguments, function)


def call_async(environment: dict[str, str], arguments: dict[str, Any]) -> Outcome:
    """Call `acall_specific_model`."""

    async def main(*args: Any, **named: Any) -> Any:
        await asyncio.gather(*(acall_specific_model(*args, **named) for _ in range(arguments.get("before", 0))))
        return await acall_specific_model(*args, **named)

    return _call(environment, arguments, lambda *args, **named: asyncio.run(main(*args, **named)))


def _call(environment: dict[str, str], arguments: dict[str, Any], function: Callable[..., Any]) -> Outcome:
    arguments = _python_values(arguments)
    timeout = arguments["timeout_ms"]
    seconds = timeout / 1000 if isinstance(timeout, (int, float)) and not isinstance(timeout, bool) else timeout
    outcome: Outcome = {}
    with _only_environment(environment), _resolving(arguments["resolves"]), _lines() as logged:
        begun = time.monotonic()
        try:
            outcome["answer"] = function(
                arguments["model"], arguments["messages"], timeout=seconds, **arguments["options"]
            )
        except LLMError as error:
            outcome["error"] = vars(error)
            outcome["texts"] = [str(error), repr(error), repr(vars(error)), *traceback.format_exception(error)]
            assert error.__cause__ is None
            assert error.__context__ is None
            assert str(error) == error.summary
        outcome["elapsed_ms"] = (time.monotonic() - begun) * 1000
    outcome["logged"] = logged
    return outcome


@contextlib.contextmanager
def _only_environment(environment: dict[str, str]) -> Iterator[None]:
    with mock.patch.dict(os.environ):
        for name in ("LLM_BASE_URL", "LLM_API_KEY"):
            os.environ.pop(name, None)
        os.environ.update(environment)
        yield


@contextlib.contextmanager
def _resolving(addresses: list[str] | None) -> Iterator[None]:
    if addresses is None:
        yield
        return
    families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in addresses]

    look_up = socket.getaddrinfo

    def found(host: str, port: int, *more: Any, **named: Any) -> Any:
        if host in addresses:
            return look_up(host, port, *more, **named)
        kind = socket.SOCK_STREAM
        return [(family, kind, 6, "", (address, port)) for family, address in zip(families, addresses, strict=True)]

    with mock.patch("socket.getaddrinfo", found):
        yield


@contextlib.contextmanager
def _lines() -> Iterator[list[str]]:
    """What the client logs meanwhile, at any level."""
    lines: list[str] = []

    class Collects(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    logger, handler = logging.getLogger("llm_client"), Collects()
    logger.addHandler(handler)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)


_UNDEFINED = object()


def _python_values(value: Any) -> Any:
    if isinstance(value, list):
        return [_python_values(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "$number" in value:
        return float(value["$number"])
    if "$repeat" in value:
        text, times = value["$repeat"]
        return text * times
    if "$special" in value:
        return _special(value["$special"])
    items = {name: _python_values(item) for name, item in value.items()}
    return {name: item for name, item in items.items() if item is not _UNDEFINED}


def _special(name: str) -> Any:
    if name == "circle":
        circle: list[Any] = []
        circle.append(circle)
        return circle
    return {"function": print, "undefined": _UNDEFINED}[name]


# --- What came of it --------------------------------------------------------------------------


def _check(vector: Vector, outcome: Outcome, requests: list[dict[str, Any]]) -> None:
    expect = vector["expect"]
    if "error" in expect:
        assert "error" in outcome, f"an answer instead of an error: {outcome['answer']}"
        _check_error(expect["error"], outcome["error"])
    else:
        assert "error" not in outcome, f"an error instead of an answer: {outcome['error']}"
        assert _written(outcome["answer"]) == expect["answer"]
    assert outcome["logged"] == expect.get("logged", _usual_lines(outcome))
    _check_requests(expect.get("requests", len(vector.get("server", []))), requests)
    assert expect.get("at_least_ms", 0) <= outcome["elapsed_ms"] <= expect.get("within_ms", 4000)
    _check_no_key([*outcome.get("texts", []), *outcome["logged"]])


def _written(value: Any) -> Any:
    """`value` as the vectors write it: numbers that JSON does not have as ``{"$number": "NaN"}``."""
    if isinstance(value, dict):
        return {name: _written(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_written(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"$number": json.dumps(value)}
    return value


def _check_error(expected: dict[str, Any], error: dict[str, Any]) -> None:
    for name, value in expected.items():
        if name == "summary_has":
            missing = [text for text in value if text not in error["summary"]]
            assert not missing, f"not in the summary {error['summary']!r}"
        elif name == "code" and isinstance(value, list):
            assert error["code"] in value
        else:
            assert error[name] == value, f"{name} of {error}"
    assert "\n" not in error["summary"]
    assert len(error["summary"]) <= 400


def _usual_lines(outcome: Outcome) -> list[str]:
    error = outcome.get("error")
    if error is None or error["code"] == "LLM_CLIENT_CONFIG":
        return []
    return [f"[LLM_Client] Error calling {error['model']}: {error['summary']}"]


def _check_requests(expected: int | list[dict[str, Any]], requests: list[dict[str, Any]]) -> None:
    if isinstance(expected, int):
        assert len(requests) == expected, requests
        return
    assert len(requests) == len(expected), requests
    for wanted, request in zip(expected, requests, strict=True):
        for name, value in wanted.items():
            found = request[name]
            assert ({header: found.get(header) for header in value} if name == "headers" else found) == value


def _check_no_key(texts: list[str]) -> None:
    for text in texts:
        # The server's address and the like have no ten characters in common with the key.
        leaks = [PIECE[at : at + _LEAK] for at in range(len(PIECE) - _LEAK + 1) if PIECE[at : at + _LEAK] in text]
        assert not leaks, f"{len(leaks)} pieces of the key are in what the client let out"


@cache
def own_certificate() -> tuple[ssl.SSLContext, bytes]:
    """A server's TLS with a certificate that it made itself, and that certificate as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(
        now + datetime.timedelta(days=1)
    )
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with TemporaryDirectory() as folder:  # load_cert_chain reads files only
        pem = Path(folder, "both.pem")
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        pem.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
        context.load_cert_chain(pem)
    return context, certificate.public_bytes(serialization.Encoding.PEM)
