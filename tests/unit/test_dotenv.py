"""The dotenv writer against the real readers: what it writes they read alike, or it refuses to write."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_gateway.model import dotenv
from tests.unit.readers import compose, node, python, systemd

LIGHT_READERS = {
    "systemd": systemd.read,
    "node, dotenv": node.read,
    "node, built in": node.read_builtin,
    "python-dotenv": python.read,
    "python-dotenv, interpolate=False": python.read_literally,
}
READERS = LIGHT_READERS | {"compose, env_file": compose.read, "compose, .env": compose.read_project}

WRITTEN = [
    "",
    "abc",
    "sk-" + "0123456789abcdefghijABCDEFGHIJ",
    "http://100.64.0.10:3000/v1",
    "Asia/Shanghai",
    "a=b==",
    "~user@host,50%+1",
    " blanks around ",
    "a b",
    'say "hi"',
    "$HOME",
    "$$",
    "$(id)",
    "`id`",
    "#comment",
    "a #b",
    "a;b",
    "{}[]<>|&*?!^",
    "密钥 é 🙂",
]
REFUSED = {
    "it's": "a single quote",
    "a\\b": "a backslash",
    "ends\\": "a backslash",
    "a${HOME}": "`${`",
    "two\nlines": "a line break",
    "\r": "a line break",
    "nul\0": "not printable",
    "\ufeffbom": "not printable",
    "line\u2028separator": "not printable",
    "no\u00a0break": "not printable",
    "lone \ud800": "not printable",
}
OURS = {"LLM_BASE_URL": "http://100.64.0.10:3000/v1", "LLM_API_KEY": "sk-new", "LLM_MODEL_ID": "a b"}


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_reads_what_is_written(reader: str) -> None:
    values = {f"KEY_{number}": value for number, value in enumerate(WRITTEN)}
    read = READERS[reader](dotenv.render(values))
    assert {key: read.get(key) for key in values} == values


def test_we_read_what_we_write() -> None:
    values = {f"KEY_{number}": value for number, value in enumerate(WRITTEN)}
    assert dotenv.read(dotenv.render(values)) == values


@given(st.lists(st.text(st.characters(max_codepoint=0x2FF) | st.sampled_from("'\"\\$`# {}é密"), max_size=12)))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_random_values_are_read_alike_or_refused(candidates: list[str]) -> None:
    values = {f"KEY_{number}": value for number, value in enumerate(candidates) if _fits(value)}
    text = dotenv.render(values)
    for name, read in {**LIGHT_READERS, "ours": dotenv.read}.items():
        assert read(text) == values, name


@given(st.lists(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=12), min_size=30))
@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.large_base_example, HealthCheck.data_too_large, HealthCheck.too_slow],
)
def test_compose_reads_random_values_alike(candidates: list[str]) -> None:
    """Fewer rounds of more values: compose starts anew for each."""
    values = {f"KEY_{number}": value for number, value in enumerate(candidates) if _fits(value)}
    text = dotenv.render(values)
    assert compose.read(text) == values
    read = compose.read_project(text)
    assert {key: read.get(key) for key in values} == values


def _fits(value: str) -> bool:
    try:
        dotenv.quote(value)
    except dotenv.DotenvError:
        return False
    return True


@pytest.mark.parametrize("value", REFUSED)
def test_a_value_that_cannot_be_written_is_refused_and_not_shown(value: str) -> None:
    secret = f"hush{value}hush"
    with pytest.raises(dotenv.DotenvError) as refusal:
        dotenv.render({"API_KEY": secret})
    assert str(refusal.value).startswith("API_KEY: ")
    assert REFUSED[value] in str(refusal.value)
    assert "hush" not in str(refusal.value)
    assert refusal.value.__cause__ is None


@pytest.mark.parametrize("key", ["", "lower", "1ST", "A B", "A=B", "A-B", "A\n"])
def test_a_name_that_is_no_variable_is_refused(key: str) -> None:
    with pytest.raises(dotenv.DotenvError, match="not a name"):
        dotenv.render({key: "x"})


def test_read_takes_what_all_readers_take() -> None:
    text = "# keys\n\n  A=1 \nB='x y'\r\nc=\"it's\"\n\t# more\nD=\nE=''"
    values = {"A": "1", "B": "x y", "c": "it's", "D": "", "E": ""}
    assert dotenv.read(text) == values
    for name, read in READERS.items():
        read_there = read(text)
        assert {key: read_there.get(key) for key in values} == values, name


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("export KEY=hush", "KEY=value"),
        ("KEY = hush", "KEY=value"),
        ("KEY: hush", "KEY=value"),
        ("KEY", "KEY=value"),
        ("hush", "KEY=value"),
        ("\ufeffKEY=hush", "KEY=value"),
        ("KEY=hush hush", "KEY: put the value in single quotes"),
        ("KEY=hush#hush", "KEY: put the value in single quotes"),
        ("KEY=$hush", "KEY: put the value in single quotes"),
        ("KEY='hush' # comment", "KEY: put the value in single quotes"),
        ("KEY='hush", "KEY: put the value in single quotes"),
        ("KEY='", "KEY: put the value in single quotes"),
        ("KEY='hu'sh'", "KEY: the value holds a single quote"),
        ("KEY='hu\\sh'", "KEY: the value holds a backslash"),
        ("KEY='${hush}'", "KEY: the value holds `${`"),
        ('KEY="$hush"', "KEY: no "),
        ('KEY="hu\\nsh"', "KEY: no "),
        ('KEY="hu"sh"', "KEY: no "),
        ("A=hush", "A is set a second time"),
        ("# comment \\", "backslash"),
    ],
)
def test_read_refuses_the_rest_with_the_line_and_without_the_value(line: str, told: str) -> None:
    with pytest.raises(dotenv.DotenvError) as refusal:
        dotenv.read(f"# first\nA=1\n{line}\nB=2\n")
    assert str(refusal.value).startswith("line 3: ")
    assert told in str(refusal.value)
    assert "hush" not in str(refusal.value)
