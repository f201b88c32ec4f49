"""The host's side of a swap, cut off at every command: undone, the host has what it had; settled, nothing is lost."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from llm_gateway.model import layout
from llm_gateway.model.checkout import ROOT
from llm_gateway.model.shell import program

pytestmark = pytest.mark.slow

SCRIPT = ROOT / "llm_gateway/tasks/swap.sh"
# In bash, which can count commands; the process kills itself as SIGKILL from outside would.
_CUT = """
set -T
commands=0
trap 'commands=$((commands + 1)); [ "$commands" -le CUT ] || kill -KILL $$' DEBUG
"""
NEVER = 10**6
STRIDE = 7
"""1 cuts at every command, and takes minutes on a small machine."""
OLD, NEW = "sha256:" + "1" * 64, "sha256:" + "2" * 64
FILES = ("secrets.env", ".env", "docker-compose.yml", "unit")
BELONGINGS = layout.names(layout.Role.DISPLACED)
HAD = {
    "data/one-api.db": "the old rows",
    "data/one-api.db-journal": "the old journal",
    "secrets.env": "old secrets",
    ".env": "old environment",
    "applied-keys.json": "old record",
    "first-start-done": "yes",
    "migrated-to": "another host",
    "previous/image": f"{NEW}\n",
    "unit": "old unit",
}
INCOMING = {
    "one-api.db": "the new rows",
    "secrets.env": "new secrets",
    "migrating-from": "the host that it comes from",
    "docker-compose.yml": "not to be used",
}
_DOCKER = """#!/bin/sh
echo "docker $*" >> {calls}
[ "$1 $2" != "container inspect" ]
"""
_SYSTEMCTL = """#!/bin/sh
echo "systemctl $*" >> {calls}
[ "$1" != show ] || echo {state}
[ "$1" != is-active ]
"""


@dataclass(frozen=True)
class Host:
    """A directory that stands for a host; Docker and systemd only answer."""

    place: Path
    had: dict[str, str | bytes] = field(default_factory=dict)
    incoming: dict[str, str | bytes] = field(default_factory=lambda: {**INCOMING})
    purpose: str = "restore"
    aside: str = ""
    was_active: str = "yes"
    was_enabled: str = "yes"
    new_rows: str = "echo newer > data/one-api.db-wal"
    """What the new one does to the data, as a command."""
    disk: Path | None = None
    """Another disk, where `data` or `backups` leads to it."""
    on_disk: str = "data"

    def begin(self) -> Host:
        """As it is when a swap begins."""
        shutil.rmtree(self.place.parent, ignore_errors=True)
        self.place.mkdir(parents=True)
        if self.disk:
            shutil.rmtree(self.disk, ignore_errors=True)
            self.disk.mkdir(mode=0o700)
            (self.place / self.on_disk).symlink_to(self.disk)
        (self.place / "data").mkdir(exist_ok=True)
        programs = self.place.parent / "bin"
        programs.mkdir()
        for name, text in (("systemctl", _SYSTEMCTL), ("docker", _DOCKER), ("sync", "#!/bin/sh\n")):
            (programs / name).write_text(text.format(calls=self.place.parent / "calls", state="active"))
            (programs / name).chmod(0o755)
        for name, content in {**self.had, **{f"incoming/{name}": text for name, text in self.incoming.items()}}.items():
            (self.place / name).parent.mkdir(parents=True, exist_ok=True)
            (self.place / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return self

    def run(self, functions: str, cut: int = NEVER) -> bool:
        """Run functions of the script, and cut it off after so many commands. Whether it came to its end."""
        images = self.purpose in {"upgrade", "rollback"}
        names = [*FILES, *(name for name in BELONGINGS if name not in FILES)]
        values = {
            "service": "",
            "claim": "",
            "directory": str(self.place),
            "project": "gateway",
            "unit": "gateway.service",
            "timer": "gateway-backup.timer",
            "own_backups": (ROOT / "files/own-backups").read_text(),
            "purpose": self.purpose,
            "source": "the new one",
            "aside": self.aside,
            "replaces": "yes" if self.incoming else "no",
            "files": " ".join(str(self.place / name) for name in names),
            "belongings": " ".join(BELONGINGS),
            "half_ends": " ".join(layout.HALF_FILES),
            "half_placed": " ".join(layout.HALF_PLACED),
            "old_id": OLD if images else "",
            "old_name": "one-api:old" if images else "",
            "new_id": NEW if images else "",
            "new_name": "one-api:new" if images else "",
            "kept_tag": "kept:1",
            "kept_name": "kept",
            "next_name": "next",
            "is_safe": "yes",
            "was_active": self.was_active,
            "was_enabled": self.was_enabled,
        }
        text = program(values, SCRIPT, call=f"{_CUT.replace('CUT', str(cut))}\n{functions}")
        done = subprocess.run(
            ["bash", "-c", text],
            env={"PATH": f"{self.place.parent}/bin:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, -9), done.stderr
        return done.returncode == 0

    def swap(self, cut: int = NEVER) -> bool:
        """What a run does, with the files that it renders."""
        render = "echo new > .env; echo new > docker-compose.yml; echo new > unit; echo new > first-start-done"
        return self.run(f"keep\nstop\nplace\n{render}\n{self.new_rows}", cut)

    def holds(self) -> dict[str, str | bytes]:
        """Every file, with its content."""
        found = (Path(place) / name for place, _, names in os.walk(self.place, followlinks=True) for name in names)
        files = (file for file in found if file.is_file())
        contents = {str(file.relative_to(self.place)): file.read_bytes() for file in files}
        return {name: _read(content) for name, content in contents.items()}

    def calls(self) -> list[str]:
        """What Docker and systemd were told."""
        return (self.place.parent / "calls").read_text().splitlines()


def _read(content: bytes) -> str | bytes:
    return content if b"\0" in content else content.decode()


def _database(place: Path, *tables: str) -> bytes:
    file = place / "made.db"
    file.unlink(missing_ok=True)
    with sqlite3.connect(file) as database:
        for table in tables:
            database.execute(f"CREATE TABLE {table} (id integer)")
    database.close()
    return file.read_bytes()


def _sql(statement: str) -> str:
    return f'python3 -c \'import sqlite3; sqlite3.connect("data/one-api.db").executescript("{statement}")\''


WRITES = _sql("INSERT INTO logs VALUES (1)")
MIGRATES = _sql("CREATE TABLE novelties (id integer)")
KINDS = ("a restore", "on a fresh host", "an upgrade", "an upgrade that migrates", "a rollback to older data")
ON_DISKS = ("a restore, data elsewhere", "a rollback, backups elsewhere")
OTHER_DISK = Path("/dev/shm")


@pytest.fixture(params=(*KINDS, *ON_DISKS))
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Host]:
    """A host before a swap."""
    host = _host(request.param, tmp_path)
    yield host
    if host.disk:
        shutil.rmtree(host.disk, ignore_errors=True)


def _host(kind: str, tmp_path: Path) -> Host:
    place = tmp_path / "host" / "gateway"
    old = {**HAD, "data/one-api.db": _database(tmp_path, "logs")}
    del old["data/one-api.db-journal"], old["previous/image"]
    upgrade = Host(place, old, {}, "upgrade", "other-image-20260101T000000Z", new_rows=WRITES)
    rollback = replace(Host(place, {**HAD}), purpose="rollback", aside=upgrade.aside)
    disk = OTHER_DISK / f"swap-{os.getpid()}"
    return {
        "a restore": Host(place, {**HAD}),
        "a restore, data elsewhere": Host(place, {**HAD}, disk=disk),
        "a rollback, backups elsewhere": replace(rollback, disk=disk, on_disk="backups"),
        "on a fresh host": Host(place),
        "an upgrade": upgrade,
        "an upgrade that migrates": replace(upgrade, new_rows=MIGRATES),
        "a rollback to older data": rollback,
    }[kind].begin()


def _is_as_it_was(host: Host) -> bool:
    """Whether the host has what it had, and what the other one has made of its data where that is to be kept."""
    found = host.holds()
    aside = {name for name in found if name.startswith("backups/")}
    assert not aside or host.aside, aside
    found = {name: content for name, content in found.items() if name not in aside}
    if host.new_rows == WRITES:  # without another schema what was written meanwhile stays
        found["data/one-api.db"] = host.had["data/one-api.db"]
    return found == host.had


def test_a_swap_cut_off_at_every_command_is_undone(host: Host) -> None:
    for cut in range(0, NEVER, STRIDE):
        host.begin()
        ended = host.swap(cut)
        assert host.run("undo")
        assert _is_as_it_was(host), f"cut off after {cut} commands: {host.holds()}"
        if ended:
            break
    assert cut > 20
    assert host.calls()[-1] == "systemctl start --no-block gateway-backup.timer"
    assert "systemctl start --no-block gateway.service" in host.calls()[-3:]


def test_an_undo_cut_off_at_every_command_is_done_by_the_next_one(host: Host) -> None:
    for cut in range(0, NEVER, STRIDE):
        host.begin()
        assert host.swap()
        ended = host.run("undo", cut)
        assert host.run("undo")
        assert _is_as_it_was(host), f"cut off after {cut} commands: {host.holds()}"
        kept = [name for name in host.holds() if name.startswith("backups/") and name.endswith("/one-api.db")]
        assert len(kept) == (host.new_rows == MIGRATES or host.purpose == "rollback"), f"after {cut} commands"
        if ended:
            break
    assert cut > 20


@pytest.mark.parametrize("host", KINDS[2:], indirect=True)
def test_an_undo_gives_the_old_image_its_name_back(host: Host) -> None:
    assert host.swap()
    assert host.calls()[-1] == f"docker image tag {NEW} one-api:new"
    assert host.run("undo")
    assert f"docker image tag {OLD} one-api:old" in host.calls()


@pytest.mark.parametrize("host", ["an upgrade"], indirect=True)
def test_a_database_that_cannot_be_read_any_more_is_replaced(host: Host) -> None:
    host = replace(host, new_rows="echo 'no database' > data/one-api.db; echo something > data/one-api.db-journal")
    assert host.swap()
    assert host.run("undo")
    assert _is_as_it_was(host)
    assert host.holds()[f"backups/{host.aside}/one-api.db"] == "no database\n"


@pytest.mark.parametrize("host", ["an upgrade"], indirect=True)
def test_where_nothing_was_kept_yet_nothing_is_stopped(host: Host) -> None:
    assert host.run("undo")
    assert not [call for call in host.calls() if " stop " in call or " rm " in call]


@pytest.mark.parametrize("host", KINDS[::2], indirect=True)
def test_a_gateway_that_was_stopped_is_left_so(host: Host) -> None:
    host = replace(host, was_active="no", was_enabled="no")
    assert host.swap()
    assert host.run("undo")
    assert "systemctl start --no-block gateway.service" not in host.calls()
    assert "systemctl disable --quiet gateway.service" in host.calls()


@pytest.mark.parametrize("host", KINDS[:2], indirect=True)
def test_a_restore_leaves_the_old_data_among_the_backups_wherever_it_is_cut_off(host: Host) -> None:
    for cut in range(0, NEVER, STRIDE):
        host.begin()
        assert host.swap()
        ended = host.run("settle", cut)
        assert host.run("settle")
        found = host.holds()
        assert found["data/one-api.db"] == "the new rows"
        assert found["secrets.env"] == "new secrets"
        assert "applied-keys.json" not in found, "the record of the old database says nothing of the new one"
        assert "migrated-to" not in found, "it is a gateway again"
        assert found["migrating-from"] == "the host that it comes from"
        kept = {name.split("/", 2)[2]: text for name, text in found.items() if name.startswith("backups/replaced-")}
        assert {name for name in found if not name.startswith("backups/")} == {
            *("data/one-api.db", "data/one-api.db-wal", "first-start-done", "migrating-from", *FILES)
        }
        assert (kept.get("data/one-api.db"), kept.get("data/one-api.db-journal"), kept.get("secrets.env")) == (
            ("the old rows", "the old journal", "old secrets") if host.had else (None, None, None)
        )
        # An upgrade of what was replaced cannot be taken back any more.
        assert kept.get("previous/image") == host.had.get("previous/image")
        if ended:
            break
    assert cut > 20


@pytest.mark.parametrize("host", [*KINDS[2:], ON_DISKS[1]], indirect=True)
def test_what_a_switch_to_another_image_has_kept_finds_its_place(host: Host) -> None:
    (host.place / "data/older").mkdir()
    (host.place / "docker-compose.yml.older").write_text("a person's")
    for left in ("secrets.env.older", "unit.restored", ".env.llmgw-back", "data/older/one-api.db"):
        (host.place / left).write_text("left by an earlier version")
    assert host.swap()
    assert host.run("settle")
    found = host.holds()
    assert not [name for name in found if "left by an earlier version" in str(found[name])]
    assert not (host.place / "data/older").exists()
    assert found["docker-compose.yml.older"] == "a person's"
    assert not [name for name in found if name.startswith("switching")]
    if host.purpose == "upgrade":
        assert found["previous/data/one-api.db"] == host.had["data/one-api.db"]
        assert found["previous/files/secrets.env"] == "old secrets"
        assert str(found["previous/image"]).splitlines()[:3] == [OLD, "one-api:old", "the new one"]
    else:
        assert found[f"backups/{host.aside}/one-api.db"] == "the old rows"
        assert not [name for name in found if name.startswith("previous/")]


@pytest.mark.parametrize(
    ("left", "found"),
    [
        ({"replaced/data/one-api.db": "older", "replaced/.env": "e", "replaced/present": ".env"}, "replaced-"),
        (
            {"switching/purpose": "rollback", "switching/newer": "other-image-1", "switching/data/one-api.db": "older"},
            "other-image-1/",
        ),
        ({"switching/purpose": "upgrade", "switching/image": OLD, "switching/data/one-api.db": "older"}, ""),
    ],
)
def test_what_an_earlier_version_has_kept_finds_its_place(left: dict[str, str], found: str, tmp_path: Path) -> None:
    """Its run was cut off between its commit and its end."""
    host = Host(tmp_path / "host" / "gateway", {**HAD, **left}, {}).begin()
    assert host.run("settle")
    places = [name for name, text in host.holds().items() if text == "older"]
    assert len(places) == 1
    assert places[0].startswith(f"backups/{found}" if found else "previous/data/")


def test_going_back_lays_the_older_data_out_with_their_keys(tmp_path: Path) -> None:
    had: dict[str, str | bytes] = {
        "previous/image": OLD,
        "previous/data/one-api.db": "the older rows",
        "previous/data/one-api.db-wal": "the last of them",
        "previous/data/one-api.db-shm": "made anew",
        "previous/files/secrets.env": "older secrets",
        "previous/files/unit": "older unit",
        "first-start-done": "yes",
    }
    host = Host(tmp_path / "host" / "gateway", had, {}).begin()
    assert host.run("stage_previous")
    found = {name.partition("/")[2]: text for name, text in host.holds().items() if name.startswith("incoming/")}
    assert found == {
        "one-api.db": "the older rows",
        "one-api.db-wal": "the last of them",
        "secrets.env": "older secrets",
        "first-start-done": "yes",
    }


def test_what_was_to_arrive_is_not_on_its_way_any_more_once_something_else_was_put_there(tmp_path: Path) -> None:
    incoming = {name: text for name, text in INCOMING.items() if name != "migrating-from"}
    host = Host(tmp_path / "host" / "gateway", {**HAD, "migrating-from": "a host"}, {**incoming}).begin()
    assert host.swap()
    assert "migrating-from" not in host.holds()
    assert host.run("undo")
    assert host.holds()["migrating-from"] == "a host"


def test_settling_goes_on_where_it_was_cut_off_also_on_another_disk(tmp_path: Path) -> None:
    host = _host(ON_DISKS[1], tmp_path)
    try:
        for cut in range(0, NEVER, STRIDE):
            host.begin()
            assert host.swap()
            ended = host.run("settle", cut)
            assert host.run("settle")
            assert host.holds()[f"backups/{host.aside}/one-api.db"] == "the old rows"
            if ended:
                break
        assert cut > 5
    finally:
        shutil.rmtree(OTHER_DISK / f"swap-{os.getpid()}", ignore_errors=True)


def test_a_file_that_cannot_be_kept_stops_the_swap(tmp_path: Path) -> None:
    """Else an undo would take it for one that was not there before, and remove it."""
    host = _host("a restore", tmp_path)
    (host.place.parent / "bin/cp").write_text(
        '#!/bin/sh\ncase "$*" in *applied-keys*) exit 1 ;; esac\nexec /bin/cp "$@"\n'
    )
    (host.place.parent / "bin/cp").chmod(0o755)
    with pytest.raises(AssertionError):
        host.run("keep")
    assert host.run("undo")
    assert host.holds() == host.had


def test_a_unit_that_does_not_stop_stops_the_swap(tmp_path: Path) -> None:
    host = _host("a restore", tmp_path)
    systemctl = host.place.parent / "bin/systemctl"
    systemctl.write_text('#!/bin/sh\ncase "$1" in stop) exit 1 ;; esac\n')
    assert host.run("keep")
    with pytest.raises(AssertionError):
        host.run("stop")
    assert host.holds()["data/one-api.db"] == "the old rows"


def test_what_lies_beside_the_new_ones_data_is_not_left_beside_the_old(tmp_path: Path) -> None:
    """A reader keeps the new one's log there, while SQLite takes in that of the copy that was kept."""
    host = _host("an upgrade that migrates", tmp_path)
    assert host.run("keep\nstop\nplace")
    file = host.place / "data/one-api.db"
    database = sqlite3.connect(file)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE novelties (id integer)")
    database.commit()
    (host.place / "switching/held").write_text("data/one-api.db-wal\ndata/one-api.db\n")
    assert host.run("undo")
    database.close()
    with sqlite3.connect(file) as old:
        assert old.execute("SELECT name FROM sqlite_master").fetchall() == [("logs",)]
