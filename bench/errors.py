"""What ends a measurement."""


class BenchError(Exception):
    """A measurement cannot be made; the text says why."""
