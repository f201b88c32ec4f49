"""Names and labels of everything that a lab makes in Docker."""

from lab.docker import Docker
from lab.errors import LabError
from lab.state import CHECKOUT

LABEL = "openclaw-lab.name"
CHECKOUT_LABEL = "openclaw-lab.checkout"


def object_name(lab: str, part: str) -> str:
    """Return the Docker name of one part of a lab, such as ``openclaw-lab-lab-gw1``."""
    return f"openclaw-lab-{lab}-{part}"


def label_options(lab: str) -> list[str]:
    """Return the docker options that mark an object as this lab's and this checkout's."""
    return ["--label", f"{LABEL}={lab}", "--label", f"{CHECKOUT_LABEL}={CHECKOUT}"]


def ours(lab: str) -> list[str]:
    """Return the docker filters that find this lab's objects, and no other checkout's."""
    return [f"--filter=label={LABEL}={lab}", f"--filter=label={CHECKOUT_LABEL}={CHECKOUT}"]


def refuse_foreign(docker: Docker, lab: str) -> None:
    """Refuse to work on a lab of the same name that belongs to another checkout.

    Raises:
        LabError: there is one.
    """
    listed = docker.run("ps", "--all", f"--filter=label={LABEL}={lab}", f'--format={{{{.Label "{CHECKOUT_LABEL}"}}}}')
    others = sorted({line for line in listed.splitlines() if line != str(CHECKOUT)})
    if others:
        raise LabError(
            f"a lab named '{lab}' is already up from the checkout {others[0]}",
            f"take it down there, or give yours a name: LAB_NAME=mine (now: {lab})",
        )
