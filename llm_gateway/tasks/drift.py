"""Where gateways differ from what is declared for them: looked at, told, and left as it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click
from pyinfra import logger
from pyinfra.api import DeployError
from pyinfra.api.state import State

from llm_gateway.contents import desired
from llm_gateway.contents.admin import admin_api
from llm_gateway.contents.provisioning import explained
from llm_gateway.flavours import AdminError
from llm_gateway.flavours.change_plan import Change
from llm_gateway.hosts import remote
from llm_gateway.hosts.route import RouteError
from llm_gateway.hosts.topology import Machine
from llm_gateway.inputs import consistency
from llm_gateway.inputs.secrets import SecretsError
from llm_gateway.parts import first_start
from llm_gateway.tasks import survey

DRIFTED = 3
"""The exit code of a check that found a difference."""


def look(machine: Machine) -> None:
    """Plan for one host. Raises DeployError where that cannot be told."""
    if (node := machine.node) is None:
        return
    gateway = node.gateway
    if not first_start.is_done(node):
        raise DeployError(f"{node.name} is not set up yet: deploy first (pyinfra INVENTORY deploy.py)")
    try:
        with admin_api(gateway) as admin:
            changes = desired.planned(gateway, desired.look(admin)).changes
    except (AdminError, RouteError, SecretsError) as problem:
        reason = explained(gateway, problem)
    else:
        gateway.plan = changes
        for warning in consistency.warnings(gateway.settings.gateway_channels, gateway.settings.gateway_image):
            remote.tell(node.host, warning)
        return
    raise DeployError(f"{node.name}: {reason}")


def exit_code(state: State, data: Mapping[str, Any]) -> int:
    """Print the plans: a line for each change, or JSON, where a gateway that could not be looked at is null.

    Returns the exit code of a run that was to make plans: 1 where one could not be made, else 3 where a check was
    asked for and something differs, else 0.
    """
    surveyed = survey.current(state)
    asked = [host for host in state.inventory if "gateways" in host.groups and state.is_host_in_limit(host)]
    plans = {str(host.name): _plan_of(surveyed, str(host.name)) for host in asked}
    if data.get("plan_json"):
        shown = {name: None if plan is None else [each.as_json() for each in plan] for name, plan in plans.items()}
        click.echo(json.dumps(shown, ensure_ascii=False))
    else:
        for name, plan in plans.items():
            for line in plan if plan else () if plan is None else ("as declared: nothing to change",):
                click.echo(f"{name}: {line}")
    if not plans:
        logger.error("No gateway in this run: is --limit right?")
    if not plans or None in plans.values():
        return 1
    return DRIFTED if data.get("plan_check") and any(plans.values()) else 0


def _plan_of(surveyed: survey.Survey | None, name: str) -> tuple[Change, ...] | None:
    machine = surveyed.machines.get(name) if surveyed else None
    return machine.node.gateway.plan if machine and machine.node else None
