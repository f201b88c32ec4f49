"""What a host has of ours: each file, directory, unit, container and port, once, with what is done to it. No I/O.

A file that is new stands in `FILES` with its roles, and whatever reads, backs up, replaces or removes files knows it.
Scripts that run on hosts spell the names themselves; tests/unit/test_layout.py holds them, and all modules, to this.

What another kind of host, store or gateway software has besides is a line here too: a database that is no file has no
`DATABASE` on the gateway's host, and its address lies in `DATABASE_CONF`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Flag, auto

PROJECT = "openclaw-llm-gateway"
"""The name of the container, of the compose project and of the systemd unit."""
PORT = 3000
"""What One API listens on in its container; a person's own may have been given another one."""
CONTAINER_PORT = f"{PORT}/tcp"
"""As Docker names it."""

OPT = f"/opt/{PROJECT}"
"""The gateway's directory, where gateway_directory does not say otherwise."""
STATE = f"/var/lib/{PROJECT}"
"""Where a host keeps what is about its runs, and what has to be there before other file systems are mounted."""
UNITS = "/etc/systemd/system"

# Containers, images and networks.
FIRST_START = f"{PROJECT}-first-start"
"""The container of a start that nobody can reach."""
TRIAL = f"{PROJECT}-trial"
"""The container of an image that is tried on a copy of the database."""
REPLACED = f"{PROJECT}-replaced"
"""The container of a person's gateway, from the moment when it is stopped until the new one answers."""
PREVIOUS_IMAGE = f"{PROJECT}-previous"
"""The name under which an image stays on the host when its own name means another one."""
NEXT_IMAGE = f"{PROJECT}-next"
"""The name of an image that is being tried."""
BRIDGE, TRIAL_BRIDGE = "llmgw0", "llmgw-trial"
FIREWALL_TABLE = "inet openclaw_llm_gateway"

# Units.
UNIT = f"{PROJECT}.service"
UNIT_PATH = f"{UNITS}/{UNIT}"


def unit(part: str, kind: str = "service") -> str:
    """The name of the unit of a part, such as "backup"; `kind` is "service", "timer" or "path"."""
    return f"{PROJECT}-{part}.{kind}"


def unit_path(name: str) -> str:
    """Where the file of a unit is."""
    return f"{UNITS}/{name}"


FIREWALL_UNIT = unit("firewall")
RESOLVERS_UNIT, RESOLVERS_WATCH = unit("resolvers"), unit("resolvers", "path")
PAGE_UNIT = unit("page")
"""What serves the page of the fleet."""
UNDO_UNIT = unit("undo")
"""What a boot runs: what an interrupted run has left is undone before the gateway starts."""
GUARD_UNIT = unit("guard")
"""What runs while something is unfinished, and undoes it where the run does not come to its end."""

