"""What the settings take and is no plain text: moments, networks, names of variables, what Docker's daemon is told."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from llm_gateway.model.checks import in_seconds
from llm_gateway.parts.backups import scheduled_backups
from llm_gateway.parts.canary import scheduled_canary
from llm_gateway.parts.docker import daemon_settings
from llm_gateway.parts.firewall_rules import Reach
from llm_gateway.parts.openclaw import openclaw
from tests.unit import fuzz_values
from tests.unit.fake_hosts import FRESH, OPENCLAW
from tests.unit.fuzz_values import bounded
from tests.unit.test_units import STUBS, analyze
from tests.unit.topology import make_agent, make_node


def of_timers(place: Path, **chosen: Any) -> tuple[list[str], str]:
    """What systemd says against the timers, and what it understood of them."""
    made = make_node(**chosen)
    units = {
        file.path: file.content for each in (scheduled_backups, scheduled_canary) for file in each.unit_files(made)
    }
    timers = {Path(path).name: content.decode() for path, content in units.items() if path.endswith(".timer")}
    services = {name.replace(".timer", ".service"): "[Service]\nExecStart=/bin/true\n" for name in timers}
    for name, text in {**STUBS, **timers, **services}.items():
        (place / name).write_text(text)
    paths = [str(place / name) for name in timers]
    done = analyze(place, "verify", "--man=no", "--generators=no", *paths, SYSTEMD_LOG_LEVEL="debug")
    said = [line for line in done.stderr.splitlines() if re.search(r"\.timer:\d+:", line)]
    return said, done.stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("units")


@hypothesis_settings(bounded, max_examples=30)
@given(schedule=fuzz_values.taken("gateway_backup_schedule"))
def test_a_schedule_is_what_systemd_was_asked_about(place: Path, schedule: str | None) -> None:
    """A host is asked `systemd-analyze calendar` before anything is touched: its timer must be good exactly then."""
    if schedule is None:
        return
    asked = analyze(place, "calendar", schedule)
    said, _ = of_timers(place, gateway_backup_schedule=schedule)
    assert (asked.returncode == 0) == (said == []), (schedule, said, asked.stderr)


@hypothesis_settings(bounded, max_examples=20)
@given(interval=fuzz_values.taken("gateway_canary_interval"))
def test_an_interval_is_what_systemd_understands(place: Path, interval: str | None) -> None:
    if interval is None:
        return
    said, dump = of_timers(place, gateway_canary_interval=interval)
    assert said == []
    microseconds = re.search(r"(\d+)$", analyze(place, "timespan", interval).stdout.split("\n")[1])
    assert microseconds is not None
    assert int(microseconds[1]) == in_seconds(interval) * 1_000_000
    assert "OnUnitActiveSec: " in dump


LETS_THROUGH = re.compile(r'# Lets through: [0-9a-z ."/:,{}\[\]]*')
NUMBERS = re.compile(r"\d+(\.\d+){3}(/\d+)?(, \d+(\.\d+){3}(/\d+)?)*|tcp dport \d+")
PEERS, UPSTREAMS = ["100.64.0.7"], ["10.1.1.1", "10.1.1.1:80"]


def shapes(**chosen: Any) -> Iterator[str]:
    """The lines of the firewall's rules, without their comments and numbers."""
    text = Reach.wanted(make_node(**chosen)).rules().decode()
    for line in re.sub(r'comment "[0-9a-f]{64}"', "", text).splitlines():
        yield "" if LETS_THROUGH.fullmatch(line) else NUMBERS.sub("N", line)


RULES = ("gateway_allowed_peers", "gateway_private_upstreams", "gateway_channels")


@hypothesis_settings(bounded, max_examples=60)
@given(st.fixed_dictionaries({name: fuzz_values.taken(name) for name in RULES}))
def test_networks_put_nothing_but_numbers_into_the_rules(chosen: dict[str, Any]) -> None:
    known = {*shapes(), *shapes(gateway_allowed_peers=PEERS, gateway_private_upstreams=UPSTREAMS)}
    assert {*shapes(**chosen)} <= known


OF_DAEMON = ("docker_registry_mirrors", "docker_http_proxy", "docker_https_proxy", "docker_no_proxy")


@hypothesis_settings(bounded, max_examples=60)
@given(st.fixed_dictionaries({name: fuzz_values.taken(name) for name in OF_DAEMON}))
def test_the_daemon_is_told_what_was_written_and_keeps_what_was_there(chosen: dict[str, Any]) -> None:
    made = make_node({**FRESH, "daemon_json": '{"theirs": ["\\ud83d\\ude00", {}]}'}, **chosen)
    mirrors, http, https, no_proxy = (getattr(made.settings, name) for name in OF_DAEMON)
    hosts = ",".join(filter(None, (no_proxy or "").split(",")))
    proxies = {"http-proxy": http, "https-proxy": https, "no-proxy": hosts}
    ours = {"registry-mirrors": list(mirrors), "proxies": {key: text for key, text in proxies.items() if text}}
    wanted = {"theirs": ["\U0001f600", {}], **{key: value for key, value in ours.items() if value}}
    change = daemon_settings.change(made)
    assert (change and json.loads(change.content or b"")) == (wanted if len(wanted) > 1 else None)


@hypothesis_settings(bounded, max_examples=40)
@given(names=fuzz_values.taken("openclaw_unset_environment"))
def test_each_variable_has_a_line_of_its_own(names: Any) -> None:
    made = make_agent({**FRESH, **OPENCLAW}, roles="gateway openclaw", openclaw_unset_environment=names)
    lines = [line for line in openclaw._wanted_drop_in(made).splitlines() if not line.startswith("#")]
    removed = dict.fromkeys([*names, *openclaw.NAMES])
    assert lines == ["[Service]", *(f"UnsetEnvironment={name}" for name in removed)]
