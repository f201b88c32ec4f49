"""Keys are rotated: nobody is without a working one, wherever the run is cut off, and the old ones end."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.lab.asking_agent import AskingAgent, ask, is_completion
from tests.lab.conftest import INVENTORY, Lab, Run
from tests.lab.faults import await_that, kill_where
from tests.lab.rows import DIRECTORY, rows, secrets
from tests.lab.watching import Arguments

pytestmark = pytest.mark.flavours

SCRIPT = "deploys/rotate_keys.py"
BOTH = ("--limit", "gw1", "--limit", "agent1")
SECRETS = f"{DIRECTORY}/secrets.env"

# Of all files that somebody else than root can read and that are newer than the stamp: those that hold a needle.
_READABLE = """
umask 077; cat > /root/needles
runuser -u nobody -- find / -xdev -newer /root/stamp -type f -readable 2>/dev/null | tr '\\n' '\\0' |
xargs -0 -r grep -lFf /root/needles || true
rm /root/needles
"""
_POST = 'curl -s -o /dev/null -w "%{http_code}" -m 20 -K - "$0"'


def _command(keys: str, *arguments: str) -> list[str]:
    return [*arguments, INVENTORY, SCRIPT, "--data", f"keys={keys}"]


def _rotate(lab: Lab, keys: str, *arguments: str) -> Run:
    return lab.pyinfra("-y", *_command(keys, *arguments))


def _key(lab: Lab, host: str) -> str:
    return lab.ssh(host, "sed -n 's/^LLM_API_KEY=//p' /home/openclaw/.openclaw/.env").strip("'").removeprefix("sk-")


def _made(lab: Lab, name: str) -> str:
    return lab.ssh("gw1", f"sed -n 's/^{name}=//p' {SECRETS}").strip("'")


def _status_of(lab: Lab, key: str) -> str:
    """The HTTP status of the list of models, asked with a key."""
    config = f'header = "Authorization: Bearer sk-{key}"\n'
    url = f"http://{lab.address('gw1')}:3000/v1/models"
    return lab.command("peer", "--", "sh", "-c", _POST, url, stdin=config).stdout


def _is_root(lab: Lab, token: str) -> bool:
    script = 'curl -s -m 20 -H "New-Api-User: 1" -K - "http://$0:3000/api/user/self"'
    answer = lab.command(
        "peer", "--", "sh", "-c", script, lab.address("gw1"), stdin=f'header = "Authorization: {token}"'
    )
    return bool(json.loads(answer.stdout)["success"])


def _logs_in(lab: Lab, password: str, seen_from: str) -> bool:
    """`seen_from`: One API counts log-ins by the address that X-Forwarded-For names."""
    script = f'curl -s -H "X-Forwarded-For: {seen_from}" -H "Content-Type: application/json" -d @- "$0"'
    body = json.dumps({"username": "root", "password": password})
    url = f"http://{lab.address('gw1')}:3000/api/user/login"
    return bool(json.loads(lab.command("peer", "--", "sh", "-c", script, url, stdin=body).stdout)["success"])


def _token_names(lab: Lab) -> list[str]:
    return [row["name"] for row in rows(lab, "gw1")["tokens"]]


def _nothing_is_left(lab: Lab) -> None:
    assert not [name for name in _token_names(lab) if ".old-" in name]
    assert lab.ssh("gw1", f"ls -A {DIRECTORY} | grep secrets") == "secrets.env"
    assert lab.ssh("gw1", f"stat -c '%a %U' {SECRETS}") == "600 root"


def _is_as_declared(lab: Lab) -> None:
    """The check says 0, and a deployment changes nothing."""
    assert lab.pyinfra("-y", "--data", "plan_check=True", INVENTORY, "deploys/plan.py").code == 0
    again = lab.deploy("--json")
    assert again.code == 0, again.output[-4000:]
    assert json.loads(again.stdout)["results"]["totals"]["success"] == 0, again.output[-4000:]


def test_agents_complete_all_through_a_rotation_of_their_tokens(deployed: Lab) -> None:
    old = {row["name"]: row["key"] for row in rows(deployed, "gw1")["tokens"]}
    before = rows(deployed, "gw1")
    with AskingAgent(deployed, "agent1") as agent, AskingAgent(deployed, "old1") as other:
        run = _rotate(deployed, "tokens")
    assert run.code == 0, run.output[-5000:]
    print(f"completions meanwhile: {len(agent.answers)} and {len(other.answers)}, failed: {len(agent.failures)}")
    assert len(agent.answers) > 5 and len(other.answers) > 5
    assert (agent.failures, other.failures) == ([], [])

    now = {row["name"]: row["key"] for row in rows(deployed, "gw1")["tokens"]}
    for name in ("agent1", "llm-gateway-verification"):
        assert now[name] != old[name]
        assert (_status_of(deployed, old[name]), _status_of(deployed, now[name])) == ("401", "200")
    assert _key(deployed, "agent1") == now["agent1"]
    for table in ("users", "channels", "abilities", "options"):
        assert [{**row, "quota": 0, "used_quota": 0, "request_count": 0} for row in rows(deployed, "gw1")[table]] == [
            {**row, "quota": 0, "used_quota": 0, "request_count": 0} for row in before[table]
        ], table
    _nothing_is_left(deployed)
    _is_as_declared(deployed)


def test_all_keys_end_and_nobody_sees_one(deployed: Lab) -> None:
    old, token, password = (
        secrets(deployed, "gw1"),
        _made(deployed, "ONEAPI_ACCESS_TOKEN"),
        _made(deployed, "ONEAPI_ROOT_PASSWORD"),
    )
    session = _made(deployed, "SESSION_SECRET")
    deployed.ssh("gw1", "touch /root/stamp")
    with Arguments(deployed, "gw1") as arguments:
        run = _rotate(deployed, "all", "-vvv", "--diff", *BOTH)
    assert run.code == 0, run.output[-5000:]

    assert (_is_root(deployed, token), _is_root(deployed, _made(deployed, "ONEAPI_ACCESS_TOKEN"))) == (False, True)
    new_password = _made(deployed, "ONEAPI_ROOT_PASSWORD")
    assert (_logs_in(deployed, password, "10.7.0.1"), _logs_in(deployed, new_password, "10.7.0.1")) == (False, True)
    new_session = _made(deployed, "SESSION_SECRET")
    # As the container has had it since its start: a file that takes another's place on the host is not seen in there.
    read_at_start = deployed.ssh("gw1", "docker exec openclaw-llm-gateway cat /data/.env")
    assert (session in read_at_start, new_session in read_at_start) == (False, True)
    assert new_session not in deployed.ssh("gw1", "docker inspect openclaw-llm-gateway")
    _nothing_is_left(deployed)
    _is_as_declared(deployed)

    assert "secrets.env.next" in arguments, "the watcher has seen the rotation"
    channel_keys = {row["key"] for row in rows(deployed, "gw1")["channels"]}
    needles = old | secrets(deployed, "gw1")
    for secret in needles:
        assert secret not in run.output, "a secret stands in the run's output (its value is not shown here)"
        assert secret not in arguments, "a secret was an argument (its value is not shown here)"
    assert deployed.ssh("gw1", _READABLE, "\n".join(needles - channel_keys) + "\n") == ""
    assert deployed.ssh("agent1", f"touch -d -1hour /root/stamp; {_READABLE}", "\n".join(needles) + "\n") == ""


def _is_step(line: str) -> bool:
    """Operations count as well: a run can be cut off in those that tell of no step."""
    return " rotate: " in line or "Starting operation" in line


@pytest.mark.full
# Apart, so that the many steps of the tokens do not each wait for a gateway that starts anew.
@pytest.mark.parametrize("keys", ["tokens", "access_token,root_password,session_secret"])
def test_cut_off_at_any_step_the_agent_has_a_key_and_the_next_run_completes(deployed: Lab, keys: str) -> None:
    whole = _rotate(deployed, keys, *BOTH)
    steps = sum(_is_step(line) for line in whole.output.splitlines())
    assert steps > 7
    for at in range(steps):
        kill_where(_is_step, *_command(keys, *BOTH), after=at)
        # While the gateway starts anew it does not answer for a moment; a key that is refused would not come right.
        await_that(lambda: is_completion(ask(deployed, "agent1")), f"a completion after a kill at step {at}", 30)
        outcome = _next_run(deployed, keys, at)
        while "at work on this host" in outcome.output:  # the lock ends with the killed run's connection
            outcome = _next_run(deployed, keys, at)
        assert outcome.code == 0, f"after a kill at step {at}:\n{outcome.output[-4000:]}"
        assert is_completion(ask(deployed, "agent1"))
        assert _is_root(deployed, _made(deployed, "ONEAPI_ACCESS_TOKEN"))
        assert _logs_in(deployed, _made(deployed, "ONEAPI_ROOT_PASSWORD"), f"10.8.0.{at}")
        _nothing_is_left(deployed)
    _is_as_declared(deployed)


def _next_run(lab: Lab, keys: str, at: int) -> Run:
    """Either of the two that finish what was cut off."""
    return lab.deploy(*BOTH) if at % 2 else _rotate(lab, keys, *BOTH)


@pytest.fixture
def agent5(deployed: Lab) -> Iterator[None]:
    """Another agent, which is taken off the network."""
    with deployed.more_hosts("agent5:agent"):
        assert deployed.deploy("--limit", "gw1", "--limit", "agent5").code == 0
        yield


@pytest.mark.full
def test_where_an_agent_is_not_reached_or_does_not_start_the_old_key_works_on(deployed: Lab, agent5: None) -> None:
    keys = {host: _key(deployed, host) for host in ("agent1", "agent5")}
    failing = "/etc/systemd/system/openclaw-gateway.service.d/zzz-fails.conf"
    deployed.ssh("agent1", f"printf '[Service]\\nExecStartPre=/bin/false\\n' > {failing}")
    deployed.ssh(
        "agent5", "systemctl stop ssh.socket ssh.service 2>/dev/null; pkill -x -f 'sshd: .*listener.*' || true"
    )

    run = _rotate(deployed, "tokens")
    assert run.code == 1
    told = " ".join(run.output.split())
    assert "the token agent5 was not rotated: agent5 is not reached in this run" in told, told[-4000:]
    assert "the old token of agent1 stays, and its key goes on working" in told, told[-4000:]
    assert "Traceback" not in told
    for host in ("agent1", "agent5"):
        assert _status_of(deployed, keys[host]) == "200", host
    assert len([name for name in _token_names(deployed) if name.startswith("agent1.old-")]) == 1
    assert _status_of(deployed, _key(deployed, "agent1")) == "200"

    deployed.ssh("agent1", f"rm {failing}")
    assert deployed.command("host-restart", "agent5").code == 0
    fixed = deployed.deploy()
    assert fixed.code == 0, fixed.output[-4000:]
    assert (_status_of(deployed, keys["agent1"]), _status_of(deployed, keys["agent5"])) == ("401", "200")
    with AskingAgent(deployed, "agent1") as agent, AskingAgent(deployed, "agent5") as other:
        again = _rotate(deployed, "tokens")
    assert again.code == 0, again.output[-4000:]
    assert (agent.failures, other.failures) == ([], [])
    assert _status_of(deployed, keys["agent5"]) == "401"
    _nothing_is_left(deployed)
    _is_as_declared(deployed)


def test_what_cannot_be_rotated_is_refused_before_anything_is_touched(deployed: Lab) -> None:
    before = rows(deployed, "gw1")["tokens"]
    _rotate(deployed, "token").must_fail_with("there is no token to rotate; did you mean 'tokens'?")
    deployed.pyinfra("-y", INVENTORY, SCRIPT).must_fail_with("say what to rotate with --data keys=…")
    deployed.pyinfra("-y", INVENTORY, SCRIPT, "--data", "kyes=all").must_fail_with("did you mean 'keys'?")
    plan = deployed.pyinfra("--dry", INVENTORY, SCRIPT, "--data", "keys=all")
    assert plan.code == 0
    for words in ("to come: a new token agent1", "Give the gateway its new secrets", "Point OpenClaw at the gateway"):
        assert words in plan.output
    assert [(row["id"], row["key"]) for row in rows(deployed, "gw1")["tokens"]] == [(r["id"], r["key"]) for r in before]
