"""files/canary with files/send-alerts: who is told what, once, in which language, and of which conditions."""

from __future__ import annotations

import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_gateway.model.checkout import TAILSCALE_PROBLEM
from tests.unit.alert_receivers import Receiver, receiver
from tests.unit.canary_kit import COMPLETION, SCRIPT, SEND_ALERTS, Canary
from tests.unit.local_host import TOOLS

pytestmark = pytest.mark.slow

UNIT = "openclaw-llm-gateway.service"
UUID = "abcdef01-0000-4000-8000-000000000000"


@pytest.fixture
def web() -> Iterator[Receiver]:
    """A receiver of all services."""
    with receiver() as found:
        yield found


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Canary]:
    """A gateway's host."""
    found = Canary(tmp_path, TOOLS[0])
    yield found
    found.close()


def _secrets(web: Receiver) -> dict[str, str]:
    return {"ntfy": f"{web.url}/topic", "feishu": f"{web.url}/open-apis/bot/v2/hook/{UUID}"}


def _texts(web: Receiver, kind: str) -> list[str]:
    """What came, to each kind, in order."""
    if kind == "ntfy":
        return [each.body["message"] for each in web.got if each.path == ""]
    return [each.body["content"]["text"] for each in web.got if each.path.startswith("/open-apis")]


def _until_over(host: Canary, tries: int = 1) -> None:
    host.answer = (200, COMPLETION)
    for _ in range(tries):
        host.must_look()


def test_each_destination_is_told_once_and_once_more_when_it_is_over(host: Canary, web: Receiver) -> None:
    host.send_alerts(_secrets(web))
    host.configure(command="", failures=2)
    host.answer = (503, b"")
    host.must_look()
    assert web.got == []
    for _ in range(3):
        host.must_look()
    (text,) = _texts(web, "ntfy")
    assert re.fullmatch(
        r"failing: no completion: HTTP 503: verify\.py says at which link \(since \d{4}-\d\d-\d\d \d\d:\d\d UTC\)", text
    )
    (body,) = (each.body for each in web.got if each.path == "")
    assert (body["priority"], body["tags"]) == (4, ["warning"])
    (told,) = _texts(web, "feishu")
    assert told.partition("\n")[0] == body["title"] == f"LLM gateway gw1 (127.0.0.1:{_port(host)})"
    assert told.partition("\n")[2] == text
    _until_over(host, 2)
    assert [len(_texts(web, kind)) for kind in ("ntfy", "feishu")] == [2, 2]
    assert _texts(web, "ntfy")[1] == "recovered: answer (after 0 min)"
    assert UUID not in "".join(path.read_text() for path in host.home.rglob("*") if path.is_file())


def _port(host: Canary) -> str:
    return dict(line.split("=", 1) for line in (host.place / "canary.conf").read_text().splitlines())["port"]


def test_a_dead_one_is_told_later_of_what_is_so_then_and_the_others_not_again(host: Canary, web: Receiver) -> None:
    host.send_alerts({**_secrets(web), "webhook": "http://127.0.0.1:1/x"})
    host.configure(failures=1)
    host.answer = (503, b"")
    web.answers["/open-apis"] = (200, '{"code": 9499, "msg": "Bad Request"}')
    for _ in range(2):
        done = host.look()
        assert done.returncode == 1
        assert "no alarm could be sent to feishu:feishu (HTTP 200: Bad Request): it is tried again" in done.stderr
        assert "no alarm could be sent to webhook:webhook (Failed to connect" in done.stderr
        assert "ntfy:ntfy" not in done.stderr or len(_texts(web, "ntfy")) == 1
    assert [len(_texts(web, kind)) for kind in ("ntfy", "feishu")] == [1, 2], "feishu was asked twice, and took none"
    assert [kind for kind, _ in host.alerts] == ["failing"], "the command is told beside them"
    assert "undelivered.feishu:feishu=HTTP 200: Bad Request" in host.state
    web.answers.clear()
    assert host.look().returncode == 1
    assert [len(_texts(web, kind)) for kind in ("ntfy", "feishu")] == [1, 3]
    assert "undelivered.feishu:feishu=" in host.state
    host.answer = (200, COMPLETION)
    for _ in range(2):
        assert host.look().returncode == 1, "who was told of nothing is to be told that"
    assert [len(_texts(web, kind)) for kind in ("ntfy", "feishu")] == [2, 4]
    assert "recovered: answer" in _texts(web, "feishu")[-1]
    assert not any("webhook:webhook=yes" in line for line in host.state)


def test_who_could_not_be_told_before_it_was_over_is_told_that(host: Canary, web: Receiver) -> None:
    host.send_alerts({"ntfy": f"{web.url}/topic"})
    host.configure(failures=1, command="")
    host.answer = (503, b"")
    web.answers["/"] = (507, "")
    assert host.look().returncode == 1
    host.answer = (200, COMPLETION)
    assert host.look().returncode == 1
    web.answers.clear()
    for _ in range(2):
        host.must_look()
    assert _texts(web, "ntfy")[2:] == ["Alarms could not be sent here meanwhile: status.py says what is wrong now."]


