"""Channels, tokens and options as One API lists them: plain ones, and whatever a person may have made of them."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from llm_gateway.contents.desired import VERIFICATION_TOKEN

Row = dict[str, Any]
SECRET = "never-to-be-seen"


def channel_row(name: str = "dashscope", **more: Any) -> Row:
    given = {"type": 1, "base_url": "https://a.example", "models": "m1,m2", "group": "default", "status": 1}
    return {"name": name, **given, **more}


def token_row(name: str = "laptop", **more: Any) -> Row:
    given = {"status": 1, "expired_time": -1, "remain_quota": 0, "unlimited_quota": True, "models": "", "subnet": ""}
    return {"name": name, "key": SECRET, **given, **more}


awkward = st.sampled_from(
    [
        *("dashscope", "DashScope", "百炼", "a b", "a\nimport os", '"""', "'", "x\\", "#", "\udc80", "\x1b[31m", "é"),
        *("", " x", "coding: latin1", "302ai", "dashscope_api_key"),
    ]
)
texts = awkward | st.text(max_size=12)
models = st.lists(st.sampled_from(["m1", "m2", "m3", "m 4", " m5", "m'6", "m1"]), max_size=4).map(",".join)
configs = st.dictionaries(
    st.sampled_from(["region", "api_version", "user_id"]) | texts, st.sampled_from(["x", "", " y", 'q"'])
)
credentials = st.dictionaries(st.sampled_from(["ak", "sk", "vertex_ai_adc"]), st.sampled_from([SECRET, f"{SECRET}\n"]))
urls = st.sampled_from(
    [*("https://a.example",) * 4, "", "https://a.example/", "https://a.example/v1", f"https://u:{SECRET}@a.example"]
)
channel_rows = st.builds(
    channel_row,
    texts,
    type=st.sampled_from([1, 1, 3, 14, 17, 18, 21, 24, 33, 43, 50, 99, 0]),
    other=st.sampled_from([None, "", "2024-06-01", " x"]),
    base_url=urls,
    models=models,
    group=st.sampled_from(["default", "default,vip", "vip", "a b", ""]),
    priority=st.sampled_from([0, 5, -1, 1 << 40]),
    weight=st.sampled_from([0, 3]),
    status=st.sampled_from([1, 1, 1, 2, 3, 7]),
    model_mapping=st.sampled_from(["", "{", '{"m1": "n1"}', '{"m1": 1}']),
    config=st.builds(lambda plain, secret: json.dumps({**plain, **secret}), configs, credentials),
    system_prompt=st.just("") | st.text(max_size=200),
)
token_rows = st.builds(
    token_row,
    texts | st.just(VERIFICATION_TOKEN + "2"),
    status=st.sampled_from([1, 1, 2, 3, 4]),
    expired_time=st.sampled_from([-1, -1, 0, 1, 1_700_000_000, 1_900_022_399, 1_900_000_000, -3_000_000_000, 1 << 60]),
    remain_quota=st.integers(-5, 500_000),
    used_quota=st.integers(0, 9),
    unlimited_quota=st.booleans(),
    models=models,
    subnet=st.sampled_from(["", "100.64.0.0/10", "10.0.0.1, 10.0.0.2/32", "10.0.0.0/8,10.0.0.0/8"]),
)
option_texts = st.fixed_dictionaries(
    {},
    optional={
        "RegisterEnabled": st.sampled_from(["true", "false", "1"]),
        "RetryTimes": st.sampled_from(["0", "3", "-1", "x", "1_0"]),
        "QuotaPerUnit": st.sampled_from(["500000", "500000.0", "0.25", "0", "nan"]),
        "Notice": st.text(max_size=300) | awkward,
        "Theme": st.sampled_from(["default", "berry", "mine"]),
        "ModelRatio": st.sampled_from(
            ['{"m1": 0.5, "n1(3)": 2, "gpt-4": 15}', "{", "[1]", '{"m1": -1, "m2": Infinity}']
        ),
        "GroupRatio": st.sampled_from(['{"default": 1, "vip": 0.5}', '{"": 3}']),
        "PasswordLoginEnabled": st.sampled_from(["true", "false"]),
        "ServerAddress": st.sampled_from(["https://gw.example", f"https://u:{SECRET}@gw.example"]),
        "TurnstileSecretKey": st.sampled_from(["", SECRET]),
    },
)
