"""The token that verification asks a gateway with."""

from __future__ import annotations

from llm_gateway.contents.admin import admin_api
from llm_gateway.contents.desired import VERIFICATION_TOKEN, own_tokens
from llm_gateway.flavours import AdminError, only
from llm_gateway.hosts.topology import Gateway
from llm_gateway.model.asking import VerificationError
from llm_gateway.parts import database


def key_of_gateway(gateway: Gateway) -> str:
    """The gateway's token for its own verification.

    Raises VerificationError, and RouteError where the gateway has to be asked and is not reached.
    """
    learn(gateway)
    if VERIFICATION_TOKEN in gateway.token_keys:
        return gateway.token_keys[VERIFICATION_TOKEN]
    raise VerificationError(
        f"the gateway has no token {VERIFICATION_TOKEN}: deploy first (pyinfra inventory.py deploy.py)"
    )


def learn(gateway: Gateway) -> None:
    """Learn the keys of the tokens that hosts have, unless the run knows them. Raises as `key_of_gateway`."""
    if VERIFICATION_TOKEN in gateway.token_keys:
        return
    try:
        with admin_api(gateway) as admin:
            tokens = admin.tokens()
            found = {name: only(tokens, name) for name in own_tokens(gateway)}
    except AdminError as problem:
        raise VerificationError(f"the gateway's tokens cannot be read: {database.told(gateway, problem)}") from None
    gateway.token_keys.update({name: token.key for name, token in found.items() if token is not None})
