"""A gateway of its own that is upgraded to good images and bad ones, asked by somebody all the time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import httpx

from oneapi import AdminClient, OneAPIError
from oneapi.specs import TokenSpec
from tests.lab.conftest import ROOT, Lab, Run
from tests.lab.rows import DIRECTORY

HOST = "gwup"
PYINFRA = str(Path(sys.executable).with_name("pyinfra"))
START_SECONDS = 8
"""What a new image is given to answer: the stand-in takes one."""

# Each image is the lab's own with other faults (lab/standin/faults.py).
_IMAGES = {
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


def pin(name: str) -> list[str]:
    """The arguments of pyinfra that pin one of these images on this host alone."""
    settings = {"gateway_image": f"tried:{name}", "gateway_image_archive": "null"}
    return [*of_host(), *(part for key, value in settings.items() for part in ("--data", f"{key}={value}"))]


def of_host() -> list[str]:
    """The arguments of pyinfra for this host alone, where an image is given little time."""
    return ["--limit", HOST, "--data", f"gateway_start_timeout={START_SECONDS}"]


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
        f" ls -d {DIRECTORY}/trial {DIRECTORY}/switching {DIRECTORY}/data/restored"
        " /var/lib/openclaw-llm-gateway/un* 2>/dev/null | grep -v undo-unfinished; true",
    )
    assert found == "openclaw-llm-gateway"


def admin(lab: Lab) -> AdminClient:
    """The gateway's admin API, spoken to from the tailnet."""
    lines = lab.ssh(HOST, f"cat {DIRECTORY}/secrets.env").splitlines()
    token = next(line.split("=", 1)[1].strip("'") for line in lines if line.startswith("ONEAPI_ACCESS_TOKEN="))
    return AdminClient(f"http://{lab.address(HOST)}:3000", access_token=token)


def write(lab: Lab, name: str) -> None:
    """Have the gateway acknowledge a row, once it serves."""
    deadline = time.monotonic() + 60
    with admin(lab) as api:
        while True:
            try:
                api.create_token(TokenSpec(name))
                return
            except OneAPIError:
                assert time.monotonic() < deadline, lab.ssh(HOST, "systemctl status openclaw-llm-gateway || true")
                time.sleep(0.2)


def token_names(lab: Lab) -> set[str]:
    """The rows that were written, and the others."""
    with admin(lab) as api:
        return {token.name for token in api.tokens()}


def kill_at(step: str, *command: str) -> str:
    """Run pyinfra and kill it when it says that it comes to a step. Returns what it had said."""
    said = []
    with subprocess.Popen(
        [PYINFRA, "-y", *command],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stderr
        for line in run.stderr:
            said.append(line)
            if step in line and line.rstrip().endswith("..."):
                os.kill(run.pid, signal.SIGKILL)
                return "".join(said)
    raise AssertionError(f"the run ended before {step!r}: {''.join(said)[-3000:]}")


def cut_power(lab: Lab) -> None:
    """The host loses its power, and gets it back."""
    container = f"openclaw-lab-{os.environ['LAB_NAME']}-{HOST}"
    for command in ("kill", "start"):
        subprocess.run(["docker", command, container], check=True, capture_output=True, timeout=60)
    up = lab.command("up", "--hosts", f"{HOST}:fresh")
    assert up.code == 0, up.output


def until(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Wait for it."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.2)


def deploy(lab: Lab, name: str) -> Run:
    """Deploy with one of the images pinned."""
    return lab.deploy(*pin(name))


class Agent:
    """Somebody on the tailnet who asks for one completion after the other, each on a connection of its own."""

    def __init__(self, lab: Lab) -> None:
        with admin(lab) as api:
            key = next(token.api_key for token in api.tokens() if token.name == "llm-gateway-verification")
        self._url = f"http://{lab.address(HOST)}:3000/v1/chat/completions"
        self._headers = {"Authorization": f"Bearer {key}"}
        self._body = {
            "model": lab.state["upstream"]["chat_model"],
            "messages": [{"role": "user", "content": "hi"}],
            "max_tokens": 1,
        }
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self.answers: list[str] = []

    def _ask(self) -> None:
        while not self._end.is_set():
            try:
                answer = httpx.post(self._url, headers=self._headers, json=self._body, timeout=30)
                self.answers.append("200" if answer.json().get("choices") else answer.text)
            except (httpx.HTTPError, ValueError) as failure:
                self.answers.append(repr(failure))

    def __enter__(self) -> Agent:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join(90)
        assert not self._thread.is_alive()

    @property
    def failures(self) -> list[str]:
        """The answers that are no completion."""
        return [answer for answer in self.answers if answer != "200"]
