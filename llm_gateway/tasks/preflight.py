"""What prevents a deployment, told before anything is touched; each text with its fix."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from itertools import product

from llm_gateway.contents import budgets
from llm_gateway.contents.desired import CANARY_TOKEN, VERIFICATION_TOKEN, token_name
from llm_gateway.hosts.topology import Agent, Machine, Node
from llm_gateway.inputs.consistency import unserved
from llm_gateway.inputs.secrets import ROOT_PASSWORD, SecretsError
from llm_gateway.model import dotenv, layout
from llm_gateway.model.dsn import SQLITE, Dsn, DsnError
from llm_gateway.parts import firewall, first_start, found_data, image, postgresql, skills, tiktoken
from llm_gateway.parts.docker import engine, packages
from llm_gateway.parts.openclaw import openclaw, openclaw_config, openclaw_restart
from llm_gateway.parts.takeover import old_gateway

ARCHITECTURES = ("amd64", "arm64")
NEEDED_KIB = 3 * 1024 * 1024
"""For Docker and the image, measured with room to spare: 3 GiB."""
NEEDED_KIB_LATER = 256 * 1024
"""For a host that has both already: 256 MiB."""


def group_problems(machine: Machine) -> Iterator[str]:
    """A host that is in none of our groups was forgotten."""
    if not {"gateways", "openclaw"} & {*machine.host.groups}:
        # "all", and what pyinfra's connectors add (@local), are no groups of the inventory's file.
        there = sorted({group for group in machine.host.groups if group != "all" and not group.startswith("@")})
        named = f" (its groups: {', '.join(there)})" if there else ""
        yield f"is in neither group, `gateways` nor `openclaw`{named}; list it in one of them in the inventory"


def missing_secrets(machine: Machine) -> Iterator[str]:
    """Which of the secrets that a gateway's channels name were not handed in."""
    if machine.node is None:
        return
    try:
        _ = machine.provided.from_file
    except SecretsError as problem:
        yield str(problem)
        return
    yield from dict.fromkeys(_unusable_secrets(machine))
    try:
        dotenv.quote(machine.provided.get(ROOT_PASSWORD) or "")
    except dotenv.DotenvError as problem:
        yield f"{ROOT_PASSWORD}: {problem}; choose another in the gateway's admin page and hand that one in"


def _unusable_secrets(machine: Machine) -> Iterator[str]:
    provided = machine.provided
    if (secret := machine.settings.gateway_database) != SQLITE:
        try:
            Dsn.parse(provided.require(secret))
        except SecretsError as problem:
            yield f"gateway_database: {problem}"
        except DsnError as problem:
            yield f"gateway_database: {secret}: this secret {problem}"
    for channel in machine.settings.gateway_channels:
        wanted = [partial(provided.require, channel.key)]
        wanted += [partial(provided.credential, field, name) for field, name in channel.credentials.items()]
        for require in wanted:
            try:
                require()
            except SecretsError as problem:
                yield str(problem)


def declaration_problems(machine: Machine) -> Iterator[str]:
    """What a host declares that does not go with what the hosts around it declare.

    Needs all hosts' settings; what is wrong within those of one host is told by `llm_gateway.inputs.host_data`.
    """
    gateways = machine.agent.gateways if machine.agent else [machine.node.gateway] if machine.node else []
    for gateway, setting in product(gateways, ("llm_model", "embedding_model")):
        model: str | None = getattr(machine.settings, setting)
        if model and (problem := unserved(model, gateway.settings.gateway_channels)):
            called = "gateway" if gateway is gateways[0] else "fallback"
            where = "" if gateway.node.machine is machine else f"at its {called} {gateway.name}, "
            yield f"{setting}: {where}{problem}"
    if machine.agent:
        yield from budgets.problems(machine.agent)
    if machine.node:
        yield from _taken_token_names(machine.node)
        yield from _shared_database(machine.node)


def _shared_database(node: Node) -> Iterator[str]:
    """Two gateways on one database would be one with two sets of declarations."""
    mine = node.gateway.dsn
    for other in node.machine.run.gateways.values():
        theirs = other.dsn
        if mine and theirs and other is not node.gateway and mine.place == theirs.place:
            yield (
                f"gateway_database: {mine.place} is the database of {other.name}, too: give each gateway one of its"
                " own, by secrets of two names"
            )


def _taken_token_names(node: Node) -> Iterator[str]:
    """Some tokens are made without being declared, and kept."""
    taken = {token_name(agent.name): agent.name for agent in node.gateway.agents}
    taken |= {VERIFICATION_TOKEN: "verification", CANARY_TOKEN: "the canary"}
    for token in node.settings.gateway_tokens:
        if token.name in taken:
            yield f"gateway_tokens: token {token.name} is made for {taken[token.name]} already: choose another name"
    pruned = node.settings.gateway_prune
    for name in taken:
        if isinstance(pruned, frozenset) and f"token:{name}" in pruned:
            yield f"gateway_prune: token:{name} is needed by {taken[name]}: take it out of the list"


