"""The last words of a run on our screen: a table of its hosts, where each stands, and the next command."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pyinfra.api.state import State

from llm_gateway.command.screen import Screen
from llm_gateway.model.columns import width, wrapped
from llm_gateway.tasks import summary
from llm_gateway.tasks.summary import HostResult

_LABEL = 12


def tell(screen: Screen, state: State) -> bool:
    """On each host: what was changed, in how many seconds, and what was not done.

    Returns whether there was anything to tell: not where the run has not begun to change hosts.
    """
    if results := summary.results(state):
        tell_results(screen, results)
    return bool(results)


def tell_results(screen: Screen, results: Sequence[HostResult]) -> None:
    """The table of the hosts, and behind it what each is or what it lacks."""
    screen.say("", is_error=_has_failed(results))
    screen.say_all(_table(screen, results), are_errors=_has_failed(results))
    for result in results:
        if result.ending:
            screen.say_all(_unfinished(screen, result), are_errors=True)
        elif result.role:
            screen.say_all(wrapped(screen.said(result.role), f"{result.name}: ", "  "))


def _has_failed(results: Sequence[HostResult]) -> bool:
    return any(result.ending for result in results)


def _table(screen: Screen, results: Sequence[HostResult]) -> Iterator[str]:
    words = screen.words
    rows = [(words("host"), words("what"), words("took"))]
    for result in results:
        seconds = screen.seconds.get(result.name)
        rows.append((result.name, _what(screen, result), "-" if seconds is None else f"{seconds:.1f}"))
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    for name, what, took in rows:
        padding = [" " * (columns - width(cell)) for columns, cell in zip(widths, (name, what, took), strict=True)]
        yield f"{name}{padding[0]}  {what}{padding[1]}  {padding[2]}{took}"


def _what(screen: Screen, result: HostResult) -> str:
    words, count = screen.words, len(result.changes)
    told = [words("one change") if count == 1 else words("changes", count=count)] if count else []
    told += [words(result.ending)] if result.ending else []
    return ", ".join(told) or words("nothing")


def _unfinished(screen: Screen, result: HostResult) -> Iterator[str]:
    words = screen.words
    yield ""
    yield f"{result.name}: {words(result.ending)}"
    parts = {
        "failed at": screen.named(result.failed_at),
        "done": "; ".join(shortened(screen, result.changes)) or words("nothing"),
        "not done": "; ".join(shortened(screen, result.left)),
    }
    for name, text in parts.items():
        if text:
            label = words(name)
            head = f"  {label}{' ' * max(1, _LABEL - width(label))}"
            yield from wrapped(text, head, "  " + " " * _LABEL)


def shortened(screen: Screen, names: Sequence[str]) -> list[str]:
    """The names of steps, those that write files next to each other as one."""
    told: list[str] = []
    files: list[str] = []
    for name in [*names, ""]:
        if name.startswith("Write "):
            files.append(name)
            continue
        told += map(screen.named, files) if len(files) < 2 else [screen.words("files", count=len(files))]
        files = []
        told += [screen.named(name)] if name else []
    return told
