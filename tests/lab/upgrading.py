"""A gateway of its own that is upgraded to good images and bad ones, asked by somebody all the time."""

from __future__ import annotations

import time

from llm_gateway.flavours import AdminError
from llm_gateway.flavours.oneapi import AdminClient
from llm_gateway.flavours.specs import TokenSpec
from tests.lab.asking_agent import AskingAgent
from tests.lab.conftest import Lab, Run
from tests.lab.rows import DIRECTORY

HOST = "gwup"
START_SECONDS = 8
"""What an image that never answers is given: the stand-in takes one."""
ENOUGH_SECONDS = 60
"""What one that does is given, also on a busy machine."""

# Each image is the lab's own with other faults (lab/standin/faults.py).
_IMAGES = {
    "old": "STANDIN_SCHEMA=v0.6.8",
    "mute": "STANDIN_FAULTS=mute",
    "nonsense": "STANDIN_FAULTS=nonsense",
    "crashing": "STANDIN_FAULTS=migrates,crashes",
    "good": "STANDIN_FAULTS=migrates",
    "better": "STANDIN_FAULTS=",
    "late": "STANDIN_FAULTS=migrates,nonsense --change ENV\\ STANDIN_FAULTS_IF=bad-here",
}


def make_images(lab: Lab) -> None:
    """Make all of them on the host, as `tried:NAME`."""
    base = lab.state["gateway_image"]["reference"]
    lines = ["set -e", f"docker create --name model-of-images {base} > /dev/null"]
    lines += [
        f"docker commit --change ENV\\ {faults} model-of-images tried:{name} > /dev/null"
        for name, faults in _IMAGES.items()
    ]
    lab.ssh(HOST, "\n".join([*lines, "docker rm model-of-images > /dev/null"]))


def pin(name: str, seconds: int = ENOUGH_SECONDS) -> list[str]:
    """The arguments of pyinfra that pin one of these images on this host alone, and give it so long to answer."""
    settings = {"gateway_image": f"tried:{name}", "gateway_image_archive": "null"}
    return [*of_host(seconds), *(part for key, value in settings.items() for part in ("--data", f"{key}={value}"))]


def of_host(seconds: int = ENOUGH_SECONDS) -> list[str]:
    """The arguments of pyinfra for this host alone, where an image is given so long to answer."""
    return ["--limit", HOST, "--data", f"gateway_start_timeout={seconds}"]


def serving(lab: Lab) -> str:
    """The image, its ID, and the container that serves."""
    return lab.ssh(HOST, "docker inspect openclaw-llm-gateway --format '{{.Config.Image}} {{.Image}} {{.Id}}'")


def files(lab: Lab) -> str:
    """Every file by which the gateway runs, with its mode, time and content."""
    names = ".env *.yml secrets.env /etc/systemd/system/openclaw-llm-gateway.service"
    return lab.ssh(HOST, f"cd {DIRECTORY} && stat -c '%n %a %Y' {names} && sha256sum {names}")


def tables(lab: Lab) -> set[str]:
    """The names of the tables of its database."""
    return set(lab.ssh(HOST, f"sqlite3 {DIRECTORY}/data/one-api.db .tables").split())


def nothing_is_left_over(lab: Lab) -> None:
    """No trial, nothing unfinished, nothing half switched."""
    found = lab.ssh(
        HOST,
        "docker ps --all --format '{{.Names}}'; docker network ls --format '{{.Name}}' | grep trial;"
        f" ls -d {DIRECTORY}/trial {DIRECTORY}/switching {DIRECTORY}/incoming"
        " /var/lib/openclaw-llm-gateway/un* 2>/dev/null | grep -v undo-unfinished; true",
    )
    assert found == "openclaw-llm-gateway"


def admin(lab: Lab) -> AdminClient:
    """The gateway's admin API, spoken to from the tailnet."""
    lines = lab.ssh(HOST, f"cat {DIRECTORY}/secrets.env").splitlines()
    token = next(line.split("=", 1)[1].strip("'") for line in lines if line.startswith("ONEAPI_ACCESS_TOKEN="))
    return AdminClient(f"http://{lab.address(HOST)}:3000", access_token=token)


def make_old(lab: Lab) -> None:
    """Serve with an image of v0.6.8 on a database of v0.6.8."""
    run = deploy(lab, "old")
    assert run.code == 0, run.output[-4000:]
    statement = "ALTER TABLE channels DROP COLUMN system_prompt"
    lab.ssh(HOST, f"sqlite3 -cmd '.timeout 9000' {DIRECTORY}/data/one-api.db '{statement}'")


def channel_columns(lab: Lab) -> list[str]:
    """The columns of the table of channels."""
    statement = "SELECT name FROM pragma_table_info('channels')"
    return lab.ssh(HOST, f'sqlite3 {DIRECTORY}/data/one-api.db "{statement}"').split()


def write(lab: Lab, name: str) -> None:
    """Have the gateway acknowledge a row, once it serves."""
    deadline = time.monotonic() + 60
    with admin(lab) as api:
        while True:
            try:
                api.create_token(TokenSpec(name))
                return
            except AdminError:
                assert time.monotonic() < deadline, lab.ssh(HOST, "systemctl status openclaw-llm-gateway || true")
                time.sleep(0.2)


def token_names(lab: Lab) -> set[str]:
    """The rows that were written, and the others."""
    with admin(lab) as api:
        return {token.name for token in api.tokens()}


def deploy(lab: Lab, name: str, seconds: int = ENOUGH_SECONDS) -> Run:
    """Deploy with one of the images pinned."""
    return lab.deploy(*pin(name, seconds))


def asking(lab: Lab) -> AskingAgent:
    """Somebody on the tailnet who asks this gateway for one completion after the other."""
    with admin(lab) as api:
        key = next(token.api_key for token in api.tokens() if token.name == "llm-gateway-verification")
    url = f"http://{lab.address(HOST)}:3000/v1"
    values = {"LLM_BASE_URL": url, "LLM_API_KEY": key, "LLM_MODEL_ID": lab.state["upstream"]["chat_model"]}
    return AskingAgent(lab, "agent1", values)
