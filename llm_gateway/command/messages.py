"""What pyinfra and our steps log, as our screen takes it."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass

import click

from llm_gateway.model.checkout import PACKAGE

_OF_A_HOST = re.compile(r"\[(?P<host>[^\]\s]+)\]\s+(?:nested\s+)?(?P<text>.*)", re.DOTALL)
_PYINFRAS_ERROR = re.compile(r"--> (?:[A-Za-z]+ )+error(?: in \S+ line \d+)?: (?P<text>.*)", re.DOTALL)
_SAID_BY_THE_STEP = re.compile(
    r"Error: executed \d+ commands|No hosts remaining!|Failed to load host keys from .*No such file.*"
)
"""Of pyinfra 3.10; the line of the step, or the summary, says it better, or nobody has to know."""


@dataclass(frozen=True)
class Message:
    """`kind`: "header" (pyinfra's "--> …"), "info", "progress" (of a step that goes on), "warning" or "error".

    `brief`: what stands for the text where its step goes well; "" for nothing, None for the text itself.
    """

    kind: str
    text: str
    host: str = ""
    brief: str | None = None


def read(record: logging.LogRecord) -> Message | None:
    """What a record of pyinfra's logger says to a person; None for what only pyinfra's own output has."""
    if told := getattr(record, "told", ""):  # by `remote.tell`, which knows where pyinfra's own blanks end
        return _told(told, getattr(record, "told_on", ""), getattr(record, "told_in_brief", None))
    text = click.unstyle(record.getMessage())
    host = ""
    if of_host := _OF_A_HOST.fullmatch(text):
        host, text = of_host["host"], of_host["text"]
    if record.levelno >= logging.WARNING:
        is_error = record.levelno >= logging.ERROR
        if of_pyinfra := _PYINFRAS_ERROR.fullmatch(text):
            text, is_error = of_pyinfra["text"], True
        if _SAID_BY_THE_STEP.fullmatch(text):
            return None
        return Message("error" if is_error else "warning", text.removeprefix("--> "), host)
    if text.startswith("--> "):
        return Message("header", text.removeprefix("--> "))
    return _told(text, host) if record.pathname.startswith(f"{PACKAGE}/") else None


def _told(text: str, host: str, brief: str | None = None) -> Message:
    if text.endswith(" ..."):
        return Message("progress", text.removesuffix(" ..."), host)
    return Message("info", text, host, brief)
