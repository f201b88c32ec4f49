"""The apt mirror and proxy of the control machine, for the images that the lab builds.

Read at run time, so that a lab behind a company's mirror uses that mirror, and the checkout
names none.
"""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path("/etc/apt")
PROXY_LINE = re.compile(r'^Acquire::https?::Proxy(?:::\S+)? "(?P<value>[^"]+)";$')
ONE_LINE_SOURCE = re.compile(r"^deb\s+(?:\[[^]]*\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)")


@dataclass(frozen=True)
class AptSettings:
    """Where packages come from.

    ``mirror`` and ``security_mirror`` are None where the tools' own default is right;
    ``proxy_lines`` are lines of apt.conf.
    """

    mirror: str | None = None
    security_mirror: str | None = None
    proxy_lines: tuple[str, ...] = ()

    def sources(self, suite: str) -> list[str]:
        """Return the one-line sources for a Debian release; empty for the default mirror."""
        if self.mirror is None:
            return []
        lines = [f"deb {self.mirror} {suite} main", f"deb {self.mirror} {suite}-updates main"]
        if self.security_mirror is not None:
            lines.append(f"deb {self.security_mirror} {suite}-security main")
        return lines


def of_this_machine() -> AptSettings:
    """Read the control machine's settings; anything but Debian has none that would fit."""
    release = Path("/etc/os-release")
    fields = os_release(release.read_text(encoding="utf-8")) if release.exists() else {}
    if fields.get("ID") != "debian" or shutil.which("apt-config") is None:
        return AptSettings()
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True)
    files = [SOURCES / "sources.list", *sorted((SOURCES / "sources.list.d").glob("*"))]
    texts = [
        file.read_text(encoding="utf-8", errors="replace")
        for file in files
        if file.suffix in (".list", ".sources") and file.is_file()
    ]
    main, security = mirrors(texts, fields.get("VERSION_CODENAME", ""))
    return AptSettings(main, security, proxies(dump.stdout))


def os_release(text: str) -> dict[str, str]:
    """Return the fields of an os-release file."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line)
    return {key: value.strip().strip("\"'") for key, value in pairs}


def proxies(dump: str) -> tuple[str, ...]:
    """Return the proxy lines of ``apt-config dump``."""
    return tuple(line for line in dump.splitlines() if PROXY_LINE.match(line))


def mirrors(texts: list[str], codename: str) -> tuple[str | None, str | None]:
    """Find the (main, security) mirrors among the texts of apt's source files.

    Args:
        texts: contents of ``*.list`` and ``*.sources`` files.
        codename: the release of the machine that they belong to.

    Returns:
        The first HTTP mirror of each; None where there is none. A mirror with a password in its
        URL is left out: it would end up in a process list.
    """
    found: dict[str, str] = {}
    for text in texts:
        for uri, suite in [*_deb822(text), *_one_line(text)]:
            if uri.startswith(("http://", "https://")) and "@" not in uri:
                found.setdefault(suite, uri)
    return found.get(codename), found.get(f"{codename}-security")


def _deb822(text: str) -> list[tuple[str, str]]:
    pairs = []
    plain = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for paragraph in re.split(r"\n\s*\n", plain):
        fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*)$", paragraph, re.MULTILINE))
        if "deb" not in fields.get("Types", "").split() or fields.get("Enabled") == "no":
            continue
        for uri in fields.get("URIs", "").split():
            pairs += [(uri, suite) for suite in fields.get("Suites", "").split()]
    return pairs


def _one_line(text: str) -> list[tuple[str, str]]:
    matches = (ONE_LINE_SOURCE.match(line.strip()) for line in text.splitlines())
    return [(match["uri"], match["suite"]) for match in matches if match]
