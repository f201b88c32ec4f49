"""Values that a person, a mistake or an attacker may put into a setting; shared by the test_fuzz_*.py.

Of ranges, words and flags the checks themselves know the values. A new setting of another kind needs a line in
`_WRITTEN`, or test_fuzz_settings.py fails.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import PurePosixPath
from typing import Any

from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from llm_gateway.inputs import host_data
from llm_gateway.inputs.settings import SETTINGS
from tests.unit.test_settings import CHANNEL

HOSTILE = (
    "$(touch /tmp/owned)",
    "`id`",
    "${HOME}",
    "$SESSION_SECRET",
    "%n%i%%",
    "a\nExecStart=/bin/false",
    "x'; id; '",
    'x"; id; "',
    "a\\",
    "#a",
    "a #b",
    "a: b",
    "{a: b}",
    "[a]",
    "*a",
    "&a",
    "!!python/object:os.system",
    "{{ 7 * 7 }}",
    "{% raw %}",
    "}; flush ruleset; {",
    "--help",
    "../../etc/passwd",
    "/a/../b",
    "a\tb",
    "a\x00b",
    "a\x1b[2Jb",
    "\u202eabc",
    "\u2028",
    "\ufeffa",
    "\ud800",
    "中 文",
    "名字'\"$",
    "é" * 300,
    "a" * 5000,
)
"""What means something to a shell, YAML, systemd, nft, dotenv, Jinja, a terminal or a file system."""

WORDS = (
    "null",
    "Null",
    "~",
    "yes",
    "on",
    "true",
    "0x1F",
    "1e3",
    "012",
    "1_0",
    "1:30",
    "2001-01-01",
    ".inf",
    "=",
    "<<",
    "-",
    "",
)
"""What YAML may take for something else than text."""

_WRITTEN: dict[str, tuple[Any, ...]] = {
    "secrets_file": ("/plain/keys.env", "~/a b/密钥 $HOME.env"),
    "gateway_directory": ("/plain/gateway", "/srv/-gate.way_1+2/3"),
    "gateway_tailscale_address": ("100.64.0.10",),
    "gateway_allowed_peers": (["100.64.0.7", "100.64.1.0/24", "100.64.1.1"],),
    "gateway_page_port": (3080,),
    "gateway_page_peers": ([],),  # what else there is needs gateway_page_port
    "gateway_private_upstreams": (["192.168.1.5:8000", "10.0.0.0/24", "10.0.0.1", "10.0.0.1:1"],),
    "gateway_environment": (
        {"RELAY_TIMEOUT": "plain"},
        {"THEME": None, "A_b1": """'"$X ${Y} $$ `id` #%n {}[]: 中\\ """, "PORT": None},
    ),
    "gateway_extra_hosts": (
        {"plain": "192.168.1.5"},
        {"host.docker.internal": "172.17.0.1", "a_b-c.d": "10.0.0.1", "x": None},
    ),
    "gateway_timezone": ("Plain/Zone", "null", "yes", "Etc/GMT+8"),
    "gateway_image": ("plain/one-api:v0.6.10", "a-b.c.d:5000/e---f/g__1:_-.x", "1:0"),
    "gateway_image_digest": ("sha256:" + "d" * 64, "sha256:" + "0" * 64),
    "gateway_image_archive": ("/nowhere/a b $x.tar",),
    "gateway_tiktoken_directory": ("/plain/tiktoken", "/nowhere/tik token"),
    "gateway_backup_schedule": ("daily", "*-*-* 03:30:00", "Mon..Fri 4:15", "*-*~3"),
    "gateway_backup_recipient": ("age1plain" + "q" * 58, "ssh-ed25519 AAAA+/= me'\"$(id)`@中"),
    "gateway_backup_command": ("plain-command", """printf '%s\\n' "$1" '$HOME' `id` #%n 中; echo "it's" """),
    "gateway_alert_command": ("plain-alert", """curl -d "$1 $2" 'https://a.example/$x' `id` #%n 中"""),
    "gateway_alerts": (["ntfy:PLAIN", "email:_A1", "webhook:PLAIN"],),
    "gateway_metrics_directory": ("/plain/metrics", "/var/-a+b_.c"),
    "docker_apt_url": ("http://[fd00::1]:8080/docker-ce/linux",),
    "docker_apt_key": ("9dc858229fc7dd38854ae2d88d81803c0ebfcd88",),
    "docker_registry_mirrors": (["https://mirror.example", "http://[fd00::1]:5000/a%20b"],),
    "docker_http_proxy": ("http://proxy.example:3128",),
    "docker_https_proxy": ("http://1.2.3.4:3128/a(b)!",),
    "docker_no_proxy": ("localhost,.ts.net,*.中文,100.64.0.0/10;{}",),
    "gateway_channels": (
        [
            {
                **CHANNEL,
                "name": "渠道 '\"$(id)`\\ %n",
                "models": ["模型/x:free#{}&*!|>%n"],
                "model_mapping": {"模型/x:free#{}&*!|>%n": "x"},  # without one, a system_prompt has no effect
                "system_prompt": "a\n'\"$",
            }
        ],
        [{**CHANNEL, "model_mapping": {"a'\"b": "$(id)"}, "groups": ["default", "g'\"$"], "priority": -5}],
    ),
    "gateway_prices": (
        [{"model": "模型/x:free#{}", "currency": "CNY", "prompt": 0.8, "completion": 2, "since": "2026-11-01"}],
    ),
    "gateway_tokens": ([{"name": "令牌 '\"$(id)", "subnets": ["100.64.0.0/10"], "expires": "2031-01-31"}],),
    "gateway_options": ({"RetryTimes": 3, "Footer": "<b>'\"$(id)\n中</b>"},),
    "gateway_prune": (["channel:a '\"$", "token:中"],),
    "llm_model": ("plain-model", "模型/x:free#{}&*!|>%n~()[]=;"),
    "embedding_model": ("plain-embedding", "#;%@=*"),
    "verification_model_kinds": ({"a'\"$\nb": "chat"},),
    "openclaw_gateway": ("gw1", "主机 z'\"$(id)"),
    "openclaw_budget": ({"tokens": 5_000_000}, {"CNY": 0.5, "per": "month", "at_limit": "disable"}),
    "openclaw_unit": ("openclaw-gateway.service", "a:b@c_1.d-.service"),
    "openclaw_user": ("claw", "_a-$"),
    "openclaw_workspace": ("~/plain", "~/工作 区/%n $(id) '\"`\\"),
    "openclaw_unset_environment": (["OPENAI_BASE_URL", "_a1"],),
    "openclaw_provider": ("gateway-2",),
    "openclaw_models": (["m1", "Qwen/Qwen3.5-2B"],),
    "gateway_database": ("GATEWAY_DATABASE_URL",),
}
EXAMPLES: dict[str, tuple[Any, ...]] = {
    name: (*_WRITTEN.get(name, ()), setting.default, *setting.check.edges) for name, setting in SETTINGS.items()
}
"""Values of each setting that are taken. Of a text, the first stands for it where it only has to be recognized."""

