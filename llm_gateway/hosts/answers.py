"""What a script says on a host: a line for each answer, its name, a space, and its bytes in base64."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

SCRIPT = Path(__file__).with_name("answers.sh")
"""What says it."""


class UnreadableError(ValueError):
    """The answer of the script is not whole."""


@dataclass(frozen=True)
class FileState:
    """A file as it is on the host: mode as octal digits ("600"), owner as "user:group", mtime in seconds."""

    mode: str
    owner: str
    modified: float
    sha256: str | None = None


@dataclass(frozen=True)
class Answers:
    """The answers of one script by name. `repr` shows nothing of them, since they may hold secrets."""

    answers: Mapping[str, str] = field(repr=False)

    @classmethod
    def parse(cls, lines: Sequence[str]) -> Self:
        """Read the script's output. Raises UnreadableError when it is cut or garbled."""
        answers = {}
        for line in lines:
            name, _, encoded = line.strip().partition(" ")
            try:
                answers[name] = base64.b64decode(encoded, validate=True).decode("utf-8", "surrogateescape")
            except ValueError:
                continue  # a login banner or a warning of sudo among the answers
        if answers.get("end") != "complete":
            raise UnreadableError("the host's answer broke off before its end")
        return cls(answers)

    def text(self, name: str) -> str:
        """The answer of that name without surrounding white space; "" where there is none."""
        return self.answers.get(name, "").strip()

    def lines(self, name: str) -> list[str]:
        """The non-empty lines of the answer of that name."""
        return [line for line in self.text(name).splitlines() if line.strip()]

    def properties(self, name: str) -> dict[str, str]:
        """The answer of that name as `KEY=value` lines, such as `systemctl show` prints."""
        return dict(line.split("=", 1) for line in self.lines(name) if "=" in line)

    def stat(self, name: str) -> FileState | None:
        """A file whose `stat` is the answer of that name, or None where there is none."""
        if not (text := self.text(name)):
            return None
        mode, owner, modified = text.split()
        return FileState(mode, owner, float(modified))


class Fact:
    """An attribute that is an answer of the same name."""

    def __set_name__(self, owner: type[Answers], name: str) -> None:
        self._name = name


class Flag(Fact):
    """Whether the host has given that answer."""

    def __get__(self, answers: Answers, owner: type[Answers]) -> bool:
        return bool(answers.text(self._name))


class Text(Fact):
    """An answer without surrounding white space; "" where there is none."""

    def __get__(self, answers: Answers, owner: type[Answers]) -> str:
        return answers.text(self._name)


class Content(Fact):
    """An answer byte for byte; None where there is none."""

    def __get__(self, answers: Answers, owner: type[Answers]) -> str | None:
        return answers.answers.get(self._name)


class Lines(Fact):
    """The non-empty lines of an answer."""

    def __get__(self, answers: Answers, owner: type[Answers]) -> list[str]:
        return answers.lines(self._name)


class Properties(Fact):
    """An answer of `KEY=value` lines, such as `systemctl show` prints."""

    def __get__(self, answers: Answers, owner: type[Answers]) -> dict[str, str]:
        return answers.properties(self._name)


class Stat(Fact):
    """What `stat` says of a file; None where there is none."""

    def __get__(self, answers: Answers, owner: type[Answers]) -> FileState | None:
        return answers.stat(self._name)
