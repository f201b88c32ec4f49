"""What the operator is told when the admin API says no: what happened, and the command that fixes it."""

from __future__ import annotations

from llm_gateway.flavours import AdminError, RateLimited, Refused, Unauthorised
from llm_gateway.model import layout

COMMAND = "pyinfra inventory.py deploys/reset_admin.py"
"""What makes the access token and root's password right again."""
LOCKED = "database is locked"
"""SQLite's words when it waited in vain for another program; One API hands them on in HTTP 200."""


def told(problem: AdminError, directory: str) -> str:
    """What happened, with its fix where one is known, for a call with the access token of `secrets.env`.

    Parameters: `directory`, the gateway's directory on its host.
    """
    if isinstance(problem, Unauthorised):
        return (
            f"the gateway refuses the access token in {directory}/{layout.SECRETS}: somebody has made a new one in"
            f" the admin page, or changed that file. `{COMMAND}` makes the token and root's password right again; it"
            " keeps a backup of the database, and the gateway serves on meanwhile"
        )
    if isinstance(problem, Refused) and LOCKED in problem.message:
        return f"{problem.call} failed, {locked_by_whom(directory)}"
    if isinstance(problem, RateLimited):
        return f"{problem}: run again in {problem.minutes} minutes; what was done until here is kept"
    return str(problem)


def locked_by_whom(directory: str, holders: str = "") -> str:
    """That another program keeps the gateway from writing, and how to find and end it.

    Parameters: `holders`, the programs that have the database open, where they are known.
    """
    database = layout.database(directory)
    if holders:
        return f"another program keeps the database {database} locked: {holders}. End it, and run the command again"
    return (
        f"another program keeps the database {database} locked. On the host, `find -L /proc/[0-9]*/fd -samefile"
        f" {database} 2>/dev/null` shows who has it open (the number is the process; one of them is the gateway). End"
        " the other, and run the command again"
    )
