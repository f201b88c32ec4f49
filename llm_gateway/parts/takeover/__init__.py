"""A gateway that a person has set up: found, understood, and taken over."""
