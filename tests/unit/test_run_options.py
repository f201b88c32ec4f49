"""Options of a script by `--data`: read as they were written, refused where there is no such option."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from pyinfra.api import DeployError
from pyinfra_cli.util import parse_cli_arg

from llm_gateway.inputs import run_options

KNOWN = {
    "source": "the host that is left",
    "backup": "which archive",
    "yes": "the hosts that are meant",
    "limit": "how many seconds",
}


def read(**given: object) -> dict[str, str]:
    """What a script is told; `given` is what pyinfra makes of `--data`."""
    state = cast(Any, SimpleNamespace(inventory=SimpleNamespace(get_override_data=lambda: given)))
    return run_options.read(state, KNOWN, values=("limit",))


def test_options_are_read_and_settings_are_left_to_the_settings() -> None:
    assert read(source="gw1", gateway_port="3001") == {"source": "gw1"}


@pytest.mark.parametrize(
    ("typed", "text"), [("True", "true"), ("7", "7"), ("1.5", "1.5"), ("null", "null"), ("all", "all")]
)
def test_of_numbers_and_truth_values_the_text_is_told(typed: str, text: str) -> None:
    assert read(limit=parse_cli_arg(typed)) == {"limit": text}


@pytest.mark.parametrize("name", ["source", "backup", "yes"])
@pytest.mark.parametrize(
    ("typed", "read_as"),
    [
        ("1.10", "1.1: pyinfra reads this as a number"),
        ("0123", "123: pyinfra reads this as a number"),
        ("1_23", "123: pyinfra reads this as a number"),
        (" 7", "7: pyinfra reads this as a number"),
        ("\u0661", "1: pyinfra reads this as a number"),
        ("1e3", "1000.0: pyinfra reads this as a number"),
        ("NaN", "NaN: pyinfra reads this as a number"),
        ("True", "true: pyinfra reads this as a truth value"),
        ("FALSE", "false: pyinfra reads this as a truth value"),
        ("null", "null: pyinfra reads this as JSON"),
        ('["gw1"]', '["gw1"]: pyinfra reads this as JSON'),
        ("{}", "{}: pyinfra reads this as JSON"),
    ],
)
def test_a_name_that_may_not_be_what_was_typed_is_refused(name: str, typed: str, read_as: str) -> None:
    with pytest.raises(DeployError) as refusal:
        read(**{name: parse_cli_arg(typed)})
    assert f"--data {name}={read_as}, so it may not be what you typed" in str(refusal.value)
    assert "Nothing was changed." in str(refusal.value)


@pytest.mark.parametrize(
    ("typed", "text"),
    [("./1.10", "./1.10"), ('"1.10"', "1.10"), ('"0123"', "0123"), ("a,b", "a,b"), ("", ""), ("备份.tar", "备份.tar")],
)
def test_a_name_in_quotes_and_a_path_are_what_was_typed(typed: str, text: str) -> None:
    assert read(backup=parse_cli_arg(typed)) == {"backup": text}


@pytest.mark.parametrize("typed", ["/tmp/caf\udce9.tar.gz", "\udcff", '"\\ud800"'])
def test_bytes_that_are_not_utf_8_are_refused(typed: str) -> None:
    with pytest.raises(DeployError) as refusal:
        read(backup=parse_cli_arg(typed))
    assert "it has bytes that are not UTF-8" in str(refusal.value)
    str(refusal.value).encode()  # or it could not be told


@pytest.mark.parametrize(("name", "meant"), [("sorce", "source"), ("gateway_prot", "gateway_port")])
def test_a_misspelt_option_is_refused_with_what_was_meant(name: str, meant: str) -> None:
    with pytest.raises(DeployError) as refusal:
        read(**{name: "hush-hush", "yes": "gw1"})
    told = str(refusal.value)
    assert f"--data {name}=…: there is no such option; did you mean '{meant}'?" in told
    assert "  --data backup=…  which archive" in told
    assert "hush-hush" not in told, "it may be a secret"
