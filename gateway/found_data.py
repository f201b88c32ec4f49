"""What a host has of a gateway's data: a database is taken over knowingly, and never begun anew where one should be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gateway import first_start, other_databases, recovery, replaced
from gateway.host_state import PROJECT
from gateway.installation import UNIT_PATH

if TYPE_CHECKING:
    from gateway.fleet import Member


def problems(member: Member) -> Iterator[str]:
    """What stands in the way of a deployment; each text with its mend."""
    data = f"{member.directory}/data"
    source = member.state.data_source
    if source is not None and source != data:
        parent, _, name = source.rpartition("/")
        mend = (
            f'set gateway_directory to "{parent}" to take it over'
            if name == "data"
            else f"stop it, copy {source} to {data}, and remove the container"
        )
        yield f"a gateway runs there already ({PROJECT}) with its data in {source}: {mend}"
    has_database = bool(member.state.text("database_size"))
    ours = {PROJECT, replaced.KEPT, first_start.CONTAINER}
    if others := [name for name in member.state.lines("data_users") if name not in ours]:
        yield f"the container {', '.join(others)} uses {data} too: stop and remove it (docker rm -f {others[0]})"
    if not first_start.is_done(member):
        yield from _kept_elsewhere(member)
    if problem := lost_directory(member):
        yield problem
    if first_start.is_done(member) and not member.state.text("secrets"):
        yield (
            f"{member.directory}/secrets.env is gone though a gateway was set up there: put it back; or have new"
            f" secrets made: `{recovery.COMMAND}`"
        )
    if first_start.is_done(member) and member.state.text("database_size") == "0":
        yield f"{data}/one-api.db is empty (0 bytes): restore it from a backup, or remove it to begin anew"
    if first_start.is_done(member) and not has_database:
        yield (
            f"{data}/one-api.db is gone though a gateway was set up there: mount or restore it; to begin anew with an"
            f" empty database, remove {member.directory}/first-start-done"
        )
    leftovers = {"logs", ".env", "one-api.db-journal"}  # One API's own, without which its database can be gone
    if not has_database and (strangers := [name for name in member.state.lines("data") if name not in leftovers]):
        yield (
            f"{data} holds {', '.join(strangers[:3])} but no one-api.db: it is not One API's; move it away or choose"
            " another gateway_directory"
        )


def _kept_elsewhere(member: Member) -> Iterator[str]:
    """Data of a gateway that is to be taken over which are not in its database file."""
    named = member.state.lines("data_settings")
    if setting := other_databases.that_holds_all(named):
        yield (
            f"the gateway that is there has its data in another database ({setting} is set), and"
            f" {member.directory}/data/one-api.db is all that can be taken over: move them there by that database's own"
            f" means, and start it without {setting}. To begin anew instead, remove its container and"
            f" {member.directory}/data/.env; that database stays as it is"
        )
    elif setting := other_databases.that_holds_the_log(named):
        yield (
            f"the gateway that is there has its log in another database ({setting} is set), which is not taken over:"
            f" start it without {setting}, then run this again. What is in that log stays where it is"
        )


def lost_directory(member: Member) -> str | None:
    """Why a host whose gateway's unit is there, and whose install directory holds nothing of it, is not begun anew.

    The secrets are written before the unit and removed after it, so that no run leaves a host like that.
    """
    if member.state.file(UNIT_PATH) is None or member.state.text("secrets") or first_start.is_done(member):
        return None
    return (
        f"a gateway was set up on this host, and nothing of it is in {member.directory}: mount its file system"
        f" (`findmnt --target {member.directory}` shows what is there now). To begin anew there, remove {UNIT_PATH}"
    )
