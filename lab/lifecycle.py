"""A lab from nothing to up, and back to nothing."""

import fcntl
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import base_image, building, gateway_image, hosts, networks, openclaw_image, packages, tailnet, upstream
from lab.docker import Docker, connect, require
from lab.errors import LabError
from lab.labels import LABEL, label_options, object_name, ours, refuse_foreign
from lab.progress import say, step
from lab.state import (
    CACHE,
    WITH_OPENCLAW,
    LabState,
    directory,
    lab_name,
    load,
    load_if_any,
    make_directory,
    save,
)

_INOTIFY_INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")
_ENOUGH_INSTANCES = 1024


def up(wanted: dict[str, str], delay_s: float) -> LabState:
    """Bring the lab up with these hosts; what runs already is kept.

    Args:
        wanted: the profile of each host.
        delay_s: seconds from the boot of a new host to its tailnet address.

    Returns:
        The state, as it was saved.

    Raises:
        LabError: something is missing or did not work.
    """
    name, kind = lab_name(), tailnet.wanted()
    gateway_image.wanted()  # a mistake in it is told before anything is built
    require("ssh", "openssh-client")
    docker = connect()
    _warn_of_a_real_tailnet()
    _make_room_for_many_hosts()
    with _alone(name):
        refuse_foreign(docker, name)
        known = load_if_any(name)
        _refuse_another_tailnet(known, kind)
        state = networks.ensure_networks(docker, name, known, kind == tailnet.REAL)
        state.complete = False
        for host, profile in _that_can_be_had(docker, wanted).items():
            hosts.allocate(state, host, profile)
        save(state)
        _ensure_all(docker, state, wanted, delay_s)
        state.complete = True
        save(state)
    return state


def _refuse_another_tailnet(known: LabState | None, kind: str) -> None:
    if known is not None and known.tailnet != kind:
        raise LabError(
            f"the lab '{known.name}' is up with a {known.tailnet} tailnet, and LAB_TAILNET asks for a {kind} one",
            "python -m lab down, then up again; or choose another LAB_NAME",
        )


def _that_can_be_had(docker: Docker, wanted: dict[str, str]) -> dict[str, str]:
    """The profiles with a place-holder where OpenClaw is asked for and cannot be had; which it is, is said."""
    if not any(profile in WITH_OPENCLAW for profile in wanted.values()):
        return wanted
    below = hosts.ensure_image(docker, base_image.ensure_base(docker), "fresh")
    if openclaw_image.is_available(docker, below):
        return wanted
    return {
        host: openclaw_image.PLACEHOLDER if profile in WITH_OPENCLAW else profile for host, profile in wanted.items()
    }


def _warn_of_a_real_tailnet() -> None:
    if Path("/sys/class/net/tailscale0").exists():
        say(
            "note: this machine is in a real tailnet, whose firewall drops packets from 100.64.0.0/10"
            " that come by another way: reach the lab's gateways with `python -m lab peer`"
        )


def _make_room_for_many_hosts() -> None:
    # The systemd of each host takes some six of root's instances; of Linux's 128 the twenty-first host has none left.
    limit = int(_INOTIFY_INSTANCES.read_text())
    if limit >= _ENOUGH_INSTANCES:
        return
    setting = "fs.inotify.max_user_instances"
    try:
        _INOTIFY_INSTANCES.write_text(str(_ENOUGH_INSTANCES))
    except OSError:
        command = f"sudo sysctl -w {setting}={_ENOUGH_INSTANCES}"
        say(f"note: {limit} inotify instances are enough for some {limit // 6} lab hosts; for more: {command}")
    else:
        say(f"{setting} of this machine is {_ENOUGH_INSTANCES} until its next boot; it was {limit}")


def _ensure_all(docker: Docker, state: LabState, wanted: Collection[str], delay_s: float) -> None:
    base = base_image.ensure_base(docker)
    images = {
        profile: hosts.with_tailnet(docker, state, hosts.ensure_image(docker, base, profile))
        for profile in sorted({host.profile for host in state.hosts.values()})
    }
    begun = {
        name
        for name, host in state.hosts.items()
        if not hosts.ensure_started(docker, state, name, images[host.profile], delay_s)
    }
    python = building.ensure(docker, building.Recipe("python", "python", base))
    if state.tailnet == tailnet.REAL:
        tailnet.ensure_control(docker, state, python)
    _ensure_machines_around(docker, state, python)
    upstream.ensure_running(docker, state, upstream.ensure_image(docker, python))
    if any(host.profile == base_image.OLDER for host in state.hosts.values()):
        packages.ensure_running(docker, state, packages.ensure_image(docker))
    images_of_gateways = gateway_image.choose(docker, python)
    state.gateway_image = next(iter(images_of_gateways.values()))
    state.gateway_images |= images_of_gateways
    for name in state.hosts:
        if name in begun or name in wanted:
            hosts.wait_until_up(docker, state, name)


