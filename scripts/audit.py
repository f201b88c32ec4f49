"""`make audit`: whether a package that is locked here has a known vulnerability, by pip-audit.

    python -m scripts.audit PIP_AUDIT LOCK…

Where the advisories cannot be had (no network, an index without them), that is said, and is no failure. Where they
could be had for the first lock file and not for another, it is one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_UNREACHABLE = ("ConnectionError", "ConnectTimeout", "ReadTimeout", "Could not connect to")
"""What pip-audit says, on its standard error, where it cannot reach the advisories."""


class AuditError(Exception):
    """pip-audit could not do its work; the text is its own."""


@dataclass(frozen=True)
class Audited:
    """What the advisories say of the packages of a lock file."""

    packages: int
    unknown: tuple[str, ...]
    """Packages of which the advisories' source knows nothing."""
    vulnerable: tuple[str, ...]
    """A line for each vulnerability."""

    @property
    def is_without_data(self) -> bool:
        """Whether the source knew none of them: then it is no source."""
        return len(self.unknown) == self.packages


def main(pip_audit: str, locks: Sequence[str]) -> int:
    """Audit one lock file after the other; 1 where something was found, or the advisories were lost on the way."""
    found = 0
    for lock in locks:
        try:
            audited = audit(pip_audit, lock)
        except AuditError as problem:
            print(f"audit: pip-audit failed on {lock}:\n{problem}", file=sys.stderr)
            return 1
        if audited is None and lock != locks[0]:
            print(
                f"audit: BROKEN OFF at {lock}: the advisories could be had, and now cannot: run it again",
                file=sys.stderr,
            )
            return 1
        if audited is None or (audited.is_without_data and lock == locks[0]):
            print("audit: NOT AUDITED: the advisories cannot be had from here", file=sys.stderr)
            return 0
        print("\n".join(_report(lock, audited)))
        found |= bool(audited.vulnerable)
    return found


def audit(pip_audit: str, lock: str) -> Audited | None:
    """Ask for the advisories on what a lock file names; None where their source is out of reach. Raises AuditError."""
    # Nothing is installed or resolved: the lock file is the whole truth.
    run = subprocess.run(
        [pip_audit, "--disable-pip", "--require-hashes", "--format=json", "--progress-spinner=off", "-r", lock],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        return _read(json.loads(run.stdout)["dependencies"])
    except ValueError:
        if any(words in run.stderr for words in _UNREACHABLE):
            return None
        raise AuditError(run.stderr.strip() or f"it printed no JSON and ended with {run.returncode}") from None


def _read(packages: Sequence[dict[str, Any]]) -> Audited:
    return Audited(
        len(packages),
        tuple(package["name"] for package in packages if "skip_reason" in package),
        tuple(line for package in packages for line in _vulnerabilities(package)),
    )


def _vulnerabilities(package: dict[str, Any]) -> Iterator[str]:
    for each in package.get("vulns", ()):
        fixed = ", ".join(each["fix_versions"]) or "no version yet"
        yield f"{package['name']} {package['version']}: {each['id']}, fixed in {fixed}"


def _report(lock: str, audited: Audited) -> Iterator[str]:
    for line in audited.vulnerable:
        yield f"audit: VULNERABLE {Path(lock).name}: {line}"
    if audited.unknown:
        yield f"audit: {lock}: unknown to the advisories, not audited: {', '.join(audited.unknown)}"
    count = audited.packages - len(audited.unknown)
    yield f"audit: {lock}: {count} packages audited, {len(audited.vulnerable)} known vulnerabilities"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
