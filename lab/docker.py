"""The Docker Engine of this machine: found, started where none answers, called with or without sudo."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from lab import waiting
from lab.errors import LabError
from lab.progress import step
from lab.state import CACHE

STARTS_WITHIN_S = 60
# A user's PATH may lack the directories of the administrator's programs.
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])


@dataclass(frozen=True)
class Docker:
    """How docker is called on this machine: ``prefix`` is empty or sudo."""

    prefix: tuple[str, ...] = ()

    def argv(self, *arguments: str) -> list[str]:
        """Return the whole command line for some docker arguments."""
        return [*self.prefix, "docker", *arguments]

    def try_run(self, *arguments: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[str]:
        """Run docker and return its result, whatever it is."""
        result = subprocess.run(self.argv(*arguments), input=stdin, capture_output=True, check=False)
        return subprocess.CompletedProcess(
            result.args,
            result.returncode,
            result.stdout.decode(errors="replace"),
            result.stderr.decode(errors="replace"),
        )

    def run(self, *arguments: str, stdin: bytes | None = None) -> str:
        """Run docker and return its output.

        Raises:
            LabError: it failed; the message holds the command and the end of what it said.
        """
        result = self.try_run(*arguments, stdin=stdin)
        if result.returncode != 0:
            said = (result.stderr.strip() or result.stdout.strip())[-2000:]
            raise LabError(f"`docker {' '.join(arguments[:3])} ...` failed:\n{said}")
        return result.stdout.strip()

    def has_image(self, tag: str) -> bool:
        """Tell whether an image with this tag is on the machine."""
        return self.try_run("image", "inspect", tag).returncode == 0

    def container_status(self, name: str) -> str | None:
        """Return ``running``, ``exited``, ``created`` ... or None where there is no container."""
        result = self.try_run("container", "inspect", "--format", "{{.State.Status}}", name)
        return result.stdout.strip() if result.returncode == 0 else None


def sudo() -> tuple[str, ...]:
    """Return what goes before a command that only root may run: nothing, or sudo.

    Raises:
        LabError: the user is not root and there is no sudo.
    """
    if os.geteuid() == 0:
        return ()
    if shutil.which("sudo") is None:
        raise LabError("the lab needs root or sudo", "run it as root, or install sudo")
    return ("sudo",) if sys.stdin.isatty() else ("sudo", "-n")


def require(program: str, package: str) -> None:
    """Demand a program of a Debian package.

    Raises:
        LabError: it is not installed.
    """
    if shutil.which(program, path=SEARCH_PATH) is None:
        raise LabError(f"{program} is missing (Debian package {package})", "make setup")


def connect() -> Docker:
    """Return a Docker Engine that answers, started if need be.

    Raises:
        LabError: docker is missing, may not be used, or does not start.
    """
    require("docker", "docker.io")
    found = _answering()
    if found is not None:
        return found
    with step("starting the Docker Engine"):
        _start_engine()
        waiting.until(lambda: _answering() is not None, STARTS_WITHIN_S, _did_not_start)
    found = _answering()
    if found is None:
        raise _did_not_start()
    return found


def _answering() -> Docker | None:
    for docker in _ways_to_call():
        if docker.try_run("version", "--format", "{{.Server.Version}}").returncode == 0:
            return docker
    return None


def _ways_to_call() -> list[Docker]:
    ways = [Docker()]
    if os.geteuid() != 0 and shutil.which("sudo"):
        ways.append(Docker(sudo()))
    return ways


def _start_engine() -> None:
    if Path("/run/systemd/system").is_dir():
        subprocess.run([*sudo(), "systemctl", "start", "docker"], check=False)
        return
    require("dockerd", "docker.io")
    require("iptables", "iptables")
    CACHE.mkdir(parents=True, exist_ok=True)
    with _engine_log().open("ab") as log:
        subprocess.Popen(
            [*sudo(), "env", f"PATH={SEARCH_PATH}", "dockerd"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _engine_log() -> Path:
    return CACHE / "dockerd.log"


def _did_not_start() -> LabError:
    where = "journalctl -u docker" if Path("/run/systemd/system").is_dir() else f"tail {_engine_log()}"
    return LabError(f"the Docker Engine did not answer within {STARTS_WITHIN_S} s", where)
