"""Asking models many questions at once, each in bounded time, and all of them in bounded time."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from itertools import count

from llm_client import LLMError, LLMStatusError, LLMTimeoutError

AT_ONCE = 8
"""Questions under way at a time. Where an SSH server forbids forwarding, each takes one of the sessions of a
connection, of which sshd grants ten (sshd_config: MaxSessions), and the run itself holds one. (A session that is
refused because others ask as well is seen as a connection that broke, which the client tries once more.)"""

ROUNDS = 3
"""How often the time of one question all of them together may take."""


class VerificationError(Exception):
    """A link of the chain is broken; the text says which, and the fix."""


@dataclass(frozen=True)
class Question:
    """One question to one model.

    `channel` names the channel that is to answer it, several where One API chooses among them.
    `ask` is given the seconds that it may take and says what the model did; it raises LLMError or VerificationError.
    `explain` tells which link such an LLMError shows to be broken, given the seconds as well.
    """

    model: str
    channel: str
    ask: Callable[[float], str]
    explain: Callable[[LLMError, float], str]


@dataclass(frozen=True)
class Answer:
    """What came of a question: `seconds` it took (None: not asked), `result` in short, and what is wrong, if it is."""

    model: str
    channel: str
    seconds: float | None
    result: str
    problem: str | None = None


def ask_all(questions: Sequence[Question], seconds: int) -> list[Answer]:
    """Ask all questions, eight at a time, and return the answers in the order of the questions.

    Parameters: `seconds`, what each question may take; those that have not been asked after three times as long
    are failures unasked, so that an upstream that hangs, with all its models, does not make a run last for hours.
    """
    end = time.monotonic() + ROUNDS * seconds
    waiting = deque(_in_turn(questions))
    answers: list[Future[Answer]] = [Future() for _ in questions]

    def work() -> None:
        while True:
            try:
                number = waiting.popleft()
            except IndexError:
                return  # asked by others
            try:
                answers[number].set_result(_answer(questions[number], seconds, end))
            except Exception as mistake:
                answers[number].set_exception(mistake)

    # No pool: Python waits at its end for the threads of pools, and Ctrl-C would take as long as all questions.
    for _ in range(min(AT_ONCE, len(questions))):
        threading.Thread(target=work, daemon=True).start()
    wait(answers)
    return [answer.result() for answer in answers]


def _in_turn(questions: Sequence[Question]) -> list[int]:
    """The numbers of the questions, one of each channel in turn: no upstream that hangs comes before all others."""
    turns: defaultdict[str, count[int]] = defaultdict(count)
    return sorted(range(len(questions)), key=lambda number: next(turns[questions[number].channel]))


def _answer(question: Question, seconds: int, end: float) -> Answer:
    started = time.monotonic()
    given = min(seconds, end - started)
    if given <= 0:
        return Answer(
            question.model,
            question.channel,
            None,
            "FAILED (not asked)",
            f"{question.model} was not asked: models that did not answer took all of the {ROUNDS * seconds} s that"
            " there are; fix those first, or raise verification_timeout",
        )
    result, problem = _asked(question, given)
    return Answer(question.model, question.channel, time.monotonic() - started, result, problem)


def _asked(question: Question, seconds: float) -> tuple[str, str | None]:
    try:
        return question.ask(seconds), None
    except LLMError as problem:
        return f"FAILED ({_in_short(problem)})", question.explain(problem, seconds)
    except VerificationError as problem:
        return "FAILED", str(problem)


def _in_short(problem: LLMError) -> str:
    if isinstance(problem, LLMTimeoutError):
        return "no answer"
    return f"HTTP {problem.status}" if isinstance(problem, LLMStatusError) else problem.code
