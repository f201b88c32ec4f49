"""`make bench-pruning`: a million old rows of the log are pruned while 10 clients ask, beside the same without pruning.

Both in turns, and at the end what is left is removed in one statement, as One API's own admin page does. What must
hold: no error, and a slowest completion that takes at most twice as long as the slowest without.
"""

from __future__ import annotations

import os
import shlex
import sys
import threading
from dataclasses import dataclass, field

from bench import crowd, load
from bench.backup import on
from bench.errors import BenchError
from bench.no_op import DIRECTORY, deployed_lab
from lab import networks
from llm_gateway.flavours.oneapi import AdminClient
from llm_gateway.inputs.secrets import Generated
from llm_gateway.parts.log_pruning import PRUNING

ROWS = int(os.environ.get("BENCH_ROWS", "1000000"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "60"))
TURNS = 2
CLIENTS = 10
MOST = 2.0
SQL = f"sqlite3 -cmd '.timeout 60000' {DIRECTORY}/data/one-api.db"
# As wide as One API's own rows, of September 2020.
_FILL = (
    "INSERT INTO logs (user_id, created_at, type, content, username, token_name, model_name, quota, prompt_tokens,"
    " completion_tokens, channel_id) SELECT 1, 1600000000 + value, 2, hex(randomblob(40)), 'root', 'bench-fill',"
    " 'qwen-plus', value % 997, value % 4001, value % 499, 1 FROM generate_series(1, {rows});"
)
_COUNT = "SELECT count(*) FROM logs WHERE token_name = 'bench-fill';"
_EMPTY = "DELETE FROM logs WHERE token_name = 'bench-fill';"


@dataclass
class Found:
    """What was answered without pruning, with it, and while one statement removed the rest; how many rows went."""

    without: crowd.Answers = field(default_factory=crowd.Answers)
    pruning: crowd.Answers = field(default_factory=crowd.Answers)
    one_statement: crowd.Answers = field(default_factory=crowd.Answers)
    pruned: int = 0
    image: str = ""

    @property
    def ratio(self) -> float:
        """The slowest completion while it prunes, by the slowest without."""
        return max(self.pruning.seconds) / max(self.without.seconds)


def measure(rows: int, seconds: float) -> Found:
    """Measure on the lab's gateway, and leave it as it was. Raises BenchError."""
    lab, name = deployed_lab()
    found = Found(image=on(name, "docker inspect openclaw-llm-gateway --format '{{.Config.Image}}'").strip())
    base_url, here = f"http://{lab.hosts[name].tailscale_address}:3000", networks.address(lab.lan_subnet, 1)
    token = Generated.read(on(name, f"cat {DIRECTORY}/secrets.env")).access_token
    with (
        load.reachable(name, here),
        load.upstream(here) as upstream,
        AdminClient(base_url, access_token=token) as admin,
        load.client(admin, upstream) as key,
    ):
        _sql(name, _FILL.format(rows=rows))
        for _ in range(TURNS):
            found.without.add(crowd.ask(base_url, key, CLIENTS, seconds))
            before = int(_sql(name, _COUNT))
            on(name, f"systemctl start --no-block {PRUNING.service}")
            found.pruning.add(crowd.ask(base_url, key, CLIENTS, seconds))
            on(name, f"systemctl stop {PRUNING.service}")
            found.pruned += before - int(_sql(name, _COUNT))
        rest = threading.Thread(target=_sql, args=(name, _EMPTY))
        rest.start()
        found.one_statement.add(crowd.ask(base_url, key, CLIENTS, seconds))
        rest.join()
    return found


def _sql(name: str, statement: str) -> str:
    return on(name, f"{SQL} {shlex.quote(statement)}")


def main() -> int:
    """Measure and print; 1 when the lab is not up, a request failed, or one took too long while it pruned."""
    try:
        found = measure(ROWS, SECONDS)
    except BenchError as problem:
        print(problem, file=sys.stderr)
        return 1
    print(f"{found.image}, {TURNS} turns of {SECONDS:.0f} s: {CLIENTS} clients ask, {found.pruned} of {ROWS} rows go:")
    for what, answers in (
        ("without pruning", found.without),
        ("while it prunes", found.pruning),
        ("the rest in one statement", found.one_statement),
    ):
        median, late, slowest = answers.quantile(0.5), answers.quantile(0.99), max(answers.seconds)
        print(
            f"  {what:26s} median {median:6.3f} s  p99 {late:6.3f} s  slowest {slowest:6.3f} s"
            f"  {len(answers.seconds)} completions, {len(answers.errors)} errors"
        )
    print(f"  ratio of the slowest: {found.ratio:.2f} (at most {MOST:.0f})")
    errors = found.without.errors + found.pruning.errors
    for error in sorted(set(errors))[:10]:
        print(f"  error: {error}", file=sys.stderr)
    return int(bool(errors) or found.ratio > MOST or not found.pruned)


if __name__ == "__main__":
    sys.exit(main())
