"""What a gateway holds as it would be declared for it: each thing exactly, or told with the reason why it cannot be.

Whether it is exact is not guessed: what would be declared goes through the checks of declarations and is then planned
against what is there. Only what plans nothing is declared.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from llm_gateway.contents.export_options import Options, options
from llm_gateway.contents.secret_names import SecretNames
from llm_gateway.flavours import Channel, Invalid, Token, TokenSpec, channel_types, known, values
from llm_gateway.flavours.change_plan import Actual, Change, Declared, Ours, plan
from llm_gateway.flavours.flavour import Flavour
from llm_gateway.inputs import consistency, declarations
from llm_gateway.inputs.declaration_checks import CONFIG_SECRETS, DEFAULT_GROUP
from llm_gateway.inputs.secrets import Provided, SecretsError
from llm_gateway.model.checks import InvalidError, http_url

_KEY = "unseen"
"""Stands for a channel's key, which One API does not show and no plan compares."""
_LAST_SECOND = "T23:59:59Z"


@dataclass(frozen=True)
class Circumstances:
    """What an export needs to know of the host besides what its gateway holds.

    Args:
        own_tokens: the tokens that a deployment makes without their being declared.
        declared: the channels that are declared now, for the names of their secrets.
        image: what the gateway is to run, with its tag.
        is_set_up: whether a deployment has been completed.
        used_models: by setting, the models that are used whatever is declared (`llm_model`).
    """

    own_tokens: tuple[TokenSpec, ...] = ()
    declared: tuple[declarations.Channel, ...] = ()
    image: str | None = None
    is_set_up: bool = True
    used_models: Mapping[str, str] = field(default_factory=dict)

    @property
    def flavour(self) -> Flavour:
        """The software of that image."""
        return known.of_image(self.image)


@dataclass(frozen=True)
class Item:
    """A channel or a token: its fields as they would be written, and why they are not, where they are not."""

    label: str
    fields: Mapping[str, object]
    obstacles: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    secrets: Mapping[str, str] = field(default_factory=dict)
    """What each named secret is."""


@dataclass(frozen=True)
class Export:
    """All that a gateway holds. `warnings` are of the whole: what a run would change even so, or refuse."""

    channels: tuple[Item, ...]
    tokens: tuple[Item, ...]
    options: Options
    warnings: tuple[str, ...]

    @property
    def secrets(self) -> dict[str, list[str]]:
        """The names of the secrets that have to be handed in, and what each is for."""
        found: dict[str, list[str]] = {}
        for item in self.channels:
            for name, what in ({} if item.obstacles else item.secrets).items():
                found.setdefault(name, []).append(what)
        return found


def export(actual: Actual, around: Circumstances) -> Export:
    """Turn what a gateway holds into what would be declared for it."""
    names = SecretNames(actual.channels, around.declared)
    channels = [*_channels(actual.channels, names, around.image)]
    usable = [made for _, made in channels if made is not None]
    tokens = [token for token in actual.tokens if token.name not in {own.name for own in around.own_tokens}]
    return Export(
        tuple(item for item, _ in channels),
        tuple(_tokens(tokens, usable)),
        options(actual.options, _models(actual.channels), around.is_set_up, around.flavour),
        (*_unserved(around.used_models, usable), *_own_tokens(actual.tokens, around.own_tokens)),
    )


def _channels(
    channels: Sequence[Channel], names: SecretNames, image: str | None
) -> Iterator[tuple[Item, declarations.Channel | None]]:
    """Each channel in the order in which they were made, and what its fields mean where they are declared."""
    times = Counter(channel.name for channel in channels)
    for channel in sorted(channels, key=lambda channel: channel.id):
        fields = _channel_fields(channel, names)
        made, obstacles = _declared_channel(channel, fields, image)
        if times[channel.name] > 1:
            obstacles = (_twins("channels", times[channel.name], channel.id), *obstacles)
        secrets = {str(fields["key"]): f"the key of channel {channel.name}"}
        for each in sorted(_credentials(channel)):
            secrets[names.credential(channel, each)] = f"{each} in the config of channel {channel.name}"
        item = Item(f"channel {channel.name}", fields, obstacles, secrets=secrets)
        yield item, None if obstacles else made


