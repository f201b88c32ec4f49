"""What stands in the way of a deployment, told before anything is touched; each text with its mend."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gateway import docker, dotenv, firewall, first_start, found_data, image, openclaw, skills, tiktoken
from gateway.contents.declarations import unserved
from gateway.contents.desired import CANARY_TOKEN, VERIFICATION_TOKEN, token_name
from gateway.secrets import ROOT_PASSWORD, SecretsError

if TYPE_CHECKING:
    from gateway.fleet import Member

ARCHITECTURES = ("amd64", "arm64")
NEEDED_KIB = 3 * 1024 * 1024
"""For Docker and the image, measured with room to spare: 3 GiB."""
NEEDED_KIB_LATER = 256 * 1024
"""For a host that has both already: 256 MiB."""


def group_problems(member: Member) -> Iterator[str]:
    """A host that is in none of our groups was forgotten."""
    if not (member.is_gateway or member.is_openclaw):
        yield "is in neither group, `gateways` nor `openclaw`; list it in one of them in the inventory"


def missing_secrets(member: Member) -> Iterator[str]:
    """Which of the secrets that a gateway's channels name were not handed in."""
    if not member.is_gateway:
        return
    try:
        _ = member.provided.from_file
    except SecretsError as problem:
        yield str(problem)
        return
    yield from dict.fromkeys(_unusable_secrets(member))
    try:
        dotenv.quote(member.provided.get(ROOT_PASSWORD) or "")
    except dotenv.DotenvError as problem:
        yield f"{ROOT_PASSWORD}: {problem}; choose another in the gateway's admin page and hand that one in"


def _unusable_secrets(member: Member) -> Iterator[str]:
    provided = member.provided
    for channel in member.settings.gateway_channels:
        for name in (channel.key, *channel.credentials.values()):
            try:
                # A credential may be a JSON document, which is not fit for a header as a key must be.
                _ = (name != channel.key and provided.get(name)) or provided.require(name)
            except SecretsError as problem:
                yield str(problem)


def declaration_problems(member: Member) -> Iterator[str]:
    """What a host declares that does not go with what the hosts around it declare.

    Needs all hosts' settings; what is wrong within those of one host is told by `gateway.settings`.
    """
    if not (member.is_gateway or member.is_openclaw):
        return
    for setting in ("llm_model", "embedding_model"):
        model: str | None = getattr(member.settings, setting)
        if model and (problem := unserved(model, member.gateway.settings.gateway_channels)):
            where = "" if member.gateway is member else f"at its gateway {member.gateway.name}, "
            yield f"{setting}: {where}{problem}"
    if member.is_gateway:
        yield from _taken_token_names(member)


def _taken_token_names(member: Member) -> Iterator[str]:
    """Some tokens are made without being declared, and kept."""
    taken = {token_name(agent.name): agent.name for agent in member.fleet.agents_of(member)}
    taken |= {VERIFICATION_TOKEN: "verification", CANARY_TOKEN: "the canary"}
    for token in member.settings.gateway_tokens:
        if token.name in taken:
            yield f"gateway_tokens: token {token.name} is made for {taken[token.name]} already: choose another name"
    pruned = member.settings.gateway_prune
    for name in taken:
        if isinstance(pruned, frozenset) and f"token:{name}" in pruned:
            yield f"gateway_prune: token:{name} is needed by {taken[name]}: take it out of the list"


def busy_problem(busy: str) -> str:
    """That a host is in use: what the lock says of the run that has it, and the mend."""
    return (
        f"another run is at work on this host ({busy}): run again when it has ended; if its machine is gone for good,"
        " end that process on the host"
    )


def verification_problems(member: Member) -> list[str]:
    """What stands in the way of looking at a host."""
    return [*machine_problems(member), *(_tailscale(member) if member.is_gateway else ())]


