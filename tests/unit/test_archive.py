"""What a backup is called and says of itself; what cannot be used is refused with the reason."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from llm_gateway.parts.backups import archive
from llm_gateway.parts.backups.archive import Manifest, ManifestError, Outcome

GOOD: dict[str, Any] = {
    "format": 1,
    "made_at": "2026-11-22T17:41:00Z",
    "host": "gw1",
    "reason": "scheduled",
    "image": {"reference": "justsong/one-api:v0.6.10", "id": "sha256:1"},
    "tables": {"logs": 3},
    "members": {"one-api.db": {"size": 8192, "sha256": "a" * 64}, "secrets.env": {"size": 9, "sha256": "b" * 64}},
    "tiktoken": {"9b5a": "c" * 64},
    "versions": {"sqlite": "3.46.1"},
}


def test_a_manifest_is_read() -> None:
    found = Manifest.parse(json.dumps(GOOD))
    assert found.made_at == datetime(2026, 11, 22, 17, 41, tzinfo=UTC)
    assert found.tables == {"logs": 3}
    assert found.members["one-api.db"] == archive.Part(8192, "a" * 64)


def test_one_of_a_newer_version_says_how_to_go_on() -> None:
    with pytest.raises(ManifestError, match=r"made by a newer version .*update this checkout"):
        Manifest.parse(json.dumps({"format": 2, "what": "nobody knows yet"}))


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{", '{"format": "1"}', "[" * 100_000, json.dumps({**GOOD, "format": None})]
)
def test_what_is_no_manifest_is_refused(text: str) -> None:
    with pytest.raises(ManifestError, match=r"cannot be read: it is damaged, or not a backup of ours"):
        Manifest.parse(text)


@pytest.mark.parametrize(
    "changed",
    [
        {"made_at": "yesterday"},
        {"image": None},
        {"tables": {"logs": -1}},
        {"tables": {"logs": "3"}},
        {"members": {}},
        {"members": {"one-api.db": {"size": 1, "sha256": "short"}}},
        {"members": {"one-api.db": {"size": 1.5, "sha256": "a" * 64}}},
        {"members": {**GOOD["members"], "../../etc/shadow": {"size": 1, "sha256": "a" * 64}}},
        {"members": {**GOOD["members"], "unknown": {"size": 1, "sha256": "a" * 64}}},
        {"versions": []},
    ],
)
def test_a_damaged_manifest_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ManifestError, match="is damaged"):
        Manifest.parse(json.dumps({**GOOD, **changed}))


@pytest.mark.parametrize("missing", [name for name in GOOD if name != "format"])
def test_nothing_of_a_manifest_may_be_missing(missing: str) -> None:
    with pytest.raises(ManifestError, match="is damaged"):
        Manifest.parse(json.dumps({name: value for name, value in GOOD.items() if name != missing}))


def test_names() -> None:
    names = ["gateway-20261122T174100Z.tar.gz", "gateway-20251122T174100Z.tar.gz", "gateway-29991122T174100Z.tar", "x"]
    assert archive.newest(names) == names[0]
    assert archive.newest(names[2:]) is None
    assert archive.made_at(names[0]) == datetime(2026, 11, 22, 17, 41, tzinfo=UTC)
    with pytest.raises(ValueError, match="not the name of a backup"):
        archive.made_at("gateway-20261122T174100Z.tar.gz\n")


def test_an_outcome_is_its_first_line() -> None:
    line = (
        '{"at": "2026-11-22T17:41:00Z", "ok": false, "reason": "r", "file": "", "size": 0, "seconds": 0.40,'
        ' "locked_seconds": 0.00, "error": "no room"}'
    )
    found = Outcome.parse(f"{line}\nthe rest of a longer one}}\n")
    assert found is not None
    assert (found.ok, found.error, found.seconds) == (False, "no room", 0.4)


@pytest.mark.parametrize("text", ["", "\n", "{}", '{"at": 3}', "half a li"])
def test_what_is_no_outcome_is_none(text: str) -> None:
    assert Outcome.parse(text) is None