def test_what_comes_at_once_is_one_message(host: Canary, web: Receiver) -> None:
    host.send_alerts(_secrets(web))
    host.configure(failures=1, command="")
    host.answer = (503, b"")
    host.has_firewall("others")
    host.must_look()
    (text,) = _texts(web, "ntfy")
    assert [line.partition(":")[0] for line in text.splitlines()] == ["failing", "failing"]
    host.load_firewall("rules")
    host.must_look()
    assert _texts(web, "ntfy")[1] == "recovered: firewall (after 0 min)"
    assert web.got[-1].body.get("priority", 3) == 3


def test_of_what_comes_and_goes_no_more_than_so_many_an_hour_are_told(host: Canary, web: Receiver) -> None:
    host.send_alerts({"ntfy": f"{web.url}/topic"})
    script = host.place / "canary"
    script.write_text(script.read_text().replace("\nhourly=10 ", "\nhourly=4 "))
    host.configure(failures=1, command="")
    for _ in range(4):
        host.answer = (503, b"")
        host.must_look()
        _until_over(host)
    assert len(web.got) == 4
    assert "No more messages within this hour" in _texts(web, "ntfy")[-1]
    assert not any("No more" in text for text in _texts(web, "ntfy")[:-1])
    host.answer = (503, b"")
    host.must_look()
    state = host.home / "canary.state"
    old = str(int(time.time()) - 3700)
    state.write_text(
        re.sub(r"^(sent\.ntfy:ntfy=).*$", rf"\g<1> {old} {old} {old} {old}", state.read_text(), flags=re.M)
    )
    host.must_look()
    assert _texts(web, "ntfy")[-1].startswith("failing: no completion")
    assert len(web.got) == 5


def test_restarts_in_a_row_are_told_and_a_single_one_is_not(host: Canary, web: Receiver) -> None:
    host.send_alerts({"ntfy": f"{web.url}/topic"})
    host.configure(command="")
    restarts = host.properties[UNIT]
    for count in (40, 40, 41, 41):
        restarts["NRestarts"] = str(count)
        host.must_look()
    assert web.got == [], "those before the first look are past, and one is nothing"
    restarts["NRestarts"] = "46"
    host.must_look()
    (text,) = _texts(web, "ntfy")
    assert "the unit openclaw-llm-gateway was restarted 5 times since it was last looked at: `journalctl -u" in text
    host.must_look()
    assert _texts(web, "ntfy")[1] == "recovered: restarts (after 0 min)"
    for count in (2, 3, 4):  # somebody has started it anew, and then it is restarted once from each look to the next
        restarts["NRestarts"] = str(count)
        host.must_look()
    assert len(web.got) == 3
    assert 'problem{name="restarts"} 1' in host.metrics


def _status(days: float | None, peers: str = "2026-01-01T00:00:00Z") -> str:
    """What `tailscale status --json` prints, where the key expires in so many days; None: never."""
    at = "" if days is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + days * 86400 + 60))
    own = f'"KeyExpiry": "{at}",' if at else ""
    begin = f'{{"BackendState": "Running", "Self": {{"ID": "n1", {own} "Online": true}},'
    return f'{begin}\n"Peer": {{"k": {{"KeyExpiry": "{peers}"}}}}}}'


def test_a_key_of_tailscale_that_expires_soon_is_told(host: Canary, web: Receiver) -> None:
    host.send_alerts({"ntfy": f"{web.url}/topic"})
    host.configure(command="")
    for days in (None, 90, 14):
        host.stub("tailscale", f"printf %s {shlex.quote(_status(days))}")
        host.must_look()
    assert web.got == []
    assert re.search(r"tailnet_key_expiry_timestamp_seconds 1\d{9}\n", host.metrics)
    for days in (13, 12):
        host.stub("tailscale", f"printf %s {shlex.quote(_status(days))}")
        host.must_look()
    (text,) = _texts(web, "ntfy")
    assert "the Tailscale key of this host expires on " in text
    assert ", in 13 days: renew it with `tailscale up --force-reauth`" in text
    host.stub("tailscale", f"printf %s {shlex.quote(_status(None))}")
    host.must_look()
    assert _texts(web, "ntfy")[1] == "recovered: tailnet_key (after 0 min)"
    assert "tailnet_key_expiry_timestamp_seconds 0\n" in host.metrics


def test_the_end_of_a_problem_of_another_part_is_told_in_its_words(host: Canary, web: Receiver) -> None:
    host.send_alerts({"ntfy": f"{web.url}/topic"})
    host.configure(command="")
    problem = host.home / "problems" / "budget-123-80"
    problem.parent.mkdir(parents=True)
    problem.write_text(f"agent1 has used 85 % of its budget: 中文{'x' * 300}中\n")
    host.must_look()
    host.must_look()
    problem.unlink()
    for _ in range(2):
        host.must_look()
    first, last = _texts(web, "ntfy")
    assert first.startswith("failing: agent1 has used 85 % of its budget: 中文xxx")
    assert last.startswith("recovered: agent1 has used 85 % of its budget: 中文xxx")
    assert last.endswith("x (after 0 min)")
    assert not [line for line in host.state if "budget" in line]


