"""Rotating a gateway's keys: what is asked for, what stands in its way, and its steps."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from functools import partial

from pyinfra.api import DeployError, FunctionCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.contents import provisioning
from llm_gateway.contents.admin import admin_api
from llm_gateway.contents.desired import own_token, own_tokens, token_name
from llm_gateway.flavours.oneapi import OneAPIError, Token
from llm_gateway.hosts import progress, remote
from llm_gateway.hosts.member import Member
from llm_gateway.hosts.route import RouteError
from llm_gateway.inputs import run_options
from llm_gateway.inputs.secrets import Generated, SecretsError
from llm_gateway.model import layout
from llm_gateway.model.layout import SECRETS
from llm_gateway.model.suggestion import suggest
from llm_gateway.parts import database, first_start, installation, migration_marker, service
from llm_gateway.tasks import preflight, survey
from llm_gateway.tasks.rotation import access_renewal, token_renewal
from llm_gateway.tasks.rotation.access_renewal import RotationError

TOKENS = "tokens"
ALL = "all"
KEYS = (TOKENS, *access_renewal.KINDS)
_OPTIONS = {"keys": f"what to rotate: {', '.join(KEYS)}, several of them with commas between, or {ALL}"}
_TO_COME = "0" * 48
"""In the place of a key that a plan cannot know yet."""


def member_to_rotate(state: State, host: Host) -> tuple[Member, frozenset[str]]:
    """The member for a host of this run, and which of `KEYS` are to be rotated.

    Raises DeployError with all problems of all hosts.
    """
    keys = chosen_keys(run_options.read(state, _OPTIONS).get("keys", ""))
    return survey.member_for(state, host, PURPOSE), keys


def chosen_keys(text: str) -> frozenset[str]:
    """What `--data keys=…` names. Raises DeployError."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in (*KEYS, ALL):
            hint = suggest(name, (*KEYS, ALL))
            raise DeployError(f"--data keys={text}: there is no {name} to rotate{hint}\n{_OPTIONS['keys']}")
    if not names:
        raise DeployError(f"say what to rotate with --data keys=…\n{_OPTIONS['keys']}")
    return frozenset(KEYS if ALL in names else names)


def _problems(member: Member) -> Iterator[str]:
    """What prevents a deployment; and what is not deployed yet.

    A rotation restarts services and writes addresses: only where these are as they are declared.
    """
    found = [*preflight.problems(member), *migration_marker.problems(member)]
    yield from found
    if member.is_openclaw and member.gateway.name not in member.fleet.members:
        yield f"its gateway {member.gateway.name} is not in this run: name it too (--limit), or leave --limit out"
    if found or not member.is_gateway:
        return
    if not first_start.is_done(member):
        yield f"no deployment has been completed in {member.directory}: run deploy.py first"
        return
    # What a rotation that was cut off has left is finished by the next one.
    own = (f"{member.directory}/{layout.SECRETS}", f"{member.directory}/{layout.ENVIRONMENT}")
    if others := [file.what for file in installation.differing_files(member) if file.path not in own]:
        yield f"{', '.join(others)} is not as declared: run deploy.py first"
    elif not service.container_is_as_wanted(member):
        yield "the gateway does not run as declared: run deploy.py first"
    try:
        access_renewal.staged(member)
    except SecretsError as problem:
        yield str(problem)


PURPOSE = survey.Purpose(
    (preflight.group_problems,),
    (_problems,),
    lock=True,
    fleet_checks=(preflight.declaration_problems,),
)


def renew_access(member: Member, keys: frozenset[str]) -> None:
    """Give a gateway new secrets of its own, of those in `keys`, and finish what an earlier run has left."""
    if not member.is_gateway:
        return
    left = access_renewal.staged(member)
    kinds = keys & {*access_renewal.KINDS}
    if not (kinds or left or access_renewal.runs_with_older_files(member)):
        return
    wanted = access_renewal.with_new(left or member.generated, kinds)
    _prepare_database(member, wanted)
    _renew_access(name="Give the gateway its new secrets", member=member, wanted=wanted)


def resume(member: Member) -> None:
    """Finish the rotation of a gateway's own secrets that was cut off, in a run that is for something else."""
    try:
        left = access_renewal.staged(member)
    except SecretsError as problem:
        raise DeployError(f"{member.name}: {problem}") from None
    if left is not None:
        _prepare_database(member, left)
        _renew_access(name="Finish the rotation of the gateway's secrets", member=member, wanted=left)


