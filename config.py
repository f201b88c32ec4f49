"""pyinfra reads this file before anything else."""

from pyinfra import config

from gateway.run_guard import watch

config.REQUIRE_PYINFRA_VERSION = ">=3.10,<4"
watch()
