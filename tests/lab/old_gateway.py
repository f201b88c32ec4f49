"""A gateway that a person has set up by hand, running, with a root password of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from gateway import tiktoken
from tests.lab.rows import OLD_DIRECTORY

if TYPE_CHECKING:
    from tests.lab.conftest import Lab

HOST = "old1"
PASSWORD = "a-person-chose-it"  # within One API's 20 characters

_RUN = f"""
set -e
docker load --quiet --input /root/old-image.tar
docker run --detach --name openclaw-llm-gateway --restart always --publish ADDRESS:3000:3000 \\
    --volume {OLD_DIRECTORY}/data:/data --volume /root/tiktoken:/tiktoken:ro --env TIKTOKEN_CACHE_DIR=/tiktoken IMAGE
"""

_SET_PASSWORD = """
read -r body
for attempt in $(seq 100); do curl -sf -m 2 "http://$0:3000/api/status" >/dev/null && break; sleep 0.2; done
curl -s -c /tmp/jar -H 'Content-Type: application/json' -d '{"username":"root","password":"123456"}' \\
    "http://$0:3000/api/user/login" >/dev/null
printf '%s' "$body" | curl -s -b /tmp/jar -X PUT -H 'Content-Type: application/json' -d @- "http://$0:3000/api/user/self"
rm /tmp/jar
"""


def start(lab: Lab) -> None:
    """Start it on the host that has its data, and change root's password."""
    image = lab.state["gateway_image"]
    if image["archive"]:
        lab.copy(HOST, Path(image["archive"]), "/root/old-image.tar")
    else:
        lab.ssh(
            HOST, f"docker pull --quiet {image['reference']} && docker save {image['reference']} > /root/old-image.tar"
        )
    lab.ssh(HOST, "mkdir -p /root/tiktoken")
    for name in tiktoken.read_local(None):
        lab.copy(HOST, tiktoken.cache_directory() / name, f"/root/tiktoken/{name}")
    lab.ssh(HOST, _RUN.replace("ADDRESS", lab.address(HOST)).replace("IMAGE", image["reference"]))
    changed = lab.command(
        *("peer", "--", "sh", "-c", _SET_PASSWORD, lab.address(HOST)),
        stdin=json.dumps({"password": PASSWORD}) + "\n",
    )
    assert json.loads(changed.stdout)["success"] is True, changed.output


def serves(lab: Lab) -> bool:
    """Whether a gateway answers on that host, seen from the tailnet."""
    url = f"http://{lab.address(HOST)}:3000/api/status"
    return lab.command("peer", "--", "curl", "-sf", "-m", "5", url).code == 0
