"""openclaw.json: what makes OpenClaw use the gateway, written and read by OpenClaw's own command, as its user.

The values follow .env, so that a rotation or a migration changes that file alone. What was there before is kept on the
host, for root alone, and given back by remove.py.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Sequence

from llm_gateway.hosts import invocation, remote
from llm_gateway.hosts.progress import step
from llm_gateway.hosts.topology import Agent, Node
from llm_gateway.inputs import model_kinds
from llm_gateway.model import layout
from llm_gateway.model.layout import OPENCLAW_RECORD
from llm_gateway.parts.openclaw import openclaw, openclaw_json
from llm_gateway.parts.openclaw.openclaw_json import ConfigurationError, Difference, Provider, Record, Values

ALL = "all"
_ASIDE = ".llmgw-new"
"""Behind the name of the copy that is changed."""
_COMMAND_SECONDS = 300
"""One call takes 4 to 9 s on an idle machine, and ten times as long on a busy one."""
COMMANDS_SECONDS = 600.0
"""How long all calls of a run may take together."""


def is_managed(agent: Agent) -> bool:
    """Whether a run has a say in OpenClaw's configuration: it is asked to, and the unit starts an OpenClaw."""
    return agent.settings.openclaw_provider is not None and has_command(agent)


def has_command(agent: Agent) -> bool:
    """Whether the unit tells how OpenClaw's own command is called."""
    return bool(agent.state.openclaw_command)


def path(agent: Agent) -> str:
    """The configuration's path on the host."""
    return agent.state.openclaw_config_path


def document(agent: Agent) -> dict[str, object]:
    """The configuration as it was read. Raises ConfigurationError."""
    return openclaw_json.parse(agent.state.openclaw_config or "{}")


def problem(agent: Agent) -> str | None:
    """Why the configuration cannot be changed; None where it can, or is not to be."""
    if not is_managed(agent):
        return None
    try:
        document(agent)
    except ConfigurationError as broken:
        return (
            f"{path(agent)} cannot be read: {broken}: correct it (`openclaw config validate`), or leave it alone with"
            " openclaw_provider = None"
        )
    return None


def wanted(agent: Agent) -> Values:
    """What of the configuration is to be ours."""
    settings = agent.settings
    if not (there := providers(agent)):
        return {}
    return openclaw_json.wanted(
        there,
        settings.openclaw_context_window,
        settings.openclaw_max_tokens,
        settings.openclaw_default_model,
        settings.openclaw_memory_search,
    )


def providers(agent: Agent) -> list[Provider]:
    """The gateways that its configuration is to name; none where it is to be left alone."""
    name = agent.settings.openclaw_provider
    if name is None:
        return []
    return [
        Provider(
            name if number == 1 else f"{name}_{number}", *openclaw.numbered_names(number), _models(agent, place.node)
        )
        for number, place in enumerate(openclaw.places(agent), start=1)
    ]


def _models(agent: Agent, node: Node) -> list[str]:
    """The models of a gateway besides the one that .env names."""
    chosen: Iterable[str] = agent.settings.openclaw_models
    if chosen == ALL:
        declared = dict.fromkeys(model for channel in node.settings.gateway_channels for model in channel.models)
        chosen = [model for model in declared if model_kinds.kind_of(model, node.settings) == model_kinds.CHAT]
    return [model for model in chosen if model != agent.settings.llm_model]


def record(agent: Agent) -> Record:
    """What earlier runs found and wrote."""
    return openclaw_json.parse_record(agent.state.openclaw_config_record or "")


def differences(agent: Agent) -> list[Difference]:
    """What of it is not as it is to be."""
    return openclaw_json.differences(document(agent), wanted(agent))


def is_due(agent: Agent) -> bool:
    """Whether a run has something to change in it."""
    return is_managed(agent) and bool(differences(agent) or _outdated(agent))


def _outdated(agent: Agent) -> Values:
    return openclaw_json.given_back(document(agent), openclaw_json.outdated(record(agent), wanted(agent)))


