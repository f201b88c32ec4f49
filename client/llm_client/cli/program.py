"""main(): from the arguments to an exit code."""

from __future__ import annotations

import logging
import sys
from argparse import Namespace
from collections.abc import Sequence

from .._sync.client import LLMClient
from ..errors import LLMError
from ..settings import normal_base
from . import arguments, commands, failures, source, terminal


def main(argv: Sequence[str] | None = None) -> int:
    """Do what `argv` (default: the command line) asks for and return the exit code; see ``--help``."""
    terminal.speak_utf8()
    _silence_the_library()
    given = sys.argv[1:] if argv is None else argv
    try:
        code = _attempt(given)
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where a reader that went away is no surprise
    except BrokenPipeError:  # standard error may be the same pipe: 2>&1
        terminal.abandon(sys.stdout)
        terminal.abandon(sys.stderr)
        return failures.READER_GONE
    except KeyboardInterrupt:
        return failures.INTERRUPTED
    return code


def _attempt(given: Sequence[str]) -> int:
    program = arguments.program_name()
    output = terminal.Output(sys.stdout)
    as_json = "--json" in given
    try:
        _run(arguments.parsed(given, program), output, program)
    except LLMError as error:
        code = failures.exit_code(error, output.begun)
        line = failures.as_json(error, code) if as_json else failures.as_line(error, program)
        terminal.tell(line)
        return code
    except terminal.OutputError as error:
        terminal.abandon(sys.stdout)
        terminal.tell(f"error: {error}")
        return failures.OUTPUT_FAILED
    except SystemExit as done:  # argparse has printed the help or the version
        return int(done.code or 0)
    return failures.FINE


def _run(asked: Namespace, output: terminal.Output, program: str) -> None:
    values = source.environment(asked.env_file)
    base = normal_base(source.base_url(asked.base_url, values))
    key = source.api_key(asked.key_file, values)
    urls, keys = source.fallbacks(asked.base_url, values)
    with LLMClient(base, key, retries=asked.retries, fallback_base_urls=urls, fallback_api_keys=keys) as client:
        asked.run(commands.Call(asked, values, client, output, program))


def _silence_the_library() -> None:
    """Its line for each failure goes to stderr by default, where ours says the same and the fix."""
    log = logging.getLogger("llm_client")
    log.addHandler(logging.NullHandler())
    log.propagate = False
