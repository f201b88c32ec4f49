"""Channel types by name, and which version of One API knows them."""

from __future__ import annotations

import pytest

from llm_gateway.flavours import Invalid, UnknownVersion, channel_type, type_name
from llm_gateway.flavours.channel_types import TYPES
from llm_gateway.flavours.oneapi.versions import VERSIONS, version_of


def test_a_type_is_found_by_its_name_and_by_its_number() -> None:
    assert channel_type("OpenAI").number == channel_type(1).number == 1
    assert channel_type("ali-bailian") is channel_type(49)
    assert (type_name(27), type_name(99)) == ("minimax", "99")


def test_the_list_is_whole() -> None:
    assert [each.number for each in TYPES] == list(range(1, 52))
    assert len({each.name for each in TYPES}) == len(TYPES)
    assert all(each.name == each.name.lower() for each in TYPES)
    assert {each.name for each in TYPES if each.needs_base_url} == {"azure", "custom", "proxy", "openai-compatible"}
    assert not [each for each in TYPES if each.needs_base_url and each.base_url]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("opnai", "did you mean 'openai'?"),
        ("zzz", "are known"),
        ("", "are known"),
        (0, "1 to 51"),
        (52, "1 to 51"),
        (True, "True"),
        (None, "None"),
    ],
)
def test_an_unknown_type_is_told(value: object, problem: str) -> None:
    with pytest.raises(Invalid) as caught:
        channel_type(value)  # type: ignore[arg-type]
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("version", "newest"),
    [
        ("v0.6.10", "replicate"),
        ("v0.6.10-stand-in", "replicate"),
        ("0.6.10", "replicate"),
        ("v0.6.11-preview", "xunfei-v2"),
        ("v0.6.11-preview.5", "xunfei-v2"),
        ("v0.6.11-preview.6", "ali-bailian"),
        ("v0.6.11-preview.7", "gemini-openai-compatible"),
    ],
)
def test_a_version_knows_its_types_and_the_older_ones(version: str, newest: str) -> None:
    flavour = version_of(version)
    assert [each.number for each in TYPES if flavour.knows(each)] == list(range(1, channel_type(newest).number + 1))


@pytest.mark.parametrize(
    "version", ["v0.6.9", "v0.6.11", "v0.6.11-alpha.3", "v0.6.11-preview.8", "v0.0.0", "", "latest"]
)
def test_another_version_is_told(version: str) -> None:
    with pytest.raises(UnknownVersion) as caught:
        version_of(version)
    assert f"version {version!r} is none that this client knows: One API v0.6.10" in str(caught.value)


def test_each_flavour_is_recognised_as_itself_alone() -> None:
    for flavour in VERSIONS:
        version = flavour.name.removeprefix("One API ")
        assert [each for each in VERSIONS if each.is_version(version)] == [flavour]