def announce(agent: Agent) -> None:
    """Say what is to change, and what of a person's own stays past the gateway, before anything is touched."""
    for name, file in (line.split(" ", 1) for line in agent.state.openclaw_other_env):
        if name in openclaw.removed_names(agent):
            remote.tell(agent.host, f"{file} sets {name}, which OpenClaw may take from there: take it out")
    for name in _set_in_environment(agent):
        remote.tell(agent.host, f"{openclaw.environment_path(agent)} sets {name}, which Skills inherit: take it out")
    if agent.settings.openclaw_provider is None:
        return
    if not has_command(agent):
        if openclaw.has_unit(agent):
            remote.tell(
                agent.host,
                f"ExecStart= of {agent.settings.openclaw_unit} names no OpenClaw (`… gateway …`), so that its"
                " configuration is left alone: whether it uses the gateway is not known",
            )
        return
    if not is_due(agent):
        return
    if openclaw.is_left_running(agent):
        remote.tell(
            agent.host,
            f'openclaw_restart is "never": {path(agent)} needs a change that OpenClaw would pick up'
            f" while it runs: {openclaw.by_hand(agent, 'stop')}, run this again, and start it",
        )
        return
    found, outdated = differences(agent), _outdated(agent)
    lines = [f"to change in {path(agent)}, by OpenClaw's own command:"]
    lines += [f"  {difference.told()}" for difference in found]
    lines += [
        f"  {'.'.join(at)}: {'taken out' if value is None else 'as it was before'}" for at, value in outdated.items()
    ]
    is_brief = not (outdated or invocation.is_plan_now()) and all(each.before is None for each in found)
    brief = f"openclaw.json gets {len(found)} new value{'s' * (len(found) != 1)} (--dry shows them)"
    remote.tell(agent.host, "\n".join(lines), brief if is_brief else None)
    if invocation.is_plan_now():
        changes = {difference.path: difference.after for difference in found}
        remote.tell(agent.host, json.dumps(openclaw_json.patch(changes), indent=2))
    if openclaw_json.has_comments(agent.state.openclaw_config or ""):
        remote.tell(agent.host, f"OpenClaw's command drops its comments: {path(agent)}{layout.BEFORE_SUFFIX} has them")
    for left in openclaw_json.past_the_gateway(document(agent), [each.name for each in providers(agent)]):
        remote.tell(agent.host, left)


def _set_in_environment(agent: Agent) -> list[str]:
    """The variables in .env that lead past the gateway, and that no drop-in takes out of it."""
    lines = (agent.state.openclaw_env or "").splitlines()
    names = {line.strip().removeprefix("export ").partition("=")[0].strip() for line in lines if "=" in line}
    return [name for name in agent.settings.openclaw_unset_environment if name in names]


def prepare(agent: Agent) -> str:
    """Put what is ours into a copy beside it; the command that puts that in its place. Raises RemoteError.

    OpenClaw takes up a change of the file within a second, without the .env that it follows, and restarts by itself
    for some: so it gets all of it at the moment of its restart.
    """
    changes = {each.path: each.after for each in differences(agent)}
    return _prepared(agent, [{**_outdated(agent), **changes}])


def keep(agent: Agent) -> None:
    """Keep, for remove.py, what the prepared copy replaces; before it does. Raises RemoteError."""
    outdated = openclaw_json.outdated(record(agent), wanted(agent))
    kept = openclaw_json.recorded(record(agent), document(agent), differences(agent))
    _write_record(agent, {at: each for at, each in kept.items() if at not in outdated})
    if openclaw_json.has_comments(agent.state.openclaw_config or ""):
        copy = f"cp -n {shlex.quote(path(agent))} {shlex.quote(path(agent) + layout.BEFORE_SUFFIX)}"
        remote.run(agent.host, openclaw.as_user(openclaw.account(agent).user, f"umask 077; {copy} || true"))


def prepare_former(agent: Agent) -> str:
    """The same with all as it was before, where it still is ours. Raises RemoteError."""
    values = openclaw_json.given_back(document(agent), record(agent))
    # The provider by itself: OpenClaw refuses a change that makes a small configuration less than half as long.
    parts = ([at for at in values if at[0] == "models"], [at for at in values if at[0] != "models"])
    return _prepared(agent, [{at: values[at] for at in part} for part in parts if part])


def _prepared(agent: Agent, patches: list[Values]) -> str:
    step(agent.host, f"openclaw: preparing its configuration ({path(agent)}) by its own command")
    user, there, aside = openclaw.account(agent).user, shlex.quote(path(agent)), shlex.quote(path(agent) + _ASIDE)
    look = f"{{ cat {there} 2>/dev/null | sha256sum; }}"
    script = f"umask 077; rm -f {aside}*; [ ! -e {there} ] || cp -pT {there} {aside}; {look}"
    digest = remote.run(agent.host, openclaw.as_user(user, script))[-1].strip()
    for values in patches:
        _patch(agent, values)
    changed = shlex.quote(f"{path(agent)} was changed by another meanwhile: run this again")
    return openclaw.as_user(
        user,
        f'[ "$({look})" = {shlex.quote(digest)} ] || {{ echo {changed} >&2; exit 1; }};'
        f" [ ! -e {aside} ] || mv -fT {aside} {there}; rm -f {aside}.*",
    )


