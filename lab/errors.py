"""The one error that the lab shows to a person."""


class LabError(Exception):
    """Something that the person at the keyboard can mend.

    Args:
        problem: what happened, and where.
        mend: the command or the change that helps; empty if the problem says it already.
    """

    def __init__(self, problem: str, mend: str = "") -> None:
        super().__init__(f"{problem}\n  mend: {mend}" if mend else problem)
