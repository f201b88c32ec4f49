"""An agent of OpenClaw on a gateway of new-api, and what agents get there that One API has not."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.lab.conftest import Lab
from tests.lab.flavours import ask, keys_of, on
from tests.lab.test_real_openclaw import AS_OPENCLAW, CONFIGURATION

GATEWAY, AGENT = "gwne", "agentne"
ENVIRONMENT = "/home/openclaw/.openclaw/.env"
RESPONSES = {"model": "smollm2", "input": "Say hi.", "max_output_tokens": 8}
MESSAGES = {"model": "smollm2", "max_tokens": 8, "messages": [{"role": "user", "content": "Say hi."}]}


@pytest.fixture(scope="module")
def hosts(deployed: Lab) -> Iterator[Lab]:
    with deployed.more_hosts(f"{GATEWAY}:ready", f"{AGENT}:openclaw"):
        assert deployed.state["hosts"][AGENT]["profile"] == "openclaw", "npm gave no OpenClaw to the lab"
        run = deployed.deploy(*_both(deployed))
        assert run.code == 0, run.output[-5000:]
        assert "through " + GATEWAY in run.output, "a turn of its agent was asked for"
        yield deployed


def _both(lab: Lab) -> list[str]:
    return [*on(GATEWAY, lab, "new-api"), "--limit", AGENT, "--data", f"openclaw_gateway={GATEWAY}"]


def test_an_agent_is_pointed_at_it_with_the_whole_key(hosts: Lab) -> None:
    written = hosts.ssh(AGENT, f"cat {ENVIRONMENT}")
    key = keys_of(hosts, GATEWAY)[AGENT]
    assert f"LLM_BASE_URL=http://{hosts.address(GATEWAY)}:3000/v1" in written
    assert f"LLM_API_KEY=sk-{key}" in written.replace("'", "")
    configuration = hosts.ssh(AGENT, f"cat {CONFIGURATION}")
    assert '"baseUrl": "${LLM_BASE_URL}"' in configuration and key not in configuration
    assert "*" not in written + configuration, "lists of new-api have keys with stars in them"

    command = f"cd / && {AS_OPENCLAW} openclaw agent --agent main --message 'Which colour is the sky?' --json"
    turn = json.loads(hosts.ssh(AGENT, command))["result"]
    assert "Blue." in json.dumps(turn["payloads"]), turn

    again = hosts.deploy("--json", *_both(hosts))
    assert json.loads(again.stdout)["results"]["totals"]["success"] == 0, again.output[-3000:]
    assert hosts.ssh(AGENT, f"cat {ENVIRONMENT}") == written


def test_an_agent_gets_responses_and_messages(hosts: Lab) -> None:
    """As v1.0.0-rc.15 does: the first as the channel's model answers, the second made of a chat completion."""
    key = keys_of(hosts, GATEWAY)[AGENT]
    status, text = ask(hosts, GATEWAY, key, "responses", RESPONSES)
    answer = json.loads(text)
    assert (status, answer["object"], answer["model"]) == ("200", "response", "smollm2"), text
    assert answer["output"][0]["content"][0]["text"] and answer["usage"]["output_tokens"] <= 8

    status, text = ask(hosts, GATEWAY, key, "messages", MESSAGES)
    answer = json.loads(text)
    assert (status, answer["type"], answer["role"]) == ("200", "message", "assistant"), text
    assert answer["content"][0]["text"] and answer["usage"]["output_tokens"] <= 8

    streamed = ask(hosts, GATEWAY, key, "messages", {**MESSAGES, "stream": True})[1]
    assert streamed.startswith("event: message_start") and "event: message_stop" in streamed


@pytest.mark.parametrize(("path", "body"), [("responses", RESPONSES), ("messages", MESSAGES)])
def test_one_api_has_neither(deployed: Lab, path: str, body: dict[str, object]) -> None:
    status, text = ask(deployed, "gw1", keys_of(deployed, "gw1")["agent1"], path, body)
    assert (status, json.loads(text)["error"]["message"]) == ("404", f"Invalid URL (POST /v1/{path})")
