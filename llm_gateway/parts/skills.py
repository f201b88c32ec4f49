"""The LLM client that Skills share: files/llm_client.js, kept in the workspace of an OpenClaw host.

The workspace belongs to OpenClaw's user, who can put a link anywhere in it. So everything there is read and written
as that user, and where OpenClaw runs as root, only below directories that nobody but root can change.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Generator, Iterator

from pyinfra.api import StringCommand, operation

from llm_gateway.hosts import before, remote
from llm_gateway.hosts.topology import Agent
from llm_gateway.model import layout
from llm_gateway.model.checkout import ROOT
from llm_gateway.model.layout import SHARED_CLIENT
from llm_gateway.parts.openclaw import openclaw

SOURCE = ROOT / "files/llm_client.js"
MODE = "644"
PACKAGE = '{"type": "commonjs"}'
"""Of the package.json beside the client, where the workspace's says "module": require and import both work then."""

_ON_THE_WAY = re.compile(r"\s*([dl][-rwxsStT]{9})\S*\s+(\S+)\s+(\S+)\s+(.+)")


def workspace(agent: Agent) -> str:
    """The path of the workspace on the host; only where the setting names one."""
    named = agent.settings.openclaw_workspace or ""
    home = openclaw.account(agent).home
    return home + named.removeprefix("~") if named.startswith("~/") else named


def client_path(agent: Agent) -> str:
    """The path of the shared client on the host; only where the setting names a workspace."""
    return f"{workspace(agent)}/{SHARED_CLIENT}"


def problems(agent: Agent) -> Iterator[str]:
    """What prevents placing the client, each with its fix."""
    if agent.settings.openclaw_workspace is None:
        return
    user = openclaw.account(agent).user
    found = agent.state.openclaw_workspace
    if not found:
        yield (
            f"openclaw_workspace: there is no directory {workspace(agent)} on the host that {user} can enter: correct"
            " the setting, make the directory, or set it to None to deploy no client for Skills"
        )
        return
    if others := _changeable_by_others(agent):
        yield (
            f"openclaw_workspace: OpenClaw runs as root, and others can change {', '.join(others)} on the way to"
            f" {client_path(agent)} (`namei -l` shows it), so that root would write through any link of theirs: name"
            " OpenClaw's user by openclaw_user, or make it root's alone (chown root:root, chmod go-w)"
        )
    elif not found.get("writable"):
        place = f"{workspace(agent)}/{found['nearest']}".removesuffix("/.")
        fix = f"make it a directory of {user}'s (chown {user}: {shlex.quote(place)})"
        if leads_to := found.get("leads_to"):
            fix = f"it is a link to {leads_to}, so put a directory of {user}'s in the place of the link"
        yield (
            f"openclaw_workspace: {user} cannot write into {place}, and the client of the Skills belongs at"
            f" {client_path(agent)}: {fix}"
        )
    elif found.get("unreadable"):
        yield (
            f"openclaw_workspace: {client_path(agent)} is not a file that {user} can read, so it cannot be kept:"
            " move it away"
        )


def _changeable_by_others(agent: Agent) -> list[str]:
    """Where OpenClaw runs as root: what somebody else can replace on the way to the client, links included."""
    found = []
    for line in agent.state.openclaw_workspace_way:
        if (match := _ON_THE_WAY.match(line)) is None:
            continue  # the heading, or what is not there yet
        mode, owner, group, name = match.groups()
        # In a directory with the sticky bit, such as /tmp, only the owner can replace what is in it.
        is_open = (mode[5] == "w" and group != "root") or mode[8] == "w"
        if owner != "root" or (mode[0] == "d" and is_open and mode[9] not in "tT"):
            found.append(name)
    return found


def place_client(agent: Agent) -> None:
    """Put the client in place where the setting asks for it and the host has not the same."""
    if agent.settings.openclaw_workspace is None or is_in_place(agent):
        return
    if _is_of_a_person(agent):
        remote.tell(
            agent.host,
            f"{client_path(agent)} is not the deployed client: it is replaced, and kept beside it as"
            f" {_kept_name(digest_there(agent))}",
        )
    if agent.state.openclaw_workspace.get("modules") == "others":
        remote.tell(
            agent.host,
            f'{client_path(agent)}: files there are ES modules, by a package.json with "type": "module", and so'
            " `require` refuses the client; if no others need it, remove that, or put them elsewhere",
        )
    _write_client(name="Put the client of the Skills into the workspace", agent=agent)


def is_in_place(agent: Agent) -> bool:
    """Whether the client in the workspace is the one of this checkout, with its mode and owner, and can be loaded."""
    found = agent.state.openclaw_workspace
    user = openclaw.account(agent).user
    return digest_there(agent) == digest() and found.get("stat") == f"{MODE} {user}" and not _wants_package(agent)


def _wants_package(agent: Agent) -> bool:
    """Whether the client would be taken for an ES module, by a package.json that is not beside it alone."""
    return agent.state.openclaw_workspace.get("modules") == "above"


def package_path(agent: Agent) -> str:
    """The path of the package.json beside the client."""
    return f"{client_path(agent).rpartition('/')[0]}/package.json"


def _is_of_a_person(agent: Agent) -> bool:
    return digest_there(agent) not in ("", digest(), agent.state.openclaw_client_record)


def digest_there(agent: Agent) -> str:
    """The SHA-256 of what is there now; "" where there is nothing."""
    return agent.state.openclaw_workspace.get("sha256", "").partition(" ")[0]


def digest() -> str:
    """The SHA-256 of what is to be there."""
    return hashlib.sha256(SOURCE.read_bytes()).hexdigest()


def _kept_name(digest: str) -> str:
    """Named after its content, so that each is kept once and none takes the place of another."""
    return f"llm_client.js{layout.BEFORE_SUFFIX}-{digest[:12]}"


@operation()
def _write_client(agent: Agent) -> Generator[StringCommand, None, None]:
    own = openclaw.account(agent)
    user, group = own.user, own.gid
    # Made only below a workspace that is there: it may have gone since it was looked at.
    steps = [f"[ -d {shlex.quote(workspace(agent))} ]"]
    if _is_of_a_person(agent):
        steps.append(_keep_script(agent))
    steps.append(remote.write_script(client_path(agent), MODE, f"{user}:{group}"))
    if _wants_package(agent):
        path, half = (shlex.quote(f"{package_path(agent)}{end}") for end in ("", ".half"))
        steps.append(f"printf '%s\\n' {shlex.quote(PACKAGE)} > {half} && chmod {MODE} {half} && mv -fT {half} {path}")
    # The record first: what an interruption leaves then is at worst kept once more, and never lost.
    record = f"{before.note(client_path(agent))} && {remote.write_script(layout.CLIENT_RECORD, '644')}"
    yield StringCommand(record, _stdin=remote.encoded(f"{digest()}\n".encode()))
    yield StringCommand(openclaw.as_user(user, " && ".join(steps)), _stdin=remote.encoded(SOURCE.read_bytes()))


def _keep_script(agent: Agent) -> str:
    """Copy what is there under another name, whole or not at all."""
    there = client_path(agent)
    kept = f"{there.rpartition('/')[0]}/{_kept_name(digest_there(agent))}"
    there, kept, half = (shlex.quote(path) for path in (there, kept, f"{kept}.half"))
    return f"{{ [ -e {kept} ] || {{ cp {there} {half} && sync {half} && mv -fT {half} {kept}; }}; }}"
