"""What the gateway must hold: the declared channels, one token for each OpenClaw host, registration closed."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from pyinfra.api import FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from gateway import first_start, remote
from gateway.admin import admin_api
from gateway.installation import FIRST_START_DONE
from gateway.route import RouteError
from gateway.secrets import ROOT_PASSWORD
from oneapi import (
    AdminClient,
    Ambiguous,
    Channel,
    ChannelSpec,
    OneAPIError,
    Token,
    TokenSpec,
    Unauthorised,
    differences,
    only,
)

if TYPE_CHECKING:
    from gateway.fleet import Member

VERIFICATION_TOKEN = "llm-gateway-verification"  # noqa: S105 - a name
Step = Callable[[], object]


def token_name(host_name: str) -> str:
    """The name of a host's token: the host's own, cut to One API's limit of 30 bytes where it is longer."""
    encoded = host_name.encode()
    if len(encoded) <= 30:
        return host_name
    digest = hashlib.sha256(encoded).hexdigest()[:8]
    return f"{encoded[:21].decode(errors='ignore')}-{digest}"


def reconcile(member: Member) -> None:
    """Make a gateway hold what is declared; on other hosts, wait until all gateways do.

    pyinfra keeps the order of operations for each host alone, and across hosts only at those that they share
    (pyinfra.api.State.get_op_order). OpenClaw hosts need the tokens that are made here, so they share it.
    """
    _reconcile(name="Declare channels and tokens", member=member)


@operation()
def _reconcile(member: Member) -> Generator[FunctionCommand, None, None]:
    if not member.is_gateway:
        return
    if not member.host.state.is_executing and not first_start.is_done(member):
        yield _failure("it is not set up yet")  # counted as a change to come, never carried out
        return
    if not member.host.state.is_executing and not member.state.text("api_options"):
        remote.tell(member.host, "the gateway does not answer now, so its channels and tokens cannot be planned")
        return
    try:
        with admin_api(member) as admin, ThreadPoolExecutor(max_workers=3) as pool:
            channels, tokens = pool.submit(admin.channels), pool.submit(admin.tokens)
            options = pool.submit(admin.options)
            for what, step in (
                *_channel_steps(member, admin, channels.result()),
                *_token_steps(member, admin, tokens.result()),
                *_option_steps(admin, options.result()),
            ):
                yield _application(what, step)
    except Ambiguous as problem:
        yield _failure(f"{problem}; delete the wrong one in the admin page, {member.base_url}")
    except Unauthorised:
        yield _failure(
            f"the gateway refuses the access token in {member.directory}/secrets.env; has somebody made a new one in"
            f" the admin page? To have another made, remove {member.directory}/{FIRST_START_DONE} on the host and"
            f" deploy again (export {ROOT_PASSWORD}=… where root's password is another than the one in secrets.env)"
        )
    except (RouteError, OneAPIError) as problem:
        yield _failure(f"the gateway's admin API on {member.base_url} cannot be used: {problem}")


def _channel_steps(member: Member, admin: AdminClient, channels: Sequence[Channel]) -> Iterator[tuple[str, Step]]:
    for declared in member.settings.gateway_channels:
        key = member.provided.require(declared.key)
        found = only(channels, declared.name)
        spec = ChannelSpec(
            name=declared.name,
            type=declared.type,
            base_url=declared.base_url,
            key=key,
            models=declared.models,
            priority=declared.priority,
        )
        if found is None:
            yield (
                f"+ channel {declared.name}",
                _then_remember(member, spec, partial(admin.create_channel, spec)),
            )
            continue
        changes = differences(found, spec)
        if member.applied_keys.get(spec.name) != _fingerprint(member, spec):
            changes.append("key changed")
        if changes:
            update = partial(admin.update_channel, found.id, spec)
            yield (
                f"~ channel {declared.name}: {', '.join(changes)}",
                _then_remember(member, spec, update),
            )


def _then_remember(member: Member, spec: ChannelSpec, write: Callable[[], object]) -> Step:
    """One API blanks the keys that it shows, so which key was applied is kept beside it, as a fingerprint."""

    def step() -> None:
        write()
        member.applied_keys = {**member.applied_keys, spec.name: _fingerprint(member, spec)}
        content = json.dumps(member.applied_keys, indent=1, sort_keys=True) + "\n"
        remote.write_now(member.host, f"{member.directory}/applied-keys.json", content.encode(), "600")

    return step


def _fingerprint(member: Member, spec: ChannelSpec) -> str:
    """Keyed with the gateway's own secret: the same key elsewhere has another fingerprint."""
    secret = member.generated.session_secret.encode()
    return hmac.new(secret, f"{spec.name}\0{spec.key}".encode(), "sha256").hexdigest()


def _token_steps(member: Member, admin: AdminClient, tokens: Sequence[Token]) -> Iterator[tuple[str, Step]]:
    names = [
        VERIFICATION_TOKEN,
        *(token_name(agent.name) for agent in member.fleet.agents_of(member)),
    ]
    for name in names:
        found = only(tokens, name)
        if found is None:
            yield f"+ token {name}", partial(_create_token, member, admin, TokenSpec(name=name, unlimited_quota=True))
        else:
            # A token that a person has disabled stays so: that is how a host is shut out.
            member.token_keys[name] = found.key


def _create_token(member: Member, admin: AdminClient, spec: TokenSpec) -> None:
    member.token_keys[spec.name] = admin.create_token(spec).key


def _option_steps(admin: AdminClient, options: Mapping[str, str]) -> Iterator[tuple[str, Step]]:
    if options.get("RegisterEnabled") != "false":
        yield (
            "~ option RegisterEnabled: false",
            partial(admin.set_option, "RegisterEnabled", "false"),
        )


def _application(what: str, step: Step) -> FunctionCommand:
    def apply(state: State, host: Host) -> bool:
        try:
            step()
        except (OneAPIError, remote.RemoteError) as problem:
            remote.complain(host, f"{what}: {problem}")
            return False
        remote.tell(host, what)
        return True

    return FunctionCommand(apply, (), {})


def _failure(problem: str) -> FunctionCommand:
    def fail(state: State, host: Host) -> bool:
        remote.complain(host, problem)
        return False

    return FunctionCommand(fail, (), {})
