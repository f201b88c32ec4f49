"""openclaw.json: what makes OpenClaw use the gateway, written and read by OpenClaw's own command, as its user.

The values follow .env, so that a rotation or a migration changes that file alone. What was there before is kept on the
host, for root alone, and given back by remove.py.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence

from llm_gateway.hosts import invocation, remote
from llm_gateway.hosts.member import Member
from llm_gateway.hosts.progress import step
from llm_gateway.inputs import model_kinds
from llm_gateway.model import layout
from llm_gateway.model.layout import OPENCLAW_RECORD
from llm_gateway.parts.openclaw import openclaw, openclaw_json
from llm_gateway.parts.openclaw.openclaw_json import ConfigurationError, Difference, Record, Values

ALL = "all"
_ASIDE = ".llmgw-new"
"""Behind the name of the copy that is changed."""
_COMMAND_SECONDS = 300
"""One call takes 4 to 9 s on an idle machine, and ten times as long on a busy one."""
COMMANDS_SECONDS = 600.0
"""How long all calls of a run may take together."""


def is_managed(member: Member) -> bool:
    """Whether a run has a say in OpenClaw's configuration: it is asked to, and the unit starts an OpenClaw."""
    return member.settings.openclaw_provider is not None and has_command(member)


def has_command(member: Member) -> bool:
    """Whether the unit tells how OpenClaw's own command is called."""
    return bool(member.state.lines("openclaw_command"))


def path(member: Member) -> str:
    """The configuration's path on the host."""
    return member.state.text("openclaw_config_path")


def document(member: Member) -> dict[str, object]:
    """The configuration as it was read. Raises ConfigurationError."""
    return openclaw_json.parse(member.state.answers.get("openclaw_config") or "{}")


def problem(member: Member) -> str | None:
    """Why the configuration cannot be changed; None where it can, or is not to be."""
    if not is_managed(member):
        return None
    try:
        document(member)
    except ConfigurationError as broken:
        return (
            f"{path(member)} cannot be read: {broken}: correct it (`openclaw config validate`), or leave it alone with"
            " openclaw_provider = None"
        )
    return None


def wanted(member: Member) -> Values:
    """What of the configuration is to be ours."""
    settings = member.settings
    provider = settings.openclaw_provider
    if provider is None:
        return {}
    return openclaw_json.wanted(
        provider,
        [model for model in _models(member) if model != settings.llm_model],
        settings.openclaw_context_window,
        settings.openclaw_max_tokens,
        settings.openclaw_default_model,
        settings.openclaw_memory_search,
    )


def _models(member: Member) -> list[str]:
    chosen = member.settings.openclaw_models
    if chosen != ALL:
        return list(chosen)
    gateway = member.gateway.settings
    declared = dict.fromkeys(model for channel in gateway.gateway_channels for model in channel.models)
    return [model for model in declared if model_kinds.kind_of(model, gateway) == model_kinds.CHAT]


def record(member: Member) -> Record:
    """What earlier runs found and wrote."""
    return openclaw_json.parse_record(member.state.answers.get("openclaw_config_record", ""))


def differences(member: Member) -> list[Difference]:
    """What of it is not as it is to be."""
    return openclaw_json.differences(document(member), wanted(member))


def is_due(member: Member) -> bool:
    """Whether a run has something to change in it."""
    return is_managed(member) and bool(differences(member) or _outdated(member))


def _outdated(member: Member) -> Values:
    return openclaw_json.given_back(document(member), openclaw_json.outdated(record(member), wanted(member)))


