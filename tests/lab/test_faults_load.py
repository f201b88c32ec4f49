"""200 clients ask at once for two minutes, by the path that users take: nobody is turned away by what is ours."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from bench import crowd, load
from lab import networks
from tests.lab.conftest import Lab
from tests.lab.outages import Gateway, gateway_of_its_own
from tests.lab.shown import Shown

NAME = "gwload"
CLIENTS = 200
SECONDS = float(os.environ.get("BENCH_SECONDS", "120"))


@pytest.fixture
def gateway(deployed: Lab) -> Iterator[Gateway]:
    """A gateway that may reach the server on this machine which answers at once."""
    with gateway_of_its_own(deployed, NAME) as found:
        run = found.deploy("--data", f'gateway_private_upstreams=["{_here(deployed)}"]')
        assert run.code == 0, run.output[-4000:]
        yield found


def _here(lab: Lab) -> str:
    """This machine, as the lab's hosts see it."""
    return networks.address(str(lab.state["lan_subnet"]), 1)


@pytest.mark.fault
@pytest.mark.full
def test_two_hundred_clients_at_once_are_all_answered(gateway: Gateway, shown: Shown) -> None:
    before = gateway.started()
    with (
        shown("fault", f"{CLIENTS} clients ask at once for {SECONDS:.0f} s") as it,
        load.upstream(_here(gateway.lab)) as upstream,
        gateway.admin() as admin,
        load.client(admin, upstream) as key,
    ):
        it.start()
        found = crowd.ask(f"http://{gateway.address}:3000", key, CLIENTS, SECONDS)
        it.lap()
        assert not found.errors, (len(found.errors), found.errors[:10])
        assert len(found.seconds) > CLIENTS
        it.happened(
            f"{len(found.seconds)} completions, no error; median {1e3 * found.quantile(0.5):.0f} ms,"
            f" p95 {1e3 * found.quantile(0.95):.0f} ms"
        )
        assert gateway.started() == before, gateway.words()  # nor was it started anew under the load
