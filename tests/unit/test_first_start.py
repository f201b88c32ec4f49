"""Before a gateway is published: no known password, no registration, and nothing lost on the way."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway import first_start, remote, service
from gateway.fleet import Member
from gateway.secrets import Generated
from tests.unit.fake_hosts import FRESH, KEYS
from tests.unit.fake_one_api import DEFAULT_PASSWORD, FakeOneAPI
from tests.unit.members import DIRECTORY, GENERATED, member

INHERITED = {**FRESH, "database_size": "4096\n", "data": "one-api.db\n"}
MARKER = f"{DIRECTORY}/first-start-done"
"""What allows publishing."""
RUNNING = json.dumps(
    [{"State": {"Running": True}, "NetworkSettings": {"Networks": {"b": {"IPAddress": "172.17.0.2"}}}}]
)


class Remote:
    """The host: what it was told to do, and what was said to the person."""

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.files: dict[str, str] = {}
        self.told: list[str] = []
        self.answers: dict[str, list[str] | Exception] = {"docker inspect": ["172.18.0.2"]}

    def run(self, host: object, command: str, stdin: str | None = None) -> list[str]:
        """In the place of `remote.run`."""
        self.commands.append(command)
        for part, answer in self.answers.items():
            if part in command:
                if isinstance(answer, Exception):
                    raise answer
                return answer
        return []

    def write(self, host: object, path: str, content: bytes, mode: str) -> None:
        """In the place of `remote.write_now`."""
        assert mode == ("644" if path == MARKER else "600")
        self.files[path] = content.decode()

    def did(self, part: str) -> bool:
        """Whether a command with this part was run."""
        return any(part in command for command in self.commands)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Remote:
    kept = Remote()
    monkeypatch.setattr(remote, "run", kept.run)
    monkeypatch.setattr(remote, "write_now", kept.write)
    monkeypatch.setattr(remote, "tell", lambda host, text: kept.told.append(text))
    monkeypatch.setattr(remote, "complain", lambda host, text: kept.told.append(text))
    return kept


@pytest.fixture
def one_api(monkeypatch: pytest.MonkeyPatch) -> FakeOneAPI:
    """A One API whose database a person has used: our access token is not in it."""
    gateway = FakeOneAPI("somebody-elses-access-token-0000")
    monkeypatch.setattr(first_start, "route", gateway.route)
    monkeypatch.setattr(service, "route", gateway.route)
    return gateway


def secure(made: Member) -> bool:
    """Whether the gateway was made safe."""
    (command,) = first_start._secure._inner(made)  # type: ignore[attr-defined]
    done: bool = command.function(None, made.host, *command.args)
    return done


def test_an_empty_database_takes_our_password_and_token(host: Remote, one_api: FakeOneAPI) -> None:
    one_api.access_token = GENERATED.access_token  # INITIAL_ROOT_ACCESS_TOKEN
    assert secure(member())
    assert one_api.password == GENERATED.root_password
    assert one_api.options["RegisterEnabled"] == "false"
    assert MARKER in host.files
    assert one_api.tried == [DEFAULT_PASSWORD, DEFAULT_PASSWORD], "accepted before, refused in the end"


def test_a_password_that_a_person_chose_since_is_not_overwritten(host: Remote, one_api: FakeOneAPI) -> None:
    one_api.access_token = GENERATED.access_token
    one_api.password = "chosen-by-a-person"
    assert secure(member())
    assert one_api.password == "chosen-by-a-person"


def test_an_inherited_database_with_the_default_password(host: Remote, one_api: FakeOneAPI) -> None:
    made = member(INHERITED)
    assert secure(made), host.told
    assert one_api.password == GENERATED.root_password
    kept = Generated.read(host.files[f"{DIRECTORY}/secrets.env"])
    assert kept == made.generated
    assert kept.access_token == one_api.access_token
    assert kept.root_password == one_api.password


def test_an_inherited_database_with_a_persons_password(host: Remote, one_api: FakeOneAPI) -> None:
    one_api.password = "a person's".replace("'", "-")
    made = member(INHERITED, secrets={**KEYS, "ONEAPI_ROOT_PASSWORD": one_api.password})
    assert secure(made), host.told
    assert one_api.password == "a person-s", "it stays theirs"
    assert Generated.read(host.files[f"{DIRECTORY}/secrets.env"]).root_password == "a person-s"
    copied = next(index for index, command in enumerate(host.commands) if "one-api.db*" in command)
    started = next(index for index, command in enumerate(host.commands) if "up --detach" in command)
    assert copied < started, "a copy was put aside before anything could write to it"


def test_an_unknown_password_is_told_and_the_old_gateway_serves_on(host: Remote, one_api: FakeOneAPI) -> None:
    one_api.password = "unknown to us"
    assert not secure(member({**INHERITED, "container": RUNNING}))
    assert "knows another root password; export ONEAPI_ROOT_PASSWORD=… in the shell" in host.told[0]
    assert not host.did("docker stop"), "it was found out while the old gateway served"
    assert MARKER not in host.files
    assert GENERATED.root_password not in "".join(host.told)


def test_a_default_password_that_stays_is_never_published(
    host: Remote, one_api: FakeOneAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_api.access_token = GENERATED.access_token
    monkeypatch.setitem(one_api._answers, ("PUT", "/api/user/self"), lambda _: None)
    assert not secure(member())
    assert "root/123456 is still accepted" in host.told[0]
    assert MARKER not in host.files


@pytest.mark.parametrize(
    ("arrange", "told"),
    [
        pytest.param(
            lambda host: host.answers.update({"docker inspect": [""], "docker logs": ["no tiktoken"]}),
            "One API ended at once. Its own words:\nno tiktoken",
            id="ends at once",
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
    assert not secure(member())
    assert host.told[0].startswith("the gateway was not published: ")
    assert told in host.told[0]
    assert host.did("down --timeout 10"), "the container of the first start does not stay"
    assert MARKER not in host.files
    assert host.did("docker rename openclaw-llm-gateway-replaced openclaw-llm-gateway"), "what served, serves again"


def test_the_first_error_is_told_when_cleaning_up_fails_too(host: Remote, one_api: FakeOneAPI) -> None:
    host.answers.update({"up --detach": remote.RemoteError("first"), "down --timeout": remote.RemoteError("second")})
    assert not secure(member())
    assert "first" in "".join(host.told)


def test_it_is_done_once() -> None:
    done = f"{DIRECTORY}/first-start-done 600 root:root 1.0\n"
    assert not first_start.is_done(member())
    assert first_start.is_done(member({**FRESH, "tracked_stat": done}))
    assert first_start.finds_database(member(INHERITED))
    assert not first_start.finds_database(member({**INHERITED, "tracked_stat": done}))
    assert not first_start.finds_database(member())
