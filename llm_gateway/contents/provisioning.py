"""What the gateway must hold: the declared channels, tokens and options, made so by its admin API."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import repeat

from pyinfra.api import FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.contents import desired, reach
from llm_gateway.contents.admin import admin_api
from llm_gateway.contents.desired import Plan
from llm_gateway.flavours import AdminError, Ambiguous, Unauthorised, carry_out
from llm_gateway.flavours.changes import Change
from llm_gateway.flavours.contents import Admin
from llm_gateway.hosts import remote
from llm_gateway.hosts.record import Record
from llm_gateway.hosts.route import RouteError
from llm_gateway.hosts.topology import Gateway, Machine
from llm_gateway.inputs import consistency
from llm_gateway.inputs.secrets import SecretsError
from llm_gateway.model import layout
from llm_gateway.parts import database, first_start


def reconcile(machine: Machine) -> None:
    """Make a gateway hold what is declared; on other hosts, wait until all gateways do.

    pyinfra keeps the order of operations for each host alone, and across hosts only at those that they share
    (pyinfra.api.State.get_op_order). OpenClaw hosts need the tokens that are made here, so they share it.
    """
    _reconcile(name="Declare channels, tokens and options", machine=machine)


@operation()
def _reconcile(machine: Machine) -> Generator[FunctionCommand, None, None]:
    if machine.node is None:
        return
    gateway = machine.node.gateway
    is_plan = not machine.host.state.is_executing
    if is_plan and not first_start.is_done(machine.node):
        yield _failure("it is not set up yet")  # counted as a change to come, never carried out
        return
    if is_plan and not machine.state.api_options:
        remote.tell(machine.host, "the gateway does not answer now, so its channels and tokens cannot be planned")
        return
    if is_plan and machine.node.running_flavour is not machine.node.flavour:
        told = f"its channels and tokens are compared once {machine.node.flavour.name} serves them"
        remote.tell(machine.host, told)
        return
    try:
        with admin_api(gateway) as admin:
            actual = desired.look(admin)
            plan = desired.planned(gateway, actual)
            gateway.token_keys.update(plan.token_keys)
            gateway.changed_channels |= plan.record.unproven
            for problem in reach.problems(gateway, actual.channels) if not is_plan else ():
                remote.tell(machine.host, problem)
            for warning in consistency.warnings(gateway.settings.gateway_channels, gateway.settings.gateway_image):
                remote.tell(machine.host, warning)
            if is_plan:
                for change in plan.changes:
                    remote.tell(machine.host, f"to come: {change}")
            if plan.changes or plan.record != gateway.record:
                yield remote.Callback(partial(_carry_out, gateway, admin, plan), (), {})
    except (AdminError, RouteError, SecretsError) as problem:
        yield _failure(explained(gateway, problem))


def reconcile_now(state: State, host: Host, gateway: Gateway) -> bool:
    """The same from within a step, on the gateway as it is at this moment: whether all of it could be done.

    What could not is told. Raises SecretsError where a channel's secret cannot be had.
    """
    try:
        with admin_api(gateway) as admin:
            plan = desired.planned(gateway, desired.look(admin))
            gateway.token_keys.update(plan.token_keys)
            gateway.changed_channels |= plan.record.unproven
            if not plan.changes and plan.record == gateway.record:
                return True
            return _carry_out(gateway, admin, plan, state, host)
    except (AdminError, RouteError) as problem:
        remote.complain(host, explained(gateway, problem))
        return False


def explained(gateway: Gateway, problem: Exception) -> str:
    """Why a gateway's contents cannot be read or planned, and the fix."""
    if isinstance(problem, Ambiguous):
        return f"{problem}; delete the wrong one in the admin page, {gateway.base_url}"
    if isinstance(problem, Unauthorised):
        return database.told(gateway, problem)
    if isinstance(problem, SecretsError):
        return str(problem)
    return f"the gateway's admin API on {gateway.base_url} cannot be used: {database.told(gateway, problem)}"


def _brief(changes: Sequence[Change], before: Record) -> Iterator[str | None]:
    """What is told in place of each change where all goes well: once how many, where nothing was ours before."""
    is_first = before == Record() and all(change.sign == "+" or change.kind == "option" for change in changes)
    kinds = Counter(change.kind for change in changes)
    told = [f"{kinds[kind]} {kind}{'s' * (kinds[kind] != 1)}" for kind in ("channel", "token", "option")]
    yield f"declared: {', '.join(told)}" if is_first else None
    yield from repeat("" if is_first else None)


