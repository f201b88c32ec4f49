"""An apt repository of Docker's own packages for hosts whose distribution has none that fit, on the lab's LAN."""

import urllib.request

from lab import base_image, networks, waiting
from lab.building import Recipe, ensure
from lab.docker import Docker
from lab.errors import LabError
from lab.labels import label_options, object_name
from lab.state import LabState, Packages

NAME = "packages"
READY_WITHIN_S = 30


def ensure_image(docker: Docker) -> str:
    """Return the tag of the repository's image, built first if need be; each build signs with a key of its own."""
    return ensure(docker, Recipe(NAME, "packages", base_image.ensure_base(docker, base_image.OLDER)))


def ensure_running(docker: Docker, state: LabState, image: str) -> None:
    """Start the repository unless it runs, and note where it is.

    Raises:
        LabError: it does not answer.
    """
    name = object_name(state.name, NAME)
    where = networks.address(state.lan_subnet, networks.PACKAGES)
    if docker.container_status(name) != "running":
        docker.try_run("rm", "--force", name)
        docker.run(
            *("run", "--detach", "--init", "--name", name, "--hostname", NAME),
            *("--network", networks.lan(state.name), "--ip", where),
            *("--restart", "unless-stopped", *label_options(state.name)),
            image,
        )
    url = f"http://{where}/linux"
    waiting.until(
        lambda: _answers(f"{url}/debian/gpg"),
        READY_WITHIN_S,
        lambda: LabError(f"the lab's apt repository does not answer at {url}", f"docker logs {name}"),
    )
    state.packages = Packages(url, docker.run("exec", name, "cat", "/srv/fingerprint"))


def _answers(url: str) -> bool:
    # No proxy: it is on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
