"""What was installed, and nothing else, taken off a host again."""
