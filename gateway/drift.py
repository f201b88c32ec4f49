"""Where gateways differ from what is declared for them: looked at, told, and left as it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click
from pyinfra.api import DeployError
from pyinfra.api.state import State

from gateway import desired, first_start, fleet, remote
from gateway.admin import admin_api
from gateway.fleet import Member
from gateway.provisioning import explained
from gateway.route import RouteError
from gateway.secrets import SecretsError
from oneapi import OneAPIError
from oneapi.planning import Change

DRIFTED = 3
"""The exit code of a check that found a difference."""


def look(member: Member) -> None:
    """Plan for one host, and say in a line each what is to come. Raises DeployError where that cannot be told."""
    if not member.is_gateway:
        return
    if not first_start.is_done(member):
        raise DeployError(f"{member.name} is not set up yet: deploy first (pyinfra INVENTORY deploy.py)")
    try:
        with admin_api(member) as admin:
            changes = desired.planned(member, desired.look(admin)).changes
    except (OneAPIError, RouteError, SecretsError) as problem:
        reason = explained(member, problem)
    else:
        member.plan = changes
        for change in changes:
            remote.tell(member.host, str(change))
        if not changes:
            remote.tell(member.host, "as declared: nothing to change")
        return
    raise DeployError(f"{member.name}: {reason}")


def exit_code(state: State, data: Mapping[str, Any]) -> int:
    """Print the plans as JSON where that was asked for; the exit code of a run that has made plans, else 0."""
    surveyed = fleet.current(state)
    plans = {name: member.plan for name, member in surveyed.members.items()} if surveyed else {}
    made = {name: plan for name, plan in plans.items() if plan is not None}
    if data.get("plan_json"):
        click.echo(json.dumps({name: _as_json(plan) for name, plan in made.items()}, ensure_ascii=False))
    return DRIFTED if data.get("plan_check") and any(made.values()) else 0


def _as_json(plan: tuple[Change, ...]) -> list[dict[str, object]]:
    return [change.as_json() for change in plan]
