"""Which hosts: put yours here. A host may be in both groups.

Host data overrides group_data/all.py for one host, for example:

    gateways = [("gw1.example.ts.net", {"ssh_user": "admin", "_sudo": True, "gateway_port": 3001})]

"@local" is the machine that pyinfra runs on.
"""

# The hosts that run a gateway.
gateways: list = []

# The hosts whose OpenClaw uses one.
openclaw: list = []
