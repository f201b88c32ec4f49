"""What the module for Node Skills takes from the program around it, and what it must not lose.

Node's fetch has its ways, limits and options in one dispatcher of the process, which a program may set to its own.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from fault_server import FaultServer
from node_process import run_script
from vector_runner import KEY, own_certificate

_OK = {"status": 200, "json": {"choices": [{"message": {"role": "assistant", "content": "hi"}}]}}
_LATE = {**_OK, "wait_ms": 2500}
"""Later than a limit of less than a second, which undici looks at once a second."""
_CALL = """
const [, module, base, key, ca] = process.argv;
Object.assign(process.env, { LLM_BASE_URL: base, LLM_API_KEY: key });
void globalThis.Headers; // loads undici
const symbol = Symbol.for(`undici.globalDispatcher.${parseInt(process.versions.undici, 10) < 8 ? 1 : 2}`);
const { constructor: Agent } = globalThis[symbol];
const setDispatcher = (dispatcher) => { globalThis[symbol] = dispatcher; };
SURROUNDINGS;
require(module).callSpecificModel("m", [{ role: "user", content: "hello" }], { timeoutMs: 8000 }).then(
  (answer) => console.log(answer.choices[0].message.content),
  (error) => console.log(error.summary),
);
"""
_LOOK_UP = """
const rows = [{ address: "ff02::1", family: 6 }, { address: "127.0.0.1", family: 4 }];
require("node:dns").lookup = (name, { all }, done) => (
  all ? setImmediate(done, null, rows) : setImmediate(done, null, rows[0].address, rows[0].family)
);
"""


def outcome(surroundings: str, server: FaultServer, scheme: str = "http", host: str = "127.0.0.1", ca: str = "") -> str:
    """What a call prints in a process where `surroundings` was run before it."""
    script = _CALL.replace("SURROUNDINGS", surroundings)
    run = run_script(script, f"{scheme}://{host}:{server.port}", KEY, ca)
    return run.stdout.strip() or run.stderr


@pytest.mark.parametrize(
    "surroundings",
    [
        "setDispatcher(new Agent({ headersTimeout: 300, bodyTimeout: 300 }))",
        "const short = new Agent({ headersTimeout: 300 });"
        "setDispatcher({ dispatch: (...all) => short.dispatch(...all) })",
        "class Own extends Agent {}; setDispatcher(new Own({ headersTimeout: 300 }))",
    ],
    ids=["an agent with limits", "another dispatcher", "a class of its own"],
)
def test_limits_of_the_programs_dispatcher_do_not_count(surroundings: str) -> None:
    with FaultServer([_LATE]) as server:
        assert outcome(surroundings, server) == "hi"


def test_nodes_own_limit_of_300_s_does_not_count() -> None:
    """Read off the request, as nobody wants to wait for it: Node 26 keeps its agent elsewhere, and had it."""
    seen = """
    const { dispatch } = Agent.prototype;
    Agent.prototype.dispatch = function (options, handler) {
      console.log(options.headersTimeout, options.bodyTimeout);
      return dispatch.call(this, options, handler);
    }"""
    with FaultServer([_OK]) as server:
        assert outcome(seen, server) == "0 0\nhi"


@pytest.mark.parametrize(
    "surroundings",
    [
        "setDispatcher(new Agent({ connect: { ca: require('node:fs').readFileSync(ca) } }))",
        "const own = new Agent({ connect: { ca: require('node:fs').readFileSync(ca) } });"
        "setDispatcher({ dispatch: (...all) => own.dispatch(...all) })",
    ],
    ids=["an agent", "another dispatcher"],
)
def test_a_ca_of_the_programs_dispatcher_is_trusted(surroundings: str, tmp_path: Path) -> None:
    tls, pem = own_certificate()
    (tmp_path / "ca.pem").write_bytes(pem)
    with FaultServer([_OK], tls) as server:
        assert outcome(surroundings, server, "https", ca=str(tmp_path / "ca.pem")) == "hi"
    with FaultServer([_OK], tls) as server:
        assert "ETLS" in outcome("", server, "https", ca=str(tmp_path / "ca.pem"))


def test_a_ca_of_the_environment_is_trusted_and_http_2_not_spoken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Node 26 speaks HTTP/2 where it is offered, with other failures; all versions are to behave alike."""
    tls, pem = own_certificate()
    tls.set_alpn_protocols(["h2", "http/1.1"])
    (tmp_path / "ca.pem").write_bytes(pem)
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(tmp_path / "ca.pem"))
    with FaultServer([_OK], tls) as server:
        assert outcome("", server, "https") == "hi"


@pytest.mark.parametrize(
    "surroundings",
    ["", "require('node:net').setDefaultAutoSelectFamily(false)", "setDispatcher(new Agent({ connections: 1 }))"],
    ids=["as it is", "families not selected", "an agent"],
)
def test_each_address_of_a_name_is_tried(surroundings: str) -> None:
    with FaultServer([_OK]) as server:
        assert outcome(_LOOK_UP + surroundings, server, host="gw.example.ts.net") == "hi"


def test_a_fetch_of_the_programs_own_is_called() -> None:
    mock = (
        "globalThis.fetch = async () => new Response(JSON.stringify({ choices: [{ message: { content: 'mock' } }] }))"
    )
    with FaultServer([]) as server:
        assert outcome(mock, server) == "mock"


def test_what_the_program_sets_later_counts_from_then_on() -> None:
    script = """
    const ask = () => require(module).callSpecificModel("m", [{}]).catch((error) => console.log(error.summary));
    setTimeout(() => {
      setDispatcher({ dispatch() { throw new Error("set later"); } });
      ask();
    }, 500)"""
    with FaultServer([_OK]) as server:
        first, second = outcome(script, server).splitlines()
    assert first == "hi"
    assert "set later" in second
