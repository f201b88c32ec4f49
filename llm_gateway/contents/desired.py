"""What a gateway should hold, beside what it holds: the plan of its channels, tokens and options."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from llm_gateway.flavours import Channel, ChannelSpec, Contents, TokenSpec
from llm_gateway.flavours.change_plan import Actual, Change, Declared, Ours, plan
from llm_gateway.flavours.compare import channel_differences
from llm_gateway.hosts.record import UNFINISHED, Record, fingerprint
from llm_gateway.hosts.topology import Gateway
from llm_gateway.parts import first_start

VERIFICATION_TOKEN = "llm-gateway-verification"  # noqa: S105 - a name
CANARY_TOKEN = "llm-gateway-canary"  # noqa: S105 - likewise; files/canary reads its key

ASIDE, ASIDE_DIGITS = ".old-", 8


@dataclass(frozen=True)
class Plan:
    """What is to be done, and what is to be remembered once it is."""

    changes: tuple[Change, ...]
    record: Record
    token_keys: Mapping[str, str]
    """Keys of the tokens that are there, by name, of those that this deployment needs."""


def token_name(host_name: str) -> str:
    """The name of a host's token: the host's own, cut to One API's limit of 30 bytes where it is longer."""
    encoded = host_name.encode()
    if len(encoded) <= 30:
        return host_name
    digest = hashlib.sha256(encoded).hexdigest()[:8]
    return f"{encoded[:21].decode(errors='ignore')}-{digest}"


def aside_stem(name: str) -> str:
    """The beginning of the name of a token that a rotation has set aside: its own, cut where it is too long. Behind it
    stand `ASIDE` and the time, in `ASIDE_DIGITS` hex digits.
    """
    most = 30 - len(ASIDE) - ASIDE_DIGITS
    encoded = name.encode()
    if len(encoded) <= most:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:8]
    return f"{encoded[: most - 9].decode(errors='ignore')}-{digest}"


def look(admin: Contents) -> Actual:
    """Read what a gateway holds, in three requests. Raises AdminError."""
    with ThreadPoolExecutor(max_workers=3) as pool:
        channels, tokens = pool.submit(admin.channels), pool.submit(admin.tokens)
        options = pool.submit(admin.options)
        return Actual(channels.result(), tokens.result(), options.result())


def planned(gateway: Gateway, actual: Actual) -> Plan:
    """Return what makes `actual` into what is declared for a gateway.

    Raises:
        SecretsError: a channel's secret cannot be had.
        AdminError: Ambiguous or Invalid: what is declared and what is there do not fit together.
    """
    wanted = declared(gateway)
    changes = plan(
        wanted,
        actual,
        ours=_ours(gateway.record, actual),
        rotated=_new_keys(gateway, wanted, actual),
        again=_writes_to_repeat(gateway, wanted),
        unstored=gateway.record.unstored,
        prune=gateway.settings.gateway_prune,
    )
    own = {*own_tokens(gateway)}
    keys = {token.name: token.key for token in actual.tokens if token.name in own}
    return Plan(tuple(changes), _remembered(gateway, wanted, changes, actual), keys)


def declared(gateway: Gateway) -> Declared:
    """What is declared for a gateway, with its secrets, and the tokens that its hosts need. Raises SecretsError."""
    settings, flavour = gateway.settings, gateway.node.flavour
    return Declared(
        channels=tuple(flavour.held(channel.spec(gateway.provided)) for channel in settings.gateway_channels),
        tokens=(
            # A token that a person has disabled stays so: that is how a host is shut out.
            *(own_token(gateway, name) for name in own_tokens(gateway)),
            *(token.spec() for token in settings.gateway_tokens),
        ),
        options={**flavour.default_options, **settings.gateway_options},
    )