def busy_problem(busy: str) -> str:
    """That a host is in use: what the lock says of the run that has it, and the fix."""
    return (
        f"another run is at work on this host ({busy}): run again when it has ended; if its machine is gone for good,"
        " end that process on the host"
    )


def verification_problems(machine: Machine) -> list[str]:
    """What prevents looking at a host."""
    return [*machine_problems(machine), *(_tailscale(machine.node) if machine.node else ())]


def problems(machine: Machine) -> list[str]:
    """All that stands in the way of a deployment on one host."""
    if busy := machine.state.busy:
        return [busy_problem(busy)]
    found = list(machine_problems(machine))
    if machine.node and (text := engine.problem(machine.state)):
        found.append(text)
    if found:
        return found  # the rest cannot be judged without them
    if node := machine.node:
        found += [*gateway_problems(node), *_cut_off(node), *found_data.problems(node)]
        found += firewall.problems(node)
        if not found:
            found += postgresql.problems(node)
    if machine.agent:
        found += openclaw_problems(machine.agent)
    return found


def gateway_problems(node: Node) -> Iterator[str]:
    """What prevents a gateway on this host, whatever data it has or is to get."""
    if text := engine.problem(node.state):
        yield text
        return  # what it says of containers cannot be judged
    yield from _gateway_machine(node)
    yield from _image(node)
    yield from _passing_directory(node)
    yield from _tailscale(node)
    yield from _port(node)
    yield from _files(node)


def machine_problems(machine: Machine) -> Iterator[str]:
    """What no run can do without: root, and systemd."""
    if not machine.state.is_root:
        yield (
            'the user that pyinfra connects as is not root: put "_sudo": True in the host\'s data, or run'
            " pyinfra with --sudo (--same-sudo-password, if sudo asks for one)"
        )
    if not machine.state.systemd:
        yield "it does not run systemd, which the deployment needs"


def _gateway_machine(node: Node) -> Iterator[str]:
    distribution = node.state.os.get("ID", "unknown")
    if distribution not in packages.supported_distributions():
        yield f"{distribution} is not supported; use Debian 12 or 13, or Ubuntu"
        return
    if node.state.architecture not in ARCHITECTURES:
        yield f"{node.flavour.name} has no image for {node.state.architecture}; use an amd64 or arm64 host"
    if text := packages.problem(node):
        yield text
    if node.settings.gateway_user_id and (account := node.state.user_of_data):
        yield (
            f"gateway_user_id: {node.settings.gateway_user_id} is the user {account.partition(':')[0]} on this host,"
            " who could read all keys: choose a number that nobody has"
        )
    is_set_up = engine.is_usable(node) and node.state.image is not None
    needed = NEEDED_KIB_LATER if is_set_up else NEEDED_KIB
    free, where = node.state.least_free(node.directory)
    if free < needed:
        yield (
            f"only {free >> 10} MiB are free below {where}; {needed >> 10} MiB are needed: make room (`docker system"
            " df`, `du -xh --max-depth=2 /`)"
        )


def _image(node: Node) -> Iterator[str]:
    if text := image.pull_problem(node):
        yield text


def _passing_directory(node: Node) -> Iterator[str]:
    """What is there is removed at a boot or after days; and units have a /tmp of their own, in which it is not seen."""
    if node.directory.startswith(("/tmp/", "/var/tmp/")):  # noqa: S108 - that is what it refuses
        yield f"gateway_directory: {node.directory} does not last: choose one such as {layout.OPT}"


def _tailscale(node: Node) -> Iterator[str]:
    addresses = node.state.tailscale_addresses
    wanted = node.settings.gateway_tailscale_address
    if problem := node.state.tailscale_problem:
        yield problem
    elif not addresses:
        yield "it has no Tailscale address (interface tailscale0): log in with `tailscale up` on the host"
    elif wanted is not None and wanted not in addresses:
        yield (
            f"gateway_tailscale_address is {wanted}, but the host's is {', '.join(addresses)}: correct the"
            " setting, or leave it out to take the host's own"
        )
    elif wanted is None and len(addresses) > 1:
        yield f"it has several Tailscale addresses ({', '.join(addresses)}): set `gateway_tailscale_address` to one"


def _port(node: Node) -> Iterator[str]:
    """Who listens where we want to: nobody, or our own container."""
    addresses = {*node.state.tailscale_addresses, "0.0.0.0", "*", "[::]"}  # noqa: S104 - what ss prints
    for line in node.state.listeners:
        local = line.split()[3]
        address, _, port = local.rpartition(":")
        if address.partition("%")[0] not in addresses or _is_ours(node, line, port):
            continue
        owner = re.search(r'users:\(\("([^"]+)",pid=(\d+)', line)
        who = f"{owner[1]} (process {owner[2]})" if owner else "another program"
        yield (
            f"port {port} on {address} is taken by {who}: stop it, or choose another port by gateway_port"
            + "".join(found_data.hints(node))
        )


