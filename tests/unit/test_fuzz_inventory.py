"""An inventory is Python, so anything may stand in it: pyinfra can use it, or it is told what is wrong and where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pyinfra.api import Inventory

from llm_gateway.contents.desired import token_name
from llm_gateway.flavours import TokenSpec
from llm_gateway.inputs.inventory_groups import wrong_groups
from tests.unit import fake_hosts
from tests.unit.fuzz_values import HOSTILE, bounded, junk
from tests.unit.test_refusals import refusal
from tests.unit.unpatched_pyinfra import inventory as pyinfra_inventory

pytestmark = pytest.mark.slow

NAMES = st.one_of(st.sampled_from(["gw1", "a b", "主机'\"$(id)", "", " ", "a" * 300, *HOSTILE]), st.text(max_size=5))
HOSTS = st.one_of(NAMES, st.tuples(NAMES, st.one_of(junk, st.just({"gateway_port": 1}))), junk)
GROUPS = st.one_of(st.lists(HOSTS, max_size=3), st.tuples(st.lists(HOSTS, max_size=2), junk), junk)


@hypothesis_settings(bounded, max_examples=200)
@given(st.dictionaries(st.sampled_from(["gateways", "openclaw", "others", "_none"]), GROUPS, max_size=3))
def test_what_pyinfra_cannot_use_is_told(groups: dict[str, Any]) -> None:
    told = list(wrong_groups(groups))
    of_all = [problem for problem in told if problem.startswith("it has the groups ")]
    assert len(of_all) <= (0 if {"gateways", "openclaw"} & groups.keys() else 1)
    told = [problem for problem in told if problem not in of_all]
    assert all(problem.partition(":")[0].split(" ")[0] in groups for problem in told)
    if told:
        return
    known = {name: value for name, value in groups.items() if pyinfra_inventory._is_inventory_group(name, value)}
    assert {"gateways", "openclaw"} & set(groups) <= set(known)
    pairs = {name: value if isinstance(value, tuple) else (value, {}) for name, value in known.items()}
    names = [host[0] if isinstance(host, tuple) else host for hosts, _ in pairs.values() for host in hosts]
    # What begins with @ names a way to connect, which pyinfra itself refuses in words where there is no such.
    if not any(name.startswith("@") for name in names):
        made = Inventory((names, {}), **pairs)
        assert {host.name for host in made} == set(names)


@hypothesis_settings(bounded, max_examples=200)
@given(NAMES)
def test_every_name_of_a_host_makes_the_name_of_a_token(name: str) -> None:
    if not list(wrong_groups({"gateways": [name]})):
        assert TokenSpec(name=token_name(name)).name


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("gateways = [", "SyntaxError: '[' was never closed"),
        ("\ngateways = [gw1]", "line 2: NameError: name 'gw1' is not defined"),
        ("gateways = {'gw1': {}}", "gateways must be a list of hosts"),
        ("\0", "null bytes"),
    ],
)
def test_it_is_told_by_the_run_itself(tmp_path: Path, text: str, told: str) -> None:
    done = fake_hosts.run(tmp_path, "--dry", prelude=text)
    output = done.stdout + done.stderr
    assert done.returncode == 1
    assert f"{tmp_path}/inventory.py" in output
    assert told in output
    assert "Traceback" not in output


def test_a_mistake_in_the_settings_of_a_group_is_told(tmp_path: Path) -> None:
    (tmp_path / "group_data").mkdir()
    (tmp_path / "group_data" / "gateways.py").write_text("\n\ngateway_port = port\n")
    told = refusal_of_files(tmp_path)
    assert f"{tmp_path}/group_data/gateways.py, line 3: NameError: name 'port' is not defined" in told


def refusal_of_files(place: Path) -> str:
    done = fake_hosts.run(place, "--dry", gateways=[fake_hosts.host("gw1")])
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def test_settings_of_every_kind_are_refused_together(tmp_path: Path) -> None:
    """A real pyinfra, with as many hosts as there are nasty texts: each is told, and no host is touched."""
    texts = [text for text in HOSTILE if text.isprintable() and len(text) < 200]
    hosts = [
        fake_hosts.host(
            f"gw{number}", gateway_timezone=text, gateway_image=text, llm_model=f"{text} ", gateway_channels=text
        )
        for number, text in enumerate(texts)
    ]
    told = refusal(tmp_path, "-y", gateways=hosts)
    for name in ("gateway_image: ", "llm_model: ", "gateway_channels: "):
        assert told.count(name) == len(texts), name
