"""One real turn of OpenClaw's agent, by OpenClaw's own gateway, seen in One API's log under the token of the host.

It is asked in a private session of OpenClaw's ("incognito"): nothing of it is kept there, or gets into its memory.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from pyinfra.api import FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.contents.admin import admin_api
from llm_gateway.contents.desired import token_name
from llm_gateway.flavours import AdminError, LogRow
from llm_gateway.hosts import remote
from llm_gateway.hosts.progress import step
from llm_gateway.hosts.route import RouteError
from llm_gateway.hosts.topology import Agent, Gateway
from llm_gateway.model import layout
from llm_gateway.parts.openclaw import openclaw, openclaw_config, openclaw_ready

ALWAYS, NEVER = "always", "never"
_MESSAGE = "This checks the way to your model. Use no tool, do nothing else. Answer with one word: yes"
_TURN_SECONDS = 180
_LOG_SECONDS = 20.0
LONGEST_SECONDS = _TURN_SECONDS + 2 * _LOG_SECONDS + 120.0
"""How long a turn and an embedding may take, with the four commands of OpenClaw that they take (3 to 9 s each)."""
_LOOK_AGAIN_SECONDS = 0.5
_PROBE_CACHE_SECONDS = 31
_COST = "about 10,000 tokens"
"""OpenClaw 2026.9.6 sends 49,000 characters of instructions and 10,000 of tools before the first word of a person."""


class TurnError(Exception):
    """No turn was answered through the gateway; the text says why."""


def is_for_first(agent: Agent) -> bool:
    """Whether this run is the first that writes OpenClaw's configuration here, and a turn is to prove that."""
    settings = agent.settings
    return settings.openclaw_turn != NEVER and openclaw_config.is_due(agent) and not openclaw_config.record(agent)


def verify(agent: Agent) -> None:
    """Where `openclaw_turn` is "always", take a turn on this host; the run fails where it is not answered."""
    if agent.settings.openclaw_turn == ALWAYS:
        _verify(name="Ask OpenClaw's agent for a turn", agent=agent)


@operation()
def _verify(agent: Agent) -> Generator[FunctionCommand, None, None]:
    """A check, not a change, as in `llm_gateway.proof.openclaw_proof`."""
    if not agent.host.state.is_executing:
        return
    try:
        if not openclaw_config.has_command(agent):
            raise TurnError(
                f"no turn can be asked for, because ExecStart= of {agent.settings.openclaw_unit} names no OpenClaw"
                " (`… gateway …`)"
            )
        take(agent)
    except (TurnError, remote.RemoteError) as problem:
        yield remote.Callback(_fail, (str(problem),), {})


def _fail(state: State, host: Host, problem: str) -> bool:
    remote.complain(host, f"verification failed: {problem}")
    return False


def take(agent: Agent) -> None:
    """Have the agent answer, and say what that cost. Raises TurnError and RemoteError."""
    remote.tell(agent.host, f"asking OpenClaw's agent for a turn, which costs {_COST} (openclaw_turn) ...")
    before = _last_logged(agent)
    session = _call(agent, ["gateway", "call", "sessions.create", "--params", '{"incognito":true}', "--json"])
    key = str(session.get("key"))
    try:
        told = _turn(agent, key, session.get("resolved") or {})
    finally:
        with suppress(TurnError):  # then OpenClaw forgets it with its next start; why no turn came says more
            _call(agent, ["gateway", "call", "sessions.delete", "--params", json.dumps({"key": key}), "--json"])
    name, rows = _logged(agent, before)
    if not rows:
        raise TurnError(
            f"{told}, but not through the gateway: the log of {name} has no request of the token"
            f" {token_name(agent.name)}; `openclaw config get agents.defaults.model` on the host says what it asks"
        )
    remote.tell(agent.host, f"{told}, through {name}: {_cost_of(rows)}", told)
    if openclaw_config.is_managed(agent) and agent.settings.openclaw_memory_search:
        _remember(agent, key)


def _turn(agent: Agent, key: str, resolved: dict[str, Any]) -> str:
    """What was answered, in words."""
    provider, model = agent.settings.openclaw_provider, agent.settings.llm_model
    arguments = ["agent", "--session-key", key, "--message", _MESSAGE, "--timeout", str(_TURN_SECONDS), "--json"]
    if provider and resolved.get("modelProvider") != provider:
        # A person has given this agent a model of its own, which `announce` tells of.
        arguments += ["--model", f"{provider}/{model}"]
    began = time.monotonic()
    result = _call(agent, arguments).get("result") or {}
    seconds = time.monotonic() - began
    meta = result.get("meta") or {}
    words = " ".join(str(payload.get("text") or "") for payload in result.get("payloads") or [])
    if meta.get("error"):
        raise TurnError(explain(agent, f"{words} ({meta['error'].get('message')})"))
    if not words.strip():
        raise TurnError(f"OpenClaw's agent ended its turn ({meta.get('stopReason')}) without a word")
    by = meta.get("agentMeta") or {}
    name = key.split(":")[1] if key.startswith("agent:") else key
    return f"the agent {name} answered a turn in {seconds:.1f} s by {by.get('provider')}/{by.get('model')}"


