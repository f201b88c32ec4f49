"""The kinds of lab host, and what each finds on its disk before its first boot."""

from lab import legacy_database
from lab.archives import Entry
from lab.base_image import OLDER
from lab.errors import LabError
from lab.state import DATABASE, NAME, WITH_OPENCLAW, WITH_PLACEHOLDER, WORKSPACE, Host

PROFILES = ("fresh", "ready", OLDER, DATABASE, "agent", "legacy", *WITH_OPENCLAW)
OPERATOR = (1000, 100)
OPENCLAW = (1001, 1001)
OPENCLAW_HOME = "home/openclaw"
LEGACY_TREE = "root/workspace/infrastructure/oneapi"


def parse_hosts(text: str, default_profile: str) -> dict[str, str]:
    """Read the hosts of a command line.

    Args:
        text: such as ``gw1:fresh,agent1``.
        default_profile: for a host that names no profile.

    Returns:
        The profile of each host, in the given order.

    Raises:
        LabError: an unknown profile, an unusable or a repeated name.
    """
    hosts: dict[str, str] = {}
    for part in text.split(","):
        name, _, profile = part.strip().partition(":")
        profile = profile or default_profile
        if profile not in PROFILES:
            raise LabError(f"host {name!r} has the unknown profile {profile!r}", _known_profiles())
        if not NAME.fullmatch(name):
            raise LabError(f"{name!r} is not a valid host name", "--hosts gw1:fresh,agent1:agent")
        if name in hosts or name in ("upstream", "peer", "neighbour", "control", "packages", "lan", "tailnet"):
            raise LabError(f"the host name {name!r} is given twice or taken by the lab")
        hosts[name] = profile
    return hosts


def _known_profiles() -> str:
    return f"use one of {', '.join(PROFILES)}"


def first_files(
    host: Host, tailnet_subnet: str, delay_s: float, public_key: str, database_password: str = ""
) -> list[Entry]:
    """Return the files that a host gets before its first boot.

    Args:
        host: the host.
        tailnet_subnet: the tailnet that its address is in.
        delay_s: seconds from the start of tailscaled to the address.
        public_key: the line for ``authorized_keys``.
        database_password: of the role that a PostgreSQL on it makes.
    """
    tailnet = f"ADDRESS={host.tailscale_address}\nSUBNET={tailnet_subnet}\n".encode()
    key = public_key.encode()
    user, group = OPERATOR
    entries = [
        Entry("etc/openclaw-lab", None, 0o755),
        Entry("etc/openclaw-lab/tailnet", tailnet, 0o644),
        Entry("etc/openclaw-lab/tailscale-delay", f"{delay_s:g}\n".encode(), 0o644),
        Entry("root/.ssh", None, 0o700),
        Entry("root/.ssh/authorized_keys", key, 0o600),
        Entry("home/operator/.ssh", None, 0o700, user, group),
        Entry("home/operator/.ssh/authorized_keys", key, 0o600, user, group),
    ]
    if host.profile == DATABASE:
        entries.append(Entry("etc/openclaw-lab/database-password", database_password.encode(), 0o600))
    if host.profile in WITH_PLACEHOLDER:
        entries += _workspace()
    return entries + (_old_gateway(host) if host.profile == "legacy" else [])


def _workspace() -> list[Entry]:
    """Return OpenClaw's workspace, in which no Skill is yet."""
    place = f"{OPENCLAW_HOME}/{WORKSPACE}"
    about = b"# The lab's place-holder for OpenClaw's workspace\n"
    return [Entry(place, None, 0o755, *OPENCLAW), Entry(f"{place}/AGENTS.md", about, 0o644, *OPENCLAW)]


def _old_gateway(host: Host) -> list[Entry]:
    """Return the data of a gateway from before: modes as they are found in the wild."""
    settings = f"# 本机 Tailscale IP\nTAILSCALE_IP={host.tailscale_address}\n".encode()
    return [
        Entry(f"{LEGACY_TREE}/.env", settings, 0o644),
        Entry(f"{LEGACY_TREE}/data", None, 0o755),
        Entry(f"{LEGACY_TREE}/data/one-api.db", legacy_database.build("v0.6.8"), 0o644),
    ]
