"""The lab's state, its inventory and its command line, without Docker."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from pyinfra.api.exceptions import PyinfraError

from lab import state
from lab.errors import LabError

CHECKOUT = Path(__file__).resolve().parents[2]
HOST = state.Host("fresh", "172.30.4.10", "100.64.4.10", 22, "operator", "/k", "/known_hosts")


@pytest.fixture
def lab_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for labs' state that is not the checkout's."""
    monkeypatch.setattr(state, "LAB_ROOT", tmp_path / ".lab")
    monkeypatch.setenv("LAB_NAME", "unit")
    return tmp_path / ".lab"


def a_lab(complete: bool = True) -> state.LabState:
    return state.LabState(
        name="unit",
        tailnet_subnet="100.64.4.0/24",
        lan_subnet="172.30.4.0/24",
        hosts={"gw1": HOST},
        upstream=state.Upstream("http://172.30.4.5:8080", "sk-lab-secret", "m", "m", 576),
        gateway_image=state.GatewayImage("openclaw-lab/one-api-stand-in:1", "/a.tar", True),
        gateway_images={"new-api": state.GatewayImage("calciumion/new-api:v1", None, False)},
        complete=complete,
    )


def test_state_is_read_back_as_it_was_saved(lab_root: Path) -> None:
    state.save(a_lab())
    assert state.load() == a_lab()


def test_state_is_readable_by_its_owner_alone(lab_root: Path) -> None:
    before = os.umask(0)
    try:
        state.save(a_lab())
    finally:
        os.umask(before)
    assert (lab_root / "unit").stat().st_mode & 0o777 == 0o700
    assert (lab_root / "unit" / "state.json").stat().st_mode & 0o777 == 0o600


def test_a_lab_that_is_not_up_is_told_with_its_fix(lab_root: Path) -> None:
    with pytest.raises(LabError, match=r"'unit' is not up\n  fix: LAB_NAME=unit python -m lab up"):
        state.load()


def test_a_lab_that_is_half_up_is_not_loaded(lab_root: Path) -> None:
    state.save(a_lab(complete=False))
    with pytest.raises(LabError, match="half up"):
        state.load()
    assert state.load_if_any() is not None


def test_a_damaged_state_is_told(lab_root: Path) -> None:
    state.save(a_lab())
    (lab_root / "unit" / "state.json").write_text('{"name": "unit"}', encoding="utf-8")
    with pytest.raises(LabError, match="is damaged"):
        state.load()


@pytest.mark.parametrize("name", ["Lab", "cache", "a b", "../x", "1lab", "x" * 22])
def test_an_unusable_lab_name_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_NAME", name)
    with pytest.raises(LabError, match="is not a valid name for a lab"):
        state.lab_name()


def test_state_needs_no_docker_and_no_other_package() -> None:
    code = "import sys; sys.modules['subprocess'] = None; import lab.state"
    subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = ['.']; {code}"], cwd=CHECKOUT, check=True
    )


def test_the_inventory_of_a_lab_that_is_not_up_is_an_error_of_pyinfra(lab_root: Path) -> None:
    with pytest.raises(PyinfraError, match="python -m lab up"):
        runpy.run_path(str(CHECKOUT / "lab" / "inventory.py"))


def test_the_inventory_groups_hosts_by_name_and_profile(lab_root: Path) -> None:
    lab = a_lab()
    for name, profile in (("agent1", "agent"), ("old1", "legacy"), ("box", "agent")):
        lab.hosts[name] = state.Host(profile, "172.30.4.11", "100.64.4.11", 22, "u", "/k", "/h")
    state.save(lab)
    names = runpy.run_path(str(CHECKOUT / "lab" / "inventory.py"))
    groups = {key for key, value in names.items() if isinstance(value, list) and key[0] != "_"}
    assert groups == {"gateways", "openclaw"}
    assert [name for name, _ in names["gateways"]] == ["gw1", "old1"]
    assert [name for name, _ in names["openclaw"]] == ["agent1", "old1", "box"]
    data = dict(names["gateways"])["gw1"]
    assert (data["ssh_hostname"], data["_sudo"]) == ("172.30.4.10", True)
    assert "sk-lab-secret" not in repr(names["gateways"])
    assert "openclaw_workspace" not in data, "a bare host has none"
    assert {data["openclaw_workspace"] for _, data in names["openclaw"]} == {"~/.openclaw/workspace"}


def test_a_debian_12_host_is_told_where_docker_is_to_be_had(lab_root: Path) -> None:
    lab = a_lab()
    lab.packages = state.Packages("http://172.30.4.9/linux", "A" * 40)
    lab.hosts["gw2"] = state.Host("bookworm", "172.30.4.12", "100.64.4.12", 22, "u", "/k", "/h")
    state.save(lab)
    assert state.load() == lab
    gateways = dict(runpy.run_path(str(CHECKOUT / "lab" / "inventory.py"))["gateways"])
    told = {name: value for name, value in gateways["gw2"].items() if name.startswith("docker_")}
    assert told == {
        "docker_source": "docker",
        "docker_apt_url": "http://172.30.4.9/linux",
        "docker_apt_key": "A" * 40,
    }
    assert not [name for name in gateways["gw1"] if name.startswith("docker_")], "Debian 13 has its own"


def test_no_text_of_the_lab_is_lost_to_the_checkouts_ignore_list() -> None:
    ignored = subprocess.run(
        ["git", "ls-files", "--others", "--ignored", "--exclude-standard", "lab/images"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert [line for line in ignored.stdout.splitlines() if "__pycache__" not in line] == []


def test_the_command_line_tells_a_mistake_without_a_traceback() -> None:
    environment = {**os.environ, "LAB_NAME": "No Name"}
    for arguments in (["ssh", "gw1", "--", "true"], ["status"], ["up", "--hosts", "a:b"]):
        result = subprocess.run(
            [sys.executable, "-m", "lab", *arguments],
            cwd=CHECKOUT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 1
        assert "lab: error:" in result.stderr
        assert "Traceback" not in result.stderr
