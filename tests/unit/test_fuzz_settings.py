"""Whatever is written for a setting is taken, or refused in words that name the setting; nothing else happens."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from llm_gateway.inputs import host_data, settings
from llm_gateway.inputs.settings import SETTINGS
from tests.unit import fuzz_values
from tests.unit.fuzz_values import EXAMPLES, HOSTILE, bounded

pytestmark = pytest.mark.slow

NAMES = sorted(SETTINGS)


def refused(chosen: dict[Any, Any]) -> bool:
    """Whether it is refused; each word of that must name what it is about."""
    problems = host_data.check({**settings.defaults(), **chosen})[1]
    for problem in problems:
        assert any(name in problem for name in chosen if isinstance(name, str)), problem
        assert len(problem) < 3000, "a problem is for people"
    return bool(problems)


def test_every_setting_has_examples() -> None:
    """Its check names the ends of a range or all words; what else it takes stands in fuzz_values.py."""
    assert [name for name, values in EXAMPLES.items() if len(values) < 2] == []
    assert EXAMPLES.keys() == SETTINGS.keys()


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_are_taken(name: str) -> None:
    assert [value for value in EXAMPLES[name] if not fuzz_values.is_taken(name, value)] == []


@pytest.mark.parametrize("name", NAMES)
@hypothesis_settings(bounded, max_examples=60)
@given(data=st.data())
def test_what_is_written_is_taken_or_refused_by_name(name: str, data: st.DataObject) -> None:
    refused({name: data.draw(st.one_of(fuzz_values.candidates(name), fuzz_values.junk), label=name)})


COMMANDS = {name for name in NAMES if name.endswith("_command")}
# Paths on the machine that runs pyinfra, and the name of a host there: neither is sent to a host.
HERE = {"gateway_image_archive", "gateway_tiktoken_directory", "openclaw_gateway", "secrets_file"}
ESCAPING = ("a\nExecStart=/bin/false", "a\x00b", "a\x1b[2Jb", "\u2028", "\ud800", "\u202eabc")


@pytest.mark.parametrize("name", NAMES)
def test_no_text_breaks_out_of_its_line(name: str) -> None:
    for text in ESCAPING:
        assert refused({name: text}), text


@pytest.mark.parametrize("name", sorted(set(NAMES) - HERE - COMMANDS))
def test_what_a_shell_would_run_is_taken_for_commands_alone(name: str) -> None:
    for text in (text for text in HOSTILE if "$(" in text or "`" in text):
        assert refused({name: text}), text


ANY_NAME = st.one_of(st.sampled_from([*NAMES, "gateway_prot", "MY_API_KEY", *HOSTILE]), fuzz_values.keys)


@hypothesis_settings(bounded, max_examples=150)
@given(st.dictionaries(ANY_NAME, fuzz_values.junk, max_size=4))
def test_names_may_be_anything_too(chosen: dict[Any, Any]) -> None:
    refused(chosen)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_command_that_is_refused_is_not_shown(name: str) -> None:
    assert "hush" not in "".join(host_data.check({name: "curl https://hooks.example/hush\nid"})[1])


@pytest.mark.parametrize("name", NAMES)
def test_a_number_that_python_does_not_write_is_refused_as_well(name: str) -> None:
    for value in (10**5000, [10**5000], {"name": 10**5000}):
        assert refused({name: value})
