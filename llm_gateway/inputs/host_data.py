"""Turn the data of one host into its settings: the inventory's and those of group_data, over the defaults.

What is wrong is collected as text and never raised here, so that all problems of all hosts are told at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from llm_gateway.flavours import known
from llm_gateway.inputs import consistency, renamed
from llm_gateway.inputs.settings import SETTINGS, Settings
from llm_gateway.model import layout
from llm_gateway.model.checks import InvalidError
from llm_gateway.model.dsn import SQLITE
from llm_gateway.model.suggestion import suggest

# A name that starts like one of ours is meant for us, so an unknown one is a misspelling.
_OUR_PREFIXES = tuple({f"{name.partition('_')[0]}_" for name in SETTINGS})
_SECRET_SHAPED = re.compile(r".*(_API_KEY|_SECRET|_TOKEN|_PASSWORD)$")
_LONGEST_SHOWN = 500
_OF_CONNECTIONS = ("SQL_MAX_OPEN_CONNS", "SQL_MAX_IDLE_CONNS")
_OF_DAEMON = ("docker_registry_mirrors", "docker_http_proxy", "docker_https_proxy", "docker_no_proxy")


def check(data: Mapping[str, Any]) -> tuple[Settings, list[str]]:
    """Turn a host's data into settings.

    Parameters: `data`, the host's data by name; names that are not ours are left to others.
    Returns the settings and the problems: one text each, naming the setting and the fix. Where there are
    any, the settings are good for finding more problems and for nothing else.
    """
    problems = misspelt(set(data))
    values: dict[str, Any] = {}
    for name, setting in SETTINGS.items():
        value = data.get(name, setting.default)
        try:
            values[name] = setting.check(value)
        except InvalidError as problem:
            values[name] = setting.refused
            problems += [f"{name}: {told}{_shown(name, value)}" for told in problem.problems]
    found = Settings(**values)
    problems += _database_problems(found)
    asked = [name for name in _OF_DAEMON if getattr(found, name)]
    if asked and found.docker_source == "preinstalled":
        problems.append(f'{", ".join(asked)}: docker_source is "preinstalled", so nothing is configured; leave it out')
    if found.gateway_canary_interval is None:
        for name in filter(values.get, ("gateway_alert_command", "gateway_alerts")):
            problems.append(f"{name}: gateway_canary_interval is None, so no alarm would ever be sent; set it")
    if found.gateway_page_peers and found.gateway_page_port is None:
        problems.append("gateway_page_peers: gateway_page_port is None, so no page is served; set it")
    if found.gateway_page_port is not None and found.gateway_page_port == found.gateway_port:
        problems.append(f"gateway_page_port: {found.gateway_page_port} is gateway_port; choose another one")
    problems += _metrics_problems(found)
    if found.openclaw_unit_scope == "user" and found.openclaw_user is None:
        problems.append('openclaw_user: name the user whose unit it is, because openclaw_unit_scope is "user"')
    problems += consistency.contradictions(
        found.gateway_channels,
        found.gateway_tokens,
        found.gateway_prune,
        found.gateway_image,
        found.gateway_options,
        [name for name, value in found.gateway_environment.items() if value is not None],
    )
    return found, problems


def _database_problems(found: Settings) -> Iterator[str]:
    """What does not go with a PostgreSQL."""
    if found.gateway_database == SQLITE:
        return
    flavour = known.of_image(found.gateway_image)
    if flavour.has_default_account is False:
        yield (
            f'gateway_database: {flavour.name} is deployed with its own file alone: leave it at "{SQLITE}", or take a'
            " gateway_image of One API"
        )
    for name in _OF_CONNECTIONS:
        if found.gateway_environment.get(name) is not None:
            yield f"gateway_environment: {name} must not be set, because the deployment sets it for a PostgreSQL"


def misspelt(names: set[str]) -> list[str]:
    """What in a host's data is not a setting though it looks meant as one, each with the fix."""
    problems = []
    for name in sorted(name for name in names - set(SETTINGS) if isinstance(name, str)):
        if note := renamed.note(name):
            problems.append(f"{name}: this setting {note}")
            continue
        if _SECRET_SHAPED.fullmatch(name):
            problems.append(
                f"{name}: secrets are not taken from the inventory or --data, where they would be"
                f" printed; export {name}=… in the shell, or put it in the file `secrets_file`"
            )
            continue
        if hint := suggest(name, SETTINGS, cutoff=0.8):
            problems.append(f"{name}: no such setting{hint}")
        elif name.startswith(_OUR_PREFIXES):
            problems.append(f"{name}: no such setting; group_data/all.py lists them all")
    return problems


def _shown(name: str, value: Any) -> str:
    """The refused value, where it cannot hold a secret: a URL may have a password in it."""
    if SETTINGS[name].hidden:
        return ""
    try:
        shown = repr(value)
    except ValueError:  # a number of more digits than Python writes
        return ""
    if "@" in shown:
        return ""
    return f"; it is {shown}" if len(shown) <= _LONGEST_SHOWN else f"; it begins with {shown[:_LONGEST_SHOWN]}"


def _metrics_problems(found: Settings) -> list[str]:
    """Metrics in a directory of the gateway's own, where nobody reads them, or with its data."""
    place = found.gateway_metrics_directory or layout.METRICS
    ours = [directory for directory in (found.gateway_directory, layout.STATE) if directory]
    if place == layout.METRICS or not any(f"{place}/".startswith(f"{directory}/") for directory in ours):
        return []
    return [
        f"gateway_metrics_directory: {place} is within what is the gateway's own: name the directory that your"
        f" node_exporter reads (--collector.textfile.directory), or None ({layout.METRICS})"
    ]
