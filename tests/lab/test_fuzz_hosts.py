"""The nastiest values that the settings take, on real hosts: they serve, and nothing that stands in them is run.

And what is refused leaves a host as it was, whatever it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.conftest import ROOT, Lab
from tests.lab.snapshot import snapshot
from tests.unit.fuzz_values import EXAMPLES
from tests.unit.readers import python

HOST, AGENT = "gwz", "agentz"
GATEWAY_NAME, AGENT_NAME = "主机 z'\"$(touch /run/owned)`;#%n", "客户 z\\'\"$(touch /run/owned)"
CHAT, EMBEDDING = "模型/x:free#{}&*!|>%n~()[]=;", "#;%@=*嵌"
DIRECTORY = "/srv/-gate.way_1+2/--x/.g"
WORKSPACE = "/home/openclaw/工作 区/%n $(touch /run/owned) '\"`\\"
METRICS = "/var/-a+b_.c"
COMMAND = """printf '%s|' "$1" '$(touch /run/owned) %n #中' "it's" > /var/lib/handed\\ over"""
HANDED = "'/var/lib/handed over'"
TOKEN = "令牌 '\"$(touch /run/owned)`\\"


def settings(lab: Lab, place: Path) -> dict[str, Any]:
    """What is set for the gateway, and for the agent as far as it is asked there."""
    archive = place / "a b $x'图.tar"
    archive.symlink_to(lab.state["gateway_image"]["archive"])
    secrets = place / "密 钥 $HOME'.env"
    secrets.write_bytes((lab.directory / "secrets.env").read_bytes())
    secrets.chmod(0o600)
    upstream = lab.state["upstream"]
    return {
        "secrets_file": str(secrets),
        "gateway_image_archive": str(archive),
        "gateway_directory": DIRECTORY,
        "gateway_port": 65535,
        "gateway_timezone": "null",
        "gateway_user_id": 65533,
        "gateway_memory_mb": 256,
        "gateway_cpus": 0.37,
        "gateway_allowed_peers": ["100.64.0.0/10", "100.64.0.1"],
        "gateway_private_upstreams": ["10.0.0.0/8", "10.0.0.1", "192.168.0.0/16:1", "172.16.0.0/12"],
        "gateway_backup_schedule": "Mon..Fri,Sun *-*~3/1 04:05:06.5 UTC",
        "gateway_backup_command": COMMAND,
        "gateway_alert_command": COMMAND,
        "gateway_canary_interval": "1d",
        "gateway_metrics_directory": METRICS,
        "docker_registry_mirrors": ["http://[fd00::1]:5000/a%20b", "https://1-a.example:1"],
        "docker_http_proxy": "http://127.0.0.1:9/a(b)!",
        "docker_no_proxy": "localhost,.ts.net,*.中文,100.64.0.0/10;{}",
        "gateway_channels": [
            {
                "name": "渠道 '\"$(touch /run/owned)`\\ %n",
                "base_url": upstream["base_url"],
                "key": "LAB_UPSTREAM_API_KEY",
                "models": [CHAT, EMBEDDING],
                "model_mapping": {CHAT: upstream["chat_model"], EMBEDDING: upstream["embedding_model"]},
                "system_prompt": "a\n'\"$(touch /run/owned)\n中",
            }
        ],
        "gateway_tokens": [{"name": TOKEN, "models": [CHAT]}],
        "gateway_options": {"SystemName": "名 '\"$(touch /run/owned)\n<b>"},
        "llm_model": CHAT,
        "embedding_model": EMBEDDING,
        "verification_model_kinds": {CHAT: "chat", EMBEDDING: "embedding"},
        "openclaw_gateway": GATEWAY_NAME,
        "openclaw_workspace": WORKSPACE,
        "openclaw_unset_environment": ["OPENAI_BASE_URL", "_a1"],
    }


def write_inventory(path: Path, hosts: dict[str, list[tuple[str, str, dict[str, Any]]]]) -> None:
    """An inventory of the lab's hosts with other names and settings: by group, (name, the lab's name, settings)."""
    lines = ["from lab.inventory import gateways as _gateways, openclaw as _openclaw"]
    for group, wanted in hosts.items():
        entries = [f"({name!r}, {{**dict(_{group})[{host!r}], **{chosen!r}}})" for name, host, chosen in wanted]
        lines.append(f"{group} = [{', '.join(entries)}]")
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def nasty(deployed: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An inventory of two hosts with all of that; nothing is deployed yet."""
    inventory = ROOT / ".lab" / "nasty 清单 $x.py"
    with deployed.more_hosts(f"{HOST}:ready", f"{AGENT}:agent"):
        chosen = settings(deployed, tmp_path_factory.mktemp("a b '$"))
        chosen_by_agent = {name: value for name, value in chosen.items() if name not in ("gateway_directory",)}
        prepare(deployed, HOST, AGENT)
        write_inventory(
            inventory,
            {"gateways": [(GATEWAY_NAME, HOST, chosen)], "openclaw": [(AGENT_NAME, AGENT, chosen_by_agent)]},
        )
        yield str(inventory)
    inventory.unlink()


def prepare(lab: Lab, host: str, agent: str) -> None:
    """What the settings name and the hosts must have."""
    lab.ssh(host, f"mkdir -p {METRICS}")
    lab.ssh(agent, 'read -r place && runuser -u openclaw -- mkdir -p "$place"', WORKSPACE + "\n")


