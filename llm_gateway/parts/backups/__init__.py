"""Backups of a gateway: what they are, how a host makes them by itself, whether they are made."""
