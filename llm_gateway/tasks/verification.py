"""The proof: a real completion and embedding from each host that asks, by its own path; and every declared model.

A gateway is asked on its host with its own token, an OpenClaw host's from that host, with its .env as it stands there.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice

import httpx
from pyinfra.api import FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_client import LLMClient, LLMError
from llm_gateway.contents import provisioning
from llm_gateway.contents.desired import VERIFICATION_TOKEN
from llm_gateway.hosts import remote
from llm_gateway.hosts.route import RouteError, route_from, route_from_here
from llm_gateway.hosts.topology import Agent, Gateway, Machine
from llm_gateway.model import layout
from llm_gateway.model.asking import AT_ONCE, ROUNDS, Answer, Question, VerificationError, ask_all
from llm_gateway.model.real_requests import complete, embed
from llm_gateway.parts.openclaw import openclaw
from llm_gateway.proof import agent_environment, agent_path
from llm_gateway.proof.agent_path import LOOK_SECONDS
from llm_gateway.proof.answer_table import distinct_problems, table
from llm_gateway.proof.broken_links import Path, explain
from llm_gateway.proof.model_questions import ALL, CHANGED, NOTHING, Served, channels_for, questions, served_models
from llm_gateway.proof.verification_keys import key_of_gateway, learn
from llm_gateway.tasks import agent_switch

# What the client logs is told below, once; without a handler, Python would print it between the lines.
logging.getLogger("llm_client").addHandler(logging.NullHandler())


def verify(machine: Machine, models: str = CHANGED) -> None:
    """Ask for a completion and an embedding from this host; the run fails where there is no answer.

    On a gateway host, also ask each of the declared models for one word or one embedding, on each of its channels,
    eight at once, and show what they answer as a table. All that fail are told.

    Parameters: `models`, which of them where the setting `verification_models` leaves it open: "all"; "changed",
    those of the channels that this run has made or changed (`machine.changed_channels`: none in a run that only
    verifies); "none". A run that has changed nothing thereby asks no more than the two questions.
    """
    _verify(
        name="Verify with a real completion and a real embedding",
        machine=machine,
        models=machine.settings.verification_models or models,
    )


def prove_gateway(machine: Machine) -> None:
    """Where an OpenClaw host is to be pointed at this gateway, ask that first, with its own token.

    All hosts share this step, so that no OpenClaw host goes on before all gateways have answered; one that has not
    answered fails, and its OpenClaw hosts are left as they are.
    """
    _prove_gateway(name="Prove the gateway before OpenClaw is pointed at it", machine=machine)


@operation()
def _prove_gateway(machine: Machine) -> Generator[FunctionCommand, None, None]:
    """A check, not a change, as `_verify`."""
    if not (machine.host.state.is_executing and machine.node):
        return
    gateway = machine.node.gateway
    if not any(agent_switch.is_to_be_proven(agent, gateway) for agent in gateway.agents if agent.is_reached):
        return  # they are asked for all at once, at the end
    try:
        with ExitStack() as stack:
            way = _way_to(gateway, stack)
            answers = ask_all(proofs(gateway, _key(gateway), way), gateway.settings.verification_timeout)
    except VerificationError as problem:
        yield _failure([str(problem)])
        return
    if problems := distinct_problems(answers):
        yield _failure(problems)
        return
    gateway.answers = answers


@operation()
def _verify(machine: Machine, models: str) -> Generator[FunctionCommand, None, None]:
    """A check, not a change: it yields a command, one that fails, only where something is wrong."""
    if not machine.host.state.is_executing:
        return
    gateway = machine.node.gateway if machine.node else None
    served = served_models(gateway, models) if gateway else []
    try:
        asked = _ask(machine, served)
    except VerificationError as problem:
        yield _failure([str(problem)])
        return
    if gateway and served:
        remote.tell(machine.host, table(_rows(gateway, asked, served)), None if models == ALL else "")
    if problems := [*distinct_problems([*asked.of_gateway, *asked.of_models]), *_problems_of_agent(machine, asked)]:
        yield _failure(problems)
        return
    if gateway and models != NOTHING and gateway.changed_channels:
        try:
            provisioning.remember_proof(gateway)
        except remote.RemoteError as problem:
            yield _failure([str(problem)])
            return
    of_agent = [answer for answers in asked.of_agent.values() for answer in answers]
    brief = _brief([*asked.of_gateway, *asked.of_models, *of_agent])
    if gateway and asked.of_gateway:
        told = f"verified on {gateway.base_url}: {_told(asked.of_gateway)}"
        remote.tell(machine.host, told, brief)
        brief = ""  # it is of all that this host was asked
        _look_from_here(gateway)
    for url, answers in asked.of_agent.items():
        told = f"verified on {url.removesuffix('/v1')} from this host, with its .env: {_told(answers)}"
        remote.tell(machine.host, told, brief)
        brief = ""


@dataclass(frozen=True)
class _Asked:
    """What was answered: to a gateway's own token, to the tokens of OpenClaw on the host, and by the other models.

    `of_agent`: by base URL.
    """

    of_gateway: list[Answer]
    of_agent: dict[str, list[Answer]]
    of_models: list[Answer]
    unasked: str = ""
    """Why OpenClaw could not ask, on a host that is a gateway, too."""


def _told(answers: Sequence[Answer]) -> str:
    return "; ".join(f"{answer.model} {answer.result} in {answer.seconds:.2f} s" for answer in answers)


def _brief(answers: Sequence[Answer]) -> str:
    slowest = max((answer.seconds or 0.0 for answer in answers), default=0.0)
    return f"verified within {slowest:.2f} s: {', '.join(dict.fromkeys(answer.model for answer in answers))}"


def _problems_of_agent(machine: Machine, asked: _Asked) -> list[str]:
    """Named as OpenClaw's where the host is a gateway, too."""
    found = [asked.unasked] if asked.unasked else []
    for url, answers in asked.of_agent.items():
        is_fallback = url != next(iter(asked.of_agent))
        found += [f"{url}: {problem}" if is_fallback else problem for problem in distinct_problems(answers)]
    return [f"OpenClaw on this host: {problem}" for problem in found] if machine.node else found