def test_messages_are_in_the_language_of_the_settings(host: Canary, web: Receiver) -> None:
    host.send_alerts(_secrets(web), "zh")
    host.configure(failures=1, command="")
    host.answer = (503, b"")
    host.must_look()
    (title,) = (each.body["title"] for each in web.got if each.path == "")
    assert title == f"LLM 网关 gw1（127.0.0.1:{_port(host)}）"
    assert re.fullmatch(
        r"故障：得不到回答：HTTP 503，用 verify\.py 查看断在哪一环（始于 .* UTC）", _texts(web, "ntfy")[0]
    )
    _until_over(host)
    assert _texts(web, "ntfy")[1] == "已恢复：应答（持续 0 分钟）"


SAID = (
    *("no completion: no answer within 60 s", "no completion: its answer is not a completion: verify.py says why"),
    *("no completion: the gateway refuses the token llm-gateway-canary (HTTP 401)",),
    *("no completion: the connection broke off before an answer",),
    "no completion: nothing listens on 100.64.0.1:3000; openclaw-llm-gateway.service is failed",
    "no completion: its container is paused: docker unpause openclaw-llm-gateway",
    "no completion: its database is locked by another program",
    "no completion: its database is damaged: deploys/restore.py puts a backup in its place",
    "no completion: its database cannot be read: look at its disk (findmnt --target /opt/x/data; dmesg)",
    "no completion: there is no database /opt/x/data/one-api.db: is its disk mounted?",
    "no completion: the token llm-gateway-canary is missing or disabled: run deploy.py, or enable it in the admin page",
    "no completion: HTTP 503: verify.py says at which link",
    "only 97 MiB of 87890 are free on the disk of /opt/x/data",
    "the last backup failed: `journalctl -u openclaw-llm-gateway-backup` on the host says why",
    "backups are overdue: none since 2026-11-22 03:00 UTC",
    "the firewall's rules are not there, or not those that were loaded (x-firewall.service is active): run deploy.py",
    "the unit openclaw-llm-gateway was restarted 5 times since it was last looked at: `journalctl -u x` says why",
    *(
        f"budget of agent1 for 2026-12, 1000.5 CNY: {what}: raise openclaw_budget and deploy, or use less"
        for what in (
            "80 % is used",
            "all of it is used",
            "all of it is used, and its token is refused until 2027-01-01T00:00:00+08:00",
        )
    ),
    "the budgets cannot be looked at: `journalctl -u openclaw-llm-gateway-budgets.service` says why",
    "the Tailscale key of this host expires on 2026-12-15 10:00 UTC, in 13 days: renew it with `tailscale up`, or"
    " disable its expiry in the admin console",
)
OF_TAILSCALE = re.findall(r"echo (?:'([^']+)'|\"([^\"]+)\")", TAILSCALE_PROBLEM.read_text())
NAMES = (
    r"tailscaled?|Tailscale|Machines|exit node|verify\.py|deploy\.py|deploys/restore\.py|docker unpause|"
    r"MiB|UTC|HTTP|openclaw_budget|CNY|agent1|failed|active|s"
)


def test_every_text_of_the_canary_is_told_in_chinese() -> None:
    """But for commands and names; a text that is new in the scripts is a line above."""
    said = [*SAID, *(f"no completion: {one or other}" for one, other in OF_TAILSCALE)]
    assert len(OF_TAILSCALE) > 8
    function = re.search(r"^chinese\(\) \{.*?^\}", SEND_ALERTS.read_text(), re.M | re.S)
    assert function
    lines = "".join(f"failing: {text} (since 2026-12-01 10:00 UTC)\n" for text in said)
    done = subprocess.run(
        ["bash", "-c", f"export LC_ALL=C\n{function[0]}\nchinese"],
        input=lines,
        capture_output=True,
        text=True,
        check=True,
    )
    for text, told in zip(said, done.stdout.splitlines(), strict=True):
        words = re.sub(r"`[^`]+`|\(findmnt.*?\)|[\w./:-]*[/:0-9-][\w./:-]*", "", told)
        assert re.findall(r"[A-Za-z]{2,}", re.sub(rf"\b(?:{NAMES})\b", "", words)) == [], (text, told)
        assert told.startswith("故障：")


def test_the_texts_of_the_canary_are_those_that_are_tried_here() -> None:
    """By their first words, in the script."""
    text = SCRIPT.read_text()
    found = re.findall(r"(?:problem=|echo )[\"'](?:\$\{problem:\+\$problem )?([a-zA-Z][a-z']+ [a-z']+)", text)
    told = " ".join(SAID)
    silent = {"canary must", "the canary", "the gateway", "a run"}
    assert {words for words in found if words not in told} <= silent
    assert len(found) > 10
