"""Whether OpenClaw serves: its unit is "active" long before it listens, and may die seconds after its start."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Mapping
from pathlib import Path

from llm_gateway.hosts import remote
from llm_gateway.hosts.progress import step
from llm_gateway.hosts.topology import Agent
from llm_gateway.inputs.environment import may_be_secret
from llm_gateway.model import redaction, shell
from llm_gateway.parts.openclaw import openclaw, openclaw_config, openclaw_json

_SCRIPT = Path(__file__).with_name("openclaw_ready.sh")
_RELOAD = Path(__file__).with_name("openclaw_reload.sh")
_LOOK_SECONDS = 15
_DEFAULT_PORT = "18789"
_CONFIGURATION = "78"
"""OpenClaw's exit code where its configuration is not valid, and where another OpenClaw has its state."""
_LEASE = "state lease"
_DOCTOR = "openclaw doctor --fix"
_DUPLICATE = "duplicate rows"
_LONGEST = 400
_SHORTEST_SECRET = 8


def await_ready(agent: Agent) -> str | None:
    """Wait until OpenClaw's gateway says that it is ready; why it is not, None where it is. Raises RemoteError."""
    if not openclaw_config.has_command(agent):
        return None  # what the unit starts is not known to say so
    unit, limit = agent.settings.openclaw_unit, agent.settings.openclaw_start_timeout
    began, is_second_start = time.monotonic(), False
    while True:
        left = limit - (time.monotonic() - began)
        answer = look(agent, max(1, min(_LOOK_SECONDS, int(left))))
        if answer == "ready":
            return None
        word, space, rest = answer.partition(" ")
        if word == "down":
            invalid = openclaw_config.invalid(agent)
            if invalid is None and not is_second_start and _may_pass(answer):
                told = f"openclaw: it has ended with {rest}, though its configuration is valid: starting it again"
                step(agent.host, told)
                remote.run(agent.host, openclaw.systemctl(agent, f"start {shlex.quote(unit)}"))
                began, is_second_start = time.monotonic(), True
                continue
            return f"{unit} {ended(agent, answer, invalid)}"
        waited = time.monotonic() - began
        if waited >= limit:
            why = f"is not ready after {limit} s{space}{rest} (openclaw_start_timeout)"
            return f"{unit} runs, but {why}: {journal(agent)}"
        step(agent.host, f"openclaw: waiting until it is ready, for {waited:.0f} of at most {limit} s{space}{rest}")


def _may_pass(answer: str) -> bool:
    """Whether the same start may go well a second time; else it would only count as one of too many."""
    # 2026.9.6 on a busy machine: "state lease heartbeat did not become ready", and out with 78 for good.
    code, reason = _code_and_reason(answer)
    return _LEASE in reason or (code == _CONFIGURATION and not reason)


def _code_and_reason(answer: str) -> tuple[str, str]:
    code, _, reason = answer.partition(" ")[2].partition(" ")
    return code, reason


def ended(agent: Agent, answer: str, invalid: str | None = None) -> str:
    """Why it has ended, in its own words, with what fixes that.

    Parameters: `answer`, of `look`; `invalid`, what it has against its configuration.
    """
    code, reason = _code_and_reason(answer)
    if invalid:
        return f"has ended with {code}: {invalid}"
    told = [part for part in (reason.rstrip("."), _cure(agent, reason), journal(agent)) if part]
    return f"has ended with {code}: {'; '.join(told)}"


def _document(agent: Agent) -> dict[str, object]:
    try:
        return openclaw_config.document(agent)
    except openclaw_json.ConfigurationError:
        return {}


def _secrets(agent: Agent) -> list[str]:
    lines = [line.strip().partition("=") for line in (agent.state.openclaw_env or "").splitlines()]
    found = [value.strip("'\"") for name, _, value in lines if may_be_secret(name.removeprefix("export "), value)]
    found += [
        *openclaw_json.secrets(_document(agent)),
        *(key for each in agent.gateways for key in each.token_keys.values()),
    ]
    return [value for value in found if len(value) >= _SHORTEST_SECRET]


def _cure(agent: Agent, reason: str) -> str:
    """What a person does about it, where that is known."""
    place = openclaw_config.path(agent)
    if _DUPLICATE in reason and (outside := openclaw_json.outside(_document(agent), place)):
        # What OpenClaw names (2026.9.6) leaves these as they are: findings/openclaw-copied-state-….sh.
        return (
            f"its state was copied here and {place} still names the place that it comes from: correct"
            f" {', '.join(outside)} in it, and the workspaces, which `openclaw doctor --fix` does not"
        )
    if _DOCTOR not in reason:
        return ""
    words = ["env", *agent.state.openclaw_variables, *agent.state.openclaw_command]
    called = shlex.join([*words, "doctor", "--fix"])
    stop, start = openclaw.by_hand(agent, "stop"), openclaw.by_hand(agent, "start")
    return f"on the host: {stop}; `{called}` as {openclaw.account(agent).user}; {start}"


def look(agent: Agent, seconds: int) -> str:
    """Say "ready", "down CODE WHY" or "waiting (what it answers)". Raises RemoteError."""
    answer = ask(agent, _SCRIPT, {"PORT": port(agent), "SECONDS_TO_WAIT": str(seconds)}) or "waiting"
    # OpenClaw hides what it takes for a key (2026.9.6: formatErrorMessage); these are known to be some.
    return redaction.redacted(answer, _secrets(agent), _LONGEST)


def rejected(agent: Agent) -> str | None:
    """What it has against its configuration, though it runs: its next start would fail. Raises RemoteError."""
    path = openclaw_config.path(agent)
    issues = ask(agent, _RELOAD, {"CONFIGURATION": path}) if openclaw_config.has_command(agent) else ""
    if not issues:
        return None
    told = redaction.redacted(issues, _secrets(agent), _LONGEST)
    return f"{path} is not valid, and OpenClaw would not start again: {told}"


def ask(agent: Agent, script: Path, values: Mapping[str, str]) -> str:
    """The last line of a script about OpenClaw's unit, before which stand SCOPE, USER, USER_ID, UNIT and these values.

    Raises RemoteError.
    """
    account = openclaw.account(agent)
    unit = {
        "SCOPE": agent.settings.openclaw_unit_scope,
        "USER": account.user,
        "USER_ID": account.uid,
        "UNIT": agent.settings.openclaw_unit,
    }
    lines = remote.run(agent.host, shell.program({**unit, **values}, script))
    return lines[-1].strip() if lines else ""


def journal(agent: Agent) -> str:
    """Where its log is."""
    unit = agent.settings.openclaw_unit
    if agent.settings.openclaw_unit_scope == "system":
        return f"`journalctl -u {unit}` says why"
    user = openclaw.account(agent).user
    # Not --user-unit: that stands for the units of whoever calls it (systemd 257).
    return f"`journalctl _UID=$(id -u {user}) _SYSTEMD_USER_UNIT={unit}` says why"


def port(agent: Agent) -> str:
    """Where it listens: what its unit says wins over its configuration (OpenClaw's own order)."""
    for pattern, answer in ((r"--port[ =](\d+)", "openclaw_arguments"), (r"_PORT=(\d+)$", "openclaw_variables")):
        if found := re.search(pattern, agent.state.answers.get(answer, ""), re.MULTILINE):
            return found[1]
    return str(openclaw_json.get(openclaw_config.document(agent), ("gateway", "port")) or _DEFAULT_PORT)
