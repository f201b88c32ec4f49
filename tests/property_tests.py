"""How property tests run; a folder of tests that has some imports this in its conftest.py."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# The same examples in each run, so that a failure is the fault of the change that it comes with; `make test-full` sets
# FUZZ_ANEW, and has others each time. A busy machine is no fault of an example's.
settings.register_profile(
    "changes",
    deadline=None,
    derandomize="FUZZ_ANEW" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("changes")
