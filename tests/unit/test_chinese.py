"""What a person reads in Chinese: every step, every file, what the command itself refuses, within 80 columns."""

from __future__ import annotations

import ast
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_gateway.command import chinese
from llm_gateway.command.messages import Message
from llm_gateway.command.screen import Screen
from llm_gateway.model.checkout import PACKAGE
from llm_gateway.model.columns import WIDTH, width
from tests.unit.test_screen import Stream

FLOORS = ("contents", "hosts", "parts", "proof", "tasks")
SAMPLES = {"others": ", and nftables, sqlite3", "timer.what": "the canary", "', '.join(missing)": "age, sqlite3"}
"""What stands for a name in braces."""


def calls() -> Iterator[ast.Call]:
    """All calls in our steps."""
    for floor in FLOORS:
        for path in sorted((PACKAGE / floor).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            yield from (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def steps() -> list[str]:
    """The names of all steps, as they are written."""
    named = (word.value for call in calls() for word in call.keywords if word.arg == "name")
    texts = (_text(value) for value in named if isinstance(value, ast.JoinedStr | ast.Constant))
    return sorted({text for text in texts if text[:1].isupper() and " " in text and not text.startswith("Write {")})


def _text(node: ast.JoinedStr | ast.Constant) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    return "".join(
        str(part.value)
        if isinstance(part, ast.Constant)
        else SAMPLES.get(ast.unparse(part.value), f"{{{ast.unparse(part.value)}}}")
        for part in node.values
        if isinstance(part, ast.Constant | ast.FormattedValue)
    )


def files() -> list[str]:
    """What the files are that steps write."""
    made = [call for call in calls() if getattr(call.func, "id", getattr(call.func, "attr", "")) in ("Wanted", "sent")]
    last = (argument for call in made for argument in call.args[2:])
    return sorted({str(each.value) for each in last if isinstance(each, ast.Constant) and " " in str(each.value)})


def test_steps_and_files_are_found() -> None:
    assert len(steps()) > 45 and len(files()) > 12


@pytest.mark.parametrize("name", [*steps(), *(f"Write {what}" for what in files())])
def test_each_step_has_a_chinese_name(name: str) -> None:
    shown = chinese.step(name)
    assert re.search(r"[\u4e00-\u9fff]", shown), f"{name!r}: a line in llm_gateway/command/chinese.py"
    assert width(shown) <= WIDTH - 12


def test_no_name_is_left_that_no_step_has() -> None:
    assert sorted(set(chinese.STEPS) - set(steps())) == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Write the unit of the backups", "写入备份的 unit"),
        ("Write the timer of the canary", "写入 canary 的定时器"),
        ("Start the timer of the canary", "启动 canary 的定时器"),
        ("Take off the timer of the backups", "取下备份的定时器"),
        ("Write the systemd unit", "写入 systemd unit"),
        ("Write the tiktoken file cl100k_base.tiktoken", "写入 tiktoken 文件 cl100k_base.tiktoken"),
        ("Install Docker from the distribution's packages, and nftables", "用发行版的软件包安装 Docker，以及 nftables"),
        ("Pull the image, Start the firewall", "拉取镜像, 启动防火墙"),
        ("A step of somebody's own", "A step of somebody's own"),
    ],
)
def test_steps_in_chinese(name: str, expected: str) -> None:
    assert chinese.step(name) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("There is no inventory file x.py (seen from /root): correct the path.", "文件 x.py（从 /root 看）"),
        ("There is no inventory file /x.py: correct the path.", "没有 inventory 文件 /x.py：请改正路径"),
        ("There is no terminal to ask on: add -y to carry it out, or --dry to see what it would change.", "没有终端"),
        ("Nothing was carried out, as you wished.", "已按您的选择停止"),
        ("No host was reached, so nothing was changed; the errors above say why.", "没有连上任何主机"),
        (
            "No host to work on: is x.py the right inventory file, has it hosts in its groups, and does --limit match"
            " one of them?",
            "没有可操作的主机：inventory 文件 x.py 是否正确",
        ),
        ("Interrupted: run the same command again; it resumes where this run stopped.", "已中断"),
        ("gw1: Could not connect (timed out)", "gw1: 无法连接（timed out）"),
        ("2 problems with the settings; nothing was changed.\n  - gw1: …", "设置有 2 个问题:\n  - gw1: …"),
    ],
)  # fmt: skip
def test_what_the_command_itself_says(said: str, expected: str) -> None:
    stream = Stream()
    screen = Screen(stream, {"LANG": "zh_CN.UTF-8"})
    screen.tells_end = True
    screen.take(Message("error", said))
    assert expected in stream.text, stream.text


