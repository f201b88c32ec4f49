"""`deploys/remove.py` takes off what was installed and nothing else, also where it is cut off at any of its steps."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.conftest import INVENTORY, WORKSPACE, Lab, Run
from tests.lab.faults import kill_where, running
from tests.lab.rows import DIRECTORY, OLD_DIRECTORY, rows
from tests.lab.snapshot import snapshot, without

pytestmark = pytest.mark.flavours

SCRIPT = "deploys/remove.py"
GATEWAY, AGENT, OLD = "gwr", "agentr", "oldr"
HOSTS = (GATEWAY, AGENT, OLD)
YES = f"yes={','.join(HOSTS)}"
ENV = "/home/openclaw/.openclaw/.env"
HOME = "/var/lib/openclaw-llm-gateway"
DAEMON_JSON = "/etc/docker/daemon.json"
BACKUPS = f"{DIRECTORY}/backups"
LIMITS = ("--limit", "gw1", *(word for host in HOSTS for word in ("--limit", host)))
# Docker, nftables and sqlite3 stay on purpose; what their packages bring is no question here.
_PACKAGES = (
    "export DEBIAN_FRONTEND=noninteractive && apt-get update -qq && apt-get install -qq -y --no-install-recommends"
    " iptables ca-certificates docker.io docker-cli docker-compose nftables sqlite3 >/dev/null &&"
    " systemctl enable --quiet --now docker && ldconfig"
)


def _remove(lab: Lab, *arguments: str) -> Run:
    return lab.pyinfra(*LIMITS, *arguments, INVENTORY, SCRIPT)


def _deploy(lab: Lab) -> None:
    run = lab.deploy(*LIMITS, environment={"ONEAPI_ROOT_PASSWORD": _old_password(lab)})
    assert run.code == 0, run.output[-5000:]


def _old_password(lab: Lab) -> str:
    """Root's password of the gateway whose data a removal has left, from its last backup; "" before there is one."""
    newest = f"$(ls -1 {OLD_DIRECTORY}/backups/gateway-*.tar.gz 2>/dev/null | tail -n 1)"
    secrets = lab.ssh(OLD, f'[ -z "{newest}" ] || tar -xOzf "{newest}" secrets.env')
    found = [line.split("=", 1)[1] for line in secrets.splitlines() if line.startswith("ONEAPI_ROOT_PASSWORD=")]
    return found[0] if found else ""


def _snapshots(lab: Lab) -> dict[str, list[str]]:
    """All hosts, but for the data, which a gateway writes at any time, and the journal of who was there."""
    left_out = (f"{DIRECTORY}/data", f"{OLD_DIRECTORY}/data", "/var/lib/openclaw-llm-gateway/journal.jsonl")
    return {host: without(snapshot(lab, host), *left_out) for host in HOSTS}


def _ours_kept(lines: list[str]) -> list[str]:
    """All but the backups, and the directory that holds them alone."""
    kept = without(lines, BACKUPS, f"{OLD_DIRECTORY}/backups")
    return [line for line in kept if not line.startswith(f"is drwxr-xr-x root:root {DIRECTORY} ")]


def _difference(before: list[str], after: list[str]) -> list[str]:
    one, other = set(_ours_kept(before)), set(_ours_kept(after))
    return sorted([f"- {line}" for line in one - other] + [f"+ {line}" for line in other - one])


@pytest.fixture(scope="module")
def before(deployed: Lab) -> Iterator[dict[str, list[str]]]:
    """The hosts as they were before their first deployment, by name; now they are deployed."""
    with deployed.more_hosts(f"{GATEWAY}:fresh", f"{AGENT}:agent", f"{OLD}:legacy"):
        for host in (GATEWAY, OLD):
            deployed.ssh(host, _PACKAGES)
        person_s = f"""echo '{{ "live-restore": false }}' > {DAEMON_JSON} && chmod 640 {DAEMON_JSON}"""
        deployed.ssh(GATEWAY, f"{person_s} && systemctl restart docker")
        found = {host: snapshot(deployed, host) for host in HOSTS}
        mirrors = deployed.deploy("--limit", GATEWAY, "--data", 'docker_registry_mirrors=["https://mirror.example"]')
        assert mirrors.code == 0, mirrors.output[-5000:]
        assert "mirror.example" in deployed.ssh(GATEWAY, f"cat {DAEMON_JSON}")
        _deploy(deployed)
        yield found


