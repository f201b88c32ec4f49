"""What a gateway holds, exported and declared again: no change, nothing lost, nothing secret told."""

from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from standin_kit import ACCESS_TOKEN, Gateway

from llm_gateway.contents import desired, export_text
from llm_gateway.contents.desired import VERIFICATION_TOKEN
from llm_gateway.contents.export import Circumstances, Export, export
from llm_gateway.flavours import TokenSpec, option_text, values
from llm_gateway.flavours.change_plan import Actual
from llm_gateway.flavours.known import ONE_API
from llm_gateway.flavours.oneapi import AdminClient, wire
from llm_gateway.inputs.declarations import channels as declared_channels
from llm_gateway.inputs.secrets import Provided
from tests.unit.export_rows import SECRET, Row, channel_row, channel_rows, option_texts, token_row, token_rows
from tests.unit.topology import make_node

IMAGE = "justsong/one-api:v0.6.10"
OWN = Circumstances(own_tokens=(TokenSpec(VERIFICATION_TOKEN),), image=IMAGE)
SETTINGS = ("gateway_channels", "gateway_tokens", "gateway_options")


def actual(channels: Sequence[Row] = (), tokens: Sequence[Row] = (), **options: str) -> Actual:
    return Actual(
        tuple(wire.read_channel({"id": number, **row}) for number, row in enumerate(channels, 1)),
        tuple(wire.read_token({"id": number, **row}) for number, row in enumerate((own_token(), *tokens), 1)),
        {**{name: option_text(name, value) for name, value in ONE_API.default_options.items()}, **options},
    )


def own_token() -> Row:
    return token_row(VERIFICATION_TOKEN)


def read_back(text: str) -> dict[str, Any]:
    """The file's values; it has to be assignments of plain values and nothing else."""
    tree = ast.parse(text)
    assert all(isinstance(node, ast.Assign) for node in tree.body)
    found = {ast.unparse(node.targets[0]): ast.literal_eval(node.value) for node in tree.body}  # type: ignore[attr-defined]
    assert tuple(found) == SETTINGS
    return found


def declared_again(there: Actual, found: Export) -> list[str]:
    """What a run would change after the file was put to use, with the secrets that it asks for."""
    values = read_back(export_text.text("gw1", found))
    held = {channel.name: channel for channel in there.channels}
    secrets = dict.fromkeys(found.secrets, "the-key")
    for made in declared_channels(values["gateway_channels"]):
        secrets |= {name: held[made.name].config[field] for field, name in made.credentials.items()}
    # Without the canary, whose token would be one more to come.
    node = make_node(secrets={}, gateway_image=IMAGE, gateway_canary_interval=None, **values)
    node.machine.provided = Provided(None, secrets)
    return [str(change) for change in desired.planned(node.gateway, there).changes]


def left_out(found: Export) -> dict[str, str]:
    return {item.label: " | ".join(item.obstacles) for item in (*found.channels, *found.tokens) if item.obstacles}


@settings(deadline=None, max_examples=250)
@given(st.lists(channel_rows, max_size=4), st.lists(token_rows, max_size=4), option_texts)
@example([channel_row("twin"), channel_row("twin")], [token_row("t", models="m1")], {})
def test_what_is_exported_plans_nothing(channels: list[Row], tokens: list[Row], options: dict[str, str]) -> None:
    there = actual(channels, tokens, **options)
    found = export(there, OWN)
    text = export_text.text("gw1", found)
    told = "\n".join(export_text.told(found))
    undeclarable = {"RegisterEnabled": ("1", "false"), "RetryTimes": ("x -1", "10")}
    expected = {
        f"~ option {name}: {options[name]} → {wanted}"
        for name, (texts, wanted) in undeclarable.items()
        if options.get(name) in texts.split()
    }
    assert set(declared_again(there, found)) == expected
    assert SECRET not in text + told
    assert told.isprintable() or all(line.isprintable() for line in told.split("\n"))
    values = read_back(text)
    for kind, rows, items in (("channels", channels, found.channels), ("tokens", tokens, found.tokens)):
        declared = Counter(item["name"] for item in values[f"gateway_{kind}"])
        omitted = Counter(item.fields["name"] for item in items if item.obstacles)
        assert declared + omitted == Counter(row["name"] for row in rows), "nothing is lost"
        assert all(item.obstacles[0].strip() for item in items if item.obstacles)
    assert text.count("NOT DECLARED") == sum(
        map(len, (item.obstacles for item in (*found.channels, *found.tokens)))
    ) + (len(found.options.refused))
    text.encode()


