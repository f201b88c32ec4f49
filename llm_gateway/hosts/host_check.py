"""Checks at the end of a run, of what no step of it fixes: the run fails with what they find."""

from __future__ import annotations

from collections.abc import Callable, Generator

from pyinfra.api import FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.hosts import remote


@operation()
def fail_if(what: str, problem_of: Callable[[], str | None]) -> Generator[FunctionCommand, None, None]:
    """Fail the run if something is wrong; change nothing.

    Parameters: `what` is looked at, such as "backups"; `problem_of` says what is wrong with it, and what fixes that, or
    None.
    """
    problem = problem_of()
    if problem is not None:
        yield remote.Callback(_fail, (f"{what}: {problem}",), {})


def _fail(state: State, host: Host, problem: str) -> bool:
    remote.complain(host, problem)
    return False
