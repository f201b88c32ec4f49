"""What is made from `llm_gateway/inputs/settings.py`: `group_data/all.py` and the pages of reference."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from llm_gateway.contents import python_text
from llm_gateway.inputs.renamed import RENAMED
from llm_gateway.inputs.settings import SETTINGS, Setting

_ALL = '''\
"""Every setting of the deployment: its default here, its meaning above it; docs/settings.md has both as a page.

To change a setting for all your hosts, edit it here. For one host, put it in that host's data in
`inventory.py`; for a group, in `group_data/gateways.py` or `group_data/openclaw.py`.
A name that is not listed here is refused when it looks like a setting, so that a misspelling
is told instead of ignored.

Secrets are never settings. `"key": "DASHSCOPE_API_KEY"` below is the NAME of a secret; its value is read
from the environment of the shell that runs pyinfra or, where it is not there, from `secrets_file`.

For developers: `make generated` writes this file from llm_gateway/inputs/settings.py, where a new setting goes.
"""'''
_SECTION = "# ---------------------------------------------------------------- "
_INDENT = "  "
_SPACE = "\N{SYMBOL FOR SPACE}"  # stands for a blank that ends no line


def group_data() -> str:
    """`group_data/all.py`: each setting below its meaning."""
    return "\n".join([_ALL, *(line for name, each in SETTINGS.items() for line in _assigned(name, each)), ""])


def _assigned(name: str, setting: Setting) -> Iterator[str]:
    if setting.section:
        yield from ("", _SECTION + setting.section[0])
    yield ""
    yield from _comment("", setting.text)
    width = max((len(field) for field, _, _ in setting.fields), default=0) + len(_INDENT)
    for field, text, _ in setting.fields:
        head = f"{_INDENT}{field:{width}}"
        yield from _comment(head, text)
    yield from default_lines(name, setting)


def _comment(head: str, text: str) -> list[str]:
    """A comment whose code stays on one line; values, which a Python file shows as they are, lose their backticks."""
    whole = re.sub(r"`[^`]*`", lambda code: code[0].replace(" ", _SPACE), prose(text))
    plain = re.sub(r"`([\"'\[{0-9][^`]*|None|True|False)`", r"\1", whole)
    lines = python_text.comment(head + plain, more=" " * len(head))
    return [line.replace(_SPACE, " ") for line in lines]


def default_lines(name: str, setting: Setting) -> list[str]:
    """The assignment of the default; a list has an element a line."""
    if not isinstance(setting.default, list) or not setting.default:
        return [f"{name} = {python_text.flat(setting.default)}"]
    return [f"{name} = [", *(line for each in setting.default for line in python_text.item(each, 1)), "]"]


@dataclass(frozen=True)
class _Words:
    """The words of one language, besides those of the settings."""

    head: str
    table: str
    entries: str
    entries_table: str
    below: str
    default: str
    renamed: str
    renamed_table: str
    never: str


_ENGLISH = _Words(
    head="""# Settings

[中文](settings.zh-CN.md)

Every setting, what it takes, its default, and what it means. You set one

- for all of your hosts in `group_data/all.py`, which has all of them with their defaults;
- for the hosts of a group in a file of the group's name beside it, `gateways.py` or `openclaw.py`;
- in a directory of your own, outside the checkout, whose files are named likewise (`all.py`, `gateways.py`, …) and win
  over those of the project: `--group-data mine`, on **every** run: one without it takes off what is declared there;
- for one host in its data in the inventory: `("gw1.example.ts.net", {"gateway_port": 3001})`;
- for one run on the command line: `--data gateway_port=3001`.

A name that looks like a setting and is none is refused, with the name that it resembles. All that is wrong, on any
host, is told in one message before anything is touched.

Secrets are never settings: `"key": "DASHSCOPE_API_KEY"` is the name of one. Its value is read from the environment of
the shell that runs pyinfra or, where it is not there, from `secrets_file`.

This page is generated from `llm_gateway/inputs/settings.py` by `make generated`; do not edit it.
""",
    table="| setting | takes | default | meaning |",
    entries="Entries of `{}`:",
    entries_table="| entry | meaning |",
    below="below",
    default="The default:",
    renamed="""## Renamed settings

An inventory that still has an old name is refused before anything is touched, and told the new one.
""",
    renamed_table="| old name | new name | since version | its value |",
    never="No setting was renamed or taken away so far.",
)
_CHINESE = _Words(
    head="""# 配置项

