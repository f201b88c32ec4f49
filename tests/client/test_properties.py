"""Whatever comes in, what comes out is an answer or an error of the family (Hypothesis)."""

from __future__ import annotations

import json
import string
from typing import Any

from both_ways import InThreads
from fault_server import pack
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_server import ANSWER
from test_client import BARE, HELLO, KEY

from llm_client import LLMClient, LLMConfigError, LLMError
from llm_client.events import StreamedAnswer
from llm_client.http_library import httpx
from llm_client.reading import Unpacker
from llm_client.redact import Redactor
from llm_client.settings import normal_base

HOSTS = st.sampled_from(["gw", "100.115.94.1", "[fd7a::1]", "oneapi.tail1.ts.net", "gw.例子"])
PATHS = st.sampled_from(["", "/llm", "/v1x", "/a/b", "/v2"])
ENDINGS = st.lists(st.sampled_from(["/v1", "/", "/chat/completions", "//"]), max_size=4).map("".join)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=5),
    max_leaves=12,
)
NAMES = st.sampled_from(["error", "message", "msg", "type", "code", "base_resp", "status_code", "choices", "detail"])
SHAPED = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(max_size=20) | st.just(BARE),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=12,
)
BODIES = st.binary(max_size=400) | JSON.map(json.dumps).map(str.encode) | SHAPED.map(json.dumps).map(str.encode)
HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "location", "x-oneapi-request-id", "content-type", "content-encoding"]),
    st.text(string.printable.strip(), max_size=30),
)


@given(st.text() | st.builds("{}{}".format, st.sampled_from(["http://", "https://", "ftp://", ""]), st.text()))
def test_any_text_is_a_base_url_or_a_configuration_error(text: str) -> None:
    try:
        base = normal_base(text)
    except LLMConfigError as error:
        assert error.code == "LLM_CLIENT_CONFIG"
    else:
        assert base.startswith(("http://", "https://"))
        assert base.endswith("/v1")
        assert normal_base(base) == base


@given(
    st.sampled_from(["http", "https"]), HOSTS, st.integers(1, 65535), PATHS, ENDINGS, st.sampled_from(["", " ", "\n"])
)
def test_however_a_base_url_ends_it_is_the_same(
    scheme: str, host: str, port: int, path: str, ending: str, blank: str
) -> None:
    written = f"{blank}{scheme}://{host}:{port}{path}{ending}{blank}"
    base = normal_base(written)
    assert base.count("/v1") == 1 + path.count("/v1")
    assert "//" not in base.partition("://")[2]
    assert "chat" not in base
    if ending in ("", "/", "/v1", "/v1/", "/v1/chat/completions", "/chat/completions"):
        assert base == normal_base(f"{scheme}://{host}:{port}{path}")


def _outcome(reply: httpx.Response, ask: str) -> LLMError | None:
    way = InThreads(lambda _request: reply, retries=0)
    try:
        getattr(way, ask)(*([["x"]] if ask == "embed" else []))
    except LLMError as error:
        return error
    return None


@settings(deadline=None)
@given(st.integers(200, 599), BODIES, HEADERS, st.sampled_from(["chat", "embed", "stream"]))
def test_any_answer_is_an_answer_or_an_error_of_the_family(
    status: int, body: bytes, headers: dict[str, str], ask: str
) -> None:
    error = _outcome(httpx.Response(status, headers=headers, stream=httpx.ByteStream(body)), ask)
    if not 200 <= status < 300:
        assert error is not None
    if error is not None:
        assert error.summary
        assert "\n" not in error.summary
        assert len(error.summary) <= 400
        assert BARE not in repr(vars(error)) + str(error) + repr(error)
        assert error.retry_after is None or error.retry_after >= 0


@given(
    st.lists(
        st.binary(max_size=40) | st.sampled_from([b"data: ", b"\n", b"\r\n", b"{}", b"[DONE]", b"data:[DONE]\n\n"])
    )
)
def test_any_stream_is_read_or_refused(pieces: list[bytes]) -> None:
    answer = StreamedAnswer()
    try:
        for piece in pieces:
            assert all(isinstance(delta, dict) for delta in answer.add(piece))
        assert all(isinstance(delta, dict) for delta in answer.ends())
    except LLMError as error:
        assert error.code == "LLM_BAD_ANSWER"


@given(st.lists(st.text(max_size=8).map(lambda text: {"content": text}), min_size=1), st.data())
def test_a_stream_gives_the_same_however_it_is_cut(deltas: list[dict[str, str]], data: Any) -> None:
    ending = data.draw(st.sampled_from(["\n", "\r\n", "\r"]))
    last = {"choices": [{"delta": {}, "finish_reason": "stop"}]}
    chunks = [{"choices": [{"delta": delta}]} for delta in deltas] + [last]
    is_ascii = data.draw(st.booleans())
    lines = [f"data: {json.dumps(chunk, ensure_ascii=is_ascii)}" for chunk in chunks]
    body = (f"{ending}{ending}".join([*lines, "data: [DONE]", ""])).encode("utf-8", "surrogatepass")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=6)))
    answer = StreamedAnswer()
    found = []
    for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
        found += list(answer.add(body[start:end]))
    found += list(answer.ends())
    assert found == deltas
    assert answer.finish_reason == "stop"


@given(st.text(max_size=300), st.integers(0, 300), st.sampled_from([KEY, BARE]))
def test_the_key_is_nowhere_in_a_line(text: str, position: int, echoed: str) -> None:
    line = Redactor(KEY).line(text[:position] + echoed + text[position:])
    assert BARE not in line
    assert BARE[:24] not in line


@given(st.dictionaries(st.text(max_size=8), JSON, max_size=4))
def test_any_option_is_sent_as_it_is_or_refused(options: dict[str, Any]) -> None:
    sent: list[Any] = []

    def handler(request: httpx.Request) -> httpx.Response:
        sent.append(json.loads(request.content))
        return httpx.Response(200, json=ANSWER)

    own = {"self", "model", "messages", "timeout", "stream"}
    options = {name: value for name, value in options.items() if name not in own}
    client = LLMClient("http://gw", KEY, transport=httpx.MockTransport(handler))
    try:
        client.chat("m", HELLO, **options)
    except LLMConfigError:
        assert not sent
    else:
        assert sent == [{"model": "m", "messages": HELLO, **options}]


@given(
    st.lists(st.tuples(st.binary(max_size=40), st.integers(0, 4000)), min_size=1, max_size=3),
    st.sampled_from(["gzip", "deflate", "raw deflate"]),
    st.integers(1, 70_000),
    st.sampled_from([b"", b"\0\0", b"\0garbage", b"garbage"]),
)
def test_a_packed_body_is_unpacked_whichever_way_it_comes_apart(
    parts: list[tuple[bytes, int]], packing: str, length: int, padding: bytes
) -> None:
    plain = [piece * times for piece, times in parts]
    if packing != "gzip":  # which alone may come in several members
        plain = [b"".join(plain)]
    packed = b"".join(pack(member, packing) for member in plain) + padding
    unpacker = Unpacker(httpx.Response(200, headers={"Content-Encoding": packing.removeprefix("raw ")}))
    pieces = [packed[start : start + length] for start in range(0, len(packed), length)]
    assert b"".join(found for piece in pieces for found in unpacker.pieces(piece)) == b"".join(plain)
