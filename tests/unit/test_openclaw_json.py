"""What of OpenClaw's configuration is ours: put in, left alone, and taken out again."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest

from llm_gateway.parts.openclaw import openclaw_json
from llm_gateway.parts.openclaw.openclaw_json import ConfigurationError, Difference, Provider, Record, Values

PROVIDER = ("models", "providers", "default_llm")
PRIMARY = ("agents", "defaults", "model", "primary")
FIRST = Provider("default_llm", "LLM_BASE_URL", "LLM_API_KEY", [])
WANTED = openclaw_json.wanted([FIRST], 131072, 8192, is_default=True, is_for_memory=True)
OLDER: dict[str, Any] = {
    "baseUrl": "http://100.64.9.9:3000/v1",
    "apiKey": "sk-older",
    "models": [{"id": "qwen-plus"}, {"id": "qwen-max"}],
}
DOCUMENTS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "onboarded": {"agents": {"defaults": {"workspace": "/w"}}, "gateway": {"port": 18789}},
    "older gateway": {
        "models": {"providers": {"default_llm": OLDER, "other": {"baseUrl": "http://other.example"}}},
        "agents": {"defaults": {"model": {"primary": "default_llm/qwen-plus", "fallbacks": ["a/b"]}}},
        "memory": {"search": {"provider": "local"}},
    },
    "model as a text": {"agents": {"defaults": {"model": "openai/gpt-6-astra"}}},
    "empty objects": {"models": {"providers": {}}, "memory": {}},
}


def patched(document: dict[str, Any], values: Values) -> dict[str, Any]:
    """What `openclaw config patch` makes of a document: objects merge, null takes away, some are replaced."""
    made = copy.deepcopy(document)
    for path in (tuple(text.split(".")) for text in openclaw_json.replaced(values)):
        inside = made
        for name in path[:-1]:
            inside = inside.setdefault(name, {})
        inside.pop(path[-1], None)
    _merge(made, openclaw_json.patch(values))
    return made


def _merge(into: dict[str, Any], patch: dict[str, Any]) -> None:
    for name, value in patch.items():
        if value is None:
            into.pop(name, None)
        elif isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = copy.deepcopy(value)


def written(document: dict[str, Any], values: Values = WANTED, record: Record | None = None) -> tuple[Any, Record]:
    """A document after a run, and the record of it."""
    found = openclaw_json.differences(document, values)
    kept = openclaw_json.recorded(record or {}, document, found)
    return patched(document, {each.path: each.after for each in found}), kept


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_a_second_run_finds_all_as_it_is_to_be(document: dict[str, Any]) -> None:
    made, _ = written(document)
    assert openclaw_json.differences(made, WANTED) == []
    assert openclaw_json.get(made, PRIMARY) == "default_llm/${LLM_MODEL_ID}"
    assert openclaw_json.get(made, (*PROVIDER, "apiKey")) == {
        "source": "env",
        "provider": "default",
        "id": "LLM_API_KEY",
    }


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_all_that_was_there_is_given_back(document: dict[str, Any]) -> None:
    made, record = written(document)
    record = openclaw_json.parse_record(openclaw_json.record_text("/c", record))
    assert patched(made, openclaw_json.given_back(made, record)) == document


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_what_was_there_before_the_first_run_is_remembered_by_later_ones(document: dict[str, Any]) -> None:
    made, record = written(document)
    larger = openclaw_json.wanted([replace(FIRST, models=["more"])], 200000, 8192, is_default=True, is_for_memory=True)
    made, record = written(made, larger, record)
    assert len(made["models"]["providers"]["default_llm"]["models"]) == 2
    assert patched(made, openclaw_json.given_back(made, record)) == document


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_what_is_not_wanted_any_more_is_given_back_alone(document: dict[str, Any]) -> None:
    made, record = written(document)
    fewer = openclaw_json.wanted([FIRST], 131072, 8192, is_default=False, is_for_memory=False)
    outdated = openclaw_json.outdated(record, fewer)
    made = patched(made, openclaw_json.given_back(made, outdated))
    for part in (("agents", "defaults", "model"), ("memory",)):
        assert openclaw_json.get(made, part) == openclaw_json.get(document, part)
    assert openclaw_json.differences(made, fewer) == []


def test_a_removal_that_was_cut_off_between_its_changes_goes_on() -> None:
    document = DOCUMENTS["older gateway"]
    made, record = written(document)
    back = openclaw_json.given_back(made, record)
    assert openclaw_json.with_references(made, back) == [PROVIDER]
    cut = patched(made, {PROVIDER: None})
    assert patched(cut, openclaw_json.given_back(cut, record)) == document


def test_what_a_person_has_changed_since_stays() -> None:
    made, record = written(DOCUMENTS["onboarded"])
    made["agents"]["defaults"]["model"]["primary"] = "openai/gpt-6-astra"
    made["models"]["providers"]["default_llm"]["headers"] = {"x": "added, which is no other value of ours"}
    back = patched(made, openclaw_json.given_back(made, record))
    assert openclaw_json.get(back, PRIMARY) == "openai/gpt-6-astra"
    assert "models" not in back


def test_what_a_person_or_a_plugin_adds_is_no_difference() -> None:
    made, _ = written(DOCUMENTS["onboarded"])
    made["models"]["providers"]["default_llm"]["models"][0]["cost"] = {"input": 0}
    made["plugins"] = {"entries": {}}
    assert openclaw_json.differences(made, WANTED) == []


def test_differences_are_told_without_keys() -> None:
    found = openclaw_json.differences(DOCUMENTS["older gateway"], WANTED)
    told = [each.told() for each in found]
    assert told == [
        "models.providers.default_llm: ${LLM_BASE_URL} with ${LLM_MODEL_ID}; it is http://100.64.9.9:3000/v1 with"
        " qwen-plus, qwen-max",
        "agents.defaults.model.primary: default_llm/${LLM_MODEL_ID}; it is default_llm/qwen-plus",
        "memory.search.provider: default_llm; it is local",
        "memory.search.model: ${EMBEDDING_MODEL_ID}",
    ]


def test_a_difference_of_what_is_not_shown_is_told_as_such() -> None:
    before, after = ({"baseUrl": "${LLM_BASE_URL}", "models": [{"id": "m", "maxTokens": limit}]} for limit in (1, 2))
    shown = Difference(PROVIDER, before, after).told()
    assert shown == "models.providers.default_llm: ${LLM_BASE_URL} with m, with other values"


def test_a_password_in_a_url_is_not_told() -> None:
    shown = Difference(PROVIDER, {"baseUrl": "http://me:secret@100.64.9.9/v1", "models": []}, OLDER).told()
    assert "secret" not in shown and "http://100.64.9.9/v1 with no model" in shown


def test_what_goes_past_the_gateway_is_told() -> None:
    document = {
        "agents": {
            "entries": {"main": {}, "coder": {"model": "openai/x"}, "ours": {"model": {"primary": "default_llm/y"}}}
        },
        "models": {"providers": {"old": {"baseUrl": "http://100.64.9.9:3000/v1"}, "env": {"baseUrl": "${URL}"}}},
    }
    assert list(openclaw_json.past_the_gateway(document, ["default_llm"])) == [
        "the agent coder has a model of its own, openai/x, which does not go through the gateway",
        "models.providers.old stays, with the baseUrl http://100.64.9.9:3000/v1: what names it goes past the gateway",
    ]


def test_references_that_would_dangle_are_found() -> None:
    made, record = written(DOCUMENTS["onboarded"])
    made["agents"]["defaults"]["models"] = {"default_llm/qwen-plus": {"alias": "q"}, "other/x": {}}
    made["agents"]["entries"] = {"main": {"model": "default_llm/qwen-plus"}}
    made["plugins"] = {"mem0": {"key": "${LLM_API_KEY}"}}
    assert openclaw_json.dangling(made, record) == [
        "agents.defaults.models.default_llm/qwen-plus",
        "agents.entries.main.model",
        "plugins.mem0.key",
    ]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('{"a": 1}', {"a": 1}),
        (
            "// mine\n{ a: 'it\\'s \"quoted\"', /* b */ b: [1, 2,], $c: {d: true,}, }",
            {"a": 'it\'s "quoted"', "b": [1, 2], "$c": {"d": True}},
        ),
        ('{url: "http://x//y", // not: a, comment\n}', {"url": "http://x//y"}),
        ('{"a": "${LLM_BASE_URL}"}', {"a": "${LLM_BASE_URL}"}),
    ],
)
def test_json5_as_people_write_it_is_read(text: str, wanted: dict[str, Any]) -> None:
    assert openclaw_json.parse(text) == wanted
    assert openclaw_json.has_comments(text) == ("//" in text.replace("http://x//y", "") or "/*" in text)


@pytest.mark.parametrize("text", ["", "[]", "{", "{a: b}", "nonsense", json.dumps("text")])
def test_what_is_no_configuration_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        openclaw_json.parse(text)
