"""The Chinese page of the commands, which is written by hand, names those that there are."""

from __future__ import annotations

import re

from llm_gateway.command import cli
from llm_gateway.model.checkout import ROOT


def test_the_chinese_page_names_each_command() -> None:
    chinese = (ROOT / "docs/commands.zh-CN.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([\w-]+)` \|", chinese, re.MULTILINE)) == set(cli.main.commands)
