"""pyinfra reads this file before anything else."""

import os
import signal
import sys


def _end(number: int, frame: object) -> None:
    """Ctrl-C while modules are loaded: nothing has begun. Raised there, an exception would be shown as a traceback."""
    os.write(2, b"\nInterrupted: nothing was changed.\n")
    os._exit(130)


signal.signal(signal.SIGINT, _end)  # until the run is watched, see below
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # llm_gateway.command.cli holds it back until here

# pyinfra switches this off for the sake of deploy files; our modules would be compiled anew in every run.
sys.dont_write_bytecode = False

import gevent  # noqa: E402
from pyinfra import config  # noqa: E402

from llm_gateway.command.run_guard import watch  # noqa: E402

config.REQUIRE_PYINFRA_VERSION = ">=3.10,<4"
watch()

# While the SSH handshakes wait for the network, Python can load what deploy.py is going to import.
gevent.spawn_later(0.01, __import__, "llm_gateway.tasks.verification")