def announce(member: Member) -> None:
    """Say what is to change, and what of a person's own stays past the gateway, before anything is touched."""
    for name, file in (line.split(" ", 1) for line in member.state.lines("openclaw_other_env")):
        if name in openclaw.removed_names(member):
            remote.tell(member.host, f"{file} sets {name}, which OpenClaw may take from there: take it out")
    for name in _set_in_environment(member):
        remote.tell(member.host, f"{openclaw.environment_path(member)} sets {name}, which Skills inherit: take it out")
    if member.settings.openclaw_provider is None:
        return
    if not has_command(member):
        if openclaw.has_unit(member):
            remote.tell(
                member.host,
                f"ExecStart= of {member.settings.openclaw_unit} names no OpenClaw (`… gateway …`), so that its"
                " configuration is left alone: whether it uses the gateway is not known",
            )
        return
    if not is_due(member):
        return
    if openclaw.is_left_running(member):
        remote.tell(
            member.host,
            f'openclaw_restart is "never": {path(member)} needs a change that OpenClaw would pick up'
            f" while it runs: {openclaw.by_hand(member, 'stop')}, run this again, and start it",
        )
        return
    lines = [f"  {difference.told()}" for difference in differences(member)]
    lines += [
        f"  {'.'.join(at)}: {'taken out' if value is None else 'as it was before'}"
        for at, value in _outdated(member).items()
    ]
    remote.tell(member.host, "\n".join([f"to change in {path(member)}, by OpenClaw's own command:", *lines]))
    if invocation.is_plan_now():
        changes = {difference.path: difference.after for difference in differences(member)}
        remote.tell(member.host, json.dumps(openclaw_json.patch(changes), indent=2))
    if openclaw_json.has_comments(member.state.answers.get("openclaw_config", "")):
        remote.tell(
            member.host, f"OpenClaw's command drops its comments: {path(member)}{layout.BEFORE_SUFFIX} has them"
        )
    for left in openclaw_json.past_the_gateway(document(member), member.settings.openclaw_provider):
        remote.tell(member.host, left)


def _set_in_environment(member: Member) -> list[str]:
    """The variables in .env that lead past the gateway, and that no drop-in takes out of it."""
    lines = (member.state.openclaw_env or "").splitlines()
    names = {line.strip().removeprefix("export ").partition("=")[0].strip() for line in lines if "=" in line}
    return [name for name in member.settings.openclaw_unset_environment if name in names]


def prepare(member: Member) -> str:
    """Put what is ours into a copy beside it; the command that puts that in its place. Raises RemoteError.

    OpenClaw takes up a change of the file within a second, without the .env that it follows, and restarts by itself
    for some: so it gets all of it at the moment of its restart.
    """
    changes = {each.path: each.after for each in differences(member)}
    return _prepared(member, [{**_outdated(member), **changes}])


def keep(member: Member) -> None:
    """Keep, for remove.py, what the prepared copy replaces; before it does. Raises RemoteError."""
    outdated = openclaw_json.outdated(record(member), wanted(member))
    kept = openclaw_json.recorded(record(member), document(member), differences(member))
    _write_record(member, {at: each for at, each in kept.items() if at not in outdated})
    if openclaw_json.has_comments(member.state.answers.get("openclaw_config", "")):
        copy = f"cp -n {shlex.quote(path(member))} {shlex.quote(path(member) + layout.BEFORE_SUFFIX)}"
        remote.run(member.host, openclaw.as_user(openclaw.account(member).user, f"umask 077; {copy} || true"))


def prepare_former(member: Member) -> str:
    """The same with all as it was before, where it still is ours. Raises RemoteError."""
    values = openclaw_json.given_back(document(member), record(member))
    # The provider by itself: OpenClaw refuses a change that makes a small configuration less than half as long.
    parts = ([at for at in values if at[0] == "models"], [at for at in values if at[0] != "models"])
    return _prepared(member, [{at: values[at] for at in part} for part in parts if part])


def _prepared(member: Member, patches: list[Values]) -> str:
    step(member.host, f"openclaw: preparing its configuration ({path(member)}) by its own command")
    user, there, aside = openclaw.account(member).user, shlex.quote(path(member)), shlex.quote(path(member) + _ASIDE)
    look = f"{{ cat {there} 2>/dev/null | sha256sum; }}"
    script = f"umask 077; rm -f {aside}*; [ ! -e {there} ] || cp -pT {there} {aside}; {look}"
    digest = remote.run(member.host, openclaw.as_user(user, script))[-1].strip()
    for values in patches:
        _patch(member, values)
    changed = shlex.quote(f"{path(member)} was changed by another meanwhile: run this again")
    return openclaw.as_user(
        user,
        f'[ "$({look})" = {shlex.quote(digest)} ] || {{ echo {changed} >&2; exit 1; }};'
        f" [ ! -e {aside} ] || mv -fT {aside} {there}; rm -f {aside}.*",
    )


