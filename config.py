"""pyinfra reads this file before anything else."""

import sys

# pyinfra switches this off for the sake of deploy files; our modules would be compiled anew in every run.
sys.dont_write_bytecode = False

import gevent  # noqa: E402
from pyinfra import config  # noqa: E402

from gateway.runs.run_guard import watch  # noqa: E402

config.REQUIRE_PYINFRA_VERSION = ">=3.10,<4"
watch()

# While the SSH handshakes wait for the network, Python can load what deploy.py is going to import.
gevent.spawn_later(0.01, __import__, "gateway.proving.verification")
