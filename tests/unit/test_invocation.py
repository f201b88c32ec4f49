"""What was typed is shown again, and nothing secret of it."""

from __future__ import annotations

import pytest

from llm_gateway.hosts import invocation


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        (["--data", "ssh_password=hunter2"], ["--data", "ssh_password=…"]),
        (["--data=_sudo_password=hunter2"], ["--data=_sudo_password=…"]),
        (["--data", "DASHSCOPE_API_KEY=hunter2"], ["--data", "DASHSCOPE_API_KEY=…"]),
        (["--data", "gateway_environment={'A': 'hunter2'}"], ["--data", "gateway_environment=…"]),
        (["--ssh-password", "hunter2"], ["--ssh-password", "…"]),
        (["--ssh-password=hunter2"], ["--ssh-password=…"]),
        (["--data", "ssh_key=~/.ssh/id"], ["--data", "ssh_key=~/.ssh/id"]),
        (["--data", "keys=tokens"], ["--data", "keys=tokens"]),
        (["--data", "gateway_port=3001"], ["--data", "gateway_port=3001"]),
        (["--data", "gateway_force_keys=True"], ["--data", "gateway_force_keys=True"]),
        (["--data"], ["--data"]),
        (["inventory.py", "deploy.py"], ["inventory.py", "deploy.py"]),
    ],
)
def test_what_may_be_a_secret_is_hidden(typed: list[str], shown: list[str]) -> None:
    assert invocation.shown(typed) == shown
