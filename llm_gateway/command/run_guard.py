"""What pyinfra's exit code does not tell: a run that reached no host has not succeeded."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from pyinfra import logger
from pyinfra.api.state import State, StateStage
from pyinfra.context import ctx_state

from llm_gateway import pyinfra_insides
from llm_gateway.command import leaving, runbook, screen, streams
from llm_gateway.hosts import connections, interruption, invocation
from llm_gateway.hosts.interruption import INTERRUPTED
from llm_gateway.inputs import inventory_file
from llm_gateway.model import passwords
from llm_gateway.model.checkout import ROOT
from llm_gateway.model.usage import DEFAULT_BY, DEFAULT_SINCE, UsageError, asked

READ_ONLY = ("plan.py", "export.py", "status.py", "page.py", "usage.py", "history.py", "logs.py", "alerts.py")
"""Scripts that have no operations: there is nothing to carry out, and so nothing to ask."""
_WRITING = frozenset({"export.py", "page.py"})
"""Those that put files somewhere."""


def watch() -> None:
    """Look at how the run ended, once it has, and say so by the exit code; for `config.py`.

    pyinfra ends with 0 when the inventory's path is mistyped, when a group or --limit matches no host, and on Ctrl-C.
    """
    pyinfra_insides.cut_costs()
    runbook.listen()
    interruption.watch()
    passwords.watch()
    connections.watch()
    context = click.get_current_context(silent=True)
    if context is not None and any(str(name).endswith(".py") for name in context.params.get("operations", ())):
        invocation.remember(context)
        if not isinstance(sys.stdout, streams.Output):  # as they are by our own command
            streams.heed_readers(only_tells=_only_tells(context))
        _require_inventory(str(context.params.get("inventory", "")))
        _require_usage(context)
        inventory_file.watch(str(context.params.get("inventory", "")))
        if _is_read_only(context) or (invocation.is_plan(context) and not _can_ask()):
            # pyinfra itself asks, whatever there is to do
            pyinfra_insides.replace_question(lambda ask: lambda message: True)
        else:
            _require_answer(context)
            pyinfra_insides.before_disconnecting(_keep_journal)
        context.call_on_close(lambda: _end(context))


def _keep_journal(state: State) -> None:
    """Write the end of the run into its hosts' journals."""
    if "llm_gateway.tasks.survey" in sys.modules:  # else there is no host that a run of ours has begun with
        from llm_gateway.tasks import journal_end

        journal_end.close(state)


def _require_inventory(path: str) -> None:
    """Before pyinfra takes a mistyped path for a host's name: where it is long, that ends in a traceback."""
    if path.endswith(".py") and not Path(path).is_file():
        seen = "" if Path(path).is_absolute() else f" (seen from {Path.cwd()})"
        logger.error(f"There is no inventory file {path}{seen}: correct the path.")
        sys.exit(1)


def _require_usage(context: click.Context) -> None:
    """Before a host is asked for its usage: what `--data` asks for is there to be had."""
    if "usage.py" not in _ours(context):
        return
    given = dict(each.partition("=")[::2] for each in context.params.get("data") or ())
    forms = [f"--{form}" for form in ("json", "csv", "html") if given.get(f"usage_{form}", "").lower() == "true"]
    try:
        since, by = given.get("usage_since", DEFAULT_SINCE), given.get("usage_by", DEFAULT_BY)
        asked(since.strip('"'), by.strip('"'), forms)
    except UsageError as problem:
        logger.error(str(problem))
        sys.exit(2)


def _can_ask() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()  # None: closed, as by some daemons


def _is_read_only(context: click.Context) -> bool:
    scripts = context.params.get("operations", ())
    return len(_ours(context)) == len(scripts) and set(_ours(context)) <= set(READ_ONLY)


def _only_tells(context: click.Context) -> bool:
    """Whether it may end where nobody reads it any more; an export has files to write."""
    return _is_read_only(context) and _WRITING.isdisjoint(_ours(context))


