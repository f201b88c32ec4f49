"""pyinfra's inventory of the lab: ``pyinfra lab/inventory.py deploy.py`` from the checkout's root.

The lab's name comes from ``LAB_NAME``. Names that begin with ``_`` are no groups.
"""

from typing import Any as _Any

from pyinfra.api.exceptions import PyinfraError as _PyinfraError

from lab import errors as _errors
from lab import state as _lab_state
from lab.base_image import OLDER as _OLDER
from lab.upstream import personality as _personality

_PLAIN = "plain"


def _load() -> _lab_state.LabState:
    try:
        return _lab_state.load()
    except _errors.LabError as error:
        raise _PyinfraError(f"lab/inventory.py: {error}") from None


def _deployment_settings(state: _lab_state.LabState, name: str, host: _lab_state.Host) -> dict[str, _Any]:
    """Return what the lab sets otherwise than group_data/all.py: its own upstream and image."""
    upstream, image = state.upstream, state.gateway_image
    if upstream is None or image is None:
        raise _PyinfraError(f"lab/inventory.py: the lab is only half up; {_lab_state.up_command()}")
    settings: dict[str, _Any] = {
        "secrets_file": str(_lab_state.directory(state.name) / _lab_state.SECRETS_FILE),
        "gateway_image": image.reference,
        "gateway_image_archive": image.archive,
        "gateway_channels": [
            {
                "name": "lab-upstream",
                "type": 1,
                "base_url": upstream.base_url,
                "key": _lab_state.UPSTREAM_SECRET,
                "models": list(dict.fromkeys([upstream.chat_model, upstream.embedding_model])),
            },
            *_for_openclaw(state),
        ],
        "llm_model": upstream.chat_model,
        "embedding_model": upstream.embedding_model,
        "embedding_dimensions": upstream.dimensions,
        # So rarely that no test meets it in the middle of comparing rows; tests start it themselves.
        "gateway_canary_interval": "1d",
    }
    if state.packages is not None and host.profile == _OLDER:
        # Its own packages have Compose 1 only.
        settings |= {
            "docker_source": "docker",
            "docker_apt_url": state.packages.url,
            "docker_apt_key": state.packages.fingerprint,
        }
    if host.profile == "legacy":
        # The directory of the gateway that was set up by hand, which is One API's: it is taken over.
        image = state.gateway_images.get("one-api", image)
        settings |= {"gateway_image": image.reference, "gateway_image_archive": image.archive}
        settings["gateway_directory"] = "/root/workspace/infrastructure/oneapi"
    elif first := next((name for name, other in state.hosts.items() if _is_gateway(name, other.profile)), None):
        settings["openclaw_gateway"] = first
    if _is_gateway(name, host.profile) and (database := _database_of(state, name)):
        settings["gateway_database"] = _lab_state.database_secret(database)
    if host.profile in (*_lab_state.WITH_PLACEHOLDER, *_lab_state.WITH_OPENCLAW):
        settings["openclaw_workspace"] = f"~/{_lab_state.WORKSPACE}"
    if host.profile in _lab_state.WITH_PLACEHOLDER:
        settings["openclaw_provider"] = None  # it has no `config patch`
    if host.profile in _lab_state.WITH_OPENCLAW:
        settings["llm_model"] = _PLAIN
    if host.profile == "openclaw":
        settings |= {"openclaw_unit_scope": "user", "openclaw_user": "openclaw"}
    return settings


def _database_of(state: _lab_state.LabState, gateway: str) -> str | None:
    """The host with the database of a gateway: the one that comes next behind it, where no gateway is between."""
    names = list(state.hosts)
    for name in names[names.index(gateway) + 1 :]:
        profile = state.hosts[name].profile
        if profile == _lab_state.DATABASE:
            return name
        if _is_gateway(name, profile):
            return None
    return None


def _for_openclaw(state: _lab_state.LabState) -> list[dict[str, _Any]]:
    """The channel of the real OpenClaw's model: its prompt of 12,000 tokens is too long for the small one."""
    if not any(host.profile in _lab_state.WITH_OPENCLAW for host in state.hosts.values()):
        return []
    url = _personality(state, _PLAIN)
    return [
        {"name": f"lab-{_PLAIN}", "type": 1, "base_url": url, "key": _lab_state.UPSTREAM_SECRET, "models": [_PLAIN]}
    ]


def _connection(host: _lab_state.Host) -> dict[str, _Any]:
    return {
        "ssh_hostname": host.lan_address,
        "ssh_port": host.ssh_port,
        "ssh_user": host.ssh_user,
        "ssh_key": host.ssh_key,
        "ssh_known_hosts_file": host.known_hosts,
        "ssh_strict_host_key_checking": "yes",
        # The person's own ssh configuration and keys have no say in the lab.
        "ssh_config_file": "/dev/null",
        "ssh_allow_agent": False,
        "ssh_look_for_keys": False,
        "_sudo": True,
    }


def _members(belongs: _Any) -> list[tuple[str, dict[str, _Any]]]:
    return [
        (name, {**_connection(host), **_deployment_settings(_state, name, host)})
        for name, host in _state.hosts.items()
        if belongs(name, host.profile)
    ]


def _is_gateway(name: str, profile: str) -> bool:
    return name.startswith("gw") or profile == "legacy"


def _is_openclaw(name: str, profile: str) -> bool:
    return name.startswith("agent") or profile in (*_lab_state.WITH_PLACEHOLDER, *_lab_state.WITH_OPENCLAW)


_state = _load()
gateways = _members(_is_gateway)
openclaw = _members(_is_openclaw)
