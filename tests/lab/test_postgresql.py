"""A gateway whose data are in a PostgreSQL on another machine: deployed, backed up, restored, and what it survives."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from lab.state import database_secret
from llm_gateway.model import dotenv
from tests.lab.conftest import INVENTORY, Lab, Run, look_with_canary
from tests.lab.faults import await_that
from tests.lab.rows import DIRECTORY
from tests.lab.watching import Watchers

GATEWAY, DATABASE = "gwpg", "dbpg"
BACKUPS = f"{DIRECTORY}/backups"
UNIT = "openclaw-llm-gateway"
TABLES = ("abilities", "channels", "logs", "options", "tokens", "users")


@pytest.fixture(scope="module")
def hosts(lab: Lab) -> Iterator[Lab]:
    with lab.more_hosts(f"{GATEWAY}:ready", f"{DATABASE}:database"):
        yield lab


@pytest.fixture(scope="module")
def first(hosts: Lab) -> tuple[Run, Watchers]:
    """The first deployment, watched from outside."""
    with Watchers(hosts, GATEWAY) as watchers:
        run = hosts.deploy("-vvv", "--diff", "--limit", GATEWAY)
    return run, watchers


@pytest.fixture(scope="module")
def gateway(hosts: Lab, first: tuple[Run, Watchers]) -> Lab:
    assert first[0].code == 0, first[0].output[-6000:]
    return hosts


def ask(lab: Lab, sql: str) -> str:
    """What the database answers as its own superuser, who is asked on its host."""
    return lab.ssh(DATABASE, "runuser -u postgres -- psql -XqAt -v ON_ERROR_STOP=1 gateway", sql)


def rows(lab: Lab) -> dict[str, str]:
    """All rows of what people keep; the log, and what each answer counts, go on."""
    columns = {"channels": "id, name, key, models", "tokens": "id, name, key, status, models", "users": "id, username"}
    return {name: ask(lab, f"SELECT {what} FROM {name} ORDER BY id;") for name, what in columns.items()}  # noqa: S608


def secrets(lab: Lab) -> list[str]:
    """The database's password, as it is and as a DSN has it."""
    lines = (lab.directory / "secrets.env").read_text().splitlines()
    dsn = dict(line.split("=", 1) for line in lines)[database_secret(DATABASE)]
    encoded = urlsplit(dsn).password or ""
    assert encoded != unquote(encoded), "it has signs that are to be encoded"
    return [encoded, unquote(encoded)]


def restore(lab: Lab, name: str, *chosen: str) -> Run:
    settings = ("--data", f"host={GATEWAY}", "--data", f"backup={name}", *chosen)
    return lab.pyinfra("-y", "--limit", GATEWAY, *settings, INVENTORY, "deploys/restore.py")


def make_backup(lab: Lab) -> str:
    found: dict[str, str] = json.loads(lab.ssh(GATEWAY, f"{DIRECTORY}/make-backup 'a test'"))
    return found["file"]


def test_a_database_that_is_not_reached_is_refused_before_anything_is_touched(hosts: Lab) -> None:
    hosts.ssh(DATABASE, "systemctl stop postgresql@*")
    run = hosts.deploy("--limit", GATEWAY)
    hosts.ssh(DATABASE, "systemctl start postgresql")
    run.must_fail_with("gateway_database: the host does not reach", "(Connection refused)", "nothing was changed")
    assert hosts.ssh(GATEWAY, "ls -d /opt/openclaw-llm-gateway /etc/nftables.d 2>/dev/null || true") == ""


def test_a_deployment_on_an_empty_database_never_lets_the_default_password_in(
    gateway: Lab, first: tuple[Run, Watchers]
) -> None:
    _, watchers = first
    tries = watchers.logins().splitlines()
    assert any("HTTP 200" in line for line in tries), "nobody was ever answered"
    assert not any('"success":true' in line for line in tries)
    assert ask(gateway, "SELECT gateway FROM llm_gateway_claim;") == GATEWAY
    assert ask(gateway, "SELECT count(*) FROM users;") == "1"
    mode = gateway.ssh(GATEWAY, f"stat -c %a {DIRECTORY}/database.conf {DIRECTORY}/.env").split()
    assert mode == ["600", "600"]


def test_the_password_of_the_database_is_seen_by_nobody(gateway: Lab, first: tuple[Run, Watchers]) -> None:
    run, watchers = first
    look = f"docker inspect {UNIT}; docker logs {UNIT}; journalctl -b --no-pager; cat {DIRECTORY}/docker-compose.yml"
    seen = run.output + watchers.arguments() + gateway.ssh(GATEWAY, f"{{ {look}; }} 2>&1")
    assert "docker load" in watchers.arguments(), "the watcher saw nothing of the deployment"
    assert not [secret for secret in secrets(gateway) if secret in seen]


