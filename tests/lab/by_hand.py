"""A gateway that a person has set up by hand and that an agent uses, on hosts of its own, to be moved to others."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from lab import legacy_database
from llm_gateway.parts import tiktoken
from tests.lab import moving
from tests.lab.asking_agent import ENVIRONMENT, ask, is_completion
from tests.lab.faults import await_that
from tests.lab.rows import OLD_DIRECTORY

if TYPE_CHECKING:
    from tests.lab.conftest import Lab

OLD, ONE, OTHER, AGENT = "old7", "gw7", "gw8", "agent7"
KEY = "TheKeyThatTheAgentHasHadForYears" + "x" * 16
CONTAINER = "one-api"

_RUN = f"""
set -e
docker load --quiet --input /root/image.tar
docker run --detach --name {CONTAINER} --restart always --publish ADDRESS:3000:3001 \\
    --volume {OLD_DIRECTORY}/data:/data --volume /root/tiktoken:/tiktoken:ro --env TIKTOKEN_CACHE_DIR=/tiktoken \\
    --env PORT=3001 --env STANDIN_SCHEMA=v0.5.10 IMAGE
"""


def start(lab: Lab, place: Path) -> None:
    """The old gateway has a channel that works and a token that the agent has."""
    database = place / "one-api.db"
    database.write_bytes(legacy_database.build("v0.5.10"))
    upstream = lab.state["upstream"]
    with sqlite3.connect(database) as connection:
        connection.execute(
            "INSERT INTO channels (id, type, key, status, name, base_url, models) VALUES (9, 1, ?, 1, 'lab', ?, ?)",
            (upstream["api_key"], upstream["base_url"], upstream["chat_model"]),
        )
        connection.execute("INSERT INTO abilities VALUES ('default', ?, 9, 1, 0)", (upstream["chat_model"],))
        connection.execute(
            "INSERT INTO tokens (user_id, key, name, created_time, accessed_time, remain_quota, unlimited_quota)"
            " VALUES (1, ?, ?, 1, 1, 1, 1)",
            (KEY, AGENT),
        )
    connection.close()
    lab.ssh(OLD, f"mkdir -p {OLD_DIRECTORY}/data")
    lab.copy(OLD, database, f"{OLD_DIRECTORY}/data/one-api.db")
    image = lab.state["gateway_images"]["one-api"]
    if image["archive"]:
        lab.copy(OLD, Path(image["archive"]), "/root/image.tar")
    else:
        lab.ssh(OLD, f"docker pull --quiet {image['reference']} && docker save {image['reference']} > /root/image.tar")
    lab.ssh(OLD, "mkdir -p /root/tiktoken")
    for name in tiktoken.read_local(None):
        lab.copy(OLD, tiktoken.cache_directory() / name, f"/root/tiktoken/{name}")
    lab.ssh(OLD, _RUN.replace("ADDRESS", lab.address(OLD)).replace("IMAGE", image["reference"]))
    await_that(lambda: moving.is_served(lab, OLD), "the gateway that was set up by hand answers", 90)
    lines = (
        f"LLM_BASE_URL=http://{lab.address(OLD)}:3000/v1",
        f"LLM_API_KEY=sk-{KEY}",
        f"LLM_MODEL_ID={upstream['chat_model']}",
    )
    lab.ssh(
        AGENT,
        f"grep -v ^LLM_ {ENVIRONMENT} > /tmp/env; cat >> /tmp/env; cat /tmp/env > {ENVIRONMENT}",
        "\n".join(lines) + "\n",
    )
    await_that(lambda: is_completion(ask(lab, AGENT)), "the agent's completions are answered", 90)
