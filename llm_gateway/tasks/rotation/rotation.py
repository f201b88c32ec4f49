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
from llm_gateway.flavours import AdminError, Token
from llm_gateway.hosts import progress, remote
from llm_gateway.hosts.route import RouteError
from llm_gateway.hosts.topology import Agent, Gateway, Machine, Node
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


def machine_to_rotate(state: State, host: Host) -> tuple[Machine, frozenset[str]]:
    """The machine for a host of this run, and which of `KEYS` are to be rotated.

    Raises DeployError with all problems of all hosts.
    """
    keys = chosen_keys(run_options.read(state, _OPTIONS).get("keys", ""))
    return survey.machine_for(state, host, PURPOSE), keys


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


def _problems(machine: Machine) -> Iterator[str]:
    """What prevents a deployment; and what is not deployed yet.

    A rotation restarts services and writes addresses: only where these are as they are declared.
    """
    found = [*preflight.problems(machine), *migration_marker.problems(machine)]
    yield from found
    if machine.agent and not any(node.is_reached for node in machine.agent.nodes):
        names = ", ".join(node.name for node in machine.agent.nodes)
        yield f"its gateway {names} is not in this run: name it too (--limit), or leave --limit out"
    if found or (node := machine.node) is None:
        return
    if not first_start.is_done(node):
        yield f"no deployment has been completed in {node.directory}: run deploy.py first"
        return
    # What a rotation that was cut off has left is finished by the next one.
    own = (f"{node.directory}/{layout.SECRETS}", f"{node.directory}/{layout.ENVIRONMENT}")
    if others := [file.what for file in installation.differing_files(node) if file.path not in own]:
        yield f"{', '.join(others)} is not as declared: run deploy.py first"
    elif not service.container_is_as_wanted(node):
        yield "the gateway does not run as declared: run deploy.py first"
    try:
        access_renewal.staged(node)
    except SecretsError as problem:
        yield str(problem)


PURPOSE = survey.Purpose(
    (preflight.group_problems,),
    (_problems,),
    lock=True,
    fleet_checks=(preflight.declaration_problems,),
)


def renew_access(node: Node, keys: frozenset[str]) -> None:
    """Give a gateway new secrets of its own, of those in `keys`, and finish what an earlier run has left."""
    left = access_renewal.staged(node)
    kinds = keys & {*access_renewal.KINDS}
    if not (kinds or left or access_renewal.runs_with_older_files(node)):
        return
    wanted = access_renewal.with_new(left or node.gateway.generated, kinds)
    _prepare_database(node, wanted)
    _renew_access(name="Give the gateway its new secrets", node=node, wanted=wanted)


def resume(node: Node) -> None:
    """Finish the rotation of a gateway's own secrets that was cut off, in a run that is for something else."""
    try:
        left = access_renewal.staged(node)
    except SecretsError as problem:
        raise DeployError(f"{node.name}: {problem}") from None
    if left is not None:
        _prepare_database(node, left)
        _renew_access(name="Finish the rotation of the gateway's secrets", node=node, wanted=left)


def _prepare_database(node: Node, wanted: Generated) -> None:
    if not access_renewal.needs_database(node, wanted):
        return
    try:
        if problem := database.elsewhere(node.gateway):
            raise DeployError(f"{node.name}: access_token: {problem}")
        if not database.can_be_written(node.gateway):
            remote.shell(name="Install sqlite3, which writes the gateway's database", command=database.INSTALL)
    except remote.RemoteError as problem:
        raise DeployError(f"{node.name}: {problem}; nothing was changed") from None


@operation()
def _renew_access(node: Node, wanted: Generated) -> Generator[FunctionCommand, None, None]:
    yield remote.Callback(_renew_access_now, (node, wanted), {})


def _renew_access_now(state: State, host: Host, node: Node, wanted: Generated) -> bool:
    try:
        access_renewal.carry_out(node, wanted, partial(_step, host))
    except (RotationError, database.DatabaseError, RouteError, remote.RemoteError, AdminError) as problem:
        told = database.told(node.gateway, problem)
        remote.complain(host, f"rotation incomplete: {told}; run this again to resume")
        return False
    remote.tell(
        host,
        f"the gateway takes the new secrets in {node.directory}/{SECRETS}; backups made before hold the old ones",
    )
    return True


def renew_tokens(machine: Machine) -> None:
    """Make new tokens on the gateways; on other hosts, wait until all gateways have them.

    The hosts share this step for the order of theirs, as `provisioning.reconcile` does.
    """
    _renew_tokens(name="Make new tokens beside the present ones", machine=machine)


@operation()
def _renew_tokens(machine: Machine) -> Generator[FunctionCommand, None, None]:
    is_plan = not machine.host.state.is_executing
    if machine.agent:
        _expect_key(machine.agent, is_plan)
    if machine.node is None:
        return
    gateway = machine.node.gateway
    if is_plan:
        for name in own_tokens(gateway):
            remote.tell(machine.host, f"to come: {_told(gateway, name)}")
    if declared := [token.name for token in gateway.settings.gateway_tokens]:
        remote.tell(
            machine.host,
            f"the tokens of gateway_tokens keep their keys ({', '.join(declared)}): who uses them is not known here."
            " For a new key, declare another token, hand its key out, and then take the first out",
        )
    yield remote.Callback(_renew_tokens_now, (gateway,), {})


def _expect_key(agent: Agent, is_plan: bool) -> None:
    """Let the plan of the later steps show that this host's key changes; what is written is never this."""
    name = token_name(agent.name)
    for keys in (gateway.token_keys for gateway in agent.gateways):
        if is_plan:
            keys[name] = _TO_COME
        elif keys.get(name) == _TO_COME:
            del keys[name]


def _told(gateway: Gateway, name: str) -> str:
    reason = _left_alone(gateway, name)
    if reason:
        return f"the token {name} was not rotated: {reason}"
    return f"a new token {name}; the present one goes when the new one is seen in use"


def _left_alone(gateway: Gateway, name: str) -> str | None:
    """Why a token is not rotated in this run."""
    for agent in gateway.agents:
        if token_name(agent.name) == name and not agent.is_reached:
            return f"{agent.name} is not reached in this run; run this again when it is"
    return None


def _renew_tokens_now(state: State, host: Host, gateway: Gateway) -> bool:
    try:
        with admin_api(gateway) as admin:
            tokens = admin.tokens()
            gateway.is_outdated = True
            for name in own_tokens(gateway):
                if reason := _left_alone(gateway, name):
                    remote.tell(host, f"the token {name} was not rotated: {reason}")
                elif present := token_renewal.shut_out(tokens, name):
                    remote.tell(host, f"the token {name} was not rotated: it is disabled, which shuts its host out")
                    gateway.token_keys[name] = present.key
                else:
                    made = token_renewal.renew(admin, tokens, own_token(gateway, name), partial(_step, host))
                    gateway.token_keys[name] = made.key
                    _remember(gateway, made)
    except (AdminError, RouteError) as problem:
        remote.complain(host, f"not all tokens are new: {provisioning.explained(gateway, problem)}")
        return False
    except remote.RemoteError as problem:
        remote.complain(host, f"not all tokens are new: {problem}")
        return False
    return True


def _remember(gateway: Gateway, made: Token) -> None:
    """Its number is what tells that it is ours; without it the next deployment would have something to do."""
    ids = {**gateway.record.ids, f"token:{made.name}": made.id}
    provisioning.remember(gateway, replace(gateway.record, tokens=gateway.record.tokens | {made.name}, ids=ids))


def _step(host: Host, text: str) -> None:
    progress.step(host, f"rotate: {text}")
