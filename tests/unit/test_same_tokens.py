"""What a trial under another software finds by asking with each token."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llm_gateway.flavours.known import NEW_API, ONE_API
from llm_gateway.hosts.route import RouteError
from llm_gateway.tasks.upgrades import same_tokens
from llm_gateway.tasks.upgrades.same_tokens import Answer, Asker
from tests.unit.fake_one_api import FakeOneAPI
from tests.unit.test_arrival_due import OF_NEW_API, OF_ONE_API, make

TOKEN = Asker("one's", "k", ())
HERE, ELSEWHERE = Asker("here", "k", ("10.9.0.0/16", "172.18.0.1")), Asker("there", "k", ("10.9.0.0/16", "no network"))
ALL, SOME, NONE = Answer(200, frozenset("abc")), Answer(200, frozenset("a")), Answer(401)


@pytest.mark.parametrize(
    ("token", "before", "after", "told"),
    [
        (TOKEN, ALL, ALL, None),
        (TOKEN, ALL, SOME, None),
        (TOKEN, SOME, ALL, 'token "one\'s" gets 200 with a now, and 200 with a, b, c on the copy'),
        (TOKEN, NONE, NONE, None),
        (TOKEN, Answer(500), Answer(403), None),
        (TOKEN, NONE, ALL, 'token "one\'s" gets 401 now, and 200 with a, b, c on the copy'),
        (TOKEN, ALL, NONE, 'token "one\'s" gets 200 with a, b, c now, and 401 on the copy'),
        (HERE, NONE, ALL, None),
        (ELSEWHERE, ALL, Answer(403), None),
        (ELSEWHERE, ALL, SOME, "token 'there' is limited to 10.9.0.0/16, no network, and 172.18.0.1 got 200 with a"),
    ],
)
def test_another_answer_is_told(token: Asker, before: Answer, after: Answer, told: str | None) -> None:
    found = [*same_tokens.differences([token], lambda _: before, lambda _: after, "172.18.0.1")]
    assert found == ([told] if told else [])


@pytest.mark.parametrize(
    ("flavour", "sql", "columns"),
    [(NEW_API, OF_ONE_API, "models, subnet"), (ONE_API, OF_NEW_API, "model_limits, allow_ips")],
)
def test_tokens_are_read_but_for_those_that_may_be_lost(tmp_path: Path, flavour: Any, sql: str, columns: str) -> None:
    separator = "," if flavour is NEW_API else "' || char(10) || '"
    rows = f"INSERT INTO tokens (name, key, {columns}) VALUES ('free', 'k1', '', ''), ('lost', 'k2', '', ''),"  # noqa: S608
    rows += f" ('名字 ü', 'k3', 'm', '10.9.0.0/16{separator}10.8.0.1');"
    node = make(tmp_path, flavour, f"{sql} {rows}", gateway_may_lose=["lost"])
    found = same_tokens.askers(node, flavour.arrival)
    assert found == [Asker("名字 ü", "k3", ("10.9.0.0/16", "10.8.0.1")), Asker("free", "k1", ())]
    assert "k1" not in repr(found)


@pytest.mark.parametrize("is_running", [True, False])
def test_what_does_not_serve_now_is_not_compared(tmp_path: Path, is_running: bool) -> None:
    node: Any = make(tmp_path, NEW_API, OF_ONE_API)
    node.state = SimpleNamespace(published=("", ""), container={"State": {"Running": is_running}})
    assert same_tokens.problems(node, "127.0.0.1", NEW_API.arrival) == []


def test_no_list_of_models_is_no_answer() -> None:
    ask = same_tokens._asking("http://127.0.0.1:3000", FakeOneAPI("").transport)
    with pytest.raises(RouteError, match="does not list its models"):
        ask(TOKEN)
