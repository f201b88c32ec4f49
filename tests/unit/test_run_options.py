"""Options of a script by `--data`: read as they were written, refused where there is no such option."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from pyinfra.api import DeployError

from gateway.runs import run_options

KNOWN = {"source": "the host that is left", "backup": "which archive", "yes": "the hosts that are meant"}


def read(**given: object) -> dict[str, str]:
    """What a script is told; `given` is what pyinfra makes of `--data`."""
    return run_options.read(
        cast(Any, SimpleNamespace(inventory=SimpleNamespace(get_override_data=lambda: given))), KNOWN
    )


def test_options_are_read_and_settings_are_left_to_the_settings() -> None:
    assert read(source="gw1", gateway_port="3001") == {"source": "gw1"}


@pytest.mark.parametrize(("made", "text"), [(True, "true"), (7, "7"), (None, "null"), ("a,b", "a,b"), ("", "")])
def test_what_pyinfra_makes_an_object_of_is_text_again(made: object, text: str) -> None:
    assert read(yes=made) == {"yes": text}


@pytest.mark.parametrize(("name", "meant"), [("sorce", "source"), ("gateway_prot", "gateway_port")])
def test_a_misspelt_option_is_refused_with_what_was_meant(name: str, meant: str) -> None:
    with pytest.raises(DeployError) as refusal:
        read(**{name: "hush-hush", "yes": "gw1"})
    told = str(refusal.value)
    assert f"--data {name}=…: there is no such option; did you mean {meant}?" in told
    assert "  --data backup=…  which archive" in told
    assert "hush-hush" not in told, "it may be a secret"
