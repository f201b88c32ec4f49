"""pyinfra's operations, as the steps of our screen."""

from __future__ import annotations

from pyinfra.api.host import Host
from pyinfra.api.state import BaseStateCallback, State

from llm_gateway.command.screen import Screen


class Steps(BaseStateCallback):
    """Called by pyinfra around each operation. One that failed on the last host has no end: the next thing ends it."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._running = ""

    def operation_start(self, state: State, op_hash: str) -> None:  # type: ignore[override]
        """Before an operation, on all hosts."""
        self._screen.begin(", ".join(sorted(state.get_op_meta(op_hash).names)))
        self._running = op_hash

    def operation_host_start(self, state: State, host: Host, op_hash: str) -> None:  # type: ignore[override]
        """Before an operation on a host, also where it has none to do."""
        if op_hash == self._running and op_hash in state.ops[host]:
            self._screen.begin_on(str(host.name))

    def operation_host_success(  # type: ignore[override]
        self, state: State, host: Host, op_hash: str, retry_count: int = 0
    ) -> None:
        """After it, on a host."""
        if op_hash == self._running:
            self._screen.end_on(str(host.name), has_failed=False)

    def operation_host_error(  # type: ignore[override]
        self, state: State, host: Host, op_hash: str, retry_count: int = 0, max_retries: int = 0
    ) -> None:
        """As `operation_host_success`."""
        if op_hash == self._running:
            self._screen.end_on(str(host.name), has_failed=True)

    def operation_end(self, state: State, op_hash: str) -> None:  # type: ignore[override]
        """After it, on all hosts."""
        metas = {
            host: state.ops[host][op_hash].operation_meta
            for host in state.activated_hosts
            if op_hash in state.ops[host]
        }
        changed = sorted(str(host.name) for host, meta in metas.items() if meta.is_complete() and meta.did_change())
        self._screen.finish(changed, len(state.activated_hosts))
