"""The client for threads, which `make generated` makes from the one for event loops.

Words are replaced in code, docstrings and comments alike. The library unasync does so in code alone, and imports
setuptools; httpcore generates its own twin by a table like this one.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "client/llm_client"
MODULES = ("calls", "client", "exchange", "network", "streams", "transport")

_HEAD = "# Generated from _async/{}.py by `make generated`: change that one.\n"
_WORDS = (
    (r"(async|await) ", ""),
    (r"AsyncByteStream\b", "SyncByteStream"),
    (r"AnyIOBackend\b", "SyncBackend"),
    (r"Async([A-Z]\w+)", r"\1"),
    (r"__a(enter|exit|iter|next)__", r"__\1__"),
    (r"a(call_specific_model|stream_specific_model|embed|iter_stream|closing|close|iter|next)\b", r"\1"),
    (r"handle_async_request\b", "handle_request"),
)
_SENTENCES: dict[str, list[tuple[str, str]]] = {
    "calls": [("; call it in a running event loop, without ``await``", ""), ("An asynchronous", "An")],
    "client": [
        ("for event loops", "for threads"),
        ("connections are kept for the event loop that used it last", "may be used by many threads at once"),
    ],
    "streams": [("An asynchronous", "An")],
}
"""What is true of event loops alone, and what is said of threads in its place."""


def generated(module: str) -> str:
    """Return the text of the module for threads."""
    text = (PACKAGE / "_async" / f"{module}.py").read_text()
    for sentence, replacement in _SENTENCES.get(module, ()):
        if sentence not in text:
            raise SystemExit(f"_async/{module}.py: `{sentence}` is gone; change _SENTENCES in scripts/unasync.py")
        text = text.replace(sentence, replacement)
    for word, replacement in _WORDS:
        text = re.sub(rf"\b{word}", replacement, text)
    text = _ruff(_HEAD.format(module) + text, "check", "--fix-only", "--unsafe-fixes", "--select=I,UP028", "-")
    return _ruff(text, "format", "-")


def _ruff(text: str, *command: str) -> str:
    ruff = [str(Path(sys.executable).with_name("ruff")), "--quiet", *command]
    return subprocess.run(ruff, input=text, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT).stdout
