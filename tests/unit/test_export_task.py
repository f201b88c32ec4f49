"""How an export reaches a gateway, deployed or not, where it writes, and what it says when it cannot."""

from __future__ import annotations

import json
import runpy
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from pyinfra.api import DeployError

from llm_gateway.hosts import remote
from llm_gateway.hosts.topology import Node, Run
from llm_gateway.tasks import export
from tests.unit import fake_hosts
from tests.unit.deployed import deployed
from tests.unit.fake_hosts import ADDRESS, FRESH
from tests.unit.fake_one_api import DEFAULT_PASSWORD, FakeOneAPI
from tests.unit.test_deploy_plan import AGENT, GATEWAY, leaks, prelude
from tests.unit.topology import make_machine, make_node

PASSWORD = "a-persons-own"
RUNNING = {"State": {"Running": True}, "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.2"}}}}
LISTENS = 'LISTEN 0 4096 {}:3000 0.0.0.0:* users:(("x",pid=9,fd=4))\n'


@pytest.fixture
def one_api(monkeypatch: pytest.MonkeyPatch) -> FakeOneAPI:
    """A gateway that nobody has deployed, with a channel."""
    found = FakeOneAPI("its-own-access-token")
    found.options["RegisterEnabled"] = "true"
    row = {"type": 1, "base_url": "https://a.example", "models": "m1", "group": "default", "status": 1}
    found.channels = [{"id": 1, "name": "dashscope", **row}]
    monkeypatch.setattr(export, "route", found.route)
    return found


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is said to the person."""
    lines: list[str] = []
    monkeypatch.setattr(remote, "tell", lambda host, text, *_: lines.append(text))
    return lines


def hand_made(output: object, secrets: dict[str, str] | None = None, **answers: str) -> Node:
    """A host with a gateway that no deployment has made, and no user root."""
    values = {**FRESH, "uid": "1000\n", "container": json.dumps([RUNNING]), **answers}
    made = make_node(values, secrets={} if secrets is None else secrets)
    data = {"export_output": str(output)}
    made.host.state = SimpleNamespace(inventory=SimpleNamespace(get_override_data=lambda: data))  # type: ignore[assignment]
    return made


def test_one_login_and_nothing_is_changed(one_api: FakeOneAPI, told: list[str], tmp_path: Path) -> None:
    one_api.password = PASSWORD
    export.write(hand_made(tmp_path / "new" / "declared", {"ONEAPI_ROOT_PASSWORD": PASSWORD}).machine)
    assert one_api.tried == [PASSWORD]
    assert one_api.changes == []
    (file,) = (tmp_path / "new" / "declared").iterdir()
    assert [channel["key"] for channel in runpy.run_path(str(file))["gateway_channels"]] == ["DASHSCOPE_API_KEY"]
    assert PASSWORD not in file.read_text() + "\n".join(told)
    assert told[-2:] == [
        f"{file}: 1 of 1 channels, 0 of 0 tokens, 3 options",
        "secrets to hand in: DASHSCOPE_API_KEY",
    ]
    assert any("it is open now, and the deployment closes it" in line for line in told)


def test_one_apis_own_password_is_tried_where_none_is_handed_in(
    one_api: FakeOneAPI, told: list[str], tmp_path: Path
) -> None:
    export.write(hand_made(tmp_path).machine)
    assert one_api.tried == [DEFAULT_PASSWORD]
    assert (tmp_path / "gw1.py").exists()


@pytest.mark.parametrize(
    ("secrets", "fix"), [({}, "is missing: export it"), ({"ONEAPI_ROOT_PASSWORD": "wrong"}, "is not root's: correct")]
)
def test_a_wrong_password_is_told(one_api: FakeOneAPI, tmp_path: Path, secrets: dict[str, str], fix: str) -> None:
    one_api.password = PASSWORD
    with pytest.raises(DeployError, match=f"gw1: ONEAPI_ROOT_PASSWORD {fix}"):
        export.write(hand_made(tmp_path, secrets).machine)
    assert len(one_api.tried) == 1, "log-ins are counted by One API"
    assert list(tmp_path.iterdir()) == []


def test_too_many_log_ins_are_told(one_api: FakeOneAPI, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(one_api, "_log_in", lambda password: httpx.Response(429))
    with pytest.raises(DeployError, match="takes no more log-ins for now: run this again in 20 minutes"):
        export.write(hand_made(tmp_path).machine)


@pytest.mark.parametrize(
    ("container", "listeners", "way"),
    [
        (RUNNING, "", ("172.17.0.2", 3000)),
        (None, LISTENS.format(ADDRESS), (ADDRESS, 3000)),
        (None, LISTENS.format(".".join("0000")), ("127.0.0.1", 3000)),
        (None, LISTENS.format("*"), ("127.0.0.1", 3000)),
        ({**RUNNING, "State": {"Running": False}}, LISTENS.format("127.0.0.1"), ("127.0.0.1", 3000)),
        (
            {**RUNNING, "NetworkSettings": {"Networks": {"host": {"IPAddress": ""}}}},
            LISTENS.format("*"),
            ("127.0.0.1", 3000),
        ),
    ],
)
def test_the_way_to_a_gateway(container: Any, listeners: str, way: tuple[str, int]) -> None:
    values = {"container": json.dumps([container] if container else []), "listeners": listeners}
    assert export._way(hand_made("-", **values)) == way


def test_no_gateway_at_all_is_told(one_api: FakeOneAPI, tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=r"no gateway runs there: .* start it, or set gateway_port"):
        export.write(hand_made(tmp_path, container="", listeners=LISTENS.format("192.168.1.1")).machine)


def test_a_persons_file_is_not_written_over(one_api: FakeOneAPI, told: list[str], tmp_path: Path) -> None:
    export.write(hand_made(tmp_path).machine)
    file = tmp_path / "gw1.py"
    export.write(hand_made(tmp_path).machine)  # the same again
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_text(file.read_text() + "# mine\n")
    with pytest.raises(DeployError, match=r"gw1.py exists with other content: .*--output"):
        export.write(hand_made(tmp_path).machine)
    assert file.read_text().endswith("# mine\n")
    assert list(tmp_path.iterdir()) == [file]


def test_a_directory_that_is_a_file_is_told(one_api: FakeOneAPI, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DeployError, match=r"gw1\.py cannot be written: .*file"):
        export.write(hand_made(tmp_path / "file").machine)


def test_stdout_holds_the_file_of_one_gateway(
    one_api: FakeOneAPI, told: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    export.write(hand_made("-").machine)
    assert capsys.readouterr().out.startswith("# What a gateway holds")
    several = hand_made("-")
    several.machine.run.machines["gw2"] = make_machine(name="gw2")
    with pytest.raises(DeployError, match="only one gateway can be written to stdout; `--limit gw1`"):
        export.write(several.machine)


def test_hosts_get_a_file_each() -> None:
    run = Run()
    hosts = [make_node(name=name, run=run) for name in ("@docker/a b", "@docker/a?b", "../gw1", "@")]
    files = [export._file(host, Path("declared")).as_posix() for host in hosts]
    assert files == ["declared/docker-a-b.py", "declared/docker-a-b-2.py", "declared/gw1.py", "declared/gateway.py"]


def test_a_deployed_gateway_by_its_command(tmp_path: Path) -> None:
    """With pyinfra, on fake hosts: no provider key is needed, and no question asked."""
    done = deployed(GATEWAY, AGENT)
    result = fake_hosts.run(
        tmp_path,
        *("-v", "--data", f"export_output={tmp_path / 'declared'}"),
        script="deploys/export.py",
        prelude=prelude(tmp_path, channels=done.channels, tokens=done.tokens),
        environment={},
        gateways=[fake_hosts.host("gw1", done.gateway)],
        openclaw=[fake_hosts.host("agent1", done.agent)],
    )
    printed = result.stdout + result.stderr
    assert result.returncode == 0, printed
    assert "Traceback" not in printed
    assert "nothing was changed" not in printed, "that is for runs which could have changed something"
    file = tmp_path / "declared" / "fake-gw1.py"
    assert leaks(printed + file.read_text()) == []
    values = runpy.run_path(str(file))
    assert [channel["name"] for channel in values["gateway_channels"]] == ["dashscope", "minimax"]
    assert values["gateway_tokens"] == [], "those of verification and of the OpenClaw host are not declared"
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert all(len(commands) == 1 for commands in seen["hosts"].values()), "the one that reads a host's state"