# In the gateway's directory.
SECRETS = "secrets.env"
NEXT_SECRETS = "secrets.env.next"
"""Keys that are being made the gateway's."""
DATABASE_CONF = "database.conf"
"""Where a database that is no file is, and its password, as psql reads it."""
CLAIM_TABLE = "llm_gateway_claim"
"""The table in such a database that says which gateway's it is."""
ENVIRONMENT = ".env"
COMPOSE_FILE = "docker-compose.yml"
FIRST_START_FILE = "first-start.yml"
"""The compose file of the first start."""
FIRST_START_DONE = "first-start-done"
"""The file that says: the default password is gone and registration is closed, so publishing is allowed."""
APPLIED_KEYS = "applied-keys.json"
"""What was declared last, by which a key of a channel is told from another."""
MOVED_AWAY = "migrated-to"
"""The file that says: the gateway serves on another host, and may not be started here (the unit asserts so)."""
MOVING_IN = "migrating-from"
"""The file that says: another host's gateway is on its way here, and what is here may be older."""
START_GATEWAY = "start-gateway"
OWN_DATA = "own-data"
TAILSCALE_PROBLEM = "tailscale-problem"
MAKE_BACKUP, BACKUP_CONF = "make-backup", "backup.conf"
OWN_BACKUPS, READ_TABLES = "own-backups", "read-tables"
SCRIPT_FUNCTIONS, DATABASE_SETTINGS, DATABASE_ACCESS = "script-functions", "database-settings", "database-access"
CANARY, CANARY_CONF = "canary", "canary.conf"
SEND_ALERTS, ALERTS_CONF = "send-alerts", "alerts.conf"
PRUNE_LOGS, PRUNE_LOGS_CONF = "prune-logs", "prune-logs.conf"
BUDGETS, BUDGETS_CONF = "budgets", "budgets.conf"
BUDGETS_SUMS = "budgets.sums"
"""What the log has been summed up to."""
SENT_IMAGE = "image.tar"
DATA = "data"
DATABASE = "one-api.db"
"""The database's file in `DATA`, and what it is called wherever it is kept."""
DUMP = "one-api.sql"
"""What a backup holds in the place of `DATABASE`, of a PostgreSQL."""
COMPANIONS = ("-journal", "-wal")
"""What SQLite needs of a database that was copied while it was being written, or whose server was killed: files of its
own name with these at the end. (It makes -shm anew out of -wal.)"""
TIKTOKEN = "tiktoken"
BACKUPS = "backups"
TAKEN_OVER_FILES = f"{BACKUPS}/taken-over-files"
"""Where files of a person's gateway are kept that ours have replaced."""
INCOMING = "incoming"
"""Beside `DATA`: a database that is to be swapped in, and what belongs to it."""
PREVIOUS = "previous"
"""What an upgrade has replaced: files, the image's ID and the data of then."""
ARRIVING = "arriving"
"""A database on its way from another host."""
SWITCHING = "switching"
"""What a swap replaces, until it is undone or has found its place."""
HALF_DIRECTORIES = (".new", ".partial", ".undone")
"""At the ends of the names of directories of ours that are being made or removed."""
HALF_FILES = (".partial", ".restored", ".llmgw-back")
"""The same of files that are being written or put back. (A person may keep a docker-compose.yml.new.)"""
HALF_PLACED = (
    *(f"{name}.older" for name in (SECRETS, APPLIED_KEYS)),
    *(f"{DATA}/older/{DATABASE}{end}" for end in ("", *COMPANIONS)),
)
"""Of earlier versions: what was to take the place of something newer."""

# In STATE.
JOURNAL = f"{STATE}/journal.jsonl"
BEFORE = f"{STATE}/before"
"""How things of others were, before the deployment wrote there for the first time."""
FIREWALL = f"{STATE}/firewall"
"""Not in the install directory: the rules stand before anything that is mounted later."""
FIREWALL_RULES = f"{FIREWALL}/rules.nft"
HOLD_FIREWALL = f"{FIREWALL}/hold-firewall"
METRICS = f"{STATE}/metrics"
METRICS_FILE = "openclaw_llm_gateway.prom"
PROBLEMS = f"{STATE}/problems"
"""Where a part of the host tells its problem to the canary: a file NAME (`[a-z][a-z0-9_-]*`, root's) is there while
something is wrong, its first line says what, with the fix; alarms are sent when it comes and when it goes."""
PAGE = f"{STATE}/page"
PAGE_CONF = f"{PAGE}/nginx.conf"
PAGE_USERS = f"{PAGE}/users"
"""Who gets the page: one user and the token, as nginx reads it."""
PAGE_HTML = f"{PAGE}/html/index.html"
MIGRATION = f"{STATE}/migration"
UNFINISHED = f"{STATE}/unfinished"
"""While it is there, a run is at work that is undone unless it comes to its end."""
UNDOING = f"{STATE}/undoing"
UNDO_TOOL = f"{STATE}/undo-unfinished"
PRUNED = f"{STATE}/prune-logs.json"
"""What the pruning of logs did last."""
SPENT = f"{STATE}/budgets.json"
"""What agents have used of their budgets."""
CLIENT_RECORD = f"{STATE}/llm_client.js.sha256"
"""The SHA-256 of the client that was deployed last, by which a person's own is told from ours."""
OPENCLAW_RECORD = f"{STATE}/openclaw-config.json"
"""What was written into OpenClaw's configuration."""
REMOVING = "removing"
"""A removal has begun to give OpenClaw its own back, so that its unit is to be restarted."""
GIVEN_BACK = "env-given-back"
"""From here on, a .env that does not point at the gateway is what a removal has made of it."""

