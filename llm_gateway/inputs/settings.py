"""The settings of one host, typed and checked.

`group_data/all.py` holds every setting and its default; the inventory overrides them. What is wrong
is collected as text and never raised here, so that all problems of all hosts are told at once.
"""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from llm_gateway.inputs import consistency, declarations, environment
from llm_gateway.inputs.declaration_checks import model_name
from llm_gateway.inputs.declarations import Channel as Channel
from llm_gateway.inputs.declarations import DeclaredToken
from llm_gateway.model import layout
from llm_gateway.model.checkout import ROOT
from llm_gateway.model.checks import (
    InvalidError,
    either_all_or,
    extra_hosts,
    flag,
    http_url,
    image,
    integer,
    list_of,
    map_of,
    number,
    one_of,
    optional,
    tailnet,
    tailscale_address,
    text,
    time_span,
    upstream,
)
from llm_gateway.model.suggestion import suggest

DEFAULTS_FILE = ROOT / "group_data" / "all.py"

# A name that starts like one of ours is meant for us, so an unknown one is a misspelling.
OUR_PREFIXES = ("gateway_", "docker_", "openclaw_", "llm_", "embedding_", "verification_", "secrets_")

_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET_SHAPED = re.compile(r".*(_API_KEY|_SECRET|_TOKEN|_PASSWORD)$")
# Without "." and "..", which systemd refuses, and without "//", which Docker does not give back. Names of files are
# added to it, so it is short.
_PATH = re.compile(r"(?=.{1,200}$)(/(?!\.\.?(/|$))[A-Za-z0-9._+-]+)+")
# Not what is the system's, whose modes would be changed, nor where nothing lasts, nor where hosts keep what is of runs.
_OF_SYSTEM = "bin|boot|dev|etc|home|lib|lib64|media|mnt|opt|proc|root|run|sbin|srv|sys|tmp|usr|var|var/lib|var/tmp"
_NOT_FOR_DATA = f"dev|proc|run|sys|var/run|{layout.STATE.removeprefix('/')}"
_DIRECTORY = re.compile(rf"(?!/({_OF_SYSTEM})$)(?!/({_NOT_FOR_DATA})(/|$)){_PATH.pattern}")
# Not what is the system's; nor a /tmp, since the canary has one of its own.
_NOT_FOR_METRICS = "bin|boot|dev|etc|lib|lib64|proc|sbin|sys|tmp|usr(?!/local/)|var/run|var/tmp"
_METRICS = re.compile(rf"(?!/({_OF_SYSTEM})$)(?!/({_NOT_FOR_METRICS})(/|$)){_PATH.pattern}")
_ZONE = re.compile(r"(?=.{1,64}$)[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9][A-Za-z0-9_+-]*)*")
# Quoted wherever it is used, so that blanks and Chinese characters may stand in it.
_WORKSPACE = re.compile(r"~?(/(?!\.\.?(/|$))[^/]+)+")
# Not with "-" first, which a command would take for an option.
_UNIT = re.compile(r"(?=.{1,255}$)[A-Za-z0-9:_.@][A-Za-z0-9:_.@-]*\.service")
# The whole language is systemd's own, which is asked on the host; here is what may stand in a unit's line.
_CALENDAR = re.compile(r"[A-Za-z0-9*][A-Za-z0-9 *:,./~_+-]*")
_RECIPIENT = re.compile(r"age1[0-9a-z]{58,}|ssh-(ed25519|rsa) [A-Za-z0-9+/]+=*( \S+)?")
_USER = re.compile(r"[a-z_][a-z0-9_-]*\$?")


@dataclass(frozen=True)
class Settings:
    """The checked settings of one host; the meaning of each is told in `group_data/all.py`."""

    secrets_file: str | None
    gateway_directory: str
    gateway_port: int
    gateway_tailscale_address: str | None
    gateway_allowed_peers: tuple[str, ...]
    gateway_private_upstreams: tuple[str, ...]
    gateway_environment: Mapping[str, str | None]
    gateway_extra_hosts: Mapping[str, str | None]
    gateway_timezone: str
    gateway_image: str
    gateway_image_digest: str | None
    gateway_image_archive: str | None
    gateway_tiktoken_directory: str | None
    gateway_start_timeout: int
    gateway_user_id: int
    gateway_memory_mb: int
    gateway_cpus: float
    gateway_log_days: int | None
    gateway_backup_schedule: str | None
    gateway_backup_keep: int
    gateway_backup_keep_days: int
    gateway_backup_recipient: str | None
    gateway_backup_command: str | None
    gateway_canary_interval: str | None
    gateway_canary_failures: int
    gateway_alert_command: str | None
    gateway_metrics_directory: str | None
    docker_source: str
    docker_apt_url: str
    docker_apt_key: str
    docker_registry_mirrors: tuple[str, ...]
    docker_http_proxy: str | None
    docker_https_proxy: str | None
    docker_no_proxy: str | None
    gateway_channels: tuple[Channel, ...]
    gateway_tokens: tuple[DeclaredToken, ...]
    gateway_options: Mapping[str, object]
    gateway_prune: bool | frozenset[str]
    gateway_force_keys: bool
    llm_model: str
    embedding_model: str
    embedding_dimensions: int
    verification_timeout: int
    verification_models: str | None
    verification_model_kinds: Mapping[str, str]
    openclaw_gateway: str | None
    openclaw_unit: str
    openclaw_unit_scope: str
    openclaw_unit_required: bool
    openclaw_user: str | None
    openclaw_workspace: str | None
    openclaw_unset_environment: tuple[str, ...]
    openclaw_provider: str | None
    openclaw_default_model: bool
    openclaw_memory_search: bool
    openclaw_models: str | tuple[str, ...]
    openclaw_context_window: int
    openclaw_max_tokens: int
    openclaw_turn: str
    openclaw_start_timeout: int
    openclaw_restart: str
    openclaw_idle_timeout: int


