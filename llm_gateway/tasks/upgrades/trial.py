"""Another image tried on a copy of the gateway's database, while the gateway serves on.

Unpublished, in a compose project of its own, and always taken down afterwards: by the run, and by the host itself where
the run does not come to its end. What the copy does to its database is lost with it.
"""

from __future__ import annotations

import base64
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from llm_gateway.flavours import AdminError
from llm_gateway.flavours.admin_api import AdminAPI
from llm_gateway.hosts import remote, undo
from llm_gateway.hosts.postgresql import PostgreSQLStore
from llm_gateway.hosts.progress import step
from llm_gateway.hosts.route import RouteError, route
from llm_gateway.hosts.tables import SQLiteStore
from llm_gateway.hosts.topology import Node
from llm_gateway.model import layout
from llm_gateway.model.layout import PORT, PROJECT, TRIAL
from llm_gateway.model.shell import program
from llm_gateway.parts import arrival, image, installation, service, serving
from llm_gateway.parts.serving import Serving
from llm_gateway.parts.takeover import old_schema
from llm_gateway.proof import proof
from llm_gateway.tasks.upgrades import carried, same_tokens
from llm_gateway.tasks.upgrades.carried import Carried

LONGEST_LOAD_SECONDS = 900
"""For loading an archive of the image and unpacking the copy of the database."""
_COPIES = 2
"""What the switch keeps, once the trial's is gone; and what the new image makes of it, where it is taken back."""
_COPIES_CARRIED = 3
"""Of another software's, which are larger, the trial's and the staged one, and half a one to write its transaction."""
_SCHEMA = "llmgw_trial"
"""Where a PostgreSQL's copy is."""
_TOLD = 5
"""Tokens that are named of those that may something else."""
_HERE = Path(__file__).parent
_ENDED = "it ended"


class TrialError(Exception):
    """The new image does not do on the copy what the gateway does; the text says what it does instead."""


@contextmanager
def unpublished(node: Node, old: Serving, what: str) -> Iterator[None]:
    """What is tried within is taken down at the end, however that comes, and the old image keeps its name.

    Parameters: `what`, for people, such as "trial of X on gw1". Raises UndoError, RemoteError.
    """
    end = _end_script(node, old)
    seconds = LONGEST_LOAD_SECONDS + node.settings.gateway_start_timeout + proof.longest(node)
    verdict: TrialError | None = None
    with undo.undoable(node.host, what, end, seconds):
        try:
            yield
        except TrialError as failure:
            verdict = failure  # what a trial is for, and nothing that the host would have to undo
        remote.run(node.host, end)
    if verdict is not None:
        raise verdict


def _end_script(node: Node, old: Serving) -> str:
    values = {"PROJECT": PROJECT, "DIRECTORY": node.directory, "OLD": old.identifier, "REFERENCE": old.reference}
    return program({**values, **_of_store(node)}, _HERE / "trial_end.sh")


def _of_store(node: Node) -> dict[str, str]:
    store = node.gateway.store
    return {"SERVICE": store.service if isinstance(store, PostgreSQLStore) else "", "SCHEMA": _SCHEMA}


def load(node: Node, old: Serving) -> str:
    """Make the wanted image known on the host under a tag of its own, and the old one under its own. Returns its ID.

    Within `unpublished`, since an archive brings the image's name along, which is the old one's name as well where
    only the bytes have changed. Raises RemoteError.
    """
    host = node.host
    if node.settings.gateway_image_archive and not image.is_present(node):
        step(host, "loading the image out of its archive")
        remote.run(host, f"docker image tag {old.identifier} {serving.kept_tag(old.identifier)}")
        remote.run(host, image.load_script(node))
    found = remote.run(
        host, f"docker image inspect {shlex.quote(image.reference(node.settings))} --format '{{{{.Id}}}}'"
    )
    return found[-1].strip()


