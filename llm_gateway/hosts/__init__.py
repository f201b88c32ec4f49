"""The way to a host: connection, streams, tunnel, what it is like, its lock, its journal, and its way back."""
