"""What a channel or a token must not be: values that One API stores and then misreads."""

from __future__ import annotations

from typing import Any

import pytest
from test_oneapi import KEY

from llm_gateway.flavours import ChannelSpec, Invalid, TokenSpec


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": " x"},
        {"type": 0},
        {"base_url": "dashscope.aliyuncs.com"},
        {"base_url": "https://"},
        {"base_url": "https://h/v/"},
        {"base_url": "https://h/a b"},
        {"key": "sk-a\nsk-b"},
        {"key": "sk-密"},
        {"models": ()},
        {"models": ("a, b",)},
        {"models": ("a", " b")},
        {"models": ("a", "b\n")},
        {"models": ("a", "")},
        {"models": ("a", "a")},
        {"models": "a"},
        {"groups": ()},
        {"groups": ("default", "default")},
        {"status": 0},
        {"model_mapping": {"a": "x" * 1100}},
        {"weight": -1},
        {"priority": 1 << 63},
        {"config": {"apiversion": "2024-06-01"}},
        {"config": {"api_version": 3}},
    ],
)
def test_a_channel_that_would_be_misread_is_refused(change: dict[str, Any]) -> None:
    good = {"name": "x", "type": 1, "base_url": "https://h", "key": KEY, "models": ("m",)}
    ChannelSpec(**good)
    with pytest.raises(Invalid) as caught:
        ChannelSpec(**{**good, **change})
    assert not change.get("key") or str(change["key"]) not in str(caught.value)
    assert KEY not in repr(ChannelSpec(**good))


@pytest.mark.parametrize(
    "change",
    [
        {"name": "代理主机一号的令牌名太长"},  # 12 characters, 36 bytes
        {"expired_time": 0},
        {"quota": -1},
        {"quota": 1 << 63},
        {"status": 3},
        {"models": ("a,b",)},
        {"subnets": ("100.64.0.1",)},
        {"subnets": ("nonsense/8",)},
    ],
)
def test_a_token_that_would_be_misread_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        TokenSpec(**{"name": "x", **change})
