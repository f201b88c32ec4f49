"""The container that served before, kept until the new gateway answers, so that a failure gives it back."""

from __future__ import annotations

import shlex

from pyinfra.api.host import Host

from gateway import remote
from gateway.host_state import PROJECT

KEPT = f"{PROJECT}-replaced"


def put_aside_script(unit: str) -> str:
    """A shell script that stops what holds the database.

    A container of our own compose project is only stopped: the unit makes it again. One that a person started is
    renamed and kept, and may not come back by itself at the next boot.
    """
    label = '{{ index .Config.Labels "com.docker.compose.project" }}'
    return (
        f"systemctl disable --quiet --now {unit} 2>/dev/null;"
        f" if project=$(docker container inspect {PROJECT} --format {shlex.quote(label)} 2>/dev/null); then"
        f' if [ "$project" = {PROJECT} ]; then docker rm --force {PROJECT} >/dev/null; else'
        f" docker update --restart=no {PROJECT} >/dev/null && docker stop --time 10 {PROJECT} >/dev/null &&"
        f" {{ docker rm --force {KEPT} >/dev/null 2>&1; docker rename {PROJECT} {KEPT}; }}; fi; fi"
    )


def give_back(host: Host, unit: str, marker: str) -> None:
    """After a failure, what served before serves again, and the next run begins with the first start.

    Parameters: `marker`, the path of the file that allows publishing.
    """
    try:
        lines = remote.run(
            host,
            f"if docker container inspect {KEPT} >/dev/null 2>&1; then rm -f {shlex.quote(marker)};"
            f" systemctl disable --quiet --now {unit} 2>/dev/null; docker rm --force {PROJECT} >/dev/null 2>&1;"
            f" docker rename {KEPT} {PROJECT} && docker update --restart=unless-stopped {PROJECT} >/dev/null &&"
            f" docker start {PROJECT} >/dev/null && echo back; fi",
        )
    except remote.RemoteError as problem:
        remote.complain(
            host,
            f"the old gateway could not be started again: {problem}. On the host: docker rename {KEPT} {PROJECT};"
            f" docker start {PROJECT}",
        )
        return
    if lines:
        remote.tell(host, "the old gateway serves again")


def discard(host: Host) -> None:
    """The new gateway answers: the old container goes. Its data was the same directory, so nothing goes with it."""
    remote.run(host, f"docker rm --force {KEPT} >/dev/null 2>&1 || true")
