"""Whether a host is as the inventory declares it, told of what was read of it, without asking anyone anew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from llm_gateway.contents import budgets, desired
from llm_gateway.contents.admin import admin_api
from llm_gateway.contents.provisioning import explained
from llm_gateway.flavours import AdminError
from llm_gateway.hosts.route import RouteError
from llm_gateway.hosts.topology import Agent, Machine, Node
from llm_gateway.inputs.secrets import SecretsError
from llm_gateway.model.dotenv import DotenvError
from llm_gateway.parts import firewall, first_start, installation, page_server, service, skills
from llm_gateway.parts.openclaw import openclaw, openclaw_config
from llm_gateway.proof import agent_environment

YES, NO, UNKNOWN = "yes", "no", "unknown"


@dataclass(frozen=True)
class Drift:
    """Whether the host is as the inventory declares: `differs` is "yes", "no" or "unknown", `what` says how, or why."""

    differs: str
    what: tuple[str, ...] = ()


UNLOOKED = Drift(UNKNOWN)
"""Of a host that could not be looked at."""


def drift(machine: Machine) -> Drift:
    """What a deployment would change on a host that was read; unknown, with the reason, where that cannot be told."""
    if machine.node and not first_start.is_done(machine.node):
        return Drift(UNKNOWN, ("no deployment has been completed there",))
    try:
        found = [*(_gateway_drift(machine.node) if machine.node else ())]
        found += _openclaw_drift(machine.agent) if machine.agent else ()
    except _UntoldError as problem:
        return Drift(UNKNOWN, (str(problem),))
    return Drift(YES, tuple(found)) if found else Drift(NO)


class _UntoldError(Exception):
    """Whether there is drift cannot be told; the text says why."""


def _gateway_drift(node: Node) -> Iterator[str]:
    if not (node.state.tailscale_addresses or node.settings.gateway_tailscale_address):
        raise _UntoldError(
            node.state.tailscale_problem or "the host has no Tailscale address: `tailscale up` on the host"
        )
    differing = [file.what for file in installation.differing_files(node)]
    if differing:
        yield f"another content, mode or owner: {', '.join(differing)}"
    elif not service.is_published(node):
        yield "the gateway does not run as its files say"
    if problem := firewall.problem(node):
        yield f"the firewall: {problem}"
    yield from budgets.differences(node)
    if problem := page_server.problem(node):
        yield f"the page's server: {problem}"
    try:
        with admin_api(node.gateway) as admin:
            plan = desired.planned(node.gateway, desired.look(admin))
    except (AdminError, RouteError, SecretsError) as problem:
        if differing:
            return
        raise _UntoldError(explained(node.gateway, problem)) from None
    node.gateway.token_keys.update(plan.token_keys)
    yield from (str(change) for change in plan.changes)


def _openclaw_drift(agent: Agent) -> Iterator[str]:
    for number, node in enumerate(agent.nodes, start=1):
        called = f"{agent_environment.called(number)} {node.name}"
        if not node.is_reached or not node.machine.is_read:
            raise _UntoldError(f"its {called} was not reached in this run; fix that, or run without --limit")
        if agent_environment.key_for(agent, node) is None:
            raise _UntoldError(
                f"its token on {node.name} is not known: see {node.name}, or run deploy.py, which makes one"
            )
    if (accesses := agent_environment.accesses(agent)) is None:
        raise _UntoldError(
            f"the address of one of its gateways is not known: see {', '.join(n.name for n in agent.nodes)}"
        )
    if agent.state.openclaw_account is None:
        raise _UntoldError("the user that OpenClaw runs as is not there: create it, or correct openclaw_user")
    try:
        wanted = openclaw.merged_environment(agent, accesses)
    except DotenvError as problem:
        raise _UntoldError(f"{openclaw.environment_path(agent)}: {problem}") from None
    if text := openclaw_config.problem(agent):
        raise _UntoldError(text)
    if wanted != agent.state.openclaw_env:
        yield f"{openclaw.environment_path(agent)} does not point at the gateway"
    if openclaw.has_unit(agent) and openclaw.drop_in_differs(agent):
        yield f"{openclaw.drop_in_path(agent)} does not match the settings"
    is_active = agent.state.openclaw_unit.get("ActiveState") == "active"
    if openclaw.has_unit(agent) and is_active and openclaw.runs_with_older_files(agent):
        yield f"{agent.settings.openclaw_unit} runs with what it read before its .env or drop-in was changed"
    if openclaw_config.is_due(agent):
        yield f"{openclaw_config.path(agent)} does not make OpenClaw use the gateway"
    if agent.settings.openclaw_workspace and not skills.is_in_place(agent):
        yield f"{skills.client_path(agent)} does not match the deployed client"
