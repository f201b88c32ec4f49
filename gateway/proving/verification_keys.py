"""The tokens that verification asks with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway import dotenv
from gateway.contents.admin import admin_api
from gateway.contents.desired import VERIFICATION_TOKEN, token_name
from gateway.proving.broken_links import VerificationError
from oneapi import OneAPIError, only

if TYPE_CHECKING:
    from gateway.fleet import Member


def key_of_users(member: Member) -> str:
    """The token that the users of this host's path have: what stands in OpenClaw's .env, else the gateway's own.

    Raises VerificationError, and RouteError where the gateway has to be asked and is not reached.
    """
    if not member.is_openclaw:
        return key_of_gateway(member.gateway)
    return member.gateway.token_keys.get(token_name(member.name)) or key_in_environment_file(member)


def key_of_gateway(gateway: Member) -> str:
    """The gateway's token for its own verification. Raises as `key_of_users`."""
    if VERIFICATION_TOKEN in gateway.token_keys:
        return gateway.token_keys[VERIFICATION_TOKEN]
    try:
        with admin_api(gateway) as admin:
            found = only(admin.tokens(), VERIFICATION_TOKEN)
    except OneAPIError as problem:
        raise VerificationError(f"the gateway's tokens cannot be read: {problem}") from None
    if found is None:
        raise VerificationError(
            f"the gateway has no token {VERIFICATION_TOKEN}: deploy first (pyinfra inventory.py deploy.py)"
        )
    return found.key


def key_in_environment_file(member: Member) -> str:
    for line in member.state.answers.get("openclaw_env", "").splitlines():
        if line.startswith("LLM_API_KEY="):
            try:
                return dotenv.read(line)["LLM_API_KEY"].removeprefix("sk-")
            except dotenv.DotenvError as problem:
                raise VerificationError(f"~/.openclaw/.env: {problem}: deploy again, which mends the line") from None
    raise VerificationError("~/.openclaw/.env has no LLM_API_KEY: deploy first (pyinfra inventory.py deploy.py)")
