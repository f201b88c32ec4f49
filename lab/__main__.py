"""The lab's command line: ``python -m lab``."""

import argparse
import subprocess
import sys

from lab import hosts, keys, lifecycle, state, upstream
from lab.docker import connect
from lab.errors import LabError
from lab.labels import object_name
from lab.personalities import PERSONALITIES
from lab.profiles import PROFILES, parse_hosts
from lab.report import table

INTERRUPTED = 130


def main() -> int:
    """Run one command; return its exit code."""
    arguments = _parser().parse_args(_guard_command(sys.argv[1:]))
    try:
        code: int = arguments.action(arguments)
    except LabError as error:
        print(f"lab: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted; the same command carries on from here", file=sys.stderr)
        return INTERRUPTED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lab",
        description="A disposable lab for the LLM gateway. LAB_NAME chooses one of several.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="bring the lab up, or add hosts to it")
    up.add_argument("--hosts", default="gw1,agent1", help="such as gw1:fresh,agent1:agent")
    up.add_argument("--profile", default="fresh", choices=PROFILES, help="of hosts without one")
    up.add_argument(
        "--tailscale-delay",
        type=float,
        default=1.0,
        metavar="SECONDS",
        help="from a new host's boot to its tailnet address (%(default)s)",
    )
    up.set_defaults(action=_up)

    down = commands.add_parser("down", help="remove everything of this lab")
    down.add_argument("--purge", action="store_true", help="the cached images and archives too")
    down.set_defaults(action=_down)

    commands.add_parser("status", help="what is up").set_defaults(action=_status)

    strict = commands.add_parser("upstream", help="the base URLs of upstreams as strict as the providers are")
    strict.add_argument("--as", dest="name", metavar="NAME", help="of that one alone, such as minimax")
    strict.set_defaults(action=_upstream)

    ssh = commands.add_parser("ssh", help="run a command on a host over SSH")
    ssh.add_argument("--user", help="another user than operator, such as root")
    ssh.add_argument("host")
    ssh.add_argument("command", nargs="*", metavar="CMD")
    ssh.set_defaults(action=_ssh)

    for name, where in (("peer", "another machine of the tailnet"), ("neighbour", "the LAN")):
        around = commands.add_parser(name, help=f"run a command on {where}")
        around.add_argument("command", nargs="*", metavar="CMD")
        around.set_defaults(action=_exec, machine=name)

    restart = commands.add_parser("host-restart", help="reboot a host; its data are kept")
    restart.add_argument("host")
    restart.set_defaults(action=_restart)

    remove = commands.add_parser("host-remove", help="remove a host and its data; the rest of the lab stays")
    remove.add_argument("host")
    remove.set_defaults(action=_remove)
    return parser


def _guard_command(arguments: list[str]) -> list[str]:
    """Put ``--`` where a command begins, so that its options are not taken for ours."""
    if "--" in arguments or not arguments or arguments[0] not in ("peer", "neighbour"):
        return arguments
    help_wanted = arguments[1:2] in (["-h"], ["--help"])
    return arguments if help_wanted else [arguments[0], "--", *arguments[1:]]


def _up(arguments: argparse.Namespace) -> int:
    wanted = parse_hosts(arguments.hosts, arguments.profile)
    if arguments.tailscale_delay < 0:
        raise LabError("--tailscale-delay cannot be negative")
    lab = lifecycle.up(wanted, arguments.tailscale_delay)
    print(table(lab, connect()))
    return 0


def _down(arguments: argparse.Namespace) -> int:
    lifecycle.down(arguments.purge)
    return 0


def _lab() -> state.LabState:
    """Return the lab, half up or not: a person may want to look into it just then."""
    lab = state.load_if_any()
    if lab is None:
        raise LabError(f"the lab '{state.lab_name()}' is not up", state.up_command())
    return lab


def _status(_: argparse.Namespace) -> int:
    print(table(_lab(), connect()))
    return 0


def _upstream(arguments: argparse.Namespace) -> int:
    lab = _lab()
    if arguments.name is not None:
        print(upstream.personality(lab, arguments.name))
        return 0
    for name, personality in PERSONALITIES.items():
        print(f"{upstream.personality(lab, name)}   {personality.source}")
    return 0


def _ssh(arguments: argparse.Namespace) -> int:
    host = hosts.require_host(_lab(), arguments.host)
    command = keys.ssh_command(host, arguments.command, arguments.user)
    return subprocess.run(command, check=False).returncode


def _exec(arguments: argparse.Namespace) -> int:
    lab = _lab()
    terminal = ["--tty"] if sys.stdin.isatty() and sys.stdout.isatty() else []
    container = object_name(lab.name, arguments.machine)
    command = arguments.command or ["bash"]
    docker = connect()
    return subprocess.run(docker.argv("exec", "--interactive", *terminal, container, *command), check=False).returncode


def _restart(arguments: argparse.Namespace) -> int:
    hosts.restart(connect(), _lab(), arguments.host)
    return 0


def _remove(arguments: argparse.Namespace) -> int:
    lifecycle.remove(arguments.host)
    return 0


if __name__ == "__main__":
    sys.exit(main())
