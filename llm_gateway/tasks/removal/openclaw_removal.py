"""OpenClaw hosts get back what they had: their .env, their unit's environment, their own client for Skills.

Everything in the user's directories is done as that user, so that root follows no link of theirs.
"""

from __future__ import annotations

import shlex
from collections.abc import Generator

from pyinfra.api import FunctionCommand, StringCommand, operation
from pyinfra.api.host import Host
from pyinfra.api.state import State

from llm_gateway.contents.desired import token_name
from llm_gateway.hosts import remote
from llm_gateway.hosts.before import Before
from llm_gateway.hosts.topology import Agent
from llm_gateway.model import layout
from llm_gateway.model.layout import GIVEN_BACK, REMOVING, STATE
from llm_gateway.parts import skills
from llm_gateway.parts.openclaw import openclaw, openclaw_config, openclaw_json, openclaw_ready, openclaw_restart
from llm_gateway.tasks.removal import dotenv_restore, scope


def give_back(agent: Agent) -> None:
    """Give an OpenClaw host that is chosen its own back, and restart OpenClaw where that changes its environment."""
    if not agent.state.openclaw_account:
        return
    for node in agent.nodes:
        if not node.is_reached and not scope.is_chosen(node.host):
            remote.tell(
                agent.host,
                f"its token on {node.name} stays valid, because that host is not in this run: run this again with it,"
                f" --data yes={agent.name}, or delete the token {token_name(agent.name)} in the admin page",
            )
    if openclaw_restart.waits(agent):
        _await_idle(name="Wait until OpenClaw is idle", agent=agent)
    was_cut_off = REMOVING in scope.found_on(agent.host).state.home
    is_changed = _give_configuration_back(agent)
    is_changed |= _give_environment_back(agent)
    is_changed |= _take_drop_in_off(agent)
    _give_client_back(agent)
    if (is_changed or was_cut_off) and openclaw.has_unit(agent):
        _restart(name="Restart OpenClaw with what it had before", agent=agent)
    if scope.found_on(agent.host).environment is not None and not scope.is_elsewhere(agent):
        _remove_copy(name="Remove the copy of OpenClaw's former .env", agent=agent)


@operation()
def _await_idle(agent: Agent) -> Generator[FunctionCommand, None, None]:
    yield remote.Callback(_await_idle_now, (agent,), {})


def _await_idle_now(state: State, host: Host, agent: Agent) -> bool:
    if problem := openclaw_restart.await_idle(agent):
        remote.complain(host, f"nothing was changed here: {problem}")
        return False
    return True


def _give_configuration_back(agent: Agent) -> bool:
    """What was in OpenClaw's own configuration, while it still can read the .env that ours follows."""
    record = openclaw_config.record(agent)
    if not record or scope.is_elsewhere(agent):
        return False
    path = openclaw_config.path(agent)
    if not openclaw_config.has_command(agent):
        remote.tell(
            agent.host, f"{path} stays as it is: ExecStart= of {agent.settings.openclaw_unit} names no OpenClaw"
        )
        return False
    document = openclaw_config.document(agent)
    for changed in (at for at, kept in record.items() if not openclaw_json.is_ours(document, at, kept)):
        remote.tell(agent.host, f"{path}: {'.'.join(changed)} was changed by hand and is kept")
    for left in openclaw_json.dangling(document, record):
        remote.tell(agent.host, f"{path}: {left} names what is taken out: change it by hand")
    _restore_configuration(name="Give OpenClaw its own configuration back", agent=agent)
    return True


@operation()
def _restore_configuration(agent: Agent) -> Generator[StringCommand | FunctionCommand, None, None]:
    yield scope.tell("remove: giving OpenClaw its own configuration back, by its own command")
    yield StringCommand(f"mkdir -p {STATE} && touch {STATE}/{REMOVING} && sync {STATE}")
    yield remote.Callback(_prepare_configuration, (agent,), {})


def _prepare_configuration(state: State, host: Host, agent: Agent) -> bool:
    agent.former_configuration = openclaw_config.prepare_former(agent)
    return True


def restored_environment(agent: Agent) -> str | None:
    """The .env without what is ours; None where there is to be none. Raises DotenvError."""
    present = agent.state.openclaw_env or ""
    noted = _noted(agent, openclaw.environment_path(agent))
    # Earlier versions kept a copy of ours at the second write, where there had been no file before the first.
    had_none = noted is not None and noted.mode is None
    names = openclaw.names_in(present)
    return dotenv_restore.restore(present, None if had_none else scope.found_on(agent.host).environment, names)


def _give_environment_back(agent: Agent) -> bool:
    path = openclaw.environment_path(agent)
    if scope.is_elsewhere(agent):
        remote.tell(
            agent.host,
            f"{path} points at something else than {', '.join(node.name for node in agent.nodes)}, so a person changed"
            " it: it stays as it is",
        )
        return False
    if not scope.points_here(agent):
        return False
    _restore_environment(name="Give OpenClaw its environment back", agent=agent)
    return True


