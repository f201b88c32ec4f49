"""The commands of `llm-gateway` that pyinfra carries out: which script each is, and what its options become there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from llm_gateway.model import usage, wording
from llm_gateway.model.checks import InvalidError, page_interval


@dataclass(frozen=True)
class Option:
    """An option of a command, handed to its script by `--data`.

    `kind`: "text"; "number", or a word in its place; "integer"; "flag"; "path", a place on this machine; "source", a
    path if it has a slash, else a name. `default`: what it is where it is left out, None: what its script then does.
    """

    flag: str
    data: str
    help: str
    metavar: str = ""
    kind: str = "text"
    choices: tuple[str, ...] = ()
    default: str | None = None
    required: bool = False
    check: Callable[[str], object] | None = None
    """Raises ValueError, with what would fit, before anything is begun."""


@dataclass(frozen=True)
class Command:
    """A command, and the script that it runs.

    `asks`: it changes hosts, so that it asks before it does; `has_json`: the datum by which its script writes JSON, ""
    where pyinfra does, None where it has none; `then`: the command to run after it; `excluding`: flags of which at most
    one may be given; `repeats`: the flag by which it is carried out again and again.
    """

    name: str
    script: str
    help: str
    example: str
    options: tuple[Option, ...] = ()
    asks: bool = False
    has_json: str | None = ""
    then: str = ""
    excluding: tuple[str, ...] = ()
    repeats: str = ""

    @property
    def only_tells(self) -> bool:
        """Whether it touches nothing, so that it may end where nobody reads it any more."""
        return self.name in ("plan", "status", "usage", "history", "logs", "alerts")


def _interval(text: str) -> str:
    """How often a page is put in its place. Raises ValueError."""
    try:
        return page_interval(text)
    except InvalidError as problem:
        raise ValueError(f"--every {text}: {problem}") from None


_FETCH = Option("--fetch", "fetch", "bring them to this directory as well", "DIRECTORY", "path")
_CONFIRM = "the hosts that may lose it, with commas between: gw1,agent1"

COMMANDS = (
    Command(
        "deploy",
        "deploy.py",
        "Make all hosts what the inventory declares, and prove it.",
        "deploy --limit gw1",
        asks=True,
        then="status",
    ),
    Command(
        "plan",
        "deploys/plan.py",
        "Say what differs in channels, tokens and options.",
        "plan --check",
        (Option("--check", "plan_check", "exit code 3 if something differs", kind="flag"),),
        has_json="plan_json",
    ),
    Command(
        "verify",
        "verify.py",
        "Ask for real completions and embeddings, on each path.",
        "verify --models all",
        (
            Option(
                "--models",
                "verification_models",
                "the declared models to ask besides the two that agents use",
                choices=("all", "changed", "none"),
            ),
            Option("--turn", "openclaw_turn", "have OpenClaw's agent answer, too (10,000 tokens)", kind="flag=always"),
        ),
    ),
    Command(
        "status",
        "deploys/status.py",
        "Show the whole fleet on one screen, with what needs a person.",
        "status --html fleet.html",
        (
            Option("--check", "status_check", "exit code 3 if something needs a person", kind="flag"),
            Option("--html", "status_html", "write a page that needs nothing beside itself", "FILE", "path"),
            Option("--every", "status_every", "how often that page is made anew (10)", "MINUTES", "integer"),
            Option("--language", "status_language", "of that page; by the locale", choices=wording.LANGUAGES),
        ),
        has_json="status_json",
    ),
    Command(
        "page",
        "deploys/page.py",
        "Put the page of the fleet where gateways' hosts serve it.",
        "page --language zh",
        (
            Option("--every", "page_every", "again and again, until Ctrl-C: 5min", "INTERVAL", check=_interval),
            Option("--language", "page_language", "of that page; by the locale", choices=wording.LANGUAGES),
        ),
        has_json=None,
        repeats="--every",
    ),
    Command(
        "usage",
        "deploys/usage.py",
        "Show requests, tokens, cost and failures of every gateway.",
        "usage --since 30d --by day,model",
        (
            Option(
                "--since",
                "usage_since",
                f"from when on ({usage.DEFAULT_SINCE}): 7d, 24h or 2026-11-01",
                "WHEN",
                check=usage.Since.parse,
            ),
            Option(
                "--by",
                "usage_by",
                f"of {', '.join(usage.DIMENSIONS)}, with commas ({usage.DEFAULT_BY})",
                "GROUPS",
                check=usage.parse_by,
            ),
            Option("--csv", "usage_csv", "a table for a spreadsheet on stdout", kind="flag"),
            Option("--html", "usage_html", "a page that needs nothing beside itself on stdout", kind="flag"),
        ),
        has_json="usage_json",
        excluding=("--json", "--csv", "--html"),
    ),
    Command(
        "history",
        "deploys/history.py",
        "Show what was run on every host, by whom and how it ended.",
        "history --last 20",
        (Option("--last", "last", "how many runs of each host (10), or all", "N", "number"),),
        has_json="json",
    ),
    Command(
        "logs",
        "deploys/logs.py",
        "Follow what every gateway's unit and container log, keys hidden.",
        "logs --limit gw1 --lines 20",
        (
            Option("--lines", "lines", "the last lines of each to begin with (100)", "N", "integer"),
            Option("--no-follow", "follow", "these lines alone", kind="flag=false"),
        ),
        has_json=None,
    ),
    Command(
        "alerts",
        "deploys/alerts.py",
        "Send a test message to each of gateway_alerts.",
        "alerts --limit gw1",
        has_json="alerts_json",
    ),
    Command(
        "backup",
        "deploys/backup.py",
        "Make a checked backup of every gateway, while it serves.",
        "backup --fetch backups",
        (_FETCH,),
    ),
    Command(
        "restore",
        "deploys/restore.py",
        "Put a gateway's data back, from a backup or from files.",
        "restore --host gw2 --backup ./gateway.tar.gz",
        (
            Option("--backup", "backup", "a backup's name on the host, or a path here; the newest", "SOURCE", "source"),
            Option("--host", "host", "the gateway that gets it, if there are several", "HOST"),
            Option("--confirm", "yes", "that gateway, if its own was moved away", "HOST"),
        ),
        asks=True,
        then="status",
    ),
    Command(
        "migrate",
        "deploys/migrate.py",
        "Move a gateway, with all that it holds, to another host.",
        "migrate --source gw1 --target gw2",
        (
            Option("--source", "source", "the host whose gateway is moved", "HOST", required=True),
            Option("--target", "target", "the host that it is moved to, if there are several", "HOST"),
            Option("--replace", "replace", "the target, if it has a gateway already", "HOST"),
            Option("--container", "container", "the source's container, if there are several", "NAME"),
            Option("--time-limit", "limit", "until the old gateway serves again (240)", "SECONDS", "integer"),
        ),
        asks=True,
        then="status",
    ),
    Command(
        "upgrade",
        "deploy.py",
        "Deploy another image: backed up, tried on a copy, switched.",
        "upgrade --image justsong/one-api:v0.6.11",
        (
            Option("--image", "gateway_image", "the image, pinned by its tag", "NAME:TAG", required=True),
            Option("--archive", "gateway_image_archive", "that image in a file of docker save", "FILE", "path"),
            Option("--digest", "gateway_image_digest", "sha256:… of that image", "DIGEST"),
        ),
        asks=True,
    ),
    Command(
        "rollback",
        "deploys/rollback.py",
        "Serve with the image from before the last upgrade again.",
        "rollback --limit gw1",
        (Option("--confirm", "yes", f"{_CONFIRM} (what was written since)", "HOSTS"),),
        asks=True,
        then="status",
    ),
    Command(
        "rotate",
        "deploys/rotate_keys.py",
        "Give agents and gateways new keys, without an outage.",
        "rotate --keys tokens",
        (
            Option(
                "--keys",
                "keys",
                "tokens, access_token, root_password, session_secret; with commas; or all",
                "KEYS",
                required=True,
            ),
        ),
        asks=True,
        then="status",
    ),
    Command(
        "remove",
        "deploys/remove.py",
        "Take off what was deployed, after a last backup.",
        "remove --limit gw1 --fetch backups",
        (Option("--confirm", "yes", "the hosts, with commas between, instead of being asked", "HOSTS"), _FETCH),
        asks=True,
    ),
    Command(
        "export",
        "deploys/export.py",
        "Write the declaration of what every gateway holds now.",
        "export --output declared",
        (
            Option(
                "--output",
                "export_output",
                "where the files go (declared); -: stdout",
                "DIRECTORY|-",
                "path",
                default="declared",
            ),
        ),
        has_json=None,  # it may write its files to stdout
    ),
    Command(
        "reset-admin",
        "deploys/reset_admin.py",
        "Make the admin token and root's password right again.",
        "reset-admin --limit gw1",
        asks=True,
        then="status",
    ),
)


@dataclass(frozen=True)
class PyinfraOption:
    """An option that is handed to pyinfra as it is; without `metavar` it is a switch, which `-vv` may repeat."""

    flags: tuple[str, ...]
    help: str
    metavar: str = ""
    is_path: bool = False


PYINFRA_OPTIONS = (
    PyinfraOption(("--limit",), "these hosts or groups alone", "HOST"),
    PyinfraOption(("--exclude",), "all but these hosts or groups", "HOST"),
    PyinfraOption(("--data",), "a setting for this run: NAME=VALUE", "NAME=VALUE"),
    PyinfraOption(("--group-data",), "a directory with more settings of groups", "DIRECTORY", is_path=True),
    PyinfraOption(("-v",), "pyinfra's own output; -vv its input; -vvv all"),
    PyinfraOption(("--diff",), "show the differences of files"),
    PyinfraOption(("--ssh-user",), "the user to connect as", "USER"),
    PyinfraOption(("--ssh-port",), "the port to connect to", "PORT"),
    PyinfraOption(("--ssh-key",), "the private key to connect with", "FILE", is_path=True),
    PyinfraOption(("--ssh-password-prompt",), "ask for the SSH password"),
    PyinfraOption(("--sudo",), "use sudo"),
    PyinfraOption(("--sudo-user",), "the user to become by sudo", "USER"),
    PyinfraOption(("--use-sudo-password",), "ask for sudo's password, for each host"),
    PyinfraOption(("--same-sudo-password",), "ask for sudo's password once for all hosts"),
    PyinfraOption(("--use-sudo-login",), "use a login shell with sudo"),
    PyinfraOption(("--parallel",), "how many hosts at a time", "N"),
    PyinfraOption(("--serial",), "one host after the other"),
    PyinfraOption(("--no-wait",), "do not wait for the other hosts between steps"),
    PyinfraOption(("--fail-percent",), "how many % of the hosts may fail", "N"),
    PyinfraOption(("--retry",), "how often a failed step is tried again", "N"),
    PyinfraOption(("--retry-delay",), "seconds between such tries", "SECONDS"),
    PyinfraOption(("--debug",), "pyinfra's debug output"),
)

NOT_OFFERED = {
    "--dry": "of the commands that change something, by `asks`",
    "--yes": "likewise",
    "--json": "its own, by `has_json`",
    "--config": "the package's own",
    "--chdir": "the package's own",
    "--ssh-password": "a password in argv; --ssh-password-prompt asks",
    "--ssh-key-password": "likewise; ssh-agent",
    "--su-user": "a run is root by sudo",
    "--dzdo": "likewise",
    "--dzdo-user": "likewise",
    "--shell-executable": "the scripts are for sh",
    "--support": "pyinfra --support",
    "--version": "pyinfra --version",
    "--debug-all": "pyinfra's own insides",
    "--debug-facts": "likewise",
    "--debug-operations": "likewise",
}
"""The other options of pyinfra, each with the reason."""

RAW = ("-v", "--diff", "--serial", "--no-wait", "--debug")
"""Options of which pyinfra's own output is what is asked for, or that our screen cannot follow."""


def by_name(name: str) -> Command:
    """The command of that name."""
    return next(command for command in COMMANDS if command.name == name)


def pyinfra_arguments(
    command: Command,
    data: Mapping[str, str],
    passed: Sequence[str],
    *,
    is_yes: bool = False,
    is_dry: bool = False,
    is_json: bool = False,
) -> list[str]:
    """The options of pyinfra for a command, before the inventory and the script.

    Parameters: `data`, the values of `--data` as they are written; `passed`, options of pyinfra as they are.
    """
    values = {**data, **({command.has_json: "True"} if is_json and command.has_json else {})}
    switches = {
        "--dry": is_dry,
        "-y": (is_yes or not command.asks) and not is_dry,
        "--json": is_json and not command.has_json,
    }
    return [
        *(name for name, is_on in switches.items() if is_on),
        *passed,
        *(part for name, value in values.items() for part in ("--data", f"{name}={value}")),
    ]


def seen_from_here(inventory: str) -> str:
    """An inventory, its path made absolute: pyinfra runs elsewhere, and a file of the same name may be there."""
    is_path = inventory.endswith(".py") or "/" in inventory or Path(inventory).exists()
    return str(Path(inventory).resolve()) if is_path and not inventory.startswith("@") else inventory
