"""files/send-alerts: what each service gets, as the library apprise sends it, and what is said where one refuses."""

from __future__ import annotations

import base64
import email
import email.policy
import hashlib
import hmac
import os
import re
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from email.message import EmailMessage
from itertools import chain
from pathlib import Path
from typing import Any

import apprise
import pytest
from apprise.plugins.dingtalk import NotifyDingTalk
from apprise.plugins.feishu import NotifyFeishu
from apprise.plugins.telegram import NotifyTelegram
from apprise.plugins.wecombot import NotifyWeComBot

from llm_gateway.inputs import alerts
from llm_gateway.inputs.secrets import Provided
from llm_gateway.parts.installation import render
from tests.unit.alert_receivers import Receiver, Request, mailbox, receiver

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parent.parent.parent / "files" / "send-alerts"
TITLE, TEXT = "LLM gateway gw1 (100.64.0.1:3000)", 'failing: a "b" \\n & <c> 中文 %s $HOME `id`'
BOT = "123456:AAEabcdefghijklmnopqrstuvwxyz0123456"
UUID = "abcdef01-0000-4000-8000-000000000000"
KEY = "SEC" + "0123456789abcdef" * 4
"""Longer than a block of SHA-256, as DingTalk's are."""
DINGTALK = "fedcba9876543210" * 4


@pytest.fixture
def web() -> Iterator[Receiver]:
    """A receiver of all services."""
    with receiver() as found:
        yield found


def values(web: Receiver) -> dict[str, str]:
    """Secrets of each kind of the web, as a person hands them in."""
    return {
        "ntfy": f"http://tk_secret99@127.0.0.1:{web.port}/my-topic",
        "telegram": f"{web.url}/{BOT}/-1001234567890",
        "feishu": f"{web.url}/open-apis/bot/v2/hook/{UUID}",
        "dingtalk": f"{web.url}/robot/send?access_token={DINGTALK}#{KEY}",
        "wecom": f"{web.url}/cgi-bin/webhook/send?key={UUID}",
        "webhook": f"{web.url}/hook/{UUID}?a=b&c=d",
    }