def problems(member: Member) -> list[str]:
    """All that stands in the way of a deployment on one host."""
    if busy := member.state.text("busy"):
        return [busy_problem(busy)]
    found = list(machine_problems(member))
    if found:
        return found  # the rest cannot be judged without them
    if member.is_gateway:
        found += [*gateway_problems(member), *_cut_off(member), *found_data.problems(member)]
        found += firewall.problems(member)
    if member.is_openclaw:
        found += openclaw_problems(member)
    return found


def gateway_problems(member: Member) -> Iterator[str]:
    """What stands in the way of a gateway on this host, whatever data it has or is to get."""
    yield from _gateway_machine(member)
    yield from _passing_directory(member)
    yield from _tailscale(member)
    yield from _port(member)
    yield from _files(member)


def machine_problems(member: Member) -> Iterator[str]:
    """What no run can do without: root, and systemd."""
    if member.state.text("uid") != "0":
        yield (
            'the user that pyinfra connects as is not root: put "_sudo": True in the host\'s data, or run'
            " pyinfra with --sudo (--use-sudo-password where sudo asks for one)"
        )
    if not member.state.text("systemd"):
        yield "it does not run systemd, which the deployment needs"


def _gateway_machine(member: Member) -> Iterator[str]:
    distribution = member.state.os.get("ID", "unknown")
    if distribution not in docker.supported_distributions():
        yield f"{distribution} is not supported; use Debian 12 or 13, or Ubuntu"
        return
    if member.state.architecture not in ARCHITECTURES:
        yield f"One API has no image for {member.state.architecture}; use an amd64 or arm64 host"
    if text := docker.problem(member):
        yield text
    try:
        docker.merged_daemon_json(member)
    except ValueError as problem:
        yield f"{docker.DAEMON_JSON} cannot be merged with the docker_ settings ({problem}); mend it by hand"
    if member.settings.gateway_user_id and (account := member.state.text("user_of_data")):
        yield (
            f"gateway_user_id: {member.settings.gateway_user_id} is the user {account.partition(':')[0]} on this host,"
            " who could read all keys: choose a number that nobody has"
        )
    is_set_up = docker.is_usable(member) and member.state.image is not None
    needed = NEEDED_KIB_LATER if is_set_up else NEEDED_KIB
    if member.state.free_kib < needed:
        yield (
            f"only {member.state.free_kib >> 10} MiB are free below {member.directory} or /var/lib/docker;"
            f" {needed >> 10} MiB are needed: make room (`docker system df`, `du -xh --max-depth=2 /`)"
        )


def _passing_directory(member: Member) -> Iterator[str]:
    """What is there is removed at a boot or after days; and units have a /tmp of their own, in which it is not seen."""
    if member.directory.startswith(("/tmp/", "/var/tmp/")):  # noqa: S108 - that is what it refuses
        yield f"gateway_directory: {member.directory} does not last: choose one such as /opt/openclaw-llm-gateway"


def _tailscale(member: Member) -> Iterator[str]:
    addresses = member.state.tailscale_addresses
    wanted = member.settings.gateway_tailscale_address
    if not addresses:
        yield "it has no Tailscale address (interface tailscale0): log in with `tailscale up` on the host"
    elif wanted is not None and wanted not in addresses:
        yield (
            f"gateway_tailscale_address is {wanted}, but the host's is {', '.join(addresses)}: correct the"
            " setting, or leave it out to take the host's own"
        )
    elif wanted is None and len(addresses) > 1:
        yield f"it has several Tailscale addresses ({', '.join(addresses)}): choose by gateway_tailscale_address"


def _port(member: Member) -> Iterator[str]:
    """Who listens where we want to: nobody, or our own container."""
    addresses = {*member.state.tailscale_addresses, "0.0.0.0", "*", "[::]"}  # noqa: S104 - what ss prints
    for line in member.state.lines("listeners"):
        local = line.split()[3]
        address, _, port = local.rpartition(":")
        if address.partition("%")[0] not in addresses or _is_ours(member, line, port):
            continue
        owner = re.search(r'users:\(\("([^"]+)",pid=(\d+)', line)
        who = f"{owner[1]} (process {owner[2]})" if owner else "another program"
        yield (f"port {port} on {address} is taken by {who}: stop it, or choose another port by gateway_port")


