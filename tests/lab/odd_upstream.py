"""An upstream on the lab's neighbour that can be told to be slow, to fail, or to be cut off in mid-answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lab import networks
from tests.lab.conftest import Lab
from tests.lab.faults import await_that

PORT = 9107
MODEL = "odd-model"
_PLACE = "/tmp/odd-upstream"

# As long as the file "hangs" is there, it takes requests and says nothing; with "breaks", it ends in mid-answer; with
# "fails", it answers HTTP 500; with "babbles", something that is no answer of a model.
_SERVER = f"""
import http.server, json, os, time

class Handler(http.server.BaseHTTPRequestHandler):
    def chunks(self):
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def do_POST(self):
        # One API passes a body on in chunks.
        length = self.headers["Content-Length"]
        asked = json.loads(self.rfile.read(int(length)) if length else b"".join(self.chunks()))
        while os.path.exists("{_PLACE}/hangs"):
            time.sleep(0.05)
        message = {{"role": "assistant", "content": "hello"}}
        told = {{"id": "1", "object": "chat.completion", "created": 1, "model": asked["model"],
                "choices": [{{"index": 0, "message": message, "finish_reason": "stop"}}],
                "usage": {{"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}}}
        body = json.dumps(told).encode()
        if os.path.exists("{_PLACE}/babbles"):
            body = b"<!doctype html><title>Sign in to the hotel's network</title>"
        self.send_response(500 if os.path.exists("{_PLACE}/fails") else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:20] if os.path.exists("{_PLACE}/breaks") else body)

    def log_message(self, *words):
        pass

with open("{_PLACE}/pid", "w") as file:
    file.write(str(os.getpid()))
http.server.ThreadingHTTPServer(("", {PORT}), Handler).serve_forever()
"""


class OddUpstream:
    """It, while it runs."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.base_url = f"http://{networks.address(lab.state['lan_subnet'], networks.NEIGHBOUR)}:{PORT}"

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self._sh(f"mkdir -p {_PLACE} && cat > {_PLACE}/serve.py", _SERVER)
        self._sh(f"setsid python3 {_PLACE}/serve.py > /dev/null 2>&1 < /dev/null &")
        await_that(lambda: self._sh(f"ss -ltnH 'sport = :{PORT}'") != "", "the upstream listens")

    def stop(self) -> None:
        """End it: its port is closed then."""
        self._sh(f"kill -KILL $(cat {_PLACE}/pid)")

    @contextmanager
    def which(self, does: str) -> Iterator[None]:
        """While the block runs, it "hangs", "breaks", "fails" or "babbles"."""
        self._sh(f"touch {_PLACE}/{does}")
        try:
            yield
        finally:
            self._sh(f"rm {_PLACE}/{does}")

    @contextmanager
    def gone(self) -> Iterator[None]:
        """While the block runs, its port is closed."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def _sh(self, command: str, stdin: str | None = None) -> str:
        run = self._lab.command("neighbour", "--", "sh", "-c", command, stdin=stdin)
        assert run.code == 0, run.output
        return run.stdout.strip()


@contextmanager
def odd_upstream(lab: Lab) -> Iterator[OddUpstream]:
    """Such an upstream, which answers at once until it is told otherwise."""
    upstream = OddUpstream(lab)
    upstream.start()
    try:
        yield upstream
    finally:
        upstream.stop()
