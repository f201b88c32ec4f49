"""What is told of a difference, and what is none."""

from __future__ import annotations

from typing import Any

import pytest
from plan_kit import channel, channel_spec

from llm_gateway.flavours import Channel, only
from llm_gateway.flavours.compare import channel_differences
from llm_gateway.flavours.errors import Ambiguous


def told(row: dict[str, Any], **spec: Any) -> list[str]:
    return list(channel_differences(channel(1, "a", "m", **row), channel_spec("a", "m", **spec)))


@pytest.mark.parametrize(
    ("row", "spec"),
    [
        ({"model_mapping": '{"b": "2",\n "a":"1"}'}, {"model_mapping": {"a": "1", "b": "2"}}),
        ({"model_mapping": '{"a":"\\u6a21"}'}, {"model_mapping": {"a": "模"}}),
        ({"model_mapping": "{}"}, {}),
        ({"model_mapping": "{broken"}, {}),
        ({"model_mapping": None}, {"model_mapping": {}}),
        ({"group": "vip,default"}, {"groups": ("default", "vip")}),
        ({"config": '{"region":"","ak":"", "api_version" : "1"}'}, {"config": {"api_version": "1", "sk": ""}}),
        ({"config": ""}, {}),
        ({"config": "{broken"}, {}),
        ({"other": "v1"}, {}),  # plain OpenAI, which reads none
        ({"other": None}, {}),
        ({"system_prompt": None, "weight": None, "priority": None}, {}),
    ],
)
def test_what_means_the_same_is_no_difference(row: dict[str, Any], spec: dict[str, Any]) -> None:
    assert told(row, **spec) == []


@pytest.mark.parametrize(
    ("row", "spec", "line"),
    [
        ({"models": "m, b"}, {}, "models -' b'"),
        ({"group": "default,vip"}, {"groups": ("default", "svip")}, "groups +svip -vip"),
        ({"type": 17}, {}, "type ali → openai"),
        ({"type": 99}, {}, "type 99 → openai"),
        ({"base_url": ""}, {}, "base_url (none) → http://127.0.0.1:9"),
        ({"model_mapping": '{"a":"1","b":"2"}'}, {"model_mapping": {"a": "3"}}, "model_mapping a: 1 → 3 b: 2 → (none)"),
        ({"weight": 3}, {}, "weight 3 → 0"),
        ({"status": 3}, {}, "status disabled by itself → enabled"),
        ({"status": 9}, {}, "status 9 → enabled"),
        ({"config": '{"api_version":"1"}'}, {"config": {"api_version": "2"}}, "config api_version: 1 → 2"),
        ({"system_prompt": "old"}, {"system_prompt": "new"}, "system_prompt changed"),
        ({"type": 3, "other": "1"}, {"type": 3, "config": {"api_version": "2"}}, "config api_version: 1 → 2"),
        ({"type": 17, "other": "p1"}, {"type": 17}, "config plugin: p1 → (none)"),
    ],
)
def test_a_difference_in_words(row: dict[str, Any], spec: dict[str, Any], line: str) -> None:
    assert told(row, **spec) == [line]


def test_no_secret_is_told() -> None:
    hidden = told({"config": '{"sk":"s3cret","ak":"old"}'}, config={"sk": "n3w-s3cret", "vertex_ai_adc": "s3cret"})
    assert hidden == ["config sk changed vertex_ai_adc added ak removed"]
    url = "http://user:s3cret@127.0.0.1:9"
    assert told({}, base_url=url) == ["base_url http://127.0.0.1:9 → http://[hidden]@127.0.0.1:9"]
    assert told({"base_url": "http://user:old@127.0.0.1:9"}, base_url=url) == ["base_url changed"]


def test_a_name_finds_the_one_thing_that_has_it() -> None:
    exact, longer = channel(7, "dashscope"), channel(8, "dashscope-2")
    assert only([longer, exact], "dashscope") is exact
    assert only([longer], "dashscope") is None
    twin: Channel = channel(9, "dashscope")
    with pytest.raises(Ambiguous, match="ids 7, 9"):
        only([exact, twin], "dashscope")
