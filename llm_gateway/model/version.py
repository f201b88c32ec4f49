"""The version of the package, told to hosts by each run that changes them."""

VERSION = "0.1.0"
