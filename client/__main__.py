"""`python -m client`: the command `llm-client` from a checkout, where nothing is installed."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    runpy.run_module("llm_client", run_name="__main__")
