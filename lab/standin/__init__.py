"""A stand-in for One API v0.6.10, for the lab only.

It keeps to the contract that a deployment and its clients see (start-up order, database, admin API, relay and its
errors) and really forwards to an upstream. It is not One API, and says so wherever a person could
take it for that: the page, the system name, the first log line, `--version`.
"""

NAME = "One API stand-in (lab)"
VERSION = "v0.6.10-stand-in"
