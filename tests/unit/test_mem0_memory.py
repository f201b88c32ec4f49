"""The real mem0 and a Qdrant on disk, on the gateway: it works, and nothing leads it elsewhere."""

from __future__ import annotations

import importlib
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from mem0_kit import CHAT, EMBEDDER, Models
from qdrant_client import QdrantClient
from qdrant_client.models import Distance, PointStruct, VectorParams
from standin_kit import RELAY_KEY, Gateway, Upstream, wait_for

from llm_client import LLMConfigError, LLMConnectionError, LLMError
from llm_client.mem0 import bound_calls, check_collection, mem0_config_from_env, open_memory

pytest_plugins = ["mem0_fixtures"]
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("clean_environment", "mem0")]

ROOT = Path(__file__).parents[2]
KEY = f"sk-{RELAY_KEY}"
FACTS = ["User lives in Shanghai", "User drinks green tea every morning", "用户喜欢骑自行车"]


@pytest.fixture
def config(memory_gateway: Gateway, tmp_path: Path) -> dict[str, Any]:
    """What a plugin gets from the environment that the deployment gives it."""
    os.environ.update(
        LLM_BASE_URL=memory_gateway.url,
        LLM_API_KEY=KEY,
        LLM_MODEL_ID=CHAT,
        EMBEDDING_MODEL_ID=EMBEDDER,
        QDRANT_PATH=str(tmp_path / "qdrant"),
    )
    return mem0_config_from_env()


@contextmanager
def opened(*arguments: Any, **options: Any) -> Iterator[Any]:
    memory = open_memory(*arguments, **options)
    try:
        yield memory
    finally:
        close(memory)


def close(memory: Any) -> None:
    memory.vector_store.client.close()  # mem0's own close leaves Qdrant's directory locked
    memory.close()


def found(memory: Any, query: str) -> list[str]:
    return [row["memory"] for row in memory.search(query, filters={"user_id": "alice"})["results"]]


def make_collection(path: str, name: str, size: int) -> None:
    with closing(QdrantClient(path=path)) as client:
        client.create_collection(name, VectorParams(size=size, distance=Distance.COSINE))
        client.upsert(name, [PointStruct(id=1, vector=[1.0] * size, payload={"data": "old"})])


def contents(path: str) -> dict[str, int]:
    with closing(QdrantClient(path=path)) as client:
        return {row.name: client.count(row.name).count for row in client.get_collections().collections}


def test_memories_are_stored_found_and_not_doubled(
    config: dict[str, Any], memory_models: Models, memory_gateway: Gateway
) -> None:
    memory_models.facts = FACTS
    with opened() as memory:
        added = memory.add("I live in Shanghai, drink green tea and ride a bike", user_id="alice")["results"]
        assert [row["memory"] for row in added] == FACTS
        assert found(memory, "which tea in the morning?")[0] == FACTS[1]
        assert found(memory, "喜欢自行车吗")[0] == FACTS[2]
        assert memory.add("As I said, Shanghai", user_id="alice")["results"] == []
        memory.update(added[0]["id"], data="User lives in Hangzhou")
        assert found(memory, "lives where")[0] == "User lives in Hangzhou"
    with opened() as memory:
        assert len(memory.get_all(filters={"user_id": "alice"})["results"]) == len(FACTS), "kept over a restart"
    assert_all_came_through(memory_gateway, memory_models)


def assert_all_came_through(memory_gateway: Gateway, memory_models: Models) -> None:
    """Each request at the upstream has the channel's key, and stands in the gateway's books under our token."""
    assert {headers["Authorization"] for _, headers, _ in memory_models.requests} == {"Bearer sk-both"}
    page = min(len(memory_models.requests), 10)
    booked = wait_for(lambda: len(rows := memory_gateway.ok("GET", "/api/log/?type=2&p=0")) == page and rows)
    assert {row["model_name"] for row in booked} <= {CHAT, EMBEDDER}
    assert all(body["model"] == CHAT for body in memory_models.bodies("/chat/completions"))
    assert memory_models.bodies("/embeddings")
    for body in memory_models.bodies("/embeddings"):
        assert (body["model"], body["dimensions"], body["encoding_format"]) == (EMBEDDER, 1024, "float")


def poison(url: str) -> None:
    """What an older set-up may have left behind, all of it pointing at `url`."""
    os.environ.update(
        OPENAI_API_BASE=f"{url}/v1",
        OPENAI_BASE_URL=f"{url}/v1",
        OPENAI_API_KEY="sk-stale",
        OPENROUTER_API_KEY="sk-stale",
        OPENROUTER_API_BASE=f"{url}/v1",
        OPENAI_CUSTOM_HEADERS="Authorization: Bearer sk-stale",
        HTTP_PROXY=url,
        http_proxy=url,
        ALL_PROXY=url,
    )


