"""A gateway that a person has set up by hand, running, with a root password of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from llm_gateway.parts import tiktoken
from tests.lab.rows import OLD_DIRECTORY

if TYPE_CHECKING:
    from tests.lab.conftest import Lab

HOST = "old1"
PASSWORD = "a-person-chose-it"  # within One API's 20 characters

_RUN = """
docker run --detach ARGUMENTS --volume DATA:/data --volume /root/tiktoken:/tiktoken:ro \\
    --env TIKTOKEN_CACHE_DIR=/tiktoken IMAGE
"""

_SET_PASSWORD = """
read -r body
for attempt in $(seq 100); do curl -sf -m 2 "http://$0:3000/api/status" >/dev/null && break; sleep 0.2; done
curl -s -c /tmp/jar -H 'Content-Type: application/json' -d '{"username":"root","password":"123456"}' \\
    "http://$0:3000/api/user/login" >/dev/null
printf '%s' "$body" | curl -s -b /tmp/jar -X PUT -H 'Content-Type: application/json' -d @- "http://$0:3000/api/user/self"
rm /tmp/jar
"""


def load(lab: Lab, host: str) -> None:
    """Bring the lab's image, and what it needs at its start, to a host."""
    own = lab.state["gateway_images"]["one-api"]
    if own["archive"]:
        lab.copy(host, Path(own["archive"]), "/root/old-image.tar")
    else:
        lab.ssh(host, f"docker pull --quiet {own['reference']} && docker save {own['reference']} > /root/old-image.tar")
    lab.ssh(host, "mkdir -p /root/tiktoken")
    for name in tiktoken.read_local(None):
        lab.copy(host, tiktoken.cache_directory() / name, f"/root/tiktoken/{name}")
    lab.ssh(host, "docker load --quiet --input /root/old-image.tar")


def run(lab: Lab, host: str, arguments: str, image: str | None = None, data: str = f"{OLD_DIRECTORY}/data") -> None:
    """Start a gateway on a host of the profile "legacy", which has its data.

    Parameters: `arguments`, those of `docker run`; `image`, None for the lab's own; `data`, where its database is.
    """
    words = {
        "ARGUMENTS": arguments,
        "DATA": data,
        "IMAGE": image or lab.state["gateway_images"]["one-api"]["reference"],
    }
    command = _RUN
    for word, value in words.items():
        command = command.replace(word, value)
    lab.ssh(host, command)


def start(lab: Lab) -> None:
    """Start it on the host that has its data, and change root's password."""
    load(lab, HOST)
    run(lab, HOST, f"--name openclaw-llm-gateway --restart always --publish {lab.address(HOST)}:3000:3000")
    changed = lab.command(
        *("peer", "--", "sh", "-c", _SET_PASSWORD, lab.address(HOST)),
        stdin=json.dumps({"password": PASSWORD}) + "\n",
    )
    assert json.loads(changed.stdout)["success"] is True, changed.output


def serves(lab: Lab, host: str = HOST) -> bool:
    """Whether a gateway answers on that host, seen from the tailnet."""
    url = f"http://{lab.address(host)}:3000/api/status"
    return lab.command("peer", "--", "curl", "-sf", "-m", "5", url).code == 0
