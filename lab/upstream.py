"""The upstream: SmolLM2, a real small model, in a container on the lab's LAN."""

import secrets
import shutil
import urllib.request
from pathlib import Path

from lab import networks, personalities, pip, waiting
from lab.building import Recipe, ensure
from lab.docker import Docker
from lab.errors import LabError
from lab.labels import label_options, object_name
from lab.progress import step
from lab.state import CHECKOUT, LabState, Upstream, make_directory, write_private

PERSONALITIES = Path(personalities.__file__)
REQUIREMENTS = CHECKOUT / "requirements" / "upstream.txt"
PORT = 8080
READY_WITHIN_S = 120
MODEL = "smollm2"
DIMENSIONS = 576


def ensure_image(docker: Docker, python_image: str) -> str:
    """Return the tag of the upstream's image; its Python packages come pinned by hashes."""
    return ensure(
        docker,
        Recipe(
            name="upstream",
            folder="upstream",
            base=python_image,
            also=(REQUIREMENTS, PERSONALITIES),
            prepare=_prepare,
        ),
    )


def ensure_running(docker: Docker, state: LabState, image: str) -> None:
    """Start the upstream unless it runs, and wait until it has loaded its model.

    Raises:
        LabError: it did not get ready; the message holds its log.
    """
    name = object_name(state.name, "upstream")
    key_file = make_directory(state.name) / "upstream.key"
    if not key_file.exists():
        write_private(key_file, f"sk-lab-{secrets.token_hex(24)}\n")
    where = networks.address(state.lan_subnet, networks.UPSTREAM)
    base_url = f"http://{where}:{PORT}"
    if docker.container_status(name) != "running":
        docker.try_run("rm", "--force", name)
        _start(docker, state, image, name, where, key_file)
    if not _is_ready(docker, name, base_url):
        with step(f"waiting for the model at {base_url}"):
            waiting.until(
                lambda: _is_ready(docker, name, base_url),
                READY_WITHIN_S,
                lambda: _no_model(docker, name),
            )
    key = key_file.read_text(encoding="ascii").strip()
    state.upstream = Upstream(base_url, key, MODEL, MODEL, DIMENSIONS)


def personality(state: LabState, name: str) -> str:
    """Return the base URL, without ``/v1``, of an upstream that behaves as a provider does.

    Raises:
        LabError: an unknown personality.
    """
    if name not in personalities.PERSONALITIES:
        raise LabError(f"no upstream behaves as {name!r}", f"use one of {', '.join(personalities.PERSONALITIES)}")
    return f"http://{networks.address(state.lan_subnet, networks.UPSTREAM)}:{personalities.PORT}/{name}"


def _start(docker: Docker, state: LabState, image: str, name: str, where: str, key_file: Path) -> None:
    inside = "/run/upstream.key"
    docker.run(
        *("run", "--detach", "--name", name, "--hostname", "upstream"),
        *("--network", networks.lan(state.name), "--ip", where),
        *("--restart", "unless-stopped", "--memory", "1g"),
        # A file and not a variable: `docker inspect` shows variables.
        *("--mount", f"type=bind,src={key_file},dst={inside},readonly"),
        *("--env", f"UPSTREAM_KEY_FILE={inside}"),
        *label_options(state.name),
        image,
    )


def _is_ready(docker: Docker, name: str, base_url: str) -> bool:
    if _is_healthy(base_url):
        return True
    restarts = docker.run("container", "inspect", "--format", "{{.RestartCount}}", name)
    if int(restarts) > 0:
        raise _no_model(docker, name)
    return False


def _is_healthy(base_url: str) -> bool:
    # No proxy: the model is on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{base_url}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _no_model(docker: Docker, name: str) -> LabError:
    said = docker.try_run("logs", "--tail", "20", name)
    return LabError(f"the upstream model was not ready within {READY_WITHIN_S} s; it said:\n{said.stdout}{said.stderr}")


def _prepare(context: Path) -> None:
    shutil.copy(PERSONALITIES, context)
    pip.install(REQUIREMENTS, context / "site-packages")
