"""Ask every gateway, with the token of every OpenClaw host, for a real completion and a real embedding.

    pyinfra inventory.py verify.py

Changes nothing. Exit code 1 when a host's path to a model is broken; the message says at which link.
"""

from pyinfra import host, state

from gateway import fleet, verification

verification.verify(fleet.member_to_verify(state, host))
