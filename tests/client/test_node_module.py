"""The module for Node Skills in a process of its own: what it exports, and that it lets its process go."""

from __future__ import annotations

import json
import re
import socket
from typing import Any

import pytest
from fault_server import FaultServer
from node_process import MODULE, node_major, run_script
from test_client_proxies import HOSTS
from vector_runner import KEY

_OK = {"status": 200, "json": {"choices": [{"message": {"role": "assistant", "content": "hi"}}]}}
_LOOKS = """
const { env } = process;
const read = [];
process.env = new Proxy(env, { get: (all, name) => (read.push(name), all[name]) });
const names = Object.keys(require(process.argv[1]));
process.env = env;
console.log(JSON.stringify({ names, read: read.filter((name) => String(name).startsWith("LLM_")) }));
"""
_CALL = """
const [, module, base, key, timeoutMs] = process.argv;
Object.assign(process.env, { LLM_BASE_URL: base, LLM_API_KEY: key });
const called = require(module).callSpecificModel("m", [{ role: "user", content: "hello" }], { timeoutMs: +timeoutMs });
called.then((answer) => console.log(answer.choices[0].message.content), (error) => console.log(error)).then(() => {
  const over = performance.now();
  process.on("exit", () => console.log(`gone after ${Math.round(performance.now() - over)} ms`));
});
"""
_MANY = """
const [, module, base, key] = process.argv;
Object.assign(process.env, { LLM_BASE_URL: base, LLM_API_KEY: key });
const { callSpecificModel } = require(module);
const ask = (number) => callSpecificModel(`m${number}`, [{ role: "user", content: "hello" }], { timeoutMs: 5000 });
Promise.all(Array.from({ length: 50 }, (_, number) => ask(number))).then((answers) => console.log(answers.length));
"""


# Each host is asked once; one line for each that the proxy was asked for, then "over".
_PROXIED = """
const [, module, port, key, ...hosts] = process.argv;
const { callSpecificModel } = require(module);
const asked = [];
const proxy = require("node:http").createServer((request, response) => {
  asked.push(new URL(request.url).hostname);
  response.end("{}");
});
proxy.on("connect", (request, socket) => {
  asked.push(request.url.replace(/:80$/, ""));
  socket.destroy();
});
proxy.listen(+port, "127.0.0.1", async () => {
  await Promise.all(hosts.map((host) => {
    Object.assign(process.env, { LLM_BASE_URL: `http://${host}`, LLM_API_KEY: key });
    return callSpecificModel("m", [{ role: "user", content: "hello" }], { timeoutMs: 1500 }).catch(() => {});
  }));
  process.stdout.write(JSON.stringify([...new Set(asked)]), () => process.exit()); // before its end a pipe is cut
});
"""


def test_private_hosts_never_use_the_environments_proxy() -> None:
    """NODE_USE_ENV_PROXY sends all of fetch there, key and all, as Node's NO_PROXY knows no CIDR."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = str(found.getsockname()[1])
    hosts = [f"[{host}]" if ":" in host else host for host, _ in HOSTS]
    variables = {"NODE_USE_ENV_PROXY": "1", "HTTP_PROXY": f"http://127.0.0.1:{port}", "NO_PROXY": "100.64.0.0/10"}
    run = run_script(_PROXIED, port, KEY, *hosts, environment=variables)
    public = {host for host, (_, is_private) in zip(hosts, HOSTS, strict=True) if not is_private}
    assert public
    # Node 20 has no such variable.
    assert set(json.loads(run.stdout)) == (public if node_major() >= 22 else set()), run.stderr


def test_it_exports_one_function_and_reads_no_environment_before_a_call() -> None:
    run = run_script(_LOOKS)
    assert run.stderr == ""
    assert json.loads(run.stdout) == {"names": ["callSpecificModel"], "read": []}


def test_it_needs_no_package() -> None:
    code = re.sub(r"/\*.*?\*/|//.*", "", MODULE.read_text(), flags=re.DOTALL)
    assert "require(" not in code
    assert "import" not in code


@pytest.mark.parametrize(
    ("step", "timeout_ms", "says"),
    [
        ({"then": "silence"}, 300, "timeout (300ms)"),
        ({**_OK, "cut_at": 20, "then": "silence"}, 300, "timeout (300ms)"),
        (_OK, 60_000, "hi"),
        ({"status": 500, "text": "x" * 100_000, "framing": "chunked", "then": "endless"}, 60_000, "HTTP 500: x"),
        ({"status": 200, "text": "x", "headers": {"Content-Encoding": "br"}}, 60_000, "a body packed as br"),
    ],
    ids=["silence", "half an answer", "kept connection", "cut error", "unread body"],
)
def test_its_process_ends_with_the_call(step: dict[str, Any], timeout_ms: int, says: str) -> None:
    with FaultServer([step]) as server:
        run = run_script(_CALL, f"http://127.0.0.1:{server.port}", KEY, str(timeout_ms))
    assert says in run.stdout
    gone = re.search(r"gone after (\d+) ms\n$", run.stdout)
    assert gone is not None
    assert int(gone[1]) < 2500  # undici would keep a connection for 4 s
    assert KEY not in run.stdout + run.stderr
    assert ("[LLM_Client] Error calling m: " in run.stderr) == (says != "hi")
    assert len(run.stderr.splitlines()) == (says != "hi")


def test_many_calls_at_once() -> None:
    with FaultServer([_OK] * 50) as server:
        run = run_script(_MANY, f"http://127.0.0.1:{server.port}", KEY)
    assert (run.stdout, run.stderr) == ("50\n", "")
    assert {request["body"]["model"] for request in server.requests} == {f"m{number}" for number in range(50)}


def test_a_port_that_fetch_refuses_is_named() -> None:
    run = run_script(_CALL, "http://127.0.0.1:6000", KEY, "300")
    assert "LLM_CLIENT_CONFIG" in run.stdout
    assert "Node's fetch never connects to port 6000" in run.stdout
    assert json.dumps(KEY) not in run.stdout


_FALLS_BACK = """
const [, module, first, second, key] = process.argv;
Object.assign(process.env, { LLM_BASE_URL: first, LLM_FALLBACK_BASE_URLS: second, LLM_API_KEY: key });
const ask = () => require(module).callSpecificModel("m", [{ role: "user", content: "hi" }], { timeoutMs: 5000 });
(async () => {
  const begun = performance.now();
  const { baseUrl, ...answer } = await ask();
  const late = performance.now();
  const again = await ask();
  const times = [late - begun, performance.now() - late];
  console.log(JSON.stringify({ keys: Object.keys(again), from: [again.baseUrl, baseUrl ?? null], times }));
})();
"""


def test_a_dead_host_gives_way_and_comes_last_for_a_while() -> None:
    with FaultServer([], deaf_seconds=30) as dead, FaultServer([_OK, _OK]) as server:
        first, second = (f"http://127.0.0.1:{port}" for port in (dead.port, server.port))
        run = run_script(_FALLS_BACK, first, second, KEY)
    told = json.loads(run.stdout)
    assert told["keys"] == ["choices"]
    assert told["from"] == [f"{second}/v1"] * 2
    assert 900 < told["times"][0] < 4000
    assert told["times"][1] < 900
    (line,) = run.stderr.splitlines()
    assert line.startswith(f"[LLM_Client] {first}/v1: ETIMEDOUT: 127.0.0.1:{dead.port}: no connection in ")
    assert line.endswith(f" s; asking {second}/v1")
