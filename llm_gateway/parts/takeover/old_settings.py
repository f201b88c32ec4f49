"""What an old gateway was given besides its data: told before it is stopped, where the settings do not say it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from llm_gateway.flavours import known
from llm_gateway.hosts.host_state import HostState
from llm_gateway.inputs.environment import OWN
from llm_gateway.inputs.settings import Settings
from llm_gateway.parts.takeover import old_gateway


@dataclass(frozen=True)
class Given:
    """The settings of an old gateway: of its container, or where it has none now, of its compose file."""

    where: str
    """In words: "container one-api", "/root/one-api/docker-compose.yml"."""
    environment: Mapping[str, str | None] = field(repr=False)
    hosts: Mapping[str, str]
    shown_by: str
    """A shell command, for its host, that prints its variables with their values; "" where its files have them."""


def of(state: HostState, directory: str) -> Given | None:
    """What a host's answers tell of the settings of a gateway that is to be taken over, if they do."""
    if (old := old_gateway.of(state)) is not None:
        template = "{{range .Config.Env}}{{println .}}{{end}}"
        shown_by = f"docker inspect {old.name} --format '{template}'"
        return Given(f"container {old.name}", old.environment, old.hosts, shown_by)
    if not (lines := state.old_compose):
        return None
    told = [line.partition(" ") for line in lines[1:]]
    variables = dict(old_gateway.variable(text) for kind, _, text in told if kind == "environment")
    hosts = dict(old_gateway.hosts([text for kind, _, text in told if kind == "host"], state.old_hosts))
    return Given(f"{directory}/{lines[0]}", variables, hosts, "")


def unread(directory: str, file: str) -> str:
    """That a compose file says what nobody can read here, with the fix."""
    return (
        f"{directory}/{file} is of the gateway that was there, and cannot be read by `docker compose config` there:"
        " look in it for what it sets (environment, env_file, extra_hosts), say that by gateway_environment and"
        f" gateway_extra_hosts, and rename it (`mv {directory}/{file} {directory}/{file}.old`)"
    )


def problems(given: Given, settings: Settings, in_file: Collection[str], directory: str) -> Iterator[str]:
    """What of it the settings of the new gateway do not say, each with the lines that carry it over.

    Parameters: `in_file`, the names of the variables in data/.env of the new gateway's `directory`.
    """
    said = {*OWN, *settings.gateway_environment, *in_file}
    # Where it is one of ours, it has what the new one is given as well.
    given_anyway = known.of_image(settings.gateway_image).environment.items()
    # In the order of their names: Docker keeps none.
    found = sorted(given.environment.items())
    missing = {name: value for name, value in found if name not in said and (name, value) not in given_anyway}
    if carried := {name: value for name, value in missing.items() if value is not None}:
        yield (
            f"the gateway that is there ({given.where}) has variables that would be lost: add them to"
            f" gateway_environment, or with None what is not wanted: {json.dumps(carried, ensure_ascii=False)}"
        )
    if hidden := sorted(name for name, value in missing.items() if value is None):
        shown = f" (`{given.shown_by} | grep -E '^({'|'.join(hidden)})='` shows their lines)" if given.shown_by else ""
        yield (
            f"the gateway that is there ({given.where}) has variables that would be lost and that may be"
            f" secrets: {', '.join(hidden)}{shown}. Keep them in {directory}/data/.env, mode 600, which the gateway"
            " reads as well; or add those that are not wanted to gateway_environment with None"
        )
    if hosts := {name: address for name, address in given.hosts.items() if name not in settings.gateway_extra_hosts}:
        yield (
            f"the gateway that is there ({given.where}) knows hosts that the new one would not: add them to"
            f" gateway_extra_hosts, or with None what is not wanted: {json.dumps(hosts, sort_keys=True)}"
        )