def _remember(agent: Agent, key: str) -> None:
    """Have OpenClaw's memory embed one word. Raises TurnError and RemoteError."""
    chosen = ["--agent", key.split(":")[1]] if key.startswith("agent:") else []
    before = _last_logged(agent)
    found = _call(agent, ["memory", "status", "--deep", *chosen, "--json"])
    probes = [each.get("embeddingProbe") or {} for each in found.get("agents", [])]
    if not probes:
        remote.tell(agent.host, "its memory is not OpenClaw's own, so that no embedding was asked for")
        return
    for probe in probes:
        if not probe.get("ok"):
            raise TurnError(f"OpenClaw's memory gets no embedding: {probe.get('error')}")
    name, rows = _logged(agent, before)
    if not rows:
        raise TurnError(
            f"OpenClaw's memory got an embedding, but not through {name}: `openclaw config get"
            " memory.search` on the host says from where"
        )
    remote.tell(agent.host, f"its memory got an embedding: {_cost_of(rows)}", "")


def _call(agent: Agent, arguments: list[str]) -> dict[str, Any]:
    """What OpenClaw's own command answers as JSON; a list is under "agents". Raises TurnError and RemoteError."""
    # Its unit may have it listen where its configuration does not say.
    command = openclaw_config.command(agent, arguments, [f"OPENCLAW_GATEWAY_PORT={openclaw_ready.port(agent)}"])
    # It fails where it has something to say, and says it on standard output.
    lines = remote.run(agent.host, f"{command} || true")
    said = "\n".join(lines)
    try:
        answer = json.loads(said[min((at for at in map(said.find, "[{") if at >= 0), default=0) :])
    except ValueError:
        raise TurnError(explain(agent, said[-500:] or "it says nothing")) from None
    if isinstance(answer, list):
        return {"agents": answer}
    if answer.get("ok") is False:
        error = answer.get("error") or {}
        raise TurnError(explain(agent, str(error.get("message") if isinstance(error, dict) else error)))
    return dict(answer)


_FAILURES: Sequence[tuple[str, str]] = (
    (
        r"No route-compatible authentication source|No API key found|Unknown model",
        "it has no provider for its model: run deploy.py, which writes it (openclaw_provider), or give that agent the"
        " model of the gateway",
    ),
    (
        r"temporarily disabled after a provider auth/billing failure|in cooldown",
        "the gateway refused its key a moment ago, and it asks nothing for about a minute since: run it again in two"
        " minutes; if it says HTTP 401 or 403 then, run deploy.py",
    ),
    (
        r"HTTP 401",
        "the gateway refuses the key that it was started with: `systemctl restart {unit}` has it read .env again;"
        " if that does not help, run deploy.py",
    ),
    (
        r"HTTP 403",
        "the gateway refuses this request of the token {token}: its quota is used up, or it may not use {model}"
        " (gateway_tokens, or the admin page of tokens)",
    ),
    (
        r"[Cc]ontext overflow|context (size|length|window)",
        "the context of {model} is too small for its prompt ({cost}): choose another llm_model, or correct"
        " openclaw_context_window",
    ),
    (
        r"unauthorized",
        "its own gateway wants a token that its command does not find: set gateway.auth.token in openclaw.json",
    ),
    (
        r"Gateway not reachable|gateway closed|ECONNREFUSED",
        "its own gateway does not answer on this host: `systemctl status {unit}`",
    ),
    (
        r"gateway timeout|timed? ?out",
        "it got no answer within {seconds} s (it repeats what is refused with 429 until then): `docker logs"
        " {container}` on {gateway} shows what the gateway did",
    ),
    (
        r"connection refused|network connection|[Cc]onnection error|could not be (reached|resolved)",
        "it gets no connection to {url}, though this host does: look for a proxy in the environment of {unit}",
    ),
    (
        r"HTTP 5\d\d|HTTP 429|provider internal error|rate limit",
        "the gateway, or the service behind it, fails: `docker logs {container}` on {gateway} says which",
    ),
    (r"not found by the provider", "the gateway has no {model}: verify.py without --turn says why"),
    (
        r"incognito|unexpected property|unknown method",
        "this version has no private sessions (2026.8.2 and 2026.9.6 have): update OpenClaw, or leave"
        ' the turn out with openclaw_turn = "never"',
    ),
)
"""What OpenClaw 2026.9.6 says (as seen), and what that means here; the first that fits."""


def explain(agent: Agent, said: str) -> str:
    """Why no turn was answered, and what to do, for what OpenClaw said."""
    said = " ".join(said.split())
    for pattern, meaning in _FAILURES:
        if re.search(pattern, said):
            known = meaning.format(
                unit=agent.settings.openclaw_unit,
                token=token_name(agent.name),
                model=agent.settings.llm_model,
                gateway=agent.gateway.name,
                container=layout.PROJECT,
                url=agent.gateway.base_url,
                seconds=_TURN_SECONDS,
                cost=_COST,
            )
            return f"OpenClaw answers no turn: {known}. It says: {said}"
    return f"OpenClaw answers no turn. It says: {said}"


