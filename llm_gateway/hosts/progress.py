"""How far a long operation is: told to the person, and kept in the host's journal."""

from __future__ import annotations

from pyinfra.api.host import Host

from llm_gateway.hosts import journal, remote


def step(host: Host, text: str) -> None:
    """Say what comes next. Every long operation calls this before each of its steps.

    Parameters: `text`, such as "migrate: stopping the old gateway".
    Raises RemoteError where the host cannot be reached, or has begun to undo what the run is doing there.
    """
    remote.tell(host, f"{text} ...")
    journal.note(host, text)
