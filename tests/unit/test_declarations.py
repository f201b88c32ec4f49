"""What is declared of channels and tokens: what is taken, and what is said of the rest."""

from __future__ import annotations

from typing import Any

import pytest

from llm_gateway.inputs import declarations
from llm_gateway.inputs.declarations import Channel, DeclaredToken
from llm_gateway.inputs.secrets import Provided, SecretsError
from llm_gateway.model.checks import InvalidError

CHANNEL = {"name": "c", "base_url": "https://a.example", "key": "A_API_KEY", "models": ["m"]}
SECRET = 'must be the NAME of a secret, such as "DASHSCOPE_API_KEY"'
MODEL = "must be a model name without spaces, commas or quotes"
EXPIRY = (
    'expires must be a day such as "2027-01-31" (UTC), a moment such as "2027-01-31T18:00:00+08:00", or None (never)'
)
NETWORK = 'subnets must be a network such as "100.64.0.0/10", or one address such as "100.64.0.5/32"'


def channel(**changes: Any) -> dict[str, Any]:
    """A right channel with these changes; `...` takes a field away."""
    return {name: value for name, value in {**CHANNEL, **changes}.items() if value is not ...}


def wrong(check: Any, value: Any) -> list[str]:
    """All that is wrong with a declaration, which must be something."""
    with pytest.raises(InvalidError) as caught:
        check(value)
    return list(caught.value.problems)


def test_a_channel_is_taken_with_the_defaults() -> None:
    assert declarations.channels([channel(base_url="https://a.example/x/")]) == (
        Channel("c", 1, "https://a.example/x", "A_API_KEY", ("m",), 0, {}, ("default",), 0, 1, {}, ""),
    )


def test_a_channel_is_taken_with_all_its_fields() -> None:
    (found,) = declarations.channels(
        [
            channel(
                name="my_channel 50% 'x'",
                type="Azure",
                priority=-3,
                weight=7,
                model_mapping={"m": "the deployment"},
                groups=["default", "vip"],
                status="disabled",
                config={"api_version": "2024-10-21"},
                system_prompt="Be brief.\nBe kind 👩‍🚀.",
            )
        ]
    )
    assert (found.name, found.type, found.priority, found.weight) == ("my_channel 50% 'x'", 3, -3, 7)
    assert (found.model_mapping, found.groups, found.status) == ({"m": "the deployment"}, ("default", "vip"), 2)
    assert (found.config, found.system_prompt) == ({"api_version": "2024-10-21"}, "Be brief.\nBe kind 👩‍🚀.")
    assert found.serves == ()


@pytest.mark.parametrize(("value", "number"), [("openai", 1), ("OpenAI", 1), (8, 8), ("deepseek", 36), (36, 36)])
def test_a_type_is_a_name_or_a_number(value: Any, number: int) -> None:
    assert declarations.channels([channel(type=value)])[0].type == number


@pytest.mark.parametrize("missing", [..., None, ""])
def test_the_own_base_url_of_a_type_that_is_named(missing: Any) -> None:
    assert declarations.channels([channel(type="deepseek", base_url=missing)])[0].base_url == ""
    assert wrong(declarations.channels, [channel(type="azure", base_url=missing)]) == [
        'channel c: base_url is missing (type "azure" has none of its own)'
    ]
    # Without a type that is named it is forgotten, and the key would go to OpenAI.
    assert wrong(declarations.channels, [channel(base_url=missing)]) == [
        "channel c: base_url is missing (only a type that is named has its own)"
    ]


