"""What a person sees of a run: of a recorded one, on a terminal, in a CI log, in Chinese, within 80 columns."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import click
import pytest
from pyinfra.api.host import Host

from llm_gateway.command import messages
from llm_gateway.command.messages import Message
from llm_gateway.command.screen import Screen
from llm_gateway.command.streams import Output
from llm_gateway.hosts import remote
from llm_gateway.model.columns import WIDTH, width

HOSTS = ("gw1", "agent1")


class Stream(io.TextIOWrapper):
    """A terminal, or none."""

    def __init__(self, encoding: str = "utf-8", is_terminal: bool = False) -> None:
        super().__init__(io.BytesIO(), encoding=encoding, write_through=True)
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal

    @property
    def text(self) -> str:
        """All that was written."""
        buffer: Any = self.buffer
        return str(buffer.getvalue().decode(self.encoding))


class Recorded:
    """A run as pyinfra tells it, and the time that it takes."""

    def __init__(self, stream: Stream, environment: dict[str, str], is_quiet: bool = False) -> None:
        self.now = 0.0
        self.stream = stream
        self.screen = Screen(stream, environment, is_quiet, clock=lambda: self.now)

    def wait(self, seconds: float) -> None:
        """Let that time go by, with a beat each 0.25 s."""
        for _ in range(round(seconds / 0.25)):
            self.now += 0.25
            self.screen.beat()

    def step(
        self, name: str, seconds: float, changed: tuple[str, ...] = ("gw1",), failed: tuple[str, ...] = ()
    ) -> None:
        """A step of both hosts that takes so long."""
        self.screen.begin(name)
        for host in HOSTS:
            self.screen.begin_on(host)
        self.wait(seconds)
        for host in HOSTS:
            self.screen.end_on(host, has_failed=False)
        self.screen.finish(changed, len(HOSTS))

    def run(self) -> str:
        """A first deployment that fails in the end. Returns what was written."""
        tell = self.screen.take
        tell(Message("header", "Connecting to hosts..."))
        tell(Message("header", "Preparing operation files..."))
        tell(Message("header", "Reading the hosts..."))
        self.wait(1.25)
        tell(Message("header", "Beginning operation run..."))
        self.step("Install Docker from the distribution's packages", 24.0)
        for name in ("Write the compose file", "Write the unit", "Write the script"):
            self.step(name, 0.25)
        self.step("Start the unit", 0.5)
        self.step("Declare channels", 0.25, changed=())
        self.step("A step with a name that is much longer than what has room in a line of 80 columns", 6.0, HOSTS)
        self.screen.begin("Verify")
        self.screen.begin_on("gw1")
        tell(Message("progress", "asking qwen3.5-plus", "gw1"))
        self.wait(12.0)
        tell(Message("error", "the provider refuses its key", "gw1"))
        self.screen.end_on("gw1", has_failed=True)
        self.screen.finish()
        return self.stream.text


IN_A_LOG = """\
… Install Docker from the distribution's packages                        10.0 s
… Install Docker from the distribution's packages                        20.0 s
✓ Install Docker from the distribution's packages (gw1)                  24.0 s
✓ 4 quick steps (gw1)                                                     1.2 s
✓ A step with a name that is much longer than what has room in a line of… 6.0 s
… gw1: asking qwen3.5-plus                                               10.0 s
✗ gw1: the provider refuses its key
✗ Verify (gw1)                                                           12.0 s
"""


def test_a_log_gets_plain_lines_and_one_each_ten_seconds() -> None:
    assert Recorded(Stream(), {"LANG": "en_US.UTF-8"}).run() == IN_A_LOG


def test_lines_of_steps_fit_80_columns() -> None:
    for language in ("en_US.UTF-8", "zh_CN.UTF-8"):
        lines = Recorded(Stream(), {"LANG": language}).run().splitlines()
        assert max(map(width, lines)) < WIDTH, lines


def test_its_own_words_are_chinese_where_the_locale_says_so() -> None:
    lines = Recorded(Stream(), {"LC_ALL": "zh_CN.UTF-8", "LANG": "C"}).run().splitlines()
    assert lines[2].startswith("✓ 用发行版的软件包安装 Docker (gw1) "), "the journal keeps its English name"
    assert lines[3].startswith("✓ 4 个短步骤 (gw1) ") and lines[3].endswith(" 1.2 秒")


def test_an_output_without_unicode_gets_ascii() -> None:
    written = Recorded(Stream("ascii"), {"LC_ALL": "zh_CN.UTF-8"}).run()
    assert "+ 4 quick steps (gw1) " in written
    assert "! Verify (gw1)" in written and "... gw1: asking" in written


def shown(written: str) -> tuple[list[str], str]:
    """The lines that stay on a terminal, and its last one."""
    *lines, last = (line.split("\r\x1b[K")[-1] for line in written.split("\n"))
    return lines, last


def test_a_terminal_gets_a_live_line_that_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    recorded = Recorded(Stream(is_terminal=True), {"LANG": "en_US.UTF-8"})
    written = recorded.run()
    lines, last = shown(written)
    assert [click.unstyle(line) for line in lines] == [line for line in IN_A_LOG.splitlines() if line[0] != "…"]
    assert last == ""
    assert "\r\x1b[K… Install Docker from the distribution's packages                         2.0 s" in written
    assert "\r\x1b[K… gw1: asking qwen3.5-plus " in written
    assert click.style("✓", fg="green") in written and click.style("✗", fg="red") in written


def test_no_color_is_heeded() -> None:
    written = Recorded(Stream(is_terminal=True), {"LANG": "en_US.UTF-8", "NO_COLOR": "1"}).run()
    assert "\x1b[K" in written and "\x1b[3" not in written


def test_a_dumb_terminal_gets_what_a_log_gets() -> None:
    written = Recorded(Stream(is_terminal=True), {"LANG": "en_US.UTF-8", "TERM": "dumb"}).run()
    assert written == IN_A_LOG


def test_quiet_says_what_failed_and_nothing_else() -> None:
    written = Recorded(Stream(), {"LANG": "C.UTF-8"}, is_quiet=True).run()
    assert written == "".join(line + "\n" for line in IN_A_LOG.splitlines() if line.startswith("✗"))


def test_a_step_that_was_interrupted_is_not_told_as_done() -> None:
    recorded = Recorded(Stream(), {"LANG": "C.UTF-8"})
    recorded.screen.begin("Load the image")
    recorded.screen.begin_on("gw1")
    recorded.wait(3)
    recorded.screen.finish()
    assert recorded.stream.text.startswith("✗ Load the image (gw1) ")
    assert recorded.screen.seconds == {"gw1": 3.0}


def test_each_hosts_seconds_are_added_up() -> None:
    recorded = Recorded(Stream(), {})
    recorded.run()
    assert {host: round(seconds) for host, seconds in recorded.screen.seconds.items()} == {"gw1": 44, "agent1": 32}


def test_quick_steps_share_a_line_and_one_alone_has_its_name() -> None:
    recorded = Recorded(Stream(), {"LANG": "C.UTF-8"})
    recorded.step("Write the compose file", 1.0)
    recorded.step("Start the page", 0.5, HOSTS)
    recorded.screen.say("a line")
    recorded.step("Put the client there", 0.25, ("agent1",))
    recorded.step("Read something", 4.75, ())
    assert recorded.stream.text.splitlines()[1:] == ["a line"], "they wait for what comes next"
    recorded.screen.end()
    assert [line.split("  ")[0] for line in recorded.stream.text.splitlines()] == [
        "✓ 2 quick steps",
        "a line",
        "✓ Put the client there (agent1)",
    ]


def test_on_a_terminal_quick_steps_are_not_silent_either() -> None:
    recorded = Recorded(Stream(is_terminal=True), {"LANG": "C.UTF-8"})
    for name in ("Write the first", "Write the second", "Write the third"):
        recorded.step(name, 1.0)
    live = [line.split("  ")[0] for line in recorded.stream.text.split("\r\x1b[K") if line]
    assert live == ["… Write the second", *["… Write the third"] * 4], "from two seconds after the last line on"


def brief_run(problem: str = "") -> list[str]:
    """The lines of a step of both hosts that has brief words for one, and which fails on the other with `problem`."""
    recorded = Recorded(Stream(), {"LANG": "C.UTF-8"})
    recorded.screen.begin("Verify")
    for host in HOSTS:
        recorded.screen.begin_on(host)
    recorded.screen.take(Message("info", "model  result", "gw1", ""))
    recorded.screen.take(Message("info", "verified on http://…: chat completed", "gw1", "verified within 0.10 s: chat"))
    if problem:
        recorded.screen.take(Message("error", problem, "agent1"))
        recorded.screen.take(Message("info", "its memory is well", "agent1", ""))
    recorded.screen.end_on("gw1", has_failed=False)
    recorded.screen.end_on("agent1", has_failed=bool(problem))
    recorded.screen.finish(("gw1",), len(HOSTS))
    recorded.screen.end()
    return recorded.stream.text.splitlines()


def test_what_went_well_is_told_in_brief_by_the_line_of_its_step() -> None:
    (line,) = brief_run()
    assert line.startswith("✓ gw1: verified within 0.10 s: chat  ")


def test_what_went_wrong_is_told_in_full_in_its_order() -> None:
    *told, step = brief_run("no answer")
    assert told == [
        "  gw1: model  result",
        "  gw1: verified on http://…: chat completed",
        "✗ agent1: no answer",
        "  agent1: its memory is well",
    ]
    assert step.startswith("✗ Verify (agent1) ")


def test_what_is_told_in_brief_is_chinese_too() -> None:
    recorded = Recorded(Stream(), {"LANG": "zh_CN.UTF-8"})
    for brief in (
        "openclaw.json gets 4 new values (--dry shows them)",
        "declared: 2 channels, 1 token, 0 options",
        "the agent main answered a turn in 6.7 s by default_llm/plain",
        "verified within 2.56 s: smollm2, plain",
    ):
        recorded.screen.begin("Verify")
        recorded.screen.take(Message("info", "more of it", "gw1", brief))
        recorded.screen.finish()
    assert [line.partition("   ")[0] for line in recorded.stream.text.splitlines()] == [
        "✓ gw1: openclaw.json 将写入 4 个新值（--dry 可查看）",
        "✓ gw1: 已按声明设置 2 个渠道、1 个令牌、0 个选项",
        "✓ gw1: agent main 用 default_llm/plain 在 6.7 秒内回答了一轮",
        "✓ gw1: 2.56 秒内验证通过：smollm2, plain",
    ]


def test_what_others_write_stands_on_a_line_of_its_own() -> None:
    stream = Stream(is_terminal=True)
    recorded = Recorded(stream, {"LANG": "en_US.UTF-8"})
    recorded.screen.begin("Read the hosts")
    recorded.wait(3)
    Output(stream, before=recorded.screen.clear).write("an answer\n")
    assert shown(stream.text)[0] == ["an answer"]


@pytest.mark.parametrize(
    ("level", "text", "expected"),
    [
        (logging.INFO, "--> Connecting to hosts...", Message("header", "Connecting to hosts...")),
        (logging.INFO, "[\x1b[1mgw1\x1b[0m]    Connected", None),
        (logging.INFO, "[gw1] \x1b[34mSkipped\x1b[0m", None),
        (logging.ERROR, "[gw1] \x1b[31mError: executed 0 commands\x1b[0m", None),
        (logging.WARNING, "--> pyinfra error: No hosts remaining!", None),
        (
            logging.WARNING,
            "Failed to load host keys from /root/.ssh/known_hosts: [Errno 2] No such file or directory",
            None,
        ),
        (logging.WARNING, "--> pyinfra error: a problem\n  - gw1: …", Message("error", "a problem\n  - gw1: …")),
        (logging.WARNING, "--> pyinfra error in /x/deploy.py line 3: wrong", Message("error", "wrong")),
        (logging.ERROR, "[gw1] \x1b[31mthe image is missing\x1b[0m", Message("error", "the image is missing", "gw1")),
        (logging.WARNING, "No host matches found", Message("warning", "No host matches found")),
    ],
)
def test_what_pyinfra_logs(level: int, text: str, expected: Message | None) -> None:
    assert messages.read(logging.LogRecord("pyinfra", level, "/x/pyinfra/api.py", 1, text, (), None)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("verified on http://…", Message("info", "verified on http://…", "gw1")),
        ("  indented", Message("info", "  indented", "gw1")),
        ("migrate: copying ...", Message("progress", "migrate: copying", "gw1")),
    ],
)
def test_what_our_steps_tell(text: str, expected: Message, tells: Callable[[str], logging.LogRecord]) -> None:
    assert messages.read(tells(text)) == expected


def test_a_brief_word_stands_for_all_lines_of_a_text(caplog: pytest.LogCaptureFixture) -> None:
    pyinfras = cast(Host, SimpleNamespace(name="gw1", log=lambda line, log: log(line)))
    with caplog.at_level(logging.INFO, "pyinfra"):
        for brief in ("short", "", None):
            remote.tell(pyinfras, "a head\n  a row", brief)
    read = [messages.read(record) for record in caplog.records]
    assert [message and (message.text, message.brief) for message in read] == [
        (text, brief)
        for first, second in (("short", ""), ("", ""), (None, None))
        for text, brief in (("a head", first), ("  a row", second))
    ]


@pytest.fixture
def tells() -> Callable[[str], logging.LogRecord]:
    """A record as `remote.tell` makes it."""

    def record(text: str) -> logging.LogRecord:
        made = logging.LogRecord("pyinfra", logging.INFO, "/x/remote.py", 1, f"[gw1]    {text}", (), None)
        made.__dict__ |= {"told_on": "gw1", "told": text}
        return made

    return record