_local_path = text(re.compile(r"(?!~[^/])[^\x00\n]+"), "a path on the machine that runs pyinfra")

_CHECKS: dict[str, Callable[[Any], Any]] = {
    "secrets_file": optional(_local_path),
    "gateway_directory": text(
        _DIRECTORY, "an absolute path of letters, digits and . _ + - /, of at most 200, and a directory of its own"
    ),
    "gateway_port": integer(1, 65535),
    "gateway_tailscale_address": optional(tailscale_address),
    "gateway_allowed_peers": list_of(tailnet, "addresses or networks of the tailnet"),
    "gateway_private_upstreams": list_of(upstream, "addresses or networks, each with or without a port"),
    "gateway_environment": environment.variables,
    "gateway_extra_hosts": extra_hosts,
    "gateway_timezone": text(_ZONE, 'a zone such as "Asia/Shanghai"'),
    "gateway_image": image,
    "gateway_image_digest": optional(text(re.compile(r"sha256:[0-9a-f]{64}"), '"sha256:…"')),
    "gateway_image_archive": optional(_local_path),
    "gateway_tiktoken_directory": optional(_local_path),
    "gateway_start_timeout": integer(1, 3600),
    "gateway_user_id": integer(0, 65533),
    "gateway_memory_mb": integer(256, 1 << 20),
    "gateway_cpus": number(0.1, 1024),
    "gateway_log_days": optional(integer(1, 36500)),
    "gateway_backup_schedule": optional(
        text(_CALENDAR, 'a time of systemd\'s such as "daily" or "*-*-* 03:30", or None')
    ),
    "gateway_backup_keep": integer(1, 10000),
    "gateway_backup_keep_days": integer(1, 36500),
    "gateway_backup_recipient": optional(text(_RECIPIENT, 'a public key of age ("age1…" or "ssh-ed25519 …")')),
    "gateway_backup_command": optional(text(re.compile(r".*\S.*"), "a shell command on one line")),
    "gateway_canary_interval": optional(time_span("10s", "1d")),
    "gateway_canary_failures": integer(1, 1000),
    "gateway_alert_command": optional(text(re.compile(r".*\S.*"), "a shell command on one line")),
    "gateway_metrics_directory": optional(
        text(
            _METRICS,
            "an absolute path of letters, digits and . _ + - /, of at most 200, and no directory of the system",
        )
    ),
    "docker_source": one_of("distribution", "docker", "preinstalled"),
    "docker_apt_url": http_url,
    "docker_apt_key": text(re.compile(r"([0-9A-Fa-f]{4} *){10}"), "a key's fingerprint, of 40 hexadecimal digits"),
    "docker_registry_mirrors": list_of(http_url, "URLs"),
    "docker_http_proxy": optional(http_url),
    "docker_https_proxy": optional(http_url),
    "docker_no_proxy": optional(text(re.compile(r"[^\s'\"\\$`]+"), "a comma list of hosts")),
    "gateway_channels": declarations.channels,
    "gateway_tokens": declarations.tokens,
    "gateway_options": declarations.options,
    "gateway_prune": declarations.prune,
    "gateway_force_keys": flag,
    "llm_model": model_name,
    "embedding_model": model_name,
    "embedding_dimensions": integer(1, 65536),
    "verification_timeout": integer(1, 3600),
    "verification_models": optional(one_of("all", "changed", "none")),
    "verification_model_kinds": map_of(one_of("chat", "embedding", "none"), "model names to kinds"),
    "openclaw_gateway": optional(text(re.compile(r"\S(.*\S)?"), "the name of a host in `gateways`")),
    "openclaw_unit": text(_UNIT, 'a unit such as "openclaw-gateway.service"'),
    "openclaw_unit_scope": one_of("system", "user"),
    "openclaw_unit_required": flag,
    "openclaw_user": optional(text(_USER, "the name of a user")),
    "openclaw_workspace": optional(
        text(
            _WORKSPACE,
            'an absolute path such as "/root/workspace" or one that begins with "~/" (the home of OpenClaw\'s user),'
            " without //, /./ or /../ in it and without a / at its end; or None",
        )
    ),
    "openclaw_unset_environment": list_of(text(_ENVIRONMENT_NAME, "the name of a variable"), "names of variables"),
    "openclaw_provider": optional(
        text(re.compile(r"[a-z][a-z0-9_-]{0,62}"), "a name of small letters, digits, _ and -; or None")
    ),
    "openclaw_default_model": flag,
    "openclaw_memory_search": flag,
    "openclaw_models": either_all_or(list_of(model_name, "names of models")),
    "openclaw_context_window": integer(1024, 100_000_000),
    "openclaw_max_tokens": integer(1, 100_000_000),
    "openclaw_turn": one_of("first", "always", "never"),
    "openclaw_start_timeout": integer(1, 3600),
    "openclaw_restart": one_of("now", "idle", "never"),
    "openclaw_idle_timeout": integer(1, 86400),
}