def test_the_v1_of_a_base_url_is_for_those_types_that_keep_it() -> None:
    url = "https://a.example/v1"
    for kind in ("openai-compatible", "proxy", 50):
        assert declarations.channels([channel(type=kind, base_url=url)])[0].base_url == url
    for kind in ("openai", "custom", "azure"):
        assert wrong(declarations.channels, [channel(type=kind, base_url=f"{url}/")]) == [
            "channel c: base_url must not end in /v1: One API appends it"
        ]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": " a"}, "channel number 1: name must be a name without blanks around it"),
        ({"name": ...}, "channel number 1: name is missing"),
        ({"name": "a\u200bb"}, "channel number 1: name must be a name without blanks around it"),
        ({"key": ...}, "channel c: key is missing"),
        ({"key": "sk-hush"}, f"channel c: key {SECRET}"),
        ({"modles": []}, "channel c: there is no field modles; did you mean 'models'?"),
        ({"\n": []}, "channel c: the names of its fields must be of name, type, base_url, key, "),
        ({"colour": []}, "channel c: there is no field colour: there are name, type, base_url, key, "),
        ({"type": 0}, "channel c: type must be a whole number from 1 to 999"),
        ({"type": True}, "channel c: type must be a whole number from 1 to 999"),
        ({"type": 99}, "channel c: type cannot be used: there is no channel type 99"),
        ({"type": "opnai"}, "channel c: type cannot be used: there is no channel type 'opnai'; did you mean 'openai'?"),
        ({"type": "sk-hush" * 9}, 'channel c: type must be the name of a channel type, such as "openai"'),
        ({"base_url": "a.example"}, 'channel c: base_url must be a whole URL that starts with "http://" or "https://"'),
        ({"base_url": "https://u:hush@a.example"}, "channel c: base_url must not hold a user name or password"),
        ({"models": []}, "channel c: models must name at least one"),
        ({"models": "m"}, "channel c: models must be a list of model names"),
        ({"models": ["m", "n", "m"]}, "channel c: models must not contain duplicates: m"),
        ({"models": ["a\u200b"]}, f"channel c: models {MODEL}"),
        ({"models": ["a,b"]}, f"channel c: models {MODEL}"),
        ({"models": [" b"]}, f"channel c: models {MODEL}"),
        ({"priority": "1"}, "channel c: priority must be a whole number from -2147483648"),
        ({"weight": -1}, "channel c: weight must be a whole number from 0"),
        ({"groups": []}, "channel c: groups must name at least one"),
        ({"groups": ["a", "a"]}, "channel c: groups must not contain duplicates: a"),
        ({"groups": ["a,b"]}, "channel c: groups must be the name of a group, without spaces or commas"),
        ({"status": 1}, 'channel c: status must be "enabled" or "disabled"'),
        ({"status": ["enabled"]}, 'channel c: status must be "enabled" or "disabled"'),
        ({"model_mapping": '{"m": "n"}'}, "channel c: model_mapping must be a dict"),
        ({"model_mapping": {"m": 1}}, "channel c: model_mapping must be a dict of model names"),
        ({"model_mapping": {"m": "n" * 1024}}, "channel 'c': model_mapping is longer than 1024 characters"),
        ({"config": "2024-10-21"}, "channel c: config must be a dict"),
        ({"config": {"api-version": "x"}}, "channel c: config may hold ak, api_version, "),
        ({"config": {"region": 1}}, "channel c: config region must be a string without blanks around it"),
        ({"config": {"sk": "hush-hush"}}, f"channel c: config sk {SECRET}"),
        ({"system_prompt": None}, "channel c: system_prompt must be a string"),
        ({"system_prompt": "\ud83d"}, "channel c: system_prompt must be a string"),
    ],
)
def test_a_wrong_channel_is_told_by_its_name(changes: dict[str, Any], told: str) -> None:
    (problem,) = wrong(declarations.channels, [channel(**changes)])
    assert problem.startswith(told)
    assert "hush" not in problem


def test_all_problems_of_all_channels_are_told() -> None:
    assert wrong(
        declarations.channels, [channel(weight="x", key="sk-hush"), "sk-hush", channel(models=[]), channel()]
    ) == [
        f"channel c: key {SECRET}",
        "channel c: weight must be a whole number from 0 to 2147483647",
        "channel number 2: must be a dict",
        "channel c: models must name at least one",
    ]
    assert wrong(declarations.channels, [{**CHANNEL, 1: 2}])[0].startswith(
        "channel c: the names of its fields must be of "
    )
    assert wrong(declarations.channels, {}) == ["must be a list of dicts"]
    assert wrong(declarations.channels, [channel()] * 2) == ["must not contain duplicate channels: c"]


def test_a_token_is_taken() -> None:
    assert declarations.tokens(
        [
            {"name": "a b"},
            {
                "name": "limited",
                "models": ["m"],
                "quota": 500000,
                "expires": "2027-01-31",
                "subnets": ["100.64.0.5/10", "fd7a:115c:a1e0::/48"],
                "status": "disabled",
            },
        ]
    ) == (
        DeclaredToken("a b", (), None, -1, (), None),
        DeclaredToken("limited", ("m",), 500000, 1801439999, ("100.64.0.5/10", "fd7a:115c:a1e0::/48"), 2),
    )