def test_a_second_run_changes_nothing_and_all_tasks_read_the_database(gateway: Lab) -> None:
    again = gateway.deploy("--limit", GATEWAY)
    assert again.code == 0, again.output[-3000:]
    assert "nothing was changed" in again.output
    plan = gateway.pyinfra("-y", "--limit", GATEWAY, INVENTORY, "deploys/plan.py")
    assert "as declared: nothing to change" in plan.output
    usage = gateway.pyinfra("-y", "--limit", GATEWAY, INVENTORY, "deploys/usage.py")
    assert "llm-gateway-verification" in usage.output, usage.output[-2000:]
    look_with_canary(gateway, GATEWAY)
    canary = gateway.ssh(GATEWAY, "tail -n 1 /var/lib/openclaw-llm-gateway/canary.jsonl")
    assert json.loads(canary)["ok"], canary
    ask(gateway, "INSERT INTO logs (user_id, created_at, type) SELECT 1, 1000, 2 FROM generate_series(1, 1200);")
    pruned = json.loads(gateway.ssh(GATEWAY, f"{DIRECTORY}/prune-logs"))
    assert (pruned["ok"], pruned["removed"]) == (True, 1200)
    verified = gateway.verify("--limit", GATEWAY)
    assert verified.code == 0, verified.output[-3000:]


def test_a_backup_holds_all_rows_and_a_restore_brings_them_back_and_is_taken_back(gateway: Lab) -> None:
    kept = make_backup(gateway)
    manifest = json.loads(gateway.ssh(GATEWAY, f"tar -xzOf {BACKUPS}/{kept} manifest.json"))
    assert set(manifest["tables"]) >= {*TABLES}
    assert manifest["tables"]["tokens"] == int(ask(gateway, "SELECT count(*) FROM tokens;"))
    assert "llm_gateway_claim" not in manifest["tables"]
    before = rows(gateway)
    ask(gateway, "INSERT INTO tokens (user_id, key, status, name) VALUES (1, repeat('k', 48), 1, 'made later');")
    done = restore(gateway, kept)
    assert done.code == 0, done.output[-4000:]
    assert rows(gateway) == before
    (replaced,) = gateway.ssh(GATEWAY, f"ls {BACKUPS} | grep ^replaced-").split()
    back = restore(gateway, replaced)
    assert back.code == 0, back.output[-4000:]
    assert "made later" in rows(gateway)["tokens"]
    # The sequences came along: a new row gets a number that nobody has.
    ask(gateway, "DELETE FROM tokens WHERE name = 'made later'; INSERT INTO logs (user_id) VALUES (1);")


def test_a_backup_that_cannot_be_loaded_leaves_all_as_it_was(gateway: Lab, tmp_path: Path) -> None:
    broken = _with_an_error(gateway, make_backup(gateway), tmp_path)
    before = rows(gateway)
    run = restore(gateway, str(broken))
    run.must_fail_with("division by zero", "serves again, with all that it had")
    assert rows(gateway) == before
    assert gateway.verify("--limit", GATEWAY).code == 0


def _with_an_error(lab: Lab, name: str, place: Path) -> Path:
    """A copy of a backup here, whole by its sums, whose dump fails in its middle."""
    here, made = place / "whole.tar.gz", place / name
    found = lab.ssh(GATEWAY, f"base64 -w0 {BACKUPS}/{name}")
    here.write_bytes(base64.b64decode(found))
    with tarfile.open(here) as source:
        members = {each.name: source.extractfile(each).read() for each in source.getmembers()}  # type: ignore[union-attr]
    start, mark, end = members["one-api.sql"].partition(b"\n--\n-- PostgreSQL database dump complete")
    members["one-api.sql"] = start + b"\nSELECT 1 / 0;\n" + mark + end
    manifest = json.loads(members["manifest.json"])
    digest = hashlib.sha256(members["one-api.sql"]).hexdigest()
    manifest["members"]["one-api.sql"] = {"size": len(members["one-api.sql"]), "sha256": digest}
    members["manifest.json"] = json.dumps(manifest).encode()
    with tarfile.open(made, "w:gz") as target:
        for member, content in members.items():
            entry = tarfile.TarInfo(member)
            entry.size = len(content)
            target.addfile(entry, io.BytesIO(content))
    return made


def test_a_restarted_and_a_lost_database(gateway: Lab) -> None:
    kept = make_backup(gateway)
    gateway.ssh(DATABASE, "systemctl restart postgresql")
    await_that(lambda: gateway.verify("--limit", GATEWAY).code == 0, "it serves after PostgreSQL was restarted", 120)
    ask(gateway, "DROP TABLE users, tokens, channels, abilities, options, logs CASCADE;")
    gateway.ssh(GATEWAY, f"systemctl restart --no-block {UNIT}")

    def says() -> str:
        return gateway.ssh(GATEWAY, f"systemctl show {UNIT} -p StatusText --value")

    await_that(lambda: "holds no gateway" in says(), "the unit says that the database holds no gateway")
    assert gateway.ssh(GATEWAY, f"docker ps -q --filter name={UNIT}") == "", "none begins anew, with root/123456"
    refused = gateway.deploy("--limit", GATEWAY)
    refused.must_fail_with("holds nothing of this gateway, though one was set up on this host")
    back = restore(gateway, kept)
    assert back.code == 0, back.output[-4000:]
    assert gateway.verify("--limit", GATEWAY).code == 0


