"""What a host has of a gateway's data: a database is taken over knowingly, and never begun anew where one should be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from llm_gateway.hosts import other_databases, remote
from llm_gateway.hosts.topology import Node
from llm_gateway.model import layout
from llm_gateway.model.dsn import SQLITE
from llm_gateway.model.layout import PROJECT, UNIT_PATH
from llm_gateway.parts import database, first_start, recovery
from llm_gateway.parts.backups import recognition
from llm_gateway.parts.takeover import old_channels, old_gateway, old_settings

_DIRECTORIES = (layout.OPT, "/opt/llm-gateway")


def problems(node: Node) -> Iterator[str]:
    """What prevents a deployment; each text with its fix."""
    found = list(_of_what_was_read(node)) or list(_of_its_database(node))
    yield from found or _of_its_surroundings(node)


def _of_its_database(node: Node) -> Iterator[str]:
    """Whether a database that is to be taken over is One API's; tells what there is to say of it."""
    if not first_start.finds_database(node) or node.state.database_size == 0:
        return
    look = recognition.look if first_start.can_be_recognised(node) else recognition.glimpse
    found = look(node.gateway.file, node.flavour)
    for note in found.notes:
        remote.tell(node.host, note)
    if found.problem:
        yield found.problem


def _of_what_was_read(node: Node) -> Iterator[str]:
    data = f"{node.directory}/data"
    source = node.state.data_source
    if source is not None and source not in (data, node.state.data_path):
        yield f"a gateway runs there already ({PROJECT}) with its data in {source}: {_taking_over(node, source)}"
    has_database = node.state.database_size is not None
    old = old_gateway.of(node.state)
    known = {PROJECT, layout.REPLACED, layout.FIRST_START, *([old.name] if old else [])}
    if others := [name for name in node.state.data_users if name not in known]:
        yield f"the container {', '.join(others)} uses {data} too: stop and remove it (docker rm -f {others[0]})"
    if not first_start.is_done(node):
        yield from _kept_elsewhere(node)
    if problem := lost_directory(node):
        yield problem
    if first_start.is_done(node) and not node.state.has_secrets:
        yield (
            f"{node.directory}/{layout.SECRETS} is gone though a gateway was set up there: put it back; or have new"
            f" secrets made: `{recovery.COMMAND}`"
        )
    if node.settings.gateway_database != SQLITE or node.state.database_conf is not None:
        return  # there is no file, and who looks at the database tells what is in it
    if first_start.is_done(node) and node.state.database_size == 0:
        yield f"{data}/{layout.DATABASE} is empty (0 bytes): restore it from a backup, or remove it to begin anew"
    if first_start.is_done(node) and not has_database:
        yield (
            f"{data}/{layout.DATABASE} is gone though a gateway was set up there: mount or restore it, or move it back"
            f" from {node.directory}/{layout.SWITCHING}/data if a run that was cut off has left it there; to begin anew"
            f" with an empty database, remove {node.directory}/{layout.FIRST_START_DONE}"
        )
    if not first_start.is_done(node) and not has_database and (elsewhere := list(_beside(node))):
        yield from elsewhere
        return
    leftovers = {
        "logs",
        layout.ENVIRONMENT,
        f"{layout.DATABASE}-journal",
    }  # One API's own, without which its database can be gone
    if not has_database and (strangers := [name for name in node.state.data if name not in leftovers]):
        yield (
            f"{data} holds {', '.join(strangers[:3])} but no one-api.db: it is not {node.flavour.name}'s; move it away"
            " or choose another gateway_directory"
        )


