"""One gateway, and two hosts whose OpenClaw uses it."""

from pathlib import Path as _Path

_secrets = str(_Path(__file__).resolve().with_name("secrets.env"))  # mode 0600, NAME=value lines, not in git

gateways = [("gw1.your-tailnet.ts.net", {"ssh_user": "admin", "_sudo": True, "secrets_file": _secrets})]

openclaw = [
    ("agent1.your-tailnet.ts.net", {"ssh_user": "root"}),
    ("agent2.your-tailnet.ts.net", {"ssh_user": "admin", "_sudo": True, "openclaw_restart": "now"}),
]
