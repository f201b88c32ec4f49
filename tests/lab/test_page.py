"""The page of the fleet on a gateway's host: who gets it, who does not, and what is left of it in the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.lab.conftest import INVENTORY, ROOT, Lab, Run, python
from tests.lab.faults import await_that

HOST, PORT = "gwp", 3080
HOME = "/var/lib/openclaw-llm-gateway"
UNIT = "openclaw-llm-gateway-page"
HERE = ("--limit", HOST)
SERVED = ("--data", f"gateway_page_port={PORT}")
_THEIRS = "listen 8080; root /srv/theirs;"
_PERSON_S_SITE = f"""
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq && apt-get install -qq -y --no-install-recommends nginx > /dev/null
mkdir -p /srv/theirs && echo theirs > /srv/theirs/index.html && rm -f /etc/nginx/sites-enabled/default
echo 'server {{ {_THEIRS} }}' > /etc/nginx/conf.d/theirs.conf && systemctl restart nginx
"""
_ASK = """bash -c 'exec 3<>/dev/tcp/127.0.0.1/8080; printf "GET / HTTP/1.0\\r\\n\\r\\n" >&3; tail -n 1 <&3'"""
_THEIRS_NOW = (
    "systemctl is-enabled nginx; systemctl is-active nginx; systemctl show -p MainPID --value nginx;"
    f" find /etc/nginx -type f | sort | xargs sha256sum; {_ASK}"
)


def _command(*words: str, code: int = 0) -> Run:
    run = python("-m", "llm_gateway", *words, *HERE, INVENTORY)
    assert run.code == code, run.output
    return run


def _status(lab: Lab, whose: str, *options: str) -> str:
    """The HTTP status that somebody gets, "000" where there is no answer."""
    asked = ("curl", "-sS", "-m", "4", "-o", "/dev/null", "-w", "%{http_code}", *options)
    return lab.command(whose, "--", *asked, f"http://{lab.address(HOST)}:{PORT}/").stdout


@pytest.fixture(scope="module")
def place(lab: Lab) -> Iterator[Lab]:
    """A host of its own, without a gateway."""
    with lab.more_hosts(f"{HOST}:ready"):
        yield lab


def test_a_page_from_its_first_deployment_to_its_removal(place: Lab) -> None:
    """One story, since each deployment takes its time."""
    refused = _command("page", code=1)
    assert "gateway_page_port: no gateway that was reached serves a page" in " ".join(refused.output.split())
    _command("deploy", "-y", *SERVED)
    # Debian's package would have started a site on port 80, now and at each boot.
    told = place.ssh(HOST, "systemctl is-enabled nginx; systemctl is-active nginx; ss -ltnH 'sport = :80'; true")
    assert told.split() == ["disabled", "inactive"]
    listening = place.ssh(HOST, f"ss -ltnH 'sport = :{PORT}' | awk '{{print $4}}'")
    assert sorted(listening.split()) == sorted([f"127.0.0.1:{PORT}", f"{place.address(HOST)}:{PORT}"])
    assert place.ssh(HOST, f"stat -c '%a %U:%G' {HOME}/page/users") == "600 root:root"
    user, _, token = place.ssh(HOST, f"cat {HOME}/page/users").partition(":{PLAIN}")
    login = ("--user", f"{user}:{token}")
    assert _status(place, "peer", *login) == "404", "there is no page yet"

    shown = _command("page", *SERVED)
    assert f"http://{place.address(HOST)}:{PORT}/" in shown.output
    assert token not in shown.output
    assert _status(place, "peer", *login) == "200"
    assert _status(place, "peer") == "401"
    assert _status(place, "peer", "--user", f"{user}:wrong") == "401"
    assert _status(place, "peer", *login, "--header", "Host: evil.example") == "421"
    assert _status(place, "neighbour", *login) == "000"
    url = f"http://{place.address(HOST)}:{PORT}/"
    page = place.command("peer", "--", "curl", "-sS", *login, url).stdout
    assert page.startswith("<!DOCTYPE html>")
    assert f"<h2>{HOST}</h2>" in page
    for secret in (token, *place.ssh(HOST, "sed -n 's/^[A-Z_]*=//p' /opt/openclaw-llm-gateway/secrets.env").split()):
        assert secret.strip("'\"") not in page, "a secret is shown (its value is not shown here)"

    # A second run changes nothing, and verify and status know it.
    again = _command("deploy", "-y", *SERVED)
    assert "nothing" in again.output.partition("what changed")[2]
    _command("verify", *SERVED)
    place.ssh(HOST, f"systemctl stop {UNIT}")
    stopped = _command("verify", *SERVED, code=1)
    assert f"{UNIT}.service does not run" in " ".join(stopped.output.split())
    assert "the page's server" in " ".join(_command("status", *SERVED).stdout.split())
    _command("deploy", "-y", *SERVED)

    # Peers that are named need no token, and others get nothing.
    peer = place.command("peer", "--", "hostname", "-I").stdout.split()
    named = next(address for address in peer if address.startswith("100."))
    _command("deploy", "-y", *SERVED, "--data", f'gateway_page_peers=["{named}"]')
    assert _status(place, "peer") == "200"
    _command("verify", *SERVED, "--data", f'gateway_page_peers=["{named}"]')
    _command("deploy", "-y", *SERVED, "--data", 'gateway_page_peers=["100.64.255.254"]')
    assert _status(place, "peer", *login) == "000"

    place.ssh(HOST, _PERSON_S_SITE)
    before = place.ssh(HOST, _THEIRS_NOW)
    assert before.splitlines()[-1] == "theirs"
    _command("deploy", "-y", *SERVED)
    assert place.ssh(HOST, _THEIRS_NOW) == before
    _command("page", *SERVED)
    _command("deploy", "-y")
    assert _status(place, "peer", *login) == "000"
    assert place.ssh(HOST, f"ls -d {HOME}/page /etc/systemd/system/{UNIT}* 2>/dev/null; true") == ""
    _command("deploy", "-y", *SERVED)
    assert place.ssh(HOST, f"cat {HOME}/page/users") != f"{user}:{{PLAIN}}{token}", "a new token"
    _command("page", *SERVED)
    _command("remove", "-y", "--confirm", HOST, *SERVED)
    left = place.ssh(HOST, f"ls -d {HOME} /etc/systemd/system/{UNIT}* /run/{UNIT} 2>/dev/null; true")
    assert left == ""
    assert place.ssh(HOST, _THEIRS_NOW) == before


def test_it_is_put_there_again_and_again(place: Lab) -> None:
    _command("deploy", "-y", *SERVED)
    assert place.command("host-restart", HOST).code == 0
    await_that(lambda: _status(place, "peer") == "401", "it is served after a boot, once Tailscale has its address")
    made = f"stat -c %Y {HOME}/page/html/index.html 2>/dev/null || echo 0"
    words = [sys.executable, "-m", "llm_gateway", "page", "--every", "1min", *SERVED, *HERE, INVENTORY]
    with subprocess.Popen(words, cwd=ROOT, env=os.environ, start_new_session=True) as process:
        try:
            await_that(lambda: place.ssh(HOST, made) != "0", "the page is there")
            first = place.ssh(HOST, made)
            await_that(lambda: place.ssh(HOST, made) != first, "it is put there again", 100)
        finally:
            os.killpg(process.pid, signal.SIGINT)
    assert process.returncode == 130
    assert 'data-minutes="2"' in place.ssh(HOST, f"cat {HOME}/page/html/index.html")
