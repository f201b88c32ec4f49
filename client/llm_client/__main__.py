"""``python -m client``: the client for a person at a terminal; see ``llm_client.cli``."""

from __future__ import annotations

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