def test_a_missing_or_wrong_confirmation_touches_nothing(deployed: Lab, before: dict[str, list[str]]) -> None:
    now = _snapshots(deployed)
    _remove(deployed, "-y").must_fail_with("by name: --data yes=gw1,")
    _remove(deployed, "-y", "--data", "yes=gw9").must_fail_with("yes=gw9 names gw9", "the hosts of this run are gw1")
    _remove(deployed, "-y", "--data", "yess=gw1").must_fail_with("did you mean 'yes'?")
    # A gateway whose agents stay is not removed under them.
    _remove(deployed, "-y", "--data", "yes=gw1").must_fail_with("gw1: ", f"{AGENT} would be without a gateway")
    answered = _answered(AGENT, GATEWAY)
    assert answered.code == 1, answered.output
    assert "These are not the names" in answered.output
    assert _snapshots(deployed) == now


def _answered(answer: str, limit: str) -> Run:
    """A run that asks, and gets this answer at a terminal."""
    with running("--limit", limit, INVENTORY, SCRIPT, typed=f"{answer}\n") as run:
        return run.end()


def test_a_plan_changes_nothing(deployed: Lab, before: dict[str, list[str]]) -> None:
    now = _snapshots(deployed)
    run = _remove(deployed, "--dry", "--data", YES)
    assert run.code == 0, run.output[-3000:]
    for name in ("Stop the gateway and keep a last backup", "Give OpenClaw its environment back", "Revoke the tokens"):
        assert name in run.output
    assert _snapshots(deployed) == now


def test_where_no_backup_can_be_made_the_gateway_serves_on(deployed: Lab, before: dict[str, list[str]]) -> None:
    deployed.ssh(GATEWAY, f"rm -rf {BACKUPS} && echo 'in the way' > {BACKUPS}")
    run = _remove(deployed, "-y", "--data", f"yes={GATEWAY}")
    run.must_fail_with("nothing was removed, because there is no last backup")
    _await_answer(deployed, GATEWAY)
    deployed.ssh(GATEWAY, f"rm {BACKUPS}")
    assert deployed.ssh(GATEWAY, "systemctl is-enabled openclaw-llm-gateway") == "enabled"


def _await_answer(lab: Lab, host: str) -> None:
    waiting = f"until curl -sf -m 2 http://{lab.address(host)}:3000/api/status; do sleep 0.2; done"
    assert lab.command("peer", "--", "timeout", "60", "sh", "-c", waiting).code == 0


def _is_step(line: str) -> bool:
    return "remove: " in line or "openclaw: restarting" in line


def test_cut_off_at_each_step_the_next_run_completes_it(deployed: Lab, before: dict[str, list[str]]) -> None:
    tokens = {row["name"] for row in rows(deployed, "gw1")["tokens"]}
    assert AGENT in tokens
    seen: set[str] = set()
    command = [*LIMITS, INVENTORY, SCRIPT, "--data", f"yes={GATEWAY},{AGENT}"]
    began = time.monotonic()
    while True:
        step, run = kill_where(lambda line: _is_step(line) and line.strip() not in seen, *command)
        if step is None:
            assert run.code == 0, run.output[-3000:]
            break
        seen.add(step)
        assert time.monotonic() - began < 400, seen
    print(f"killed at {len(seen)} steps:", *sorted(seen), sep="\n  ")
    assert len(seen) >= 13, seen
    assert _difference(before[GATEWAY], snapshot(deployed, GATEWAY)) == []
    assert _difference(before[AGENT], snapshot(deployed, AGENT)) == []
    assert {row["name"] for row in rows(deployed, "gw1")["tokens"]} == tokens - {AGENT}


def test_a_gateway_that_was_there_before_gets_its_files_and_its_data_back(
    deployed: Lab, before: dict[str, list[str]], tmp_path: Path
) -> None:
    data = f"{OLD_DIRECTORY}/data"
    run = _remove(deployed, "-y", "--data", f"yes={OLD}", "--data", f"fetch={tmp_path}")
    assert run.code == 0, run.output[-3000:]
    after = snapshot(deployed, OLD)
    assert _difference(without(before[OLD], data), without(after, data)) == []
    assert any(line.startswith(f"is drwxr-xr-x root:root {data} ") for line in after), "with its former mode"
    assert rows(deployed, OLD)["users"], "with what was written since"
    assert "the files and the data of the gateway that was there before" in " ".join(run.output.split())
    (fetched,) = tmp_path.glob(f"{OLD}/gateway-*.tar.gz")
    assert fetched.stat().st_mode & 0o777 == 0o600