def test_whatever_is_refused_leaves_the_host_as_it_was(deployed: Lab, nasty: str) -> None:
    """As many entries of one host as there are settings, each with what its setting does not take.

    Only the first is connected to, as an SSH server takes few at a time: settings are checked of all.
    """
    inventory = ROOT / ".lab" / "refused.py"
    wrong = [(name, text) for name in sorted(EXAMPLES) for text in ("a\nb", "\x1b[2J", "$(touch /run/owned)\u2028")]
    write_inventory(
        inventory,
        {
            "gateways": [(f"wrong {number}", HOST, {name: text}) for number, (name, text) in enumerate(wrong)],
            "openclaw": [],
        },
    )
    before = snapshot(deployed, HOST)
    try:
        for arguments in (("--dry",), ("-y",)):
            run = deployed.pyinfra(*arguments, "--limit", "wrong 0", str(inventory), "deploy.py")
            run.must_fail_with(f"{len(wrong)} problems with the settings; nothing was changed.")
            for number, (name, _) in enumerate(wrong):
                assert f"  - wrong {number}: {name}" in run.output
    finally:
        inventory.unlink()
    assert snapshot(deployed, HOST) == before


def test_the_nastiest_values_are_deployed_and_serve(deployed: Lab, nasty: str) -> None:
    run = deployed.pyinfra("-y", nasty, "deploy.py")
    assert run.code == 0, run.output[-6000:]
    address = deployed.address(HOST)
    environment = python.read(deployed.ssh(AGENT, "cat /home/openclaw/.openclaw/.env") + "\n")
    assert environment["LLM_MODEL_ID"] == CHAT
    assert environment["EMBEDDING_MODEL_ID"] == EMBEDDING
    assert environment["LLM_BASE_URL"] == f"http://{address}:65535/v1"
    answer = completion(deployed, environment)
    assert answer["choices"][0]["message"]["content"]


def completion(lab: Lab, environment: dict[str, str]) -> dict[str, Any]:
    """What the gateway answers a peer of the tailnet."""
    asked = [{"role": "user", "content": "Say hello."}]
    body = json.dumps({"model": environment["LLM_MODEL_ID"], "messages": asked, "max_tokens": 4})
    run = lab.command(
        *("peer", "--", "curl", "-sS", "-m", "30", "-d", "@-", f"{environment['LLM_BASE_URL']}/chat/completions"),
        *("-H", "Content-Type: application/json", "-H", f"Authorization: Bearer {environment['LLM_API_KEY']}"),
        stdin=body,
    )
    assert run.code == 0, run.output
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def test_a_second_deployment_changes_nothing(deployed: Lab, nasty: str) -> None:
    run = deployed.pyinfra("-y", nasty, "deploy.py")
    assert run.code == 0, run.output[-3000:]
    assert run.output.count("; nothing was changed") == 2, run.output[-3000:]
    verified = deployed.pyinfra("-y", nasty, "verify.py")
    assert verified.code == 0, verified.output[-3000:]


def test_the_commands_get_what_was_written(deployed: Lab, nasty: str) -> None:
    deployed.ssh(HOST, "systemctl start openclaw-llm-gateway-backup.service")
    handed = deployed.ssh(HOST, f"cat {HANDED}").split("|")
    assert handed[0].startswith(f"{DIRECTORY}/backups/gateway-")
    assert handed[1:] == ["$(touch /run/owned) %n #中", "it's", ""]


def test_the_firewall_and_the_container_are_as_they_were_set(deployed: Lab, nasty: str) -> None:
    seen = json.loads(deployed.ssh(HOST, "docker container inspect openclaw-llm-gateway"))[0]
    assert "TZ=null" in seen["Config"]["Env"]
    assert seen["Config"]["User"] == "65533:65533"
    assert (seen["HostConfig"]["Memory"], seen["HostConfig"]["NanoCpus"]) == (256 << 20, 370_000_000)
    rules = deployed.ssh(HOST, "nft list table inet openclaw_llm_gateway")
    assert "ip saddr != 100.64.0.0/10 counter" in rules
    for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"):
        assert network in rules
    daemon = json.loads(deployed.ssh(HOST, "cat /etc/docker/daemon.json"))
    assert daemon["proxies"]["no-proxy"] == "localhost,.ts.net,*.中文,100.64.0.0/10;{}"


def test_nothing_that_stands_in_a_value_was_run(deployed: Lab, nasty: str) -> None:
    for host in (HOST, AGENT):
        assert deployed.ssh(host, "ls -d /run/owned /tmp/owned 2>/dev/null || true") == ""
    assert not Path("/run/owned").exists()


def test_the_tools_for_the_fleet_go_on_with_such_names(deployed: Lab, nasty: str) -> None:
    for script in ("status.py", "history.py", "backup.py", "plan.py"):
        run = deployed.pyinfra("-y", nasty, f"deploys/{script}")
        assert run.code == 0, run.output[-3000:]
        assert "Traceback" not in run.output
    gone = deployed.pyinfra("-y", "--data", f"yes={GATEWAY_NAME},{AGENT_NAME}", nasty, "deploys/remove.py")
    assert gone.code == 0, gone.output[-3000:]
    assert "Traceback" not in gone.output
