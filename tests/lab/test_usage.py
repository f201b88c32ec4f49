"""A known load through a deployed gateway, and the report of it beside what the upstream has counted."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from llm_gateway.flavours.known import NEW_API
from tests.lab.conftest import INVENTORY, Lab, Run, python
from tests.lab.faults import await_boot, await_that, switch_off, switch_on
from tests.lab.rows import DIRECTORY

pytestmark = pytest.mark.flavours

HOST = "gwu"
AGENT = "=load"  # a name that a spreadsheet would take for a formula
ONE = ("--limit", HOST)
CHAT, STREAM, EMBEDDING = "chat-model", "stream-model", "text-embedding-v4"
USAGE = (9, 3)
"""What the upstream says of every completion: prompt and completion tokens."""
PRICES = [
    {"model": CHAT, "currency": "CNY", "prompt": 1000, "completion": 2000},
    {"model": EMBEDDING, "currency": "USD", "prompt": 500, "completion": 0},
]


@dataclass
class Loaded:
    """The gateway after the load."""

    lab: Lab
    data: list[str]
    key: str
    root: str
    asked: Counter[str] = field(default_factory=Counter)
    """What the upstream was asked for, as `counted` counts."""

    @property
    def url(self) -> str:
        return f"http://{self.lab.address(HOST)}:3000"

    def ask(self, path: str, **body: Any) -> httpx.Response:
        return httpx.post(
            f"{self.url}/v1/{path}", json=body, headers={"Authorization": f"Bearer {self.key}"}, timeout=60
        )

    def chat(self, model: str, **more: Any) -> httpx.Response:
        return self.ask("chat/completions", model=model, messages=[{"role": "user", "content": "hi"}], **more)

    def usage(self, *arguments: str) -> Run:
        """`llm-gateway usage`, as a person types it."""
        run = python("-m", "llm_gateway", "usage", "--quiet", *arguments, *ONE, *self.data, INVENTORY)
        assert "Traceback" not in run.output, run.stderr[-4000:]
        return run

    def told(self, *arguments: str) -> dict[str, Any]:
        """The gateway in the JSON of a report."""
        run = self.usage("--json", *arguments)
        assert run.code == 0, run.output
        (gateway,) = json.loads(run.stdout)["gateways"]
        return dict(gateway)

    def counted(self) -> Counter[str]:
        """How often the upstream was asked for each model, and how many texts it has embedded."""
        found: Counter[str] = Counter()
        for _, path, body in httpx.get(self.root.rpartition("/")[0] + "/asked", timeout=60).json()["asked"]:
            found[body["model"]] += len(body["input"]) if path == "v1/embeddings" else 1
        return found


def _upstream(lab: Lab, name: str) -> str:
    shown = lab.command("upstream", "--as", name)
    assert shown.code == 0, shown.output
    return shown.stdout.strip()


def _rows(loaded: Loaded) -> int:
    statement = f"SELECT count(*) FROM logs WHERE token_name = '{AGENT}'"  # noqa: S608 - of ours
    return int(loaded.lab.ssh(HOST, f'sqlite3 {DIRECTORY}/data/one-api.db "{statement}"'))


def _load(made: Loaded) -> None:
    """Ask for what is known: answers with and without usage, embeddings, failures."""
    before = made.counted()
    for number in range(7):
        assert made.chat(CHAT).status_code == 200
        if number < 5:
            streamed = made.chat(CHAT, stream=True, stream_options={"include_usage": True})
            assert streamed.text.rstrip().endswith("[DONE]")
        if number < 4:
            assert made.chat(STREAM, stream=True).status_code == 200
        if number < 3:
            texts = ["one", "two", "three"][: number + 1]
            assert made.ask("embeddings", model=EMBEDDING, input=texts).status_code == 200
        if number < 2:
            assert made.chat("refused").status_code == 400
            assert made.chat("nobody-has-it").status_code == 503
    # A row is there a moment after its answer.
    await_that(lambda: _rows(made) == 7 + 5 + 4 + 3, "a row for each answer")
    made.asked = made.counted() - before


@pytest.fixture(scope="module")
def loaded(lab: Lab) -> Iterator[Loaded]:
    """A host of its own, with one channel that answers and one that refuses what it is asked here."""
    key = {"type": 1, "key": "LAB_UPSTREAM_API_KEY"}
    plain = _upstream(lab, "plain")
    channels = [
        {**key, "name": "answers", "base_url": plain, "models": [CHAT, STREAM, EMBEDDING]},
        {**key, "name": "refuses", "base_url": _upstream(lab, "claude"), "models": ["refused"]},
    ]
    settings = {
        **{"llm_model": CHAT, "embedding_model": EMBEDDING, "embedding_dimensions": 1024},
        **{"gateway_channels": channels, "gateway_tokens": [{"name": AGENT}], "gateway_prices": PRICES},
        **{"verification_models": "none", "gateway_canary_interval": "1d"},
    }
    data = [
        part
        for name, value in settings.items()
        for part in ("--data", f"{name}={value if isinstance(value, str) else json.dumps(value)}")
    ]
    with lab.more_hosts(f"{HOST}:ready"):
        run = lab.deploy(*ONE, *data)
        assert run.code == 0, run.output[-4000:]
        with lab.admin(HOST) as admin:
            (token,) = [each for each in admin.tokens() if each.name == AGENT]
        made = Loaded(lab, data, token.key, plain)
        _load(made)
        yield made


def test_the_report_equals_what_the_upstream_has_counted(loaded: Loaded) -> None:
    asked = loaded.asked
    assert asked == {CHAT: 12, STREAM: 4, EMBEDDING: 6, "refused": 2}
    groups = {(each["agent"], each["model"]): each for each in loaded.told()["groups"]}

    chat = groups[AGENT, CHAT]
    assert chat["requests"] == asked[CHAT]
    assert (chat["prompt_tokens"], chat["completion_tokens"]) == (12 * USAGE[0], 12 * USAGE[1])
    assert chat["cost"] == {"CNY": round(12 * (9 * 1000 + 3 * 2000) / 1e6, 6)}
    embedded = groups[AGENT, EMBEDDING]
    assert (embedded["requests"], embedded["prompt_tokens"], embedded["completion_tokens"]) == (3, asked[EMBEDDING], 0)
    assert embedded["cost"] == {"USD": round(6 * 500 / 1e6, 6)}
    # Where nobody asks for its usage, One API estimates the tokens of a stream; new-api asks.
    stream = groups[AGENT, STREAM]
    assert stream["requests"] == asked[STREAM]
    assert stream["prompt_tokens"] > 0
    assert (stream["prompt_tokens"] == 4 * USAGE[0]) == (loaded.lab.flavour is NEW_API)
    assert (stream["cost"], stream["requests_without_price"]) == ({}, 4)
    assert (AGENT, "refused") not in groups

    failed = loaded.told("--by", "channel")["failed_attempts"]
    assert failed["groups"] == [{"channel": "refuses", "attempts": asked["refused"]}]


def test_pyinfra_itself_tells_the_same(loaded: Loaded) -> None:
    run = loaded.lab.pyinfra("-y", "--data", "usage_json=True", *ONE, *loaded.data, INVENTORY, "deploys/usage.py")
    assert run.code == 0, run.output
    (told,) = json.loads(run.stdout)["gateways"]
    assert told == loaded.told()
    wrong = loaded.lab.pyinfra("-y", "--data", "usage_since=x", *ONE, INVENTORY, "deploys/usage.py")
    assert wrong.code == 2, wrong.output
    assert "must be such as 7d, 24h or 2026-11-01" in wrong.output
    assert "Connect" not in wrong.output


def test_each_form_is_alone_on_stdout(loaded: Loaded) -> None:
    rows = list(csv.DictReader(io.StringIO(loaded.usage("--csv", "--by", "agent").stdout)))
    assert f"'{AGENT}" in [row["agent"] for row in rows]
    assert loaded.usage("--html").stdout.startswith("<!DOCTYPE html>")
    table = loaded.usage("--by", "agent,model,channel,day").stdout
    assert table.startswith(f"{HOST}: since ")
    assert max(map(len, table.splitlines())) <= 80


def test_nothing_is_changed_and_a_stopped_gateway_is_read(loaded: Loaded) -> None:
    look = f"find {DIRECTORY} /var/lib/openclaw-llm-gateway /etc/systemd -printf '%p %i %T@ %C@\\n'"
    requests = loaded.told()["total"]["requests"]
    loaded.lab.ssh(HOST, "systemctl stop openclaw-llm-gateway")
    try:
        before = loaded.lab.ssh(HOST, look)
        found = loaded.told()
        assert (found["state"], found["total"]["requests"]) == ("read", requests)
        assert loaded.lab.ssh(HOST, look) == before
    finally:
        loaded.lab.ssh(HOST, "systemctl start openclaw-llm-gateway")


def test_a_host_that_is_down_has_a_line_and_is_no_failure(loaded: Loaded) -> None:
    switch_off(HOST)
    try:
        run = loaded.usage()
        assert run.code == 0, run.output
        assert run.stdout == f"{HOST}: it cannot be reached\n"
        (found,) = json.loads(loaded.usage("--json").stdout)["gateways"]
        assert (found["state"], found["total"]) == ("down", None)
    finally:
        switch_on(HOST)
        await_boot(loaded.lab, HOST)
