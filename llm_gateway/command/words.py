"""The words of our own in the progress and the summary, in English and Chinese. Names of steps stay as they are."""

from __future__ import annotations

from llm_gateway.model.wording import CHINESE as CHINESE
from llm_gateway.model.wording import ENGLISH, Wording
from llm_gateway.model.wording import is_unicode as is_unicode
from llm_gateway.model.wording import language as language

_WORDS = {
    "connecting": ("Connect to the hosts", "连接主机"),
    "reading": ("Read the hosts", "读取主机状态"),
    "files": ("Write {count} files", "写入 {count} 个文件"),
    "quick steps": ("{count} quick steps", "{count} 个短步骤"),
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
    "more": ("More:", "详见："),
    "next": ("Next:", "下一步："),
    "interrupted before": ("Interrupted: nothing was changed.", "已中断：未做任何更改。"),
    "aborted": ("Aborted!", "已取消。"),
    "ask gateways": ("Hosts that get a gateway, with commas between", "部署网关的主机（用逗号分隔）"),
    "ask openclaw": (
        "Hosts whose OpenClaw uses it, with commas between (Enter: none)",
        "使用该网关的 OpenClaw 主机（用逗号分隔；回车：没有）",
    ),
    "ask user": ("User of SSH", "SSH 用户"),
    "ask key": ("{name} (not shown; Enter: later)", "{name}（不显示；回车：以后再填）"),
    "name a gateway": (
        "--gateway: name the host of the gateway (there is no terminal to ask on)",
        "--gateway：请写明网关主机（没有终端可供询问）",
    ),
    "no host": ("{text!r} names no host", "{text!r} 中没有主机名"),
    "user in host": (
        "{name!r} names a user: name the host alone, and the user by --ssh-user {user}",
        "{name!r} 中带有用户：只写主机名，用户用 --ssh-user {user} 指定",
    ),
    "key in environment": ("in the environment: {problem}", "环境变量：{problem}"),
    "there already": (
        "{path} is there already and is left as it is; name another place: init DIR/hosts.py",
        "{path} 已经存在，保持不变；请指定其他位置：init DIR/hosts.py",
    ),
    "secrets' name": (
        "an inventory cannot be called {path}: the secrets go there; name it otherwise: init hosts.py",
        "inventory 不能叫 {path}：该文件用来放密钥；请换个名字：init hosts.py",
    ),
    "no directory": ("there is no directory {path}; make it first: {command}", "没有目录 {path}；请先创建：{command}"),
    "not writable": ("you may not write into the directory {path}", "没有写入目录 {path} 的权限"),
    "not written": ("{path} cannot be written: {reason}", "{path} 无法写入：{reason}"),
    "written": ("{inventory} and {secrets} (0600) are written.", "已写入 {inventory} 和 {secrets}（0600）。"),
    "write keys": ("write the keys into {secrets}", "把密钥写入 {secrets}"),
}


class Words(Wording):
    """The words in one language."""

    def __init__(self, language: str = ENGLISH) -> None:
        super().__init__(_WORDS, language)
