"""Where this checkout lies, and what of it is sent to hosts."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent.parent
"""The directory that holds deploy.py, templates/ and files/."""
CARRIER = ROOT / "gateway" / "carrier.sh"
"""The part of several shell scripts that finds the process which carries a connection."""
