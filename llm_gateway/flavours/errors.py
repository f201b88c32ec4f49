"""The one family of errors of the admin client. No message holds a key or a password."""

# ruff: noqa: N818 (each reads as what the gateway did, where it is raised and where it is caught)

from __future__ import annotations


class AdminError(Exception):
    """Something about the admin API went wrong; ``str(error)`` says what, in one line."""


class Invalid(AdminError, ValueError):
    """A value that the gateway would misread or refuse; found before anything was sent."""


class Unreachable(AdminError):
    """No answer: no connection, a time-out, or only a proxy's word that there is none."""


class NotAdminAPI(AdminError):
    """Something answered that is not the admin API of a gateway that is known."""


class Unauthorised(AdminError):
    """Not logged in, a wrong access token, or a role that may not do this."""


class RateLimited(AdminError):
    """Too many requests from this address; logging in is limited to 20 in 20 minutes.

    Attributes:
        minutes: after which the next one is taken for sure.
    """

    def __init__(self, text: str, minutes: int = 3) -> None:
        super().__init__(text)
        self.minutes = minutes


class Refused(AdminError):
    """The gateway understood and said no.

    Attributes:
        message: its own words, almost always Chinese.
    """

    def __init__(self, call: str, message: str) -> None:
        super().__init__(call, message)
        self.call = call
        self.message = message

    def __str__(self) -> str:
        return f"{self.call} was refused: {self.message or 'no reason given'}"


class Ambiguous(AdminError):
    """Several things have the same name, and gateways allow that: a person must choose."""


class UnknownVersion(AdminError):
    """The gateway is of a version that this client was not made for."""
