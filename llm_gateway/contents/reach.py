"""Channels whose provider the firewall keeps One API from, such as a gateway that was taken over may hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from llm_gateway.contents.admin import admin_api
from llm_gateway.flavours import AdminError, Channel
from llm_gateway.flavours.values import ENABLED
from llm_gateway.hosts.route import RouteError
from llm_gateway.hosts.topology import Gateway
from llm_gateway.parts import firewall, first_start


def problems(gateway: Gateway, channels: Iterable[Channel]) -> Iterator[str]:
    """What is wrong with each of a gateway's channels that cannot reach its address, with the fix.

    A declared channel's address is always allowed; where a base URL has a name, nothing can be told without asking DNS.
    """
    declared = {channel.name for channel in gateway.settings.gateway_channels}
    for channel in channels:
        if channel.status != ENABLED or channel.name in declared:
            continue
        if (wanted := firewall.out_of_reach(gateway.node, channel.base_url)) is not None:
            yield (
                f"channel {channel.name} goes to {channel.base_url}, which the firewall keeps it from: allow it"
                f' (gateway_private_upstreams = ["{wanted}"]) or declare the channel'
            )


def recorded_problems(gateway: Gateway) -> list[str]:
    """The same of a host that was read, without asking its gateway anew; none where it did not answer."""
    if not first_start.is_done(gateway.node) or not gateway.node.state.api_channels:
        return []
    try:
        with admin_api(gateway) as admin:
            return list(problems(gateway, admin.channels()))
    except (AdminError, RouteError):
        return []  # that it does not answer is told elsewhere
