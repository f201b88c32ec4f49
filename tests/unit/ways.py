"""The ways that verification takes, led to the test's own transport, and the .env that it reads anew."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from llm_gateway.hosts.topology import Agent
from llm_gateway.proof import agent_environment, agent_path
from llm_gateway.tasks import verification


def lead_to(monkeypatch: pytest.MonkeyPatch, route: Any) -> None:
    """Let the way from each host be `route`, with this machine outside of the tailnet."""

    @contextmanager
    def not_on_the_tailnet(*where: object) -> Iterator[httpx.BaseTransport | None]:
        yield None

    for module in (verification, agent_path):
        monkeypatch.setattr(module, "route_from", route)
    monkeypatch.setattr(verification, "route_from_here", not_on_the_tailnet)
    monkeypatch.setattr(agent_environment, "read_text", as_read)


def as_read(agent: Agent) -> str:
    """The .env as the host's state has it."""
    return agent.state.answers.get("openclaw_env", "")


def environment(key: str, url: str = "http://100.64.0.10:3000/v1", llm_model: str = "MiniMax-M2.5") -> str:
    """A .env of an OpenClaw host that is deployed."""
    ours = f"LLM_BASE_URL={url}\nLLM_API_KEY=sk-{key}\nLLM_MODEL_ID={llm_model}\nEMBEDDING_MODEL_ID=text-embedding-v4\n"
    return f"# mine\nOTHER=kept\n{ours}"