def _prepare_database(member: Member, wanted: Generated) -> None:
    if not access_renewal.needs_database(member, wanted):
        return
    try:
        if problem := database.elsewhere(member):
            raise DeployError(f"{member.name}: access_token: {problem}")
        if not database.can_be_written(member):
            remote.shell(name="Install sqlite3, which writes the gateway's database", command=database.INSTALL)
    except remote.RemoteError as problem:
        raise DeployError(f"{member.name}: {problem}; nothing was changed") from None


@operation()
def _renew_access(member: Member, wanted: Generated) -> Generator[FunctionCommand, None, None]:
    yield remote.Callback(_renew_access_now, (member, wanted), {})


def _renew_access_now(state: State, host: Host, member: Member, wanted: Generated) -> bool:
    try:
        access_renewal.carry_out(member, wanted, partial(_step, host))
    except (RotationError, database.DatabaseError, RouteError, remote.RemoteError, OneAPIError) as problem:
        told = database.told(member, problem)
        remote.complain(host, f"rotation incomplete: {told}; run this again to resume")
        return False
    remote.tell(
        host,
        f"the gateway takes the new secrets in {member.directory}/{SECRETS}; backups made before hold the old ones",
    )
    return True


def renew_tokens(member: Member) -> None:
    """Make new tokens on the gateways; on other hosts, wait until all gateways have them.

    The hosts share this step for the order of theirs, as `provisioning.reconcile` does.
    """
    _renew_tokens(name="Make new tokens beside the present ones", member=member)


@operation()
def _renew_tokens(member: Member) -> Generator[FunctionCommand, None, None]:
    is_plan = not member.host.state.is_executing
    if member.is_openclaw:
        _expect_key(member, is_plan)
    if not member.is_gateway:
        return
    if is_plan:
        for name in own_tokens(member):
            remote.tell(member.host, f"to come: {_told(member, name)}")
    if declared := [token.name for token in member.settings.gateway_tokens]:
        remote.tell(
            member.host,
            f"the tokens of gateway_tokens keep their keys ({', '.join(declared)}): who uses them is not known here."
            " For a new key, declare another token, hand its key out, and then take the first out",
        )
    yield remote.Callback(_renew_tokens_now, (member,), {})


def _expect_key(agent: Member, is_plan: bool) -> None:
    """Let the plan of the later steps show that this host's key changes; what is written is never this."""
    keys, name = agent.gateway.token_keys, token_name(agent.name)
    if is_plan:
        keys[name] = _TO_COME
    elif keys.get(name) == _TO_COME:
        del keys[name]


def _told(member: Member, name: str) -> str:
    reason = _left_alone(member, name)
    if reason:
        return f"the token {name} was not rotated: {reason}"
    return f"a new token {name}; the present one goes when the new one is seen in use"


def _left_alone(member: Member, name: str) -> str | None:
    """Why a token is not rotated in this run."""
    for agent in member.fleet.agents_of(member):
        if token_name(agent.name) == name and agent.name not in member.fleet.members:
            return f"{agent.name} is not reached in this run; run this again when it is"
    return None


def _renew_tokens_now(state: State, host: Host, member: Member) -> bool:
    try:
        with admin_api(member) as admin:
            tokens = admin.tokens()
            member.is_republished = True  # what was read of it does not hold any more
            for name in own_tokens(member):
                if reason := _left_alone(member, name):
                    remote.tell(host, f"the token {name} was not rotated: {reason}")
                elif present := token_renewal.shut_out(tokens, name):
                    remote.tell(host, f"the token {name} was not rotated: it is disabled, which shuts its host out")
                    member.token_keys[name] = present.key
                else:
                    made = token_renewal.renew(admin, tokens, own_token(member, name), partial(_step, host))
                    member.token_keys[name] = made.key
                    _remember(member, made)
    except (OneAPIError, RouteError) as problem:
        remote.complain(host, f"not all tokens are new: {provisioning.explained(member, problem)}")
        return False
    except remote.RemoteError as problem:
        remote.complain(host, f"not all tokens are new: {problem}")
        return False
    return True


def _remember(member: Member, made: Token) -> None:
    """Its number is what tells that it is ours; without it the next deployment would have something to do."""
    ids = {**member.record.ids, f"token:{made.name}": made.id}
    provisioning.remember(member, replace(member.record, tokens=member.record.tokens | {made.name}, ids=ids))


def _step(host: Host, text: str) -> None:
    progress.step(host, f"rotate: {text}")