@pytest.mark.parametrize(
    ("expires", "seconds"),
    [
        (None, -1),
        ("2027-01-31", 1801439999),
        ("2027-01-31T23:59:59Z", 1801439999),
        ("2027-02-01T07:59:59+08:00", 1801439999),
        ("1970-01-01", 86399),
        ("9999-12-31", 253402300799),
    ],
)
def test_a_token_ends_with_its_day_or_at_its_moment(expires: str | None, seconds: int) -> None:
    assert declarations.tokens([{"name": "t", "expires": expires}])[0].expired_time == seconds


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": "令牌" * 6}, "token '令牌令牌令牌令牌令牌令牌': the name has 36 bytes; a gateway takes 30"),
        ({"key": "sk-hush"}, "token t: there is no field key"),
        ({"models": ["a b"]}, f"token t: models {MODEL}"),
        ({"models": "m"}, "token t: models must be a list of model names"),
        ({"quota": -1}, "token t: quota must be a whole number from 0"),
        ({"quota": 2**63}, "token t: quota must be a whole number from 0"),
        ({"quota": 1.5}, "token t: quota must be a whole number from 0"),
        ({"quota": True}, "token t: quota must be a whole number from 0"),
        ({"expires": -1}, f"token t: {EXPIRY}"),
        ({"expires": "2027-02-30"}, f"token t: {EXPIRY}"),
        ({"expires": "20270131"}, f"token t: {EXPIRY}"),
        ({"expires": "٢٠٢٧-٠١-٣١"}, f"token t: {EXPIRY}"),
        ({"expires": "2027-01-31T18:00:00"}, f"token t: {EXPIRY}"),
        ({"expires": "0000-01-01"}, f"token t: {EXPIRY}"),
        ({"expires": "1969-12-31"}, "token t: expires must be after 1970-01-01"),
        ({"subnets": "100.64.0.0/10"}, "token t: subnets must be a list of networks"),
        ({"subnets": ["100.64.0.5"]}, f"token t: {NETWORK}"),
        ({"subnets": ["100.64.0.0/255.192.0.0"]}, f"token t: {NETWORK}"),
        ({"subnets": ["100.64.0.0/33"]}, f"token t: {NETWORK}"),
        ({"subnets": ["fe80::1%eth0/64"]}, f"token t: {NETWORK}"),
        ({"subnets": ["10.0.0.0/8"] * 2}, "token t: subnets must not contain duplicates: 10.0.0.0/8"),
        ({"status": "on"}, 'token t: status must be "enabled" or "disabled"'),
    ],
)
def test_a_wrong_token_is_told_by_its_name(changes: dict[str, Any], told: str) -> None:
    (problem,) = wrong(declarations.tokens, [{"name": "t", **changes}])
    assert problem.startswith(told)
    assert "hush" not in problem


def test_a_channel_becomes_what_one_api_is_to_hold_with_its_secrets() -> None:
    document = '{"type": "service_account",\n"private_key": "of tests"}'
    provided = Provided(None, {"A_API_KEY": "the-key", "MY_ADC": document, "MY_SK": "the-sk"})
    config = {"region": "us-east5", "vertex_ai_adc": "MY_ADC", "sk": "MY_SK"}
    (found,) = declarations.channels([channel(config=config)])
    assert found.credentials == {"vertex_ai_adc": "MY_ADC", "sk": "MY_SK"}
    spec = found.spec(provided)
    assert spec.key == "the-key"
    assert spec.config == {"region": "us-east5", "vertex_ai_adc": document, "sk": "the-sk"}
    with pytest.raises(SecretsError, match="MY_ADC: this secret is missing"):
        found.spec(Provided(None, {"A_API_KEY": "the-key"}))


def test_a_token_becomes_what_one_api_is_to_hold() -> None:
    (found,) = declarations.tokens([{"name": "t", "quota": 5, "status": "enabled", "models": ["m"]}])
    spec = found.spec()
    assert (spec.name, spec.quota, spec.status, spec.models, spec.expired_time) == ("t", 5, 1, ("m",), -1)
