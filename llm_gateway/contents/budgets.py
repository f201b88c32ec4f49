"""Budgets of agents: what their gateway's host needs to look at them by itself, and what it has found."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Iterator

from llm_gateway.contents.desired import aside_stem, token_name
from llm_gateway.hosts import remote
from llm_gateway.hosts.topology import Agent, Gateway, Node
from llm_gateway.model import layout
from llm_gateway.model.budgets import TOKENS, Budget, Month, Spent
from llm_gateway.parts import timers
from llm_gateway.parts.installation import Wanted, render, sent
from llm_gateway.parts.timers import Timer

BUDGETS = Timer(layout.BUDGETS, "the budgets")
_LABEL = 32 - len("budget--near")


def of(gateway: Gateway) -> dict[str, Budget]:
    """The budgets of a gateway's agents, by the host's name."""
    declared = ((agent.name, agent.settings.openclaw_budget) for agent in gateway.agents)
    return {name: budget for name, budget in declared if budget is not None}


def problems(agent: Agent) -> Iterator[str]:
    """A budget of money for models without a price in that currency: their cost would not count."""
    budget = agent.settings.openclaw_budget
    if budget is None or budget.unit == TOKENS:
        return
    for gateway in agent.gateways:
        priced = {price.model for price in gateway.settings.gateway_prices if price.currency == budget.unit}
        if missing := [name for name in _logged_models(agent, gateway) if name not in priced]:
            yield (
                f"openclaw_budget: gateway_prices of {gateway.name} has no price in {budget.unit} for"
                f" {', '.join(missing)}: add it, or give the budget in tokens"
            )


def _logged_models(agent: Agent, gateway: Gateway) -> list[str]:
    """The models that an agent is set up to use, by the names under which their use is logged: the provider's."""
    settings, channels = agent.settings, gateway.settings.gateway_channels
    more = settings.openclaw_models
    chosen = [model for channel in channels for model in channel.serves] if isinstance(more, str) else more
    found: dict[str, None] = {}
    for model in (settings.llm_model, settings.embedding_model, *chosen):
        names = [channel.model_mapping.get(model, model) for channel in channels if model in channel.serves]
        found.update(dict.fromkeys(names or [model]))
    return [*found]


def script_files(node: Node) -> list[Wanted]:
    """The script that looks at them, and its settings; none where there are none."""
    gateway, settings = node.gateway, node.settings
    if not of(gateway):
        return []
    log, table = gateway.usage_log, gateway.token_table
    prices = (
        f"price {_hex(price.model)} {price.since or '-'} {price.currency} {price.prompt:f} {price.completion:f}"
        for price in settings.gateway_prices
    )
    values = {
        "uid": settings.gateway_user_id,
        "zone": settings.gateway_timezone,
        "budgets": "\n".join(_line(name, budget) for name, budget in of(gateway).items()),
        "prices": "\n".join(prices),
        "log_table": log.table,
        "log_key": log.key,
        "log_time": log.time,
        "log_is_request": log.is_request,
        "log_agent": log.agent,
        "log_model": log.model,
        "log_prompt": log.prompt,
        "log_completion": log.completion,
        "log_has_tokens": log.has_tokens,
        "token_table": table.table,
        "token_name": table.name,
        "token_status": table.status,
        "token_enabled": table.enabled,
        "token_used_up": table.used_up,
        "token_has_no_quota": table.has_no_quota,
    }
    assignments = "\n".join(f"{name}={shlex.quote(str(value))}" for name, value in values.items())
    return [
        sent(node, layout.BUDGETS, "the script of the budgets"),
        Wanted(
            f"{node.directory}/{layout.BUDGETS_CONF}",
            render(f"gateway_directory/{layout.BUDGETS_CONF}.j2", assignments=assignments),
            "600",
            "the settings of the budgets",
        ),
    ]


def _line(name: str, budget: Budget) -> str:
    token = token_name(name)
    wanted = f"{budget.unit} {budget.limit:f} {budget.at_limit}"
    return f"budget {_hex(token)} {_hex(aside_stem(token))} {wanted} {_label(name)} {name}"


def _label(name: str) -> str:
    """A host in the name of an alarm, which is at most 32 small letters, digits, _ and -."""
    plain = re.sub(r"[^a-z0-9_-]", "-", name.lower())
    if plain == name and len(name) <= _LABEL:
        return name
    return f"{plain[: _LABEL - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _hex(text: str) -> str:
    """As SQLite's hex() has it."""
    return text.encode().hex().upper()


def unit_files(node: Node) -> list[Wanted]:
    """The timer and what it starts; none where there are none."""
    return BUDGETS.files(directory=node.directory) if of(node.gateway) else []


