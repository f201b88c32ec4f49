"""`gateway_alerts`: what it takes, the forms of the secrets, and that neither is shown when it is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from llm_gateway.inputs import alerts, host_data, settings
from llm_gateway.inputs.alerts import KINDS, Destination, destination
from llm_gateway.inputs.secrets import Provided, SecretsError
from llm_gateway.model import layout
from llm_gateway.model.checks import InvalidError
from llm_gateway.parts import packages, scheduling
from llm_gateway.parts.canary import destinations
from tests.unit import fake_hosts
from tests.unit.deployed import deployed
from tests.unit.fake_hosts import FRESH
from tests.unit.test_deploy_plan import AGENT, GATEWAY
from tests.unit.topology import DIRECTORY, make_node

BOT = "123456:AAEabc-def_0"
GOOD: list[tuple[str, str, Destination]] = [
    ("ntfy", "https://ntfy.sh/my_topic-1", Destination("", "https://ntfy.sh/", "my_topic-1")),
    ("ntfy", "http://tk_1@100.64.0.9:8080/t", Destination("", "http://100.64.0.9:8080/", "t", "Bearer tk_1")),
    ("ntfy", "https://u:p%40w@h.example/t", Destination("", "https://h.example/", "t", "Basic dTpwQHc=")),
    ("telegram", f"{BOT}/-1001", Destination("", f"https://api.telegram.org/bot{BOT}/sendMessage", "-1001")),
    ("telegram", f"{BOT}/@ops", Destination("", f"https://api.telegram.org/bot{BOT}/sendMessage", "@ops")),
    (
        "telegram",
        f"https://tg.example:8443/{BOT}/5",
        Destination("", f"https://tg.example:8443/bot{BOT}/sendMessage", "5"),
    ),
    (
        "feishu",
        "https://open.feishu.cn/open-apis/bot/v2/hook/0a-b#sEcReT",
        Destination("", "https://open.feishu.cn/open-apis/bot/v2/hook/0a-b", extra="sEcReT"),
    ),
    (
        "feishu",
        "https://open.larksuite.com/open-apis/bot/v2/hook/0a-b",
        Destination("", "https://open.larksuite.com/open-apis/bot/v2/hook/0a-b"),
    ),
    (
        "dingtalk",
        "https://oapi.dingtalk.com/robot/send?access_token=0a#SEC1",
        Destination("", "https://oapi.dingtalk.com/robot/send?access_token=0a", extra="SEC1"),
    ),
    (
        "wecom",
        "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=0a-b",
        Destination("", "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=0a-b"),
    ),
    (
        "email",
        "smtps://ops%40example.org:p%3Aw@mail.example?to=a@example.org,b@example.org",
        Destination(
            "", "smtps://mail.example", "a@example.org b@example.org", "ops@example.org:p:w", "ops@example.org"
        ),
    ),
    (
        "email",
        "smtp://127.0.0.1:25?to=a@example.org&from=gw@example.org",
        Destination("", "smtp://127.0.0.1:25", "a@example.org", "", "gw@example.org"),
    ),
    ("webhook", "https://u:p@h.example/x?y=z#part", Destination("", "https://h.example/x?y=z", login="Basic dTpw")),
    ("webhook", "http://[fd7a:115c:a1e0::1]:80/x", Destination("", "http://[fd7a:115c:a1e0::1]:80/x")),
    ("webhook", "http://ntfy:8080/x", Destination("", "http://ntfy:8080/x")),
    ("webhook", "http://gw.tail1234.ts.net/x", Destination("", "http://gw.tail1234.ts.net/x")),
]


@pytest.mark.parametrize(("kind", "value", "expected"), GOOD, ids=[f"{kind} {value}" for kind, value, _ in GOOD])
def test_a_secret_of_the_right_form_is_read(kind: str, value: str, expected: Destination) -> None:
    found = destination(f"{kind}:NAME", Provided(None, {"NAME": value}))
    assert found.name == f"{kind}:NAME"
    for field in ("url", "to", "login", "extra"):
        assert getattr(found, field) == getattr(expected, field)
    assert repr(found) == f"Destination(name='{kind}:NAME')"


def test_every_kind_has_a_secret_of_the_right_form_here() -> None:
    assert {kind for kind, _, _ in GOOD} == set(KINDS)


WRONG = [
    ("ntfy", "hush-topic"),
    ("ntfy", "https://ntfy.sh/"),
    ("ntfy", "https://ntfy.sh/hush/topic"),
    ("ntfy", "https://ntfy.sh/hush?auth=x"),
    ("ntfy", "ftp://ntfy.sh/hush"),
    ("ntfy", "http://ntfy.sh/hush"),
    ("ntfy", "https://[hush/topic"),
    ("ntfy", "https://h.example:99999/hush"),
    ("telegram", "hush"),
    ("telegram", "123456:hush"),
    ("telegram", "123456:hush/title of a chat".replace(" ", "-")),
    ("telegram", "http://tg.example/123456:hush/5"),
    ("feishu", "https://open.feishu.cn/hush"),
    ("feishu", "https://open.feishu.cn/open-apis/bot/v2/hook/"),
    ("feishu", "hush"),
    ("dingtalk", "https://oapi.dingtalk.com/robot/send?token=hush"),
    ("dingtalk", "http://oapi.dingtalk.com/robot/send?access_token=hush"),
    ("wecom", "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=hush#hush"),
    ("wecom", "https://user:hush@qyapi.weixin.qq.com/cgi-bin/webhook/send?key=a"),
    ("email", "ops@hush.example"),
    ("email", "smtps://u:hush@mail.example"),
    ("email", "smtps://u:hush@mail.example?to=nobody"),
    ("email", "smtps://u:hush@mail.example?to=a@example.org"),
    ("email", "smtps://u%40example.org:hush@mail.example?to=a@example.org&cc=b@example.org"),
    ("email", "https://u:hush@mail.example?to=a@example.org"),
    ("email", "smtps://u%40example.org:hush@mail.example/path?to=a@example.org"),
    ("email", "smtps://u%40example.org:hush@mail.example?to=a@example.org%0d%0aBcc:c@example.org"),
    ("webhook", "hush"),
    ("webhook", "http://hush.example/x"),
    ("webhook", "http://1.1.1.1/hush"),
]


@pytest.mark.parametrize(("kind", "value"), WRONG)
def test_a_secret_of_another_form_is_refused_and_not_shown(kind: str, value: str) -> None:
    (told,) = destinations.problems(_with([f"{kind}:MINE"], MINE=value))
    assert told.startswith(f"gateway_alerts: MINE: for {kind} this secret must be ")
    assert "hush" not in told


def _with(wanted: list[str], **secrets: str) -> Any:
    return make_node(gateway_alerts=wanted, secrets={**fake_hosts.KEYS, **secrets})


def test_a_secret_that_is_missing_is_told_before_a_host_is_touched() -> None:
    node = _with(["ntfy:MINE"])
    (told,) = [text for text in scheduling.problems(node.machine) if text.startswith("gateway_alerts")]
    assert told.startswith("gateway_alerts: MINE: this secret is missing; `export MINE=…`")
    with pytest.raises(SecretsError):
        destinations.files(node)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("ntfy:X", "must be a list of texts"),
        (["ntfy"], "number 1 must be a text KIND:SECRET_NAME"),
        ([7], "number 1 must be a text KIND:SECRET_NAME"),
        (["ntfy:A", "ntfi:B"], "number 2: its kind must be one of ntfy, telegram"),
        (["ntfy:https://ntfy.sh/hush"], "number 1: behind ntfy: must stand the name of a secret"),
        (["https://ntfy.sh/hush"], "number 1: its kind must be one of"),
        (["telegram:1:hush/5"], "must stand the name of a secret"),
        (["ntfy:A", "email:B", "ntfy:A"], "ntfy:A is there more than once"),
    ],
)
def test_a_declaration_that_is_wrong_is_refused_without_what_may_be_secret(value: Any, told: str) -> None:
    _, problems = host_data.check({**settings.defaults(), "gateway_alerts": value})
    assert any(told in problem for problem in problems)
    assert not any("hush" in problem for problem in problems)
    with pytest.raises(InvalidError):
        alerts.alerts(value)


def test_alarms_that_nothing_would_send_are_told() -> None:
    data = {**settings.defaults(), "gateway_canary_interval": None, "gateway_alerts": ["ntfy:A"]}
    assert any(text.startswith("gateway_alerts: gateway_canary_interval is None") for text in host_data.check(data)[1])


def test_its_files_are_for_root_alone_and_its_program_is_installed_where_it_is_missing() -> None:
    node = _with(["ntfy:MINE"], MINE="https://tk_1@ntfy.sh/topic")
    script, conf = destinations.files(node)
    assert (script.path.rpartition("/")[2], script.mode) == (layout.SEND_ALERTS, "755")
    assert (conf.path.rpartition("/")[2], conf.mode) == (layout.ALERTS_CONF, "600")
    assert destinations.files(make_node()) == []
    assert {"curl", "ca-certificates"} <= set(packages._beside_docker(node))
    assert not {"curl", "ca-certificates"} & set(packages._beside_docker(make_node()))
    there = make_node({**FRESH, "tools": "curl\nca-certificates\n"}, gateway_alerts=["ntfy:MINE"])
    assert destinations.missing_packages(there) == []


def _planned(tmp_path: Any, environment: dict[str, str], wanted: list[str], **answers: str) -> list[str]:
    answers = {**deployed(GATEWAY, AGENT).gateway, **answers}
    gateways = [fake_hosts.host("gw1", answers, gateway_alerts=wanted)]
    run = fake_hosts.run(tmp_path, "--dry", "--json", gateways=gateways, environment={**fake_hosts.KEYS, **environment})
    return [name for name in fake_hosts.planned(run) if "alarms" in name or "canary" in name]


def test_a_deployment_puts_them_in_place_and_takes_them_off(tmp_path: Any) -> None:
    secret = {"MINE": "https://tk_1@ntfy.sh/topic"}
    assert _planned(tmp_path, secret, ["ntfy:MINE"]) == [
        "Write the script that sends alarms",
        "Write the destinations of alarms",
        "Write the settings of the canary",
    ]
    there = f"{DIRECTORY}/alerts.conf 600 root:root 1700000000.000000\n"
    stat = deployed(GATEWAY, AGENT).gateway["tracked_stat"] + there
    assert _planned(tmp_path, {}, [], tracked_stat=stat) == ["Remove the destinations of alarms"]
