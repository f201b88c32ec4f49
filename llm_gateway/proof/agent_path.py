"""An OpenClaw host's own path to its gateway: what it asks by it, and why nothing comes back where nothing does."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx

from llm_client import LLMClient, LLMError
from llm_client.answers import Reply, json_answer
from llm_gateway.contents import budgets
from llm_gateway.hosts import remote
from llm_gateway.hosts.route import RouteError, route_from
from llm_gateway.hosts.topology import Agent, Gateway
from llm_gateway.model import layout, shell
from llm_gateway.model.asking import Answer, Question, VerificationError, ask_all
from llm_gateway.model.checkout import TAILSCALE_PROBLEM
from llm_gateway.model.concurrency import concurrently
from llm_gateway.model.real_requests import complete, embed
from llm_gateway.parts.openclaw import openclaw
from llm_gateway.parts.openclaw.openclaw import Place
from llm_gateway.proof import agent_environment
from llm_gateway.proof.agent_environment import AgentEnvironment
from llm_gateway.proof.answer_table import distinct_problems
from llm_gateway.proof.broken_links import Path as Link
from llm_gateway.proof.broken_links import explain
from llm_gateway.proof.model_questions import channels_for

LOOK_SECONDS = 5
_AGAIN_SECONDS = 2
"""What a host may take to say in its own words why it gets no connection, once it has got none."""
_SCRIPT = Path(__file__).with_name("agent_path.sh")


@dataclass(frozen=True)
class Look:
    """Whether a host reaches its gateway: in how many seconds it was answered, or why not, in a word and in full."""

    seconds: float | None
    short: str = ""
    problem: str = ""


def prove(agent: Agent, environment: AgentEnvironment) -> list[Answer]:
    """Ask from the host for a completion and an embedding, with this environment.

    Raises VerificationError with all that is wrong.
    """
    with reaching(agent, environment) as way:
        answers = ask_all(questions(agent, environment, way), agent.settings.verification_timeout)
    if problems := distinct_problems(answers):
        raise VerificationError("; ".join(problems))
    return answers


def complete_once(agent: Agent, environment: AgentEnvironment) -> None:
    """Ask from the host for a completion alone. Raises VerificationError."""
    with reaching(agent, environment) as way:
        (answer,) = ask_all(questions(agent, environment, way)[:1], agent.settings.verification_timeout)
    if answer.problem:
        raise VerificationError(answer.problem)


@contextmanager
def reaching(agent: Agent, environment: AgentEnvironment) -> Iterator[httpx.BaseTransport]:
    """The host's own way to what its environment names. Raises VerificationError where that leads nowhere."""
    with ExitStack() as stack:
        try:
            transport = stack.enter_context(route_from(agent.host, environment.host, environment.port))
        except RouteError as problem:
            raise VerificationError(_explained(agent, environment, str(problem))) from None
        yield transport


def questions(agent: Agent, environment: AgentEnvironment, way: httpx.BaseTransport) -> list[Question]:
    """What OpenClaw on the host asks its gateway for."""
    settings = agent.settings
    client = LLMClient(environment.base_url, f"sk-{environment.key}", transport=way)
    is_declared = environment.embedding_model == settings.embedding_model
    length = settings.embedding_dimensions if is_declared else None
    asked = (  # one model may be both
        (environment.llm_model, partial(complete, client, environment.llm_model)),
        (environment.embedding_model, partial(embed, client, environment.embedding_model, length)),
    )
    return [
        Question(
            model,
            " or ".join(channels_for(model, environment.gateway)) or "none declared",
            ask,
            partial(explain, Link(agent.name, environment.gateway, model)),
        )
        for model, ask in asked
    ]


def served_by(gateway: Gateway, address: str, port: int) -> list[Agent]:
    """The OpenClaw hosts of a gateway that are answered now by what is published there, with their .env as it was read.

    One whose token cannot be judged now, as the gateway cannot read its database, counts as well. Those that this run
    does not reach are left out. Nothing is billed.
    """
    agents = [agent for agent in gateway.agents if agent.is_reached]

    def is_served(agent: Agent) -> bool:
        if agent.state.openclaw_account is None:
            return False
        text, path = agent.state.openclaw_env or "", openclaw.environment_path(agent)
        try:
            found = agent_environment.parse(text, path, ("LLM_BASE_URL", "LLM_API_KEY"))  # as people write it
            for each in found.of([gateway.node] * len(found.accesses)):
                if each.port == port and address in agent_environment.addresses_of(agent, each.host):
                    seen = _ask(agent, each, LOOK_SECONDS)
                    return seen.get("http") == "200" or _without_database(seen) is not None
            return False
        except (VerificationError, remote.RemoteError):
            return False  # so there is nothing that the run could take from it

    return [agent for agent, serves in zip(agents, concurrently(is_served, agents), strict=True) if serves]


