"""docs/commands.md is what the command says of itself; its Chinese page names the same commands."""

from __future__ import annotations

import re

from llm_gateway.command import cli
from scripts import commands_page


def test_the_page_is_what_the_script_writes() -> None:
    assert commands_page.PAGE.read_text(encoding="utf-8") == commands_page.text(), "python -m scripts.commands_page"


def test_the_chinese_page_names_each_command() -> None:
    chinese = commands_page.PAGE.with_name("commands.zh-CN.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([\w-]+)` \|", chinese, re.MULTILINE)) == set(cli.main.commands)