_REFUSED: dict[str, Any] = {
    "gateway_channels": (),
    "gateway_tokens": (),
    "gateway_options": {},
    "gateway_prune": False,
    "gateway_environment": {},
}
"""What stands for a declaration that was refused; such values are never shown, a key may be pasted into them."""

_LONGEST_SHOWN = 500
_OF_DAEMON = ("docker_registry_mirrors", "docker_http_proxy", "docker_https_proxy", "docker_no_proxy")


@cache
def defaults() -> dict[str, Any]:
    """The defaults, read from `group_data/all.py` so that they are written in one place only."""
    return {name: value for name, value in runpy.run_path(str(DEFAULTS_FILE)).items() if name in _CHECKS}


def names() -> frozenset[str]:
    """The names of all settings."""
    return frozenset(_CHECKS)


def _shown(name: str, value: Any) -> str:
    """The refused value, where it cannot hold a secret: a URL or a command may have a password in it, a declaration a
    pasted key.
    """
    if name in _REFUSED or name.endswith("_command"):
        return ""
    try:
        shown = repr(value)
    except ValueError:  # a number of more digits than Python writes
        return ""
    if "@" in shown:
        return ""
    return f"; it is {shown}" if len(shown) <= _LONGEST_SHOWN else f"; it begins with {shown[:_LONGEST_SHOWN]}"


def misspelt(names: set[str]) -> list[str]:
    """What in a host's data is not a setting though it looks meant as one, each with the fix."""
    problems = []
    for name in sorted(name for name in names - set(_CHECKS) if isinstance(name, str)):
        if _SECRET_SHAPED.fullmatch(name):
            problems.append(
                f"{name}: secrets are not taken from the inventory or --data, where they would be"
                f" printed; export {name}=… in the shell, or put it in the file `secrets_file`"
            )
            continue
        if hint := suggest(name, _CHECKS, cutoff=0.8):
            problems.append(f"{name}: no such setting{hint}")
        elif name.startswith(OUR_PREFIXES):
            problems.append(f"{name}: no such setting; group_data/all.py lists them all")
    return problems


def check(data: Mapping[str, Any]) -> tuple[Settings, list[str]]:
    """Turn a host's data into settings.

    Parameters: `data`, the host's data by name; names that are not ours are left to others.
    Returns the settings and the problems: one text each, naming the setting and the fix. Where there are
    any, the settings are good for finding more problems and for nothing else.
    """
    problems = misspelt(set(data))
    values: dict[str, Any] = {}
    for name, check_value in _CHECKS.items():
        # The default is no better than what was refused: a person may have edited group_data/all.py.
        values[name] = _REFUSED.get(name)
        if name not in data and name not in defaults():
            problems.append(f"{name}: has no value; put its line back into group_data/all.py")
            continue
        value = data[name] if name in data else defaults()[name]
        try:
            values[name] = check_value(value)
        except InvalidError as problem:
            problems += [f"{name}: {told}{_shown(name, value)}" for told in problem.problems]
    found = Settings(**values)
    asked = [name for name in _OF_DAEMON if getattr(found, name)]
    if asked and found.docker_source == "preinstalled":
        problems.append(f'{", ".join(asked)}: docker_source is "preinstalled", so nothing is configured; leave it out')
    if found.gateway_alert_command and found.gateway_canary_interval is None:
        problems.append("gateway_alert_command: gateway_canary_interval is None, so nobody would call it; set it")
    problems += _metrics_problems(found)
    if found.openclaw_unit_scope == "user" and found.openclaw_user is None:
        problems.append('openclaw_user: name the user whose unit it is, because openclaw_unit_scope is "user"')
    problems += consistency.contradictions(
        found.gateway_channels, found.gateway_tokens, found.gateway_prune, found.gateway_image
    )
    return found, problems


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
