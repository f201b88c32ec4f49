"""New keys for tokens and for the gateway itself, with nobody left without a working one."""
