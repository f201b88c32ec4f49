"""What a test says when a reader is not there: never a skip."""

from __future__ import annotations

import pytest


def missing(what: str) -> pytest.fail.Exception:
    """The failure to raise when `what` is not installed."""
    return pytest.fail.Exception(f"{what} is missing; run `make setup`", pytrace=False)
