"""Whatever stands in a file that a person, a full disk or a loss of power has left: it is read, or told in words.

On the host: .env, secrets.env, records, journals, what the backups say. Here: the file of the secrets.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from llm_gateway.hosts.record import Record
from llm_gateway.hosts.topology import Machine, Run
from llm_gateway.inputs.secrets import Generated, Provided, SecretsError
from llm_gateway.model import dotenv
from llm_gateway.parts import migration_marker
from llm_gateway.parts.backups import backup_health, scheduled_backups
from llm_gateway.parts.backups.archive import Manifest, ManifestError, Outcome
from llm_gateway.parts.docker import daemon_settings
from llm_gateway.status import differences, history
from llm_gateway.tasks import preflight
from tests.unit.deployed import deployed
from tests.unit.fuzz_values import HOSTILE, bounded, junk, spoiled
from tests.unit.topology import GENERATED, make_agent, make_node

pytestmark = pytest.mark.slow

DEPLOYED = deployed("gw1", "agent1")
GATEWAYS = (
    "secrets",
    "next_secrets",
    "applied_keys",
    *("daemon_json", "daemon_ours", "daemon_before", "docker_info", "apt_keyring"),
    "backup_last",
    "os_release",
    "unfinished",
    "undoing",
)
AGENTS = ("openclaw_env", "openclaw_dropin", "openclaw_client_record", "os_release")
DEEP = "[" * 3_000
WORDS = (
    "",
    "{}",
    "[]",
    "null",
    "0",
    '""',
    "\x00" * 64,
    DEEP,
    '{"a":' * 3_000,
    "=",
    "\ufeff",
    "1" * 5000,
    "\udcff",
    *HOSTILE,
)


def texts(whole: str) -> st.SearchStrategy[str]:
    """What may be left of a file: a part of it, another, nothing, or what is no text."""
    cut = st.integers(0, len(whole)).map(lambda length: whole[:length])
    return st.one_of(cut, spoiled(whole), st.sampled_from(WORDS), junk.map(_as_json))


def _as_json(value: Any) -> str:
    return json.dumps(value, default=str, skipkeys=True)


def looked_at(machine: Machine) -> list[str]:
    """What every run does with a host that it has read, before it touches anything."""
    told = [*preflight.problems(machine), *migration_marker.problems(machine)]
    if node := machine.node:
        node.gateway.generated = Generated.read(node.state.answers.get("secrets", GENERATED.render()))
        node.gateway.record = Record.parse(node.state.text("applied_keys"))
        told += [*scheduled_backups.problems(node), *filter(None, [backup_health.problem_of(node)])]
        with suppress(ValueError):  # which is told: see llm_gateway.parts.docker.daemon_settings.problems
            daemon_settings.change(node)
    return [*told, *differences.drift(machine).what]


def machine_with(role: str, name: str, text: str) -> Machine:
    """A gateway and its agent, of which one has this text in a file."""
    run = Run()
    changed = {"gateway": dict(DEPLOYED.gateway), "openclaw": dict(DEPLOYED.agent)}
    # As it comes over: bytes that are no UTF-8 are kept as what Python calls surrogates.
    changed[role][name] = text.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")
    node = make_node({}, name="gw1", run=run, docker_no_proxy="localhost", docker_source="docker")
    node.gateway.token_keys = {token["name"]: token["key"] for token in DEPLOYED.tokens}
    agent = make_agent({}, name="agent1", run=run)
    for each, values in ((node, changed["gateway"]), (agent, changed["openclaw"])):
        vars(each.state)["answers"] = values
    return node.machine if role == "gateway" else agent.machine


def test_a_host_that_is_as_it_was_left_has_no_problem() -> None:
    for role in ("gateway", "openclaw"):
        assert looked_at(machine_with(role, "machine", "x86_64")) == []


@pytest.mark.parametrize(("role", "name"), [*(("gateway", n) for n in GATEWAYS), *(("openclaw", n) for n in AGENTS)])
@hypothesis_settings(bounded, max_examples=40)
@given(data=st.data())
def test_what_is_left_of_a_file_on_a_host_is_read_or_told(role: str, name: str, data: st.DataObject) -> None:
    whole = (DEPLOYED.gateway if role == "gateway" else DEPLOYED.agent).get(name, "")
    made = machine_with(role, name, data.draw(texts(whole)))
    try:
        assert all(isinstance(problem, str) for problem in looked_at(made))
    except SecretsError as problem:
        assert name == "secrets"
        assert not any(secret in str(problem) for secret in vars(GENERATED).values())


def test_a_user_that_is_not_there_is_told() -> None:
    made = machine_with("openclaw", "openclaw_passwd", "")
    assert looked_at(made) == [
        "the user of openclaw-gateway.service does not exist on the host; correct its User=",
        "the user that OpenClaw runs as is not there: create it, or correct openclaw_user",
    ]


# ------------------------------------------------------------------------------------------------------- single readers

MANIFEST = {
    "format": 1,
    "made_at": "2026-11-22T10:00:00Z",
    "host": "gw1",
    "reason": "scheduled",
    "image": {"reference": "a:1", "id": "sha256:1"},
    "tables": {"users": 1},
    "members": {"one-api.db": {"size": 1, "sha256": "0" * 64}},
    "tiktoken": {"a": "b"},
    "versions": {"os": "Debian"},
}


@hypothesis_settings(bounded, max_examples=100)
@given(st.one_of(texts(json.dumps(MANIFEST)), spoiled(MANIFEST).map(_as_json)))
def test_a_manifest_is_read_or_refused(text: str) -> None:
    try:
        Manifest.parse(text)
    except ManifestError as problem:
        assert str(problem)


LAST = json.loads(DEPLOYED.gateway["backup_last"])
RECORD = json.loads(DEPLOYED.gateway["applied_keys"])


@hypothesis_settings(bounded, max_examples=100)
@given(st.one_of(texts(json.dumps(LAST)), spoiled(LAST).map(_as_json)), st.one_of(spoiled(RECORD).map(_as_json)))
def test_what_cannot_be_read_counts_as_nothing(last: str, record: str) -> None:
    Outcome.parse(last)
    assert Record.parse(record).content()


LINES: list[dict[str, Any]] = [
    {"event": "begun", "run": "a", "at": "2026-11-22T10:00:00Z", "script": "deploy.py", "who": "wei", "version": "1"},
    {"event": "changing", "run": "a", "commit": "abc"},
    {"event": "note", "run": "a", "text": "step"},
    {"event": "at work", "run": "a"},
    {"event": "undone", "at": "2026-11-22T10:00:00Z", "text": "a", "why": "b"},
    {"event": "ended", "run": "a", "at": "2026-11-22T10:00:00Z", "outcome": "done", "seconds": 1.5, "changes": ["x"]},
    {"event": "ended", "run": "a", "at": "2026-11-22T10:00:00Z", "outcome": "failed", "seconds": 1.5, "changes": []},
]


@hypothesis_settings(bounded, max_examples=100)
@given(
    st.lists(
        st.sampled_from(LINES).flatmap(lambda line: st.one_of(spoiled(line).map(_as_json), texts(json.dumps(line))))
    )
)
def test_a_journal_is_told_whatever_lines_are_in_it(lines: list[str]) -> None:
    runs, undone, unreadable = history.parse(lines)
    told = history.told(runs, undone, unreadable, 10)
    assert all(isinstance(line, str) for line in told)
    json.dumps([run.as_json() for run in runs])


@hypothesis_settings(bounded, max_examples=100)
@given(st.one_of(texts("A_API_KEY=hush\nB_API_KEY='hush'\n"), st.binary(max_size=30)))
def test_a_file_of_secrets_is_read_or_refused_without_showing_any(
    tmp_path_factory: pytest.TempPathFactory, content: str | bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "secrets.env"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    path.chmod(0o600)
    try:
        Provided(str(path), {}).get("A_API_KEY")
    except SecretsError as problem:
        assert str(problem).startswith("secrets_file: ")
        assert "hush" not in str(problem)


@pytest.mark.parametrize("path", ["/", "/dev/null", "a" * 300, "/" + "a/" * 3000, "~", "\t", "-", "/proc/self/mem"])
def test_a_path_to_secrets_that_is_no_file_is_refused(path: str) -> None:
    try:
        assert Provided(path, {}).get("A_API_KEY") is None
    except SecretsError as problem:
        assert str(problem).startswith("secrets_file: ")


@hypothesis_settings(bounded, max_examples=150)
@given(text=texts(DEPLOYED.agent["openclaw_env"]), model=st.sampled_from(["模型/x:free#{}&*!|>%n~()[]=;", "plain"]))
def test_a_persons_env_is_merged_the_same_twice_or_refused(text: str, model: str) -> None:
    try:
        merged = dotenv.merge(text, {"LLM_MODEL_ID": model})
    except dotenv.DotenvError as problem:
        assert str(problem)
    else:
        assert dotenv.merge(merged, {"LLM_MODEL_ID": model}) == merged
