"""The canary of a gateway's host: what asks for a completion every few minutes, and how it stands."""
