"""What the gateway must hold: the declared channels, tokens and options, made so by its admin API."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from pyinfra.api import FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from gateway import desired, first_start, record, recovery, remote
from gateway.admin import admin_api
from gateway.desired import Plan
from gateway.record import Record
from gateway.route import RouteError
from gateway.secrets import SecretsError
from oneapi import AdminClient, Ambiguous, OneAPIError, Unauthorised, carry_out

if TYPE_CHECKING:
    from gateway.fleet import Member


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
            plan = desired.planned(member, desired.look(admin))
            member.token_keys.update(plan.token_keys)
            if is_plan:
                for change in plan.changes:
                    remote.tell(member.host, f"to come: {change}")
            if plan.changes or plan.record != member.record:
                yield FunctionCommand(partial(_carry_out, member, admin, plan), (), {})
    except (OneAPIError, RouteError, SecretsError) as problem:
        yield _failure(explained(member, problem))


def explained(member: Member, problem: Exception) -> str:
    """Why a gateway's contents cannot be read or planned, and the mend."""
    if isinstance(problem, Ambiguous):
        return f"{problem}; delete the wrong one in the admin page, {member.base_url}"
    if isinstance(problem, Unauthorised):
        return recovery.told(problem, member.directory)
    if isinstance(problem, SecretsError):
        return str(problem)
    text = recovery.told(problem, member.directory) if isinstance(problem, OneAPIError) else str(problem)
    return f"the gateway's admin API on {member.base_url} cannot be used: {text}"


def _carry_out(member: Member, admin: AdminClient, plan: Plan, state: State, host: Host) -> bool:
    """Do it change by change; what was done is remembered also where the next change fails."""
    writes = Counter(change.name for change in plan.changes if change.kind == "channel" and change.sign != "-")
    before = member.record
    done = Record({**before.channels, **plan.record.channels}, before.tokens | plan.record.tokens).begun(writes)
    try:
        if writes:
            _remember(member, done)
        for change in plan.changes:
            try:
                token = carry_out(change, admin)
            except OneAPIError as problem:
                remote.complain(host, f"{change}: {recovery.told(problem, member.directory)}")
                _remember(member, done)
                return False
            if token is not None:
                member.token_keys[token.name] = token.key
            if change.name in writes and change.kind == "channel":
                writes[change.name] -= 1
                if not writes[change.name]:  # a channel may be written twice, to keep its models served
                    marks = {**done.channels, change.name: plan.record.channels[change.name]}
                    done = replace(done, channels=marks)
                    member.changed_channels.add(change.name)
            remote.tell(host, str(change))
        _remember(member, plan.record)
    except remote.RemoteError as problem:
        remote.complain(host, f"{record.FILE}: {problem}")
        return False
    return True


def _remember(member: Member, found: Record) -> None:
    remote.write_now(member.host, f"{member.directory}/{record.FILE}", found.content(), "600")
    member.record = found


def _failure(problem: str) -> FunctionCommand:
    def fail(state: State, host: Host) -> bool:
        remote.complain(host, problem)
        return False

    return FunctionCommand(fail, (), {})