def _cut_off(node: Node) -> Iterator[str]:
    """Agents that would lose their gateway when it moves, since this run does not reach them."""
    unreached = [agent.name for agent in node.gateway.agents if not agent.is_reached]
    if not unreached or not first_start.is_done(node) or not node.state.tailscale_addresses:
        return
    bindings, wanted = node.state.bindings, (node.address, str(node.settings.gateway_port))
    if bindings and wanted not in bindings:
        yield (
            f"it would move to {node.base_url}, and {', '.join(unreached)} would not be told: run without --limit"
            " once all are reachable, or take those out of the inventory"
        )


def _is_ours(node: Node, line: str, port: str) -> bool:
    """Docker listens by docker-proxy, or by itself without a userland proxy; ours is what our container has."""
    if not re.search(r'\("(docker-proxy|dockerd)",', line):
        return False
    old = old_gateway.of(node.state)
    if old is not None and old.published is not None and str(old.published[1]) == port:
        return True  # it is stopped before ours is started
    bindings = ((node.state.container or {}).get("HostConfig") or {}).get("PortBindings") or {}
    return any(entry["HostPort"] == port for entries in bindings.values() for entry in entries or [])


def _files(node: Node) -> Iterator[str]:
    """What has to be sent can be read on this machine, and fits the host."""
    if path := node.settings.gateway_image_archive:
        try:
            archive = image.read_archive(path)
        except image.ArchiveError as problem:
            yield f"gateway_image_archive: {problem}"
        else:
            if archive.architecture != node.state.architecture:
                yield (
                    f"gateway_image_archive: {path} is for {archive.architecture}, the host is"
                    f" {node.state.architecture}: save the image on a machine of that architecture"
                    f" (docker pull --platform linux/{node.state.architecture} …; docker save …)"
                )
            elif node.settings.gateway_image not in archive.references:
                yield (
                    f"gateway_image_archive: {path} holds {', '.join(archive.references) or 'no named image'},"
                    f" not {node.settings.gateway_image}: set gateway_image to what it holds"
                )
    if tiktoken.missing_on(node):
        try:
            tiktoken.read_local(node.settings.gateway_tiktoken_directory)
        except tiktoken.TiktokenError as problem:
            yield str(problem)


def openclaw_problems(agent: Agent) -> Iterator[str]:
    """What prevents pointing the OpenClaw on this host at a gateway."""
    if agent.state.openclaw_account is None:
        user = agent.settings.openclaw_user
        yield (
            f"openclaw_user: there is no user {user} on the host"
            if user
            else f"the user of {agent.settings.openclaw_unit} does not exist on the host; correct its User="
        )
        return
    path = openclaw.environment_path(agent)
    if agent.state.openclaw_env_dangles:
        yield f"OpenClaw's .env is a link to {path}, which is not there: mount or make it, or remove the link"
    elif agent.state.openclaw_env_exists and agent.state.openclaw_env is None:
        yield (
            f"OpenClaw's .env ({path}) is not a file that its user can read: if it is a link, replace the link by a"
            " file; otherwise give the file to that user"
        )
    if agent.settings.openclaw_unit_required and not openclaw.has_unit(agent):
        yield (
            f"there is no {agent.settings.openclaw_unit}: install OpenClaw, correct openclaw_unit or"
            " openclaw_unit_scope, or set openclaw_unit_required to False"
        )
    try:
        openclaw.merged_environment(agent, [openclaw.Access("http://100.64.0.1:3000/v1", "0" * 48)])
    except dotenv.DotenvError as problem:
        yield f"{path}: {problem}"
    yield from _elsewhere(agent)
    for text in (openclaw_config.problem(agent), openclaw_restart.problem(agent)):
        if text:
            yield text
    yield from skills.problems(agent)


def _elsewhere(agent: Agent) -> Iterator[str]:
    """A unit of that name that the settings do not lead to: another one's .env would be written, and nothing used."""
    unit, chosen = agent.settings.openclaw_unit, agent.settings.openclaw_user
    for name, state in (line.split() for line in agent.state.openclaw_user_units):
        if agent.settings.openclaw_unit_scope == "system":
            yield (
                f"{unit} is a unit of the user {name} here, and none of the system: set openclaw_unit_scope to"
                f' "user" and openclaw_user to "{name}" for this host, or remove that unit'
            )
        elif name == chosen and state == "stopped":
            yield f"the systemd of the user {name} does not run, nor does {unit}: `loginctl enable-linger {name}`"
    if agent.state.openclaw_user_units:
        return
    for process, user, group in (line.split() for line in agent.state.openclaw_processes):
        if not group.endswith(".service"):
            yield (
                f"OpenClaw runs here as process {process} of {user}, which is in no unit ({group}: a container, or"
                " started by hand): run it as a unit (`openclaw gateway install`), or take the host out of `openclaw`"
                " and give that OpenClaw a token of gateway_tokens"
            )
        else:
            yield (
                f"OpenClaw runs here as {group} of {user} (process {process}), and not as {unit}: set openclaw_unit to"
                f' "{group}", with openclaw_unit_scope and openclaw_user where it is a unit of that user'
            )
