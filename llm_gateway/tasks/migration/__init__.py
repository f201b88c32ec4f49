"""A gateway moved to another host: a copy while it serves, then a short cut-over."""
