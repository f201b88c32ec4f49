"""Hosts of ours and of other groups; settings are host data, by their names."""

gateways = [("gw1", {"ssh_hostname": "gw1.your-tailnet.ts.net", "_sudo": True})]
openclaw = [("agent1", {"ssh_hostname": "agent1.your-tailnet.ts.net", "_sudo": True})]
web = [("www1", {"ssh_hostname": "www1.example.com", "_sudo": True})]