def test_what_is_not_there_yet_is_refused_with_the_way(gateway: Lab) -> None:
    rollback = gateway.pyinfra("-y", "--limit", GATEWAY, INVENTORY, "deploys/rollback.py")
    rollback.must_fail_with("going back of a gateway on a PostgreSQL is not there yet")
    other = gateway.deploy("--limit", GATEWAY, "--data", "gateway_database=sqlite")
    other.must_fail_with("this gateway keeps its data in a PostgreSQL")


@pytest.mark.full
def test_it_is_removed_and_its_rows_stay_for_a_host_that_takes_its_place(gateway: Lab) -> None:
    secrets_file = gateway.ssh(GATEWAY, f"cat {DIRECTORY}/secrets.env")
    password = dotenv.read(secrets_file)["ONEAPI_ROOT_PASSWORD"]
    tokens = rows(gateway)["tokens"]
    remove = ("--data", f"yes={GATEWAY}", INVENTORY, "deploys/remove.py")
    removed = gateway.pyinfra("-y", "--limit", GATEWAY, *remove)
    assert removed.code == 0, removed.output[-4000:]
    left = gateway.ssh(GATEWAY, f"ls -A {DIRECTORY}").split()
    assert "database.conf" not in left
    assert "backups" in left, "a last one was made"
    assert rows(gateway)["tokens"] == tokens
    without = gateway.deploy("--limit", GATEWAY)
    without.must_fail_with("knows another root password; export ONEAPI_ROOT_PASSWORD=")
    again = gateway.deploy("--limit", GATEWAY, environment={"ONEAPI_ROOT_PASSWORD": password})
    assert again.code == 0, again.output[-4000:]
    assert rows(gateway)["tokens"] == tokens


_NASTY = "INSERT INTO tokens (user_id, key, status, name, unlimited_quota, models) VALUES (1, '{}', 1, '{}', {}, NULL);"


def test_a_backup_goes_into_a_file_and_back_into_a_database_with_all_its_rows(gateway: Lab) -> None:
    ask(gateway, _NASTY.format("k" * 48, "it''s \\N\t中文\n.quit", "true"))
    dump = make_backup(gateway)
    before = rows(gateway)
    remove = ("--data", f"yes={GATEWAY}", INVENTORY, "deploys/remove.py")
    assert gateway.pyinfra("-y", "--limit", GATEWAY, *remove).code == 0
    file = ("--data", "gateway_database=sqlite")
    deployed = gateway.deploy("--limit", GATEWAY, *file)
    assert deployed.code == 0, deployed.output[-4000:]
    restored = restore(gateway, dump, *file)
    assert restored.code == 0, restored.output[-4000:]
    in_file = "sqlite3 -init /dev/null -readonly {}/data/one-api.db"
    said = gateway.ssh(
        GATEWAY, in_file.format(DIRECTORY), "SELECT id, name, key, status, models FROM tokens ORDER BY id;"
    )
    assert said == before["tokens"]
    back = make_backup(gateway)
    assert gateway.pyinfra("-y", "--limit", GATEWAY, *file, *remove).code == 0
    ask(gateway, "DROP OWNED BY gateway;")
    assert gateway.deploy("--limit", GATEWAY).code == 0
    again = restore(gateway, back)
    assert again.code == 0, again.output[-4000:]
    assert rows(gateway) == before
    ask(gateway, _NASTY.format("j" * 48, "the next number", "false"))


def _pinned(name: str) -> tuple[str, ...]:
    settings = {"gateway_image": f"tried:{name}", "gateway_image_archive": "null"}
    return tuple(part for key, value in settings.items() for part in ("--data", f"{key}={value}"))


def test_an_upgrade_is_tried_on_a_copy_and_one_that_fails_there_changes_nothing(gateway: Lab) -> None:
    base = gateway.state["gateway_image"]["reference"]
    made = [f"docker create --name model {base}"]
    for name, faults in (("crashing", "migrates,crashes"), ("good", "migrates")):
        made.append(f"docker commit --change 'ENV STANDIN_FAULTS={faults}' model tried:{name}")
    gateway.ssh(GATEWAY, " && ".join([*made, "docker rm model"]))
    before, novelties = rows(gateway), "SELECT to_regclass('novelties');"
    failed = gateway.deploy("--limit", GATEWAY, *_pinned("crashing"))
    failed.must_fail_with("and no file of it was changed; the upgrade to tried:crashing was not made")
    assert (rows(gateway), ask(gateway, novelties)) == (before, ""), "what it made of the copy is lost with it"
    done = gateway.deploy("--limit", GATEWAY, *_pinned("good"))
    assert done.code == 0, done.output[-4000:]
    assert (rows(gateway), ask(gateway, novelties)) == (before, "novelties")
    assert ask(gateway, "SELECT nspname FROM pg_namespace WHERE nspname = 'llmgw_trial';") == ""
