"""Docker on the gateway host: which one answers, how it is installed, and what its daemon is told."""