@operation()
def _restore_environment(agent: Agent) -> Generator[StringCommand | FunctionCommand, None, None]:
    own = openclaw.account(agent)
    user, group = own.user, own.gid
    path = openclaw.environment_path(agent)
    content = restored_environment(agent)
    noted = _noted(agent, path)
    yield scope.tell("remove: giving OpenClaw its environment back")
    # From here on OpenClaw is to be restarted, also where this run is cut off before it has been.
    yield StringCommand(f"mkdir -p {STATE} && touch {STATE}/{REMOVING} {STATE}/{GIVEN_BACK} && sync {STATE}")
    if content is None:
        yield StringCommand(openclaw.as_user(user, f"rm -f {shlex.quote(path)}; {_remove_empty(path, noted)}"))
        return
    mode, owner = (noted.mode, noted.owner) if noted and noted.mode and noted.owner else ("600", f"{user}:{group}")
    script = remote.write_script(path, mode, owner if owner.startswith(f"{user}:") else f"{user}:{group}")
    stdin = remote.encoded(content.encode("utf-8", "surrogateescape"))
    yield StringCommand(openclaw.as_user(user, script), _stdin=stdin)


def _take_drop_in_off(agent: Agent) -> bool:
    if agent.state.openclaw_dropin is None:
        return False
    _remove_drop_in(name="Take our drop-in out of OpenClaw's unit", agent=agent)
    return True


@operation()
def _remove_drop_in(agent: Agent) -> Generator[StringCommand | FunctionCommand, None, None]:
    path = openclaw.drop_in_path(agent)
    script = f"rm -f {shlex.quote(path)}; {_remove_empty(path, _noted(agent, path))}"
    of_user = agent.settings.openclaw_unit_scope == "user"
    yield scope.tell("remove: taking the drop-in out of OpenClaw's unit")
    yield StringCommand(f"mkdir -p {STATE} && touch {STATE}/{REMOVING} && sync {STATE}")
    yield StringCommand(openclaw.as_user(openclaw.account(agent).user, script) if of_user else script)


def _give_client_back(agent: Agent) -> None:
    """What was in the place of our client before; where a person has edited ours since, theirs stays."""
    if agent.settings.openclaw_workspace is None:
        return
    there = skills.digest_there(agent)
    if not there:
        return
    path = skills.client_path(agent)
    if there not in (agent.state.openclaw_client_record, skills.digest()):
        if agent.state.openclaw_client_record:
            remote.tell(agent.host, f"{path} was changed by hand and is kept; it needs LLM_BASE_URL")
        return
    _restore_client(name="Give the workspace back what the client of the Skills replaced", agent=agent)


@operation()
def _restore_client(agent: Agent) -> Generator[StringCommand | FunctionCommand, None, None]:
    path = skills.client_path(agent)
    noted = _noted(agent, path)
    kept = scope.found_on(agent.host).state.client_kept
    had_one = noted is None or noted.mode is not None
    yield scope.tell("remove: taking the client of the Skills out of the workspace")
    if kept and had_one:
        # Its mode first: once it is in its place, this is not run again.
        mode = f"chmod {noted.mode} {shlex.quote(kept[0])} && " if noted and noted.mode else ""
        script = f"{mode}mv -fT {shlex.quote(kept[0])} {shlex.quote(path)}"
    else:
        script = f"rm -f {shlex.quote(path)}; {_remove_empty(path, noted)}"
    package = shlex.quote(skills.package_path(agent))
    without = f'[ "$(cat {package} 2>/dev/null)" != {shlex.quote(skills.PACKAGE)} ] || rm -f {package}'
    yield StringCommand(openclaw.as_user(openclaw.account(agent).user, f"{without}; {script}"))
    yield StringCommand(f"rm -f {layout.CLIENT_RECORD}")
    for other in kept[1:] if had_one else kept:
        scope.mention(agent.host, f"{other} stays: it is what a person made of the client")


@operation()
def _restart(agent: Agent) -> Generator[FunctionCommand, None, None]:
    if openclaw.is_stopped(agent):
        scope.mention(agent.host, f"{agent.settings.openclaw_unit} is stopped and was left so")
    yield remote.Callback(_restart_now, (agent,), {})


def _restart_now(state: State, host: Host, agent: Agent) -> bool:
    reload = openclaw.systemctl(agent, "daemon-reload")
    if openclaw.is_stopped(agent):
        remote.run(host, f"{reload} && {agent.former_configuration}")
        return True
    openclaw_restart.restart(agent, reload, agent.former_configuration)
    if not openclaw.await_process(agent):
        unit = agent.settings.openclaw_unit
        remote.complain(host, f"{unit} does not run with its former environment; `journalctl -u {unit}` tells why")
        return False
    # Its process is there seconds before it has read its configuration, and may end by that (2026.9.6: with 78).
    if problem := openclaw_ready.await_ready(agent):
        remote.complain(host, f"with its former environment, {problem}")
        return False
    return True


@operation()
def _remove_copy(agent: Agent) -> Generator[StringCommand | FunctionCommand, None, None]:
    copy = shlex.quote(f"{openclaw.environment_path(agent)}{layout.BEFORE_SUFFIX}")
    yield scope.tell("remove: removing the copy of OpenClaw's former .env")
    yield StringCommand(openclaw.as_user(openclaw.account(agent).user, f"rm -f {copy}"))


def _noted(agent: Agent, path: str) -> Before | None:
    return scope.found_on(agent.host).before.get(path)


def _remove_empty(path: str, noted: Before | None) -> str:
    """A command that removes the directories above a path that were not there before, where they are empty."""
    if noted is None:
        return "true"
    made, parent = [], path.rpartition("/")[0]
    while parent and parent != noted.nearest and parent.startswith(f"{noted.nearest.rstrip('/')}/"):
        made.append(parent)
        parent = parent.rpartition("/")[0]
    if not made:
        return "true"
    return f"rmdir --ignore-fail-on-non-empty {' '.join(map(shlex.quote, made))} 2>/dev/null || true"
