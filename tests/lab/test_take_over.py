"""Gateways as people have set them up: taken over whole, or refused, or given back; what is told of them is so."""

from __future__ import annotations

import json
import shlex
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from lab import legacy_database
from tests.lab import moving, old_gateway
from tests.lab.conftest import INVENTORY, Lab, Run
from tests.lab.faults import await_that, kill_at
from tests.lab.rows import DIRECTORY, OLD_DIRECTORY, rows

HOST = "oldt"
NAME = "one-api"
BESIDE = 11434
"""The port of a service in a container beside it."""
SECONDS = 8
"""What a new gateway is given to answer."""
# Written at any time by a gateway that serves.
_LISTING = (
    f"cd {OLD_DIRECTORY} && find . -path ./backups -prune -o -path ./data/logs -prune -o -path ./tiktoken -prune"
    " -o ! -name '*-journal' ! -name secrets.env -printf '%p %m %U:%G\\n' | sort"
)


def _deploy(lab: Lab, *data: str) -> Run:
    return lab.deploy("--limit", HOST, *(word for each in data for word in ("--data", each)))


@pytest.fixture(scope="module")
def host(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A gateway of a user 1000's, whose image is of v0.6.8, on a port of its own."""
    with lab.more_hosts(f"{HOST}:legacy"):
        lab.copy(HOST, _database(lab, tmp_path_factory.mktemp("old")), f"{OLD_DIRECTORY}/data/one-api.db")
        lab.ssh(
            HOST,
            f"cd {OLD_DIRECTORY} && chown -R 1000:1000 . && chmod 755 data && chmod 640 data/one-api.db &&"
            " printf 'services: {one-api: {image: one-api}}\\n' > docker-compose.yml && chown 1000:1000 *.yml",
        )
        old_gateway.load(lab, HOST)
        lab.ssh(
            HOST,
            f"set -e; docker create --name model-of-images {lab.state['gateway_image']['reference']};"
            " docker commit --change 'ENV STANDIN_SCHEMA=v0.6.8' model-of-images old:v0.6.8;"
            " docker commit --change 'ENV STANDIN_FAULTS=mute' model-of-images new:mute; docker rm model-of-images",
        )
        _start(lab, f"{OLD_DIRECTORY}/data")
        yield lab


def _database(lab: Lab, place: Path) -> Path:
    """That of an old gateway, with a channel that goes to a container beside it."""
    file, upstream = place / "one-api.db", lab.state["upstream"]
    file.write_bytes(legacy_database.build("v0.6.8"))
    connection = sqlite3.connect(file)
    with connection:
        connection.execute(
            "INSERT INTO channels (id, type, key, status, name, base_url, models) VALUES (9, 1, ?, 1, 'beside', ?, ?)",
            (upstream["api_key"], f"http://ollama:{BESIDE}", upstream["chat_model"]),
        )
        connection.execute("INSERT INTO abilities VALUES ('default', ?, 9, 1, 0)", (upstream["chat_model"],))
    connection.close()
    return file


def _start(lab: Lab, data: str, more: str = "") -> None:
    arguments = f"--name {NAME} --user 1000:1000 --restart on-failure:3 --publish {lab.address(HOST)}:3000:3001"
    old_gateway.run(lab, HOST, f"{arguments} --env PORT=3001 {more}", "old:v0.6.8", data)
    await_that(lambda: old_gateway.serves(lab, HOST), "the old gateway answers", 60)


@pytest.mark.parametrize("is_killed", [False, True], ids=["mute", "killed"])
def test_a_take_over_that_comes_to_nothing_gives_back_all_that_was_there(host: Lab, is_killed: bool) -> None:
    listing, kept = host.ssh(HOST, _LISTING), rows(host, HOST)
    settings = ["gateway_image=new:mute", "gateway_image_archive=null", 'gateway_extra_hosts={"ollama": null}']
    if is_killed:
        arguments = [word for each in settings for word in ("--data", each)]
        kill_at("starting the new gateway", "--limit", HOST, *arguments, INVENTORY, "deploy.py")
        await_that(lambda: moving.nothing_is_unfinished(host, HOST), "the host has undone it", 90)
        await_that(lambda: old_gateway.serves(host, HOST), "the old gateway serves again", 90)
    else:
        run = _deploy(host, *settings, f"gateway_start_timeout={SECONDS}")
        assert run.code == 1, run.output[-4000:]
        assert f"the old gateway ({NAME}) serves again, with all that it had" in run.output
        assert old_gateway.serves(host, HOST), "it was asked before that was said"
    assert host.ssh(HOST, _LISTING) == listing
    now = rows(host, HOST)
    assert {table: now[table] for table in kept} == kept
    assert host.ssh(HOST, f"head -c 9 {OLD_DIRECTORY}/docker-compose.yml") == "services:"
    container = "docker inspect --format '{{.State.Running}} {{.HostConfig.RestartPolicy}}'"
    assert host.ssh(HOST, f"{container} {NAME}") == "true {on-failure 3}"
    assert host.ssh(HOST, "docker ps --all --format '{{.Names}}'") == NAME


def test_what_it_had_besides_is_told_before_it_is_stopped_and_then_carried_over(host: Lab) -> None:
    """Its data are in no directory of the name data; the refusal's own commands and settings take it over."""
    place = "/home/wei/one-api"
    moved = f"mkdir /home/wei && mv {OLD_DIRECTORY}/data {place} && rm -r {OLD_DIRECTORY}"
    host.ssh(HOST, f"docker rm --force {NAME} && {moved}")
    _start_beside(host)
    given = "--env RELAY_TIMEOUT=300 --env THEME=berry --env SOME_API_KEY=hush --network beside"
    _start(host, place, f"{given} --add-host host.docker.internal:host-gateway")
    refused = _deploy(host, f"gateway_directory={place}")
    link = f"mkdir -p {DIRECTORY} && ln -sT {place} {DIRECTORY}/data"
    refused.must_fail_with(f"with its data in {place}: on the host, `{link}`; then set gateway_directory to")
    host.ssh(HOST, link)

    kept = rows(host, HOST, DIRECTORY)
    bridge = "172.17.0.1"
    settings = [f"gateway_directory={DIRECTORY}"]
    _deploy(host, *settings).must_fail_with(
        '{"RELAY_TIMEOUT": "300", "THEME": "berry"}',
        "would be lost and that may be secrets: SOME_API_KEY (`docker inspect",
        f'{{"host.docker.internal": "{bridge}"}}',
        f"channel beside goes to http://ollama:{BESIDE}, and ollama is a name that the host does not know",
        f'gateway_extra_hosts: {{"ollama": "{bridge}"}}, gateway_private_upstreams: ["{bridge}:{BESIDE}"]',
    )
    assert old_gateway.serves(host, HOST)
    variables = {"RELAY_TIMEOUT": "300", "THEME": None, "SOME_API_KEY": None}
    settings += [f"gateway_environment={json.dumps(variables)}", f'gateway_private_upstreams=["{bridge}:{BESIDE}"]']
    settings += [f'gateway_extra_hosts={{"ollama": "{bridge}", "host.docker.internal": null}}']
    run = _deploy(host, *settings)
    assert run.code == 0, run.output[-4000:]
    assert f"channel beside: {host.state['upstream']['chat_model']} completed" in run.output
    assert "hush" not in refused.output + run.output

    assert host.ssh(HOST, "docker ps --all --format '{{.Names}}' | sort").split() == ["ollama", "openclaw-llm-gateway"]
    now = rows(host, HOST, DIRECTORY)
    assert [row["key"] for row in kept["tokens"]] == [row["key"] for row in now["tokens"]][: len(kept["tokens"])]
    assert host.ssh(HOST, f"stat -c '%a %u:%g' {place}") == "700 59300:59300"
    assert "RELAY_TIMEOUT=300" in host.ssh(HOST, "docker inspect openclaw-llm-gateway --format '{{.Config.Env}}'")
    again = _deploy(host, *settings)
    assert again.code == 0, again.output[-4000:]
    assert "nothing was changed" in again.output


def _start_beside(lab: Lab) -> None:
    """A service in a container beside the gateway, published for the host, which the gateway knows by its name."""
    upstream = urlsplit(lab.state["upstream"]["base_url"])
    program = _RELAY.format(host=upstream.hostname, port=upstream.port, beside=BESIDE)
    lab.ssh(
        HOST,
        "docker network create beside > /dev/null && docker run --detach --name ollama --network beside --interactive"
        f" --publish 172.17.0.1:{BESIDE}:{BESIDE} --entrypoint python3 {lab.state['gateway_image']['reference']}"
        f" -c {shlex.quote(program)}",
    )


_RELAY = """
import asyncio
async def pump(reader, writer):
    while part := await reader.read(65536):
        writer.write(part)
        await writer.drain()
    writer.close()
async def relay(reader, writer):
    other, there = await asyncio.open_connection("{host}", {port})
    await asyncio.gather(pump(reader, there), pump(other, writer))
async def main():
    async with await asyncio.start_server(relay, "0.0.0.0", {beside}) as server:
        await server.serve_forever()
asyncio.run(main())
"""
