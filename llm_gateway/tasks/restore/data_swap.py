"""Staged data in the place of a gateway's own: what is declared is made so in them, and a token of theirs is served."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pyinfra.api.state import State

from llm_gateway.contents import budgets, desired, provisioning
from llm_gateway.contents.admin import admin_api
from llm_gateway.hosts import remote
from llm_gateway.hosts.progress import step
from llm_gateway.hosts.topology import Node
from llm_gateway.inputs.secrets import SecretsError
from llm_gateway.tasks import swap
from llm_gateway.tasks.swap import Staged, Swap, SwapError, Swapped


def carry_out(
    state: State, node: Node, purpose: str, source: str, staged: Staged, *proofs: Callable[[Node], None]
) -> Swapped:
    """Have the gateway serve what is staged; parameters and errors as of `Swap`."""
    prove = partial(_prove, state, purpose=purpose, source=source)
    return swap.carry_out(node, Swap(purpose, source, data=staged, prove=prove, proofs=proofs))


def _prove(state: State, node: Node, purpose: str, source: str) -> str:
    """What is declared is made so, and the models answer one of its tokens. Returns what they answered."""
    host, gateway = node.host, node.gateway
    with admin_api(gateway) as admin:
        tokens = admin.tokens()
    try:
        desired.declared(gateway)
    except SecretsError as problem:
        remote.tell(host, f"channels, tokens and options stay as they are in {source}, because {problem}")
        own = desired.own_tokens(gateway)
        gateway.token_keys.update({token.name: token.key for token in tokens if token.name in own})
    else:
        step(host, f"{purpose}: declaring channels, tokens and options")
        if not provisioning.reconcile_now(state, host, gateway):
            raise SwapError("what is declared could not be made so; the lines above say why")
        try:
            budgets.look_now(node)
        except remote.RemoteError as problem:
            remote.tell(host, f"the budgets could not be looked at: {problem}; the host looks again in five minutes")
    return swap.ask(node, purpose, tokens)