def _asked(agent: Agent) -> list[Gateway]:
    """The gateways that it may ask, as far as this run can look into their logs: the first one first."""
    usable = [node.gateway for node in agent.nodes if openclaw.is_usable(agent, node)]
    return list(dict.fromkeys(usable)) or [agent.gateway]


def _last_logged(agent: Agent) -> dict[Gateway, int]:
    """The number of the last request of the host's token, by gateway. Raises TurnError."""
    return {gateway: _last_logged_of(agent, gateway) for gateway in _asked(agent)}


def _last_logged_of(agent: Agent, gateway: Gateway) -> int:
    try:
        with admin_api(gateway) as admin:
            if admin.options().get("LogConsumeEnabled") == "false":
                raise TurnError(
                    f"the log of {gateway.name} is off, so that no turn could be seen in it: set"
                    ' gateway_options["LogConsumeEnabled"] = True'
                )
            return admin.last_logged(token_name(agent.name))
    except (AdminError, RouteError) as problem:
        raise TurnError(f"the log of {gateway.name} cannot be read: {problem}") from None


def _logged(agent: Agent, after: Mapping[Gateway, int]) -> tuple[str, list[LogRow]]:
    """The requests of the host's token since, once there are any, with the name of the gateway.

    The log is written behind the answer's back. Where there are none, the names of all gateways.
    """
    deadline = time.monotonic() + _LOG_SECONDS
    while True:
        for gateway, last in after.items():
            if rows := _logged_by(agent, gateway, last):
                return gateway.name, rows
        if time.monotonic() > deadline:
            return " and ".join(gateway.name for gateway in after), []
        time.sleep(_LOOK_AGAIN_SECONDS)


def _logged_by(agent: Agent, gateway: Gateway, after: int) -> list[LogRow]:
    try:
        with admin_api(gateway) as admin:
            return admin.log(token_name(agent.name), after)
    except (AdminError, RouteError) as problem:
        raise TurnError(f"the log of {gateway.name} cannot be read: {problem}") from None


def _cost_of(rows: Sequence[LogRow]) -> str:
    asked, answered = sum(row.prompt_tokens for row in rows), sum(row.completion_tokens for row in rows)
    models = ", ".join(sorted({row.model_name for row in rows}))
    quota = sum(row.quota for row in rows)
    return (
        f"{asked + answered:,} tokens ({asked:,} + {answered:,}) of {models}, quota {quota:,}, by its log under the"
        f" token {rows[0].token_name}"
    )


def no_embedding(agent: Agent) -> str | None:
    """Why the running OpenClaw cannot be had to ask its gateway for an embedding; None where it can."""
    unit = agent.settings.openclaw_unit
    if not openclaw_config.has_command(agent):
        return f"ExecStart= of {unit} names no OpenClaw"
    if openclaw.is_stopped(agent):
        return f"{unit} is stopped"
    if not (openclaw_config.is_managed(agent) and agent.settings.openclaw_memory_search):
        return "its memory does not search by the gateway, and a turn would cost " + _COST
    return None


def embed(agent: Agent) -> str:
    """Have the running OpenClaw, and no other process, embed one word; what was seen of that, in words.

    Raises TurnError where it was not answered, or not seen, and RemoteError.
    """
    is_logged = _is_logged(agent)
    before = _last_logged(agent) if is_logged else {}
    asked = ["gateway", "call", "doctor.memory.status", "--params", '{"probe":true}', "--json"]
    while True:
        said = _call(agent, asked)
        probe = said.get("embedding") or {}
        if not probe.get("cached"):
            break
        # It asks once in 30 s, and repeats what it was answered (2026.9.6).
        step(agent.host, f"openclaw: waiting {_PROBE_CACHE_SECONDS} s, until it asks its gateway anew")
        remote.run(agent.host, f"sleep {_PROBE_CACHE_SECONDS}")
    if "searchRuntimeRegistered" in said:
        return "it was not seen to use the new key, because its memory is not OpenClaw's own"
    if not probe.get("ok"):
        raise TurnError(explain(agent, f"its memory gets no embedding: {probe.get('error')}"))
    if not is_logged:
        return "by its own word it was answered with the new key (the log of the gateway is off: LogConsumeEnabled)"
    name, rows = _logged(agent, before)
    if not rows:
        raise TurnError(
            f"the running OpenClaw got an embedding, but the log of {name} has no request of the token"
            f" {token_name(agent.name)}: `openclaw config get memory.search` on the host says from where"
        )
    return f"its own request with the new key is in the gateway's log: {_cost_of(rows)}"


def _is_logged(agent: Agent) -> bool:
    for gateway in _asked(agent):
        try:
            with admin_api(gateway) as admin:
                if admin.options().get("LogConsumeEnabled") == "false":
                    return False
        except (AdminError, RouteError) as problem:
            raise TurnError(f"the options of {gateway.name} cannot be read: {problem}") from None
    return True
