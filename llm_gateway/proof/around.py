"""Whether a new gateway is answered by what was around the old one: its LAN, its host, a container beside it."""

from __future__ import annotations

from functools import partial

from llm_client import LLMClient, LLMConnectionError, LLMError, LLMStatusError
from llm_gateway.contents.admin import ANSWER_SECONDS
from llm_gateway.flavours import AdminError, Channel
from llm_gateway.flavours.values import ENABLED
from llm_gateway.hosts import remote
from llm_gateway.hosts.route import RouteError, route
from llm_gateway.hosts.topology import Node
from llm_gateway.inputs.environment import PROXIES
from llm_gateway.inputs.model_kinds import EMBEDDING, NONE, kind_of
from llm_gateway.model.asking import Question, ask_all
from llm_gateway.model.real_requests import complete, embed
from llm_gateway.parts.firewall_rules import REFUSED
from llm_gateway.parts.first_start import FirstStartError
from llm_gateway.parts.takeover.old_channels import Way, address_of, hosts
from llm_gateway.proof import proof
from llm_gateway.proof.broken_links import OWN_TYPES


def prove(node: Node) -> None:
    """Before an old gateway is given up, be sure that the new one is answered by the channels that lead around it.

    Tells what was answered. Raises FirstStartError.
    """
    try:
        answered, lost = ask(node)
    except (RouteError, AdminError) as problem:
        raise FirstStartError(f"its channels cannot be asked: {problem}") from None
    if lost:
        raise FirstStartError(
            f"{'; '.join(lost)}. Fix that, or disable the channel in the old gateway's admin page, and run again"
        )
    for line in answered:
        remote.tell(node.host, line)


def ask(node: Node) -> tuple[list[str], list[str]]:
    """Ask, by the new gateway, each channel that leads to where the old one was.

    Returns what was answered, and what is wrong. Raises RouteError and AdminError.
    """
    base_url, token = node.base_url, node.gateway.generated.access_token
    with route(node.host, node.address, node.settings.gateway_port) as way:
        admin = node.flavour.admin(base_url, access_token=token, transport=way, timeout=ANSWER_SECONDS)
        channels = [channel for channel in admin.channels() if channel.status == ENABLED]
        found = [channel for channel in channels if _is_around(node, channel)]
        key = proof.usable_key(admin.tokens()) if found else None
        if not key:
            return [f"channel {channel.name} was not asked: no token may ask it" for channel in found], []
        questions = [
            each
            for channel in found
            if (each := _question(node, channel, LLMClient(f"{base_url}/v1", f"sk-{key}-{channel.id}", transport=way)))
        ]
        answers = ask_all(questions, node.settings.verification_timeout)
    fine = [f"channel {each.channel}: {each.model} {each.result}" for each in answers if not each.problem]
    return fine, [
        f"channel {each.channel} is not answered any more: {each.problem}" for each in answers if each.problem
    ]


def _is_around(node: Node, channel: Channel) -> bool:
    """Whether it leads to a private address, or all do by a proxy. What is declared is verified anyway."""
    if channel.name in {each.name for each in node.settings.gateway_channels}:
        return False
    given = {*node.state.data_environment}
    given |= {name for name, value in node.settings.gateway_environment.items() if value is not None}
    if given & {*PROXIES}:
        return True
    way = Way.of(channel.name, channel.base_url)
    if way is None:
        return False
    known = hosts(node)
    address = address_of(known.get(way.host) or way.host)
    return address is not None and any(address in network for network in REFUSED)


def _question(node: Node, channel: Channel, client: LLMClient) -> Question | None:
    """The first of its models that can be asked; None where there is none."""
    model = next((each for each in channel.models if kind_of(each, node.settings) != NONE), None)
    if model is None:
        return None
    if kind_of(model, node.settings) == EMBEDDING:
        ask = partial(embed, client, model, None)
    else:
        ask = partial(complete, client, model)

    def reach(seconds: float) -> str:
        try:
            return ask(seconds)
        except LLMStatusError as problem:
            if problem.error_type in OWN_TYPES:
                raise
            return f"is reached (HTTP {problem.status})"  # what it says is its own matter, as before

    def explain(problem: LLMError, seconds: float) -> str:
        where = "" if isinstance(problem, LLMConnectionError) else f" at {channel.base_url}"
        return f"{model}{where}: {problem.summary}"

    return Question(model, channel.name, reach, explain)
