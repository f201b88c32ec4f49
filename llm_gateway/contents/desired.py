"""What a gateway should hold, beside what it holds: the plan of its channels, tokens and options."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from llm_gateway.flavours.oneapi import Channel, ChannelSpec, Contents, TokenSpec
from llm_gateway.flavours.oneapi.change_plan import Actual, Change, Declared, Ours, plan
from llm_gateway.flavours.oneapi.compare import channel_differences
from llm_gateway.hosts.member import Member
from llm_gateway.hosts.record import UNFINISHED, Record, fingerprint
from llm_gateway.parts import first_start

VERIFICATION_TOKEN = "llm-gateway-verification"  # noqa: S105 - a name
CANARY_TOKEN = "llm-gateway-canary"  # noqa: S105 - likewise; files/canary reads its key


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


def look(admin: Contents) -> Actual:
    """Read what a gateway holds, in three requests. Raises OneAPIError."""
    with ThreadPoolExecutor(max_workers=3) as pool:
        channels, tokens = pool.submit(admin.channels), pool.submit(admin.tokens)
        options = pool.submit(admin.options)
        return Actual(channels.result(), tokens.result(), options.result())


def planned(member: Member, actual: Actual) -> Plan:
    """Return what makes `actual` into what is declared for a gateway.

    Raises:
        SecretsError: a channel's secret cannot be had.
        OneAPIError: Ambiguous or Invalid: what is declared and what is there do not fit together.
    """
    wanted = declared(member)
    changes = plan(
        wanted,
        actual,
        ours=_ours(member.record, actual),
        rotated=_new_keys(member, wanted, actual),
        again=_writes_to_repeat(member, wanted),
        unstored=member.record.unstored,
        prune=member.settings.gateway_prune,
    )
    own = {*own_tokens(member)}
    keys = {token.name: token.key for token in actual.tokens if token.name in own}
    return Plan(tuple(changes), _remembered(member, wanted, changes, actual), keys)


def declared(member: Member) -> Declared:
    """What is declared for a gateway, with its secrets, and the tokens that its hosts need. Raises SecretsError."""
    settings = member.settings
    return Declared(
        channels=tuple(channel.spec(member.provided) for channel in settings.gateway_channels),
        tokens=(
            # A token that a person has disabled stays so: that is how a host is shut out.
            *(own_token(member, name) for name in own_tokens(member)),
            *(token.spec() for token in settings.gateway_tokens),
        ),
        options=settings.gateway_options,
    )


def own_tokens(member: Member) -> list[str]:
    """The names of the tokens that nobody needs to declare: verification's, the canary's and each OpenClaw host's."""
    canary = [CANARY_TOKEN] if member.settings.gateway_canary_interval else []
    return [VERIFICATION_TOKEN, *canary, *(token_name(agent.name) for agent in member.fleet.agents_of(member))]


def own_token(member: Member, name: str) -> TokenSpec:
    """What a token of `own_tokens` is. The canary's may be used for the one model that it asks for; a quota would run
    out by itself and be a false alarm.
    """
    return TokenSpec(name=name, models=(member.settings.llm_model,) if name == CANARY_TOKEN else ())


def _new_keys(member: Member, wanted: Declared, actual: Actual) -> frozenset[str]:
    """The channels whose key is another than the one that was applied, as far as that can be known.

    One that no run has written (an imported gateway's) and that is as declared in all that One API shows is taken to
    have its key, too: `gateway_force_keys` sends it all the same.
    """
    there = {channel.name: channel for channel in actual.channels}

    def has_new_key(spec: ChannelSpec) -> bool:
        mark = member.record.channels.get(spec.name)
        if spec.name in there and _is_another(member.record, there[spec.name]):
            return True
        if mark is None and spec.name in there:
            return bool(channel_differences(there[spec.name], spec))
        return mark not in (UNFINISHED, _mark(member, spec))

    return frozenset(spec.name for spec in wanted.channels if has_new_key(spec))


def _writes_to_repeat(member: Member, wanted: Declared) -> frozenset[str]:
    """The channels whose last write no run has told the end of: One API shows less of a channel than it writes.

    All of them, where it is not known any more what was written.
    """
    unfinished = {name for name, mark in member.record.channels.items() if mark == UNFINISHED}
    is_all = member.settings.gateway_force_keys or (member.record.is_lost and first_start.is_done(member))
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


def _remembered(member: Member, wanted: Declared, changes: list[Change], actual: Actual) -> Record:
    """The record once all is done: what is declared, and what is ours and there though not declared any more.

    The numbers of what is still to be made are not in it yet.
    """
    removed = {(change.kind, change.name) for change in changes if change.sign == "-"}
    ours = _ours(member.record, actual)
    channels = {spec.name for spec in wanted.channels} | {n for n in ours.channels if ("channel", n) not in removed}
    tokens = {spec.name for spec in wanted.tokens} | {n for n in ours.tokens if ("token", n) not in removed}
    old = {name: member.record.channels.get(name, UNFINISHED) for name in channels}
    ids = {f"channel:{each.name}": each.id for each in actual.channels if each.name in channels}
    ids |= {f"token:{each.name}": each.id for each in actual.tokens if each.name in tokens}
    marks = {**old, **{spec.name: _mark(member, spec) for spec in wanted.channels}}
    return Record(marks, frozenset(tokens), ids, member.record.unproven & channels)


def _mark(member: Member, spec: ChannelSpec) -> str:
    return fingerprint(member.generated.mark_secret, spec)
