"""Every template, as it lands on a host, against the files in golden/.

After a change that is meant, look at the difference and renew them: `UPDATE_GOLDEN=1 make test-unit`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import jinja2
import jinja2.meta
import pytest

from llm_gateway.contents import budgets
from llm_gateway.flavours import known
from llm_gateway.hosts.topology import Machine
from llm_gateway.model import layout
from llm_gateway.model.checkout import ROOT
from llm_gateway.parts import firewall, firewall_rules, installation, log_pruning, page_server
from llm_gateway.parts.backups import scheduled_backups
from llm_gateway.parts.canary import destinations, scheduled_canary
from llm_gateway.parts.firewall_rules import Door
from llm_gateway.parts.openclaw import openclaw
from tests.unit.fake_hosts import FRESH, KEYS, OPENCLAW
from tests.unit.topology import make_machine, make_node

GOLDEN = Path(__file__).parent / "golden"
TEMPLATES = ROOT / "templates"
DIGEST = "sha256:" + "d" * 64
SECRETS = {
    **KEYS,
    "GATEWAY_DSN": "postgres://one%40api:p%24%40ss@100.64.0.9/gateway?sslmode=require",
    "PHONE": "https://tk_of-tests@ntfy.example:8443/gateways",
    "MAIL": "smtps://ops%40example.org:it's%20%22$HOME@mail.example?to=a@example.org,b@example.org",
}


def every_file(machine: Machine) -> dict[str, bytes]:
    """The content of every file that comes out of a template, by the name of its golden file."""
    node, agent = machine.node, machine.agent
    wanted = [*installation.wanted_files(node), *scheduled_backups.script_files(node)]
    wanted += [*scheduled_backups.unit_files(node), *firewall.wanted_files(node)]
    wanted += [*scheduled_canary.script_files(node), *scheduled_canary.unit_files(node)]
    wanted += destinations.files(node)
    wanted += [*log_pruning.script_files(node), *log_pruning.unit_files(node)]
    wanted += [*budgets.script_files(node), *budgets.unit_files(node)]
    wanted += page_server.wanted_files(node)
    files = {Path(file.path).name.lstrip("."): file.content for file in wanted}
    for name in ("own-data", "start-gateway"):  # are not rendered, and run in test_start_gateway.py
        del files[name]
    for name in ("hold-firewall", layout.FIREWALL_UNIT):  # nor these, in test_firewall_rules.py
        del files[name]
    # Nor these, in tests of their own.
    for name in (
        "make-backup",
        "script-functions",
        "database-settings",
        "database-access",
        "own-backups",
        "read-tables",
    ):
        del files[name]
    files.pop(layout.PAGE_UNIT, None)  # is not rendered
    del files["canary"]  # nor this, in test_canary_script.py
    files.pop("send-alerts", None)  # nor this, in test_send_alerts.py
    del files["prune-logs"]  # nor this, in test_prune_logs.py
    files.pop("budgets", None)  # nor this, in test_budgets_script.py
    return {**files, layout.DROP_IN: openclaw._wanted_drop_in(agent).encode()}


def rendered(**chosen: Any) -> dict[str, bytes]:
    """The files of a host that is a gateway and an OpenClaw host."""
    return every_file(make_machine({**FRESH, **OPENCLAW}, roles="gateway openclaw", secrets=SECRETS, **chosen))


CASES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "postgresql": {"gateway_database": "GATEWAY_DSN"},
    "other": {
        "gateway_directory": "/srv/llm-gateway",
        "gateway_port": 3001,
        "gateway_tailscale_address": "100.100.100.100",
        "gateway_allowed_peers": ["100.64.1.0/24", "100.64.1.7", "100.100.100.7"],
        "gateway_page_port": 3080,
        "gateway_page_peers": ["100.64.1.0/24", "100.64.0.7"],
        "gateway_private_upstreams": ["10.0.0.0/8", "10.1.0.0/16", "192.168.1.5:8000", "192.168.1.4:8000"],
        "gateway_environment": {"RELAY_TIMEOUT": "300", "HTTPS_PROXY": "http://192.168.1.9:7890", "THEME": None},
        "gateway_extra_hosts": {"ollama": "192.168.1.5"},
        "gateway_timezone": "UTC",
        "gateway_user_id": 0,
        "gateway_memory_mb": 512,
        "gateway_cpus": 0.5,
        "gateway_image_digest": DIGEST,
        "gateway_log_days": 365,
        "gateway_backup_schedule": "Mon..Fri 03:30",
        "gateway_backup_keep": 3,
        "gateway_backup_keep_days": 30,
        "gateway_backup_recipient": "age1" + "q" * 58,
        "gateway_backup_command": 'rclone copy "$1" remote:it\'s',
        "gateway_canary_interval": "90s",
        "gateway_canary_failures": 5,
        "gateway_alerts": ["ntfy:PHONE", "email:MAIL"],
        "gateway_alerts_language": "zh",
        "gateway_alert_command": 'echo "$1: it\'s $2" | mail -s "$1" root',
        "gateway_metrics_directory": "/var/lib/node-exporter",
        "openclaw_unset_environment": ["ONE", "TWO"],
        "openclaw_budget": {"CNY": 50, "at_limit": "disable"},
        "gateway_prices": [
            {"model": "gpt-5", "currency": "CNY", "prompt": 9.5, "completion": 70},
            {"model": "gpt-5", "currency": "CNY", "prompt": 9, "completion": 68, "since": "2026-12-01"},
        ],
    },
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_rendered_is_as_before(case: str) -> None:
    files = rendered(**CASES[case])
    for name, content in files.items():
        golden = GOLDEN / case / name
        if os.environ.get("UPDATE_GOLDEN"):
            golden.parent.mkdir(parents=True, exist_ok=True)
            golden.write_bytes(content)
        assert content.decode() == golden.read_text(), f"{golden}: is the change meant? UPDATE_GOLDEN=1 renews it"
    assert {path.name for path in (GOLDEN / case).iterdir()} == set(files)


def test_every_template_is_rendered_by_these_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = set()
    render = installation.render

    def watched(template: str, **values: Any) -> bytes:
        seen.add(template)
        return render(template, **values)

    monkeypatch.setattr(installation, "render", watched)
    monkeypatch.setattr(scheduled_backups, "render", watched)
    monkeypatch.setattr(firewall_rules, "render", watched)
    monkeypatch.setattr(scheduled_canary, "render", watched)
    monkeypatch.setattr(destinations, "render", watched)
    monkeypatch.setattr(log_pruning, "render", watched)
    monkeypatch.setattr(budgets, "render", watched)
    monkeypatch.setattr(page_server, "render", watched)
    rendered(**CASES["other"])
    assert seen == {str(path.relative_to(TEMPLATES)) for path in TEMPLATES.rglob("*") if path.is_file()}


def test_a_template_with_an_unknown_variable_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError, match="'session_secret' is undefined"):
        installation.render("gateway_directory/dot-env.j2", address="100.64.0.1")


def test_every_variable_counts() -> None:
    """Taking any value away makes rendering fail: none is silently empty."""
    values = {"project": "p", "directory": "/d", "image": "i:1", "pull_policy": "never", "port": 1}
    values |= {"timezone": "UTC", "address": "a", "session_secret": "s", "names": ["A"]}
    values |= {
        "failures": 3,
        "metrics": "/m",
        "backups": "yes",
        "body": "'{}'",
        "needs": "",
        "answered": "''",
        "alerts": "ntfy:A",
        "language": "en",
        "destinations": "''",
        "interval": "5min",
        "spread": 30,
    }
    values |= {"peers": ["p"]}
    values |= {"version": "v", "lets_through": "#", "doors": [Door("a", 1, ("p",))], "upstreams": [(1, ["u"])]}
    values |= {"user_id": 1, "memory_mb": 256, "cpus": 1.0, "bridge": "b"}
    values |= {"environment": {"A": '"b"'}, "extra_hosts": {"c": "10.0.0.1"}}
    values |= {"days": 90, "keep": 1, "keep_days": 1, "recipient": "''", "command": "''", "schedule": "daily"}
    values |= {"sql_dsn": "postgres://a", "connections": 20}
    values |= {"assignments": "a=1", "flavour": known.NEW_API, "live": "1"}
    environment = installation._environment()
    for path in TEMPLATES.rglob("*.j2"):
        template = str(path.relative_to(TEMPLATES))
        used = jinja2.meta.find_undeclared_variables(environment.parse(path.read_text()))
        assert used <= set(values)
        for name in used:
            with pytest.raises(jinja2.UndefinedError):
                installation.render(template, **{key: value for key, value in values.items() if key != name})


def test_every_line_ends_and_no_tag_is_left() -> None:
    for case in CASES.values():
        for name, content in rendered(**case).items():
            assert content.endswith(b"\n"), name
            assert b"{%" not in content, name
            assert b"{{" not in content, name
            assert not any(line.endswith(b" ") for line in content.splitlines()), name


def test_secrets_are_in_private_files_alone() -> None:
    made = make_node()
    for file in installation.wanted_files(made):
        holds = [secret for secret in vars(made.gateway.generated).values() if secret.encode() in file.content]
        assert bool(holds) == (file.mode == "600"), file.path


def test_every_file_is_compared_with_the_hosts() -> None:
    made = make_node()
    files = installation.wanted_files(made) + scheduled_backups.script_files(made) + scheduled_backups.unit_files(made)
    files += firewall.wanted_files(made) + scheduled_canary.script_files(made) + scheduled_canary.unit_files(made)
    assert {file.path for file in files} <= set(installation.tracked_files(made.directory))
