"""What a person wants to know at the end of a run."""

from __future__ import annotations

from pyinfra import logger
from pyinfra.api.host import Host
from pyinfra.api.state import State, StateStage

from gateway import fleet, skills
from gateway.fleet import Member


def tell(state: State) -> None:
    """After a run that was carried out: where each gateway is, where its secrets are, what was changed."""
    surveyed = fleet.current(state)
    if surveyed is None or state.current_stage != StateStage.Disconnect or not state.activated_hosts:
        return
    for member in surveyed.members.values():
        if member.host in state.failed_hosts:
            logger.error(f"{member.name}: FAILED; the first error above says why. Mend it and run again.")
        else:
            changes = _changes(state, member.host)
            logger.info(
                f"{member.name}: {_role(member)}; {f'{len(changes)} changes' if changes else 'nothing was changed'}"
            )
            for change in changes:
                logger.info(f"  {change}")


def _role(member: Member) -> str:
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


def _changes(state: State, host: Host) -> list[str]:
    return [
        ", ".join(sorted(state.get_op_meta(op_hash).names))
        for op_hash in state.get_op_order()
        if op_hash in state.ops[host] and state.ops[host][op_hash].operation_meta.did_change()
    ]
