"""Gateways of either software on hosts of their own, and what their tokens may, asked from another machine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.lab.rows import DIRECTORY

if TYPE_CHECKING:
    from tests.lab.conftest import Lab

MODELS = ("smollm2", "no-such-model")
TOKENS: list[dict[str, Any]] = [
    {"name": "one-model", "models": ["smollm2"]},
    {"name": "elsewhere", "subnets": ["10.9.0.0/16"]},
    {"name": "counted", "quota": 100_000_000},
]


def settings_of(lab: Lab, flavour: str) -> dict[str, Any]:
    """The settings of a gateway of a flavour ("one-api" or "new-api"), with these tokens."""
    image = lab.state["gateway_images"][flavour]
    archive = image["archive"]
    return {"gateway_image": image["reference"], "gateway_image_archive": archive or None, "gateway_tokens": TOKENS}


def on(host: str, lab: Lab, flavour: str) -> list[str]:
    """The arguments of pyinfra for a host alone, with those settings."""
    found = settings_of(lab, flavour).items()
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in found}
    return ["--limit", host, *(part for name, text in texts.items() for part in ("--data", f"{name}={text}"))]


def keys_of(lab: Lab, host: str) -> dict[str, str]:
    """The keys of a gateway's tokens, as its database has them."""
    found = lab.ssh(host, sql("SELECT name, key FROM tokens"))
    return dict(line.split("|") for line in found.splitlines())


def answers(lab: Lab, host: str, keys: dict[str, str] | None = None) -> dict[tuple[str, str], str]:
    """What each token gets for each model, asked from another machine of the tailnet; "000" where nothing answers.

    Parameters: `keys`, by their names, where the database cannot be asked for them.
    """
    found = {}
    for name, key in (keys or keys_of(lab, host)).items():
        for model in MODELS:
            body = {"model": model, "max_tokens": 4, "messages": [{"role": "user", "content": "hi"}]}
            found[name, model] = ask(lab, host, key, "chat/completions", body)[0]
    return found


def ask(lab: Lab, host: str, key: str, path: str, body: dict[str, Any]) -> tuple[str, str]:
    """The status and the body of an answer to a request below /v1, sent from another machine of the tailnet."""
    asked = ["curl", "-s", "-m", "60", "-w", "\n%{http_code}", "-K", "-", "-H", "Content-Type: application/json"]
    url = f"http://{lab.address(host)}:3000/v1/{path}"
    header = f'header = "Authorization: Bearer sk-{key}"\n'
    run = lab.command("peer", "--", *asked, "-d", json.dumps(body), url, stdin=header)
    answer, _, status = run.stdout.strip().rpartition("\n")
    return status, answer


def admin(lab: Lab, host: str, method: str, path: str, body: object = None) -> Any:
    """What the admin API of either software says to root, asked from another machine of the tailnet."""
    (line,) = lab.ssh(host, f"grep ^ONEAPI_ACCESS_TOKEN= {DIRECTORY}/secrets.env").splitlines()
    token = line.partition("=")[2].strip("'\"")
    asked = ["curl", "-s", "-m", "60", "-K", "-", "-X", method, "-H", "New-Api-User: 1"]
    asked += ["-H", "Content-Type: application/json", *([] if body is None else ["-d", json.dumps(body)])]
    url = f"http://{lab.address(host)}:3000{path}"
    run = lab.command("peer", "--", *asked, url, stdin=f'header = "Authorization: {token}"\n')
    answer = json.loads(run.stdout)
    assert answer["success"], f"{method} {path}: {run.output}"
    return answer.get("data")


def sql(statement: str) -> str:
    """The command that asks a gateway's database on its host."""
    return f'sqlite3 -init /dev/null {DIRECTORY}/data/one-api.db "{statement}"'
