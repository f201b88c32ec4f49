"""Where the files lie that belong to this package, and what of them is sent to hosts."""

from __future__ import annotations

import os
from pathlib import Path

from llm_gateway.model import layout

PACKAGE = Path(__file__).parents[1]
IS_CHECKOUT = (PACKAGE.parent / "deploy.py").is_file()
ROOT = PACKAGE.parent if IS_CHECKOUT else PACKAGE / "shipped"
"""The directory that holds templates/ and files/: the checkout, which has deploy.py besides, or what a wheel brings."""
CARRIER = PACKAGE / "hosts" / "carrier.sh"
"""The part of several shell scripts that finds the process which carries a connection."""
TAILSCALE_PROBLEM = ROOT / "files" / layout.TAILSCALE_PROBLEM
"""The part that says what is wrong with Tailscale on a host."""


def problem() -> str | None:
    """Why hosts could not use what this checkout would send them, with the fix; None where they can.

    Windows line endings come of git's `core.autocrlf`, or of an editor: no Linux finds the interpreter "/bin/sh\\r".
    """
    sent = [*ROOT.glob("files/*"), *ROOT.glob("templates/**/*"), *PACKAGE.rglob("*.sh")]
    wrong = sorted({path for path in sent if path.is_file() and b"\r" in path.read_bytes()})
    if not wrong:
        return None
    more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
    name, package = os.path.relpath(wrong[0], ROOT), os.path.relpath(PACKAGE, ROOT)
    return (
        f"{name}{more}: hosts cannot use files with Windows line endings; fix them by `cd {ROOT} && find files"
        f" templates {package} -type f -not -name '*.pyc' -exec sed -i 's/\\r$//' {{}} +`, and keep git from bringing"
        " them back by `git config core.autocrlf input`"
    )