def _taking_over(node: Node, place: str) -> str:
    """The fix where a gateway's data are in a directory that is not the one where they are looked for."""
    parent, _, name = place.rpartition("/")
    if name == "data":
        return f'set gateway_directory to "{parent}" to take it over'
    if place.startswith("/var/lib/docker/"):  # a volume is Docker's, which removes it when nobody seems to use it
        return (
            f"stop it, copy its data (`mkdir -p {node.directory} && cp -a {place} {node.directory}/data`), and"
            " remove the container"
        )
    new = next(each for each in _DIRECTORIES if not f"{place}/".startswith(f"{each}/"))
    return (
        f'on the host, `mkdir -p {new} && ln -sT {place} {new}/data`; then set gateway_directory to "{new}", which'
        " takes it over with its data where they are"
    )


def hints(node: Node) -> Iterator[str]:
    """Where gateways are that a person may mean to have taken over."""
    for line in node.state.gateways:
        name, setting, place = line.split(maxsplit=2)
        if setting == "-" and not name.startswith(PROJECT):
            yield f". (The container {name} is a gateway: {_taking_over(node, place)})"


def _beside(node: Node) -> Iterator[str]:
    """Gateways with their data below the install directory, and not in data/: no new and empty one is begun there."""
    here = f"{node.directory}/"
    told = set()
    for line in node.state.gateways:
        name, setting, place = line.split(maxsplit=2)
        if not f"{place}/".startswith(here) or place == f"{node.directory}/data":
            continue
        told.add(place)
        if setting != "-":
            yield (
                f"the container {name} is a gateway with its data in another database ({setting} is set), and a"
                " one-api.db is all that can be taken over: move them there by that database's own means, or choose"
                " another gateway_directory to begin anew"
            )
        else:
            yield f"the container {name} is a gateway with its data in {place}: {_taking_over(node, place)}"
    for place in node.state.databases:
        if place not in told:
            yield f"{place}/{layout.DATABASE} is a gateway's database: {_taking_over(node, place)}"


def _of_its_surroundings(node: Node) -> Iterator[str]:
    """What is known of a gateway that is to be taken over besides its data, and is not in the settings."""
    if not first_start.finds_database(node):
        return
    old = old_gateway.of(node.state)
    given = old_settings.of(node.state, node.directory)
    if given is not None:
        yield from old_settings.problems(given, node.settings, node.state.data_environment, node.directory)
    elif file := node.state.old_compose_file:
        yield old_settings.unread(node.directory, file)
    if first_start.can_be_recognised(node):
        with suppress(database.DatabaseError):  # as it is told by the first start, which looks again
            yield from old_channels.problems(node, node.gateway.file)
    if old is not None and old.labels.get("com.docker.compose.project") == PROJECT:
        yield (
            f"the container {old.name} is of a Compose project called {PROJECT}, as ours is, which would take it for"
            f" its own: write `name: one-api` into its compose file, then `docker compose -p {PROJECT} down` and"
            " `docker compose up -d` there, and run again"
        )


def _kept_elsewhere(node: Node) -> Iterator[str]:
    """Data of a gateway that is to be taken over which are not in its database file."""
    named = node.state.data_settings
    if setting := other_databases.that_holds_all(named):
        yield (
            f"the gateway that is there has its data in another database ({setting} is set), and"
            f" {node.gateway.file.name} is all that can be taken over: move them there by that database's"
            f" own means, and start it without {setting}. To begin anew instead, remove its container and"
            f" {node.directory}/data/.env; that database stays as it is"
        )
    elif setting := other_databases.that_holds_the_log(named):
        yield (
            f"the gateway that is there has its log in another database ({setting} is set), which is not taken over:"
            f" start it without {setting}, then run this again. What is in that log stays where it is"
        )


def lost_directory(node: Node) -> str | None:
    """Why a host whose gateway's unit is there, and whose install directory holds nothing of it, is not begun anew.

    The secrets are written before the unit and removed after it, so that no run leaves a host like that.
    """
    if node.state.file(UNIT_PATH) is None or node.state.has_secrets or first_start.is_done(node):
        return None
    return (
        f"a gateway was set up on this host, and nothing of it is in {node.directory}: mount its file system"
        f" (`findmnt --target {node.directory}` shows what is there now). To begin anew there, remove {UNIT_PATH}"
    )
