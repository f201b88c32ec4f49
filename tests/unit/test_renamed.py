"""Names that were renamed: what a person reads who still writes the old one, and what a line of the table needs."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from llm_gateway.inputs import host_data, renamed
from llm_gateway.inputs.renamed import Renamed
from llm_gateway.inputs.settings import SETTINGS
from llm_gateway.model.checkout import ROOT
from scripts import changelog, settings_pages
from tests.unit.test_run_options import read

TABLE = (
    Renamed("gateway_prot", "gateway_port", "0.2.0"),
    Renamed("gateway_bind", "", "0.3.0", "the Tailscale address is always used", "始终使用 Tailscale 地址"),
)
NOTES = """\
## [Unreleased]

### Upgrade notes

- `gateway_bind` is gone.

## [0.2.0] - 2027-01-01

### Upgrade notes

- `gateway_prot` is now called `gateway_port`.

### Added

- `gateway_hue` is now called `gateway_port`.
"""


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renamed, "RENAMED", TABLE)
    monkeypatch.setattr(settings_pages, "RENAMED", TABLE)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("gateway_prot", "is now called gateway_port (since 0.2.0); its value stays the same"),
        ("gateway_bind", "is gone (since 0.3.0); the Tailscale address is always used"),
    ],
)
@pytest.mark.usefixtures("table")
def test_an_old_name_is_told_its_new_one(name: str, told: str) -> None:
    assert host_data.misspelt({name}) == [f"{name}: this setting {told}"]
    with pytest.raises(Exception, match="--data") as refused:
        read(**{name: 1})
    assert f"--data {name}=…: this {told}" in str(refused.value)


@pytest.mark.usefixtures("table")
def test_other_names_are_still_guessed() -> None:
    assert host_data.misspelt({"gateway_porrt"}) == ["gateway_porrt: no such setting; did you mean 'gateway_port'?"]


@pytest.mark.usefixtures("table")
def test_the_pages_of_settings_list_old_names() -> None:
    assert "| `gateway_prot` | `gateway_port` | 0.2.0 | its value stays the same |" in settings_pages.english()
    assert "| `gateway_bind` | - | 0.3.0 | 始终使用 Tailscale 地址 |" in settings_pages.chinese()


def faults(table: Sequence[Renamed], text: str) -> list[str]:
    """What is wrong with a table: each new name is there, no old one is, and the upgrade notes have both."""
    found = []
    for each in table:
        notes = changelog.upgrade_notes(text, each.since)
        found += [f"{each.old} is a setting"] if each.old in SETTINGS else []
        found += [f"{each.new} is not a setting"] if each.new and each.new not in SETTINGS else []
        names = filter(None, (each.old, each.new))
        found += [f"{name} is not in the upgrade notes" for name in names if f"`{name}`" not in notes]
    return found


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (Renamed("gateway_port", "gateway_image", "0.2.0"), "gateway_port is a setting"),
        (Renamed("gateway_prot", "gateway_porrt", "0.2.0"), "gateway_porrt is not a setting"),
        (Renamed("gateway_hue", "gateway_port", "0.2.0"), "gateway_hue is not in the upgrade notes"),
    ],
)
def test_a_wrong_line_of_the_table_is_found(line: Renamed, fault: str) -> None:
    assert fault in faults([line], NOTES)


def test_the_table_is_right_and_in_the_upgrade_notes() -> None:
    assert faults(TABLE, NOTES) == []
    assert faults(renamed.RENAMED, (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")) == []
