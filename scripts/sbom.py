"""`make sbom`: a CycloneDX bill of the Python packages of the control machine, and of the images that its hosts run.

    python -m scripts.sbom BIN LOCK INVENTORY > sbom.cdx.json

BIN is where the tools of CycloneDX are: `.venv/locked/supply-chain/bin`.

No host is connected to: what they run is what the inventory pins. The same input gives the same bytes.
"""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from llm_gateway.model.version import VERSION
from llm_gateway.parts.image import ArchiveError, read_archive

_PYINFRA = str(Path(sys.executable).with_name("pyinfra"))
_DEFAULTS = "group_data/all.py"
_VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
sys.exit(JsonStrictValidator(SchemaVersion.from_version(sys.argv[1])).validate_str(sys.stdin.read()))
"""
_ABOUT = {"type": "application", "bom-ref": "openclaw-llm-gateway", "name": "openclaw-llm-gateway", "version": VERSION}


class SbomError(Exception):
    """The bill cannot be made; the text says why."""


def main(tools: str, lock: str, inventory: str) -> int:
    """Print the bill, where it is valid by CycloneDX's own schema; 1 where it cannot be made."""
    try:
        made = bill(_packages(tools, lock), _gateways(inventory) or [runpy.run_path(_DEFAULTS)])
        text = json.dumps(made, indent=2, sort_keys=True)
        _output([f"{tools}/python", "-c", _VALIDATE, made["specVersion"]], text)
    except (SbomError, ArchiveError) as problem:
        print(f"sbom: {problem}", file=sys.stderr)
        return 1
    print(text)
    return 0


def bill(packages: dict[str, Any], gateways: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The bill of the packages (as cyclonedx-py writes it) and of the images of these gateways' data."""
    # cyclonedx-py names a package by its line of the lock file, and repeats that line: hundreds of hashes.
    components = [
        {**{key: value for key, value in each.items() if key != "description"}, "bom-ref": each["purl"]}
        for each in packages["components"]
    ]
    images = {component["bom-ref"]: component for component in map(image, gateways)}
    components += [images[reference] for reference in sorted(images)]
    depends_on = sorted(component["bom-ref"] for component in components)
    return {
        **packages,
        "metadata": {**packages.get("metadata", {}), "component": _ABOUT},
        "components": components,
        "dependencies": [
            {"ref": _ABOUT["bom-ref"], "dependsOn": depends_on},
            *({"ref": reference} for reference in depends_on),
        ],
    }


def image(settings: dict[str, Any]) -> dict[str, Any]:
    """The component of a gateway's image, with what pins its bytes. Raises ArchiveError."""
    name, _, tag = settings["gateway_image"].rpartition(":")
    pins = sorted(_pins(settings))
    # By the purl specification the version of an image is its digest, and the tag a qualifier; "/" is quoted there.
    version = f"@{quote(pins[0], safe='')}" if pins else ""
    purl = f"pkg:oci/{name.rpartition('/')[2]}{version}?repository_url={quote(name, safe='')}&tag={quote(tag, safe='')}"
    pinned = ", ".join(pins) or "the tag alone: its bytes can change"
    return {
        "type": "container",
        "bom-ref": purl,
        "name": name,
        "version": tag,
        "purl": purl,
        "hashes": [{"alg": "SHA-256", "content": pin.removeprefix("sha256:")} for pin in pins],
        "properties": [{"name": "openclaw-llm-gateway:pinned-by", "value": pinned}],
    }


def _pins(settings: dict[str, Any]) -> Iterator[str]:
    if archive := settings["gateway_image_archive"]:
        yield from read_archive(archive).identifiers
    elif digest := settings["gateway_image_digest"]:
        yield digest


def _packages(tools: str, lock: str) -> dict[str, Any]:
    command = [f"{tools}/cyclonedx-py", "requirements", "--output-reproducible", "--output-format=JSON", lock]
    found: dict[str, Any] = json.loads(_output(command))
    return found


def _gateways(inventory: str) -> list[dict[str, Any]]:
    # pyinfra takes an inventory that is not there for the name of a host.
    if not Path(inventory).is_file():
        raise SbomError(f"there is no inventory {inventory}")
    hosts = json.loads(_output([_PYINFRA, inventory, "debug-inventory", "--json"]))
    return [host["data"] for host in hosts if "gateways" in host["groups"]]


def _output(command: Sequence[str], stdin: str = "") -> str:
    run = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if run.returncode:
        raise SbomError(f"{Path(command[0]).name} failed: {run.stderr.strip()}")
    return run.stdout


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
