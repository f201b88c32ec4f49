"""What is asked for, what prevents a rotation, and its plan; and the making of the new tokens."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import provisioning_fixtures
import pytest
from provisioning_kit import PATH, Written, make_gateway
from pyinfra.api import DeployError

from llm_gateway.contents.desired import CANARY_TOKEN, VERIFICATION_TOKEN
from llm_gateway.flavours import TokenSpec
from llm_gateway.flavours.oneapi import AdminClient
from llm_gateway.hosts import progress
from llm_gateway.hosts.record import Record
from llm_gateway.hosts.topology import Gateway
from llm_gateway.tasks.rotation import rotation
from llm_gateway.tasks.rotation.rotation import KEYS, chosen_keys
from tests.unit import fake_hosts
from tests.unit.deployed import deployed
from tests.unit.fake_hosts import OPENCLAW
from tests.unit.fake_one_api import FakeOneAPI
from tests.unit.topology import GENERATED

pytestmark = pytest.mark.slow

# Not as a plugin: its fixtures would be those of all tests.
gateway, written = provisioning_fixtures.gateway, provisioning_fixtures.written
SCRIPT = "deploys/rotate_keys.py"
NEW_SECRETS = "Give the gateway its new secrets"
NEW_TOKENS = "Make new tokens beside the present ones"
POINT = "Point OpenClaw at the gateway"


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("tokens", {"tokens"}),
        ("tokens, access_token", {"tokens", "access_token"}),
        ("all", set(KEYS)),
        ("all,tokens", set(KEYS)),
        (",session_secret,", {"session_secret"}),
    ],
)
def test_what_is_to_be_rotated(text: str, keys: set[str]) -> None:
    assert chosen_keys(text) == keys


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "say what to rotate with --data keys=…"),
        (",", "say what to rotate"),
        ("password", "there is no password to rotate; did you mean 'root_password'?"),
        ("tokens,everything", "there is no everything to rotate"),
    ],
)
def test_what_cannot_be_rotated(text: str, words: str) -> None:
    with pytest.raises(DeployError) as refusal:
        chosen_keys(text)
    assert words in str(refusal.value)
    assert "tokens, access_token, root_password, session_secret" in str(refusal.value)


@pytest.fixture(autouse=True)
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    told: list[str] = []
    monkeypatch.setattr(progress, "step", lambda host, text: told.append(text))
    return told


def renew(made: Gateway) -> list[bool]:
    """Carry it out for every host of the run, as pyinfra does; the outcomes."""
    outcomes = []
    for each in made.node.machine.run.machines.values():
        for command in rotation._renew_tokens._inner(each):  # type: ignore[attr-defined]
            outcomes.append(command.function(SimpleNamespace(), each.host, *command.args))
    return outcomes


def _with_tokens(gateway: FakeOneAPI, *names: str) -> dict[str, str]:
    with AdminClient("http://gw", access_token=gateway.access_token, transport=gateway.transport) as client:
        return {name: client.create_token(TokenSpec(name=name)).key for name in names}


def test_every_host_and_verification_get_a_new_token(gateway: FakeOneAPI, written: Written, steps: list[str]) -> None:
    made = make_gateway("agent1", "agent2")
    names = (VERIFICATION_TOKEN, CANARY_TOKEN, "agent1", "agent2")
    before = _with_tokens(gateway, *names, "a-persons")
    assert renew(made) == [True]
    now = {row["name"]: row for row in gateway.tokens}
    assert {name: now[name]["key"] for name in names} == made.token_keys
    assert not set(before.values()) & set(made.token_keys.values())
    assert before.items() <= {**before, "a-persons": now["a-persons"]["key"]}.items()
    assert {row["key"] for row in gateway.tokens} > set(before.values()), "the old keys work on"
    assert len(steps) == 2 * len(names)
    record = Record.parse(written[PATH])
    assert {name: record.ids[f"token:{name}"] for name in names} == {name: now[name]["id"] for name in names}
    for key in (*before.values(), *made.token_keys.values()):
        assert key not in "".join((*written.told, *steps))


def test_a_host_that_is_not_reached_keeps_its_token(gateway: FakeOneAPI, written: Written) -> None:
    made = make_gateway("agent1", "agent2")
    del made.node.machine.run.machines["agent2"]
    before = _with_tokens(gateway, VERIFICATION_TOKEN, "agent1", "agent2")
    assert renew(made) == [True]
    assert {row["name"]: row["key"] for row in gateway.tokens}["agent2"] == before["agent2"]
    assert any("the token agent2 was not rotated: agent2 is not reached" in text for text in written.told)


def test_a_disabled_token_stays_disabled(gateway: FakeOneAPI, written: Written) -> None:
    made = make_gateway("agent1")
    _with_tokens(gateway, VERIFICATION_TOKEN, "agent1")
    gateway.tokens[1]["status"] = 2
    assert renew(made) == [True]
    assert [row["status"] for row in gateway.tokens if row["name"].startswith("agent1")] == [2]
    assert any("it is disabled, which shuts its host out" in text for text in written.told)


def test_a_gateway_that_says_no_is_told_and_the_old_keys_work(gateway: FakeOneAPI, written: Written) -> None:
    made = make_gateway("agent1")
    before = _with_tokens(gateway, VERIFICATION_TOKEN, "agent1")
    gateway.refusal = "数据库错误"
    assert renew(made) == [False]
    assert {row["name"]: row["key"] for row in gateway.tokens} == before
    assert "not all tokens are new" in written.told[-1]


def test_what_a_plan_puts_for_a_key_is_never_written(gateway: FakeOneAPI) -> None:
    """The gateway may fail before it has made any."""
    made = make_gateway("agent1")
    state: Any = made.node.host.state
    agent = made.node.machine.run.machines["agent1"]
    agent.host.state.is_executing = state.is_executing = False
    for each in (agent, made.node.machine):
        list(rotation._renew_tokens._inner(each))  # type: ignore[attr-defined]
    assert set(made.token_keys) == {"agent1"}
    assert gateway.changes == []
    agent.host.state.is_executing = True
    list(rotation._renew_tokens._inner(agent))  # type: ignore[attr-defined]
    assert made.token_keys == {}


def test_a_gateway_that_is_not_deployed_is_refused(tmp_path: Path) -> None:
    run = fake_hosts.run(
        tmp_path,
        *("-y", "--data", "keys=all"),
        script=SCRIPT,
        environment={},
        gateways=[fake_hosts.host("gw1")],
        openclaw=[fake_hosts.host("agent1", OPENCLAW | fake_hosts.FRESH)],
    )
    told = run.stdout + run.stderr
    assert run.returncode == 1
    assert "no deployment has been completed in /opt/openclaw-llm-gateway: run deploy.py first" in told, told
    assert "Traceback" not in told


def test_declared_tokens_keep_their_keys_and_that_is_told(gateway: FakeOneAPI, written: Written) -> None:
    made = make_gateway(gateway_tokens=[{"name": "laptop"}])
    before = _with_tokens(gateway, VERIFICATION_TOKEN, "laptop")
    assert renew(made) == [True]
    assert {row["name"]: row["key"] for row in gateway.tokens}["laptop"] == before["laptop"]
    assert any("the tokens of gateway_tokens keep their keys (laptop)" in text for text in written.told)


def _run(
    place: Path, *arguments: str, changed: dict[str, str] | None = None, **settings: Any
) -> subprocess.CompletedProcess[str]:
    """On hosts that are deployed; `changed` are other answers of the gateway."""
    hosts = deployed("@fake/gw1", "@fake/agent1")
    responses = {"grep -oE": [], "then echo yes": ["yes"]}
    return fake_hosts.run(
        place,
        *arguments,
        script=SCRIPT,
        environment={},  # no provider key is needed
        gateways=[fake_hosts.host("gw1", {**hosts.gateway, **(changed or {})}, fake_responses=responses, **settings)],
        openclaw=[fake_hosts.host("agent1", hosts.agent)],
    )


@pytest.mark.parametrize(
    ("keys", "steps_to_come"),
    [
        ("tokens", [NEW_TOKENS, POINT]),
        ("root_password", [NEW_SECRETS]),
        ("access_token,session_secret", [NEW_SECRETS]),
        ("all", [NEW_SECRETS, NEW_TOKENS, POINT]),
    ],
)
def test_a_plan_shows_what_is_to_come(tmp_path: Path, keys: str, steps_to_come: list[str]) -> None:
    run = _run(tmp_path, "--dry", "--json", "--data", f"keys={keys}")
    assert run.returncode == 0, run.stderr
    assert fake_hosts.planned(run) == steps_to_come
    assert ("to come: a new token @fake/agent1" in run.stderr) == (NEW_TOKENS in steps_to_come)
    for secret in (*vars(GENERATED).values(), "relay-key-1", "0" * 48):
        assert secret not in run.stdout + run.stderr


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"container": "[]", "listeners": ""}, "the gateway does not run as declared: run deploy.py first"),
        ({"next_secrets": "SESSION_SECRET=half\n"}, "secrets.env.next, which a rotation has left, is damaged"),
        ({"busy": "deploy.py by wei@laptop"}, "(deploy.py by wei@laptop): run again when it has ended"),
    ],
)
def test_what_stands_in_the_way_is_told_before_anything_is_touched(
    tmp_path: Path, changed: dict[str, str], words: str
) -> None:
    run = _run(tmp_path, "-y", "--data", "keys=all", changed=changed)
    told = run.stdout + run.stderr
    assert run.returncode == 1
    assert words in told, told
    assert "nothing was changed" in told
    assert "Starting operation" not in told


def test_a_gateway_that_is_declared_otherwise_is_to_be_deployed_first(tmp_path: Path) -> None:
    run = _run(tmp_path, "-y", "--data", "keys=tokens", gateway_timezone="UTC")
    assert run.returncode == 1
    assert "the compose file, the compose file of the first start is not as declared: run deploy.py first" in run.stderr