def _rows(gateway: Gateway, asked: _Asked, served: Sequence[Served]) -> list[Answer]:
    """The gateway's proofs, and each model in the order of the declarations."""
    left = iter(asked.of_models)
    told = [next(left) if each.is_asked else each.unasked() for each in served if not _is_proven_already(gateway, each)]
    return [*asked.of_gateway, *told]


def _failure(problems: Sequence[str]) -> FunctionCommand:
    def fail(state: State, host: Host) -> bool:
        if len(problems) == 1:
            remote.complain(host, f"verification failed: {problems[0]}")
        else:
            lines = [f"verification failed: {len(problems)} problems", *(f"  - {problem}" for problem in problems)]
            remote.complain(host, "\n".join(lines))
        return False

    return remote.Callback(fail, (), {})


def _ask(machine: Machine, served: Sequence[Served]) -> _Asked:
    """Ask what this host's users ask, and the gateway's other models, all at once."""
    gateway, agent = machine.node.gateway if machine.node else None, machine.agent
    if agent and not any(node.is_reached for node in agent.nodes):
        names = ", ".join(node.name for node in agent.nodes)
        raise VerificationError(f"its gateway {names} is not reached in this run; fix it, or run without --limit")
    with ExitStack() as stack:
        of_gateway: list[Question] = []
        of_agent: dict[str, list[Question]] = {}
        of_models: list[Question] = []
        unasked = ""
        if gateway:
            way = _way_to(gateway, stack)
            key = _key(gateway)
            of_gateway = [] if gateway.answers else proofs(gateway, key, way)
            of_models = _others(gateway, served, key, way)
        if agent and not agent.answers:
            try:
                of_agent = _of_agent(agent, stack)
            except VerificationError as problem:
                if not gateway:
                    raise
                unasked = str(problem)
        by_agent = [question for questions in of_agent.values() for question in questions]
        answers = iter(ask_all([*of_gateway, *by_agent, *of_models], machine.settings.verification_timeout))
    return _Asked(
        [*islice(answers, len(of_gateway))] or (gateway.answers if gateway else []),
        {url: [*islice(answers, len(questions))] for url, questions in of_agent.items()}
        or (agent.answers if agent else {}),
        [*answers],
        unasked,
    )