def test_only_what_differs_is_written() -> None:
    plain = export(actual([channel_row()], [token_row()]), OWN)
    assert dict(plain.channels[0].fields) == {
        "name": "dashscope",
        "type": "openai",
        "base_url": "https://a.example",
        "key": "DASHSCOPE_API_KEY",
        "models": ["m1", "m2"],
    }
    assert dict(plain.tokens[0].fields) == {"name": "laptop"}
    assert plain.options.values == {"RegisterEnabled": False}
    assert plain.secrets == {"DASHSCOPE_API_KEY": ["the key of channel dashscope"]}


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"models": "m 1"}, "models must be a model name without spaces"),
        ({"models": "m1, m2"}, "models must be a model name without spaces"),
        ({"type": 99}, "there is no channel type 99"),
        ({"type": 49}, "One API v0.6.10 has no type"),
        ({"base_url": "https://a.example/"}, "base_url https://a.example/ → https://a.example"),
        ({"base_url": "https://a.example/v1"}, "base_url must not end in /v1"),
        ({"base_url": f"https://u:{SECRET}@a.example"}, "a user name or a password in its base_url"),
        ({"status": 3}, "the gateway has disabled it by itself"),
        ({"config": '{"strange": "x"}'}, "config may hold"),
        ({"config": json.dumps({"sk": f"{SECRET}\n"})}, "config sk changed"),
        ({"name": " x"}, "name must be a name without blanks"),
    ],
)
def test_a_channel_that_cannot_be_declared_is_told(row: Row, told: str) -> None:
    found = export(actual([{**channel_row(), **row}]), OWN)
    (reason,) = left_out(found).values()
    assert told in reason
    assert found.secrets == {}
    assert read_back(export_text.text("gw1", found))["gateway_channels"] == []


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"models": "m9"}, "m9 is served by no channel"),
        ({"status": 3}, "status expired → enabled"),
        ({"status": 4, "unlimited_quota": False, "remain_quota": 5}, "status exhausted → enabled"),
        ({"unlimited_quota": False, "remain_quota": -5}, "quota must be"),
        ({"expired_time": 1 << 60}, "seconds after 1970, cannot be declared"),
        ({"expired_time": -7}, "expires must be after 1970"),
        ({"subnet": "10.0.0.1"}, "subnets must be a network"),
        ({"name": "x" * 31}, "the name has 31 bytes"),
    ],
)
def test_a_token_that_cannot_be_declared_is_told(row: Row, told: str) -> None:
    found = export(actual([channel_row()], [{**token_row(), **row}]), OWN)
    (reason,) = left_out(found).values()
    assert told in reason


@pytest.mark.parametrize(
    ("row", "fields", "remark"),
    [
        ({"status": 3, "expired_time": 1_700_000_000}, {"expires": "2023-11-14T22:13:20Z"}, "it has expired"),
        ({"expired_time": 1_801_439_999}, {"expires": "2027-01-31"}, ""),
        ({"status": 4, "unlimited_quota": False, "used_quota": 9}, {"quota": 9}, "its quota is used up"),
        ({"unlimited_quota": False, "remain_quota": 6, "used_quota": 3}, {"quota": 9}, ""),
        ({"status": values.DISABLED}, {"status": "disabled"}, ""),
    ],
)
def test_a_tokens_end_is_declared_to_the_second(row: Row, fields: Row, remark: str) -> None:
    found = export(actual([channel_row()], [{**token_row(), **row}]), OWN)
    assert left_out(found) == {}
    assert dict(found.tokens[0].fields) == {"name": "laptop", **fields}
    assert bool(remark) == any(remark in each for each in found.tokens[0].remarks)


def test_a_disabled_channel_is_declared_as_it_is() -> None:
    found = export(actual([channel_row(status=2, group="vip", weight=3)]), OWN)
    assert left_out(found) == {}
    fields = found.channels[0].fields
    assert (fields["status"], fields["groups"], fields["weight"]) == ("disabled", ["vip"], 3)


def test_names_of_secrets_are_kept_and_no_two_are_the_same() -> None:
    (declared,) = declared_channels([{**channel_row_declared(), "key": "MY_OWN_NAME"}])
    names = ("dashscope", "Dash.Scope", "dash-scope", "百炼", "302ai", "minimax api key", "dash scope 2")
    found = export(actual([channel_row(name) for name in names]), Circumstances(declared=(declared,)))
    assert [item.fields["key"] for item in found.channels] == [
        *("MY_OWN_NAME", "DASH_SCOPE_API_KEY", "DASH_SCOPE_2_API_KEY", "CHANNEL_4_API_KEY"),
        *("CHANNEL_302AI_API_KEY", "MINIMAX_API_KEY", "DASH_SCOPE_2_2_API_KEY"),
    ]


def channel_row_declared() -> Row:
    return {"name": "dashscope", "base_url": "https://b.example", "models": ["m1"]}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("RetryTimes", "10", None),
        ("RetryTimes", "0", 0),
        ("RetryTimes", "3", 3),
        ("ApproximateTokenEnabled", "true", None),
        ("ApproximateTokenEnabled", "false", False),
    ],
)
def test_what_a_deployment_would_set_is_declared_as_it_is(name: str, text: str, value: object) -> None:
    there = actual(**{name: text})
    found = export(there, OWN)
    assert found.options.values.get(name) == value
    assert (name in found.options.remarks) == (value is not None)
    assert declared_again(there, found) == []


