"""daemon.json: what settings put beside what a person has put there, and how it is taken out again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_gateway.parts.docker import daemon_json, daemon_settings
from llm_gateway.tasks.removal import gateway_removal
from tests.unit.fake_hosts import FRESH, docker_info
from tests.unit.topology import make_node

MIRRORS = ["https://mirror.example"]
PROXY = "http://proxy.example:3128"
CHOSEN: dict[str, Any] = {
    "docker_registry_mirrors": MIRRORS,
    "docker_https_proxy": PROXY,
    "docker_no_proxy": "localhost,.ts.net",
}
OURS = {"registry-mirrors": MIRRORS, "proxies": {"https-proxy": PROXY, "no-proxy": "localhost,.ts.net"}}


def written(values: dict[str, str], **chosen: Any) -> Any:
    """What daemon.json is to hold, read; None where there is to be none, "unchanged" where it stays."""
    change = daemon_settings.change(make_node({**FRESH, **values}, **chosen))
    if change is None:
        return "unchanged"
    return None if change.content is None else json.loads(change.content)


@pytest.mark.parametrize(
    ("theirs", "expected"),
    [
        ("", OURS),
        ("{}", OURS),
        ('{"debug": true}', {"debug": True, **OURS}),
        (
            '{"registry-mirrors": ["https://theirs.example/", "https://mirror.example/"]}',
            {**OURS, "registry-mirrors": [*MIRRORS, "https://theirs.example/"]},
        ),
        (
            '{"proxies": {"no-proxy": "10.0.0.0/8, .ts.net", "http-proxy": "http://theirs.example:1"}}',
            {
                **OURS,
                "proxies": {
                    "http-proxy": "http://theirs.example:1",
                    "https-proxy": PROXY,
                    "no-proxy": "localhost,.ts.net,10.0.0.0/8",
                },
            },
        ),
        (
            '{"proxies": {"https-proxy": "http://theirs.example:1", "all-proxy": "x"}}',
            {**OURS, "proxies": {"all-proxy": "x", **OURS["proxies"]}},
        ),
        ('{"log-opts": {"max-file": 3}}', {"log-opts": {"max-file": 3}, **OURS}),
    ],
)
def test_what_a_person_has_put_there_stays_beside_ours(theirs: str, expected: object) -> None:
    former = {"daemon_json": theirs} if theirs else {}
    assert written(former, **CHOSEN) == expected
    after = {"daemon_json": json.dumps(expected), "daemon_ours": json.dumps(OURS)}
    if theirs:
        after["daemon_before"] = theirs
    assert written(after, **CHOSEN) == "unchanged", "a second run changes nothing"
    changed = {**CHOSEN, "docker_registry_mirrors": ["https://other.example"]}
    mirrors = written(after, **changed)["registry-mirrors"]
    # What a person had put there is there again, be it the same as ours.
    assert mirrors == ["https://other.example", *json.loads(theirs or "{}").get("registry-mirrors", [])]
    taken_back = written(after)
    assert taken_back == (json.loads(theirs) if theirs else None), "without the settings, all is as it was"
    restored = gateway_removal.restored_daemon_json(after["daemon_json"], make_node({**FRESH, **after}).state)
    assert restored == (theirs or None)


def test_what_a_person_adds_later_stays() -> None:
    values = {
        "daemon_json": json.dumps({**OURS, "registry-mirrors": [*MIRRORS, "https://added.example"], "debug": True}),
        "daemon_ours": json.dumps(OURS),
    }
    assert written(values, **CHOSEN) == "unchanged"
    assert written(values) == {"registry-mirrors": ["https://added.example"], "debug": True}


def test_a_restart_that_a_cut_run_did_not_come_to_is_made_up_for() -> None:
    values = {"daemon_json": json.dumps(OURS), "daemon_ours": json.dumps({**OURS, "unfinished": True})}
    assert written(values, **CHOSEN) == OURS


def test_a_record_of_an_earlier_version_holds_the_whole_file() -> None:
    """Which replaced a person's mirrors; they come back."""
    former = {"registry-mirrors": ["https://theirs.example"], "debug": True}
    whole = json.dumps({**former, "registry-mirrors": MIRRORS})
    values = {"daemon_json": whole, "daemon_ours": whole, "daemon_before": json.dumps(former)}
    assert written(values, docker_registry_mirrors=MIRRORS) == {
        **former,
        "registry-mirrors": [*MIRRORS, "https://theirs.example"],
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "Expecting"),
        ("[]", "it is not a JSON object"),
        ('"x"', "it is not a JSON object"),
        ('{"a": ' + "[" * 100_000, "nested too deeply"),
        ('{"proxies": []}', "its proxies are not a JSON object"),
        ('{"proxies": {"no-proxy": ["a"]}}', "its proxies are not all strings"),
        ('{"registry-mirrors": "https://a"}', "its registry-mirrors are not a list of strings"),
        ("\ufeff{}", "BOM"),
    ],
)
def test_a_file_that_cannot_be_merged_is_refused(text: str, words: str) -> None:
    values = {**FRESH, "daemon_json": text}
    (told,) = daemon_settings.problems(make_node(values, docker_registry_mirrors=MIRRORS))
    assert told.startswith(f"{daemon_json.PATH} cannot be merged with the docker_ settings (")
    assert words in told
    assert told.endswith("fix it by hand")
    assert list(daemon_settings.problems(make_node(values))) == [], "no setting asks for a change of it"


def test_changes_that_docker_never_started_with_are_not_taken_for_good() -> None:
    started = "MainPID=7\nExecMainStartTimestamp=Sun 2026-11-22 10:00:00.000000 UTC\n"
    values = {**FRESH, "docker_info": docker_info(), "docker_unit": started}
    at = 1795341600  # that moment in seconds
    late = {**values, "daemon_json": '{"storage-driver": "nope"}', "daemon_stat": f"644 root:root {at + 60}.000000\n"}
    (told,) = daemon_settings.problems(make_node(late, docker_registry_mirrors=MIRRORS))
    assert "was changed after Docker was started" in told
    assert "`systemctl restart docker`" in told
    flags = {**values, "docker_flags": "/usr/bin/dockerd -H fd:// --config-file=/srv/docker.json "}
    (told,) = daemon_settings.problems(make_node(flags, docker_registry_mirrors=MIRRORS))
    assert "started with --config-file /srv/docker.json" in told
    linked = {**values, "daemon_link": "/srv/ansible/daemon.json\n"}
    (told,) = daemon_settings.problems(make_node(linked, docker_registry_mirrors=MIRRORS))
    assert "is a link to /srv/ansible/daemon.json" in told
