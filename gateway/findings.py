"""What is wrong on a host and no step of a run mends: the run fails with it, at its end."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

from pyinfra.api import FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from gateway import remote

if TYPE_CHECKING:
    from gateway.fleet import Member


@operation()
def must_be_well(
    member: Member, what: str, problem_of: Callable[[Member], str | None]
) -> Generator[FunctionCommand, None, None]:
    """A check, not a change: it yields a command, one that fails, only where something is wrong.

    Parameters: `what` is looked at, such as "backups"; `problem_of` says what is wrong with it, and what mends that, or
    None.
    """
    problem = problem_of(member)
    if problem is not None:
        yield remote.Callback(_fail, (f"{what}: {problem}",), {})


def _fail(state: State, host: Host, problem: str) -> bool:
    remote.complain(host, problem)
    return False
