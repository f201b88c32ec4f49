"""A gateway that was set up by hand, taken over in its own directory, with what it was given besides."""

gateways = [
    (
        "gw1.your-tailnet.ts.net",
        {
            "ssh_user": "root",
            "gateway_directory": "/root/workspace/infrastructure/oneapi",  # the one that holds data/
            "gateway_environment": {"RELAY_TIMEOUT": "300", "THEME": None},  # None: not wanted any more
            "gateway_channels": [],  # keep what is there; `export` writes the declaration of it
            "verification_models": "none",
        },
    )
]

openclaw = [("agent1.your-tailnet.ts.net", {"ssh_user": "root"})]