def _cut_off(member: Member) -> Iterator[str]:
    """Agents that would lose their gateway when it moves, since this run does not reach them."""
    unreached = [agent.name for agent in member.fleet.agents_of(member) if agent.name not in member.fleet.members]
    if not unreached or not first_start.is_done(member) or not member.state.tailscale_addresses:
        return
    bindings = ((member.state.container or {}).get("HostConfig", {}).get("PortBindings") or {}).get("3000/tcp") or []
    wanted = (member.address, str(member.settings.gateway_port))
    if bindings and wanted not in [(entry["HostIp"], entry["HostPort"]) for entry in bindings]:
        yield (
            f"it would move to {member.base_url}, and {', '.join(unreached)} would not be told: run without --limit"
            " once all are reachable, or take those out of the inventory"
        )


def _is_ours(member: Member, line: str, port: str) -> bool:
    """Docker listens by docker-proxy, or by itself without a userland proxy; ours is what our container has."""
    container = member.state.container
    if container is None or not re.search(r'\("(docker-proxy|dockerd)",', line):
        return False
    bindings = container["HostConfig"]["PortBindings"] or {}
    return any(entry["HostPort"] == port for entries in bindings.values() for entry in entries or [])


def _files(member: Member) -> Iterator[str]:
    """What has to be sent can be read on this machine, and fits the host."""
    if path := member.settings.gateway_image_archive:
        try:
            archive = image.read_archive(path)
        except image.ArchiveError as problem:
            yield f"gateway_image_archive: {problem}"
        else:
            if archive.architecture != member.state.architecture:
                yield (
                    f"gateway_image_archive: {path} is for {archive.architecture}, the host is"
                    f" {member.state.architecture}: save the image on a machine of that architecture"
                    f" (docker pull --platform linux/{member.state.architecture} …; docker save …)"
                )
            elif member.settings.gateway_image not in archive.references:
                yield (
                    f"gateway_image_archive: {path} holds {', '.join(archive.references) or 'no named image'},"
                    f" not {member.settings.gateway_image}: set gateway_image to what it holds"
                )
    if tiktoken.missing_on(member):
        try:
            tiktoken.read_local(member.settings.gateway_tiktoken_directory)
        except tiktoken.TiktokenError as problem:
            yield str(problem)


def openclaw_problems(member: Member) -> Iterator[str]:
    """What stands in the way of pointing the OpenClaw on this host at a gateway."""
    if not member.state.text("openclaw_passwd"):
        user = member.settings.openclaw_user
        yield (
            f"openclaw_user: there is no user {user} on the host"
            if user
            else f"the user of {member.settings.openclaw_unit} does not exist on the host; correct its User="
        )
        return
    path = openclaw.environment_path(member)
    if member.state.text("openclaw_env_dangles"):
        yield f"OpenClaw's .env is a link to {path}, which is not there: mount or make it, or remove the link"
    elif member.state.text("openclaw_env_exists") and "openclaw_env" not in member.state.answers:
        yield (
            f"OpenClaw's .env ({path}) is not a file that its user can read: where it is a link, replace the link by a"
            " file; otherwise give the file to that user"
        )
    if member.settings.openclaw_unit_required and not openclaw.has_unit(member):
        yield (
            f"there is no {member.settings.openclaw_unit}: install OpenClaw, correct openclaw_unit or"
            " openclaw_unit_scope, or set openclaw_unit_required to False"
        )
    try:
        openclaw.merged_environment(member, "http://100.64.0.1:3000", "0" * 48)
    except dotenv.DotenvError as problem:
        yield f"{path}: {problem}"
    yield from skills.problems(member)
