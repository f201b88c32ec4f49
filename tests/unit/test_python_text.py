"""Whatever a gateway's texts hold, they stay within their quotes and their comments."""

from __future__ import annotations

import ast
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llm_gateway.contents.python_text import WIDTH, comment, commented, field, item, printable

texts = st.text() | st.text(alphabet="\"'\\\n\r\t\x0b\x0c\x1c\x85\u2028\u202e\ufeff{}#x ", max_size=30)
long_texts = st.text(alphabet="abc \"'", min_size=150, max_size=300)
plain = (
    texts | long_texts | st.integers() | st.booleans() | st.none() | st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(plain, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=3))


@given(values)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    text = "\n".join(["[", *item(value, 1), "]"])
    assert ast.literal_eval(text) == [value]
    text.encode()


@given(texts, values)
def test_a_field_comes_back_as_it_was(name: str, value: Any) -> None:
    assert ast.literal_eval("\n".join(["{", *field(name, value, 1), "}"])) == {name: value}


@given(values, texts | long_texts)
def test_what_is_commented_out_is_no_code(value: Any, text: str) -> None:
    lines = [*comment(text, 1, "  "), *commented(item(value, 1), 1)]
    assert ast.parse("\n".join(lines)).body == []
    assert all(len(line) <= WIDTH for line in comment(text, 1, "  "))
    assert all(character.isprintable() for line in lines for character in line)


@given(texts)
def test_a_terminal_is_told_signs_and_no_commands(text: str) -> None:
    assert printable(text).isprintable()


def test_it_is_laid_out_for_people() -> None:
    channel = {"name": "a", "models": [f"model-number-{number}" for number in range(9)], "system_prompt": "One.\nTwo."}
    assert item(channel, 1)[:4] == [
        "    {",
        '        "name": "a",',
        '        "models": [',
        '            "model-number-0",',
    ]
    assert item(channel, 1)[-6:] == [
        "        ],",
        '        "system_prompt": (',
        r'            "One.\n"',
        '            "Two."',
        "        ),",
        "    },",
    ]
    assert field("x", 'say "no"', 0) == ['"x": \'say "no"\',']