[English](settings.md)

每个配置项的取值、默认值和含义。设置的地方：

- 对所有主机：`group_data/all.py`，里面有全部配置项和默认值；
- 对一组主机：同一目录下以组名命名的文件，`gateways.py` 或 `openclaw.py`；
- 在仓库之外自己的目录里，文件同样以组命名（`all.py`、`gateways.py` 等），优先于项目自带的：`--group-data mine`，
  **每次**运行都要加上，否则会撤掉其中声明的内容；
- 对一台主机：inventory 里该主机的数据：`("gw1.example.ts.net", {"gateway_port": 3001})`；
- 只对一次运行：命令行上的 `--data gateway_port=3001`。

看起来像配置项、实际却不存在的名字会被拒绝，并提示与它相近的名字。所有主机上的所有错误，都在改动任何东西之前放在一条消息里说完。

机密不是配置项：`"key": "DASHSCOPE_API_KEY"` 写的是变量名，它的值取自运行 pyinfra 的 shell 的环境变量，
没有时取自 `secrets_file`。

本页由 `make generated` 根据 `llm_gateway/inputs/settings.py` 生成，请勿手工修改。
""",
    table="| 配置项 | 取值 | 默认值 | 含义 |",
    entries="`{}` 的各项：",
    entries_table="| 项 | 含义 |",
    below="见下文",
    default="默认值：",
    renamed="""## 改名的配置项

inventory 里仍写旧名字时，运行会在改动任何东西之前拒绝，并说出新名字。
""",
    renamed_table="| 旧名字 | 新名字 | 自版本 | 它的值 |",
    never="到目前为止没有配置项改名或取消。",
)


def english() -> str:
    """`docs/settings.md`."""
    return _page(_ENGLISH, 0)


def chinese() -> str:
    """`docs/settings.zh-CN.md`."""
    return _page(_CHINESE, 1)


def _page(words: _Words, language: int) -> str:
    lines = [words.head]
    after: list[str] = []
    for name, setting in SETTINGS.items():
        if setting.section:
            heading = setting.section[language]
            lines += [*after, f"## {heading[0].upper()}{heading[1:]}", "", words.table, "|---|---|---|---|"]
            after = [""]
        takes = _with_code((setting.check.wanted, setting.check.zh)[language])
        text = prose((setting.text, setting.zh)[language])
        lines.append(f"| {_anchor(name)}`{name}` | {_cell(takes)} | {_default(setting, words)} | {_cell(text)} |")
        if setting.fields:
            after += [words.entries.format(name), "", words.entries_table, "|---|---|"]
            after += [f"| `{field[0]}` | {_cell(prose(field[1 + language]))} |" for field in setting.fields]
            after.append("")
            if setting.default:
                after += [words.default, "", "```python", *default_lines(name, setting), "```", ""]
    return "\n".join([*lines, *after]).rstrip() + "\n\n" + _renamed(words, language)


def _renamed(words: _Words, language: int) -> str:
    if not RENAMED:
        return f"{words.renamed}\n{words.never}\n"
    rows = (
        f"| `{each.old}` | {f'`{each.new}`' if each.new else '-'} | {each.since} | {(each.value, each.zh)[language]} |"
        for each in RENAMED
    )
    return "\n".join([words.renamed, words.renamed_table, "|---|---|---|---|", *rows, ""])


def _anchor(name: str) -> str:
    """The same in both languages."""
    return f'<a id="{name}"></a>'


def _default(setting: Setting, words: _Words) -> str:
    return words.below if setting.fields and setting.default else f"`{python_text.flat(setting.default)}`"


def prose(text: str) -> str:
    """On one line; between Chinese characters no blank takes the place of a line's end."""
    joined = re.sub(r"(?<=[^\x00-\x7f])\s*\n\s*(?=[^\x00-\x7f])|(?<=[，。；：、])\s*\n\s*", "", text.strip())
    return " ".join(joined.split())


def _with_code(wanted: str) -> str:
    """Values as code: what stands in quotes, and Python's words."""
    code = re.compile(r'`[^`]*`|"[^"]*"|\b(?:True|False|None)\b')
    return code.sub(lambda found: found[0] if found[0].startswith("`") else f"`{found[0]}`", wanted)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
