"""`python verify.py INVENTORY --models all` and the like: pyinfra takes no options of others, so they are its data."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from llm_gateway.command import commands
from llm_gateway.model.checkout import ROOT
from llm_gateway.proof import openclaw_turn
from llm_gateway.proof.model_questions import ALL, CHANGED, NOTHING


def become_plan() -> NoReturn:
    """Become the pyinfra that plans; its exit code is ours. Ends with 2 where the arguments are wrong."""
    _become(plan_command(sys.argv[1:]))


def plan_command(arguments: Sequence[str]) -> list[str]:
    """The command line of pyinfra for `deploys/plan.py`; what is no option of ours is pyinfra's."""
    parser = _parser("plan.py", "Say what a deployment would change on the gateways; change nothing.")
    parser.add_argument("--check", action="store_true", help="exit code 3 if something differs")
    parser.add_argument("--json", action="store_true", help="the plans as one JSON object on stdout")
    ours, pyinfras = parser.parse_known_args(arguments)
    data = {"plan_check": ours.check, "plan_json": ours.json}
    return _command("deploys/plan.py", ours.inventory, pyinfras, {name: "True" for name, on in data.items() if on})


def become_status() -> NoReturn:
    """Become the pyinfra that shows the fleet; as `become_plan`."""
    _become(status_command(sys.argv[1:]))


def status_command(arguments: Sequence[str]) -> list[str]:
    """The command line of pyinfra for `deploys/status.py`; what is no option of ours is pyinfra's."""
    parser = _parser("status.py", "Show the whole fleet on one screen; change nothing.")
    parser.add_argument("--check", action="store_true", help="exit code 3 if something needs a person")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--html", metavar="FILE", help="a page that needs nothing beside itself")
    parser.add_argument(
        "--every", metavar="MINUTES", help="how often it is made anew (10): an older one says so itself"
    )
    ours, pyinfras = parser.parse_known_args(arguments)
    data = {name: "True" for name, on in (("status_check", ours.check), ("status_json", ours.json)) if on}
    data |= {} if ours.every is None else {"status_every": ours.every}
    if ours.html == "":
        parser.error("--html: name a file")
    if ours.html:
        # Seen from where this was called, which is not where pyinfra runs.
        data["status_html"] = str(Path(ours.html).resolve())
    return _command("deploys/status.py", ours.inventory, pyinfras, data)


def become_backup() -> NoReturn:
    """Become the pyinfra that makes backups; as `become_plan`."""
    _become(backup_command(sys.argv[1:]))


def backup_command(arguments: Sequence[str]) -> list[str]:
    """The command line of pyinfra for `deploys/backup.py`; what is no option of ours is pyinfra's."""
    parser = _parser("backup.py", "Make a backup of every gateway on its host, while it serves.")
    parser.add_argument(
        "--fetch", metavar="DIRECTORY", help="bring them here as well: DIRECTORY/HOST/gateway-…, for you alone"
    )
    ours, pyinfras = parser.parse_known_args(arguments)
    # Seen from where this was called, which is not where pyinfra runs.
    if ours.fetch == "":
        parser.error("--fetch: name a directory")
    try:
        data = {} if ours.fetch is None else {"fetch": str(Path(ours.fetch).expanduser().resolve())}
    except RuntimeError as problem:  # ~NAME of nobody, or links in a circle
        parser.error(f"--fetch: {ours.fetch}: {problem}")
    return _command("deploys/backup.py", ours.inventory, pyinfras, data)


def become_history() -> NoReturn:
    """Become the pyinfra that shows what was run; as `become_plan`."""
    _become(history_command(sys.argv[1:]))


def history_command(arguments: Sequence[str]) -> list[str]:
    """The command line of pyinfra for `deploys/history.py`; what is no option of ours is pyinfra's."""
    parser = _parser("history.py", "Show what was run on every host, when, by whom and how it ended; change nothing.")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout, by host")
    parser.add_argument("--last", metavar="N", help="how many runs of each host (default: 10; all: every one)")
    ours, pyinfras = parser.parse_known_args(arguments)
    data = {"json": "true" if ours.json else "false", **({"last": ours.last} if ours.last else {})}
    return _command("deploys/history.py", ours.inventory, pyinfras, data)


def become_export() -> NoReturn:
    """Become the pyinfra that exports; as `become_plan`."""
    _become(export_command(sys.argv[1:]))


def export_command(arguments: Sequence[str]) -> list[str]:
    """The command line of pyinfra for `deploys/export.py`; what is no option of ours is pyinfra's."""
    parser = _parser("export.py", "Write the declaration of what every gateway holds now; change nothing on any host.")
    parser.add_argument(
        "--output",
        metavar="DIRECTORY|-",
        default="declared",
        help="where the files go, one for each gateway (default: declared); -: stdout, for a single gateway",
    )
    ours, pyinfras = parser.parse_known_args(arguments)
    # Seen from where this was called, which is not where pyinfra runs.
    place = ours.output if ours.output == "-" else str(Path(ours.output).resolve())
    return _command("deploys/export.py", ours.inventory, pyinfras, {"export_output": place})


def become_verification() -> NoReturn:
    """Become the pyinfra that verifies; as `become_plan`."""
    _become(verify_command(sys.argv[1:]))


def verify_command(arguments: Sequence[str]) -> list[str]:
    """The command line of pyinfra for `verify.py`; what is no option of ours is pyinfra's."""
    parser = _parser("verify.py", "Ask every gateway for its models; changes nothing.")
    parser.add_argument(
        "--models",
        choices=(ALL, CHANGED, NOTHING),
        help="the declared models to ask besides the two that agents use (default: the setting verification_models,"
        " else all); changed: none, because a verification changes nothing",
    )
    parser.add_argument(
        "--turn",
        action="store_true",
        help="also have OpenClaw's own agent answer on each of its hosts, and its memory embed a word (10,000 tokens)",
    )
    ours, pyinfras = parser.parse_known_args(arguments)
    data = {} if ours.models is None else {"verification_models": ours.models}
    data |= {"openclaw_turn": openclaw_turn.ALWAYS} if ours.turn else {}
    return _command("verify.py", ours.inventory, pyinfras, data)


def _parser(name: str, description: str) -> argparse.ArgumentParser:
    described = f"{description} Other options are pyinfra's (--limit, -v, ...)."
    parser = argparse.ArgumentParser(prog=name, allow_abbrev=False, description=described)
    parser.add_argument("inventory", metavar="INVENTORY", help="an inventory file, or what else pyinfra takes for one")
    return parser


def _command(script: str, inventory: str, pyinfras: Sequence[str], data: dict[str, str]) -> list[str]:
    handed_over = [part for name, value in data.items() for part in ("--data", f"{name}={value}")]
    place = commands.seen_from_here(inventory)
    # -y: there is nothing to ask about, as nothing is changed.
    return [sys.executable, "-m", "pyinfra", "-y", *pyinfras, *handed_over, place, script]


def _become(command: list[str]) -> NoReturn:
    os.chdir(ROOT)  # where config.py and group_data are
    # Ctrl-C while pyinfra is loaded would end in a traceback; config.py takes it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    os.execv(command[0], command)  # noqa: S606 - without a shell, as is meant
