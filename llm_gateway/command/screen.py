"""The progress of a run for a person: lines for what took its time, a heartbeat, nothing of what is skipped.

It goes to stderr. On a terminal the last line is a live one; elsewhere, as in a CI log, a step that goes on is told
every ten seconds, and no escape code is written. rich could draw this; it takes 0.05 s to import (30 November 2026).
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TextIO

import click

from llm_gateway.command import chinese, messages
from llm_gateway.command.streams import Output
from llm_gateway.command.words import CHINESE, Words, is_unicode, language
from llm_gateway.model.columns import WIDTH, width, wrapped

LONG_SECONDS = 2.0
"""From which on a step that goes on is shown on a terminal."""
QUICK_SECONDS = 5.0
"""Below which steps share a line, and one that changed nothing has none."""
LOG_SECONDS = 10.0
"""Between two lines of a step that goes on, where there is no terminal."""
_NOTHING = re.compile(
    r"[;,]? (?:so )?nothing was changed(?:(?P<list>\.)(?=\n)|(?=[;.]|$))|(?<=[.\n]) ?Nothing was changed\.$",
    re.MULTILINE,
)
_CLEAR = "\r\x1b[K"
_PHASES = {"Connecting to hosts...": "connecting", "Reading the hosts...": "reading"}
_BETWEEN = ("Preparing operation files...", "Reading the logs...", "Beginning operation run...")


@dataclass
class Step:
    """A step that goes on. `hosts` are those that it has begun on, `running` when, for those where it has not ended."""

    name: str
    began: float
    last_told: float
    hosts: list[str] = field(default_factory=list)
    running: dict[str, float] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    has_failed: bool = False
    is_told: bool = False
    doing: str = ""
    held: list[messages.Message] | None = field(default_factory=list)
    """What it said that is told in brief where it goes well; None once it does not, and all is told in full."""


@dataclass(frozen=True)
class Quick:
    """A quick step that has changed something on these hosts, of so many in the run."""

    name: str
    began: float
    seconds: float
    hosts: Sequence[str]
    all_hosts: int


class Screen(logging.Handler):
    """Writes what goes on, as pyinfra's logger and its callbacks (see `steps`) tell it.

    Parameters: `environment`, for the language, colours and the terminal; `is_quiet`, whether errors alone are told.
    """

    def __init__(
        self,
        stream: TextIO,
        environment: Mapping[str, str] = os.environ,
        is_quiet: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._stream, self._is_quiet, self._clock = stream, is_quiet, clock
        self.is_terminal = stream.isatty() and environment.get("TERM") != "dumb"
        self._has_colours = self.is_terminal and not environment.get("NO_COLOR")
        encoding = stream.encoding or "ascii"
        self.words = Words(language(environment, encoding))
        self._done, self._failed, self._more = ("✓", "✗", "…") if is_unicode(encoding) else ("+", "!", "...")
        self._is_live = False
        self._quick: list[Quick] = []
        self.step: Step | None = None
        self.seconds: dict[str, float] = {}
        """Of each host, by name, in its steps."""
        self.is_declined = False
        """Whether a person was asked and said no."""
        self.spell: Callable[[str], str] = str
        """A text that names scripts, as the person who reads it types that."""
        self.tells_end = False
        """Whether the end of the run says what was changed, so that an error need not."""

    def named(self, step: str) -> str:
        """The name of a step in the language of this screen."""
        return chinese.step(step) if self.words.language == CHINESE else step

    def said(self, text: str) -> str:
        """What a step or the run said, in the language of this screen as far as it is known in that."""
        return chinese.said(text) if self.words.language == CHINESE else text

    @property
    def width(self) -> int:
        """The columns of the terminal, or 80."""
        return shutil.get_terminal_size((WIDTH, 24)).columns if self.is_terminal else WIDTH

    # what pyinfra tells

    def emit(self, record: logging.LogRecord) -> None:
        """Called by Python's logging."""
        if (message := messages.read(record)) is not None:
            self.take(message)

    def take(self, message: messages.Message) -> None:
        """Show a message, or keep it for the line of its step."""
        if message.kind == "error":
            self._tell_held()
        if message.brief is not None and self.step and self.step.held is not None:
            self.step.held.append(message)
            return
        text = self.spell(message.text)
        if self.tells_end and message.kind == "error":
            text = _NOTHING.sub(lambda found: ":" if found["list"] else "", text).rstrip()
        text = self.said(text)
        is_item = message.kind == "error" and text.startswith("- ")  # of the list that the line before has begun
        text = f"{message.host}: {text}" if message.host and not is_item else text
        if message.kind == "header":
            if message.text in _PHASES:
                self.begin(self.words(_PHASES[message.text]))
            elif message.text in _BETWEEN:
                self.finish()
        elif message.kind == "progress":
            if self.step:
                self.step.doing = text
        elif message.kind == "info":
            self._mark_told()
            self.say_all(folded(text))
        else:
            self._mark_told()
            is_error = message.kind == "error"
            if self.step and is_error and not self.step.hosts:  # one before the operations, which would not tell
                self.step.has_failed = True
            mark = (
                self._styled(self._failed, "red") if is_error else self._styled(f"{self.words('warning')}:", "yellow")
            )
            self.say(f"    {text}" if is_item else f"{mark} {text}", is_error=is_error)

    def begin(self, name: str) -> None:
        """A step begins."""
        self.finish()
        now = self._clock()
        self.step = Step(name, now, now)

    def begin_on(self, host: str) -> None:
        """The step begins on a host."""
        if self.step:
            self.step.hosts.append(host)
            self.step.running[host] = self._clock()

    def end_on(self, host: str, *, has_failed: bool) -> None:
        """The step has ended on a host."""
        if self.step and host in self.step.running:
            self.seconds[host] = self.seconds.get(host, 0.0) + self._clock() - self.step.running.pop(host)
            if has_failed:
                self.step.has_failed = True
                self.step.failed.append(host)

    def finish(self, changed: Sequence[str] = (), all_hosts: int = 1) -> None:
        """The step has ended; it has changed something on these hosts, of so many in the run."""
        for host in list(self.step.running) if self.step else ():  # it was interrupted there
            self.end_on(host, has_failed=True)
        if self.step and self.step.has_failed:
            self._tell_held()
        step, self.step = self.step, None
        if step is None:
            return
        seconds = self._clock() - step.began
        briefs = [(message.host, message.brief) for message in step.held or () if message.brief]
        for host, brief in briefs:
            self._tell_step(f"{host}: {self.said(self.spell(brief))}", seconds)
        told = {host for host, _ in briefs}
        changed = [host for host in changed if host not in told]
        if told and not changed:
            return
        if step.has_failed or step.is_told or seconds >= QUICK_SECONDS:
            hosts = step.failed or changed or step.hosts
            named = _among(hosts, 0 if step.failed else all_hosts)
            self._tell_step(f"{self.named(step.name)}{named}", seconds, has_failed=step.has_failed)
        elif changed:
            self._quick.append(Quick(step.name, step.began, seconds, changed, all_hosts))

    def end(self) -> None:
        """Nothing more comes of the run's steps."""
        self.finish()
        self._tell_quick()
        self.clear()

    # what is written

    def say(self, line: str, *, is_error: bool = False) -> None:
        """Write a line, above the live one."""
        if not self._is_quiet or is_error:
            self._tell_quick()
            self.clear()
            click.echo(line, file=self._stream, color=self._has_colours)

    def say_all(self, lines: Iterable[str], *, are_errors: bool = False) -> None:
        """Write lines."""
        for line in lines:
            self.say(line, is_error=are_errors)

    def clear(self) -> None:
        """Take the live line away: something else is written, or asked."""
        if self._is_live:
            self._is_live = False
            self._stream.write(_CLEAR)
            self._stream.flush()

    def beat(self) -> None:
        """Show that a step goes on, where it is time to."""
        step, now = self.step, self._clock()
        if step is None or self._is_quiet:
            return
        told = self.words("seconds", seconds=now - step.began)
        if not self.is_terminal:
            if now - step.last_told >= LOG_SECONDS:
                step.last_told = now
                self.say(self._cut(f"{self._more} {step.doing or self.named(step.name)}", told))
        elif now - (self._quick[0].began if self._quick else step.began) >= LONG_SECONDS:
            self._is_live = True
            self._stream.write(_CLEAR + self._cut(f"{self._more} {step.doing or self.named(step.name)}", told))
            self._stream.flush()

    def _mark_told(self) -> None:
        if self.step:
            self.step.is_told = True
            self.step.last_told = self._clock()

    def _tell_held(self) -> None:
        """Tell in full what the step has said and says from now on: something went wrong."""
        if self.step:
            held, self.step.held = self.step.held, None
            for message in held or ():
                self.take(replace(message, brief=None))

    def _tell_quick(self) -> None:
        """Tell of the quick steps since the last line: one by its name, more by their number."""
        if quick := self._quick:
            self._quick = []
            name = self.named(quick[0].name) if len(quick) == 1 else self.words("quick steps", count=len(quick))
            hosts = sorted({host for step in quick for host in step.hosts})
            self._tell_step(f"{name}{_among(hosts, quick[0].all_hosts)}", sum(step.seconds for step in quick))

    def _tell_step(self, name: str, seconds: float, *, has_failed: bool = False) -> None:
        mark = self._styled(self._failed if has_failed else self._done, "red" if has_failed else "green")
        line = self._cut(name, self.words("seconds", seconds=seconds), taken=2)
        self.say(f"{mark} {line}", is_error=has_failed)

    def _cut(self, text: str, end: str, taken: int = 0) -> str:
        """A line that fits: `end` at its right, and the text before it cut."""
        room = min(self.width, WIDTH) - 1 - taken - width(end) - 1
        while width(text) > room:
            text = text.rstrip(self._more)[:-1] + self._more
        return text + " " * (room - width(text) + 1) + end

    def _styled(self, text: str, colour: str) -> str:
        return click.style(text, fg=colour)


def _among(hosts: Sequence[str], all_hosts: int) -> str:
    """The hosts behind the name of a step; "" where they are all of the run, or it is a step of none."""
    return f" ({', '.join(hosts)})" if hosts and len(hosts) != all_hosts else ""


def folded(text: str) -> Iterator[str]:
    """The lines of what a step says; what is to be typed again is in one piece."""
    if width(f"  {text}") < WIDTH or "`" in text:
        yield f"  {text}"
    else:
        yield from wrapped(text, "  ", "    ")


_current: list[Screen] = []


def use(screen: Screen) -> None:
    """Have this run shown on that screen."""
    _current[:] = [screen]


def current() -> Screen | None:
    """The screen of this run; None where pyinfra's own output is shown."""
    return _current[0] if _current else None


def default(is_quiet: bool) -> Screen:
    """The screen of this process."""
    screen = Screen(sys.stderr, is_quiet=is_quiet)
    if screen.is_terminal and sys.stdout.isatty():
        sys.stdout = Output(sys.stdout, before=screen.clear)
    return screen