def _write_record(agent: Agent, kept: Record) -> None:
    text = openclaw_json.record_text(path(agent), kept)
    remote.run(agent.host, remote.write_script(OPENCLAW_RECORD, "600"), remote.encoded(text.encode()))


def _patch(agent: Agent, values: Values) -> None:
    # 2026.9.6 refuses to "modify an array containing environment references", such as our models, but not to drop it.
    stale = openclaw_json.with_references(document(agent), values)
    if stale:
        _patch_once(agent, dict.fromkeys(stale))
    _patch_once(agent, values)


def _patch_once(agent: Agent, values: Values) -> None:
    options = [part for place in openclaw_json.replaced(values) for part in ("--replace-path", place)]
    settings = agent.settings
    variables = [
        f"OPENCLAW_CONFIG_PATH={path(agent)}{_ASIDE}",
        # It takes no model that it cannot resolve, and .env may not have them yet.
        *(
            f"{openclaw.numbered_names(number)[0]}={place.base_url}"
            for number, place in enumerate(openclaw.places(agent), start=1)
        ),
        f"LLM_MODEL_ID={settings.llm_model}",
        f"EMBEDDING_MODEL_ID={settings.embedding_model}",
    ]
    called = command(agent, ["config", "patch", "--stdin", *options], variables)
    try:
        remote.run(agent.host, called, json.dumps(openclaw_json.patch(values)))
    except remote.ConnectionLostError:
        raise
    except remote.RemoteError as refused:
        raise remote.RemoteError(f"OpenClaw refuses the change of {path(agent)}: {refused}") from None


def run(agent: Agent, arguments: list[str]) -> list[str]:
    """OpenClaw's own command, called as its unit calls it, by its user. Raises RemoteError."""
    return remote.run(agent.host, command(agent, arguments))


def command(agent: Agent, arguments: list[str], variables: Sequence[str] = ()) -> str:
    """The shell command of `run`, with more variables ("NAME=value") in its environment."""
    own = openclaw.account(agent)
    user, home = own.user, own.home
    words = agent.state.openclaw_command
    beside = words[0].rpartition("/")[0]
    environment = [
        f"HOME={home}",
        f"PATH={beside}:/usr/local/bin:/usr/bin:/bin",
        *agent.state.openclaw_variables,
        *variables,
    ]
    # Not in a directory that may have a .env of its own.
    called = shlex.join(["timeout", str(_COMMAND_SECONDS), "env", *environment, *words, *arguments])
    return openclaw.as_user(user, f"cd / && {called}")


def unused(agent: Agent) -> str | None:
    """Why OpenClaw does not use its gateway by its own word, None where it does. Raises RemoteError."""
    asked: dict[str, str | list[str]] = {
        f"models.providers.{provider.name}.baseUrl": place.base_url
        for provider, place in zip(providers(agent), openclaw.places(agent), strict=True)
    }
    if agent.settings.openclaw_default_model:
        first, *others = (f"{provider.name}/{agent.settings.llm_model}" for provider in providers(agent))
        asked["agents.defaults.model.primary"] = first
        asked |= {"agents.defaults.model.fallbacks": others} if others else {}
    for name, value in asked.items():
        try:
            said = json.loads("\n".join(run(agent, ["config", "get", name, "--json"])))
        except ValueError:
            said = None
        if said != value:
            return (
                f"OpenClaw says that its {name} is {said!r}, not {value!r}: run deploy.py, which writes {path(agent)}"
            )
    return None


def invalid(agent: Agent) -> str | None:
    """What OpenClaw has against its own configuration, with which it would not start again; None where nothing.

    Raises RemoteError.
    """
    if not has_command(agent) or agent.state.openclaw_config is None:
        return None
    # It fails where it has something to say.
    lines = remote.run(agent.host, f"{command(agent, ['config', 'validate', '--json'])} || true")
    try:
        said = json.loads("\n".join(lines))
        issues = [f"{issue['path']}: {issue['message']}" for issue in said.get("issues", [])]
        is_valid = said["valid"]
    except (ValueError, KeyError, TypeError):
        return f"`openclaw config validate` gives no answer: {' '.join(lines[-3:])[:300]}"
    if is_valid:
        return None
    return f"{path(agent)} is not valid, and OpenClaw would not start again: {'; '.join(issues) or 'it is not read'}"
