"""What the fleet is like, and what was run on it: for a person to read."""