def _channel_fields(channel: Channel, names: SecretNames) -> dict[str, object]:
    """Those that are not as they are without being declared; no password, and no credential."""
    config = {name: _plain(channel, name, names) for name in channel.config}
    fields: dict[str, object] = {
        "name": channel.name,
        "type": channel_types.type_name(channel.type),
        "base_url": _without_login(channel.base_url),
        "key": names.key(channel),
        "models": [*dict.fromkeys(channel.models)],
        "model_mapping": dict(channel.model_mapping or {}),
        "groups": [*dict.fromkeys(channel.groups)],
        "priority": channel.priority,
        "weight": channel.weight,
        "status": "enabled" if channel.status == values.ENABLED else "disabled",
        "config": config,
        "system_prompt": channel.system_prompt,
        "pass_through": channel.pass_through,
    }
    if fields["type"] == str(channel.type):  # a number without a name
        fields["type"] = channel.type
    unsaid = {"base_url": "", "model_mapping": {}, "priority": 0, "weight": 0, "config": {}, "system_prompt": ""}
    unsaid |= {"groups": [DEFAULT_GROUP], "status": "enabled", "pass_through": False}
    return {name: value for name, value in fields.items() if name not in unsaid or value != unsaid[name]}


def _credentials(channel: Channel) -> dict[str, str]:
    return {name: value for name, value in channel.config.items() if name in CONFIG_SECRETS}


def _plain(channel: Channel, name: str, names: SecretNames) -> object:
    """A field of the config as it is written: what may be a credential and is not known is not shown."""
    if name in CONFIG_SECRETS:
        return names.credential(channel, name)
    return channel.config[name] if name in values.CONFIG_FIELDS else "(not shown)"


def _without_login(url: str) -> str:
    """Without what may be a user name and a password; a URL that is right holds none."""
    try:
        return http_url(url) and url
    except InvalidError:
        return re.sub(r"^([a-z]+://)?.*@", r"\1", url, flags=re.DOTALL)


def _declared_channel(
    channel: Channel, fields: Mapping[str, object], image: str | None
) -> tuple[declarations.Channel | None, tuple[str, ...]]:
    """What these fields declare, and what is wrong with them or differs from what is there."""
    if _without_login(channel.base_url) != channel.base_url:
        return None, ("there is a user name or a password in its base_url (not shown), which cannot be declared",)
    if strange := [name for name, value in channel.config.items() if not isinstance(value, str)]:
        return None, (f"its config has something else than text in {', '.join(map(repr, strange))}",)
    try:
        (made,) = declarations.channels([fields])
        credentials = {made.config[name]: value for name, value in _credentials(channel).items()}
        spec = made.spec(Provided(None, {**credentials, made.key: _KEY}))
        changes = _changes(Declared(channels=(spec,)), Actual((channel,), (), {}))
    except (InvalidError, Invalid, SecretsError, UnicodeEncodeError) as problem:
        return None, _problems(problem, f"channel {channel.name}")
    problems = consistency.contradictions([made], [], False, image)
    told = tuple(text.removeprefix(f"gateway_channels: channel {channel.name}: ") for text in problems)
    if channel.status == values.AUTO_DISABLED:
        return made, (
            *told,
            'the gateway has disabled it by itself; declare it "enabled" or "disabled", as you want it',
        )
    return made, (*told, *_said(changes))


def _tokens(tokens: Sequence[Token], usable: Sequence[declarations.Channel]) -> Iterator[Item]:
    times = Counter(token.name for token in tokens)
    for token in sorted(tokens, key=lambda token: token.id):
        fields, obstacles = _token_fields(token)
        obstacles += _token_obstacles(token, fields, usable)
        if times[token.name] > 1:
            obstacles = (_twins("tokens", times[token.name], token.id), *obstacles)
        yield Item(f"token {token.name}", fields, obstacles, _token_remarks(token))


