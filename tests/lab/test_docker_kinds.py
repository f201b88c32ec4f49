"""What answers to `docker` on hosts as people have them, for real: each kind that cannot be used is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.lab.conftest import Lab
from tests.lab.rows import DIRECTORY

HOST = "gw9"
_RESTART = "systemctl reset-failed docker; systemctl restart docker"
_DAEMON = "mkdir -p /etc/docker; cat > /etc/docker/daemon.json"
_STOPPED = "systemctl stop docker docker.socket"
_DROP_IN = "/run/systemd/system/docker.service.d"
_APT = "DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends"
# In a user's namespace, without a network of its own: a lab host has no /dev/net/tun.
_ROOTLESS = """
set -e
apt-get update -qq
DEBIAN_FRONTEND=noninteractive
export DEBIAN_FRONTEND
apt-get install -qq -y --no-install-recommends uidmap rootlesskit fuse-overlayfs >/dev/null
useradd --create-home --shell /bin/bash rootless
loginctl enable-linger rootless
until [ -d /run/user/$(id -u rootless) ]; do sleep 0.1; done
cat > /home/rootless/start <<'END'
export XDG_RUNTIME_DIR=/run/user/$(id -u) PATH=$PATH:/usr/sbin:/sbin
export DOCKERD_ROOTLESS_ROOTLESSKIT_NET=host DOCKERD_ROOTLESS_ROOTLESSKIT_PORT_DRIVER=none
cd
setsid /usr/share/docker.io/contrib/dockerd-rootless.sh --iptables=false --bridge=none --storage-driver=vfs >log 2>&1 &
for each in $(seq 100); do [ ! -S $XDG_RUNTIME_DIR/docker.sock ] || exit 0; sleep 0.1; done
cat log; exit 1
END
runuser -u rootless -- bash /home/rootless/start
systemctl stop docker docker.socket
ln -sfn /run/user/$(id -u rootless)/docker.sock /run/docker.sock
# Not `docker version`, over which this dockerd panics.
for each in $(seq 100); do
    ! docker info --format '{{.ServerVersion}}' 2>/dev/null | grep -q . || exit 0
    sleep 0.1
done
cat /home/rootless/log; exit 1
"""
_PODMAN = f"""
set -e
rm -f /run/docker.sock
apt-get update -qq
{_APT} remove docker.io >/dev/null
{_APT} install podman >/dev/null
printf '[storage]\\ndriver="vfs"\\nrunroot="/run/containers/storage"\\ngraphroot="/var/lib/containers/storage"\\n' \\
    > /etc/containers/storage.conf
systemctl start podman.socket
ln -sfn /run/podman/podman.sock /run/docker.sock
docker version --format '{{{{.Server.Version}}}}'
"""


@dataclass(frozen=True)
class Kind:
    """A host that a person has made so: by a shell command, which is undone by another; and what is told of it."""

    name: str
    command: str
    words: str
    undo: str = "true"
    stdin: str = ""


KINDS = (
    Kind(
        "a context elsewhere",
        "docker context create away --docker host=ssh://nobody@192.0.2.1 && docker context use away",
        "`docker` is pointed at ssh://nobody@192.0.2.1",
        "docker context use default",
    ),
    Kind(
        "userns-remap",
        f"{_DAEMON}; {_RESTART}",
        "take userns-remap out of /etc/docker/daemon.json",
        stdin='{"userns-remap": "default"}',
    ),
    Kind(
        "no rules",
        # Not all rules: those of the Docker that the lab host is a container of answer its questions for names.
        f"{_DAEMON}; {_STOPPED}; iptables -t nat -S POSTROUTING | grep MASQUERADE | sed 's/^-A/iptables -t nat -D/' |"
        f" sh; {_RESTART}",
        "no container reaches its provider",
        stdin='{"iptables": false}',
    ),
    Kind(
        "the data on a small disk",
        f"mkdir /mnt/docker && mount -t tmpfs -o size=100m none /mnt/docker; {_DAEMON}; {_RESTART}",
        "MiB are free below /mnt/docker",
        f"rm /etc/docker/daemon.json; {_RESTART}; umount /mnt/docker",
        '{"data-root": "/mnt/docker"}',
    ),
    Kind(
        "a sandbox of its unit",
        f"mkdir -p {_DROP_IN}; cat > {_DROP_IN}/sandbox.conf; systemctl daemon-reload; {_RESTART}",
        "its Docker sees other files than the host has",
        f"rm -r {_DROP_IN}; systemctl daemon-reload; {_RESTART}",
        "[Service]\nTemporaryFileSystem=/opt\n",
    ),
    Kind(
        "started by hand",
        f"{_STOPPED}; setsid dockerd >/dev/null 2>&1 & until docker version >/dev/null 2>&1; do sleep 0.1; done",
        "docker.service is inactive, so something else runs it",
        f"kill $(cat /run/docker.pid); while [ -e /run/docker.pid ]; do sleep 0.1; done; {_RESTART}",
    ),
)
MORE_KINDS = (
    Kind("rootless", _ROOTLESS, "its Docker runs rootless (/home/rootless/.local/share/docker)"),
    Kind("podman's service", _PODMAN, "podman answers to `docker`"),
    Kind(
        "podman-docker",
        f"{_APT} remove docker-cli >/dev/null; {_APT} install podman-docker >/dev/null; touch /etc/containers/nodocker",
        "`apt-get remove podman-docker`",
    ),
    Kind("podman-docker that fails", "rm /etc/containers/storage.conf", "`apt-get remove podman-docker`"),
)


@pytest.fixture(scope="module")
def host(lab: Lab) -> Iterator[Lab]:
    """A host with Debian's Docker, in which nothing of ours is."""
    with lab.more_hosts(f"{HOST}:ready"):
        yield lab


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_docker_that_cannot_be_used_is_refused_and_nothing_is_written(host: Lab, kind: Kind) -> None:
    _is_refused(host, kind)


@pytest.mark.full
@pytest.mark.parametrize("kind", MORE_KINDS, ids=lambda kind: kind.name)
def test_what_is_installed_beside_or_in_place_of_docker_is_refused_too(host: Lab, kind: Kind) -> None:
    """In this order: what is installed stays."""
    _is_refused(host, kind)


def _is_refused(host: Lab, kind: Kind) -> None:
    host.ssh(HOST, kind.command, kind.stdin)
    host.deploy("--limit", HOST).must_fail_with("nothing was changed", kind.words)
    assert host.ssh(HOST, f"ls -d {DIRECTORY} /etc/systemd/system/openclaw* 2>/dev/null || true") == ""
    host.ssh(HOST, kind.undo)