# In /run.
LOCK = f"/run/{PROJECT}.lock"
"""Which process has the host for its run."""
RUNTIME = f"/run/{PROJECT}"
FIRST_START_ENVIRONMENT = f"{RUNTIME}.first-start.env"
"""The same of the container of the first start, where it is told of a database."""
CONTAINER_ENVIRONMENT = f"{RUNTIME}/one-api.env"
"""Mounted by our container alone, in the place of the data's own .env."""

# On OpenClaw's hosts, in its user's directories.
DROP_IN = "zz-llm-gateway.conf"
BEFORE_SUFFIX = ".before-llm-gateway"
"""At the end of a copy of what was there before the first deployment."""
SHARED_CLIENT = "skills/shared/llm_client.js"
"""In OpenClaw's workspace."""

# Docker's apt repository.
DOCKER_SOURCES = "/etc/apt/sources.list.d/docker.sources"
DOCKER_KEYRING = "/etc/apt/keyrings/docker.asc"


class Role(Flag):
    """What is done to a file of ours."""

    TRACKED = auto()
    """Mode, owner, time and SHA-256 are read with the host's state; those of a directory without the last."""
    RESTARTS = auto()
    """The gateway runs by it: it is replaced while the gateway stands still, or not at all."""
    BACKED_UP = auto()
    """A backup has it, where it is there."""
    RESTORED = auto()
    """It comes back with its database, if the secrets do: without them it means nothing."""
    KEYS = auto()
    """It holds keys that the database has, too, so that it goes wherever the database goes."""
    DISPLACED = auto()
    """It says something of the database, so that it goes when another one takes the place."""
    THEIRS = auto()
    """A gateway that a person has set up may have one of that name, which is kept and given back."""
    REMOVED = auto()
    """A removal takes it off, whatever is in it."""
    WORK = auto()
    """A directory, removed with all that is in it: what runs keep there while they are at work, or to go back."""
    LAST = auto()
    """It tells how far a removal has come, and goes last."""


@dataclass(frozen=True)
class HostFile:
    """A file or directory of ours: its path, absolute or relative to the gateway's directory, and its roles."""

    path: str
    roles: Role

    def at(self, directory: str) -> str:
        """Its absolute path. Parameters: `directory`, the gateway's."""
        return self.path if self.path.startswith("/") else f"{directory}/{self.path}"


def _of(roles: Role, *paths: str) -> tuple[HostFile, ...]:
    return tuple(HostFile(path, roles) for path in paths)


_OF_NGINX = ("nginx.pid", "users", "body", "proxy", "fastcgi", "uwsgi", "scgi")
"""What the page's server has while it runs."""
_NONE = Role(0)
_OWN = Role.TRACKED | Role.REMOVED
_MARK = _OWN | Role.DISPLACED
_BELONGING = _MARK | Role.BACKED_UP | Role.RESTORED
_SERVICE = _OWN | Role.RESTARTS

