"""What the gateway must hold: the declared channels, tokens and options, made so by its admin API."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Mapping
from dataclasses import replace
from functools import partial

from pyinfra.api import FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.contents import desired, reach
from llm_gateway.contents.admin import admin_api
from llm_gateway.contents.desired import Plan
from llm_gateway.flavours.oneapi import AdminClient, Ambiguous, OneAPIError, Unauthorised, carry_out
from llm_gateway.hosts import remote
from llm_gateway.hosts.member import Member
from llm_gateway.hosts.record import Record
from llm_gateway.hosts.route import RouteError
from llm_gateway.inputs import consistency
from llm_gateway.inputs.secrets import SecretsError
from llm_gateway.model import layout
from llm_gateway.parts import database, first_start


def reconcile(member: Member) -> None:
    """Make a gateway hold what is declared; on other hosts, wait until all gateways do.

    pyinfra keeps the order of operations for each host alone, and across hosts only at those that they share
    (pyinfra.api.State.get_op_order). OpenClaw hosts need the tokens that are made here, so they share it.
    """
    _reconcile(name="Declare channels, tokens and options", member=member)


@operation()
def _reconcile(member: Member) -> Generator[FunctionCommand, None, None]:
    if not member.is_gateway:
        return
    is_plan = not member.host.state.is_executing
    if is_plan and not first_start.is_done(member):
        yield _failure("it is not set up yet")  # counted as a change to come, never carried out
        return
    if is_plan and not member.state.text("api_options"):
        remote.tell(member.host, "the gateway does not answer now, so its channels and tokens cannot be planned")
        return
    try:
        with admin_api(member) as admin:
            actual = desired.look(admin)
            plan = desired.planned(member, actual)
            member.token_keys.update(plan.token_keys)
            member.changed_channels |= plan.record.unproven
            for problem in reach.problems(member, actual.channels) if not is_plan else ():
                remote.tell(member.host, problem)
            for warning in consistency.warnings(member.settings.gateway_channels, member.settings.gateway_image):
                remote.tell(member.host, warning)
            if is_plan:
                for change in plan.changes:
                    remote.tell(member.host, f"to come: {change}")
            if plan.changes or plan.record != member.record:
                yield remote.Callback(partial(_carry_out, member, admin, plan), (), {})
    except (OneAPIError, RouteError, SecretsError) as problem:
        yield _failure(explained(member, problem))


def reconcile_now(state: State, host: Host, member: Member) -> bool:
    """The same from within a step, on the gateway as it is at this moment: whether all of it could be done.

    What could not is told. Raises SecretsError where a channel's secret cannot be had.
    """
    try:
        with admin_api(member) as admin:
            plan = desired.planned(member, desired.look(admin))
            member.token_keys.update(plan.token_keys)
            member.changed_channels |= plan.record.unproven
            if not plan.changes and plan.record == member.record:
                return True
            return _carry_out(member, admin, plan, state, host)
    except (OneAPIError, RouteError) as problem:
        remote.complain(host, explained(member, problem))
        return False


def explained(member: Member, problem: Exception) -> str:
    """Why a gateway's contents cannot be read or planned, and the fix."""
    if isinstance(problem, Ambiguous):
        return f"{problem}; delete the wrong one in the admin page, {member.base_url}"
    if isinstance(problem, Unauthorised):
        return database.told(member, problem)
    if isinstance(problem, SecretsError):
        return str(problem)
    return f"the gateway's admin API on {member.base_url} cannot be used: {database.told(member, problem)}"


def _carry_out(member: Member, admin: AdminClient, plan: Plan, state: State, host: Host) -> bool:
    """Do it change by change; what was done is remembered also where the next change fails."""
    writes = Counter(change.name for change in plan.changes if change.kind == "channel" and change.sign != "-")
    options = {change.name: change.work.text for change in plan.changes if change.kind == "option"}
    before = member.record
    done = replace(
        plan.record,
        channels={**before.channels, **plan.record.channels},
        tokens=before.tokens | plan.record.tokens,
        ids={**before.ids, **plan.record.ids},
        unproven=plan.record.unproven | writes.keys(),
        unstored=before.unstored | options.keys(),
    ).begun(writes)
    try:
        if writes or options:
            remember(member, done)
        for change in plan.changes:
            try:
                token = carry_out(change, admin)
            except OneAPIError as problem:
                remote.complain(host, f"{change}: {database.told(member, problem)}")
                remember(member, done)
                return False
            if token is not None:
                member.token_keys[token.name] = token.key
                done = replace(done, ids={**done.ids, f"token:{token.name}": token.id})
            if change.sign == "-":
                done = done.without(change.kind, change.name)
            if change.name in writes and change.kind == "channel":
                writes[change.name] -= 1
                if not writes[change.name]:  # a channel may be written twice, to keep its models served
                    marks = {**done.channels, change.name: plan.record.channels[change.name]}
                    done = replace(done, channels=marks)
                    member.changed_channels.add(change.name)
            remote.tell(host, str(change))
        if unstored := _unstored(member, options):
            remote.complain(host, unstored)
            remember(member, done)
            return False
        remember(member, _with_new_channels(done, plan, admin))
        if not plan.changes:
            remote.tell(host, "nothing to change; what is ours was taken note of")
    except OneAPIError as problem:
        remote.complain(host, database.told(member, problem))
        return False
    except remote.RemoteError as problem:
        remote.complain(host, f"{layout.APPLIED_KEYS}: {problem}")
        return False
    return True


def _unstored(member: Member, options: Mapping[str, str]) -> str | None:
    """What of the options that were set is not in the database, with the fix; None where all of it is.

    One API says success even so, and works with them until it is started again. Raises RemoteError.
    """
    if not options:
        return None
    unknown = f"whether {', '.join(options)} will outlive a restart is not known"
    try:
        missing = database.unstored_options(member, options)
    except database.DatabaseError as problem:
        return f"{unknown}: {problem}"
    if missing is None:
        return f"{unknown}: the host has nothing to look with; install sqlite3 or python3 there"
    if not missing:
        return None
    why = database.trouble(member) or (
        f"its disk may have been full (`df -h {member.directory}/data` on the host), or another program have had it"
        " locked; make room, and run again"
    )
    return (
        f"{', '.join(missing)}: the gateway says that it is set, and its database does not hold it, so that a restart"
        f" brings the old value back: {why}"
    )


def _with_new_channels(done: Record, plan: Plan, admin: AdminClient) -> Record:
    """The record with the numbers of the channels that were made: One API tells them only in its list."""
    made = {change.name for change in plan.changes if change.kind == "channel" and change.sign == "+"}
    listed = admin.channels() if made else []
    ids = {f"channel:{each.name}": each.id for each in listed if each.name in made}
    kept = {f"token:{name}": done.ids[f"token:{name}"] for name in plan.record.tokens if f"token:{name}" in done.ids}
    kept |= plan.record.ids
    return replace(plan.record, ids={**kept, **ids}, unproven=done.unproven)


def remember_proof(member: Member) -> None:
    """Take note that the models of all changed channels have answered. Raises RemoteError.

    Until then each run asks them anew: a change that does not work must not be forgotten by the next run.
    """
    if member.record.unproven:
        remember(member, replace(member.record, unproven=frozenset()))


def remember(member: Member, found: Record) -> None:
    remote.write_now(member.host, f"{member.directory}/{layout.APPLIED_KEYS}", found.content(), "600")
    member.record = found


def _failure(problem: str) -> FunctionCommand:
    def fail(state: State, host: Host) -> bool:
        remote.complain(host, problem)
        return False

    return remote.Callback(fail, (), {})
