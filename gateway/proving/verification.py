"""The proof: a real completion and a real embedding, on the path that the users take; and every declared model."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING

import httpx
from pyinfra.api import FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from client import LLMClient
from gateway import remote
from gateway.contents import provisioning
from gateway.proving.answer_table import distinct_problems, table
from gateway.proving.asking import AT_ONCE, ROUNDS, Answer, Question, ask_all
from gateway.proving.broken_links import Path, VerificationError, explain
from gateway.proving.model_questions import CHANGED, NOTHING, Served, channels_for, questions, served_models
from gateway.proving.real_requests import complete, embed
from gateway.proving.verification_keys import key_of_gateway, key_of_users
from gateway.route import RouteError, route

if TYPE_CHECKING:
    from gateway.fleet import Member

# What the client logs is told below, once; without a handler, Python would print it between the lines.
logging.getLogger("llm_client").addHandler(logging.NullHandler())


def verify(member: Member, models: str = CHANGED) -> None:
    """Ask the gateway for a completion and an embedding; the run fails where it does not answer.

    On a gateway host, also ask each of the declared models for one token or one embedding, on each of its channels,
    eight at once, and show what they answer as a table. All that fail are told.

    Parameters: `models`, which of them where the setting `verification_models` leaves it open: "all"; "changed",
    those of the channels that this run has made or changed (`member.changed_channels`: none in a run that only
    verifies); "none". A run that has changed nothing thereby asks no more than the two questions.
    """
    _verify(
        name="Verify with a real completion and a real embedding",
        member=member,
        models=member.settings.verification_models or models,
    )


@operation()
def _verify(member: Member, models: str) -> Generator[FunctionCommand, None, None]:
    """A check, not a change: it yields a command, one that fails, only where something is wrong."""
    if not member.host.state.is_executing:
        return
    served = served_models(member, models) if member.is_gateway else []
    try:
        proofs, others = _ask(member, served)
    except VerificationError as problem:
        yield _failure([str(problem)])
        return
    if served:
        remote.tell(member.host, table(_rows(member, proofs, served, others)))
    if problems := distinct_problems([*proofs, *others]):
        yield _failure(problems)
        return
    if models != NOTHING and member.changed_channels:
        try:
            provisioning.remember_proof(member)
        except remote.RemoteError as problem:
            yield _failure([str(problem)])
            return
    told = "; ".join(f"{proof.model} {proof.result} in {proof.seconds:.2f} s" for proof in proofs)
    remote.tell(member.host, f"verified on {member.gateway.base_url}: {told}")


def _rows(member: Member, proofs: list[Answer], served: Sequence[Served], others: list[Answer]) -> list[Answer]:
    """The proofs, where they are this gateway's, and each model in the order of the declarations."""
    left = iter(others)
    told = [next(left) if each.is_asked else each.unasked() for each in served if not _is_proven_already(member, each)]
    return [*(proofs if member.gateway is member else ()), *told]


def _failure(problems: Sequence[str]) -> FunctionCommand:
    def fail(state: State, host: Host) -> bool:
        if len(problems) == 1:
            remote.complain(host, f"verification failed: {problems[0]}")
        else:
            lines = [f"verification failed: {len(problems)} problems", *(f"  - {problem}" for problem in problems)]
            remote.complain(host, "\n".join(lines))
        return False

    return remote.Callback(fail, (), {})


def _ask(member: Member, served: Sequence[Served]) -> tuple[list[Answer], list[Answer]]:
    """Ask what the users of this host's path ask, and the gateway's other models; the answers to either."""
    gateway = member.gateway
    if gateway.name not in member.fleet.members:
        raise VerificationError(
            f"its gateway {gateway.name} is not reached in this run; mend it, or run without --limit"
        )
    with ExitStack() as stack, _reaching(gateway):
        way = stack.enter_context(route(gateway.host, gateway.address, gateway.settings.gateway_port))
        proofs = _proofs(member, way)
        others = _others(member, served, way if gateway is member else None, stack)
        answers = ask_all([*proofs, *others], member.settings.verification_timeout)
    return answers[: len(proofs)], answers[len(proofs) :]


@contextmanager
def _reaching(gateway: Member) -> Iterator[None]:
    try:
        yield
    except RouteError as problem:
        raise VerificationError(
            f"no TCP connection to {gateway.base_url}: {problem}. On {gateway.name}: `systemctl status"
            " openclaw-llm-gateway` and `tailscale status`"
        ) from None


def _proofs(member: Member, way: httpx.BaseTransport) -> list[Question]:
    """What the users of this host's path ask, with their token."""
    settings = member.settings
    client = LLMClient(f"{member.gateway.base_url}/v1", f"sk-{key_of_users(member)}", transport=way)
    return [
        _proof(member, settings.llm_model, partial(complete, client, settings.llm_model)),
        _proof(
            member,
            settings.embedding_model,
            partial(embed, client, settings.embedding_model, settings.embedding_dimensions),
        ),
    ]


def _proof(member: Member, model: str, ask: Callable[[float], str]) -> Question:
    gateway = member.gateway
    channel = " or ".join(channels_for(model, gateway)) or "none declared"
    return Question(model, channel, ask, partial(explain, Path(member, gateway, model)))


def _others(
    member: Member, served: Sequence[Served], way: httpx.BaseTransport | None, stack: ExitStack
) -> list[Question]:
    """What the gateway on this host is asked besides; `way` leads to it where there is one already."""
    asked = [each for each in served if each.is_asked and not _is_proven_already(member, each)]
    if not asked:
        return []
    with _reaching(member):
        way = way or stack.enter_context(route(member.host, member.address, member.settings.gateway_port))
        found = list(questions(member, asked, key_of_gateway(member), way))
    most = ROUNDS * member.settings.verification_timeout
    remote.tell(member.host, f"asking {len(found)} more questions, {AT_ONCE} at once, {most} s at most ...")
    return found


def _is_proven_already(member: Member, served: Served) -> bool:
    """Whether one of the two proofs asks this very model on the only channel that can answer."""
    proven = (member.settings.llm_model, member.settings.embedding_model)
    return member.gateway is member and served.is_routed and served.model in proven
