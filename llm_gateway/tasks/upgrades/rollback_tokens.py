"""Older data know older tokens: what the agents of a gateway need once it has gone back to them."""

from __future__ import annotations

from collections.abc import Mapping

from llm_gateway.contents import desired, provisioning
from llm_gateway.contents.admin import admin_api
from llm_gateway.flavours import AdminError, only
from llm_gateway.hosts import remote
from llm_gateway.hosts.route import RouteError
from llm_gateway.hosts.topology import Gateway
from llm_gateway.parts import database

FIX = "pin the image that serves now in the inventory, then run deploy.py without --limit"


def unreached(gateway: Gateway) -> list[str]:
    """The OpenClaw hosts of a gateway that are not in this run."""
    return [agent.name for agent in gateway.agents if not agent.is_reached]


def present(gateway: Gateway) -> dict[str, str]:
    """The keys of the tokens that the agents have, by name; those that cannot be read now are left out."""
    try:
        with admin_api(gateway) as admin:
            own = desired.own_tokens(gateway)
            return {token.name: token.key for token in admin.tokens() if token.name in own}
    except (AdminError, RouteError) as problem:
        remote.tell(gateway.node.host, f"the tokens that it has now cannot be read: {database.told(gateway, problem)}")
        return {}


def learn(gateway: Gateway, serving: Gateway) -> bool:
    """Learn the keys that hold now, for the agents of this run. A token that the data do not know is made.

    Parameters: `serving`, the gateway as it serves now, which may be another software than is declared.

    Returns whether that could be done; what could not is told.
    """
    gateway.token_keys.clear()
    try:
        with admin_api(serving) as admin:
            tokens = admin.tokens()
            for name in desired.own_tokens(gateway):
                found = only(tokens, name)
                if found is None:
                    remote.tell(gateway.node.host, f"there is no token {name} in its data: making it")
                    found = admin.create_token(desired.own_token(gateway, name))
                gateway.token_keys[name] = found.key
    except (AdminError, RouteError) as problem:
        remote.complain(
            gateway.node.host,
            f"the tokens of its data cannot be read or made: {provisioning.explained(gateway, problem)}",
        )
        return False
    return True


def tell_older_keys(gateway: Gateway, newer: Mapping[str, str]) -> None:
    """Say that the keys are older ones again, and name the agents that this run could not bring theirs.

    Parameters: `newer`, the keys by token name that held before.
    """
    remote.tell(
        gateway.node.host,
        "its keys are those of that day again: what was rotated since has to be rotated again"
        " (deploys/rotate_keys.py), once the image is pinned",
    )
    names = {agent: desired.token_name(agent) for agent in unreached(gateway)}
    if left := [agent for agent, name in names.items() if newer.get(name) != gateway.token_keys.get(name)]:
        remote.complain(
            gateway.node.host,
            f"not in this run, and not known to have the token that the gateway holds now: {', '.join(left)}. With"
            f" another one the gateway refuses them (401). The fix: {FIX}",
        )
