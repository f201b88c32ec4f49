"""`python3 -m standin [--port N] [--log-dir DIR] [--version] [--help]`, in the data directory."""

from __future__ import annotations

import argparse
import os
import signal
import time
from pathlib import Path

from . import NAME, VERSION
from .app import App
from .config import load_config

# A Go program that is PID 1 cannot die of a signal, and exits with this.
KILLED_AS_PID_1 = 2


def main() -> None:
    """Start up, then serve until killed; no request in flight is waited for."""
    arguments = _arguments()
    die_at_once_on_signals()
    config = load_config(os.environ, Path.cwd(), arguments.port, arguments.log_dir)
    os.environ.setdefault("TZ", config.environ.get("TZ", ""))
    time.tzset()
    App(config).listen().serve_forever()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("standin", description=f"{NAME} {VERSION}: not One API.")
    parser.add_argument("--port", "-port", type=int, default=3000, help="the listening port")
    parser.add_argument("--log-dir", "-log-dir", default="./logs", help="the log directory")
    parser.add_argument("--version", "-version", action="version", version=f"{NAME} {VERSION}", help="print and exit")
    return parser.parse_args()


def die_at_once_on_signals() -> None:
    """The kernel spares PID 1 from signals that it does not handle; handle them by exiting."""
    for number in (signal.SIGTERM, signal.SIGINT):
        if os.getpid() == 1:
            signal.signal(number, lambda *_: os._exit(KILLED_AS_PID_1))
        else:
            signal.signal(number, signal.SIG_DFL)


if __name__ == "__main__":
    main()
