"""What the settings take arrives unchanged where it is read: by compose, systemd, a shell, and all readers of dotenv.

Each file is made twice, from plain values and from nasty ones. As its own reader understands it, the second must be the
first with the one in the place of the other, and nothing else: what breaks out of its place changes more than that.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import pytest
from hypothesis import Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from llm_gateway.contents import budgets
from llm_gateway.hosts import other_databases
from llm_gateway.hosts.topology import Machine
from llm_gateway.model import layout
from llm_gateway.model.checkout import ROOT, TAILSCALE_PROBLEM
from llm_gateway.parts import firewall, installation, log_pruning, page_server
from llm_gateway.parts.backups import scheduled_backups
from llm_gateway.parts.canary import destinations, scheduled_canary
from llm_gateway.parts.installation import Wanted
from llm_gateway.parts.openclaw import openclaw
from tests.unit import fuzz_values
from tests.unit.fake_hosts import ADDRESS, FRESH, KEYS, OPENCLAW
from tests.unit.fuzz_values import EXAMPLES, bounded
from tests.unit.readers import compose, node, python, systemd
from tests.unit.test_units import STUBS, analyze
from tests.unit.topology import make_machine

pytestmark = pytest.mark.slow

FIXED = {
    "gateway_canary_interval": "5min",
    "gateway_alerts": ["ntfy:PLAIN", "email:_A1"],
    "gateway_alerts_language": "en",
    "gateway_backup_schedule": "daily",
    "gateway_image_archive": None,
    "gateway_tailscale_address": ADDRESS,
    "openclaw_unit_scope": "system",
    "docker_source": "distribution",
    "openclaw_gateway": None,
    "openclaw_budget": {"tokens": 1},
    "gateway_page_port": 8443,
    "gateway_page_peers": [],
}
"""What is tested elsewhere, and would make other files of the rest."""
PLAIN = {
    name: next(text for text in values if isinstance(text, str))
    for name, values in EXAMPLES.items()
    if any(isinstance(text, str) for text in values) and name not in FIXED
}
NUMBERS = {
    name: values for name, values in EXAMPLES.items() if {*map(type, values)} <= {int, float} and name not in FIXED
}
WRITTEN = {name: text for name, text in PLAIN.items() if re.search("plain|d{64}", text, re.IGNORECASE)}
"""Texts that stand in a file where the setting does; the others are in none."""


def nasty(name: str) -> st.SearchStrategy[str]:
    """Texts that a setting takes."""
    return fuzz_values.taken(name).map(lambda value: PLAIN[name] if value is None else value)


def files_of(machine: Machine) -> list[Wanted]:
    """All files of a host that is a gateway and an OpenClaw host, but OpenClaw's own .env."""
    made, agent = machine.node, machine.agent
    return [
        *installation.wanted_files(made),
        *firewall.wanted_files(made),
        *scheduled_backups.script_files(made),
        *scheduled_backups.unit_files(made),
        *scheduled_canary.script_files(made),
        *scheduled_canary.unit_files(made),
        *destinations.files(made),
        *log_pruning.script_files(made),
        *log_pruning.unit_files(made),
        *budgets.script_files(made),
        *budgets.unit_files(made),
        *page_server.wanted_files(made),
        Wanted(openclaw.drop_in_path(agent), openclaw._wanted_drop_in(agent).encode(), "644", "the drop-in"),
    ]