def run(node: Node, new: Serving, source: str, arriving: Carried | None = None) -> str:
    """Start the image on the copy and ask it what users ask. Within `unpublished`.

    Parameters: `source`, the path of a backup on the host, or of a directory that holds a database; `arriving`, where
    that is to be carried over to another software: a copy that has its schema is kept then.
    Returns what it answered. Raises TrialError, DatabaseError, RemoteError.
    """
    host = node.host
    tag = f"{layout.NEXT_IMAGE}:{serving.short(new.identifier)}"
    remote.run(host, f"docker image tag {new.identifier} {tag}")
    # A host that was set up by an earlier version has no such file yet.
    owner = installation.own_data(node)
    owner.write_now(host)
    commands = {
        "OWN": installation.own_data_command(node, f"trial/{layout.DATA}"),
        "LIMIT": installation.limit_processors(node),
    }
    copies = _COPIES_CARRIED if arriving else _COPIES
    script = program(
        {"COPIES": str(copies), "DIRECTORY": node.directory, "SOURCE": source, **commands, **_of_store(node)},
        _HERE / "trial.sh",
    )
    compose_file = installation.unpublished_compose_file(node, project=TRIAL, image=tag)
    step(host, f"trial: starting {new} on a copy of the database")
    remote.run(host, script, base64.b64encode(compose_file).decode())
    old_schema.start_twice(host, TRIAL, node.settings.gateway_start_timeout)
    address = _await(node)
    _require_software(node, address)
    if arriving:
        carried.keep_copy(node)
        copied = SQLiteStore(host, f"{node.directory}/trial/{layout.DATA}/{layout.DATABASE}")
        arrival.carry(host, node, copied, arriving.arrival, TRIAL)
        address = _await(node)
        _require_same_tokens(node, address, arriving)
    step(host, "trial: asking it for a completion and an embedding")
    try:
        told = proof.prove(node, address, PORT)
    except proof.ProofError as problem:
        raise TrialError(f"{problem}{_compared(node)}. {service.last_words(host, TRIAL)}") from None
    remote.tell(host, f"on a copy of the database, {new} answers: {told}")
    return told


def _require_software(node: Node, address: str) -> None:
    """Whatever the image's name says. Raises TrialError, where it is not what that says, or does not tell."""
    base_url = f"http://{address}:{PORT}"
    try:
        with route(node.host, address, PORT) as way, AdminAPI(base_url, transport=way) as api:
            problem = node.flavour.problem_of(api.status())
    except (RouteError, AdminError) as failure:
        problem = f"it does not say what it is: {failure}"
    if problem:
        raise TrialError(f"{problem}. {service.last_words(node.host, TRIAL)}")


def _require_same_tokens(node: Node, address: str, arriving: Carried) -> None:
    """Raises TrialError where a token may on the copy what it may not now, or the other way round."""
    try:
        found = same_tokens.problems(node, address, arriving.arrival)
    except RouteError as problem:
        found = [f"whether each token may there what it may now cannot be asked: {problem}"]
    if found:
        more = f", and {len(found) - _TOLD} more" if len(found) > _TOLD else ""
        raise TrialError(f"{'; '.join(found[:_TOLD])}{more}. {service.last_words(node.host, TRIAL)}")


def _await(node: Node) -> str:
    """Wait until it answers. Returns its address. Raises TrialError, RemoteError."""
    seconds = node.settings.gateway_start_timeout
    address = service.address_inside(node.host, TRIAL)
    problem = service.await_answer(node.host, address, PORT, seconds, partial(_ended, node)) if address else _ENDED
    if address and problem is None:
        return address
    if problem != _ENDED:
        problem = f"it did not answer within {seconds} s (gateway_start_timeout): {str(problem).partition(': ')[2]}"
    raise TrialError(f"{problem}. {service.last_words(node.host, TRIAL)}")


def _ended(node: Node) -> str | None:
    return None if service.address_inside(node.host, TRIAL) else _ENDED


def _compared(node: Node) -> str:
    """Whose fault it may be: the image's, or that of an upstream which does not answer the old one either."""
    address, port = node.state.published
    if not port:
        return ""
    try:
        proof.prove(node, address, int(port))
    except proof.ProofError as problem:
        return f". The gateway as it serves now does not do it either ({problem}), so it may not be the image's fault"
    return ". The gateway as it serves now does it"
