"""What a person calls: how a run begins, and with which exit code it ends."""
