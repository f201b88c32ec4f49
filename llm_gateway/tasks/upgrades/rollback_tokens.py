"""Older data know older tokens: what the agents of a gateway need once it has gone back to them."""

from __future__ import annotations

from collections.abc import Mapping

from llm_gateway.contents import desired, provisioning
from llm_gateway.contents.admin import admin_api
from llm_gateway.flavours.oneapi import OneAPIError, only
from llm_gateway.hosts import remote
from llm_gateway.hosts.member import Member
from llm_gateway.hosts.route import RouteError
from llm_gateway.parts import database

FIX = "pin the image that serves now in the inventory, then run deploy.py without --limit"


def unreached(member: Member) -> list[str]:
    """The OpenClaw hosts of a gateway that are not in this run."""
    return [agent.name for agent in member.fleet.agents_of(member) if agent.name not in member.fleet.members]


def present(member: Member) -> dict[str, str]:
    """The keys of the tokens that the agents have, by name; those that cannot be read now are left out."""
    try:
        with admin_api(member) as admin:
            own = desired.own_tokens(member)
            return {token.name: token.key for token in admin.tokens() if token.name in own}
    except (OneAPIError, RouteError) as problem:
        remote.tell(member.host, f"the tokens that it has now cannot be read: {database.told(member, problem)}")
        return {}


def learn(member: Member) -> bool:
    """Learn the keys that hold now, for the agents of this run. A token that the data do not know is made.

    Returns whether that could be done; what could not is told.
    """
    member.token_keys.clear()
    try:
        with admin_api(member) as admin:
            tokens = admin.tokens()
            for name in desired.own_tokens(member):
                found = only(tokens, name)
                if found is None:
                    remote.tell(member.host, f"there is no token {name} in its data: making it")
                    found = admin.create_token(desired.own_token(member, name))
                member.token_keys[name] = found.key
    except (OneAPIError, RouteError) as problem:
        remote.complain(
            member.host,
            f"the tokens of its data cannot be read or made: {provisioning.explained(member, problem)}",
        )
        return False
    return True


def tell_older_keys(member: Member, newer: Mapping[str, str]) -> None:
    """Say that the keys are older ones again, and name the agents that this run could not bring theirs.

    Parameters: `newer`, the keys by token name that held before.
    """
    remote.tell(
        member.host,
        "its keys are those of that day again: what was rotated since has to be rotated again"
        " (deploys/rotate_keys.py), once the image is pinned",
    )
    names = {agent: desired.token_name(agent) for agent in unreached(member)}
    if left := [agent for agent, name in names.items() if newer.get(name) != member.token_keys.get(name)]:
        remote.complain(
            member.host,
            f"not in this run, and not known to have the token that the gateway holds now: {', '.join(left)}. With"
            f" another one the gateway refuses them (401). The fix: {FIX}",
        )