FILES = (
    *_of(_SERVICE | Role.BACKED_UP | Role.THEIRS, ENVIRONMENT, COMPOSE_FILE),
    *_of(_SERVICE, FIRST_START_FILE),
    *_of(_OWN, OWN_DATA),
    *_of(_SERVICE, START_GATEWAY),
    *_of(_OWN, TAILSCALE_PROBLEM, MAKE_BACKUP, OWN_BACKUPS, READ_TABLES, BACKUP_CONF),
    *_of(_OWN, SCRIPT_FUNCTIONS, DATABASE_SETTINGS, DATABASE_ACCESS, BUDGETS, BUDGETS_CONF),
    *_of(Role.REMOVED | Role.DISPLACED, BUDGETS_SUMS),
    *_of(_OWN, CANARY, CANARY_CONF, SEND_ALERTS, ALERTS_CONF, PRUNE_LOGS, PRUNE_LOGS_CONF),
    *_of(Role.REMOVED, SENT_IMAGE, "wait-for-address"),  # the last is of earlier versions
    *_of(_BELONGING | Role.KEYS, APPLIED_KEYS),
    *_of(_BELONGING, FIRST_START_DONE),
    *_of(_MARK, MOVED_AWAY, MOVING_IN),
    *_of(Role.REMOVED | Role.DISPLACED, NEXT_SECRETS),
    *_of(_OWN | Role.LAST, DATABASE_CONF),
    *_of(_BELONGING | Role.KEYS | Role.LAST, SECRETS),
    *_of(Role.WORK, INCOMING, "replaced", PREVIOUS, SWITCHING, "trial", ARRIVING),
    *_of(Role.TRACKED, DATA, TIKTOKEN),
    *_of(_NONE, BACKUPS, TAKEN_OVER_FILES, f"{BACKUPS}/last.json", f"{BACKUPS}/.lock", "images"),
    *_of(_SERVICE | Role.BACKED_UP, UNIT_PATH),
    *(
        HostFile(unit_path(unit(part, kind)), _OWN)
        for part in ("backup", CANARY, PRUNE_LOGS, BUDGETS)
        for kind in ("service", "timer")
    ),
    *_of(_OWN, *map(unit_path, (FIREWALL_UNIT, RESOLVERS_UNIT, RESOLVERS_WATCH))),
    *_of(Role.REMOVED, *map(unit_path, (UNDO_UNIT, GUARD_UNIT))),
    *_of(_OWN, FIREWALL_RULES, HOLD_FIREWALL),
    *_of(_OWN, unit_path(PAGE_UNIT), PAGE_CONF, PAGE_USERS),
    *_of(Role.REMOVED, PAGE_HTML),
    *_of(Role.REMOVED, *(f"{METRICS}/{METRICS_FILE}{end}" for end in ("", ".new"))),
    *_of(Role.REMOVED, *(f"{STATE}/canary{end}" for end in (".jsonl", "-hours", ".state", "-alert.log"))),
    *_of(Role.REMOVED, UNDO_TOOL, CLIENT_RECORD, OPENCLAW_RECORD, JOURNAL, f"{JOURNAL}.old", PRUNED, SPENT),
    *_of(Role.WORK, MIGRATION, UNFINISHED, f"{UNFINISHED}.new", UNDOING, f"{STATE}/undone", f"{STATE}/committed"),
    *_of(Role.WORK, BEFORE, PROBLEMS),
    *_of(Role.REMOVED | Role.LAST, f"{STATE}/{REMOVING}", f"{STATE}/{GIVEN_BACK}"),
    # Gone with the next boot.
    *_of(_NONE, LOCK, f"{LOCK}.guard", f"{RUNTIME}.undo", f"{RUNTIME}.carrier", f"{RUNTIME}-docker.sources"),
    *_of(_NONE, f"{RUNTIME}-backup.lock", f"{RUNTIME}.canary.lock", f"{RUNTIME}.prune-logs.lock"),
    *_of(_NONE, f"{RUNTIME}.budgets.lock", *(f"{RUNTIME}-page/{name}" for name in _OF_NGINX)),
    *_of(_NONE, FIRST_START_ENVIRONMENT, CONTAINER_ENVIRONMENT, f"{RUNTIME}-firewall/loaded"),
)
"""In the order in which they are removed: backups stay, and of images/ and the data goes what the gateway has made."""


def paths(role: Role, directory: str) -> list[str]:
    """The absolute paths of what has a role. Parameters: `directory`, the gateway's."""
    return [file.at(directory) for file in FILES if role in file.roles]


def names(role: Role, without: Role = _NONE) -> tuple[str, ...]:
    """What has a role in the gateway's directory, by its path from there; `without` leaves out what has that one."""
    return tuple(file.path for file in FILES if _has(file, role, without) and not file.path.startswith("/"))


def state_names(role: Role, without: Role = _NONE) -> tuple[str, ...]:
    """As `names`, of what lies in STATE, by its path from there."""
    here = f"{STATE}/"
    found = (file.path for file in FILES if _has(file, role, without))
    return tuple(path.removeprefix(here) for path in found if path.startswith(here))


def _has(file: HostFile, role: Role, without: Role) -> bool:
    return role in file.roles and not file.roles & without


def database(directory: str) -> str:
    """The path of the database of a gateway in that directory."""
    return f"{directory}/{DATA}/{DATABASE}"
