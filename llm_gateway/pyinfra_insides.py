"""All that we need of pyinfra's insides (3.10), where it has no call for it; no other module names them.

tests/unit/test_pyinfra_insides.py holds it to that version. Nothing of pyinfra is imported before it is needed: the
package pyinfra_cli patches Python for gevent, and has to come first.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, NoReturn

Ask = Callable[[str], bool]
Execute = Callable[..., Any]
Password = Callable[[str], str]

CHANGES = "Detected changes"
"""What the question begins with that is asked before anything is changed; the others are about failures."""
OUTPUT = ("setup_logging", "connect_all", "print_meta", "print_results", "click")
"""The names in pyinfra_cli.cli by which a run writes."""
PASSWORDS = ("pyinfra.connectors.util", "pyinfra.connectors.ssh_util", "pyinfra_cli.cli")
"""The modules that ask for a password: sudo's, that of a key, and by an option. Each has imported `getpass`."""


def run(arguments: Sequence[str]) -> NoReturn:
    """Do what `pyinfra ARGUMENTS` does, in this process. Ends it with pyinfra's exit code."""
    import pyinfra_cli.main

    sys.argv[:] = ["pyinfra", *arguments]
    pyinfra_cli.main.main()
    sys.exit(0)


def replace_output(stand_ins: Mapping[str, Any]) -> dict[str, Any]:
    """Have a run write by other functions than pyinfra's own. Returns those, by their names of `OUTPUT`."""
    import pyinfra_cli.cli

    own = {name: getattr(pyinfra_cli.cli, name) for name in OUTPUT}
    for name in OUTPUT:
        setattr(pyinfra_cli.cli, name, stand_ins[name])
    return own


def replace_question(make: Callable[[Ask], Ask]) -> None:
    """Have a person asked in another way whether a run goes on; `make` gets the way of before."""
    import pyinfra_cli.cli

    pyinfra_cli.cli._do_confirm = make(pyinfra_cli.cli._do_confirm)


def replace_password_question(module: str, make: Callable[[Password], Password]) -> None:
    """Have one of `PASSWORDS` ask in another way; `make` gets the way of before."""
    asking: Any = importlib.import_module(module)
    asking.getpass = make(asking.getpass)


def before_disconnecting(act: Callable[[Any], None]) -> None:
    """Have something done at the last moment at which the hosts are connected."""
    import pyinfra_cli.cli

    disconnect = pyinfra_cli.cli.disconnect_all

    def close(state: Any) -> None:
        try:
            act(state)
        finally:
            disconnect(state)

    pyinfra_cli.cli.disconnect_all = close


def around_files(make: Callable[[Execute], Execute]) -> None:
    """Have the inventory and the files of group_data executed in another way; `make` gets the way of before.

    What such a file raises comes out as an exception of pyinfra's; `cause` tells which it was.
    """
    import pyinfra_cli.inventory

    pyinfra_cli.inventory.exec_file = make(pyinfra_cli.inventory.exec_file)


def cause(problem: BaseException) -> BaseException | None:
    """What a file of a person's raised, where pyinfra has wrapped it; else None."""
    from pyinfra_cli.exceptions import UnexpectedExternalError

    return problem.exception if isinstance(problem, UnexpectedExternalError) else None


def refusal(text: str) -> Exception:
    """An exception that ends a run with a text, before there are hosts."""
    from pyinfra_cli.exceptions import CliError

    refused: Exception = CliError(text)
    return refused


def is_wrapped(ending: BaseException | None) -> bool:
    """Whether a run ends by an exception of a deploy file. Its traceback, which shows a line of ours, is taken off."""
    from pyinfra_cli.exceptions import WrappedError

    if not isinstance(ending, WrappedError):
        return False
    ending.traceback = None
    return True


def ssh_config(file: str | None, name: str) -> dict[str, Any]:
    """What a person's ssh_config says of a host.

    Parameters: `file`, its path, or None for the usual one.
    """
    from pyinfra.connectors.sshuserclient.client import get_ssh_config

    config = get_ssh_config(file)
    return config.lookup(name) if config else {}


def would_change(state: Any, host: Any, operation: str) -> bool:
    """Whether pyinfra expects that an operation, named by its hash, changes something on a host."""
    return operation in state.ops[host] and bool(state.ops[host][operation].operation_meta._maybe_is_change)


def cut_costs() -> None:
    """Do once what pyinfra does many times over: a tenth of the processor time of a run that changes nothing."""
    import pyinfra.api.util
    import pyinfra_cli.inventory

    # Where a step stands in a deploy file is looked up in the stack, with lines of source that nobody reads: for each
    # step, Python looks for the file of every frame among all modules.
    pyinfra.api.util.stack = partial(inspect.stack, 0)
    pyinfra.api.util.getframeinfo = partial(inspect.getframeinfo, context=0)
    # A file of group_data is parsed anew for each name in it.
    pyinfra_cli.inventory._get_imported_names = cache(pyinfra_cli.inventory._get_imported_names)
