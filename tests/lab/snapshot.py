"""All of a host that a deployment can touch: files with contents, modes and owners, units, containers, firewall."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.lab.conftest import Lab

# What others write at any time: Docker's and apt's own, and what the system keeps for its next boot.
_NOT_OURS = (
    "/var/lib/docker",
    "/var/lib/containerd",
    "/var/lib/apt",
    "/var/lib/dpkg",
    "/var/lib/systemd/random-seed",
    "/var/lib/systemd/timesync",
    "/etc/.updated",
    "/var/.updated",
)

_SNAPSHOT = """
set -e
places=$(ls -d /etc /opt /var/lib /home/openclaw /root/workspace 2>/dev/null || true)
find $places {prune} -printf 'is %M %u:%g %p %l\\n' | grep -v '/\\.bash_history' | sort
find $places {prune} -type f -print0 | sort -z | xargs -0 sha256sum | sed 's/^/holds /'
systemctl list-unit-files --no-legend --no-pager | awk '{{print "unit file", $1, $2}}' | grep -v 'transient' | sort
systemctl list-units --all --plain --no-legend --no-pager 'openclaw*' | awk '{{print "unit", $1, $2, $3}}'
if command -v docker >/dev/null; then
    docker ps --all --format 'container {{{{.Names}}}} {{{{.Image}}}}' | sort
    docker network ls --format 'network {{{{.Name}}}}' | sort
    docker volume ls --format 'volume {{{{.Name}}}}' | sort
fi
if command -v nft >/dev/null; then nft list tables | grep openclaw || true; fi
"""


def snapshot(lab: Lab, host: str) -> list[str]:
    """One line for each thing; the modification times are left out, since they tell of nothing that a person misses."""
    prune = " ".join(f"-path {place} -prune -o" for place in _NOT_OURS)
    return lab.ssh(host, _SNAPSHOT.format(prune=prune)).splitlines()


def without(lines: list[str], *places: str) -> list[str]:
    """The lines that tell of nothing below these paths, nor of the paths themselves."""
    return [line for line in lines if not any(f" {place}/" in line or f" {place} " in f"{line} " for place in places)]