def _of_agent(agent: Agent, stack: ExitStack) -> dict[str, list[Question]]:
    """What OpenClaw on the host asks, by base URL, with its .env as it stands there now and by the host's own way."""
    for gateway in agent.gateways:
        if gateway.is_reached:
            with suppress(RouteError, VerificationError):  # so that another key is seen unsent; else One API judges it
                learn(gateway)
    for node in openclaw.missing(agent):
        remote.tell(agent.host, f"{node.name}, which this host asks too, is not reached in this run and was not asked")
    found = {}
    for environment in agent_environment.on_disk(agent):
        way = stack.enter_context(agent_path.reaching(agent, environment))
        found[environment.base_url] = agent_path.questions(agent, environment, way)
    return found


def _way_to(gateway: Gateway, stack: ExitStack) -> httpx.BaseTransport:
    """The way that the gateway's own host has to it."""
    try:
        return stack.enter_context(route_from(gateway.node.host, gateway.address, gateway.settings.gateway_port))
    except RouteError as problem:
        raise _unreached(gateway, problem) from None


def _unreached(gateway: Gateway, problem: RouteError) -> VerificationError:
    return VerificationError(
        f"no TCP connection to {gateway.base_url}: {problem}. On {gateway.name}: `systemctl status"
        f" {layout.PROJECT}` and `tailscale status`"
    )


def _key(gateway: Gateway) -> str:
    try:
        return key_of_gateway(gateway)
    except RouteError as problem:
        raise _unreached(gateway, problem) from None


def proofs(gateway: Gateway, key: str, way: httpx.BaseTransport) -> list[Question]:
    """What proves a gateway on its own host, with its own token."""
    settings = gateway.settings
    client = LLMClient(f"{gateway.base_url}/v1", f"sk-{key}", transport=way)
    return [
        _proof(gateway, settings.llm_model, partial(complete, client, settings.llm_model)),
        _proof(
            gateway,
            settings.embedding_model,
            partial(embed, client, settings.embedding_model, settings.embedding_dimensions),
        ),
    ]


def _proof(gateway: Gateway, model: str, ask: Callable[[float], str]) -> Question:
    channel = " or ".join(channels_for(model, gateway)) or "none declared"
    return Question(model, channel, ask, partial(explain, Path(gateway.name, gateway, model)))


def _others(gateway: Gateway, served: Sequence[Served], key: str, way: httpx.BaseTransport) -> list[Question]:
    """What the gateway on this host is asked besides."""
    asked = [each for each in served if each.is_asked and not _is_proven_already(gateway, each)]
    if not asked:
        return []
    found = list(questions(gateway, asked, key, way))
    most = ROUNDS * gateway.settings.verification_timeout
    remote.tell(gateway.node.host, f"asking {len(found)} more questions, {AT_ONCE} at once, {most} s at most ...")
    return found


def _is_proven_already(gateway: Gateway, served: Served) -> bool:
    """Whether one of the two proofs asks this very model on the only channel that can answer."""
    return served.is_routed and served.model in (gateway.settings.llm_model, gateway.settings.embedding_model)


def _look_from_here(gateway: Gateway) -> None:
    """Say whether this machine, where it is on the tailnet, reaches the gateway: beside the hosts' own paths.

    It fails nothing: gateway_allowed_peers may leave this machine out on purpose.
    """
    brief = None
    try:
        with route_from_here(gateway.address, gateway.settings.gateway_port) as way:
            if way is None:
                return
            began = time.monotonic()
            client = LLMClient(f"{gateway.base_url}/v1", f"sk-{gateway.token_keys[VERIFICATION_TOKEN]}", transport=way)
            client.models(timeout=LOOK_SECONDS)
            told = f"reaches {gateway.name} by the tailnet, too: {(time.monotonic() - began) * 1000:.0f} ms"
            brief = ""
    except RouteError as problem:
        told = f"does not reach {gateway.name} by the tailnet: {problem} (its hosts were asked themselves, see above)"
    except LLMError as problem:
        told = f"is not answered by {gateway.name} by the tailnet: {problem.summary}"
    remote.tell(gateway.node.host, f"this machine {told}", brief)