def test_what_it_says_in_chinese_is_said_somewhere() -> None:
    """A text that was changed there has to be changed here."""
    source = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py") if path.name != "chinese.py")
    source = re.sub(r'"\n\s*f?"', "", source)
    pyinfras = ("Could not connect",)
    for pattern, _ in chinese.SAID:
        literal = max(re.split(r"\\?\(.*?\)\??|\\d\+|\(\\S\S*", pattern), key=len).replace("\\", "").strip(" .")
        literal = re.sub(r"^(a )?problems? with ", "", literal)
        assert literal in source or literal.strip() in pyinfras, (pattern, literal)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a problem with the hosts; nothing was changed.\n  - gw1: x", "✗ a problem with the hosts:\n  - gw1: x\n"),
        ("Where is it to be moved? List it. Nothing was changed.", "✗ Where is it to be moved? List it.\n"),
        ("No host was reached, so nothing was changed; see above.", "✗ No host was reached; see above.\n"),
        ("  - gw1: x\nNothing was changed.", "✗   - gw1: x\n"),
    ],
)
@pytest.mark.parametrize("tells_end", [True, False])
def test_that_nothing_was_changed_is_said_once(text: str, told: str, tells_end: bool) -> None:
    """The end of the run says it."""
    stream = Stream()
    screen = Screen(stream, {})
    screen.tells_end = tells_end
    screen.emit(logging.LogRecord("pyinfra", logging.ERROR, "", 0, text, (), None))
    assert stream.text == (told if tells_end else f"✗ {text}\n")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("deploy", "错误：这里没有 ./inventory.py：请写明您的 inventory，或用 `llm-gateway init` 生成一份"),
        ("deploy --json x.py", "错误：使用 --json 时不会询问：加 -y 执行，或用 --dry 查看将要做什么"),
        ("deploy --quiet --serial x.py", "错误：--quiet 不能与显示 pyinfra 输出的选项"),
        ("deploy --data x", "错误：--data：请写成 NAME=VALUE"),
        ("upgrade --image= x.py", "错误：--image：后面是空的；请去掉它，或写明 NAME:TAG"),
        ("deploy --foo", "错误：没有选项 --foo。"),
        ("deploy --limt x", "错误：没有选项 --limt。 您是想用 --limit, --quiet 吗？"),
        ("deplo", "错误：没有命令 deplo。"),
        ("upgrade", "错误：缺少选项 --image。"),
        ("deploy --limit", "错误：选项 --limit 需要一个值。"),
        ("deploy a.py b.py", "错误：多出了参数（b.py）"),
        ("deploy --group-data nosuch", "错误：--group-data 的值不对： "),
        ("logs --lines x", "错误：--lines 的值不对： x 不是整数。"),
        ("logs --lines 0", "错误：--lines 的值不对： 0 不在范围 x>=1 内。"),
        ("verify --models x", "错误：--models 的值不对： x 不是 "),
    ],
)
def test_what_was_typed_wrongly(arguments: str, expected: str, tmp_path: Path) -> None:
    program = "from llm_gateway.command.start import main; main('llm-gateway')"
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments.split()],
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent), "LC_ALL": "zh_CN.UTF-8", "PYTHONUTF8": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    *usage, refusal = done.stderr.splitlines()
    assert not usage or usage[0].startswith("用法： llm-gateway")
    assert expected in refusal.replace("'", ""), done.stderr