bounded = hypothesis_settings(
    deadline=None,
    derandomize="FUZZ_ANEW" not in os.environ,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
"""The same examples in each run, so that a failure is the fault of the change that it comes with; `make test-full` sets
FUZZ_ANEW, and has others each time."""

_SIGNS = st.sampled_from(list("aZ09 '\"\\$`%{}#:;,&|<>!*?~()[]=@/+-_.^\t\n\x00\x7f\u200b\ud800中é"))
_CUT = st.tuples(
    st.integers(0, 60), st.integers(0, 3), st.one_of(st.text(_SIGNS, max_size=3), st.sampled_from(HOSTILE))
)
_ODD_NUMBERS = st.sampled_from([0, -1, 65536, 2**63, -(2**63) - 1, 10**60])
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    _ODD_NUMBERS,
    st.floats(),
    st.text(_SIGNS, max_size=8),
    st.sampled_from([*HOSTILE, *WORDS]),
    st.binary(max_size=3),
    st.builds(PurePosixPath, st.just("/a/b")),
)
keys = st.one_of(
    st.text(max_size=4), st.sampled_from([*HOSTILE[:6], "name", "key", "models", "type"]), st.none(), st.integers()
)
junk = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(keys, inner, max_size=3),
        st.frozensets(st.text(max_size=2), max_size=2),
    ),
    max_leaves=6,
)
"""Anything that may stand in a Python file."""


def _changed(text: str, cut: tuple[int, int, str]) -> str:
    at, length, new = cut
    at = min(at, len(text))
    return text[:at] + new + text[at + length :]


def spoiled(value: Any) -> st.SearchStrategy[Any]:
    """The value, and what differs from it in one place or two, however deep in it that is."""
    if isinstance(value, str):
        cuts = st.lists(_CUT, max_size=2)
        return cuts.map(lambda wanted: _spoil(value, wanted))
    if isinstance(value, (list, tuple)) and value:
        return st.lists(st.one_of(spoiled(value[0]), st.sampled_from(list(value))), max_size=3)
    if isinstance(value, dict) and value:
        changed = st.sampled_from(list(value)).flatmap(
            lambda key: st.one_of(spoiled(value[key]), junk).map(lambda new: {**value, key: new})
        )
        return st.one_of(st.just(value), changed, junk.map(lambda new: {**value, "more": new}))
    if isinstance(value, int) and not isinstance(value, bool):
        return st.one_of(st.just(value), st.integers(value - 1, value + 1), _ODD_NUMBERS)
    return st.just(value)


def _spoil(text: str, cuts: list[tuple[int, int, str]]) -> str:
    for cut in cuts:
        text = _changed(text, cut)
    return text


@cache
def candidates(name: str) -> st.SearchStrategy[Any]:
    """Values for a setting of which some are taken and some are not."""
    examples = EXAMPLES[name]
    near = st.sampled_from(examples).flatmap(spoiled)
    return st.one_of(st.sampled_from(examples), near, near, st.sampled_from([*HOSTILE, *WORDS]))


def is_taken(name: str, value: Any) -> bool:
    """Whether the setting takes the value, with all others as they are by default."""
    return not host_data.check({name: value, **_with(name, value)})[1]


def _with(name: str, value: Any) -> dict[str, Any]:
    """What has to be set besides."""
    return {"openclaw_user": "claw"} if (name, value) == ("openclaw_unit_scope", "user") else {}


@cache
def taken(name: str) -> st.SearchStrategy[Any]:
    """Values that a setting takes, the nastier the better."""
    pairs = st.tuples(candidates(name), st.sampled_from(EXAMPLES[name]))
    return pairs.map(lambda pair: pair[0] if is_taken(name, pair[0]) else pair[1])