def own_tokens(gateway: Gateway) -> list[str]:
    """The names of the tokens that nobody needs to declare: verification's, the canary's and each OpenClaw host's."""
    canary = [CANARY_TOKEN] if gateway.settings.gateway_canary_interval else []
    return [VERIFICATION_TOKEN, *canary, *(token_name(agent.name) for agent in gateway.agents)]


def own_token(gateway: Gateway, name: str) -> TokenSpec:
    """What a token of `own_tokens` is. The canary's may be used for the one model that it asks for; a quota would run
    out by itself and be a false alarm.
    """
    budgets = {token_name(agent.name): agent.settings.openclaw_budget for agent in gateway.agents}
    budget = budgets.get(name)
    return TokenSpec(
        name=name,
        models=(gateway.settings.llm_model,) if name == CANARY_TOKEN else (),
        has_budget=budget is not None and budget.is_enforced,
    )


def _new_keys(gateway: Gateway, wanted: Declared, actual: Actual) -> frozenset[str]:
    """The channels whose key is another than the one that was applied, as far as that can be known.

    One that no run has written (an imported gateway's) and that is as declared in all that One API shows is taken to
    have its key, too: `gateway_force_keys` sends it all the same.
    """
    there = {channel.name: channel for channel in actual.channels}

    def has_new_key(spec: ChannelSpec) -> bool:
        mark = gateway.record.channels.get(spec.name)
        if spec.name in there and _is_another(gateway.record, there[spec.name]):
            return True
        if mark is None and spec.name in there:
            return bool(channel_differences(there[spec.name], spec))
        return mark not in (UNFINISHED, _mark(gateway, spec))

    return frozenset(spec.name for spec in wanted.channels if has_new_key(spec))


def _writes_to_repeat(gateway: Gateway, wanted: Declared) -> frozenset[str]:
    """The channels whose last write no run has told the end of: One API shows less of a channel than it writes.

    All of them, where it is not known any more what was written.
    """
    unfinished = {name for name, mark in gateway.record.channels.items() if mark == UNFINISHED}
    is_all = gateway.settings.gateway_force_keys or (gateway.record.is_lost and first_start.is_done(gateway.node))
    return frozenset(spec.name for spec in wanted.channels if is_all or spec.name in unfinished)


def _ours(record: Record, actual: Actual) -> Ours:
    """What runs made or took over and nobody has made anew since."""
    ids = record.ids
    return Ours(
        frozenset(each.name for each in actual.channels if ids.get(f"channel:{each.name}") == each.id),
        frozenset(each.name for each in actual.tokens if ids.get(f"token:{each.name}") == each.id),
    )


def _is_another(record: Record, channel: Channel) -> bool:
    """Whether the channel of that name is not the one that was written."""
    return record.ids.get(f"channel:{channel.name}", channel.id) != channel.id


def _remembered(gateway: Gateway, wanted: Declared, changes: list[Change], actual: Actual) -> Record:
    """The record once all is done: what is declared, and what is ours and there though not declared any more.

    The numbers of what is still to be made are not in it yet.
    """
    removed = {(change.kind, change.name) for change in changes if change.sign == "-"}
    ours = _ours(gateway.record, actual)
    channels = {spec.name for spec in wanted.channels} | {n for n in ours.channels if ("channel", n) not in removed}
    tokens = {spec.name for spec in wanted.tokens} | {n for n in ours.tokens if ("token", n) not in removed}
    old = {name: gateway.record.channels.get(name, UNFINISHED) for name in channels}
    ids = {f"channel:{each.name}": each.id for each in actual.channels if each.name in channels}
    ids |= {f"token:{each.name}": each.id for each in actual.tokens if each.name in tokens}
    marks = {**old, **{spec.name: _mark(gateway, spec) for spec in wanted.channels}}
    return Record(marks, frozenset(tokens), ids, gateway.record.unproven & channels)


def _mark(gateway: Gateway, spec: ChannelSpec) -> str:
    return fingerprint(gateway.generated.mark_secret, spec)
