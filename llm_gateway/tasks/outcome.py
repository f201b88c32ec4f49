"""What a run's operations did on a host, as pyinfra knows it."""

from __future__ import annotations

from collections.abc import Iterator

from pyinfra.api.host import Host
from pyinfra.api.operation import OperationMeta
from pyinfra.api.state import State


def changes_on(state: State, host: Host) -> list[str]:
    """The names of the operations that have changed something on a host."""
    return [_names(state, op_hash) for op_hash, meta in _carried_out(state, host) if meta.did_change()]


def failure_on(state: State, host: Host) -> str | None:
    """The name of the operation that has failed on a host, if one has."""
    failed = (_names(state, op_hash) for op_hash, meta in _carried_out(state, host) if meta.did_error())
    return next(failed, None)


def _carried_out(state: State, host: Host) -> list[tuple[str, OperationMeta]]:
    return [(op_hash, meta) for op_hash, meta in _operations(state, host) if meta.is_complete()]


def not_carried_out(state: State, host: Host) -> list[str]:
    """The names of the operations that a host did not come to the end of, without one that failed."""
    return [_names(state, op_hash) for op_hash, meta in _operations(state, host) if not meta.is_complete()]


def _operations(state: State, host: Host) -> Iterator[tuple[str, OperationMeta]]:
    """In the order of the run."""
    known = ((op_hash, state.ops[host].get(op_hash)) for op_hash in state.get_op_order())
    return ((op_hash, data.operation_meta) for op_hash, data in known if data is not None)


def _names(state: State, op_hash: str) -> str:
    return ", ".join(sorted(state.get_op_meta(op_hash).names))
