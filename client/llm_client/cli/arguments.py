"""What can be asked for on the command line."""

from __future__ import annotations

import argparse
import math
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from ..deadline import DEFAULT_TIMEOUT
from ..errors import LLMConfigError
from ..http_library import httpx
from ..version import VERSION
from . import commands
from .failures import EXIT_CODES

PING_TIMEOUT = 10.0
"""Seconds: who pings wants to know now."""

_ENVIRONMENT = """environment, each of which an --env-file may hold too:
  LLM_BASE_URL        the gateway's address; --base-url wins
  LLM_API_KEY         its key; --key-file wins
  LLM_FALLBACK_BASE_URLS, LLM_FALLBACK_API_KEYS
                      gateways to ask where that one is gone, with commas between; not beside --base-url
  LLM_MODEL_ID        the model of chat; --model wins
  EMBEDDING_MODEL_ID  the model of embed; --model wins"""


def program_name() -> str:
    """Return how this program was called: ``python -m llm_client``, or the console script's name."""
    called = Path(sys.argv[0] or "llm-client")
    if called.name == "__main__.py":
        return f"python -m {called.parent.name}"
    return called.name


def parsed(arguments: Sequence[str], program: str) -> argparse.Namespace:
    """Return the arguments, complete, with the command's function as ``run``.

    Raises:
        LLMConfigError: they cannot be understood.
        SystemExit: ``--help`` or ``--version`` was asked for and printed.
    """
    found = _parser(program).parse_args(arguments)
    if found.timeout is None:
        found.timeout = found.usual_timeout
    if found.retries is None:
        found.retries = found.usual_retries
    return found


class _Parser(argparse.ArgumentParser):
    """One line for a mistake, as for every other one, instead of the usage and another line."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        options.setdefault("allow_abbrev", False)
        super().__init__(**options)

    def error(self, message: str) -> NoReturn:
        raise LLMConfigError(f"{message}; see {self.prog} --help")


class _KeyArgument(argparse.Action):
    """A key as an argument: refused with the reason, where 'unrecognized arguments' would repeat it."""

    def __call__(self, *_: object, **__: object) -> NoReturn:
        raise LLMConfigError(
            "a key must not be an argument, because everybody on this machine can read those;"
            " use LLM_API_KEY, --key-file or --env-file"
        )


def _parser(program: str) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=program,
        description="Talk to an LLM gateway from a terminal.",
        epilog=f"{_ENVIRONMENT}\n\n{EXIT_CODES}",
        parents=[_common()],
    )
    parser.add_argument("--version", action="version", version=_version_line())
    parser.set_defaults(base_url=None, env_file=None, key_file=None, timeout=None, retries=None, json=False)
    names = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, dest="command")
    _add_chat(names)
    _add_embed(names)
    _add(names, "models", commands.models, "list the models that the key may use (bills nothing)")
    _add(names, "usage", commands.usage, "what this key has used since it was made (bills nothing)")
    ping = _add(names, "ping", commands.ping, "is the gateway there, is the key good? (bills nothing)")
    ping.set_defaults(usual_timeout=PING_TIMEOUT, usual_retries=0)
    return parser


def _version_line() -> str:
    """For a bug report: ``llm-client 0.2.0 (httpx 0.28.1, Python 3.11.7)``."""
    return f"llm-client {VERSION} ({httpx.__name__} {httpx.__version__}, Python {platform.python_version()})"


def _common() -> argparse.ArgumentParser:
    """The options that may stand before the command as well as behind it."""
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument("--base-url", metavar="URL", help="the gateway, with or without /v1")
    common.add_argument("--key-file", metavar="PATH", help="a file with the key and nothing else, mode 0600")
    common.add_argument(
        "--env-file", metavar="PATH", help="a file of NAME=value lines, mode 0600, such as ~/.openclaw/.env"
    )
    common.add_argument(
        "--timeout",
        type=float,
        metavar="SECONDS",
        help=f"for the whole call (default {DEFAULT_TIMEOUT:g}; ping {PING_TIMEOUT:g})",
    )
    common.add_argument(
        "--retries", type=int, metavar="N", help="further tries if no answer has begun (default 1; ping 0)"
    )
    common.add_argument("--json", action="store_true", help="one line of JSON; an error too, on stderr")
    common.add_argument("--api-key", "--key", "--token", action=_KeyArgument, help=argparse.SUPPRESS)
    return common


def _add(names: Any, name: str, run: commands.Command, summary: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = names.add_parser(
        name, help=summary, description=summary, epilog=EXIT_CODES, parents=[_common()]
    )
    parser.set_defaults(run=run, usual_timeout=DEFAULT_TIMEOUT, usual_retries=1)
    return parser


def _add_chat(names: Any) -> None:
    parser = _add(names, "chat", commands.chat, "ask a model; the answer is printed as it comes")
    parser.add_argument("text", nargs="*", help="what to ask; - stands for standard input, as does no text at all")
    parser.add_argument("--model", metavar="NAME", help="default: LLM_MODEL_ID")
    parser.add_argument("--system", metavar="TEXT", help="what the model is told first")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=JSON",
        help="sent as it is: --option temperature=0.2 --option max_tokens=100 (repeatable)",
    )
    parser.add_argument("--no-stream", action="store_true", help="print the answer when it is complete")
    parser.add_argument("--usage", action="store_true", help="its tokens on stderr, behind the answer")
    parser.add_argument(
        "--price",
        type=_price,
        metavar="IN,OUT,CURRENCY",
        help="what a million tokens of prompt and of completion cost, such as 0.8,4.8,CNY: --usage, with the cost",
    )


def _price(text: str) -> commands.Price:
    prompt, completion, currency = text.split(",")  # a ValueError is argparse's "invalid value"
    found = commands.Price(float(prompt), float(completion), currency)
    if not (0 <= found.prompt < math.inf and 0 <= found.completion < math.inf and currency.isalpha()):
        raise ValueError(text)
    return found


_price.__name__ = "price"  # as argparse's message has it


def _add_embed(names: Any) -> None:
    parser = _add(names, "embed", commands.embed, "turn texts into vectors")
    parser.add_argument("text", nargs="*", help="one vector each; - or none: standard input, a text on each line")
    parser.add_argument("--model", metavar="NAME", help="default: EMBEDDING_MODEL_ID")
    parser.add_argument(
        "--dimensions", type=int, metavar="N", help="asked of the model; a vector of another length is a failure"
    )