def install(node: Node) -> None:
    """Put in place what looks at the budgets, and look at once where they are new; or take all of it off.

    Where there are none any more, the tokens are given back by `provisioning.reconcile`.
    """
    scripts, units = script_files(node), unit_files(node)
    is_new = bool(timers.differing(node, scripts)) or not node.state.budgets_last
    timers.write(node, scripts)
    timers.install(node, BUDGETS, units)
    if scripts and is_new:
        remote.shell(
            name="Look at the budgets",
            command=_look(node),
        )
    elif not scripts and node.state.budgets_last:
        ours = " ".join(shlex.quote(f"{node.directory}/{name}") for name in _FILES)
        remote.shell(
            name="Remove what was known of the budgets",
            command=f"rm -f {ours} {layout.SPENT} {layout.PROBLEMS}/budgets {layout.PROBLEMS}/budget-*",
        )


def look_now(node: Node) -> None:
    """Look at the budgets from within a step that has put other data in place, of whose tokens others may be good.

    Raises RemoteError.
    """
    files = script_files(node)
    for file in files:
        file.write_now(node.host)
    if files:
        remote.run(node.host, _look(node))


def _look(node: Node) -> str:
    return f"{shlex.quote(f'{node.directory}/{layout.BUDGETS}')} --by-run"


_FILES = (layout.BUDGETS, layout.BUDGETS_CONF, layout.BUDGETS_SUMS)


def last(node: Node) -> Month | None:
    """What the host has found last, as it was read; None where it has not looked yet, or nobody has a budget."""
    return Month.parse(node.state.budgets_last) if of(node.gateway) else None


def differences(node: Node) -> Iterator[str]:
    """Where the host looks at other budgets than those that are declared."""
    if differing := timers.differing(node, [*script_files(node), *unit_files(node)]):
        yield f"another content, mode or owner: {', '.join(file.what for file in differing)}"
    if not of(node.gateway) and node.state.budgets_last:
        yield "the host looks at budgets that are not declared any more"


def problem_of(node: Node) -> str | None:
    """Why the budgets are not looked at, with the fix; None where they are, or where there are none."""
    if not of(node.gateway):
        return None
    units = timers.properties(node)
    timer, service = units.get(BUDGETS.timer, {}), units.get(BUDGETS.service, {})
    if timer.get("LoadState") != "loaded":
        return "they are not set up yet on this host: run deploy.py"
    if timer.get("ActiveState") != "active":
        return f"{BUDGETS.timer} does not run, so nothing ends at 100 %: run deploy.py"
    if service.get("Result", "success") != "success":
        found = last(node)
        why = found.error if found and found.error else f"{BUDGETS.service}: {service['Result']}"
        return f"the last look failed ({why}): `journalctl -u {BUDGETS.service}` on the host says more"
    return None


def attention(node: Node) -> Iterator[str]:
    """What of the budgets needs a person, with the fix."""
    if problem := problem_of(node):
        yield f"budgets: {problem}"
    if (month := last(node)) is None:
        return
    for spent in month.spent:
        if spent.is_near:
            yield told(spent, month)
        if spent.unpriced:
            yield (
                f"the budget of {spent.agent} does not count {', '.join(spent.unpriced)}: no price in"
                f" {spent.budget.unit}; add it to gateway_prices"
            )


def told(spent: Spent, month: Month) -> str:
    """That a budget is nearly or wholly used, and what helps."""
    fix = "raise openclaw_budget and deploy, or use less"
    if spent.is_refused:
        return (
            f"the budget of {spent.agent} for {month.month} is used up ({spent.share}), so its token is refused until"
            f" {month.ends}: raise openclaw_budget and deploy"
        )
    if spent.is_used_up:
        return f"the budget of {spent.agent} for {month.month} is used up ({spent.share}), until {month.ends}: {fix}"
    return f"the budget of {spent.agent} for {month.month} is nearly used up: {spent.told}, until {month.ends}: {fix}"


def refusal(agent: Agent, gateway: Gateway) -> str | None:
    """That a gateway refuses an agent's token as its budget there is used up, looked at now; None where not by that.

    Where the gateway is not in this run, that it may be so.
    """
    budget, node = agent.settings.openclaw_budget, gateway.node
    if budget is None or not budget.is_enforced:
        return None
    if not node.machine.is_read:
        return (
            f"its openclaw_budget may be used up ({budget.limit:f} {budget.unit} a month): run this again with"
            f" {node.name} in it, which tells"
        )
    try:
        month = Month.parse("\n".join(remote.run(node.host, f"cat {layout.SPENT} 2> /dev/null || true")))
    except remote.RemoteError:
        month = last(node)
    spent = month.of(agent.name) if month else None
    return told(spent, month) if month and spent and spent.is_refused else None
