"""`deploys/status.py` shows a fleet as it is: hosts that are down, a stopped gateway, backups that fail, drift."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lab.docker import connect
from lab.labels import object_name
from tests.lab.conftest import INVENTORY, Lab, look_with_canary
from tests.lab.faults import await_boot, switch_on
from tests.lab.rows import DIRECTORY, secrets
from tests.lab.seen_status import hosts, status

pytestmark = pytest.mark.flavours

BACKUP_UNIT = "openclaw-llm-gateway-backup.service"
ONE = ("--limit", "gw1", "--limit", "agent1")


@pytest.fixture(scope="module")
def clean(deployed: Lab) -> Lab:
    """Two hosts that are as declared: other tests may have left them otherwise."""
    run = deployed.deploy(*ONE)
    assert run.code == 0, run.output[-4000:]
    look_with_canary(deployed, "gw1")
    return deployed


def test_a_healthy_fleet(clean: Lab) -> None:
    run = status(INVENTORY, *ONE, "--check")
    assert run.code == 0, run.output
    assert "All is well." in run.stdout
    gateway, agent = (line.split() for line in run.stdout.splitlines() if line.startswith(("gw1", "agent1")))
    assert gateway[1] == "serves"
    assert f"{clean.address('gw1')}:3000" in gateway
    assert agent[:3] == ["agent1", "active", "gw1"]
    found = hosts(status(INVENTORY, *ONE, "--json"))
    assert found["gw1"]["gateway"]["is_running"] is True
    assert found["gw1"]["gateway"]["version"]
    assert found["gw1"]["gateway"]["models"]
    assert found["gw1"]["gateway"]["disk"]["free"] > 0
    assert found["gw1"]["drift"] == {"differs": "no", "what": []}
    assert found["gw1"]["last_run"]["script"] == "deploy.py"
    assert found["agent1"]["openclaw"]["gateway"] == "gw1"


def test_nothing_is_changed_and_no_secret_is_shown(clean: Lab, tmp_path: Path) -> None:
    look = f"find {DIRECTORY} /var/lib/openclaw-llm-gateway /etc/systemd -printf '%p %i %T@ %C@\\n' | grep -v /data"
    before = clean.ssh("gw1", look)
    page = tmp_path / "fleet.html"
    run = status(INVENTORY, *ONE, "--json", "--html", str(page))
    assert run.code == 0, run.output
    assert clean.ssh("gw1", look) == before
    for secret in secrets(clean, "gw1"):
        assert secret not in run.output + page.read_text(), "a secret is shown (its value is not shown here)"


class _Assets(HTMLParser):
    """What a page has its reader's browser fetch, and what it is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.fetched += [f"{tag} {name}={value}" for name, value in attrs if name in ("src", "href", "srcset", "data")]


def test_the_page_needs_nothing_beside_itself(clean: Lab, tmp_path: Path) -> None:
    page = tmp_path / "fleet.html"
    assert status(INVENTORY, *ONE, "--html", str(page)).code == 0
    text = page.read_text()
    parser = _Assets()
    parser.feed(text)
    # A link is followed by whoever wants to; the script is within, and named by the page's own policy.
    assert parser.fetched == [f"a href=http://{clean.address('gw1')}:3000/"]
    assert {"link", "img", "iframe"}.isdisjoint(parser.tags)
    assert parser.tags.count("script") == 1
    assert "default-src 'none'" in text
    assert "url(" not in text
    assert "@import" not in text
    for part in (
        'http-equiv="refresh"',
        "prefers-color-scheme: dark",
        'name="viewport"',
        "gw1",
        "agent1",
        "all is well",
    ):
        assert part in text


