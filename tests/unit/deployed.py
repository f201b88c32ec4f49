"""What hosts answer once they are deployed, and what their One API holds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from llm_gateway.contents import desired
from llm_gateway.flavours import ChannelSpec
from llm_gateway.flavours.oneapi import wire
from llm_gateway.hosts.record import Record, fingerprint
from llm_gateway.hosts.topology import Agent, Node, Run
from llm_gateway.model import layout
from llm_gateway.model.layout import PROJECT
from llm_gateway.parts import firewall, image, installation, log_pruning
from llm_gateway.parts.backups import scheduled_backups
from llm_gateway.parts.canary import scheduled_canary
from llm_gateway.parts.firewall_rules import Reach
from llm_gateway.parts.openclaw import openclaw
from tests.unit.fake_hosts import ADDRESS, FRESH, OPENCLAW, digest, docker_info, tiktoken_answers
from tests.unit.fake_one_api import DEPLOYED_OPTIONS
from tests.unit.topology import DIRECTORY, GENERATED, make_agent, make_node

IMAGE_ID = "sha256:" + "1" * 64
WRITTEN = "1700000000.000000"
PLACES = (" 755", "/data 700", "/tiktoken 755", "/applied-keys.json 600", "/first-start-done 644")
"""What else a deployment leaves in the install directory, each with its mode."""
STARTED = "Sun 2026-11-22 10:00:00.000000 UTC"

BACKUP_UNITS = """\
NextElapseUSecRealtime=Mon 2026-11-23 00:03:01 UTC
LastTriggerUSec=Sun 2026-11-22 00:09:12 UTC
Result=success
Id=openclaw-llm-gateway-backup.timer
LoadState=loaded
ActiveState=active
UnitFileState=enabled
NeedDaemonReload=no

