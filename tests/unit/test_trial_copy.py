"""The copy of a PostgreSQL that another image is tried on: the gateway's own tables are not touched by it."""

from __future__ import annotations

import os
import subprocess
import tarfile
from pathlib import Path

from llm_gateway.model.shell import program
from llm_gateway.tasks.upgrades import trial

_DUMP = r"""SELECT pg_catalog.set_config('search_path', '', false);
CREATE TABLE public.tokens (
    id bigint DEFAULT nextval('public.tokens_id_seq'::regclass) NOT NULL
);
COPY public.tokens (id) FROM stdin;
public.tokens
\.
SELECT pg_catalog.setval('public.tokens_id_seq', 1, true);
"""


def _run(place: Path) -> subprocess.CompletedProcess[str]:
    tools = {
        "psql": f'said=$(cat); case $said in *current_schema*) echo public ;; *) printf "%s\\n" "$said" > {place}/sent;'
        " echo loaded ;; esac",
        "docker": f'printf "%s\\n" "$*" > {place}/started',
    }
    (place / "tools").mkdir()
    for name, text in tools.items():
        (place / "tools" / name).write_text(f"#!/bin/sh\n{text}\n")
        (place / "tools" / name).chmod(0o755)
    values = {"SERVICE": "/x/database.conf", "SCHEMA": "llmgw_trial", "COPIES": "2", "DIRECTORY": str(place)}
    values |= {"SOURCE": str(place / "backup.tar.gz"), "OWN": "true", "LIMIT": ":"}
    text = program(values, trial._HERE / "trial.sh")
    environment = {**os.environ, "PATH": f"{place / 'tools'}:{os.environ['PATH']}"}
    return subprocess.run(["sh", "-c", text], input="", capture_output=True, text=True, env=environment, check=False)


def test_the_copy_is_in_a_schema_of_its_own_and_the_image_is_told_to_look_there(tmp_path: Path) -> None:
    (tmp_path / "one-api.sql").write_text(_DUMP)
    with tarfile.open(tmp_path / "backup.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "one-api.sql", "one-api.sql")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / ".env").write_text("THEME=berry\n")
    (tmp_path / ".env").write_text("TAILSCALE_IP=1\nSESSION_SECRET=s\nSQL_DSN=postgres://a:b@c:5432/d?sslmode=prefer\n")
    done = _run(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    sent = (tmp_path / "sent").read_text()
    assert "CREATE TABLE llmgw_trial.tokens" in sent
    assert "nextval('llmgw_trial.tokens_id_seq'::regclass)" in sent
    assert "setval('llmgw_trial.tokens_id_seq', 1, true)" in sent
    assert "COPY llmgw_trial.tokens (id) FROM stdin;\npublic.tokens\n\\.\n" in sent, "rows stay as they are"
    assert "pg_catalog.set_config" in sent
    assert (tmp_path / "trial" / "data" / ".env").read_text().split() == [
        "THEME=berry",
        "SESSION_SECRET=s",
        "SQL_DSN=postgres://a:b@c:5432/d?sslmode=prefer&search_path=llmgw_trial",
    ]
    assert (tmp_path / "trial" / "data" / ".env").stat().st_mode & 0o077 == 0
    assert "up --detach" in (tmp_path / "started").read_text()