def test_the_last_backup_has_the_data(deployed: Lab, before: dict[str, list[str]]) -> None:
    listed = deployed.ssh(GATEWAY, f"cd {BACKUPS} && tar -tzf $(ls -1 gateway-*.tar.gz | tail -n 1)").splitlines()
    assert {"manifest.json", "one-api.db", "secrets.env"} <= {*listed}
    assert deployed.ssh(GATEWAY, f"stat -c '%a %U' {BACKUPS} {BACKUPS}/gateway-*.tar.gz | sort -u").splitlines() == [
        "600 root",
        "700 root",
    ]
    assert "remove.py" in deployed.ssh(GATEWAY, f"cat {BACKUPS}/journal-*.jsonl")


def test_a_second_removal_changes_nothing_and_says_so(deployed: Lab, before: dict[str, list[str]]) -> None:
    now = _snapshots(deployed)
    run = _remove(deployed, "-y", "--data", YES)
    assert run.code == 0, run.output[-3000:]
    assert run.output.count("no deployment found on this host; nothing to remove") == len(HOSTS)
    assert _snapshots(deployed) == now


def test_what_a_person_has_changed_since_stays(deployed: Lab, before: dict[str, list[str]]) -> None:
    _deploy(deployed)
    former = deployed.ssh(AGENT, f"cat {ENV}.before-llm-gateway")
    deployed.ssh(AGENT, f"echo 'LATER=added' >> {ENV} && sed -i '1i # on top' {ENV}")
    drop_ins = "/etc/systemd/system/openclaw-llm-gateway.service.d"
    deployed.ssh(GATEWAY, f"echo mine > {DIRECTORY}/notes.txt && mkdir -p {drop_ins}")
    theirs = (f"{HOME}/notes.txt", f"{HOME}/metrics/mine.prom", f"{DIRECTORY}/data/notes.txt")
    deployed.ssh(GATEWAY, f"mkdir -p {HOME}/metrics && echo mine | tee {' '.join(theirs)}")
    client = f"{WORKSPACE}/skills/shared/llm_client.js"
    deployed.ssh(AGENT, f"echo '// edited' >> {client}")
    answered = _answered(AGENT, AGENT)
    assert answered.code == 0, answered.output
    assert deployed.ssh(AGENT, f"cat {ENV}") == f"# on top\n{former}\nLATER=added"
    assert deployed.ssh(AGENT, f"tail -n 1 {client}") == "// edited"
    assert f"{client} was changed by hand" in " ".join(answered.output.split())
    assert AGENT in {row["name"] for row in rows(deployed, "gw1")["tokens"]}, "its gateway was not in that run"
    run = _remove(deployed, "-y", "--data", f"yes={GATEWAY},{AGENT}")
    assert run.code == 0, run.output[-3000:]
    assert AGENT not in {row["name"] for row in rows(deployed, "gw1")["tokens"]}
    assert deployed.ssh(GATEWAY, f"ls -A {DIRECTORY}").split() == ["backups", "data", "notes.txt"]
    told = " ".join(run.output.split())
    for place in (f"{DIRECTORY}/notes.txt", f"{DIRECTORY}/data", f"{HOME}/notes.txt", f"{HOME}/metrics/mine.prom"):
        assert f"{place} was kept: it is not part of the deployment" in told
    assert deployed.ssh(GATEWAY, f"find {HOME} -type f | sort").split() == sorted(theirs[:2])
    again = _remove(deployed, "-y", "--data", f"yes={GATEWAY}")
    assert "no deployment found on this host; nothing to remove" in again.output
    blocked = deployed.deploy("--limit", GATEWAY)
    blocked.must_fail_with(f"{DIRECTORY}/data holds notes.txt but no one-api.db", "move it away")
    deployed.ssh(GATEWAY, f"rm {DIRECTORY}/notes.txt && rm -r {DIRECTORY}/data {HOME} && rmdir {drop_ins}")
