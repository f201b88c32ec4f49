"""Declarations that do not go with those of the hosts around them, told before anything is touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llm_gateway.contents.desired import CANARY_TOKEN, VERIFICATION_TOKEN, token_name
from llm_gateway.hosts.topology import Run
from llm_gateway.tasks import preflight
from tests.unit import fake_hosts
from tests.unit.fake_hosts import FRESH, OPENCLAW
from tests.unit.test_declarations import channel
from tests.unit.test_refusals import refusal
from tests.unit.topology import make_agent, make_node

pytestmark = pytest.mark.slow

CHANNELS = [channel(models=["chat", "embed", "spare"])]
LONG = "a-host-whose-name-is-longer-than-thirty-bytes"


def found(gateway: dict[str, Any], agent: dict[str, Any] | None = None, name: str = "agent1") -> list[str]:
    """What is told of a gateway and of the OpenClaw host that uses it, with these settings."""
    models = {"llm_model": "chat", "embedding_model": "embed"}
    run = Run()
    hosts = [
        make_node(run=run, **{"gateway_channels": CHANNELS, **models, **gateway}),
        make_agent({**FRESH, **OPENCLAW}, name=name, run=run, **{**models, **(agent or {})}),
    ]
    return [problem for host in hosts for problem in preflight.declaration_problems(host.machine)]


def test_what_goes_together_is_in_order() -> None:
    assert found({"gateway_tokens": [{"name": "mine", "models": ["spare"]}], "gateway_prune": ["token:old"]}) == []
    assert found({"llm_model": "other", "gateway_channels": []}) == [], "its channels are made by hand"


def test_a_model_of_the_gateway_that_no_channel_serves() -> None:
    assert found({"llm_model": "spar"}) == [
        "llm_model: spar is served by no channel of gateway_channels; did you mean 'spare'?"
        " Otherwise add it to the models of one"
    ]


def test_a_model_of_an_openclaw_host_that_no_channel_of_its_gateway_serves() -> None:
    assert found({}, {"embedding_model": "vectors"}) == [
        "embedding_model: at its gateway gw1, vectors is served by no channel of gateway_channels:"
        " add it to the models of one"
    ]


def test_models_of_a_disabled_channel() -> None:
    assert found(
        {"gateway_channels": [channel(models=["chat"]), channel(name="d", models=["embed"], status="disabled")]}
    ) == [
        "embedding_model: embed is served by no channel that is enabled and of the group default:"
        " enable d, or add that group to it",
        "embedding_model: at its gateway gw1, embed is served by no channel that is enabled and of the group default:"
        " enable d, or add that group to it",
    ]


@pytest.mark.parametrize("agent", ["agent1", LONG])
def test_a_token_with_the_name_of_one_that_is_made_without_being_declared(agent: str) -> None:
    names = [token_name(agent), VERIFICATION_TOKEN, CANARY_TOKEN]
    assert found({"gateway_tokens": [{"name": name} for name in [*names, "mine"]]}, name=agent) == [
        f"gateway_tokens: token {names[0]} is made for {agent} already: choose another name",
        f"gateway_tokens: token {names[1]} is made for verification already: choose another name",
        f"gateway_tokens: token {names[2]} is made for the canary already: choose another name",
    ]
    assert found({"gateway_prune": [f"token:{name}" for name in names]}, name=agent) == [
        f"gateway_prune: token:{names[0]} is needed by {agent}: take it out of the list",
        f"gateway_prune: token:{names[1]} is needed by verification: take it out of the list",
        f"gateway_prune: token:{names[2]} is needed by the canary: take it out of the list",
    ]


def test_secrets_of_a_config_are_asked_for_too() -> None:
    channels = [channel(key="MINIMAX_API_KEY", config={"sk": "MY_SK", "vertex_ai_adc": "MY_ADC"})]
    document = {"MINIMAX_API_KEY": "key", "MY_ADC": '{"private key": "of tests"}'}
    (told,) = preflight.missing_secrets(make_node(gateway_channels=channels, secrets=document).machine)
    assert told.startswith("MY_SK: this secret is missing; `export MY_SK=…` in the shell")


def test_all_of_it_is_told_at_once_through_pyinfra(tmp_path: Path) -> None:
    told = refusal(
        tmp_path,
        "-y",
        gateways=[
            fake_hosts.host("gw1", gateway_channels=[channel(key="sk-hush", type="opnai"), channel(models=["a,b"])]),
            fake_hosts.host(
                "gw2",
                gateway_tokens=[{"name": "@fake/agent1"}, {"name": "t", "models": ["qwen3-plus"]}],
                gateway_options={"RetryTime": "hush"},
                llm_model="other",
            ),
        ],
        openclaw=[
            fake_hosts.host("agent1", {**FRESH, **OPENCLAW}, openclaw_gateway="@fake/gw2", embedding_model="vectors"),
            fake_hosts.host("agent2", {**FRESH, **OPENCLAW}),
            fake_hosts.host(
                "agent3", {**FRESH, **OPENCLAW}, openclaw_gateway=["@fake/gw1", "@fake/gw2"], llm_model="z"
            ),
        ],
    )
    for problem in (
        '@fake/gw1: gateway_channels: channel c: key must be the NAME of a secret, such as "DASHSCOPE_API_KEY"',
        "@fake/gw1: gateway_channels: channel c: type cannot be used: there is no channel type 'opnai'",
        "@fake/gw1: gateway_channels: channel c: models must be a model name without spaces, commas or quotes",
        "@fake/gw2: gateway_tokens: token @fake/agent1 is made for @fake/agent1 already",
        "@fake/gw2: gateway_tokens: token t: qwen3-plus is served by no channel of gateway_channels; did you mean",
        "@fake/gw2: gateway_options: there is no option 'RetryTime'; did you mean 'RetryTimes'?",
        "@fake/gw2: llm_model: other is served by no channel",
        "@fake/agent1: embedding_model: at its gateway @fake/gw2, vectors is served by no channel",
        "@fake/agent2: openclaw_gateway: name one of the gateways",
        "@fake/agent3: llm_model: at its fallback @fake/gw2, z is served by no channel",
    ):
        assert told.count(f"  - {problem}") == 1, told
    assert "hush" not in told


@pytest.mark.parametrize(
    "data",
    ["gateway_prune=True", 'gateway_prune=["channel:old"]', "gateway_prune=channel:old", "gateway_force_keys=true",
     'gateway_options={"RetryTimes": 2}', 'gateway_tokens=[{"name": "t"}]'],
)  # fmt: skip
def test_declarations_on_the_command_line(tmp_path: Path, data: str) -> None:
    """pyinfra reads JSON, numbers and truth values there, and takes all else as text."""
    result = fake_hosts.run(tmp_path, "--dry", "--data", data, gateways=[fake_hosts.host("gw1")])
    assert result.returncode == 0, result.stderr


def test_a_wrong_declaration_on_the_command_line(tmp_path: Path) -> None:
    told = refusal(tmp_path, "-y", "--data", "gateway_prune=yes", gateways=[fake_hosts.host("gw1")])
    assert '@fake/gw1: gateway_prune: must be False, True, or names such as ["channel:old", "token:old-host"]' in told


def test_verification_leaves_the_models_to_the_gateway_itself(tmp_path: Path) -> None:
    """What is deployed may be another declaration than this one: only the gateway can tell."""
    hosts = [fake_hosts.host("gw1", llm_model="other")]
    result = fake_hosts.run(tmp_path, "--dry", script="verify.py", gateways=hosts)
    assert result.returncode == 0, result.stderr
