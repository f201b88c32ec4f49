"""What a person wants to know at the end of a run."""

from __future__ import annotations

from pyinfra import logger
from pyinfra.api.host import Host
from pyinfra.api.operation import OperationMeta
from pyinfra.api.state import State, StateStage

from gateway import fleet, skills
from gateway.fleet import Member
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
            logger.info(
                f"{member.name}: {_role(member)}; {f'{len(changes)} changes' if changes else 'nothing was changed'}"
            )
            for change in changes:
                logger.info(f"  {change}")


def _role(member: Member) -> str:
    if removal.is_under_way(member):
        return "nothing of a deployment is on it"
    roles = []
    if member.is_gateway:
        roles.append(
            f"admin page {member.base_url} (user root; password in {member.directory}/secrets.env on the host)"
        )
    if member.is_openclaw:
        roles.append(f"OpenClaw uses {member.gateway.base_url}/v1")
    if member.is_openclaw and member.settings.openclaw_workspace:
        roles.append(f"Skills require {skills.client_path(member)}")
    return ", ".join(roles)


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