def test_the_page_shows_what_the_host_has_kept(clean: Lab, tmp_path: Path) -> None:
    clean.ssh("gw1", f"{DIRECTORY}/make-backup")
    page = tmp_path / "fleet.html"
    assert status(INVENTORY, *ONE, "--html", str(page), "--language", "zh").code == 0
    text = page.read_text()
    assert re.search(r"(\d+) 次中 \1 次正常；平均 \d+\.\d 秒，最慢 \d+\.\d 秒", text), "the canary's looks"
    assert re.search(r"保留 \d+ 份，最近一份 \d+ KiB", text), "the backups"
    for named in ("llm-gateway-canary", "按模型，14 天"):
        assert named in text
    clean.ssh("gw1", f"mv {DIRECTORY}/data/one-api.db {DIRECTORY}/data/away.db; systemctl start {BACKUP_UNIT}; true")
    try:
        assert status(INVENTORY, *ONE, "--html", str(page), "--language", "en").code == 0
        text = page.read_text()
        assert "; failed on 1 days" in text
        assert "one-api.db is not there: deploy a gateway, or restore a backup" in text
    finally:
        clean.ssh("gw1", f"mv {DIRECTORY}/data/away.db {DIRECTORY}/data/one-api.db; systemctl start {BACKUP_UNIT}")


def test_what_needs_a_person_is_shown(clean: Lab) -> None:
    clean.ssh("gw1", f"systemctl stop openclaw-llm-gateway && sed -i '1i # by hand' {DIRECTORY}/first-start.yml")
    clean.ssh("gw1", "systemctl stop openclaw-llm-gateway-backup.timer")
    clean.ssh("agent1", "sed -i s/^LLM_MODEL_ID=.*/LLM_MODEL_ID=other/ /home/openclaw/.openclaw/.env")
    try:
        run = status(INVENTORY, *ONE, "--json", "--check")
        assert run.code == 3, run.output
        found = hosts(run)
        told = " ".join(found["gw1"]["attention"])
        assert "the gateway does not run" in told
        assert "openclaw-llm-gateway-backup.timer does not run" in told
        assert found["gw1"]["drift"]["differs"] == "yes"
        assert "the compose file of the first start" in " ".join(found["gw1"]["drift"]["what"])
        assert found["gw1"]["gateway"]["uptime"] is None
        # A host that is down stops nobody, and is no failure of the run.
        connect().run("stop", "-t", "20", object_name(clean.state["name"], "agent1"))
        run = status(INVENTORY, *ONE)
        assert run.code == 0, run.output
        assert "agent1" in run.stdout
        assert "DOWN" in run.stdout
        assert "agent1: it cannot be reached" in run.stdout
        assert "gw1: the gateway does not run" in run.stdout
        alone = status(INVENTORY, "--limit", "agent1", "--check", "--json")
        assert (alone.code, hosts(alone)["agent1"]["state"]) == (3, "down"), alone.output
    finally:
        switch_on("agent1")
        await_boot(clean, "agent1")
    assert clean.deploy(*ONE).code == 0
    well = status(INVENTORY, *ONE, "--check")
    assert well.code == 0, well.output


def test_drift_of_a_host_with_openclaw_and_a_failed_backup_are_shown(clean: Lab) -> None:
    clean.ssh("agent1", "sed -i s/^LLM_MODEL_ID=.*/LLM_MODEL_ID=other/ /home/openclaw/.openclaw/.env")
    clean.ssh("gw1", f"mv {DIRECTORY}/data/one-api.db /root/ && ! {DIRECTORY}/make-backup 'by a test'")
    clean.ssh("gw1", f"mv /root/one-api.db {DIRECTORY}/data/")
    found = hosts(status(INVENTORY, *ONE, "--json"))
    assert found["agent1"]["drift"]["differs"] == "yes"
    assert "/home/openclaw/.openclaw/.env" in found["agent1"]["drift"]["what"][0]
    assert "backup: the last one" in " ".join(found["gw1"]["attention"])
    clean.ssh("gw1", f"{DIRECTORY}/make-backup 'by a test'")
    assert clean.deploy(*ONE).code == 0
    assert status(INVENTORY, *ONE, "--check").code == 0


def test_wrong_settings_are_told_and_shown_as_no_fleet(clean: Lab) -> None:
    run = status(INVENTORY, *ONE, "--data", "llm_modell=x")
    run.must_fail_with("did you mean 'llm_model'?")