def _ours(context: click.Context) -> list[str]:
    """The names of those scripts of the run that are of our deploys/; somebody's own may be called status.py, too."""
    paths = [Path(str(name)).resolve() for name in context.params.get("operations", ())]
    return [path.name for path in paths if path.parent == (ROOT / "deploys").resolve()]


def _tell_plans(context: click.Context) -> int:
    """After `deploys/plan.py`: the plans as JSON where that was asked for, and the exit code; after others, 0."""
    state = ctx_state.get()
    if "plan.py" not in _ours(context) or not state.initialised:
        return 0
    from llm_gateway.tasks import drift

    return drift.exit_code(state, state.inventory.get_override_data())


def _tell_what_was_read(context: click.Context) -> int | None:
    """After `deploys/status.py`, `deploys/page.py` and `deploys/usage.py`: what was found, hosts that were not reached
    included, and the exit code.
    """
    state = ctx_state.get()
    if not state.initialised:
        return None
    if "status.py" in _ours(context):
        from llm_gateway.tasks import status

        return status.finish(state, state.inventory.get_override_data())
    if "page.py" in _ours(context):
        from llm_gateway.tasks import page

        return page.finish(state)
    if "usage.py" in _ours(context):
        from llm_gateway.tasks import usage

        return usage.finish(state, state.inventory.get_override_data())
    return None


def _require_answer(context: click.Context) -> None:
    """Without a terminal, pyinfra's question before it acts would end in a traceback."""
    if not context.params.get("yes") and not invocation.is_plan(context) and not _can_ask():
        logger.error("There is no terminal to ask on: add -y to carry it out, or --dry to see what it would change.")
        sys.exit(1)


def _end(context: click.Context) -> None:
    """Judge the run, and leave where its exit code is known: else click shows first what went wrong."""
    ending = sys.exc_info()[1]
    has_screen = bool(screen.current())  # and so last words of its own
    try:
        _judge(context)
    except SystemExit as judged:
        if has_screen:
            raise
        ending = judged
    if has_screen:
        return
    if isinstance(ending, click.ClickException):
        ending.show()  # click itself would, behind what follows
        ending = SystemExit(ending.exit_code)
    if isinstance(ending, SystemExit):
        if ending.code not in (None, 0, 3) and (page := runbook.of_this_run()):
            logger.error(f"More: {page}")
        leaving.leave(ending.code)


def _judge(context: click.Context) -> None:
    ending = sys.exc_info()[1]
    is_wrapped = pyinfra_insides.is_wrapped(ending)
    if not ctx_state.isset():
        return
    is_interrupted = isinstance(ending, SystemExit) and ending.code == INTERRUPTED
    if not is_interrupted and (shown := _tell_what_was_read(context)) is not None:
        sys.exit(shown)  # a host that is down is shown as such, and is no failure of this run
    state = ctx_state.get()
    if not state.initialised:
        return
    if state.current_stage == StateStage.Connect and is_wrapped and not state.activated_hosts:
        logger.error("No host was reached, so nothing was changed; the errors above say why.")
        sys.exit(1)
    if ending is None or (isinstance(ending, SystemExit) and not is_interrupted):
        _require_work(context, state, ending)
    if not _is_read_only(context):
        _tell_summary(state, ending, is_interrupted)
    if not is_interrupted and (code := _tell_plans(context)) and isinstance(ending, (SystemExit, type(None))):
        sys.exit(code)


def _require_work(context: click.Context, state: State, ending: SystemExit | None) -> None:
    """A run that has come to its end without having worked on any host has not succeeded."""
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


def _tell_summary(state: State, ending: BaseException | None, is_interrupted: bool) -> None:
    """The last words of a run that has begun to change hosts, whatever it ended with."""
    if state.current_stage < StateStage.Execute or screen.current():  # the screen has its own
        return
    # Imported late: config.py comes before the connections are made, and should not keep them waiting.
    from llm_gateway.tasks import summary

    if isinstance(ending, click.ClickException):
        ending.show()  # click itself would, behind the summary
    runbook.stop_listening()
    summary.tell(state, is_interrupted)
    if isinstance(ending, click.ClickException):
        sys.exit(ending.exit_code)
