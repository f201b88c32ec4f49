"""What needs attention, in Chinese on the page: our own sentences, around reasons that stay as they are."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_gateway.parts.backups import backup_health
from llm_gateway.parts.canary import canary_health
from llm_gateway.status import attention, canary_status, page_troubles

SAMPLES = {"count": "2", "'thing' if count == 1 else 'things'": "things", "disk.free >> 10": "900"}
MODULES = (
    *((attention, ast.Yield), (canary_status, ast.Yield)),
    *((backup_health, ast.Return), (canary_health, ast.Return)),
)
_LETTERS = re.compile(r"[\u4e00-\u9fff]")


def _sentences() -> Iterator[str]:
    """What these modules yield, or return as a problem, where it has words of its own; `x` for what is not known."""
    for module, kind in MODULES:
        tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, kind) and isinstance(node.value, ast.JoinedStr):
                text = _filled(node.value)
                if re.search("[a-wyz]", text):
                    yield text


def _filled(text: ast.JoinedStr) -> str:
    parts = (
        str(part.value) if isinstance(part, ast.Constant) else _sample(ast.unparse(part.value))
        for part in text.values
        if isinstance(part, ast.Constant | ast.FormattedValue)
    )
    return "".join(parts)


def _sample(expression: str) -> str:
    known = {
        "_WORDS": attention._WORDS,
        "fix": "make room (`du` on the host shows what takes it)",
        "_FIX": backup_health._FIX,
        "said": "`journalctl -u x` on the host says why",
        "told": "has never looked",
        "ages.age(found.age)": "5 min",
        "found.openclaw.unit": "openclaw.service",
        **SAMPLES,
    }
    return known.get(expression, "x")


def test_sentences_are_found() -> None:
    assert len([*_sentences()]) > 25


@pytest.mark.parametrize("sentence", [*_sentences()])
def test_each_sentence_of_ours_has_chinese_words(sentence: str) -> None:
    assert _LETTERS.search(page_troubles.chinese(sentence)), "a line in llm_gateway/status/page_troubles.py"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("it cannot be reached", "无法连接"),
        (
            "backup: the last one, of 2026-11-30 03:15 UTC, failed: no space left on device. When that is fixed: on the"
            " host, `systemctl start a.service` makes one and `journalctl -u a.service` says more",
            "备份：2026-11-30 03:15 UTC 的备份失败：no space left on device。修复之后：在主机上执行"
            " `systemctl start a.service` 做一次，`journalctl -u a.service` 查看详情",
        ),
        (
            "canary, 2 min ago: no completion: HTTP 503: `llm-gateway verify my-hosts.py` says at which link",
            "金丝雀（2 min 前）：没有得到补全：HTTP 503: 运行 `llm-gateway verify my-hosts.py` 查看是哪一环",
        ),
        (
            "firewall: the loaded rules do not match the settings; run deploy.py: run deploy.py",
            "防火墙：the loaded rules do not match the settings：运行 deploy.py：运行 deploy.py",
        ),
        (
            "only 900 MiB are free on the disk of /: make room (`du -xh /` on the host shows what takes it)",
            "/ 所在的磁盘只剩 900 MiB：请腾出空间（在主机上执行 `du -xh /` 查看占用）",
        ),
        ("differs from what is declared (2 things): another content", "与声明不一致（2 处）：another content"),
        ("a reason of somebody's own", "a reason of somebody's own"),
    ],
)
def test_what_is_ours_is_told_in_chinese_and_a_reason_stays_as_it_is(text: str, told: str) -> None:
    assert page_troubles.chinese(text) == told
