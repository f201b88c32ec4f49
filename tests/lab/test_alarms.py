"""Alarms of a gateway's host: they arrive where people read them, once and once more, whoever else is dead."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from llm_gateway.model.layout import ALERTS_CONF, SEND_ALERTS
from llm_gateway.parts.canary.scheduled_canary import CANARY
from tests.lab.conftest import INVENTORY, Lab
from tests.lab.rows import DIRECTORY
from tests.lab.snapshot import snapshot

HOST = "gwl"
HOME = "/var/lib/openclaw-llm-gateway"
LIMIT = ("--limit", HOST)
PORT = 8099
TOKEN, TOPIC, ROBOT, KEY, DEAD = (
    *("tk_0123456789abcdef-of-tests", "topic-0123456789-of-tests"),
    *("00000000-1111-4222-8333-of-tests", "signing-0123456789-of-tests", "dead-0123456789-of-tests"),
)
SECRETS = {
    "LAB_NTFY": f"http://{TOKEN}@127.0.0.1:{PORT}/{TOPIC}",
    "LAB_FEISHU": f"http://127.0.0.1:{PORT}/open-apis/bot/v2/hook/{ROBOT}#{KEY}",
    "LAB_DEAD": f"http://127.0.0.1:1/{DEAD}",
}
DATA = (
    *("--data", "gateway_canary_failures=2"),
    *("--data", 'gateway_alerts=["ntfy:LAB_NTFY", "feishu:LAB_FEISHU", "webhook:LAB_DEAD"]'),
    *("--data", "gateway_alerts_language=zh"),
)
# perl is the one interpreter that a bare Debian has. It keeps the kind of each request with its body.
RECEIVER = f"""
use IO::Socket::INET;
my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1:{PORT}', Listen => 5, ReuseAddr => 1) or die;
while (my $client = $listener->accept) {{
    my ($length, $line, $kind) = (0, scalar <$client>);
    $kind = $line =~ m{{^POST / HTTP}} ? 'ntfy' : 'other';
    $kind = 'feishu' if $line =~ m{{^POST /open-apis/bot/v2/hook/{ROBOT} HTTP}};
    while (defined($line = <$client>) && $line !~ /^\\r?\\n$/) {{ $length = $1 if $line =~ /^Content-Length: (\\d+)/i }}
    read $client, my $body, $length;
    open my $file, '>>', '/run/received-of-tests' or die;
    print $file "$kind\\t$body\\n";
    close $file;
    my $answer = '{{"code": 0, "id": "x"}}';
    print $client "HTTP/1.0 200 OK\\r\\nContent-Length: ", length($answer), "\\r\\n\\r\\n$answer";
    close $client;
}}
"""


@pytest.fixture(scope="module")
def gateway(deployed: Lab) -> Iterator[Lab]:
    """A gateway of its own with alarms, and receivers on the host itself; its canary looks when a test wants it to."""
    with deployed.more_hosts(f"{HOST}:ready"):
        deployed.ssh(HOST, "cat > /run/receiver-of-tests.pl", stdin=RECEIVER)
        deployed.ssh(HOST, "systemd-run --quiet --unit receiver-of-tests perl /run/receiver-of-tests.pl")
        listens = f"(exec 3<> /dev/tcp/127.0.0.1/{PORT}) 2> /dev/null"
        deployed.ssh(HOST, f"timeout 20 bash -c 'until {listens}; do sleep 0.1; done'")
        run = deployed.deploy(*LIMIT, *DATA, environment=SECRETS)
        assert run.code == 0, run.output[-4000:]
        assert _leaked(run.output) == []
        deployed.ssh(HOST, f"systemctl stop {CANARY.timer}; rm -f /run/received-of-tests")
        yield deployed


def _leaked(text: str) -> list[str]:
    return [secret for secret in (TOKEN, TOPIC, ROBOT, KEY, DEAD) if secret in text]


def _look(lab: Lab) -> None:
    """Its unit fails, since one destination is dead, and is to be started all the same."""
    lab.ssh(HOST, f"systemctl reset-failed {CANARY.service}; systemctl start {CANARY.service} 2> /dev/null || true")


def _received(lab: Lab) -> dict[str, list[str]]:
    """The texts that came, by kind."""
    found: dict[str, list[str]] = {"ntfy": [], "feishu": []}
    for line in lab.ssh(HOST, "cat /run/received-of-tests 2> /dev/null || true").splitlines():
        kind, body = line.split("\t", 1)
        sent = json.loads(body)
        found[kind].append(sent["message"] if kind == "ntfy" else sent["content"]["text"].partition("\n")[2])
    return found


def test_a_test_message_arrives_and_it_is_said_which_did_not(gateway: Lab) -> None:
    run = gateway.pyinfra(
        *LIMIT, *DATA, "--data", "alerts_json=True", INVENTORY, "deploys/alerts.py", environment=SECRETS
    )
    assert run.code == 1
    (host,) = json.loads(run.stdout)["gateways"]
    outcomes = {each["name"]: (each["delivered"], each["problem"]) for each in host["destinations"]}
    assert outcomes["ntfy:LAB_NTFY"] == outcomes["feishu:LAB_FEISHU"] == (True, "")
    assert outcomes["webhook:LAB_DEAD"][0] is False
    assert "Failed to connect to 127.0.0.1 port 1" in outcomes["webhook:LAB_DEAD"][1]
    assert "not every test message was delivered: gwl" in run.output
    assert _leaked(run.output) == []
    assert _received(gateway) == {"ntfy": ["测试：告警可以送达。"], "feishu": ["测试：告警可以送达。"]}


def test_that_the_upstream_is_gone_and_that_it_is_back_arrives_once_each(gateway: Lab) -> None:
    before = {kind: len(texts) for kind, texts in _received(gateway).items()}
    upstream = urlsplit(gateway.state["upstream"]["base_url"]).hostname
    gateway.ssh(HOST, f"ip route add unreachable {upstream}")
    try:
        for _ in range(4):
            _look(gateway)
    finally:
        gateway.ssh(HOST, f"ip route del unreachable {upstream}")
    for _ in range(2):
        _look(gateway)
    for kind, texts in _received(gateway).items():
        began, over = texts[before[kind] :]
        assert began.startswith("故障：得不到回答：HTTP 5"), kind
        assert over.startswith("已恢复：应答（持续 "), kind
    state = gateway.ssh(HOST, f"cat {HOME}/canary.state")
    assert "\nundelivered.webhook:LAB_DEAD=Failed to connect" in state
    assert any("no alarm could be sent to webhook:LAB_DEAD" in line for line in _status(gateway)["attention"])


def _status(lab: Lab) -> dict[str, Any]:
    run = lab.pyinfra(*LIMIT, *DATA, "--data", "status_json=True", INVENTORY, "deploys/status.py", environment=SECRETS)
    assert run.code == 0, run.output[-3000:]
    (host,) = json.loads(run.stdout)["hosts"]
    found: dict[str, Any] = host
    return found


def test_a_unit_that_keeps_restarting_is_told(gateway: Lab) -> None:
    """What the kernel does to One API, three times from one look to the next."""
    _look(gateway)
    before = len(_received(gateway)["ntfy"])
    restarts = "systemctl show --property NRestarts --value openclaw-llm-gateway"
    began = int(gateway.ssh(HOST, restarts))
    for count in range(1, 4):
        gateway.ssh(HOST, "docker kill openclaw-llm-gateway > /dev/null")
        is_again = f"[ $({restarts}) -ge {began + count} ] && docker top openclaw-llm-gateway > /dev/null 2>&1"
        gateway.ssh(HOST, f"timeout 90 bash -c 'until {is_again}; do sleep 0.2; done'")
    _look(gateway)
    told = _received(gateway)["ntfy"][before:]
    assert "openclaw-llm-gateway 自上次检查以来重启了 3 次" in told[0]
    assert 'problem{name="restarts"} 1' in gateway.ssh(HOST, f"cat {HOME}/metrics/*.prom")
    _look(gateway)
    assert any("已恢复：服务重启" in text for text in _received(gateway)["ntfy"][before + 1 :])


def test_its_secrets_are_in_one_file_for_root_and_nowhere_else(gateway: Lab) -> None:
    conf = f"{DIRECTORY}/{ALERTS_CONF}"
    assert gateway.ssh(HOST, f"stat -c '%a %U:%G' {conf}") == "600 root:root"
    words = "\n".join((TOKEN, ROBOT, KEY, DEAD))  # not in a command, which sudo would note in the journal
    places = "/etc /opt /root /home /tmp /var/lib/openclaw-llm-gateway /var/log /var/tmp"
    assert gateway.ssh(HOST, f"grep -rlF -f - {places} 2> /dev/null || true", stdin=words) == conf
    gateway.ssh(HOST, f"{DIRECTORY}/make-backup 'of the alarms' > /dev/null")
    newest = f"$(ls -t {DIRECTORY}/backups/*.tar.gz | head -n 1)"
    assert (
        gateway.ssh(HOST, f"tar -xOzf {newest} > /run/members; grep -acF -f - /run/members || true", stdin=words) == "0"
    )
    assert _leaked(gateway.ssh(HOST, "journalctl --no-pager --quiet")) == []


def test_a_second_run_changes_nothing_and_without_destinations_nothing_is_left(gateway: Lab) -> None:
    again = gateway.pyinfra("--dry", "--json", *LIMIT, *DATA, INVENTORY, "deploy.py", environment=SECRETS)
    assert again.code == 0, again.output[-3000:]
    assert "alarms" not in again.output
    refused = gateway.deploy(*LIMIT, *DATA, environment={**SECRETS, "LAB_FEISHU": f"https://hook.example/{ROBOT}"})
    refused.must_fail_with("gateway_alerts: LAB_FEISHU: for feishu this secret must be the robot's webhook URL")
    assert _leaked(refused.output) == []
    run = gateway.deploy(*LIMIT)
    assert run.code == 0, run.output[-3000:]
    assert "Remove the destinations of alarms" in run.output
    left = [line for line in snapshot(gateway, HOST) if ALERTS_CONF in line or SEND_ALERTS in line]
    assert left == []
