"""A gateway that something happens to, and how long its consumers go without: they ask over the tailnet meanwhile."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from lab import keys, tailnet
from lab.state import load
from llm_gateway.flavours.contents import Admin
from llm_gateway.flavours.specs import TokenSpec
from tests.lab.conftest import Lab, Run
from tests.lab.faults import await_that
from tests.lab.rows import rows

UNIT = "openclaw-llm-gateway"
CONSUMER = "asks-in-outages"
SERVES_WITHIN_SECONDS = 90

_INVENTORY = """
from lab.inventory import gateways as _gateways, openclaw as _openclaw
gateways = [(name, data) for name, data in _gateways if name == {gateway!r}]
openclaw = [(name, {{**data, "openclaw_gateway": {gateway!r}}}) for name, data in _openclaw if name in {agents!r}]
"""

# curl reads the key from its standard input, so that it is in no argument. An answer that is no completion is asked
# for again at once; one that does not come is given up after five seconds.
_ASK = """
cat > /tmp/$$.conf; said=; end=$(( $(date +%s) + $1 ))
until said=$(curl -sS -m 5 --connect-timeout 1 -K /tmp/$$.conf 2>&1) && [ "${said#*\\"choices\\"}" != "$said" ]; do
    [ "$(date +%s)" -lt "$end" ] || { rm /tmp/$$.conf; printf 'no completion within %s s: %s\\n' "$1" "$said"; exit 1; }
    sleep 0.1
done
rm /tmp/$$.conf; date +%s.%N
"""


class Gateway:
    """A lab host with a gateway, and a consumer of it elsewhere on the tailnet with a token of its own."""

    def __init__(self, lab: Lab, name: str, agents: tuple[str, ...] = ()) -> None:
        self.lab, self.name, self.agents = lab, name, agents
        self.address = lab.address(name)
        self.inventory = lab.directory / f"{name}.py"
        self.inventory.write_text(_INVENTORY.format(gateway=name, agents=agents))
        self.key = ""

    def deploy(self, *arguments: str) -> Run:
        """Deploy it and its agents, and nobody else."""
        return self.lab.pyinfra("-y", *arguments, str(self.inventory), "deploy.py")

    def verify(self) -> Run:
        """Verify it and its agents."""
        return self.lab.pyinfra("-y", str(self.inventory), "verify.py")

    def make_consumer(self) -> None:
        """Make the consumer's token."""
        with self.admin() as admin:
            admin.create_token(TokenSpec(CONSUMER))
        self.key = self.key_of(CONSUMER)

    def key_of(self, token: str) -> str:
        """The key of the token of that name."""
        return next(str(row["key"]) for row in rows(self.lab, self.name)["tokens"] if row["name"] == token)

    @contextmanager
    def admin(self) -> Iterator[Admin]:
        """Its admin API, spoken to from the tailnet; of a real one this machine is no part, so by its host's SSH."""
        with self._way() as base_url, self.lab.admin(self.name, base_url) as client:
            yield client

    @contextmanager
    def _way(self) -> Iterator[str]:
        if self.lab.state["tailnet"] == tailnet.FAKE:
            yield f"http://{self.address}:3000"
            return
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        ssh, *rest = keys.ssh_command(load(self.lab.state["name"]).hosts[self.name], ["cat"])
        with subprocess.Popen(
            [ssh, "-L", f"127.0.0.1:{port}:{self.address}:3000", *rest], stdin=subprocess.PIPE
        ) as way:
            await_that(lambda: _takes_connections(port), "the way to the gateway's admin API")
            yield f"http://127.0.0.1:{port}"
            way.communicate()

    def ssh(self, command: str) -> str:
        """Run a command on the host, as root."""
        return self.lab.ssh(self.name, command)

    def await_completion(self, seconds: float = SERVES_WITHIN_SECONDS) -> float:
        """Wait until the consumer gets a completion. Returns the moment, as seconds since 1970."""
        asked = {
            "model": self.lab.state["upstream"]["chat_model"],
            "max_tokens": 1,
            "messages": [{"role": "user", "content": "hi"}],
        }
        configuration = (
            f'url = "http://{self.address}:3000/v1/chat/completions"\nheader = "Authorization: Bearer sk-{self.key}"\n'
            f'header = "Content-Type: application/json"\ndata = {json.dumps(json.dumps(asked))}\n'
        )
        run = self.lab.command(
            *("peer", "--", "sh", "-c", _ASK, "ask", str(int(seconds))), stdin=configuration, timeout=seconds + 30
        )
        assert run.code == 0, f"{run.output}{self.words()}"
        return float(run.stdout)

    def started(self) -> str:
        """When the container that runs was started; "" where none runs."""
        format = "{{if .State.Running}}{{.State.StartedAt}}{{end}}"
        return self.ssh(f"docker container inspect -f '{format}' {UNIT} 2>/dev/null || true")

    def await_restart(self, before: str, seconds: float = SERVES_WITHIN_SECONDS) -> None:
        """Wait until its container was started anew, so that no answer of the old one is taken for the new one's."""
        await_that(lambda: self.started() not in ("", before), f"{self.name} starts anew", seconds)

    def firewall(self) -> str:
        """Our firewall rules, without their counters and the process that holds them."""
        return self.ssh("nft -s list table inet openclaw_llm_gateway | sed 's/ # progname.*//; /^\tcomment /d'")

    def words(self) -> str:
        """What the unit has said last."""
        return self.ssh(f"journalctl --no-pager -b -n 15 -u {UNIT}")

    def state(self) -> str:
        """What `systemctl status` shows without its journal: what the unit does, and why it waits."""
        return self.ssh(f"systemctl status --no-pager --lines 0 {UNIT} || true")


def _takes_connections(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@contextmanager
def gateway_of_its_own(lab: Lab, name: str, *agents: str) -> Iterator[Gateway]:
    """A deployed gateway that a test may harm, with agents ("agent5") of its own."""
    with lab.more_hosts(f"{name}:ready", *(f"{agent}:agent" for agent in agents)):
        found = Gateway(lab, name, agents)
        run = found.deploy()
        assert run.code == 0, run.output[-4000:]
        found.make_consumer()
        yield found
