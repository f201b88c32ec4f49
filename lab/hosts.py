"""Lab hosts: containers that boot systemd and look like machines of a tailnet."""

import secrets
import subprocess

from lab import base_image, keys, networks, openclaw_image, tailnet, waiting
from lab.archives import pack
from lab.building import Recipe, ensure
from lab.docker import Docker
from lab.errors import LabError
from lab.labels import label_options, object_name
from lab.profiles import first_files
from lab.progress import say, step
from lab.state import DATABASE, WITH_OPENCLAW, Host, LabState, save

BOOTS_WITHIN_S = 90
STOPS_WITHIN_S = 60
SSH_PORT = 22
# A longer delay of the tailnet address is an experiment: `up` does not wait for it.
LONGEST_AWAITED_DELAY_S = 10.0
# Not --privileged: machines without CAP_SYS_RESOURCE refuse it, and this is enough for systemd
# and for a Docker Engine inside.
CAPABILITIES = (
    *("SYS_ADMIN", "NET_ADMIN", "NET_RAW", "SYS_PTRACE", "SYS_CHROOT", "MKNOD", "AUDIT_WRITE"),
    *("AUDIT_CONTROL", "SETFCAP", "SYS_TIME", "SYS_NICE", "SYSLOG", "DAC_READ_SEARCH", "IPC_LOCK"),
    *("LINUX_IMMUTABLE", "SYS_BOOT"),
)
UNCONFINED = ("seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined")


def ensure_image(docker: Docker, base: str, profile: str) -> str:
    """Return the tag of the image of a profile, built first if need be."""
    if profile in WITH_OPENCLAW:
        return openclaw_image.ensure_image(docker, ensure_image(docker, base, "fresh"), profile)
    if profile == DATABASE:
        return ensure(docker, Recipe("host-database", "database", ensure_image(docker, base, "fresh")))
    if profile == base_image.OLDER:
        return ensure(
            docker, Recipe(f"host-{profile}", "host", base_image.ensure_base(docker, profile), target="fresh")
        )
    return ensure(docker, Recipe(name=f"host-{profile}", folder="host", base=base, target=profile))


def with_tailnet(docker: Docker, state: LabState, image: str) -> str:
    """Return the image with the real Tailscale in it, where that is what the lab has."""
    return tailnet.ensure_image(docker, image, "host") if state.tailnet == tailnet.REAL else image


def allocate(state: LabState, name: str, profile: str) -> Host:
    """Return the host with its addresses, noted in the state first if it is new.

    Raises:
        LabError: the host is there with another profile, or the lab is full.
    """
    known = state.hosts.get(name)
    if known is not None:
        if known.profile != profile:
            raise LabError(
                f"the host {name} is up with the profile {known.profile}, not {profile}",
                "python -m lab down, then up again; or choose another name for the new host",
            )
        return known
    taken = {host.lan_address for host in state.hosts.values()}
    numbers = range(networks.FIRST_HOST, networks.LAST_HOST)
    free = (n for n in numbers if networks.address(state.lan_subnet, n) not in taken)
    number = next(free, None)
    if number is None:
        raise LabError(f"the lab '{state.name}' is full ({len(taken)} hosts)")
    host = Host(
        profile=profile,
        lan_address=networks.address(state.lan_subnet, number),
        # Of a real tailnet it is known once the host has logged in.
        tailscale_address="" if state.tailnet == tailnet.REAL else networks.address(state.tailnet_subnet, number),
        ssh_port=SSH_PORT,
        ssh_user="operator",
        ssh_key=str(keys.ensure_key(state.name)),
        known_hosts=str(keys.known_hosts(state.name)),
    )
    state.hosts[name] = host
    if profile == DATABASE and not state.database_password:
        state.database_password = f"{secrets.token_urlsafe(12)}@/#?% &"
    save(state)
    return host


def ensure_started(docker: Docker, state: LabState, name: str, image: str, delay_s: float) -> bool:
    """Start a host unless it runs, which is returned. One that an interrupted ``up`` left half made is made anew."""
    container = object_name(state.name, name)
    status = docker.container_status(container)
    if status not in (None, "created", "dead"):
        # Whatever it does now, it has data: it is started, never made anew. No-op if it runs.
        docker.run("unpause" if status == "paused" else "start", container)
        return status == "running"
    docker.try_run("rm", "--force", container)
    with step(f"creating the host {name} ({state.hosts[name].profile})"):
        _create(docker, state, name, image)
        _fill(docker, state, name, delay_s)
        docker.run("start", container)
    return False