def _ensure_machines_around(docker: Docker, state: LabState, python: str) -> None:
    """Start the peer, on the tailnet alone, and the neighbour, on the LAN alone.

    In a real tailnet the peer is on the LAN, too, since a tailnet needs a network below it.
    """
    tools = building.ensure(docker, building.Recipe("tools", "tools", python))
    lan, is_real = networks.lan(state.name), state.tailnet == tailnet.REAL
    below, subnet = (lan, state.lan_subnet) if is_real else (networks.tailnet(state.name), state.tailnet_subnet)
    peer = networks.address(subnet, networks.PEER)
    neighbour = networks.address(state.lan_subnet, networks.NEIGHBOUR)
    on_peer = tailnet.ensure_image(docker, tools, "peer") if is_real else tools
    for name, network, address, image in (("peer", below, peer, on_peer), ("neighbour", lan, neighbour, tools)):
        container = object_name(state.name, name)
        if docker.container_status(container) == "running":
            continue
        docker.try_run("rm", "--force", container)
        docker.run(
            *("run", "--detach", "--init", "--name", container, "--hostname", name),
            *("--network", network, "--ip", address, "--cap-add", "NET_ADMIN"),
            *("--restart", "unless-stopped", *label_options(state.name)),
            *(("--device", "/dev/net/tun") if is_real and name == "peer" else ()),
            image,
        )
    state.peer_address = tailnet.log_in(docker, state, "peer") if is_real else peer


def down(purge: bool) -> None:
    """Remove everything of this lab; with ``purge`` the images and archives of all labs too.

    Raises:
        LabError: docker refused.
    """
    name = lab_name()
    docker = connect()
    if purge:
        _refuse_to_purge_for_others(docker, name)
    with _alone(name), step(f"taking the lab '{name}' down"):
        filters = ours(name)
        _remove(docker, ["rm", "--force", "--volumes"], ["ps", "--all", "--quiet", *filters])
        _remove(docker, ["volume", "rm", "--force"], ["volume", "ls", "--quiet", *filters])
        _remove(docker, ["network", "rm"], ["network", "ls", "--quiet", *filters])
    shutil.rmtree(directory(name))
    if purge:
        _purge(docker)


def remove(host: str) -> None:
    """Remove one host of this lab, and its data.

    Raises:
        LabError: there is no such lab or host, or docker refused.
    """
    with _alone(lab_name()):
        hosts.remove(connect(), load(), host)


def _remove(docker: Docker, remove: list[str], find: list[str]) -> None:
    found = docker.run(*find).split()
    if found:
        docker.run(*remove, *found)


def _refuse_to_purge_for_others(docker: Docker, name: str) -> None:
    listed = docker.run("ps", "--all", f"--filter=label={LABEL}", "--format={{.Names}}")
    mine = docker.run("ps", "--all", *ours(name), "--format={{.Names}}")
    others = sorted(set(listed.split()) - set(mine.split()))
    if others:
        raise LabError(
            f"other labs use the images and archives: {', '.join(others)}",
            "take those labs down first, or leave --purge out",
        )


def _purge(docker: Docker) -> None:
    with step("removing the labs' images and archives"):
        tags = docker.run("images", "--format={{.Repository}}:{{.Tag}}", f"{building.REPOSITORY}/*").split()
        for tag in tags:
            removed = docker.try_run("image", "rm", tag)
            if removed.returncode != 0:
                say(f"kept {tag}: {removed.stderr.strip()}")
        docker.run("image", "prune", "--force", "--filter=label=openclaw-lab.image")
        if CACHE.exists():
            shutil.rmtree(CACHE)


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Keep a second ``up`` or ``down`` of the same lab out."""
    with (make_directory(name) / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LabError(f"another command is at work on the lab '{name}'", "wait") from error
        yield