class Sender:
    """A host's send-alerts, with destinations KIND:KIND."""

    def __init__(self, place: Path, secrets: Mapping[str, str], language: str = "en") -> None:
        self.directory = place
        found = [alerts.destination(f"{kind}:{kind}", Provided(None, secrets)) for kind in secrets]
        fields = ((each.name, each.url, each.to, each.login, each.extra) for each in found)
        text = render(
            "gateway_directory/alerts.conf.j2", language=language, destinations=shlex.join(chain.from_iterable(fields))
        )
        (place / "alerts.conf").write_bytes(text)
        shutil.copy(SCRIPT, place)
        programs = place / "programs"
        programs.mkdir()
        (programs / "id").write_text("#!/bin/sh\necho 0\n")
        (programs / "uname").write_text("#!/bin/sh\necho gw1\n")
        for each in programs.iterdir():
            each.chmod(0o755)

    def run(self, *arguments: str, stdin: str = "") -> tuple[int, dict[str, str]]:
        """Returns the exit code, and what came of each destination."""
        done = subprocess.run(
            [str(self.directory / "send-alerts"), *arguments],
            input=stdin,
            env={"PATH": f"{self.directory / 'programs'}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.stderr == ""
        return done.returncode, dict(line.split("\t") for line in done.stdout.splitlines())

    def send(self, kind: str, title: str = TITLE, *lines: str, type_: str = "failing") -> str:
        """Send one message. Returns what came of it."""
        code, outcomes = self.run(stdin="\t".join([f"{kind}:{kind}", type_, title, *lines]) + "\n")
        assert list(outcomes) == [f"{kind}:{kind}"]
        assert code == (0 if outcomes[f"{kind}:{kind}"] == "delivered" else 1)
        return outcomes[f"{kind}:{kind}"]


def of_apprise(web: Receiver, monkeypatch: pytest.MonkeyPatch, kind: str) -> Request:
    """What apprise sends there."""
    services = {
        NotifyFeishu: "https://open.feishu.cn",
        NotifyDingTalk: "https://oapi.dingtalk.com",
        NotifyWeComBot: "https://qyapi.weixin.qq.com",
        NotifyTelegram: "https://api.telegram.org",
    }
    for plugin, there in services.items():
        monkeypatch.setattr(plugin, "notify_url", plugin.notify_url.replace(there, web.url))
    urls = {
        "ntfy": f"ntfy://tk_secret99@127.0.0.1:{web.port}/my-topic",
        "telegram": f"tgram://{BOT}/-1001234567890/?format=text",
        "feishu": f"feishu://{UUID}",
        "dingtalk": f"dingtalk://{KEY}@{DINGTALK}",
        "wecom": f"wecombot://{UUID}",
        "webhook": f"json://127.0.0.1:{web.port}/hook/{UUID}",
    }
    sender = apprise.Apprise()
    assert sender.add(urls[kind])
    assert sender.notify(title=TITLE, body=TEXT, notify_type="failure")
    return web.got.pop()


def leaves(body: Any, above: str = "") -> dict[str, str]:
    """The texts and numbers of a JSON document by where they stand."""
    if not isinstance(body, dict):
        return {above: str(body).replace("\r\n", "\n")}
    return {key: text for name, each in body.items() for key, text in leaves(each, f"{above}/{name}").items()}


MATTERS = {
    "ntfy": {"/topic", "/title", "/message"},
    "telegram": {"/chat_id", "/text", "/disable_web_page_preview"},
    "feishu": {"/msg_type", "/content/text"},
    "dingtalk": {"/msgtype", "/text/content"},
    "wecom": {"/msgtype", "/text/content"},
    "webhook": {"/version", "/title", "/message", "/type"},
}


@pytest.mark.parametrize("kind", MATTERS)
def test_each_service_gets_what_apprise_sends_to_it(
    web: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    expected = of_apprise(web, monkeypatch, kind)
    sender = Sender(tmp_path, {kind: values(web)[kind]})
    assert sender.send(kind, TITLE, TEXT) == "delivered"
    (got,) = web.got
    assert (got.method, got.path, got.login) == (expected.method, expected.path, expected.login)
    passing = {"timestamp", "sign", "a", "c"}
    assert {name: got.query[name] for name in got.query if name not in passing} == {
        name: expected.query[name] for name in expected.query if name not in passing
    }
    ours, theirs = leaves(got.body), leaves(expected.body)
    matters = MATTERS[kind]
    assert matters <= set(ours)
    if kind == "telegram":  # apprise has Telegram read it as HTML; here it is text, which may have any character
        theirs["/text"] = re.sub("</?b>", "", theirs["/text"])
    assert {key: ours[key] for key in matters} == {key: theirs[key] for key in matters}
    assert set(theirs) - matters <= {
        *("/disable_notification", "/at/atMobiles", "/at/isAtAll", "/attachments", "/parse_mode"),
    }


def test_dingtalk_gets_a_signature_of_its_time(web: Receiver, tmp_path: Path) -> None:
    """apprise 2.3.0 encodes it twice, so that it cannot be compared: findings/apprise-…"""
    assert Sender(tmp_path, {"dingtalk": values(web)["dingtalk"]}).send("dingtalk", TITLE, TEXT) == "delivered"
    (stamp,), (sign,) = web.got[0].query["timestamp"], web.got[0].query["sign"]
    assert abs(int(stamp) / 1000 - time.time()) < 60
    digest = hmac.new(KEY.encode(), f"{stamp}\n{KEY}".encode(), hashlib.sha256).digest()
    assert sign == base64.b64encode(digest).decode()


@pytest.mark.parametrize("key", ["6", "k" * 53, "k" * 54, "\\%é\"'$", KEY])
def test_feishu_gets_a_signature_of_nothing_by_its_time_and_key(web: Receiver, tmp_path: Path, key: str) -> None:
    """Of every length about a block of SHA-256 (64 bytes with the time), and with bytes that become 0 when padded."""
    secret = f"{values(web)['feishu']}#key"
    sender = Sender(tmp_path, {"feishu": secret})
    conf = tmp_path / "alerts.conf"
    assert conf.read_text().count(" key)") == 1
    conf.write_text(conf.read_text().replace(" key)", f" {shlex.quote(key)})"))
    assert sender.send("feishu", TITLE, TEXT) == "delivered"
    body = web.got[0].body
    digest = hmac.new(f"{body['timestamp']}\n{key}".encode(), b"", hashlib.sha256).digest()
    assert body["sign"] == base64.b64encode(digest).decode()


def test_a_mail_is_what_apprise_mails(tmp_path: Path) -> None:
    with mailbox() as box:
        sender = apprise.Apprise()
        url = f"mailto://127.0.0.1:{box.port}/?from=gw@example.org&to=a@example.org&format=text"
        assert sender.add(url)
        assert sender.notify(title="题 " + TITLE, body=TEXT)
        expected = {to[0]: (source, _mail(text)) for source, to, text in box.got}
        box.got.clear()
        ours = Sender(
            tmp_path, {"email": f"smtp://127.0.0.1:{box.port}?to=a@example.org,b@example.org&from=gw@example.org"}
        )
        assert ours.send("email", "题 " + TITLE, TEXT, "second line") == "delivered"
        ((source, to, text),) = box.got
    assert to == ["a@example.org", "b@example.org"]
    got, (their_source, theirs) = _mail(text), expected["a@example.org"]
    assert source == their_source == "gw@example.org"
    assert got["Subject"] == theirs["Subject"] == "题 " + TITLE
    assert got["From"].addresses[0].addr_spec == theirs["From"].addresses[0].addr_spec
    assert [each.addr_spec for each in got["To"].addresses] == to
    assert got.get_content() == f"{TEXT}\nsecond line\n"
    assert theirs.get_content().strip() == TEXT
    assert abs(got["Date"].datetime.timestamp() - time.time()) < 60
    assert [name for name, _ in got.items() if got.get_all(name) != [got[name]]] == []
    assert got.defects == []


def _mail(text: bytes) -> EmailMessage:
    found = email.message_from_bytes(text, policy=email.policy.default)
    assert isinstance(found, EmailMessage)
    return found


REFUSALS = {
    "feishu": (200, '{"code":19024,"data":{},"msg":"Key Words Not Found"}', "HTTP 200: Key Words Not Found"),
    "dingtalk": (200, '{"errcode":310000,"errmsg":"sign not match"}', "HTTP 200: sign not match"),
    "wecom": (
        200,
        '{"errcode":93000,"errmsg":"invalid webhook url, hint: [1]"}',
        "HTTP 200: invalid webhook url, hint: [1]",
    ),
    "telegram": (
        400,
        '{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}',
        "HTTP 400: Bad Request: chat not found",
    ),
    "ntfy": (403, '{"code":40301,"http":403,"error":"forbidden"}', "HTTP 403: forbidden"),
    "webhook": (302, "", "HTTP 302"),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_who_refuses_it_is_told_also_where_the_status_is_200(web: Receiver, tmp_path: Path, kind: str) -> None:
    status, body, told = REFUSALS[kind]
    web.answers["/"] = (status, body)
    assert Sender(tmp_path, {kind: values(web)[kind]}).send(kind, TITLE, TEXT) == told


@pytest.mark.parametrize("kind", ["feishu", "dingtalk", "wecom", "telegram"])
def test_an_answer_that_is_no_yes_is_a_refusal(web: Receiver, tmp_path: Path, kind: str) -> None:
    """As of a captive portal, or of a proxy."""
    web.answers["/"] = (200, "<html>log in first</html>")
    assert Sender(tmp_path, {kind: values(web)[kind]}).send(kind, TITLE, TEXT) == "HTTP 200"


def test_a_dead_destination_holds_up_nobody_and_no_secret_is_told(web: Receiver, tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        secrets = {**values(web), "webhook": f"http://127.0.0.1:{silent.getsockname()[1]}/hook/{UUID}"}
        secrets["telegram"] = f"http://127.0.0.1:1/{BOT}/-100"
        web.answers["/open-apis"] = (200, f'{{"code": 1, "msg": "no {UUID}"}}')
        web.answers["/cgi-bin"] = (500, f'{{"errmsg": "{UUID} is odd"}}')
        sender = Sender(tmp_path, secrets)
        script = sender.directory / "send-alerts"
        script.write_text(script.read_text().replace("seconds=20 ", "seconds=2 "))
        began = time.monotonic()
        code, outcomes = sender.run("--test")
        assert time.monotonic() - began < 20
    assert code == 1
    assert outcomes["webhook:webhook"] == "no answer within 2 s"
    assert outcomes["telegram:telegram"].startswith("Failed to connect to 127.0.0.1 port 1")
    assert outcomes["feishu:feishu"] == "HTTP 200: no ***"
    assert outcomes["wecom:wecom"] == "HTTP 500: *** is odd"
    assert outcomes["ntfy:ntfy"] == outcomes["dingtalk:dingtalk"] == "delivered"
    came = {"", "/robot/send", "/cgi-bin/webhook/send", f"/open-apis/bot/v2/hook/{UUID}"}
    assert {each.path for each in web.got} == came, "each was asked once, whatever became of the others"
    assert len(web.got) == len(came)


def test_nothing_secret_is_an_argument_of_a_program_or_a_file(web: Receiver, tmp_path: Path) -> None:
    """What curl is called with is noted in its place."""
    sender = Sender(tmp_path, values(web))
    noted = tmp_path / "noted"
    curl = sender.directory / "programs" / "curl"
    real = shutil.which("curl")
    curl.write_text(f'#!/bin/bash\ntr "\\0" " " < /proc/$$/cmdline >> {noted}\nenv >> {noted}\nexec {real} "$@"\n')
    curl.chmod(0o755)
    before = set(tmp_path.rglob("*"))
    code, _ = sender.run("--test")
    assert code == 0
    assert set(tmp_path.rglob("*")) - before == {noted}
    text = noted.read_text()
    assert text.count("-K /dev/fd/") == len(values(web))
    for secret in (UUID, BOT, KEY, DINGTALK, "tk_secret99", "my-topic"):
        assert secret not in text


def test_a_long_message_is_cut_between_characters(web: Receiver, tmp_path: Path) -> None:
    sender = Sender(tmp_path, {"wecom": values(web)["wecom"]})
    assert sender.send("wecom", TITLE, *(f"failing: {'中' * 90}" for _ in range(10))) == "delivered"
    text = web.got[0].body["text"]["content"]
    assert len(text.encode()) <= 2048
    assert text.endswith("中…")
    assert "\ufffd" not in text


def test_half_a_character_is_left_out(web: Receiver, tmp_path: Path) -> None:
    sender = Sender(tmp_path, {"ntfy": values(web)["ntfy"]})
    message = f"ntfy:ntfy\tfailing\t{TITLE}\tfailing: 中".encode()[:-1] + b" \xff (since then)\n"
    done = subprocess.run(
        [str(sender.directory / "send-alerts")],
        input=message,
        env={"PATH": f"{sender.directory / 'programs'}:{os.environ['PATH']}"},
        capture_output=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == (b"ntfy:ntfy\tdelivered\n", b"")
    assert web.got[0].body["message"] == "failing:   (since then)"


def test_a_destination_that_is_not_known_is_told(tmp_path: Path) -> None:
    assert Sender(tmp_path, {}).send("ntfy", TITLE, TEXT) == "it is not in alerts.conf: run deploy.py"
