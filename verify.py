"""Ask every gateway, with the token of every OpenClaw host, for a real completion and a real embedding.

    pyinfra inventory.py verify.py
    python verify.py inventory.py --models all|changed|none

On the gateways, every declared model is asked besides, for one token or one embedding, on each of its channels, and
a table shows the answers. `--models none` leaves that out; so does `changed`, since nothing is changed here (it is
what deploy.py does, which may change something). With pyinfra itself: `--data verification_models=none`.

Changes nothing. Exit code 1 when a path to a model is broken; the message says at which link. So it is when a
gateway's scheduled backups fail or are not made, or its canary does not look, or its firewall does not stand.
"""

if __name__ == "__main__":  # not so where pyinfra runs it
    from gateway.runs import front

    front.become_verification()

from pyinfra import host, state

from gateway import firewall, fleet
from gateway.backups import backup_health
from gateway.canary import canary_health
from gateway.proving import verification
from gateway.proving.model_questions import ALL

member = fleet.member_to_verify(state, host)
firewall.verify(member)  # first, since the gateway does not run without it
verification.verify(member, models=ALL)
backup_health.verify(member)
canary_health.verify(member)