def _carry_out(gateway: Gateway, admin: Admin, plan: Plan, state: State, host: Host) -> bool:
    """Do it change by change; what was done is remembered also where the next change fails."""
    writes = Counter(change.name for change in plan.changes if change.kind == "channel" and change.sign != "-")
    options = {change.name: change.work.text for change in plan.changes if change.kind == "option"}
    before = gateway.record
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
            remember(gateway, done)
        for change, brief in zip(plan.changes, _brief(plan.changes, before), strict=False):
            try:
                token = carry_out(change, admin)
            except AdminError as problem:
                remote.complain(host, f"{change}: {database.told(gateway, problem)}")
                remember(gateway, done)
                return False
            if token is not None:
                gateway.token_keys[token.name] = token.key
                done = replace(done, ids={**done.ids, f"token:{token.name}": token.id})
            if change.sign == "-":
                done = done.without(change.kind, change.name)
            if change.name in writes and change.kind == "channel":
                writes[change.name] -= 1
                if not writes[change.name]:  # a channel may be written twice, to keep its models served
                    marks = {**done.channels, change.name: plan.record.channels[change.name]}
                    done = replace(done, channels=marks)
                    gateway.changed_channels.add(change.name)
            remote.tell(host, str(change), brief)
        if unstored := _unstored(gateway, options):
            remote.complain(host, unstored)
            remember(gateway, done)
            return False
        remember(gateway, _with_new_channels(done, plan, admin))
        if not plan.changes:
            remote.tell(host, "nothing to change; what is ours was taken note of")
    except AdminError as problem:
        remote.complain(host, database.told(gateway, problem))
        return False
    except remote.RemoteError as problem:
        remote.complain(host, f"{layout.APPLIED_KEYS}: {problem}")
        return False
    return True


def _unstored(gateway: Gateway, options: Mapping[str, str]) -> str | None:
    """What of the options that were set is not in the database, with the fix; None where all of it is.

    One API says success even so, and works with them until it is started again. Raises RemoteError.
    """
    if not options:
        return None
    unknown = f"whether {', '.join(options)} will outlive a restart is not known"
    try:
        missing = database.unstored_options(gateway, options)
    except database.DatabaseError as problem:
        return f"{unknown}: {problem}"
    if missing is None:
        return f"{unknown}: the host has nothing to look with; install sqlite3 or python3 there"
    if not missing:
        return None
    why = database.trouble(gateway) or (
        f"its disk may have been full (`df -h {gateway.node.directory}/data` on the host), or another program have had"
        " it locked; make room, and run again"
    )
    return (
        f"{', '.join(missing)}: the gateway says that it is set, and its database does not hold it, so that a restart"
        f" brings the old value back: {why}"
    )


def _with_new_channels(done: Record, plan: Plan, admin: Admin) -> Record:
    """The record with the numbers of the channels that were made: One API tells them only in its list."""
    made = {change.name for change in plan.changes if change.kind == "channel" and change.sign == "+"}
    listed = admin.channels() if made else []
    ids = {f"channel:{each.name}": each.id for each in listed if each.name in made}
    kept = {f"token:{name}": done.ids[f"token:{name}"] for name in plan.record.tokens if f"token:{name}" in done.ids}
    kept |= plan.record.ids
    return replace(plan.record, ids={**kept, **ids}, unproven=done.unproven)


def remember_proof(gateway: Gateway) -> None:
    """Take note that the models of all changed channels have answered. Raises RemoteError.

    Until then each run asks them anew: a change that does not work must not be forgotten by the next run.
    """
    if gateway.record.unproven:
        remember(gateway, replace(gateway.record, unproven=frozenset()))


def remember(gateway: Gateway, found: Record) -> None:
    remote.write_now(gateway.node.host, f"{gateway.node.directory}/{layout.APPLIED_KEYS}", found.content(), "600")
    gateway.record = found


def _failure(problem: str) -> FunctionCommand:
    def fail(state: State, host: Host) -> bool:
        remote.complain(host, problem)
        return False

    return remote.Callback(fail, (), {})
