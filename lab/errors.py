"""The one error that the lab shows to a person."""


class LabError(Exception):
    """Something that the person at the keyboard can fix.

    Args:
        problem: what happened, and where.
        fix: the command or the change that helps; empty if the problem says it already.
    """

    def __init__(self, problem: str, fix: str = "") -> None:
        super().__init__(f"{problem}\n  fix: {fix}" if fix else problem)
