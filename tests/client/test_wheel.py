"""The client on its own: built as a wheel, unpacked, and used where the rest of the project is not."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from raw_server import OK, raw_server

from llm_client import __version__

CLIENT = Path(__file__).parents[2] / "client"
USE = """
import sys
sys.path.insert(0, sys.argv[1])
import llm_client, logging
from llm_client import mem0, cli
answer = llm_client.call_specific_model("m", [{"role": "user", "content": "hi"}], base_url=sys.argv[2], api_key="k-1")
print(answer["choices"][0]["message"]["content"])
print(sorted({"llm_gateway", "mem0", "pyinfra"} & set(sys.modules)))
print(all(sys.argv[1] in module.__file__ for name, module in sys.modules.items() if name.startswith("llm_client")))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)]
    subprocess.run(command, cwd=CLIENT, check=True, capture_output=True)
    (built,) = directory.glob("*.whl")
    return built


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    assert wheel.name == f"llm_client-{__version__}-py3-none-any.whl"
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    modules = {str(path.relative_to(CLIENT)) for path in (CLIENT / "llm_client").rglob("*.py")}
    assert names == modules | {"llm_client/py.typed"}


def test_it_works_alone_and_brings_nothing_of_ours_along(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    with raw_server(lambda connection: connection.sendall(OK)) as base:
        run = subprocess.run(
            [sys.executable, "-I", "-c", USE, str(tmp_path), base], capture_output=True, text=True, cwd=tmp_path
        )
    assert run.stdout.splitlines() == ["hi", "[]", "True"], run.stderr


def test_it_asks_for_no_more_than_its_http_library(wheel: Path) -> None:
    (metadata,) = [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith("METADATA")]
    lines = zipfile.ZipFile(wheel).read(metadata).decode().splitlines()
    needed = [line.removeprefix("Requires-Dist: ") for line in lines if line.startswith("Requires-Dist: ")]
    assert [need for need in needed if "extra ==" not in need] == ["anyio>=4", "httpcore<2,>=1.0.7", "httpx<1,>=0.28"]


def test_the_library_loads_neither_its_command_line_nor_mem0() -> None:
    loaded = "sorted({'argparse', 'llm_client.cli', 'mem0'} & set(sys.modules))"
    code = f"import sys, json, llm_client; print(json.dumps({loaded}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == []
