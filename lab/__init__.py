"""A disposable lab: real systemd hosts in containers, a tailnet, a LAN and a real small model."""
