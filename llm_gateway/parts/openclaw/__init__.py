"""OpenClaw on a host: its unit, its files, its configuration, its restart, and whether it serves."""