def _create(docker: Docker, state: LabState, name: str, image: str) -> None:
    host, container = state.hosts[name], object_name(state.name, name)
    volume = object_name(state.name, f"{name}-docker")
    docker.try_run("volume", "rm", volume)
    docker.run("volume", "create", *label_options(state.name), volume)
    docker.run(
        *("create", "--name", container, "--hostname", name, *label_options(state.name)),
        *("--network", networks.lan(state.name), "--ip", host.lan_address),
        *("--cgroupns", "private", "--restart", "unless-stopped"),
        *("--tmpfs", "/run:exec", "--tmpfs", "/run/lock", "--tmpfs", "/tmp:exec,mode=1777"),
        *(f"--cap-add={capability}" for capability in CAPABILITIES),
        *(f"--security-opt={option}" for option in UNCONFINED),
        # overlay2 cannot lie on overlay2.
        *("--volume", f"{volume}:/var/lib/docker"),
        *(("--device", "/dev/net/tun") if state.tailnet == tailnet.REAL else ()),
        image,
    )
    if state.tailnet == tailnet.FAKE:
        network = networks.tailnet(state.name)
        docker.run("network", "connect", "--ip", host.tailscale_address, network, container)


def _fill(docker: Docker, state: LabState, name: str, delay_s: float) -> None:
    host = state.hosts[name]
    public_key = keys.ensure_key(state.name).with_suffix(".pub").read_text(encoding="ascii")
    archive = pack(first_files(host, state.tailnet_subnet, delay_s, public_key, state.database_password))
    docker.run("cp", "-", f"{object_name(state.name, name)}:/", stdin=archive)


def wait_until_up(docker: Docker, state: LabState, name: str) -> None:
    """Wait until a host has booted, answers over SSH and has its tailnet address.

    Raises:
        LabError: it did not; the message says what it waits for.
    """
    host, container = state.hosts[name], object_name(state.name, name)
    if not _has_booted(docker, container):
        with step(f"waiting for {name} to boot"):
            waiting.until(
                lambda: _has_booted(docker, container, "--wait"),
                BOOTS_WITHIN_S,
                lambda: _not_booted(docker, name, container),
            )
    _tell_failed_units(docker, name, container)
    public_key = docker.run("exec", container, "cat", "/etc/ssh/ssh_host_ed25519_key.pub")
    keys.remember(state.name, host.lan_address, public_key)
    waiting.until(
        lambda: _answers_ssh(host),
        BOOTS_WITHIN_S,
        lambda: LabError(f"{name} booted, but does not answer over SSH at {host.lan_address}"),
    )
    if state.tailnet == tailnet.REAL:
        host.tailscale_address = tailnet.log_in(docker, state, name)
        save(state)
        return
    delay_s = float(docker.run("exec", container, "cat", "/etc/openclaw-lab/tailscale-delay"))
    if delay_s > LONGEST_AWAITED_DELAY_S:
        say(f"{name}: tailscale0 gets {host.tailscale_address} {delay_s:g} s after each boot")
        return
    waiting.until(
        lambda: docker.try_run("exec", container, "tailscale", "ip", "-4").returncode == 0,
        delay_s + BOOTS_WITHIN_S,
        lambda: LabError(f"{name} booted, but tailscale0 has no address"),
    )


def restart(docker: Docker, state: LabState, name: str) -> None:
    """Reboot a host: systemd runs anew, its data are kept.

    Raises:
        LabError: there is no such host, or it did not come back.
    """
    require_host(state, name)
    with step(f"rebooting {name}"):
        docker.run("restart", "-t", str(STOPS_WITHIN_S), object_name(state.name, name))
    wait_until_up(docker, state, name)


def remove(docker: Docker, state: LabState, name: str) -> None:
    """Remove a host and all that was on it; the rest of the lab stays.

    Raises:
        LabError: there is no such host.
    """
    require_host(state, name)
    with step(f"removing {name}"):
        docker.run("rm", "--force", object_name(state.name, name))
        docker.run("volume", "rm", object_name(state.name, f"{name}-docker"))
    del state.hosts[name]
    save(state)


def require_host(state: LabState, name: str) -> Host:
    """Return a host of the lab.

    Raises:
        LabError: there is none of that name.
    """
    if name not in state.hosts:
        known = ", ".join(state.hosts) or "none"
        raise LabError(f"the lab '{state.name}' has no host {name!r}; it has: {known}")
    return state.hosts[name]


def _has_booted(docker: Docker, container: str, *options: str) -> bool:
    """Where `options` say --wait, once it has: asking again and again takes a boot's own processor away."""
    asked = ("timeout", str(BOOTS_WITHIN_S), "systemctl", "is-system-running", *options)
    result = docker.try_run("exec", container, *asked)
    return result.stdout.strip() in ("running", "degraded")


def _not_booted(docker: Docker, name: str, container: str) -> LabError:
    logs = docker.try_run("logs", "--tail", "20", container)
    jobs = docker.try_run("exec", container, "systemctl", "list-jobs", "--no-pager")
    return LabError(
        f"{name} did not boot within {BOOTS_WITHIN_S} s "
        f"(container {docker.container_status(container)}):\n"
        f"{logs.stdout}{logs.stderr}{jobs.stdout}",
        f"{' '.join(docker.argv('logs', container))}",
    )


def _tell_failed_units(docker: Docker, name: str, container: str) -> None:
    failed = docker.run("exec", container, "systemctl", "--failed", "--plain", "--no-legend")
    for line in failed.splitlines():
        say(f"{name}: warning: a unit failed at boot: {line}")


def _answers_ssh(host: Host) -> bool:
    command = keys.ssh_command(host, ["true"])
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
