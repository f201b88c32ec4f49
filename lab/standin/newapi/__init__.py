"""A stand-in for new-api v1.0.0-rc.15, for the lab only, beside the one for One API whose parts it shares.

It was held to what the real program answers (see `tests/unit/test_standin_newapi*.py`). It is not new-api, and says so
wherever a person could take it for that: the page, the system name, the first log line, `--version`.
"""

NAME = "new-api stand-in (lab)"
REAL_VERSION = "v1.0.0-rc.15"
VERSION = f"{REAL_VERSION}-stand-in"
