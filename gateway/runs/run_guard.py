"""What pyinfra's exit code does not tell: a run that reached no host has not succeeded."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import pyinfra_cli.cli
from pyinfra import logger
from pyinfra.api.state import State, StateStage
from pyinfra.context import ctx_state

from gateway.runs import interruption, inventory_file, invocation
from gateway.runs.interruption import INTERRUPTED

READ_ONLY = ("plan.py", "export.py", "status.py", "history.py")
"""Scripts that have no operations: there is nothing to carry out, and so nothing to ask."""


def watch() -> None:
    """Look at how the run ended, once it has, and say so by the exit code; for `config.py`.

    pyinfra ends with 0 when the inventory's path is mistyped, when a group or --limit matches no host, and on Ctrl-C.
    """
    interruption.watch()
    context = click.get_current_context(silent=True)
    if context is not None and any(str(name).endswith(".py") for name in context.params.get("operations", ())):
        invocation.remember(context)
        _require_inventory(str(context.params.get("inventory", "")))
        inventory_file.watch(str(context.params.get("inventory", "")))
        if _is_read_only(context) or (invocation.is_plan(context) and not sys.stdin.isatty()):
            pyinfra_cli.cli._do_confirm = lambda message: True  # pyinfra itself asks, whatever there is to do
        else:
            _require_answer(context)
            _keep_journal()
        context.call_on_close(lambda: _judge(context))


def _keep_journal() -> None:
    """Have the end of the run written into its hosts' journals, at the last moment when they are connected."""
    disconnect = pyinfra_cli.cli.disconnect_all

    def close(state: State) -> None:
        try:
            if "gateway.fleet" in sys.modules:  # else there is no host that a run of ours has begun with
                from gateway.runs import journaling

                journaling.close(state)
        finally:
            disconnect(state)

    pyinfra_cli.cli.disconnect_all = close


def _require_inventory(path: str) -> None:
    """Before pyinfra takes a mistyped path for a host's name: where it is long, that ends in a traceback."""
    if path.endswith(".py") and not Path(path).is_file():
        logger.error(f"There is no inventory file {path} (seen from {Path.cwd()}): correct the path.")
        sys.exit(1)


def _is_read_only(context: click.Context) -> bool:
    return all(Path(str(name)).name in READ_ONLY for name in context.params.get("operations", ()))


def _tell_plans(context: click.Context) -> int:
    """After `deploys/plan.py`: the plans as JSON where that was asked for, and the exit code; after others, 0."""
    state = ctx_state.get()
    scripts = [Path(str(name)).name for name in context.params.get("operations", ())]
    if "plan.py" not in scripts or not state.initialised:
        return 0
    from gateway.contents import drift

    return drift.exit_code(state, state.inventory.get_override_data())


def _tell_status(context: click.Context) -> int | None:
    """After `deploys/status.py`: the fleet as it was found, hosts that were not reached included, and the exit code."""
    state = ctx_state.get()
    scripts = [Path(str(name)).name for name in context.params.get("operations", ())]
    if "status.py" not in scripts or not state.initialised:
        return None
    from gateway.overview import status

    return status.finish(state, state.inventory.get_override_data())


def _require_answer(context: click.Context) -> None:
    """Without a terminal, pyinfra's question before it acts would end in a traceback."""
    if not context.params.get("yes") and not invocation.is_plan(context) and not sys.stdin.isatty():
        logger.error("There is no terminal to ask on: add -y to carry it out, or --dry to see what it would change.")
        sys.exit(1)


def _judge(context: click.Context) -> None:
    ending = sys.exc_info()[1]
    if not ctx_state.isset():
        return
    is_interrupted = isinstance(ending, SystemExit) and ending.code == INTERRUPTED
    if not is_interrupted and (shown := _tell_status(context)) is not None:
        sys.exit(shown)  # a host that is down is shown as such, and is no failure of this run
    if ending is not None and not isinstance(ending, SystemExit):
        _tell_plans(context)  # which say that they could not be made
        return
    if isinstance(ending, SystemExit) and ending.code == INTERRUPTED:
        return
    state = ctx_state.get()
    if not state.initialised:
        return
    if not state.activated_hosts and not state.failed_hosts:
        logger.error(
            f"No host to work on: is {context.params['inventory']} the right inventory file, has it hosts in its"
            " groups, and does --limit match one of them?"
        )
        sys.exit(1)
    is_plan = invocation.is_plan(context) or _is_read_only(context)
    if state.current_stage < StateStage.Execute and not is_plan and getattr(ending, "code", 0) == 0:
        logger.error("Nothing was carried out, as you wished.")
        sys.exit(1)
    # Imported late: config.py comes before the connections are made, and should not keep them waiting.
    from gateway.runs import summary

    if not _is_read_only(context):
        summary.tell(state)
    if code := _tell_plans(context):
        sys.exit(code)
