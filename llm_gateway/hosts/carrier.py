"""A process on a host that lives as long as a run's connection, where the SSH server has none: Tailscale's.

What a run holds on a host, its lock and what is to be undone when it is cut off, is tied to the process that carries
its connection (carrier.sh). OpenSSH has one for each; Tailscale SSH serves all connections in tailscaled, and starts
one for each command (v1.102.5), so that nothing would end with the run. So a run leaves a process of its own there.
"""

from __future__ import annotations

from pathlib import Path
from weakref import WeakKeyDictionary

from pyinfra.api.host import Host

from llm_gateway.hosts import journal, remote
from llm_gateway.hosts.pipes import Pipe, Words, require_success, start
from llm_gateway.model import shell
from llm_gateway.model.checkout import CARRIER
from llm_gateway.model.layout import PROJECT

_SECONDS = 60.0
_HELD = b"held"
_HOLD = Path(__file__).with_name("carrier_hold.sh")
_held: WeakKeyDictionary[Host, Pipe] = WeakKeyDictionary()


def hold(host: Host) -> None:
    """Leave it on the host, once for the run, where the connection needs one. Raises RemoteError."""
    if host in _held or not remote.is_tailscale_ssh(host):
        return
    pipe = start(host, script(host, _HOLD.read_text(encoding="utf-8")), _SECONDS)
    told = pipe.receive(len(_HELD))
    if told != _HELD:
        require_success(pipe, Words(pipe.receive_error))
        raise remote.RemoteError("what is to end with this run's connection could not be started on the host")
    _held[host] = pipe


def script(host: Host, text: str) -> str:
    """A script that may ask which process carries the connection; before it stand carrier.sh and what that needs."""
    values = {"PROJECT": PROJECT, "RUN": journal.notes_of(host.state).identity}
    return shell.program(values, CARRIER, call=text)