def test_stale_variables_and_proxies_lead_nowhere(
    config: dict[str, Any], memory_models: Models, memory_gateway: Gateway, thief: Upstream
) -> None:
    poison(thief.url)
    memory_models.facts = FACTS
    with opened(config) as memory:
        memory.add("I live in Shanghai", user_id="alice")
        assert found(memory, "Shanghai")[0] == FACTS[0]
    assert thief.requests == []
    assert_all_came_through(memory_gateway, memory_models)
    assert os.environ["OPENAI_BASE_URL"] == f"{memory_gateway.url}/v1"
    assert os.environ["OPENAI_API_KEY"] == KEY
    assert os.environ["MEM0_TELEMETRY"] == "False"


def test_without_us_they_lead_mem0_away(
    config: dict[str, Any], mem0: ModuleType, memory_models: Models, thief: Upstream
) -> None:
    """That the server above would have noticed: mem0 with the same configuration and nothing else of ours."""
    os.environ.update(OPENROUTER_API_KEY="sk-stale", OPENROUTER_API_BASE=f"{thief.url}/v1")
    memory = mem0.Memory.from_config(config)
    try:
        memory.add("I live in Shanghai", user_id="alice")
    finally:
        close(memory)
    assert [path for path, _, _ in thief.requests] == ["/v1/chat/completions"]


def test_a_collection_of_another_length_is_refused_and_left_alone(
    config: dict[str, Any], memory_models: Models
) -> None:
    store = config["vector_store"]["config"]
    make_collection(store["path"], store["collection_name"], 1536)
    with pytest.raises(LLMConfigError) as caught:
        open_memory(config)
    assert str(caught.value) == (
        "mem0 cannot store: the collection 'mem0_text-embedding-v4_1024' holds vectors of 1536 dimensions, "
        "not 1024 as text-embedding-v4 is to give, and is never resized: name another collection, or go back to the "
        "model that filled this one"
    )
    assert contents(store["path"]) == {store["collection_name"]: 1}
    assert memory_models.bodies("/chat/completions") == []


def test_the_collection_of_the_entities_is_looked_at_too(config: dict[str, Any]) -> None:
    store = config["vector_store"]["config"]
    make_collection(store["path"], store["collection_name"] + "_entities", 8)
    with pytest.raises(LLMConfigError, match="_entities' holds vectors of 8 dimensions"):
        check_collection(config)


def test_an_embedder_that_ignores_dimensions_is_refused(config: dict[str, Any], memory_models: Models) -> None:
    memory_models.always = 576
    with pytest.raises(LLMConfigError) as caught:
        open_memory(config)
    assert "text-embedding-v4 was asked for a vector of 1024 dimensions: " in str(caught.value)
    assert "it has 576 dimensions, not 1024: " in str(caught.value)
    assert "set EMBEDDING_DIMENSIONS to the model's own length" in str(caught.value)
    assert not Path(config["vector_store"]["config"]["path"]).exists(), "nothing written"


def test_its_true_length_can_be_configured(config: dict[str, Any], memory_models: Models) -> None:
    memory_models.always = 576
    os.environ["EMBEDDING_DIMENSIONS"] = "576"
    memory_models.facts = FACTS
    with opened() as memory:
        memory.add("I live in Shanghai", user_id="alice")
        assert found(memory, "Shanghai")[0] == FACTS[0]
        assert memory.collection_name == "mem0_text-embedding-v4_576"


def test_a_configuration_that_contradicts_itself_is_refused(config: dict[str, Any]) -> None:
    config["vector_store"]["config"]["embedding_model_dims"] = 1536
    with pytest.raises(LLMConfigError, match=r"embedding_dims is 1024 but .*embedding_model_dims is 1536"):
        check_collection(config)
    del config["vector_store"]["config"]["embedding_model_dims"]
    with pytest.raises(LLMConfigError, match="embedding_model_dims is 1536"):
        check_collection(config)


def test_qdrant_is_never_guessed(config: dict[str, Any]) -> None:
    del config["vector_store"]["config"]["path"]
    with pytest.raises(LLMConfigError, match="does not say where Qdrant is"):
        check_collection(config)


def test_a_directory_that_is_in_use_is_a_clear_error(config: dict[str, Any]) -> None:
    path = config["vector_store"]["config"]["path"]
    with closing(QdrantClient(path=path)), pytest.raises(LLMConfigError, match=f"{path} cannot be opened: .*already"):
        check_collection(config)


def test_a_client_of_qdrant_may_be_handed_in(config: dict[str, Any], tmp_path: Path) -> None:
    with closing(QdrantClient(path=str(tmp_path / "own"))) as client:
        config["vector_store"]["config"] = {"collection_name": "c", "embedding_model_dims": 1024, "client": client}
        check_collection(config)
        client.create_collection("c", VectorParams(size=3, distance=Distance.COSINE))
        with pytest.raises(LLMConfigError, match="holds vectors of 3 dimensions"):
            check_collection(config)


