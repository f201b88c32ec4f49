"""A mistake of the user's is told with its fix, before anything is touched, and never as a traceback."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.conftest import INVENTORY, ROOT, Lab, Run
from tests.lab.rows import DIRECTORY

# perl is the one interpreter that a bare Debian has.
_LISTEN = (
    "setsid perl -MIO::Socket::INET -e '$listener = IO::Socket::INET->new("
    "LocalAddr => q(ADDRESS), LocalPort => 3456, Listen => 1)"
    ' or die; open(F, ">/run/squatter") && close(F); sleep 600\' </dev/null >/dev/null 2>&1 &'
    " until [ -e /run/squatter ]; do sleep 0.05; done"
)


def _files(lab: Lab) -> str:
    """What a refused run must leave as it was: every file of the gateway, and of the units."""
    return lab.ssh(
        "gw1",
        f"find {DIRECTORY} /etc/systemd /etc/docker -not -path '*/data*' -printf '%p %m %s %T@\\n' | sort",
    )


def _refused(lab: Lab, *arguments: str, words: tuple[str, ...]) -> None:
    before = _files(lab)
    lab.deploy("--limit", "gw1", *arguments).must_fail_with("nothing was changed", *words)
    assert _files(lab) == before


@contextmanager
def _squatter(lab: Lab) -> Iterator[None]:
    lab.ssh("gw1", _LISTEN.replace("ADDRESS", lab.address("gw1")))
    try:
        yield
    finally:
        lab.ssh("gw1", "pkill -x perl; rm -f /run/squatter")


def test_a_port_taken_by_another_program(deployed: Lab) -> None:
    with _squatter(deployed):
        _refused(deployed, "--data", "gateway_port=3456", words=("port 3456", "is taken by perl", "gateway_port"))


def test_an_address_that_is_not_the_hosts(deployed: Lab) -> None:
    _refused(
        deployed,
        "--data",
        "gateway_tailscale_address=100.99.9.9",
        words=("gateway_tailscale_address is 100.99.9.9", f"the host's is {deployed.address('gw1')}"),
    )


def test_a_directory_beside_a_running_gateway(deployed: Lab) -> None:
    _refused(
        deployed,
        "--data",
        "gateway_directory=/srv/another",
        words=("a gateway runs there already", f'set gateway_directory to "{DIRECTORY}"'),
    )


def test_a_gateway_on_another_database_is_not_taken_over(deployed: Lab) -> None:
    """A file that such a gateway has forgotten would take its place; told here, where another gateway runs besides."""
    deployed.ssh(
        "gw1",
        "docker create --name on-mysql --env 'SQL_DSN=root:hush@tcp(db)/oneapi' --volume /srv/another/data:/data"
        " $(docker inspect openclaw-llm-gateway --format '{{.Image}}')",
    )
    try:
        run = deployed.deploy("--limit", "gw1", "--data", "gateway_directory=/srv/another")
        run.must_fail_with("nothing was changed", "has its data in another database (SQL_DSN is set)")
        assert "hush" not in run.output
    finally:
        deployed.ssh("gw1", "docker rm on-mysql; rm -rf /srv/another")


def test_a_checkout_with_the_line_endings_of_windows(deployed: Lab, tmp_path: Path) -> None:
    """As git makes one by core.autocrlf where nothing forbids it; the command that is told fixes it."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.splitlines():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        content = (ROOT / name).read_bytes()
        is_sent = name.startswith(("files/", "templates/")) or name.endswith(".sh")
        (tmp_path / name).write_bytes(content.replace(b"\n", b"\r\n") if is_sent else content)
    (tmp_path / ".lab").symlink_to(ROOT / ".lab")
    looks = (
        "systemctl is-active openclaw-llm-gateway.service openclaw-llm-gateway-firewall.service;"
        " docker inspect openclaw-llm-gateway --format '{{.State.StartedAt}}'; nft list tables"
    )
    before = _files(deployed), deployed.ssh("gw1", looks)

    def deploy(*options: str) -> Run:
        pyinfra = Path(sys.executable).with_name("pyinfra")
        command = [str(pyinfra), "-y", *options, "--limit", "gw1", INVENTORY, "deploy.py"]
        done = subprocess.run(command, cwd=tmp_path, input="", capture_output=True, text=True, timeout=300, check=False)
        return Run(done.returncode, done.stdout, done.stderr)

    run = deploy()
    run.must_fail_with("hosts cannot use files with Windows line endings")
    assert before == (_files(deployed), deployed.ssh("gw1", looks))
    assert before[1].splitlines()[:2] == ["active", "active"]
    fix = re.search(r"fix them by `(.*? \{\} \+)`", " ".join(run.output.split()))
    assert fix, run.output
    subprocess.run(["sh", "-c", fix[1]], check=True)
    fixed = deploy("--dry")
    assert fixed.code == 0, fixed.output[-3000:]


