"""What mem0 is told and what the environment keeps from it (no mem0, no network)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llm_client import LLMConfigError
from llm_client.mem0 import default_collection, export_openai_env, mem0_config_from_env
from llm_client.mem0_settings import off_the_proxy
from llm_client.mem0_store import check_collection, imported

KEY = "sk-" + "k" * 48
ROOT = Path(__file__).parents[2]
ENV = {
    "LLM_BASE_URL": " http://100.64.0.10:3000/ ",
    "LLM_API_KEY": f" {KEY}\n",
    "LLM_MODEL_ID": " MiniMax-M2.5 ",
    "EMBEDDING_MODEL_ID": "text-embedding-v4",
    "QDRANT_URL": "http://127.0.0.1:6333",
}


def without(*names: str, **more: str) -> dict[str, str]:
    return {name: value for name, value in {**ENV, **more}.items() if name not in names}


def test_both_parts_are_told_the_gateway_its_key_and_one_length() -> None:
    access = {"openai_base_url": "http://100.64.0.10:3000/v1", "api_key": KEY}
    assert mem0_config_from_env(ENV) == {
        "llm": {"provider": "openai", "config": {"model": "MiniMax-M2.5", **access}},
        "embedder": {
            "provider": "openai",
            "config": {"model": "text-embedding-v4", "embedding_dims": 1024, **access},
        },
        "vector_store": {
            "provider": "qdrant",
            "config": {
                "collection_name": "mem0_text-embedding-v4_1024",
                "embedding_model_dims": 1024,
                "url": "http://127.0.0.1:6333",
            },
        },
    }


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)
    assert mem0_config_from_env() == mem0_config_from_env(ENV)


@pytest.mark.parametrize("variable", ["LLM_BASE_URL", "LLM_API_KEY", "LLM_MODEL_ID", "EMBEDDING_MODEL_ID"])
def test_a_missing_or_blank_variable_is_named(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "http://elsewhere")  # the process's environment is not asked
    with pytest.raises(LLMConfigError, match=f"^{variable} is not set"):
        mem0_config_from_env(without(variable))
    with pytest.raises(LLMConfigError, match=f"^{variable} is blank"):
        mem0_config_from_env({**ENV, variable: " \n"})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"QDRANT_URL": "https://q.example:6333/x", "QDRANT_API_KEY": " secret "}, {"api_key": "secret"}),
        ({"QDRANT_URL": "", "QDRANT_HOST": " q "}, {"host": "q", "port": 6333}),
        ({"QDRANT_URL": "", "QDRANT_HOST": "[::1]", "QDRANT_PORT": "7000"}, {"host": "[::1]", "port": 7000}),
        ({"QDRANT_URL": "", "QDRANT_PATH": "/srv/q"}, {"path": "/srv/q", "on_disk": True}),
        ({"QDRANT_URL": "", "QDRANT_PATH": "~/q"}, {"path": str(Path.home() / "q")}),
        (
            {"EMBEDDING_DIMENSIONS": " 512 "},
            {"embedding_model_dims": 512, "collection_name": default_collection("text-embedding-v4", 512)},
        ),
        ({"EMBEDDING_DIMENSIONS": ""}, {"embedding_model_dims": 1024}),
    ],
)
def test_the_store_is_where_the_environment_says(changes: dict[str, str], expected: dict[str, object]) -> None:
    store = mem0_config_from_env({**ENV, **changes})["vector_store"]["config"]
    assert expected.items() <= store.items()


def test_arguments_win_over_the_environment(tmp_path: Path) -> None:
    config = mem0_config_from_env(
        {**ENV, "EMBEDDING_DIMENSIONS": "512"}, collection_name="mine", dimensions=768, qdrant={"path": tmp_path}
    )
    assert config["embedder"]["config"]["embedding_dims"] == 768
    assert config["vector_store"]["config"] == {
        "collection_name": "mine",
        "embedding_model_dims": 768,
        "path": str(tmp_path),
        "on_disk": True,
    }
    host = mem0_config_from_env(without("QDRANT_URL"), qdrant={"host": "q"})["vector_store"]["config"]
    assert (host["host"], host["port"]) == ("q", 6333), "without a port mem0 would take /tmp/qdrant"


@pytest.mark.parametrize(
    ("changes", "arguments", "message"),
    [
        ({"QDRANT_URL": ""}, {}, "where is Qdrant?"),
        ({"QDRANT_HOST": "q"}, {}, "QDRANT_URL and QDRANT_HOST are set"),
        ({"QDRANT_URL": "127.0.0.1:6333"}, {}, "QDRANT_URL needs the form"),
        ({"QDRANT_URL": "http://me:secret@q"}, {}, "QDRANT_URL needs the form"),
        ({"QDRANT_URL": "", "QDRANT_HOST": "http://q"}, {}, "QDRANT_HOST must be"),
        ({"QDRANT_URL": "", "QDRANT_HOST": "q", "QDRANT_PORT": "70000"}, {}, "QDRANT_PORT"),
        ({"QDRANT_API_KEY": "secret\u00e9"}, {}, "QDRANT_API_KEY"),
        ({"EMBEDDING_DIMENSIONS": "0"}, {}, "EMBEDDING_DIMENSIONS must be"),
        ({"EMBEDDING_DIMENSIONS": "65537"}, {}, "EMBEDDING_DIMENSIONS must be"),
        ({}, {"dimensions": -1}, "dimensions must be"),
        ({}, {"dimensions": True}, "dimensions must be"),
        ({}, {"collection_name": " "}, "collection_name"),
        ({}, {"collection_name": "a/b"}, "collection_name"),
        ({}, {"collection_name": 3}, "collection_name"),
        ({}, {"qdrant": {}}, "qdrant needs"),
        ({"LLM_BASE_URL": "gateway:3000"}, {}, "base URL"),
        ({"LLM_API_KEY": KEY + "\n" + KEY}, {}, "LLM_API_KEY"),
        ({"LLM_API_KEY": KEY + "\u00e9"}, {}, "LLM_API_KEY"),
    ],
)
def test_what_is_wrong_is_said_without_a_secret(changes: dict[str, str], arguments: Any, message: str) -> None:
    with pytest.raises(LLMConfigError, match=message) as caught:
        mem0_config_from_env({**ENV, **changes}, **arguments)
    assert caught.value.code == "LLM_CLIENT_CONFIG"
    assert not any(secret in repr(caught.value) for secret in (KEY, "secret"))
    assert caught.value.__cause__ is None


def test_another_model_or_length_has_another_collection() -> None:
    names = [
        default_collection(model, length)
        for model in ("text-embedding-v4", "Text-Embedding-v4", "text/embedding-v4", "text:embedding-v4", "x" * 400)
        for length in (1024, 512)
    ]
    assert len({name.lower() for name in names}) == len(names)
    assert max(map(len, names)) < 200
    assert "/" not in "".join(names)


def test_export_maps_and_clears() -> None:
    env = {
        **ENV,
        "OPENAI_BASE_URL": "https://dashscope.example/v1",
        "OPENAI_API_BASE": "https://dashscope.example/v1",
        "OPENROUTER_API_KEY": "x",
        "OPENAI_CUSTOM_HEADERS": "Authorization: Bearer x",
        "OPENAI_ORG_ID": "org",
    }
    export_openai_env(env)
    assert env == {
        **ENV,
        "OPENAI_BASE_URL": "http://100.64.0.10:3000/v1",
        "OPENAI_API_KEY": KEY,
        "OPENAI_ORG_ID": "org",
        "MEM0_TELEMETRY": "False",
    }


def test_export_keeps_a_choice_of_telemetry() -> None:
    env = {**ENV, "MEM0_TELEMETRY": "True"}
    export_openai_env(env)
    assert env["MEM0_TELEMETRY"] == "True"


@pytest.mark.parametrize("wrong", [{"LLM_API_KEY": ""}, {"LLM_BASE_URL": "ftp://x"}, {"LLM_API_KEY": "a b"}])
def test_export_changes_nothing_when_something_is_wrong(wrong: dict[str, str]) -> None:
    env = {**ENV, **wrong, "OPENAI_API_BASE": "https://dashscope.example/v1"}
    before = dict(env)
    with pytest.raises(LLMConfigError):
        export_openai_env(env)
    assert env == before


@pytest.mark.parametrize(
    ("host", "before", "after"),
    [
        ("100.64.0.10", {"HTTP_PROXY": "http://p"}, "100.64.0.10"),
        ("gw.tail.ts.net", {"all_proxy": "http://p", "NO_PROXY": "a, b"}, "a,b,gw.tail.ts.net"),
        ("[fd7a::1]", {"https_proxy": "http://p", "no_proxy": "a", "NO_PROXY": "b"}, "a,fd7a::1"),
        ("100.64.0.10", {"HTTP_PROXY": "http://p", "no_proxy": "100.64.0.10"}, "100.64.0.10"),
        ("100.64.0.10", {"HTTP_PROXY": "http://p", "no_proxy": "*"}, "*"),
        ("100.64.0.10", {}, None),
        ("100.64.0.10", {"HTTP_PROXY": ""}, None),
        ("llm.example", {"HTTP_PROXY": "http://p"}, None),
        (None, {"HTTP_PROXY": "http://p"}, None),
    ],
)
def test_a_private_host_is_kept_off_the_proxy(host: str | None, before: dict[str, str], after: str | None) -> None:
    env = dict(before)
    off_the_proxy(env, host)
    assert (env.get("NO_PROXY"), env.get("no_proxy")) == (after, after)


@pytest.mark.parametrize(
    "config",
    [{}, {"embedder": {}}, {"embedder": {"provider": "ollama", "config": {}}}, {"embedder": {"provider": "openai"}}],
)
def test_a_configuration_of_another_kind_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(LLMConfigError, match="needs embedder with provider 'openai'"):
        check_collection(config)


def test_a_missing_package_is_a_clear_error() -> None:
    with pytest.raises(LLMConfigError, match="no_such_package is missing: pip install mem0ai qdrant-client") as caught:
        imported("no_such_package")
    assert caught.value.__cause__ is None


def test_importing_this_imports_neither_mem0_nor_qdrant() -> None:
    check = (
        "import sys, llm_client.mem0, llm_client\n"
        "bad = [n for n in sys.modules if n.split('.')[0] in ('mem0', 'qdrant_client', 'openai')]\n"
        "assert not bad, bad\n"
    )
    subprocess.run([sys.executable, "-c", check], cwd=ROOT, check=True, timeout=30)