def test_a_qdrant_that_is_down_is_a_clear_error(config: dict[str, Any]) -> None:
    with closing(socket.socket()) as held:
        held.bind(("127.0.0.1", 0))  # held, not listening: nothing else can answer there
        port = held.getsockname()[1]
        remote = mem0_config_from_env(qdrant={"host": "127.0.0.1", "port": port})
        with pytest.raises(LLMConnectionError, match=f"EQDRANT: Qdrant at 127.0.0.1:{port} .*refused") as caught:
            check_collection(remote)
    assert caught.value.code == "EQDRANT"


def test_a_qdrant_server_gets_its_key_and_never_shows_it(
    config: dict[str, Any], thief: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    """The scripted server answers no GET: what any other service on that port does."""
    remote = mem0_config_from_env(qdrant={"url": thief.url, "api_key": "secret-of-qdrant"})
    with (
        pytest.warns(UserWarning, match="insecure connection"),
        pytest.raises(LLMConnectionError, match="501") as caught,
    ):
        check_collection(remote)
    assert "secret-of-qdrant" not in repr(caught.value) + caplog.text
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_a_failing_gateway_is_one_clear_error(config: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    os.environ["EMBEDDING_MODEL_ID"] = "no-such-model"
    with pytest.raises(LLMError, match="503") as caught:
        open_memory()
    assert caught.value.model == "no-such-model"
    os.environ.update(EMBEDDING_MODEL_ID=EMBEDDER, LLM_API_KEY=f"{KEY}x")
    with pytest.raises(LLMError, match="401") as caught:
        open_memory()
    assert RELAY_KEY not in repr(caught.value) + caplog.text
    assert not Path(config["vector_store"]["config"]["path"]).exists(), "nothing written"


def test_mem0_accepts_each_place_of_qdrant(config: dict[str, Any]) -> None:
    """mem0's own model of its settings, which also invents a path where it finds none."""
    settings = importlib.import_module("mem0.configs.base").MemoryConfig
    for place in ({"path": "/x"}, {"url": "http://q:1"}, {"url": "http://q:1", "api_key": "k"}, {"host": "q"}):
        chosen = mem0_config_from_env(qdrant=place)
        before = repr(chosen)
        store = settings(**chosen).vector_store.config
        assert {name: getattr(store, name) for name in place} == place
        assert repr(chosen) == before


def test_the_embedder_gets_ten_texts_at_once_at_most(config: dict[str, Any], memory_models: Models) -> None:
    """DashScope refuses more; mem0 itself would send a hundred."""
    memory_models.facts = [f"User likes number {number}" for number in range(23)]
    with opened(config) as memory:
        memory.add("I like many numbers", user_id="alice")
        assert len(memory.get_all(filters={"user_id": "alice"}, top_k=100)["results"]) == 23
        sizes = [len(body["input"]) for body in memory_models.bodies("/embeddings")]
        assert max(sizes) == 10
        texts = [f"text {number}" for number in range(23)]
        vectors = memory.embedding_model.embed_batch(texts, "search")
        assert vectors == [pytest.approx(memory.embedding_model.embed(text), abs=1e-6) for text in texts]
        assert memory.embedding_model.embed_batch([]) == []


def test_calls_are_bounded(config: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    with opened(timeout=7, retries=0) as memory:
        for client in (memory.llm.client, memory.embedding_model.client):
            assert (client.timeout, client.max_retries) == (7, 0)
    assert caplog.text == ""
    bound_calls(SimpleNamespace(llm=SimpleNamespace(), embedding_model=SimpleNamespace(client=None)))
    assert caplog.text.count("has no openai client") == 2


def test_telemetry_that_is_on_already_is_reported(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patch, opened():
        patch.setattr("mem0.memory.telemetry.MEM0_TELEMETRY", True)
        with caplog.at_level(logging.WARNING, "llm_client"):
            importlib.import_module("llm_client.mem0")._warn_of_telemetry()
    assert "mem0 reports to its makers" in caplog.text


def test_the_module_does_not_hide_the_real_mem0(tmp_path: Path) -> None:
    check = (
        "import llm_client.mem0, sys\n"
        "import mem0\n"
        "assert mem0 is not llm_client.mem0 and 'site-packages' in mem0.__file__, mem0.__file__\n"
        "assert mem0.memory.telemetry.MEM0_TELEMETRY is False\n"
        "mem0.Memory\n"
    )
    (tmp_path / "plugin.py").write_text(check)
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT / "client"),
        "MEM0_DIR": str(tmp_path),
        "MEM0_TELEMETRY": "False",
    }
    subprocess.run([sys.executable, "-m", "plugin"], cwd=tmp_path, env=env, check=True, timeout=60)
