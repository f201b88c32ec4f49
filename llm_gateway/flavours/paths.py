"""Paths of the admin API that every gateway software has.

They end in ``/`` where the server's do: without it gin answers with a redirect.
"""

STATUS = "/api/status"
LOG_IN = "/api/user/login"
OWN_USER = "/api/user/self"
ACCESS_TOKEN = "/api/user/token"  # noqa: S105 (a path)
CHANNELS = "/api/channel/"
TOKENS = "/api/token/"
TOKEN_STATUS = "/api/token/?status_only=1"  # noqa: S105 (a path)
OPTIONS = "/api/option/"
LOG = "/api/log/"
CONSUMED = 2
"""The kind of log row that a billed request leaves."""
