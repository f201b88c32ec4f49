"""Ways in which a new version can be bad, chosen by the environment of its image: for tests of upgrades.

`STANDIN_FAULTS` is a comma list. `STANDIN_FAULTS_IF` names a file of the data directory; without that file there are no
faults, so that a version can be good on a copy of the database and bad on the database itself.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

from .database import Database
from .web import Request, Response

MIGRATES = "migrates"
"""It changes the database's schema, as versions do; that alone is no fault."""
CRASHES = "crashes"
"""It ends once it has migrated, at every start."""
MUTE = "mute"
"""It runs and never listens."""
NONSENSE = "nonsense"
"""It is healthy, and answers every question to a model with something else."""


def chosen(environ: Mapping[str, str], workdir: Path) -> frozenset[str]:
    """What this server does wrong; nothing, unless somebody has said so."""
    condition = environ.get("STANDIN_FAULTS_IF")
    if condition and not (workdir / condition).exists():
        return frozenset()
    return frozenset(filter(None, environ.get("STANDIN_FAULTS", "").split(",")))


def migrate(faults: frozenset[str], database: Database) -> None:
    """What the version does to the database besides. Raises SystemExit where it crashes."""
    if MIGRATES in faults:
        database.execute("CREATE TABLE IF NOT EXISTS novelties (id integer PRIMARY KEY, name text)")
    if CRASHES in faults:
        raise SystemExit("[FATAL] this version does not run")


def listen(faults: frozenset[str]) -> None:
    """Before it listens: one that is mute stays here."""
    if MUTE in faults:
        threading.Event().wait()


def answer(faults: frozenset[str], request: Request) -> Response | None:
    """The answer of a version that talks nonsense, None where it does not."""
    if NONSENSE in faults and request.path.startswith("/v1/") and request.method == "POST":
        return Response(200, b'{"choices":[],"object":"nonsense"}', {"Content-Type": "application/json"})
    return None
