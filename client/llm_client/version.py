"""The version of the package, also of its wheel (see pyproject.toml beside it)."""

VERSION = "0.2.0"
