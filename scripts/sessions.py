"""`docs/sessions.md` and its Chinese page: what a person sees of runs, recorded on a terminal of 80 columns.

    LAB_NAME=sessions python -m scripts.sessions [en|zh]        (Docker; five minutes for each language)

It makes a lab of its own for each language, runs what a newcomer runs, and writes the page as that was seen.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from llm_gateway.model.checkout import ROOT
from scripts import pages

HOSTS = "gw1:fresh,a1:openclaw"
COLUMNS = 80
WRONG_KEY = {"LAB_UPSTREAM_API_KEY": "sk-wrong"}
_CLEAR = "\r\x1b[K"
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Session:
    """A command that is recorded, with its heading and what to know of it, in English and Chinese."""

    words: tuple[str, ...]
    headings: tuple[str, str]
    notes: tuple[str, str]
    code: int = 0
    has_live: bool = False
    environment: Mapping[str, str] | None = None


SESSIONS = (
    Session(
        ("deploy", "--dry"),
        ("A plan", "计划"),
        ("What a first deployment would do; nothing is changed.", "首次部署将要做什么；不做任何更改。"),
    ),
    Session(
        ("deploy", "-y"),
        ("A first deployment", "首次部署"),
        (
            "A bare host becomes a gateway, and a host with OpenClaw uses it.",
            "一台空主机成为网关，一台装有 OpenClaw 的主机使用它。",
        ),
        has_live=True,
    ),
    Session(
        ("deploy", "-y"),
        ("A second run", "再次运行"),
        (
            "Nothing differs, so nothing is changed; the proof is made again.",
            "没有差异，因此什么都不改；仍会再验证一次。",
        ),
    ),
    Session(
        ("deploy", "-y"),
        ("A failed run", "失败的运行"),
        (
            "The provider's key is wrong. The right key and the same command put it right.",
            "供应商的密钥不对。换上正确的密钥，再运行同一条命令即可。",
        ),
        code=1,
        environment=WRONG_KEY,
    ),
)  # fmt: skip

_HEADS = (
    """\
# What a run looks like

[中文](sessions.zh-CN.md)

Recorded on a terminal of 80 columns, on {date}, with the [lab](developing.md)'s hosts `gw1` (Debian, nothing
installed) and `a1` (OpenClaw) on a machine of {cores} cores that had a load of {load:.0f}.
`python -m scripts.sessions` records it anew. [The command](commands.md) says what each can do.
""",
    """\
# 运行时看到的内容

[English](sessions.md)

{date} 录制于 80 列的终端，主机来自[实验环境](developing.zh-CN.md)：`gw1`（Debian，未装任何东西）和
`a1`（OpenClaw），机器为 {cores} 核，负载 {load:.0f}。
`python -m scripts.sessions` 可重新录制。各命令的用法见[命令](commands.zh-CN.md)。
""",
)
_LIVE = ("While a step works, a live line stands below, such as", "步骤进行期间，下方有一行实时进度，例如")
_LANGUAGES = ("en", "zh")
_PAGES = ("docs/sessions.md", "docs/sessions.zh-CN.md")
_LOCALES = ("C.UTF-8", "zh_CN.UTF-8")


def main() -> None:
    """Record all sessions, in the language that was named or in both, and write its page."""
    wanted = sys.argv[1:] or _LANGUAGES
    for language, page in enumerate(_PAGES):
        if _LANGUAGES[language] not in wanted:
            continue
        _lab("up", "--hosts", HOSTS)
        try:
            recorded = [(session, _record(session, _LOCALES[language])) for session in SESSIONS]
        finally:
            _lab("down")
        text = "\n".join(_page(language, recorded))
        if language:  # a link leads to the same place in both
            text = pages.anchored((ROOT / _PAGES[0]).read_text(encoding="utf-8"), text)
        (ROOT / page).write_text(text, encoding="utf-8")


def _lab(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "lab", *arguments], cwd=ROOT, check=True)


def _page(language: int, recorded: Sequence[tuple[Session, str]]) -> Iterator[str]:
    yield _HEADS[language].format(
        date=datetime.now(UTC).strftime("%Y-%m-%d"), cores=os.cpu_count(), load=os.getloadavg()[2]
    )
    for session, raw in recorded:
        yield f"## {session.headings[language]}\n\n{session.notes[language]}\n"
        typed = " ".join(("python -m llm_gateway", *session.words, "lab/inventory.py"))
        yield f"```sh\n{typed}\n```\n\n```text\n{shown(raw)}\n```\n"
        if session.has_live:
            yield f"{_LIVE[language]}\n\n```text\n" + "\n".join(live(raw)) + "\n```\n"


def _record(session: Session, locale: str) -> str:
    """What a session writes to a terminal. Raises SystemExit where it does not end as it should."""
    command = [sys.executable, "-m", "llm_gateway", *session.words, "lab/inventory.py"]
    environment = {**os.environ, "LC_ALL": locale, "PYTHONUTF8": "1", "TERM": "xterm", **(session.environment or {})}
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(ROOT)
        os.execve(command[0], command, environment)  # noqa: S606 - without a shell, as is meant
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    written = b""
    while piece := _read(terminal):
        written += piece
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(terminal)
    text = written.decode().replace("\r\n", "\n").replace(str(ROOT), ".")
    if code != session.code:
        raise SystemExit(f"{' '.join(session.words)} ended with {code}, not {session.code}:\n{shown(text)}")
    return text


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # Linux says so where nobody has the other end any more
        return b""


def shown(raw: str) -> str:
    """What stands on the terminal in the end."""
    lines = (line.rpartition(_CLEAR)[2] for line in raw.split("\n"))
    return "\n".join(_COLOUR.sub("", line).rstrip() for line in lines).strip("\n")


def live(raw: str, most: int = 3) -> list[str]:
    """Live lines that stood there for a while, the last of each, the longest first."""
    last: dict[str, tuple[int, str]] = {}
    for text in (each for line in raw.split("\n") for each in line.split(_CLEAR)[:-1] if each.strip()):
        plain = _COLOUR.sub("", text).rstrip()
        doing = re.sub(r"[\d.]+", "0", plain.rpartition("  ")[0]).strip()
        seen, _ = last.get(doing, (0, ""))
        last[doing] = (seen + 1, plain)
    return [plain for _, plain in sorted(last.values(), reverse=True)[:most]]


if __name__ == "__main__":
    main()