def prove_all(gateway: Gateway, agents: Sequence[Agent]) -> None:
    """Ask a gateway from each of these hosts with what the run is to write there.

    Raises VerificationError with every problem.
    """

    def problem_of(agent: Agent) -> str | None:
        asked = [each for each in agent_environment.known(agent) if each.gateway is gateway]
        if not asked:
            return f"{agent.name} has no token there"
        try:
            for each in asked:
                prove(agent, each)
                agent.proven.add((each.base_url, each.key))  # so that it is pointed there with nobody asked once more
        except VerificationError as problem:
            return f"{agent.name}, which is served now, would not be any more: {problem}"
        return None

    if problems := [problem for problem in concurrently(problem_of, agents) if problem]:
        raise VerificationError("; ".join(problems))


def look(agent: Agent) -> list[Look]:
    """Whether the host reaches its gateways, in their order, with its .env as it was read, for nothing that is billed.

    Where the .env is wrong, that is told of the first one.
    """
    if agent.state.openclaw_account is None:
        return [Look(None, "no user", "the user that OpenClaw runs as is not there")]
    text, path = agent.state.openclaw_env or "", openclaw.environment_path(agent)
    try:
        found = agent_environment.parse(text, path)
    except VerificationError as problem:
        return [Look(None, "its .env", str(problem))]
    if wrong := agent_environment.mismatch(agent, found):
        return [Look(None, "its .env", wrong)]
    places = openclaw.places(agent)
    return [_look(agent, each) for each in found.of(place.node for place in places or [Place(agent.nodes[0], "")])]


def _look(agent: Agent, found: AgentEnvironment) -> Look:
    if not found.host:
        path = openclaw.environment_path(agent)
        return Look(None, "its .env", f"LLM_BASE_URL in {path} names no host: run deploy.py")
    try:
        seen = _ask(agent, found, LOOK_SECONDS)
    except remote.RemoteError as problem:
        return Look(None, "not asked", str(problem))
    code = seen.get("http")
    if code == "200":
        return Look(int(seen["took"]) / 1e6)
    short = f"HTTP {code}" if code else seen.get("said") or "no answer"
    return Look(None, "database" if _without_database(seen) else short, _why(agent, found, seen))


def _ask(agent: Agent, environment: AgentEnvironment, seconds: float) -> dict[str, str]:
    """What `agent_path.sh` answers. Raises RemoteError."""
    values = {"NAME": environment.host, "PORT": str(environment.port), "SECONDS_TO_WAIT": f"{seconds:g}"}
    lines = remote.run(agent.host, shell.program(values, TAILSCALE_PROBLEM, _SCRIPT), f"{environment.key}\n")
    answers: dict[str, str] = {}
    for name, separator, value in (line.partition("=") for line in lines):
        if separator:
            answers.setdefault(name, value.strip())  # bash says it twice where it gets no connection
    return answers


def _without_database(seen: dict[str, str]) -> LLMError | None:
    """The refusal of a gateway that cannot read its database, which One API says with 401; None where it is another."""
    if "body" not in seen:
        return None
    try:
        json_answer(Reply(int(seen["http"]), base64.b64decode(seen["body"])))
    except LLMError as problem:
        return problem if problem.reason == "gateway_database" else None
    return None


def _explained(agent: Agent, environment: AgentEnvironment, problem: str) -> str:
    """Why the host gets no connection, as far as it can be asked."""
    try:
        return _why(agent, environment, _ask(agent, environment, _AGAIN_SECONDS), problem)
    except remote.RemoteError as unasked:
        return f"{agent.name} gets no connection to {environment.host}:{environment.port}: {problem}; {unasked}"


def _why(agent: Agent, environment: AgentEnvironment, seen: dict[str, str], problem: str = "") -> str:
    gateway, code = environment.gateway, seen.get("http")
    where = f"{environment.host}:{environment.port}"
    if refused := _without_database(seen):
        return explain(Link(agent.name, gateway, environment.llm_model), refused, LOOK_SECONDS)
    if code == "401":
        if told := budgets.refusal(agent, gateway):
            return told
        return f"{gateway.name} refuses the token of {agent.name} (401): run verify.py, which says what to do"
    if code is not None:
        return f"{gateway.name} answers {code} on {where}: run verify.py, which says what is wrong"
    reason = seen.get("said") or problem or f"no answer within {LOOK_SECONDS} s"
    told = f"{agent.name} gets no connection to its gateway {gateway.name} on {where} ({reason})"
    if agent.machine is gateway.node.machine:
        return f"{told}: `systemctl status {layout.PROJECT}` says why"
    if seen.get("tailscale"):
        return f"{told}: on {agent.name}, {seen['tailscale']}"
    if not seen.get("tailnet"):
        return f"{told}: Tailscale on {agent.name} has no address: `tailscale up` there"
    return (
        f"{told}, though its own Tailscale runs ({seen['tailnet']}): `tailscale ping {environment.host}` there; on"
        f" {gateway.name} `systemctl status {layout.PROJECT}` and `tailscale set --shields-up=false`; in the"
        " inventory gateway_allowed_peers; in Tailscale's console the tailnet's access controls"
    )
