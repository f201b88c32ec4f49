"""New secrets for a gateway itself: the admin access token, root's password, the session secret.

The new ones are first written beside the present ones, for root alone. So whatever a run is cut off at, one of the two
files says what works, and the next run goes on; only when the gateway knows all of the new ones do they take the place
of the others, at once.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from llm_gateway.flavours import RateLimited
from llm_gateway.flavours.contents import Admin
from llm_gateway.hosts import remote
from llm_gateway.hosts.route import route
from llm_gateway.hosts.topology import Node
from llm_gateway.inputs.secrets import Generated, SecretsError
from llm_gateway.model import layout
from llm_gateway.model.layout import ENVIRONMENT, NEXT_SECRETS, PORT, PROJECT, SECRETS, UNIT
from llm_gateway.parts import database, installation, service

ACCESS_TOKEN = "access_token"  # noqa: S105 - what is rotated, in a person's words
ROOT_PASSWORD = "root_password"  # noqa: S105
SESSION_SECRET = "session_secret"  # noqa: S105
KINDS = (ACCESS_TOKEN, ROOT_PASSWORD, SESSION_SECRET)
PATIENCE_SECONDS = 30.0
"""Longer than One API waits for a locked database (10 s), so that its own words come through."""


class RotationError(Exception):
    """The rotation of the secrets is incomplete; the text says why and what fixes it."""


def staged(node: Node) -> Generated | None:
    """The new secrets that a run which was cut off has left; None where there are none. Raises SecretsError."""
    text = node.state.next_secrets
    if not text:
        return None
    try:
        return Generated.read(text)
    except SecretsError as problem:
        path = f"{node.directory}/{NEXT_SECRETS}"
        raise SecretsError(f"{path}, which a rotation has left, is damaged: {problem}; remove it") from None


def with_new(present: Generated, kinds: Iterable[str]) -> Generated:
    """The same secrets, with new ones of these `KINDS`.

    The fingerprints of the channels' keys stay valid: with a new session secret they are still made with the old one.
    """
    fresh = Generated.new()
    new = {kind: getattr(fresh, kind) for kind in kinds}
    kept = {"fingerprint_secret": present.mark_secret} if SESSION_SECRET in new else {}
    return replace(present, **new, **kept)


def needs_database(node: Node, wanted: Generated) -> bool:
    """Whether the access token changes, which is done in the database: One API's own would choose the token."""
    return wanted.access_token != node.gateway.generated.access_token


def runs_with_older_files(node: Node) -> bool:
    """Whether a run was cut off between writing the new session secret and restarting."""
    return bool(installation.differing_files(node)) or not service.is_published(node)


def carry_out(node: Node, wanted: Generated, step: Callable[[str], None]) -> None:
    """Make `wanted` the gateway's secrets; `step` is told each step before it is done.

    Raises RotationError, database.DatabaseError, RouteError, AdminError or RemoteError.
    """
    before = node.gateway.generated
    is_behind = not node.is_restarted and runs_with_older_files(node)
    if wanted != before:
        _hand_over(node, before, wanted, step)
    if is_behind or wanted.session_secret != before.session_secret:
        step("starting the gateway anew with its session secret: it does not answer for some seconds")
        _restart(node)


def _hand_over(node: Node, before: Generated, wanted: Generated, step: Callable[[str], None]) -> None:
    step(f"writing the new secrets beside the present ones, in {NEXT_SECRETS}")
    remote.write_now(node.host, f"{node.directory}/{NEXT_SECRETS}", wanted.render().encode(), "600")
    if wanted.access_token != before.access_token:
        step("giving root the new access token")
        # Asked of the database: One API writes every token that it does not know into its log.
        if not database.has_token(node.gateway, wanted.access_token):
            database.set_token(node.gateway, wanted.access_token)
    if wanted.root_password != before.root_password:
        step("setting root's new password")
        with _api(node, wanted.access_token) as admin:
            admin.set_own_password(wanted.root_password)
    _confirm(node, before, wanted)
    step(f"putting the new secrets in the place of the present ones, in {SECRETS}")
    # The gateway does not read that file. One newer than its start would make the next deployment restart it.
    remote.run(
        node.host,
        f"cd {shlex.quote(node.directory)} && touch --reference={ENVIRONMENT} {NEXT_SECRETS} &&"
        f" mv -fT {NEXT_SECRETS} {SECRETS} && sync .",
    )
    node.gateway.generated = wanted


def _confirm(node: Node, before: Generated, wanted: Generated) -> None:
    """See that the gateway takes the new ones, before the present ones are given up."""
    with _api(node, wanted.access_token) as admin:
        user = admin.own_user()
    if user.role != database.ROOT_ROLE:
        raise RotationError(f"the new access token is taken for {user.username}'s, who is not root")
    if wanted.root_password == before.root_password:
        return
    try:
        with _api(node) as visitor:
            is_taken = visitor.log_in(user.username, wanted.root_password)
    except RateLimited:
        remote.tell(
            node.host,
            "root's password was set, and not tried: the gateway takes no more log-ins for now",
        )
        return
    if not is_taken:
        raise RotationError("the gateway took a new root password and does not know it: run this again")


def _restart(node: Node) -> None:
    """The compose environment with the session secret, then the unit; until it answers."""
    (environment,) = (
        each for each in installation.wanted_files(node) if each.path == f"{node.directory}/{layout.ENVIRONMENT}"
    )
    environment.write_now(node.host)
    node.is_restarted = True
    remote.run(node.host, f"systemctl restart {UNIT}")
    seconds = node.settings.gateway_start_timeout
    if problem := service.await_answer(node.host, node.address, node.settings.gateway_port, seconds):
        raise RotationError(
            f"the gateway does not answer with its new session secret: {problem}. `journalctl -u {UNIT}` and"
            f" `docker logs {PROJECT}` on the host say why; run this again when that is fixed"
        )


@contextmanager
def _api(node: Node, token: str | None = None) -> Iterator[Admin]:
    """The admin API on the host itself, past its published port, so that no password crosses the network in clear.

    Raises RouteError.
    """
    ask = f"docker inspect {PROJECT} --format '{{{{range .NetworkSettings.Networks}}}}{{{{.IPAddress}}}} {{{{end}}}}'"
    inside = " ".join(remote.run(node.host, ask)).split()
    if not inside:
        raise RotationError(f"the gateway does not run: `systemctl start {UNIT}` on the host, then run this again")
    with (
        route(node.host, inside[0], PORT) as transport,
        node.flavour.admin(
            f"http://{inside[0]}:{PORT}", access_token=token, transport=transport, timeout=PATIENCE_SECONDS
        ) as client,
    ):
        yield client