Result=success
Id=openclaw-llm-gateway-backup.service
LoadState=loaded
ActiveState=inactive
UnitFileState=static
NeedDaemonReload=no
"""


CANARY_UNITS = BACKUP_UNITS.replace("-backup.", "-canary.")
PRUNING_UNITS = BACKUP_UNITS.replace("-backup.", "-prune-logs.")


def last_backup(**changed: object) -> str:
    """What last.json tells of a backup that was made just now."""
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    told = {"at": at, "ok": True, "reason": "scheduled", "file": "gateway-20261122T000912Z.tar.gz", "size": 7000}
    return json.dumps({**told, "seconds": 0.4, "locked_seconds": 0.1, "error": "", **changed})


def last_look() -> str:
    """What the canary has found just now."""
    return f"at={datetime.now(UTC).timestamp():.0f}\nresult=ok\nseconds=0.80\nend\n"


@dataclass(frozen=True)
class Deployed:
    """A gateway and an OpenClaw host after a deployment with the defaults."""

    gateway: dict[str, str]
    agent: dict[str, str]
    channels: list[dict[str, Any]]
    tokens: list[dict[str, Any]]


def deployed(gateway_name: str, agent_name: str) -> Deployed:
    """The hosts of these names, deployed."""
    run = Run()
    gateway = make_node(name=gateway_name, run=run)
    agent = make_agent({**FRESH, **OPENCLAW}, name=agent_name, run=run)
    specs = [
        ChannelSpec(each.name, each.type, each.base_url, gateway.provided.require(each.key), each.models)
        for each in gateway.settings.gateway_channels
    ]
    channels = [{"id": number, **wire.channel_fields(spec, with_key=True)} for number, spec in enumerate(specs, 1)]
    names = desired.own_tokens(gateway.gateway)
    tokens = [
        {
            "id": number,
            "status": 1,
            "key": f"relay-key-{number}".ljust(48, "0"),
            **wire.token_fields(desired.own_token(gateway.gateway, name)),
        }
        for number, name in enumerate(names, 1)
    ]
    marks = {spec.name: fingerprint(GENERATED.mark_secret, spec) for spec in specs}
    ids = {f"channel:{row['name']}": int(row["id"]) for row in channels}
    ids |= {f"token:{row['name']}": int(row["id"]) for row in tokens}
    applied = Record(marks, frozenset(names), ids).content().decode()
    options = [{"key": name, "value": value} for name, value in DEPLOYED_OPTIONS.items()]
    admin = {"api_channels": channels, "api_tokens": tokens, "api_options": options}
    recorded = {name: _http(rows) for name, rows in admin.items()}
    return Deployed(
        {**gateway_answers(gateway, applied), **recorded},
        agent_answers(agent, gateway, str(tokens[names.index(desired.token_name(agent_name))]["key"])),
        channels,
        tokens,
    )


def _http(rows: list[dict[str, Any]]) -> str:
    """What the admin API answers on the host, as it comes."""
    body = json.dumps({"success": True, "message": "", "data": rows})
    return f"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{body}"


def gateway_answers(gateway: Node, applied: str) -> dict[str, str]:
    """What a gateway host answers when all that is wanted is there and runs."""
    backups = [*scheduled_backups.script_files(gateway), *scheduled_backups.unit_files(gateway)]
    canary = [*scheduled_canary.script_files(gateway), *scheduled_canary.unit_files(gateway)]
    pruning = [*log_pruning.script_files(gateway), *log_pruning.unit_files(gateway)]
    files = [*pruning, *installation.wanted_files(gateway), *backups, *canary, *firewall.wanted_files(gateway)]
    rules = firewall_table(gateway)
    here = tiktoken_answers(DIRECTORY)
    bindings = {"3000/tcp": [{"HostIp": ADDRESS, "HostPort": "3000"}]}
    container = {
        "State": {"Running": True},
        "Image": IMAGE_ID,
        "Config": {"Image": image.reference(gateway.settings)},
        "HostConfig": {"PortBindings": bindings},
        "NetworkSettings": {"Ports": bindings},
        "Mounts": [{"Source": f"{DIRECTORY}/data", "Destination": "/data"}],
    }
    return {
        **FRESH,
        "tracked_stat": here["tracked_stat"]
        + "".join(f"{file.path} {file.mode} root:root {WRITTEN}\n" for file in files)
        + "".join(f"{DIRECTORY}{path} root:root {WRITTEN}\n" for path in PLACES),
        "tracked_sum": here["tracked_sum"] + "".join(f"{digest(file.content)}  {file.path}\n" for file in files),
        "secrets": GENERATED.render(),
        "applied_keys": applied,
        "data": "logs\none-api.db\n",
        "database_size": "4096\n",
        "docker_info": docker_info("26.1.5", "2.26.1-4"),
        "image": f"{IMAGE_ID} amd64 []\n",
        "container": json.dumps([container]),
        "tools": "sqlite3\nnft\n",
        "firewall_table": rules,
        "firewall_loaded": f"{digest(rules.encode())}  -\n",
        "firewall_unit": "ActiveState=active\nUnitFileState=enabled\nNeedDaemonReload=no\n",
        "timer_units": f"{BACKUP_UNITS}\n{CANARY_UNITS}\n{PRUNING_UNITS}",
        "backup_last": last_backup(),
        "canary_state": last_look(),
        "listeners": f'LISTEN 0 4096 {ADDRESS}:3000 0.0.0.0:* users:(("docker-proxy",pid=9,fd=4))\n',
        "gateway_unit": "LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\n"
        f"NeedDaemonReload=no\nExecMainStartTimestamp={STARTED}\n",
    }


def firewall_table(gateway: Node) -> str:
    """The table as the kernel has it, as far as that is looked at."""
    (comment,) = (
        line for line in Reach.wanted(gateway).rules().decode().splitlines() if line.startswith("    comment")
    )
    return f'table {layout.FIREWALL_TABLE} {{\n\tflags owner,persist\n{comment[:-1]} 1700000000"\n}}\n'


def agent_answers(agent: Agent, gateway: Node, key: str) -> dict[str, str]:
    """What an OpenClaw host answers when it has its token and its process runs with it."""
    stat = f"claw:claw {WRITTEN}\n"
    assert PROJECT == "openclaw-llm-gateway"
    return {
        **FRESH,
        **OPENCLAW,
        "openclaw_env": openclaw.merged_environment(agent, [openclaw.Access(f"{gateway.base_url}/v1", key)]),
        "openclaw_env_stat": f"600 {stat}",
        "openclaw_dropin": openclaw._wanted_drop_in(agent),
        "openclaw_dropin_stat": f"644 {stat}",
        "openclaw_process": "PATH\nTELEGRAM_BOT_TOKEN\n",
    }