def _write_record(member: Member, kept: Record) -> None:
    text = openclaw_json.record_text(path(member), kept)
    remote.run(member.host, remote.write_script(OPENCLAW_RECORD, "600"), remote.encoded(text.encode()))


def _patch(member: Member, values: Values) -> None:
    # 2026.9.6 refuses to "modify an array containing environment references", such as our models, but not to drop it.
    stale = openclaw_json.with_references(document(member), values)
    if stale:
        _patch_once(member, dict.fromkeys(stale))
    _patch_once(member, values)


def _patch_once(member: Member, values: Values) -> None:
    options = [part for place in openclaw_json.replaced(values) for part in ("--replace-path", place)]
    settings = member.settings
    variables = [
        f"OPENCLAW_CONFIG_PATH={path(member)}{_ASIDE}",
        # It takes no model that it cannot resolve, and .env may not have them yet.
        f"LLM_BASE_URL={member.gateway.base_url}/v1",
        f"LLM_MODEL_ID={settings.llm_model}",
        f"EMBEDDING_MODEL_ID={settings.embedding_model}",
    ]
    called = command(member, ["config", "patch", "--stdin", *options], variables)
    try:
        remote.run(member.host, called, json.dumps(openclaw_json.patch(values)))
    except remote.ConnectionLostError:
        raise
    except remote.RemoteError as refused:
        raise remote.RemoteError(f"OpenClaw refuses the change of {path(member)}: {refused}") from None


def run(member: Member, arguments: list[str]) -> list[str]:
    """OpenClaw's own command, called as its unit calls it, by its user. Raises RemoteError."""
    return remote.run(member.host, command(member, arguments))


def command(member: Member, arguments: list[str], variables: Sequence[str] = ()) -> str:
    """The shell command of `run`, with more variables ("NAME=value") in its environment."""
    own = openclaw.account(member)
    user, home = own.user, own.home
    words = member.state.lines("openclaw_command")
    beside = words[0].rpartition("/")[0]
    environment = [
        f"HOME={home}",
        f"PATH={beside}:/usr/local/bin:/usr/bin:/bin",
        *member.state.lines("openclaw_variables"),
        *variables,
    ]
    # Not in a directory that may have a .env of its own.
    called = shlex.join(["timeout", str(_COMMAND_SECONDS), "env", *environment, *words, *arguments])
    return openclaw.as_user(user, f"cd / && {called}")


def unused(member: Member) -> str | None:
    """Why OpenClaw does not use its gateway by its own word, None where it does. Raises RemoteError."""
    provider = member.settings.openclaw_provider
    asked = {f"models.providers.{provider}.baseUrl": f"{member.gateway.base_url}/v1"}
    if member.settings.openclaw_default_model:
        asked["agents.defaults.model.primary"] = f"{provider}/{member.settings.llm_model}"
    for name, value in asked.items():
        try:
            said = json.loads("\n".join(run(member, ["config", "get", name, "--json"])))
        except ValueError:
            said = None
        if said != value:
            return (
                f"OpenClaw says that its {name} is {said!r}, not {value!r}: run deploy.py, which writes {path(member)}"
            )
    return None


def invalid(member: Member) -> str | None:
    """What OpenClaw has against its own configuration, with which it would not start again; None where nothing.

    Raises RemoteError.
    """
    if not has_command(member) or "openclaw_config" not in member.state.answers:
        return None
    # It fails where it has something to say.
    lines = remote.run(member.host, f"{command(member, ['config', 'validate', '--json'])} || true")
    try:
        said = json.loads("\n".join(lines))
        issues = [f"{issue['path']}: {issue['message']}" for issue in said.get("issues", [])]
        is_valid = said["valid"]
    except (ValueError, KeyError, TypeError):
        return f"`openclaw config validate` gives no answer: {' '.join(lines[-3:])[:300]}"
    if is_valid:
        return None
    return f"{path(member)} is not valid, and OpenClaw would not start again: {'; '.join(issues) or 'it is not read'}"
