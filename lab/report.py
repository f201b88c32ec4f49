"""The lab as a table for a person."""

from lab.docker import Docker
from lab.gateway_image import flavour_of
from lab.labels import object_name
from lab.state import LabState, up_command

COLUMNS = ("HOST", "PROFILE", "LAN", "TAILNET", "STATE")


def table(lab: LabState, docker: Docker) -> str:
    """Return what is up: hosts, networks, upstream, gateway image. No secret is in it."""
    rows = [
        (
            name,
            host.profile,
            host.lan_address,
            host.tailscale_address,
            docker.container_status(object_name(lab.name, name)) or "absent",
        )
        for name, host in lab.hosts.items()
    ]
    lines = [f"lab '{lab.name}'   tailnet {lab.tailnet_subnet} ({lab.tailnet})   LAN {lab.lan_subnet}", ""]
    lines += _aligned([COLUMNS, *rows])
    lines += ["", f"upstream   {_upstream(lab)}", f"gateway    {_image(lab)}"]
    lines += ["inventory  lab/inventory.py", f"a shell    python -m lab ssh {next(iter(lab.hosts))}"]
    if not lab.complete:
        lines += ["", f"HALF UP: the last `up` did not finish; run it again: {up_command(lab.name)}"]
    return "\n".join(lines)


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _upstream(lab: LabState) -> str:
    if lab.upstream is None:
        return "not started yet"
    model = lab.upstream
    return f"{model.base_url}   {model.chat_model}, embeddings of {model.dimensions} dimensions"


def _image(lab: LabState) -> str:
    if lab.gateway_image is None:
        return "not chosen yet"
    title = flavour_of(lab.gateway_image.reference).title
    kind = f"the lab's STAND-IN for {title}" if lab.gateway_image.is_stand_in else f"the real {title}"
    others = [image.reference for image in lab.gateway_images.values() if image != lab.gateway_image]
    return "   ".join([f"{lab.gateway_image.reference}   {kind}", *(f"at hand: {other}" for other in others)])
