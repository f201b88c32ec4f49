"""What befalls a host's Tailscale, done to the lab's stand-in or, with LAB_TAILNET=real, to the real one."""

from __future__ import annotations

import subprocess
import urllib.request

from lab import tailnet
from lab.labels import object_name
from lab.state import LabState, load
from tests.lab.faults import await_that

_STANDIN = "echo {value} > /var/lib/tailscale/lab/{name}; systemctl kill --kill-whom=main -s HUP tailscaled"


class Machine:
    """A lab host, entered by Docker: SSH over the LAN ends where an exit node takes all."""

    def __init__(self, lab: str, name: str) -> None:
        self._container = object_name(lab, name)
        self.state: LabState = load(lab)
        self.address = self.state.hosts[name].tailscale_address

    @property
    def is_real(self) -> bool:
        """Whether its Tailscale is the real one."""
        return self.state.tailnet == tailnet.REAL

    def run(self, command: str) -> str:
        """What a shell command prints; it must succeed."""
        argv = ["docker", "exec", self._container, "sh", "-c", f"PATH=$PATH:/usr/sbin:/sbin; {command}"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def expire_key(self) -> None:
        """As when the days of its key are over, or an administrator ends it."""
        self._set_key("expire/{address}/-60", _STANDIN.format(name="key", value="expired"), "NeedsLogin")

    def renew_key(self) -> None:
        """As when an administrator extends it."""
        self._set_key("expire/{address}/86400", _STANDIN.format(name="key", value="valid"), "Running")

    def _set_key(self, path: str, standin: str, backend: str) -> None:
        def is_so() -> bool:
            """Told anew: what the control server tells a tailscaled that has just come back may get lost."""
            self._tell_control(path.format(address=self.address), standin)
            return f'"BackendState": "{backend}"' in self.run("sleep 0.5; tailscale status --json")

        await_that(is_so, f"Tailscale is {backend}", 30)

    def cut_from_control(self) -> None:
        """tailscaled is started where no coordination server answers."""
        control = f"ip route replace unreachable {tailnet.control_address(self.state)}"
        cut = control if self.is_real else _STANDIN.format(name="control", value="none")
        self.run(f"{cut}; systemctl restart tailscaled")

    def reconnect_to_control(self) -> None:
        """It answers again."""
        control = f"ip route del unreachable {tailnet.control_address(self.state)}"
        self.run(control if self.is_real else _STANDIN.format(name="control", value="there"))

    def log_in(self) -> None:
        """After a log-out."""
        server = f"--login-server=http://{tailnet.control_address(self.state)}" if self.is_real else ""
        self.run(f"tailscale up {server}")

    def use_exit_node(self) -> None:
        """The peer, for all the world, local networks too."""
        self._tell_control(f"exit-node/{self.state.peer_address}", "true")
        set_it = f"tailscale set --exit-node={self.state.peer_address}"
        await_that(
            lambda: self.run(f"{set_it} >/dev/null 2>&1 && echo set || true") == "set", "an exit node is in use", 30
        )

    def _tell_control(self, path: str, standin: str) -> None:
        if not self.is_real:
            self.run(standin)
        else:
            self.tell_control(path)

    def tell_control(self, path: str) -> None:
        """Do at the coordination server what a person does in Tailscale's admin console."""
        request = urllib.request.Request(f"http://{tailnet.control_address(self.state)}/lab/{path}", method="POST")
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
            assert answer.status == 200
