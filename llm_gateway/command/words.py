"""The words of our own in the progress and the summary, in English and Chinese. Names of steps stay as they are."""

from __future__ import annotations

from collections.abc import Mapping

ENGLISH, CHINESE = "en", "zh"
_WORDS = {
    "connecting": ("Connect to the hosts", "连接主机"),
    "reading": ("Read the hosts", "读取主机状态"),
    "files": ("Write {count} files", "写入 {count} 个文件"),
    "seconds": ("{seconds:.1f} s", "{seconds:.1f} 秒"),
    "host": ("host", "主机"),
    "what": ("what changed", "更改"),
    "took": ("seconds", "秒"),
    "nothing": ("nothing", "无"),
    "one change": ("1 change", "1 处更改"),
    "changes": ("{count} changes", "{count} 处更改"),
    "failed": ("FAILED", "失败"),
    "interrupted": ("INTERRUPTED", "已中断"),
    "not reached": ("NOT REACHED", "无法连接"),
    "failed at": ("failed at", "失败于"),
    "done": ("done", "已完成"),
    "not done": ("not done", "未完成"),
    "to come": ("{host}: to come", "{host}：将要执行"),
    "nothing to come": ("Nothing would change.", "没有需要更改的内容。"),
    "ask": ("Press Enter to do it; type anything else to stop: ", "按回车执行；输入其他内容则停止："),
    "warning": ("warning", "警告"),
    "nothing changed": ("Nothing was changed.", "未做任何更改。"),
    "fix": ("Fix what the errors above say, then:", "请按上面的错误提示修复，然后运行："),
    "next": ("Next:", "下一步："),
}


class Words:
    """The words in one language."""

    def __init__(self, language: str = ENGLISH) -> None:
        self._column = (ENGLISH, CHINESE).index(language)

    def __call__(self, name: str, **values: object) -> str:
        """The words of that name."""
        return _WORDS[name][self._column].format(**values)


def language(environment: Mapping[str, str], encoding: str) -> str:
    """Chinese where the locale says so and the output can hold it."""
    locale = next((environment[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environment.get(name)), "")
    return CHINESE if locale.startswith("zh") and is_unicode(encoding) else ENGLISH


def is_unicode(encoding: str) -> bool:
    """Whether an output of this encoding takes any character."""
    return encoding.lower().replace("-", "").startswith("utf")
