"""Give consumers and gateways new keys; nobody is without a working one meanwhile.

    pyinfra inventory.py deploys/rotate_keys.py --data keys=tokens

`keys`: tokens (of the OpenClaw hosts and of verification), access_token, root_password, session_secret (the gateway
starts anew, and everybody is logged out of the admin page), several with commas between, or all. An old token goes only
when the new one is seen in use. What is cut off, the next run finishes, this one or deploy.py. Backups that were made
before hold the old keys.
"""

from pyinfra import host, state

from gateway import openclaw
from gateway.proving import verification
from gateway.rotation import rotating, rotation_end

member, keys = rotating.member_to_rotate(state, host)

rotating.renew_access(member, keys)

if rotating.TOKENS in keys:
    rotating.renew_tokens(member)
    if member.is_openclaw:
        openclaw.point_at_gateway(member)

verification.verify(member)
rotation_end.remove_old_tokens(member)
