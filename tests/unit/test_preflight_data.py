"""A database is taken over knowingly, and never begun anew where one should be."""

from __future__ import annotations

import pytest

from llm_gateway.model import layout
from llm_gateway.model.layout import PROJECT
from tests.unit.test_preflight import READY, container, found, listener
from tests.unit.topology import DIRECTORY, GENERATED

SET_UP = {
    "tracked_stat": READY["tracked_stat"] + f"{DIRECTORY}/first-start-done 644 root:root 1.0\n",
    "secrets": GENERATED.render(),
    "database_size": "9\n",
    "data": "logs\none-api.db\n",
}
"""What a host answers besides, once its gateway was set up."""


def test_a_gateway_that_was_set_up_is_in_order() -> None:
    assert found(SET_UP) == []


def test_an_older_gateway_with_its_data_elsewhere() -> None:
    (told,) = found({"container": container("/home/me/gateway/data", "3001")})
    assert "with its data in /home/me/gateway/data" in told
    assert 'set gateway_directory to "/home/me/gateway" to take it over' in told
    (told,) = found({"container": container("/var/lib/docker/volumes/one/_data", "3001")})
    assert f"`mkdir -p {DIRECTORY} && cp -a /var/lib/docker/volumes/one/_data {DIRECTORY}/data`), and" in told
    assert found({"container": container("/mnt/disk/of-one-api", "3001"), "data_path": "/mnt/disk/of-one-api"}) == []


@pytest.mark.parametrize(
    ("chosen", "place", "fix"),
    [
        ("/home/wei/data", "/home/wei/data", 'set gateway_directory to "/home/wei" to take it over'),
        (
            "/home/wei/one-api",
            "/home/wei/one-api",
            f"`mkdir -p {DIRECTORY} && ln -sT /home/wei/one-api {DIRECTORY}/data`; then set gateway_directory to",
        ),
        (
            "/home/wei",
            "/home/wei/data/oneapi",
            f"`mkdir -p {DIRECTORY} && ln -sT /home/wei/data/oneapi {DIRECTORY}/data`",
        ),
        (DIRECTORY, DIRECTORY, f"`mkdir -p /opt/llm-gateway && ln -sT {DIRECTORY} /opt/llm-gateway/data`"),
    ],
)
def test_a_database_below_the_directory_is_told_with_what_takes_it_over(chosen: str, place: str, fix: str) -> None:
    """Such as One API's own layout, ./data/oneapi:/data; a new and empty gateway is not begun beside it."""
    by_file = found({"databases": f"{place}\n", "data": "oneapi\nmysql\n"}, gateway_directory=chosen)
    assert [text for text in by_file if fix in text] == by_file != []
    by_container = found({"databases": f"{place}\n", "gateways": f"one-api - {place}\n"}, gateway_directory=chosen)
    assert [text for text in by_container if fix in text] == by_container
    assert by_container[0].startswith(f"the container one-api is a gateway with its data in {place}: ")


def test_a_database_of_another_kind_below_the_directory_is_told() -> None:
    (told,) = found({"gateways": f"one-api SQL_DSN {DIRECTORY}/data/oneapi\n", "data": "mysql\noneapi\n"})
    assert told.startswith("the container one-api is a gateway with its data in another database (SQL_DSN is set)")


def test_a_gateway_elsewhere_is_no_problem_and_is_named_where_its_port_is_wanted() -> None:
    elsewhere = {"gateways": "one-api - /home/wei/data\n"}
    assert found(elsewhere) == []
    (told,) = found({**elsewhere, "listeners": listener(program="docker-proxy")})
    assert told.endswith('(The container one-api is a gateway: set gateway_directory to "/home/wei" to take it over)')


def test_an_empty_database_is_refused_where_there_was_more() -> None:
    (told,) = found({**SET_UP, "database_size": "0\n"})
    assert f"{DIRECTORY}/data/one-api.db is empty (0 bytes): restore it from a backup" in told
    assert found({"database_size": "0\n", "data": "one-api.db\n"}) == [], "a first start that was cut off begins anew"


def test_a_database_that_is_gone() -> None:
    (told,) = found({**SET_UP, "database_size": "", "data": "logs\n"})
    assert f"{DIRECTORY}/data/one-api.db is gone though a gateway was set up there" in told
    assert f"move it back from {DIRECTORY}/switching/data if a run that was cut off" in told
    assert f"remove {DIRECTORY}/first-start-done" in told


def test_secrets_that_are_gone() -> None:
    (told,) = found({**SET_UP, "secrets": ""})
    assert told.startswith(f"{DIRECTORY}/secrets.env is gone though a gateway was set up there: put it back; ")
    assert told.endswith("have new secrets made: `pyinfra inventory.py deploys/reset_admin.py`")


def test_a_data_directory_of_something_else() -> None:
    (told,) = found({"data": "a\nb\nc\nd\n"})
    assert told.startswith(f"{DIRECTORY}/data holds a, b, c but no one-api.db: it is not One API's")
    assert " holds photos but" in found({"data": "logs\nphotos\n"})[0]


def test_what_one_api_leaves_besides_its_database_is_no_stranger() -> None:
    assert found({"data": "logs\n"}) == []
    assert found({"data": ".env\nlogs\none-api.db-journal\n"}) == []


def test_a_gateway_whose_data_are_in_another_database_is_not_taken_over() -> None:
    """With nothing but its logs in data/, a new and empty database would take its place."""
    (told,) = found({"data": "logs\n", "data_settings": "LOG_SQL_DSN\nSQL_DSN\n"})
    assert told.startswith("the gateway that is there has its data in another database (SQL_DSN is set)")
    (told,) = found({"database_size": "4096\n", "data": "one-api.db\n", "data_settings": "LOG_SQL_DSN\n"})
    assert "start it without LOG_SQL_DSN, then run this again" in told
    assert found({**SET_UP, "data_settings": "SQL_DSN\n"}) == [], "ours reads no .env of its data"


def test_another_container_on_the_same_data() -> None:
    assert found({"data_users": f"{PROJECT}\nold-api\n"}) == [
        f"the container old-api uses {DIRECTORY}/data too: stop and remove it (docker rm -f old-api)"
    ]


@pytest.mark.parametrize("name", [PROJECT, layout.REPLACED, layout.FIRST_START])
def test_our_own_containers_on_the_data(name: str) -> None:
    assert found({"data_users": f"{name}\n"}) == []
