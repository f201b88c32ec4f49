"""new-api as a second gateway software: on an empty host, and in the place of a gateway of One API."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.lab.conftest import INVENTORY, Lab, Run
from tests.lab.flavours import MODELS, admin, answers, keys_of, on, sql
from tests.lab.rows import DIRECTORY

FRESH, MOVED = "gwna", "gwnb"

OF_NO_KIND = (
    "INSERT INTO channels (name, type, key, models, status, base_url, config)"
    " VALUES ('of-no-kind', 38, 'k', 'm', 2, '', '')"
)


@pytest.fixture(scope="module")
def hosts(deployed: Lab) -> Iterator[Lab]:
    with deployed.more_hosts(f"{FRESH}:ready", f"{MOVED}:ready"):
        yield deployed


def test_an_empty_host_gets_one_and_all_is_done_with_it(hosts: Lab) -> None:
    of_new_api = on(FRESH, hosts, "new-api")
    first = hosts.deploy(*of_new_api)
    assert first.code == 0, first.output[-4000:]
    assert "verified on" in first.output
    second = hosts.deploy(*of_new_api)
    assert second.code == 0, second.output[-4000:]
    assert "nothing was changed" in second.output
    logged = hosts.ssh(FRESH, f"docker logs openclaw-llm-gateway 2>&1; cat {DIRECTORY}/docker-compose.yml")
    assert "SQLITE_PATH" in logged and "TIKTOKEN_CACHE_DIR" not in logged
    keys = keys_of(hosts, FRESH)
    for key in keys.values():
        assert "*" not in key
        assert key not in first.output + second.output
    for script, words in {
        "deploys/backup.py": "the backup is",
        "deploys/restore.py": "verified on",
        "deploys/rotate_keys.py": "the token of llm-gateway-verification is new",
        "deploys/reset_admin.py": "work: nothing to fix",
        "verify.py": "verified on",
    }.items():
        more = ["--data", "keys=all"] if "rotate" in script else []
        run = hosts.pyinfra("-y", *of_new_api, *more, INVENTORY, script)
        assert run.code == 0, f"{script}: {run.output[-4000:]}"
        assert words in run.output
    assert keys_of(hosts, FRESH)["llm-gateway-verification"] != keys["llm-gateway-verification"]
    last = hosts.deploy(*of_new_api)
    assert last.code == 0, last.output[-4000:]
    assert "nothing was changed" in last.output
    hosts.ssh(FRESH, "systemctl start openclaw-llm-gateway-canary")
    assert '"ok": true' in hosts.ssh(FRESH, "tail -n 1 /var/lib/openclaw-llm-gateway/canary.jsonl")


def test_what_is_asked_of_it_is_told_and_what_differs_is_healed(hosts: Lab) -> None:
    """With the test before, every task once; `make test-flavours` has them at length."""

    def run(script: str, *options: str, code: int = 0) -> Run:
        more = [part for option in options for part in ("--data", option)]
        done = hosts.pyinfra("-y", *on(FRESH, hosts, "new-api"), *more, INVENTORY, script)
        assert done.code == code, f"{script}: {done.output[-4000:]}"
        return done

    (told,) = json.loads(run("deploys/status.py", "status_json=True").stdout)["hosts"]
    assert told["gateway"]["version"].startswith("new-api v1.0.0-rc.15") and told["attention"] == []
    (told,) = json.loads(run("deploys/usage.py", "usage_json=True").stdout)["gateways"]
    asked = {each["agent"]: each["requests"] for each in told["groups"]}
    assert asked["llm-gateway-verification"] > 0 and asked["llm-gateway-canary"] > 0
    exported = run("deploys/export.py", "export_output=-").stdout
    for name in ("lab-upstream", "one-model", "elsewhere", "counted"):
        assert f'"name": "{name}"' in exported
    assert not [key for key in keys_of(hosts, FRESH).values() if key in exported]
    assert "deploy.py" in run("deploys/history.py").stdout

    run("deploys/plan.py", "plan_check=True")
    hosts.ssh(FRESH, sql("UPDATE tokens SET model_limits = 'all-of-them' WHERE name = 'one-model'"))
    assert "~ token one-model: models +smollm2 -all-of-them" in run("deploys/plan.py", "plan_check=True", code=3).output
    assert "~ token one-model: models" in run("deploy.py").output
    assert answers(hosts, FRESH)["one-model", "no-such-model"] == "403"


def test_what_began_with_new_api_goes_back_in_place(hosts: Lab) -> None:
    """One API starts twice on such a database, and would serve a deleted token and ignore the limits of the others."""
    before, keys = answers(hosts, FRESH), keys_of(hosts, FRESH)
    (counted,) = hosts.ssh(FRESH, sql("SELECT id FROM tokens WHERE name = 'counted'")).splitlines()
    admin(hosts, FRESH, "DELETE", f"/api/token/{counted}")
    hosts.ssh(FRESH, sql("INSERT INTO options VALUES ('ModelPrice', '{}')"))
    refused = hosts.deploy(*on(FRESH, hosts, "one-api"))
    refused.must_fail_with("serves on, as it did all the time", "option 'ModelPrice': One API has no such option")
    back = hosts.deploy(*on(FRESH, hosts, "one-api"), "--data", 'gateway_may_lose=["ModelPrice"]')
    assert back.code == 0, back.output[-4000:]
    assert "carrying over to One API" in back.output
    assert "~ token" not in back.output, "nothing was left to be limited after it served"
    after = answers(hosts, FRESH, keys)
    assert {after.pop(("counted", model)) for model in MODELS} == {"401"}
    assert after == {each: status for each, status in before.items() if each[0] != "counted"}
    again = hosts.deploy(*on(FRESH, hosts, "one-api"))
    assert "nothing was changed" in again.output, again.output[-4000:]


def test_a_gateway_of_one_api_is_moved_and_each_token_may_what_it_might(hosts: Lab) -> None:
    first = hosts.deploy(*on(MOVED, hosts, "one-api"))
    assert first.code == 0, first.output[-4000:]
    before, keys = answers(hosts, MOVED), keys_of(hosts, MOVED)
    assert (before["one-model", "smollm2"], before["one-model", "no-such-model"]) == ("200", "403")
    assert (before["elsewhere", "smollm2"], before["counted", "smollm2"]) == ("403", "200")

    hosts.ssh(MOVED, sql(OF_NO_KIND))
    refused = hosts.deploy(*on(MOVED, hosts, "new-api"))
    refused.must_fail_with(
        "serves on, as it did all the time", "channel 'of-no-kind': new-api has no channels of its type"
    )
    hosts.ssh(MOVED, sql("DELETE FROM channels WHERE name = 'of-no-kind'"))

    moved = hosts.deploy(*on(MOVED, hosts, "new-api"))
    assert moved.code == 0, moved.output[-4000:]
    assert "carrying over to new-api" in moved.output
    assert "~ token" not in moved.output, "nothing was left to be limited after it served"
    assert keys_of(hosts, MOVED) == keys
    assert answers(hosts, MOVED) == before
    again = hosts.deploy(*on(MOVED, hosts, "new-api"))
    assert "nothing was changed" in again.output, again.output[-4000:]

    rollback = [*on(MOVED, hosts, "new-api"), "--data", f"yes={MOVED}", INVENTORY, "deploys/rollback.py"]
    back = hosts.pyinfra("-y", *rollback)
    assert back.code == 0, back.output[-4000:]
    assert answers(hosts, MOVED) == before
    home = hosts.deploy(*on(MOVED, hosts, "one-api"))
    assert home.code == 0, home.output[-4000:]
