"""What the log of a gateway is asked for a report: a script for its host, and what the answer means."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Self

from llm_gateway.hosts import answers, sums
from llm_gateway.hosts.topology import Gateway
from llm_gateway.model.usage import Query, Since, Zone, stretches, zone_of
from llm_gateway.status.usage_report import MOVED, READ, UNREADABLE, GatewayUsage


@dataclass(frozen=True)
class Question:
    """A period of a gateway's log, by groups, with the prices that hold in it."""

    gateway: Gateway
    begin: datetime
    zone_name: str
    zone: tzinfo
    query: Query

    @classmethod
    def of(cls, gateway: Gateway, since: Since, by: tuple[str, ...], now: datetime) -> Self:
        """The question of a report. Parameters: `by`, of `DIMENSIONS`, in the order of the columns."""
        name, zone = zone_of(gateway.settings.gateway_timezone)
        begin = since.begins(now, zone)
        changes, prices = stretches(gateway.settings.gateway_prices, begin, zone)
        query = Query(by, int(begin.timestamp()), Zone.over(name, zone, begin, now), changes, prices)
        return cls(gateway, begin, name, zone, query)

    def script(self) -> str:
        """The shell script that answers it on the gateway's host."""
        gateway = self.gateway
        return gateway.store.usage_script(gateway.node.directory, gateway.usage_log, self.query, self.zone)

    def read(self, lines: list[str]) -> GatewayUsage:
        """What the script has printed, or why that tells nothing."""
        name = self.gateway.name
        try:
            found = sums.read(lines, self.query.by, self.zone)
        except sums.MovedError as moved:
            return GatewayUsage(name, MOVED, str(moved))
        except (sums.SumsError, answers.UnreadableError) as problem:
            return GatewayUsage(name, UNREADABLE, str(problem))
        days = self.gateway.settings.gateway_log_days
        return GatewayUsage(name, READ, "", self.begin, self.zone_name, days, found)