def test_a_disk_that_is_full(deployed: Lab) -> None:
    deployed.ssh("agent1", "mkdir -p /mnt/small && mount -t tmpfs -o size=16m tmpfs /mnt/small")
    inventory = ROOT / ".lab" / "full.py"
    inventory.write_text(
        "from lab.inventory import openclaw as _openclaw\n"
        "_data = {**dict(_openclaw)['agent1'], 'gateway_directory': '/mnt/small/gateway', 'openclaw_gateway': None}\n"
        "gateways = [('agent1', _data)]\n"
    )
    try:
        run = deployed.pyinfra("-y", str(inventory), "deploy.py")
        run.must_fail_with("nothing was changed", "MiB are free below /mnt/small/gateway", "make room")
        assert deployed.ssh("agent1", "ls -A /mnt/small") == ""
    finally:
        inventory.unlink()
        deployed.ssh("agent1", "umount /mnt/small")


def test_a_host_that_cannot_be_reached_among_three(deployed: Lab) -> None:
    inventory = ROOT / ".lab" / "unreachable.py"
    inventory.write_text(
        "from lab.inventory import gateways, openclaw as _openclaw\n"
        "_gone = {**dict(_openclaw)['agent1'], 'ssh_hostname': '127.0.0.1', 'ssh_port': 9}\n"
        "openclaw = [*_openclaw, ('gone1', _gone)]\n"
    )
    deployed.ssh("agent1", "rm /etc/systemd/system/openclaw-gateway.service.d/zz-llm-gateway.conf")
    try:
        run = deployed.pyinfra("-y", str(inventory), "deploy.py")
    finally:
        inventory.unlink()
    run.must_fail_with("gone1", "agent1: OpenClaw's .env names", "Point OpenClaw at the gateway")
    assert deployed.ssh("agent1", "ls /etc/systemd/system/openclaw-gateway.service.d") == "zz-llm-gateway.conf"
    assert deployed.deploy().code == 0


def test_no_lab_is_told_how_to_get_one(deployed: Lab) -> None:
    run = deployed.pyinfra("-y", INVENTORY, "deploy.py", environment={"LAB_NAME": "none-of-this-name"})
    assert run.code == 1
    assert "python -m lab up" in run.output
    assert "Traceback" not in run.output


def test_a_damaged_archive_of_the_image(deployed: Lab, tmp_path: Path) -> None:
    archive = tmp_path / "image.tar"
    archive.write_bytes(b"not a tar file")
    _refused(
        deployed,
        "--data",
        f"gateway_image_archive={archive}",
        words=("gateway_image_archive", "is not a file made by `docker save`"),
    )


def test_declarations_that_are_wrong_are_told_all_at_once(deployed: Lab) -> None:
    _refused(
        deployed,
        *("--data", 'gateway_tokens=[{"name": "agent1"}, {"name": "t", "models": ["no-such-model"]}]'),
        *("--data", 'gateway_options={"RetryTime": "hush-hush"}'),
        *("--data", "gateway_prune=channel:lab-upstream"),
        *("--data", "llm_model=no-such-chat"),
        words=(
            "token agent1 is made for agent1 already",
            "token t: no-such-model is served by no channel",
            "did you mean 'RetryTimes'?",
            "channel:lab-upstream is declared as well",
            "llm_model: no-such-chat is served by no channel",
        ),
    )


def test_a_key_that_was_pasted_into_a_channel_is_not_shown(deployed: Lab) -> None:
    channel = '{"name": "mine", "type": "deepsek", "key": "sk-hush-hush", "models": ["a, b"]}'
    run = deployed.deploy("--limit", "gw1", "--data", f"gateway_channels=[{channel}]")
    run.must_fail_with("nothing was changed", "did you mean 'deepseek'?", "without spaces, commas or quotes")
    told = run.output.partition("nothing was changed")[2]
    assert "channel mine: key must be the NAME of a secret" in " ".join(told.split())
    assert "sk-hush-hush" not in told
