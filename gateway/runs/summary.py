"""What a person wants to know at the end of a run."""

from __future__ import annotations

from pyinfra import logger
from pyinfra.api.host import Host
from pyinfra.api.operation import OperationMeta
from pyinfra.api.state import State, StateStage

from gateway import dotenv, fleet, skills
from gateway.fleet import Member
from gateway.migration import move
from gateway.uninstall import removal


def tell(state: State) -> None:
    """After a run that was carried out: where each gateway is, where its secrets are, what was changed."""
    surveyed = fleet.current(state)
    if surveyed is None or state.current_stage != StateStage.Disconnect or not state.activated_hosts:
        return
    for member in surveyed.members.values():
        if member.host in state.failed_hosts:
            logger.error(f"{member.name}: FAILED; the first error above says why. Mend it and run again.")
        else:
            changes = changes_on(state, member.host)
            nothing = "nothing else was changed" if _has_moved_away(member) else "nothing was changed"
            told = f"{len(changes)} change{'s' if len(changes) > 1 else ''}" if changes else nothing
            logger.info(f"{member.name}: {'; '.join(filter(None, (_role(member), told)))}")
            for change in changes:
                logger.info(f"  {change}")


def _role(member: Member) -> str:
    if removal.is_under_way(member):
        return "nothing of a deployment is on it"
    roles = []
    if target := _has_moved_away(member):
        roles.append(f"its gateway was moved to {target}, and is stopped here")
    if member.is_gateway:
        roles.append(
            f"admin page {member.base_url} (user root; password in {member.directory}/secrets.env on the host)"
        )
    if member.is_openclaw:
        roles.append(f"OpenClaw uses {_used_by_openclaw(member)}")
    if member.is_openclaw and member.settings.openclaw_workspace:
        roles.append(f"Skills require {skills.client_path(member)}")
    return ", ".join(roles)


def _used_by_openclaw(member: Member) -> str:
    """What its .env names: not every run points it at the gateway that it should use."""
    if member.environment_changed:
        return f"{member.gateway.base_url}/v1"
    try:
        values = dotenv.read(member.state.answers.get("openclaw_env", ""))
    except dotenv.DotenvError as problem:
        return f"what its .env says, which cannot be read: {problem}"
    return values.get("LLM_BASE_URL") or "no gateway of ours yet"


def _has_moved_away(member: Member) -> str | None:
    """The host that this run has moved its gateway to, or has found it to be on already."""
    migration = move.known(member.host.state)
    if migration is None or not migration.is_over or migration.source_name != member.name:
        return None
    return migration.target_name


def changes_on(state: State, host: Host) -> list[str]:
    """The names of the operations that have changed something on a host."""
    return [_names(state, op_hash) for op_hash, meta in _carried_out(state, host) if meta.did_change()]


def failure_on(state: State, host: Host) -> str | None:
    """The name of the operation that has failed on a host, if one has."""
    failed = (_names(state, op_hash) for op_hash, meta in _carried_out(state, host) if meta.did_error())
    return next(failed, None)


def _carried_out(state: State, host: Host) -> list[tuple[str, OperationMeta]]:
    known = ((op_hash, state.ops[host].get(op_hash)) for op_hash in state.get_op_order())
    found = ((op_hash, data.operation_meta) for op_hash, data in known if data is not None)
    return [(op_hash, meta) for op_hash, meta in found if meta.is_complete()]


def _names(state: State, op_hash: str) -> str:
    return ", ".join(sorted(state.get_op_meta(op_hash).names))
