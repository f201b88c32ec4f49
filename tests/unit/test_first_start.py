"""Before a gateway is published: no known password, no registration, and nothing lost on the way."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from llm_gateway.hosts import remote, undo
from llm_gateway.hosts.topology import Node
from llm_gateway.inputs.secrets import Generated
from llm_gateway.model import layout
from llm_gateway.parts import first_start, service
from tests.unit.fake_hosts import FRESH, KEYS
from tests.unit.fake_one_api import DEFAULT_PASSWORD, FakeOneAPI
from tests.unit.topology import DIRECTORY, GENERATED, make_node

INHERITED = {**FRESH, "database_size": "4096\n", "data": "one-api.db\n"}
MARKER = f"{DIRECTORY}/first-start-done"
"""What allows publishing."""
RUNNING = {
    "old_container": json.dumps(
        {
            "Name": "/one-api",
            "State": {"Running": True},
            "NetworkSettings": {"Networks": {"b": {"IPAddress": "172.17.0.2"}}},
        }
    )
}


class Remote:
    """The host: what it was told to do, and what was said to the person."""

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.files: dict[str, str] = {}
        self.told: list[str] = []
        self.answers: dict[str, list[str] | Exception] = {"docker inspect": ["true 172.18.0.2"]}

    def run(self, host: object, command: str, stdin: str | None = None) -> list[str]:
        """In the place of `remote.run`."""
        self.commands.append(command)
        for part, answer in self.answers.items():
            if part in command:
                if isinstance(answer, Exception):
                    raise answer
                return answer
        return []

    def write(self, host: object, path: str, content: bytes, mode: str, trial: str = "") -> None:
        """In the place of `remote.write_now`."""
        assert path not in (MARKER, f"{DIRECTORY}/secrets.env") or mode == ("644" if path == MARKER else "600")
        self.files[path] = content.decode()

    @contextmanager
    def undoable(self, host: object, what: str, script: str, seconds: float) -> Iterator[None]:
        """In the place of `undo.undoable`."""
        assert "docker start" in script
        try:
            yield
        except first_start.FAILURES:
            self.commands.append("undo")
            raise

    def did(self, part: str) -> bool:
        """Whether a command with this part was run."""
        return any(part in command for command in self.commands)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Remote:
    kept = Remote()
    monkeypatch.setattr(remote, "run", kept.run)
    monkeypatch.setattr(remote, "write_now", kept.write)
    monkeypatch.setattr(remote, "tell", lambda host, text, *_: kept.told.append(text))
    monkeypatch.setattr(remote, "complain", lambda host, text: kept.told.append(text))
    monkeypatch.setattr(undo, "undoable", kept.undoable)
    monkeypatch.setattr(first_start, "step", lambda host, text: None)
    return kept


@pytest.fixture
def one_api(monkeypatch: pytest.MonkeyPatch) -> FakeOneAPI:
    """A One API whose database a person has used: our access token is not in it."""
    gateway = FakeOneAPI("somebody-elses-access-token-0000")
    monkeypatch.setattr(first_start, "route", gateway.route)
    monkeypatch.setattr(service, "route", gateway.route)
    return gateway


def secure(made: Node, *proofs: first_start.Proof) -> bool:
    """Whether the gateway was made safe."""
    (command,) = first_start._secure._inner(made, proofs)  # type: ignore[attr-defined]
    done: bool = command.function(None, made.host, *command.args)
    return done


def test_an_empty_database_takes_our_password_and_token(host: Remote, one_api: FakeOneAPI) -> None:
    one_api.access_token = GENERATED.access_token  # INITIAL_ROOT_ACCESS_TOKEN
    assert secure(make_node())
    assert one_api.password == GENERATED.root_password
    assert one_api.options["RegisterEnabled"] == "false"
    assert MARKER in host.files
    assert one_api.tried == [DEFAULT_PASSWORD, DEFAULT_PASSWORD], "accepted before, refused in the end"


def test_a_password_that_a_person_chose_since_is_not_overwritten(host: Remote, one_api: FakeOneAPI) -> None:
    one_api.access_token = GENERATED.access_token
    one_api.password = "chosen-by-a-person"
    assert secure(make_node())
    assert one_api.password == "chosen-by-a-person"


def test_an_inherited_database_with_the_default_password(host: Remote, one_api: FakeOneAPI) -> None:
    made = make_node(INHERITED)
    assert secure(made), host.told
    assert one_api.password == GENERATED.root_password
    kept = Generated.read(host.files[f"{DIRECTORY}/secrets.env"])
    assert kept == made.gateway.generated
    assert kept.access_token == one_api.access_token
    assert kept.root_password == one_api.password


def test_new_api_s_database_is_refused_while_the_old_gateway_serves(host: Remote, one_api: FakeOneAPI) -> None:
    names = ["tokens", "id", "key", "model_limits", "deleted_at"]
    table, *columns = (name.encode().hex().upper() for name in names)
    host.answers["wanted=schema"] = [f"table|{table}", *(f"column|{table}|{column}" for column in columns)]
    assert not secure(make_node({**INHERITED, **RUNNING}))
    assert "its database is new-api's" in host.told[0]
    assert MARKER not in host.files
    assert one_api.tried == []
    assert not host.did("taken-over"), "nothing was stopped or put aside"


def test_a_gateway_that_is_taken_over_is_published_before_the_old_one_goes(host: Remote, one_api: FakeOneAPI) -> None:
    made = make_node({**INHERITED, **RUNNING})
    assert secure(made), host.told
    assert made.is_taken_over
    discard = f"docker rm --force {layout.REPLACED}"
    order = (
        "name=one-api",
        "one-api.db*",
        "up --detach",
        "systemctl restart",
        discard,
    )
    places = [max(index for index, command in enumerate(host.commands) if part in command) for part in order]
    assert places == sorted(places)
    assert not host.did("undo")
    assert list(service._restart._inner(made)) == [], "nothing is left to publish"  # type: ignore[attr-defined]


def test_what_has_to_hold_is_asked_before_the_old_one_goes(host: Remote, one_api: FakeOneAPI) -> None:
    def holds(node: Node) -> None:
        assert host.did("systemctl restart")
        assert not host.did(f"docker rm --force {layout.REPLACED} >/dev/null 2>&1 || true")
        raise first_start.FirstStartError("channel beside is not answered any more")

    made = make_node({**INHERITED, **RUNNING})
    assert not secure(made, holds)
    assert host.did("undo")
    assert "channel beside is not answered any more" in host.told[0]
    assert not made.is_taken_over


@pytest.mark.parametrize("is_back", [True, False])
def test_an_old_gateway_is_asked_before_it_is_said_to_serve(
    host: Remote, one_api: FakeOneAPI, monkeypatch: pytest.MonkeyPatch, is_back: bool
) -> None:
    def await_answer(of: object, address: str, port: int, seconds: float) -> str | None:
        if host.did("undo"):
            assert (address, port) == ("172.17.0.2", 3000)
        return None if is_back or not host.did("undo") else "after 120 s: connection refused"

    monkeypatch.setattr(service, "await_answer", await_answer)
    host.answers["up --detach"] = remote.RemoteError("no space left on device")
    assert not secure(make_node({**INHERITED, **RUNNING}))
    assert host.did("undo")
    serves = "the old gateway (one-api) serves again, with all that it had"
    not_yet = (
        "the old gateway was started again and does not answer yet, see `docker logs --tail 20 one-api` on the host"
    )
    assert host.told[-1].startswith(serves if is_back else not_yet)


def test_an_inherited_database_with_a_persons_password(host: Remote, one_api: FakeOneAPI) -> None:
    one_api.password = "a person's".replace("'", "-")
    made = make_node(INHERITED, secrets={**KEYS, "ONEAPI_ROOT_PASSWORD": one_api.password})
    assert secure(made), host.told
    assert one_api.password == "a person-s", "it stays theirs"
    assert Generated.read(host.files[f"{DIRECTORY}/secrets.env"]).root_password == "a person-s"
    copied = next(index for index, command in enumerate(host.commands) if "one-api.db*" in command)
    started = next(index for index, command in enumerate(host.commands) if "up --detach" in command)
    assert copied < started, "a copy was put aside before anything could write to it"


def test_an_unknown_password_is_told_and_the_old_gateway_serves_on(host: Remote, one_api: FakeOneAPI) -> None:
    one_api.password = "unknown to us"
    assert not secure(make_node({**INHERITED, **RUNNING}))
    assert "knows another root password; export ONEAPI_ROOT_PASSWORD=… in the shell" in host.told[0]
    assert not host.did("docker stop"), "it was found out while the old gateway served"
    assert MARKER not in host.files
    assert GENERATED.root_password not in "".join(host.told)


def test_a_default_password_that_stays_is_never_published(
    host: Remote, one_api: FakeOneAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_api.access_token = GENERATED.access_token
    monkeypatch.setitem(one_api._answers, ("PUT", "/api/user/self"), lambda _: None)
    assert not secure(make_node())
    assert "root/123456 is still accepted" in host.told[0]
    assert MARKER not in host.files


@pytest.mark.parametrize(
    ("arrange", "told"),
    [
        pytest.param(
            lambda host: host.answers.update({"docker inspect": ["false "], "docker logs": ["no tiktoken"]}),
            "One API ended at once. Its log:\nno tiktoken",
            id="ends at once",
        ),
        pytest.param(
            lambda host: host.answers.update({"{ echo untold": ["untold"]}),
            "whether registration stays closed is not known: the host has nothing to look with; install sqlite3 or",
            id="neither sqlite3 nor python3",
        ),
        pytest.param(
            lambda host: host.answers.update({"{ echo untold": ["option0"]}),
            "One API says that registration is closed, and its database does not hold that",
            id="not stored",
        ),
        pytest.param(
            lambda host: host.answers.update({"up --detach": remote.RemoteError("no space left on device")}),
            "no space left on device",
            id="disk full",
        ),
    ],
)
def test_a_start_that_fails_is_told_in_its_own_words_and_cleaned_up(
    host: Remote, one_api: FakeOneAPI, arrange: Callable[[Remote], Any], told: str
) -> None:
    arrange(host)
    one_api.access_token = GENERATED.access_token
    assert not secure(make_node())
    assert host.told[0].startswith("the gateway was not published: ")
    assert told in host.told[0]
    assert host.did("down --timeout 10"), "the container of the first start does not stay"
    assert MARKER not in host.files


def test_the_first_error_is_told_when_cleaning_up_fails_too(host: Remote, one_api: FakeOneAPI) -> None:
    host.answers.update({"up --detach": remote.RemoteError("first"), "down --timeout": remote.RemoteError("second")})
    assert not secure(make_node())
    assert "first" in "".join(host.told)


def test_it_is_done_once() -> None:
    done = f"{DIRECTORY}/first-start-done 600 root:root 1.0\n"
    assert not first_start.is_done(make_node())
    assert first_start.is_done(make_node({**FRESH, "tracked_stat": done}))
    assert first_start.finds_database(make_node(INHERITED))
    assert not first_start.finds_database(make_node({**INHERITED, "tracked_stat": done}))
    assert not first_start.finds_database(make_node())
