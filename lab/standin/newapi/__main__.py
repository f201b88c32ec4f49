"""`python3 -m standin.newapi [--port N] [--log-dir DIR] [--version] [--help]`, in the data directory."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from ..__main__ import die_at_once_on_signals
from . import NAME, VERSION
from .app import App
from .config import load_config


def main() -> None:
    """Start up, then serve until killed; this version waits for no request in flight."""
    parser = argparse.ArgumentParser("standin.newapi", description=f"{NAME} {VERSION}: not new-api.")
    parser.add_argument("--port", "-port", type=int, default=3000, help="the listening port")
    parser.add_argument("--log-dir", "-log-dir", default="./logs", help="the log directory")
    parser.add_argument("--version", "-version", action="version", version=f"{NAME} {VERSION}", help="print and exit")
    arguments = parser.parse_args()
    die_at_once_on_signals()
    config = load_config(os.environ, Path.cwd(), arguments.port, arguments.log_dir)
    os.environ.setdefault("TZ", config.environ.get("TZ", ""))
    time.tzset()
    App(config).listen().serve_forever()


if __name__ == "__main__":
    main()