def _token_fields(token: Token) -> tuple[dict[str, object], tuple[str, ...]]:
    fields: dict[str, object] = {"name": token.name}
    if token.models:
        fields["models"] = [*dict.fromkeys(token.models)]
    if token.total_quota is not None:
        fields["quota"] = token.total_quota
    if token.subnets:
        fields["subnets"] = [*dict.fromkeys(token.subnets)]
    if token.status == values.DISABLED:
        fields["status"] = "disabled"
    if token.expired_time == values.NEVER_EXPIRES:
        return fields, ()
    try:
        moment = f"{datetime.fromtimestamp(token.expired_time, UTC):%Y-%m-%dT%H:%M:%S}Z"
    except (ValueError, OverflowError, OSError):
        return fields, (f"its expiry, {token.expired_time} seconds after 1970, cannot be declared",)
    # strftime writes the year 33 as "33"; what comes of that is refused, and told.
    fields["expires"] = moment.removesuffix(_LAST_SECOND)
    return fields, ()


def _token_obstacles(
    token: Token, fields: Mapping[str, object], usable: Sequence[declarations.Channel]
) -> tuple[str, ...]:
    try:
        (made,) = declarations.tokens([fields])
        changes = _changes(Declared(tokens=(made.spec(),)), Actual((), (token,), {}))
    except (InvalidError, Invalid, UnicodeEncodeError) as problem:
        return _problems(problem, f"token {token.name}")
    problems = consistency.contradictions(usable, [made], False, None)
    told = (text.removeprefix(f"gateway_tokens: token {token.name}: ") for text in problems)
    return (*told, *_said(changes))


def _token_remarks(token: Token) -> tuple[str, ...]:
    if token.status == values.EXPIRED:
        return ("it has expired, and stays so until it is given more time",)
    if token.status == values.EXHAUSTED:
        return ("its quota is used up, and it stays so until it is given more",)
    return ()


def _own_tokens(tokens: Sequence[Token], own: Sequence[TokenSpec]) -> Iterator[str]:
    """Tokens that a deployment makes by itself: where a person has made one of the name, a run changes it."""
    for spec in sorted(own, key=lambda spec: spec.name):
        there = tuple(token for token in tokens if token.name == spec.name)
        if len(there) > 1:
            yield f"{_twins('tokens', len(there), there[0].id)} (token {spec.name}, which a deployment keeps by itself)"
        elif there:
            for change in _changes(Declared(tokens=(spec,)), Actual((), there, {})):
                yield f"token {spec.name} is kept by the deployment, which will change it: {', '.join(change.details)}"


def _unserved(used: Mapping[str, str], usable: Sequence[declarations.Channel]) -> Iterator[str]:
    for setting, model in used.items():
        if problem := consistency.unserved(model, usable):
            yield f"{setting}: {problem}, or set {setting} to a model that is served"


def _models(channels: Sequence[Channel]) -> set[str]:
    """Those that channels have, by both of their names: prices go by the provider's."""
    asked = {model for channel in channels for model in channel.models}
    return asked | {str(model) for channel in channels for model in (channel.model_mapping or {}).values()}


def _changes(declared: Declared, actual: Actual) -> list[Change]:
    return plan(declared, actual, ours=Ours(), rotated=frozenset(), prune=False)


def _said(changes: Sequence[Change]) -> tuple[str, ...]:
    return tuple(f"declared like this, a run would change it: {', '.join(change.details)}" for change in changes)


def _problems(problem: Exception, label: str) -> tuple[str, ...]:
    if isinstance(problem, UnicodeEncodeError):
        return ("there is half of a character in it",)
    texts = problem.problems if isinstance(problem, InvalidError) else (str(problem),)
    nameless = f"{label.partition(' ')[0]} number 1: "
    return tuple(text.removeprefix(f"{label}: ").removeprefix(nameless) for text in texts)


def _twins(kind: str, times: int, number: int) -> str:
    return (
        f"{times} {kind} have this name (this one has the id {number}): give them names of their own, or delete the"
        " wrong ones in the admin page, and export again"
    )
