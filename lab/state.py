"""What a running lab looks like: ``.lab/<name>/state.json``, readable without Docker."""

import json
import os
import re
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lab.errors import LabError

CHECKOUT = Path(__file__).resolve().parent.parent
LAB_ROOT = CHECKOUT / ".lab"
CACHE = LAB_ROOT / "cache"
SECRETS_FILE = "secrets.env"
"""Beside the state: what an operator would hand in, as the deployment's setting ``secrets_file`` reads it."""
UPSTREAM_SECRET = "LAB_UPSTREAM_API_KEY"
"""The name, not the value."""
DATABASE = "database"
"""The profile of a host with a PostgreSQL."""
WITH_PLACEHOLDER = ("agent", "legacy")
"""The profiles of the hosts that run a place-holder for OpenClaw."""
WITH_OPENCLAW = ("openclaw", "openclaw-system")
"""The profiles of those that run the real one: as a unit of its user, as its installer does it, and of the system."""
WORKSPACE = ".openclaw/workspace"
"""OpenClaw's workspace, in the home of its user."""
NAME = re.compile(r"[a-z][a-z0-9-]{0,20}")


@dataclass
class Host:
    """One lab host, and how to reach it over SSH."""

    profile: str
    lan_address: str
    tailscale_address: str
    ssh_port: int
    ssh_user: str
    ssh_key: str
    known_hosts: str


@dataclass
class Upstream:
    """The real small model behind an OpenAI-compatible API; ``base_url`` has no ``/v1``."""

    base_url: str
    api_key: str
    chat_model: str
    embedding_model: str
    dimensions: int


@dataclass
class Packages:
    """The lab's apt repository of Docker's packages: its URL without the distribution, and its key's fingerprint."""

    url: str
    fingerprint: str


@dataclass
class GatewayImage:
    """The image that a gateway host runs: from a registry, or an archive on this machine."""

    reference: str
    archive: str | None
    is_stand_in: bool


@dataclass
class LabState:
    """The whole lab. ``complete`` is false while ``up`` is at work or was interrupted."""

    name: str
    tailnet_subnet: str
    lan_subnet: str
    tailnet: str = "fake"
    """"fake", or "real": see lab/tailnet.py."""
    peer_address: str = ""
    """The peer's on the tailnet."""
    hosts: dict[str, Host] = field(default_factory=dict)
    upstream: Upstream | None = None
    gateway_image: GatewayImage | None = None
    """The one that its gateways run."""
    gateway_images: dict[str, GatewayImage] = field(default_factory=dict)
    """By flavour, "one-api" or "new-api": all that were asked for, see lab/gateway_image.py."""
    packages: Packages | None = None
    database_password: str = ""
    """Of the role `gateway` of its PostgreSQLs; it has signs that a DSN has as %XX."""
    complete: bool = False

    @property
    def dsns(self) -> dict[str, str]:
        """Where the database for a gateway is on each host that has one, by the name of the secret."""
        login = f"gateway:{quote(self.database_password, safe='')}"
        return {
            database_secret(name): f"postgres://{login}@{host.tailscale_address}:5432/gateway"
            for name, host in self.hosts.items()
            if host.profile == DATABASE
        }


def database_secret(host: str) -> str:
    """The name of the secret with the DSN of the database on a host."""
    return f"LAB_DATABASE_{host.upper().replace('-', '_')}"


def lab_name() -> str:
    """Return this lab's name: the environment variable ``LAB_NAME``, else ``lab``.

    Raises:
        LabError: the name is not usable for Docker objects and directories.
    """
    name = os.environ.get("LAB_NAME") or "lab"
    if not NAME.fullmatch(name) or name == CACHE.name:
        raise LabError(
            f"LAB_NAME={name!r} is not a valid name for a lab",
            "use at most 21 small letters, digits and '-', beginning with a letter, not 'cache'",
        )
    return name


def directory(name: str | None = None) -> Path:
    """Return the directory of a lab's state, ``.lab/<name>``; it may not exist."""
    return LAB_ROOT / (name or lab_name())


def up_command(name: str | None = None) -> str:
    """Return the command that brings a lab up, for messages."""
    name = name or lab_name()
    if name == "lab":
        return "make lab   (or: python -m lab up)"
    return f"LAB_NAME={name} python -m lab up"


def load_if_any(name: str | None = None) -> LabState | None:
    """Return a lab's state, complete or not; None if there is none.

    Raises:
        LabError: the file is there and cannot be understood.
    """
    path = directory(name) / "state.json"
    try:
        return _from_json(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise LabError(f"{path} is damaged ({error!r})", "python -m lab down") from error


def load(name: str | None = None) -> LabState:
    """Return the state of a lab that is up.

    Args:
        name: the lab's name; the environment's by default.

    Raises:
        LabError: there is no such lab, or its ``up`` did not finish.
    """
    state = load_if_any(name)
    if state is None:
        raise LabError(f"the lab '{name or lab_name()}' is not up", up_command(name))
    if not state.complete:
        raise LabError(f"the lab '{state.name}' is only half up", up_command(name))
    return state


def save(state: LabState) -> None:
    """Write a lab's state, atomically, readable by its owner alone."""
    path = make_directory(state.name) / "state.json"
    write_private(path, json.dumps(asdict(state), indent=2) + "\n")
    if state.upstream is not None:
        lines = [f"{UPSTREAM_SECRET}={state.upstream.api_key}\n"]
        lines += [f"{name}={dsn}\n" for name, dsn in state.dsns.items()]
        write_private(path.with_name(SECRETS_FILE), "".join(lines))


def make_directory(name: str) -> Path:
    """Make a lab's directory, 0700, and return it."""
    LAB_ROOT.mkdir(exist_ok=True)
    path = directory(name)
    path.mkdir(mode=0o700, exist_ok=True)
    path.chmod(0o700)
    return path


def write_private(path: Path, text: str) -> None:
    """Write a file that is never readable by others and never half written."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _from_json(raw: dict[str, Any]) -> LabState:
    upstream, image, packages = raw["upstream"], raw["gateway_image"], raw.get("packages")
    return LabState(
        name=raw["name"],
        tailnet_subnet=raw["tailnet_subnet"],
        lan_subnet=raw["lan_subnet"],
        tailnet=raw.get("tailnet", "fake"),
        peer_address=raw.get("peer_address", ""),
        hosts={name: Host(**host) for name, host in raw["hosts"].items()},
        upstream=None if upstream is None else Upstream(**upstream),
        gateway_image=None if image is None else GatewayImage(**image),
        gateway_images={name: GatewayImage(**other) for name, other in raw.get("gateway_images", {}).items()},
        packages=None if packages is None else Packages(**packages),
        database_password=raw.get("database_password", ""),
        complete=raw["complete"],
    )