def test_every_template_is_among_them(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = set()
    get = jinja2.Environment.get_template

    def watched(self: jinja2.Environment, name: str) -> jinja2.Template:
        seen.add(name)
        return get(self, name)

    monkeypatch.setattr(jinja2.Environment, "get_template", watched)
    files_of(chosen({}))
    templates = ROOT / "templates"
    assert seen == {str(path.relative_to(templates)) for path in templates.rglob("*") if path.is_file()}


def chosen(values: Mapping[str, Any]) -> Machine:
    """A host with these settings, and the plain ones for the rest."""
    secrets = {
        **KEYS,
        "PLAIN": "https://h.example/plain",
        "_A1": "smtps://a%40h.example:'$(id)%0a@h.example?to=b@h.example",
    }
    all_values = {**PLAIN, **FIXED, **values}
    return make_machine({**FRESH, **OPENCLAW}, roles="gateway openclaw", secrets=secrets, **all_values)


# --------------------------------------------------------------------------------------------------------- the readers


def read_compose(place: Path, files: Mapping[str, bytes]) -> dict[str, Any]:
    """Both compose files, as compose understands them."""
    for name in ("docker-compose.yml", "first-start.yml", ".env", "secrets.env"):
        (place / name).write_bytes(files[name])
    first = ("--env-file", "secrets.env", "-f", "first-start.yml")
    return {"compose": config(place), "first start": config(place, *first)}


def config(place: Path, *arguments: str) -> Any:
    done = subprocess.run(
        [compose.binary(), *arguments, "config", "--format", "json"],
        cwd=place,
        env={"HOME": str(place), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout.replace(str(place), "PLACE").replace("$$", "$"))


UNIT_KINDS = (".service", ".timer", ".path")


def read_units(place: Path, files: Mapping[str, bytes]) -> dict[str, Any]:
    """Our units, as systemd understands them; it must say nothing against any."""
    drop_in = place / f"{OPENCLAW_UNIT}.d"
    drop_in.mkdir()
    (drop_in / layout.DROP_IN).write_bytes(files[layout.DROP_IN])
    stubs = {**STUBS, OPENCLAW_UNIT: "[Service]\nExecStart=/bin/true\n"}
    ours = {name: content.decode() for name, content in files.items() if name.endswith(UNIT_KINDS)}
    for name, text in {**stubs, **ours}.items():
        (place / name).write_text(text)
    names = [*ours, OPENCLAW_UNIT]
    done = analyze(
        place,
        "verify",
        "--man=no",
        "--generators=no",
        *(str(place / name) for name in names),
        SYSTEMD_LOG_LEVEL="debug",
    )
    said = [line for line in done.stderr.splitlines() if re.search(r"\.(service|timer|path|conf):\d+:", line)]
    # That it knows system calls which this machine's library does not is said for debugging only.
    assert [line for line in said if "system call, ignoring" not in line] == []
    blocks = done.stdout.replace(str(place), "PLACE").split("-> Unit ")
    dumped = {block.partition(":\n")[0]: sorted(block.splitlines()[1:]) for block in blocks}
    # A filter is told in any order, and jobs are numbered as they come.
    return {name: [line for line in dumped[name] if not re.search("SystemCallFilter|-> Job", line)] for name in names}


OPENCLAW_UNIT = "openclaw-gateway.service"
NO_SHELL = (layout.DROP_IN, Path(layout.PAGE_CONF).name)
SHELL = 'for name in $(compgen -v); do printf "%s\\0%s\\0" "$name" "${!name}"; done'


def read_shell(place: Path, files: Mapping[str, bytes]) -> dict[str, Any]:
    """The variables that each .conf sets in bash. Nothing that stands in one is run."""
    found = {
        name: assigned(place, content)
        for name, content in files.items()
        if name.endswith(".conf") and name not in NO_SHELL
    }
    assert [path.name for path in place.iterdir()] == ["conf"]
    return found


def assigned(place: Path, content: bytes) -> dict[str, Any]:
    (place / "conf").write_bytes(content)
    script = f"{SHELL} > /dev/null; . ./conf; {SHELL}"
    done = subprocess.run(
        ["/bin/bash", "--norc", "-c", script],
        cwd=place,
        env={"PATH": "/nowhere", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        timeout=20,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    parts = done.stdout.decode().split("\0")[:-1]
    own = dict(zip(parts[::2], parts[1::2], strict=True))
    # A document in a variable is compared as one: what it holds may be escaped in it.
    ours = {name: text for name, text in own.items() if name.islower()}
    return {name: json.loads(text) if text.startswith('{"model"') else text for name, text in ours.items()}


def read_dotenv(place: Path, files: Mapping[str, bytes]) -> dict[str, Any]:
    """What readers of dotenv files see alike: in ours (which compose reads as well, above), and in OpenClaw's."""
    found = {}
    for name, content in files.items():
        if name.endswith(".env"):
            text = content.decode()
            found[name] = python.read(text)
            for other in (systemd.read, node.read, node.read_builtin):
                assert other(text) == found[name], name
    return found


def read_rules(place: Path, files: Mapping[str, bytes]) -> dict[str, Any]:
    """The lines of the firewall's rules."""
    return {"rules": re.sub(r'comment "[0-9a-f]{64}"', "", files["rules.nft"].decode()).splitlines()}


READERS: dict[str, Callable[[Path, Mapping[str, bytes]], dict[str, Any]]] = {
    ".yml": read_compose,
    ".service": read_units,
    ".timer": read_units,
    ".path": read_units,
    ".conf": read_shell,
    ".env": read_dotenv,
    ".nft": read_rules,
}


def suffix(name: str) -> str:
    return ".env" if name == ".env" else Path(name).suffix


def contents(made: Machine) -> dict[str, bytes]:
    """The content of each file by its name, but the scripts, in which no setting stands."""
    own = openclaw.merged_environment(made.agent, [openclaw.Access(f"{made.node.base_url}/v1", "0" * 48)]).encode()
    files = {Path(file.path).name: file.content for file in files_of(made) if file.mode != "755"}
    for read_by_scripts in (
        other_databases.SCRIPT.name,
        TAILSCALE_PROBLEM.name,
        layout.DATABASE_ACCESS,
        layout.SCRIPT_FUNCTIONS,
    ):
        del files[read_by_scripts]
    return {**files, "openclaw.env": own}


def understood(values: Mapping[str, Any]) -> dict[str, Any]:
    """All files of a host with these settings, as their readers understand them."""
    with tempfile.TemporaryDirectory() as scratch:
        # What the units start must be there.
        home = Path(f"{scratch}{values['gateway_directory'][:150]}")
        home.mkdir(parents=True)
        made = chosen({**values, "gateway_directory": str(home)})
        for file in files_of(made):
            if file.mode == "755" and file.path.startswith(scratch):
                Path(file.path).write_bytes(file.content)
                Path(file.path).chmod(0o755)
        files = contents(made)
        assert {suffix(name) for name in files} <= set(READERS), "say in READERS who reads the new file"
        found = {}
        for reader in dict.fromkeys(READERS.values()):
            with tempfile.TemporaryDirectory() as place:
                found[reader.__name__] = reader(Path(place), files)
    return json.loads(json.dumps(found).replace(scratch, ""))


@cache
def plainly() -> dict[str, Any]:
    return understood(PLAIN)


def replaced(found: Any, by: Mapping[str, str]) -> Any:
    """The same with each plain text replaced, wherever it stands in a text."""
    if isinstance(found, str):
        return re.sub("|".join(map(re.escape, by)), lambda match: by[match[0]], found)
    if isinstance(found, list):
        return [replaced(item, by) for item in found]
    if isinstance(found, dict):
        return {replaced(key, by): replaced(item, by) for key, item in found.items()}
    return found


def changed(values: Mapping[str, str]) -> Any:
    """What the readers must understand where these stand in the place of the plain ones."""
    return replaced(plainly(), {plain: values.get(name, plain) for name, plain in WRITTEN.items()})


# Without shrinking: which of the settings it is, is found here.
@hypothesis_settings(bounded, max_examples=10, phases=[Phase.generate])
@given(st.fixed_dictionaries({name: nasty(name) for name in PLAIN}))
def test_every_text_arrives_unchanged_and_nothing_else_changes(values: dict[str, str]) -> None:
    if understood(values) != changed(values):
        for name, value in values.items():
            assert understood({**PLAIN, name: value}) == changed({name: value}), f"{name} = {value!r}"
        pytest.fail(f"these together: {values}")


@pytest.mark.parametrize("name", sorted(WRITTEN))
def test_it_would_be_seen_if_one_did_not_arrive(name: str) -> None:
    """The comparison is one: another value of each such setting is seen, but of those that are sent nowhere."""
    other = next(text for text in EXAMPLES[name] if isinstance(text, str) and text != PLAIN[name])
    is_seen = understood({**PLAIN, name: other}) != plainly()
    assert is_seen == (name not in HERE_ALONE)


@pytest.mark.parametrize("name", sorted(NUMBERS))
def test_every_number_is_taken_by_all_that_read_it(name: str) -> None:
    """Its least and its greatest, where what reads it may have bounds of its own."""
    found = [understood({**PLAIN, name: number}) for number in NUMBERS[name]]
    distinct = {json.dumps(each, sort_keys=True) for each in found}
    assert len(distinct) == (1 if name in IN_NO_FILE else len(NUMBERS[name]))


IN_NO_FILE = {
    *("embedding_dimensions", "gateway_start_timeout", "verification_timeout"),
    *("openclaw_context_window", "openclaw_max_tokens"),  # written by OpenClaw's own command
    *("openclaw_start_timeout", "openclaw_idle_timeout"),
}
HERE_ALONE = {"secrets_file", "gateway_tiktoken_directory", "openclaw_workspace", "openclaw_turn"}
"""Paths on the machine that runs pyinfra; and what commands are given, and no file."""
