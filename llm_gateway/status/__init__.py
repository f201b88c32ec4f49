"""What the hosts are like, and what was run on them: for a person to read."""
