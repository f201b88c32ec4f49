"""The distribution's packages on a host. A call of apt-get costs seconds, whatever it installs."""

from __future__ import annotations

from collections.abc import Sequence

_WAIT = "-o DPkg::Lock::Timeout=120"


def command(packages: Sequence[str], *options: str) -> str:
    """The shell command that installs these packages; `options` are further ones of `apt-get install`."""
    names = " ".join(packages)
    return (
        # An earlier run may have been cut off in the middle, its apt-get even be at work still.
        "export DEBIAN_FRONTEND=noninteractive && timeout 300 sh -c"
        " 'until dpkg --configure -a >/dev/null 2>&1; do sleep 1; done' &&"
        f" apt-get update -qq {_WAIT} &&"
        f" apt-get install -qq -y --no-install-recommends {' '.join([*options, _WAIT])} {names} >/dev/null ||"
        f" {{ echo 'Install by hand on this host, and run again: {names}' >&2; exit 1; }}"
    )
