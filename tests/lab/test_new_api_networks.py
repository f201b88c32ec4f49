"""Each token may the same before and after a move, there and back, asked from an allowed and from a refused network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab.conftest import Lab
from tests.lab.flavours import MODELS, admin, answers, keys_of, on, sql

pytestmark = pytest.mark.full
MOVED, ASKER = "gwng", "gwnh"
PAST = 1_700_000_000
Statuses = dict[tuple[str, str, str], str]
# As HTTP of the shell's own: a minimal host has neither curl nor Python.
_ASK = """while read -r key model; do
    body='{"model":"'"$model"'","max_tokens":4,"messages":[{"role":"user","content":"hi"}]}'
    exec 3<> "/dev/tcp/ADDRESS/3000"
    printf 'POST /v1/chat/completions HTTP/1.0\\r\\nAuthorization: Bearer sk-%s\\r\\n' "$key" >&3
    printf 'Content-Type: application/json\\r\\n' >&3
    printf 'Content-Length: %d\\r\\n\\r\\n%s' "${#body}" "$body" >&3
    head -n 1 <&3 | cut -d ' ' -f 2
    exec 3>&-
done"""


@pytest.fixture(scope="module")
def hosts(deployed: Lab) -> Iterator[Lab]:
    with deployed.more_hosts(f"{MOVED}:ready", f"{ASKER}:ready"):
        yield deployed


def _asked(lab: Lab, keys: dict[str, str]) -> Statuses:
    """What each token gets for each model, asked from a machine of the tailnet, and from another one."""
    pairs = [(name, model) for name in keys for model in MODELS]
    here = answers(lab, MOVED, keys)
    lines = "".join(f"{keys[name]} {model}\n" for name, model in pairs)
    said = lab.ssh(ASKER, f"bash -c {_quoted(_ASK.replace('ADDRESS', lab.address(MOVED)))}", lines).split()
    there = dict(zip(pairs, said, strict=True))
    return {(*pair, where): found[pair] for where, found in (("peer", here), ("host", there)) for pair in pairs}


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _made(lab: Lab, prefix: str, limits: dict[str, dict[str, Any]]) -> None:
    """Tokens of each kind, by the admin API of what serves. Parameters: `limits`, its fields for the limited ones."""
    for name, fields in {
        **limits,
        "unlimited": {},
        "expired": {"expired_time": PAST},
        "exhausted": {"unlimited_quota": False},
        "counted": {"unlimited_quota": False, "remain_quota": 100_000_000},
        "disabled": {},
        "deleted": {},
        "名字 ü": {},
    }.items():
        admin(
            lab,
            MOVED,
            "POST",
            "/api/token/",
            {"name": f"{prefix} {name}", "expired_time": -1, "unlimited_quota": True, **fields},
        )


def _switch_off(lab: Lab, prefix: str, keys: dict[str, str]) -> None:
    rows = lab.ssh(MOVED, sql("SELECT id, name FROM tokens")).splitlines()
    ids = {name: int(number) for number, name in (row.split("|") for row in rows)}
    admin(lab, MOVED, "PUT", "/api/token/?status_only=1", {"id": ids[f"{prefix} disabled"], "status": 2})
    admin(lab, MOVED, "DELETE", f"/api/token/{ids[f'{prefix} deleted']}")
    assert keys[f"{prefix} deleted"]


def _expected(found: Statuses, prefix: str) -> None:
    """That the question tells allowed from refused at all."""
    for name, statuses in {
        "unlimited": "200 200",
        "名字 ü": "200 200",
        "counted": "200 200",
        "one model": "200 200",
        "from peer": "200 403",
        "from host": "403 200",
        "elsewhere": "403 403",
        "expired": "401 401",
        "exhausted": "401 401",
        "disabled": "401 401",
        "deleted": "401 401",
    }.items():
        asked = [found[f"{prefix} {name}", MODELS[0], where] for where in ("peer", "host")]
        assert " ".join(asked) == statuses, name
    assert {found[f"{prefix} one model", MODELS[1], where] for where in ("peer", "host")} == {"403"}


def test_each_token_may_the_same_from_each_network_there_and_back(hosts: Lab) -> None:
    bare = ["--data", "gateway_tokens=[]"]
    first = hosts.deploy(*on(MOVED, hosts, "one-api"), *bare)
    assert first.code == 0, first.output[-4000:]
    peer, host = f"{hosts.state['peer_address']}/32", f"{hosts.address(ASKER)}/32"
    _made(
        hosts,
        "old",
        {
            "one model": {"models": MODELS[0]},
            "from peer": {"subnet": f"10.9.0.0/16, {peer}"},
            "from host": {"subnet": host},
            "elsewhere": {"subnet": "10.9.0.0/16"},
        },
    )
    keys = keys_of(hosts, MOVED)
    _switch_off(hosts, "old", keys)
    before = _asked(hosts, keys)
    _expected(before, "old")

    moved = hosts.deploy(*on(MOVED, hosts, "new-api"), *bare)
    assert moved.code == 0, moved.output[-4000:]
    assert _asked(hosts, keys) == before

    _made(
        hosts,
        "new",
        {
            "one model": {"model_limits_enabled": True, "model_limits": MODELS[0]},
            "from peer": {"allow_ips": f"10.9.0.0/16\n {peer.removesuffix('/32')} \n"},
            "from host": {"allow_ips": host},
            "elsewhere": {"allow_ips": "10.9.0.0/16\n10.8.0.1"},
        },
    )
    keys = {**keys, **keys_of(hosts, MOVED)}
    _switch_off(hosts, "new", keys)
    before = _asked(hosts, keys)
    _expected(before, "new")
    rows = int(hosts.ssh(MOVED, sql("SELECT count(*) FROM logs")))

    back = hosts.deploy(*on(MOVED, hosts, "one-api"), *bare)
    assert back.code == 0, back.output[-4000:]
    assert "carrying over to One API" in back.output
    assert _asked(hosts, keys) == before
    assert int(hosts.ssh(MOVED, sql("SELECT count(*) FROM logs"))) >= rows, "what was written since is there"

    again = hosts.deploy(*on(MOVED, hosts, "new-api"), *bare)
    assert again.code == 0, again.output[-4000:]
    assert _asked(hosts, keys) == before
    assert keys_of(hosts, MOVED).items() <= keys.items()
