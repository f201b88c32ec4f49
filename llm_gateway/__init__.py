"""A private LLM gateway on Tailscale hosts, for pyinfra. A folder is a floor; imports point down (docs/design.md)."""

import sys
from typing import Any

from llm_gateway.model.checkout import ROOT

# The client of this version, and no other: PyPI's `llm-client`, which also is imported as `llm_client`, is not ours.
if (_CLIENT := str(ROOT / "client")) not in sys.path:
    sys.path.insert(0, _CLIENT)

_STEPS = ("deploy_gateway", "point_openclaw", "watch")


def __getattr__(name: str) -> Any:
    """`deploy_gateway()` and `point_openclaw()` for a deploy.py of your own, `watch()` for the config.py beside it."""
    if name not in _STEPS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from llm_gateway.command import steps

    return getattr(steps, name)
