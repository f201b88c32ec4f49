"""What a run of pyinfra is to its hosts: its lock, its journal, its way back, and how it ends."""
