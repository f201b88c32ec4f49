"""What pyinfra 3.10 does many times over, done once: a tenth of the processor time of a run that changes nothing."""

from __future__ import annotations

import inspect
from functools import cache, partial

import pyinfra.api.util


def cut() -> None:
    """Replace the functions; for `config.py`, before any of them is called."""
    import pyinfra_cli.inventory  # whose package patches Python for gevent

    # Where a step stands in a deploy file is looked up in the stack, with lines of source that nobody reads: for each
    # step, Python looks for the file of every frame among all modules.
    pyinfra.api.util.stack = partial(inspect.stack, 0)
    pyinfra.api.util.getframeinfo = partial(inspect.getframeinfo, context=0)
    # A file of group_data is parsed anew for each name in it.
    pyinfra_cli.inventory._get_imported_names = cache(pyinfra_cli.inventory._get_imported_names)