def test_registration_stays_closed_where_the_deployment_closes_it() -> None:
    there = actual(RegisterEnabled="true")
    fresh = export(there, Circumstances(is_set_up=False)).options
    assert fresh.values["RegisterEnabled"] is False
    assert "the deployment closes it" in fresh.remarks["RegisterEnabled"]
    assert export(there, OWN).options.values["RegisterEnabled"] is True
    assert declared_again(there, export(there, OWN)) == []


def test_ratios_are_those_of_the_models_that_channels_have() -> None:
    table = json.dumps({"m1": 0.5, "n1(33)": 2, "gpt-4": 15})
    there = actual([channel_row(model_mapping='{"m2": "n1"}')], ModelRatio=table, GroupRatio='{"default":1,"team":2}')
    options = export(there, OWN).options
    assert options.values["ModelRatio"] == {"m1": 0.5, "n1(33)": 2}
    assert options.values["GroupRatio"] == {"team": 2}
    assert options.notes[0].startswith("ModelRatio has other entries too (1)")


def test_what_a_run_would_do_even_so_is_told() -> None:
    limited = token_row("agent1", unlimited_quota=False, remain_quota=5)
    around = Circumstances(own_tokens=(TokenSpec("agent1"),), used_models={"llm_model": "m9", "embedding_model": "m1"})
    warnings = export(actual([channel_row()], [limited]), around).warnings
    assert warnings == (
        "llm_model: m9 is served by no channel of gateway_channels: add it to the models of one, or set llm_model to a"
        " model that is served",
        "token agent1 is kept by the deployment, which will change it: quota 5 → unlimited",
    )
    twice = export(actual([], [limited, limited]), around).warnings
    assert "2 tokens have this name" in twice[-1]


@pytest.mark.parametrize(("models", "warned"), [("m1", 0), ("", 1), ("m2", 1)])
def test_the_canarys_token_is_changed_only_where_a_run_would_change_it(models: str, warned: int) -> None:
    made = make_node(llm_model="m1")
    own = tuple(desired.own_token(made.gateway, name) for name in desired.own_tokens(made.gateway))
    there = actual([channel_row()], [token_row(desired.CANARY_TOKEN, models=models)])
    found = export(there, Circumstances(own_tokens=own, image=IMAGE))
    assert found.tokens == ()
    assert len(found.warnings) == warned, found.warnings


@pytest.mark.parametrize(
    ("row", "config"),
    [
        ({"type": 3, "other": "2024-06-01"}, {"api_version": "2024-06-01"}),
        ({"type": 3, "other": "old", "config": '{"api_version": "2024-10-21"}'}, {"api_version": "2024-10-21"}),
        ({"type": 18, "other": "v3.5"}, {"api_version": "v3.5"}),
        ({"type": 24, "other": "v1beta"}, {"api_version": "v1beta"}),
        ({"type": 21, "other": "lib"}, {"library_id": "lib"}),
        ({"type": 17, "other": "plug"}, {"plugin": "plug"}),
        ({"type": 1, "other": "unused"}, None),
        ({"type": 3, "other": ""}, None),
    ],
)
def test_what_older_versions_kept_in_other_is_declared_in_the_config(row: Row, config: Row | None) -> None:
    """One API reads it where the config has none (v0.6.10, middleware/distributor.go)."""
    there = actual([channel_row(**row)])
    found = export(there, OWN)
    assert left_out(found) == {}
    assert found.channels[0].fields.get("config") == config
    assert declared_again(there, found) == []


@pytest.fixture
def gateway(tmp_path: Path) -> Any:
    running = Gateway(tmp_path)
    yield running
    running.stop()


def test_a_gateway_that_was_clicked_together(gateway: Gateway) -> None:
    """By the admin API of the stand-in, in the words of One API's web page."""
    made = [
        {"type": 3, "name": "Azure 东部", "base_url": "https://e.example", "models": "gpt-4o", "group": "default,vip"},
        {"type": 17, "name": "ali", "base_url": "", "models": "qwen-plus,text-embedding-v4", "group": "default"},
    ]
    made[0] |= {"config": '{"region":"","sk":"","ak":"","api_version":"2024-10-21"}', "model_mapping": '{"gpt-4o":"x"}'}
    for row in made:
        gateway.ok("POST", "/api/channel/", {**row, "key": SECRET})
    gateway.ok("POST", "/api/token/", {"name": VERIFICATION_TOKEN, "unlimited_quota": True, "expired_time": -1})
    limited = {"name": "wei", "remain_quota": 7, "expired_time": 1_900_000_000, "models": "gpt-4o"}
    gateway.ok("POST", "/api/token/", limited)
    gateway.ok("PUT", "/api/option/", {"key": "RetryTimes", "value": "2"})
    with AdminClient(gateway.url, access_token=ACCESS_TOKEN) as admin:
        there = Actual(admin.channels(), admin.tokens(), admin.options())
    found = export(there, OWN)
    assert left_out(found) == {}
    assert declared_again(there, found) == []
    assert found.options.values["RetryTimes"] == 2
    text = export_text.text("gw1", found)
    assert not [each for each in (SECRET, *(token.key for token in there.tokens)) if each in text]
    assert '"config": {"api_version": "2024-10-21"},' in text
