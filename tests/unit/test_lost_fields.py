"""What One API drops of requests that it writes anew, told; and a system prompt without effect, refused."""

from __future__ import annotations

from typing import Any

import pytest

from llm_gateway.inputs import consistency, declarations, lost_fields

STABLE, OLD_PREVIEW, NEW_PREVIEW, OWN = (
    f"justsong/one-api:{tag}" for tag in ("v0.6.10", "v0.6.11-preview.3", "v0.6.11-preview.4", "somebodys")
)
PLAIN = {"name": "c", "key": "A_KEY", "base_url": "https://x.example", "models": ["m", "n"]}
PROMPT = {"system_prompt": "Be brief."}
MAPPED = {"model_mapping": {"m": "x/m"}}


def channel(*fields: dict[str, Any]) -> declarations.Channel:
    (made,) = declarations.channels([{key: value for part in (PLAIN, *fields) for key, value in part.items()}])
    return made


@pytest.mark.parametrize(
    ("fields", "image", "is_refused"),
    [
        ((PROMPT,), STABLE, True),
        ((PROMPT,), OLD_PREVIEW, True),
        ((PROMPT,), OWN, True),
        ((PROMPT,), None, True),
        ((PROMPT,), NEW_PREVIEW, False),
        ((PROMPT, {"model_mapping": {"m": "m"}}), STABLE, True),
        ((PROMPT, {"model_mapping": {"other": "x"}}), STABLE, True),
        ((PROMPT, {"type": "baichuan"}), STABLE, False),
        ((PROMPT, {"type": "ali"}), STABLE, False),
        ((PROMPT, {"type": "deepseek"}), STABLE, True),
        ((PROMPT, MAPPED), STABLE, False),
        ((MAPPED,), STABLE, False),
        ((), STABLE, False),
    ],
)
def test_a_system_prompt_that_has_no_effect_is_refused(fields: Any, image: str | None, is_refused: bool) -> None:
    problems = [*consistency.contradictions([channel(*fields)], (), False, image)]
    assert [*lost_fields.problems([channel(*fields)], image)] == problems
    assert bool(problems) is is_refused
    if is_refused:
        assert 'models = ["my-m"], model_mapping = {"my-m": "m"}' in problems[0], "the fix is told"


NEW_API = "calciumion/new-api:v1.0.0-rc.15"


def test_what_new_api_drops_is_told_where_bodies_do_not_pass_through() -> None:
    declared = [channel(), channel({"name": "d", "pass_through": True}), channel({"name": "e"}, PROMPT)]
    assert [*lost_fields.problems(declared, NEW_API)] == []
    (told,) = lost_fields.warnings(declared, NEW_API)
    assert told.startswith("channel c, e: new-api drops fields of requests that it does not know, such as thinking_bu")
    assert [*lost_fields.warnings(declared[1:2], NEW_API)] == []


@pytest.mark.parametrize(
    ("image", "options", "words"),
    [
        (NEW_API, {"Theme": "berry"}, ["gateway_options: new-api has no option Theme"]),
        (STABLE, {"SelfUseModeEnabled": True}, ["gateway_options: One API has no option SelfUseModeEnabled"]),
        (NEW_API, {"SelfUseModeEnabled": True, "RetryTimes": 1}, []),
        ("calciumion/new-api:v9.9.9", {}, ["gateway_image: version 'v9.9.9' of new-api was not tried"]),
        ("mirror/new-api:stable", {}, []),
    ],
)
def test_what_a_gateway_software_has_not_is_refused(image: str, options: dict[str, Any], words: list[str]) -> None:
    problems = [*consistency.contradictions([channel()], (), False, image, options)]
    assert len(problems) == len(words)
    assert all(text.startswith(start) for text, start in zip(problems, words, strict=True)), problems


def test_a_channel_that_new_api_has_not_is_refused() -> None:
    problems = [*consistency.contradictions([channel({"type": "deepl"})], (), False, NEW_API)]
    assert problems == [
        "gateway_channels: channel 'c': new-api has no channels of type deepl: leave it out, or stay with One API"
    ]


@pytest.mark.parametrize(
    ("fields", "image", "words"),
    [
        ((), STABLE, []),
        (({"model_mapping": {"m": "m"}},), STABLE, []),
        ((MAPPED, {"type": "ali"}), STABLE, []),
        ((MAPPED,), STABLE, ["channel c: m are mapped", "enable_thinking", "reasoning_effort", "`seed` above 2^53"]),
        ((MAPPED,), NEW_PREVIEW, ["channel c: m are mapped", "extra_body"]),
        ((MAPPED, PROMPT), STABLE, ["the place of the caller's own for m; n are asked without it"]),
        ((PROMPT,), NEW_PREVIEW, ["channel c: m, n have a system prompt", "the caller's own for m, n"]),
    ],
)
def test_what_gets_lost_is_told(fields: Any, image: str, words: list[str]) -> None:
    told = "\n".join(lost_fields.warnings([channel(*fields)], image))
    assert bool(told) is bool(words)
    for word in words:
        assert word in told
    assert ("reasoning_effort" in told) is (bool(words) and image == STABLE)


def test_many_names_are_told_in_short() -> None:
    names = [f"m{number}" for number in range(9)]
    made = channel({"models": names, "model_mapping": {name: f"x/{name}" for name in names}})
    assert "m0, m1, m2 and 6 more are mapped" in next(lost_fields.warnings([made], STABLE))
