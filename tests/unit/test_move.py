"""Which gateway moves where: what the options of a run say, and what they leave to the inventory."""

from __future__ import annotations

import pytest
from pyinfra.api import Config, DeployError, Inventory, State

from llm_gateway.tasks.migration import move
from llm_gateway.tasks.migration.move import Move


def _move(
    gateways: tuple[str, ...], options: dict[str, str], strangers: tuple[str, ...] = (), reached: bool = True
) -> Move:
    names = [*gateways, *strangers]
    inventory = Inventory((names, {}), override_data=options, gateways=(list(gateways), {}))
    state = State(inventory, Config())
    for host in inventory if reached else []:
        state.activate_host(host)
    return move.of(state)


def test_the_only_other_gateway_is_the_target() -> None:
    found = _move(("gw1", "gw2"), {"source": "gw1"})
    assert (found.source_name, found.target_name, found.limit) == ("gw1", "gw2", 240)


def test_the_source_may_be_in_no_group_of_ours() -> None:
    found = _move(("gw1",), {"source": "old", "limit": "30"}, strangers=("old",))
    assert (found.source_name, found.target_name, found.limit) == ("old", "gw1", 30)


def test_a_target_may_be_named() -> None:
    assert _move(("gw1", "gw2", "gw3"), {"source": "gw1", "target": "gw3"}).target_name == "gw3"


@pytest.mark.parametrize(
    ("gateways", "options", "words"),
    [
        (("gw1", "gw2"), {}, "Add --data source=HOST, one of: gw1, gw2"),
        (("gw1", "gw2"), {"source": "gw11"}, "did you mean 'gw1'?"),
        (("gw1", "gw2", "gw3"), {"source": "gw1"}, "Add --data target=HOST, one of: gw2, gw3"),
        (("gw1",), {"source": "gw1"}, "List the new host in the group `gateways`"),
        (
            ("gw1", "gw2"),
            {"source": "gw1", "target": "gw1"},
            "source=gw1 and target=gw1: a gateway moves from one host to another",
        ),
        (
            ("gw1", "gw2"),
            {"source": "gw1", "target": "gw3"},
            "target=gw3 is not another host of the group `gateways`: gw2",
        ),
        (("gw1", "gw2"), {"source": "gw1", "limit": "abc"}, "limit=abc must be a number of seconds, 10 or more"),
        (("gw1", "gw2"), {"source": "gw1", "limit": "9"}, "limit=9 must be a number of seconds, 10 or more"),
        (("gw1", "gw2"), {"sauce": "gw1"}, "did you mean 'source'?"),
    ],
)
def test_what_is_not_said_or_wrong_is_refused_with_the_fix(
    gateways: tuple[str, ...], options: dict[str, str], words: str
) -> None:
    with pytest.raises(DeployError) as refusal:
        _move(gateways, options)
    assert words in str(refusal.value)


def test_both_hosts_have_to_be_reached() -> None:
    with pytest.raises(DeployError, match="gw1 and gw2 cannot be reached"):
        _move(("gw1", "gw2"), {"source": "gw1"}, reached=False)
