"""Settings and options of a run that have another name now, or none: what a person who still writes the old one reads.

Whoever renames one adds a line to `RENAMED`; `make generated` lists it in docs/settings.md, and a test asks for it in
the upgrade notes of CHANGELOG.md.
"""

from __future__ import annotations

from typing import NamedTuple


class Renamed(NamedTuple):
    """An old name, and what stands in its place.

    `new`: "" where nothing does. `since`: the first version that refuses the old name. `value`, `zh`: what becomes of
    the value that it had, as a clause in each language.
    """

    old: str
    new: str
    since: str
    value: str = "its value stays the same"
    zh: str = "值不变"

    @property
    def text(self) -> str:
        """What has become of it."""
        fate = f"is now called {self.new}" if self.new else "is gone"
        return f"{fate} (since {self.since}); {self.value}"


RENAMED: tuple[Renamed, ...] = ()
"""Oldest first. None so far: each name that an inventory could hold since the first commit is still a setting."""


def note(name: str) -> str:
    """What has become of a setting or option of that name; "" for a name that never was one."""
    return next((each.text for each in RENAMED if each.old == name), "")
