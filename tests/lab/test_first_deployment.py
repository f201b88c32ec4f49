"""From nothing to a verified gateway, on a bare host, an OpenClaw host and one with an older gateway."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.lab.conftest import INVENTORY, First, Lab, look_with_canary, python
from tests.lab.rows import OLD_DIRECTORY, directory, rows, secrets

pytestmark = pytest.mark.flavours

GATEWAYS = ("gw1", "old1")
AGENTS = ("agent1", "old1")


def test_every_host_is_verified_by_a_real_completion_and_a_real_embedding(deployed: Lab, first: First) -> None:
    for host in ("gw1", "agent1", "old1"):
        verified = [line for line in first.run.output.splitlines() if f"[{host}]" in line and "verified on" in line]
        assert verified, host
        assert "completed in" in verified[0]
        assert "embedded (576 dimensions) in" in verified[0]


def test_the_summary_says_where_everything_is(deployed: Lab, first: First) -> None:
    assert f"admin page http://{deployed.address('gw1')}:3000" in first.run.output
    assert "/opt/openclaw-llm-gateway/secrets.env on the host" in first.run.output


def test_the_server_checks_pass(deployed: Lab) -> None:
    for host in GATEWAYS:
        look_with_canary(deployed, host)
    checks = python("-m", "pytest", "-p", "scripts.no_skips", "tests/server", f"--inventory={INVENTORY}")
    assert checks.code == 0, checks.stdout[-6000:]


def test_a_second_run_changes_nothing(deployed: Lab) -> None:
    again = deployed.deploy("--json")
    assert again.code == 0, again.output[-4000:]
    totals: dict[str, Any] = json.loads(again.stdout)["results"]["totals"]
    assert totals["success"] == 0, again.stdout
    assert totals["error"] == 0
    assert totals["no_change"] == totals["hosts"] > 3
    assert again.stderr.count("verified on") == 4  # old1 is a gateway and has OpenClaw


def test_a_dry_run_plans_nothing(deployed: Lab) -> None:
    dry = deployed.pyinfra("--dry", "--json", INVENTORY, "deploy.py")
    plan = json.loads(dry.stdout)["plan"]
    assert [entry["name"] for entry in plan if entry["hosts_with_change"]] == []


def test_one_socket_listens_and_it_is_on_the_tailscale_address(deployed: Lab) -> None:
    listening = deployed.ssh("gw1", "ss -ltnH 'sport = :3000'").splitlines()
    assert [line.split()[3] for line in listening] == [f"{deployed.address('gw1')}:3000"]


def test_a_peer_on_the_tailnet_reaches_the_gateway(deployed: Lab) -> None:
    answer = deployed.command("peer", "--", "curl", "-s", f"http://{deployed.address('gw1')}:3000/api/status")
    assert json.loads(answer.stdout)["success"] is True


def test_the_default_password_was_never_accepted(deployed: Lab, first: First) -> None:
    tries = first.logins.splitlines()
    refused = [line for line in tries if '"success":false' in line.replace(" ", "")]
    assert "unreachable" in tries, "the peer began too late to see the first start"
    assert len(refused) > 5, f"the peer never reached the published gateway: {tries[-3:]}"
    assert not [line for line in tries if '"success":true' in line.replace(" ", "")]


@pytest.mark.parametrize("host", GATEWAYS)
def test_no_secret_was_printed(deployed: Lab, first: First, host: str) -> None:
    upstream = deployed.state["upstream"]["api_key"]
    for secret in {*secrets(deployed, host), upstream}:
        assert secret not in first.run.output, "a secret stands in the run's output (its value is not shown here)"


def test_no_secret_was_among_the_arguments_of_a_process(deployed: Lab, first: First) -> None:
    assert "docker load" in first.arguments, "the watcher saw nothing of the deployment"
    for secret in {*secrets(deployed, "gw1"), deployed.state["upstream"]["api_key"]}:
        assert secret not in first.arguments


@pytest.mark.parametrize("host", ("gw1", "agent1", "old1"))
def test_no_file_that_others_can_read_holds_a_secret(deployed: Lab, host: str) -> None:
    of_gateways = set().union(*(secrets(deployed, gateway) for gateway in GATEWAYS))
    patterns = "\n".join({*of_gateways, deployed.state["upstream"]["api_key"]}) + "\n"
    # Files that others may read, in directories that others may enter: found as somebody else. -xdev would pass over
    # what is mounted, so those are named; a planted file shows that each of them was really searched.
    roots = "/ /tmp /run /dev/shm /var/lib"
    found = deployed.ssh(
        host,
        "umask 077; cat > /root/patterns; umask 022;"
        " for root in /tmp /run /dev/shm /opt; do head -n 1 /root/patterns > $root/planted; done;"
        " setpriv --reuid=65534 --regid=65534 --clear-groups"
        f" find {roots} -xdev -type f -readable -size -64M -print0 2>/dev/null"
        " | xargs -0 grep -lF -f /root/patterns 2>/dev/null | sort -u;"
        " rm /root/patterns /tmp/planted /run/planted /dev/shm/planted /opt/planted",
        patterns,
    )
    assert found.split() == ["/dev/shm/planted", "/opt/planted", "/run/planted", "/tmp/planted"]


def test_an_old_gateway_keeps_all_its_rows(deployed: Lab, first: First) -> None:
    now = rows(deployed, "old1")
    for table in ("channels", "abilities", "tokens", "logs"):
        kept = [row for row in first.old_rows[table] if row in now[table]]
        assert len(first.old_rows[table]) > 0, table
        assert kept == first.old_rows[table], table
    changed = {"password", "access_token"}
    for before in first.old_rows["users"]:
        after = next(row for row in now["users"] if row["id"] == before["id"])
        different = {column for column in before if before[column] != after[column]}
        assert different <= (changed | {"quota", "used_quota", "request_count"})
    options = {row["key"]: row["value"] for row in now["options"]}
    assert {row["key"]: row["value"] for row in first.old_rows["options"]}.items() <= options.items()


def test_an_old_token_still_gets_an_answer_path(deployed: Lab, first: First) -> None:
    key = first.old_rows["tokens"][0]["key"]
    answer = deployed.command(
        "peer",
        "--",
        "sh",
        "-c",
        'read -r key; curl -s -K - "http://$0:3000/v1/models" <<EOF\nheader = "Authorization: Bearer sk-$key"\nEOF',
        deployed.address("old1"),
        stdin=f"{key}\n",
    )
    assert json.loads(answer.stdout)["object"] == "list", answer.output


def test_the_old_database_was_put_aside_before_it_was_touched(deployed: Lab) -> None:
    listed = deployed.ssh("old1", f"stat -c '%a %n' {OLD_DIRECTORY}/backups {OLD_DIRECTORY}/backups/taken-over-2*/*")
    assert listed.splitlines()[0].startswith("700 ")
    assert "one-api.db" in listed


@pytest.mark.parametrize("host", AGENTS)
def test_foreign_lines_of_an_environment_file_are_kept(deployed: Lab, first: First, host: str) -> None:
    ours = ("LLM_BASE_URL=", "LLM_API_KEY=", "LLM_MODEL_ID=", "EMBEDDING_MODEL_ID=")
    before = [line for line in first.old_environment[host].splitlines() if not line.startswith(ours)]
    after = deployed.ssh(host, "cat /home/openclaw/.openclaw/.env").splitlines()
    assert before == [line for line in after if not line.startswith(ours)][: len(before)]
    kept = deployed.ssh(host, "cat /home/openclaw/.openclaw/.env.before-llm-gateway") + "\n"
    assert kept == first.old_environment[host]
    assert deployed.ssh(host, "stat -c %a /home/openclaw/.openclaw/.env.before-llm-gateway") == "600"


def test_an_openclaw_host_has_a_token_of_its_own(deployed: Lab) -> None:
    names = {row["name"] for row in rows(deployed, "gw1")["tokens"]}
    assert names >= {"llm-gateway-verification", "agent1"}
    assert "old1" not in names, "that host uses its own gateway"


@pytest.mark.parametrize("host", GATEWAYS)
def test_the_root_password_on_the_host_is_the_gateways(deployed: Lab, host: str) -> None:
    line = deployed.ssh(host, f"grep ^ONEAPI_ROOT_PASSWORD= {directory(host)}/secrets.env")
    body = json.dumps({"username": "root", "password": line.split("=", 1)[1]})
    answer = deployed.command(
        "peer",
        "--",
        "curl",
        "-s",
        "-H",
        "Content-Type: application/json",
        "-d",
        "@-",
        f"http://{deployed.address(host)}:3000/api/user/login",
        stdin=body,
    )
    assert json.loads(answer.stdout)["success"] is True
