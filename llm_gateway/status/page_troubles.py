"""What needs attention, in Chinese: our own sentences, around reasons of hosts and other programs, which stay."""

from __future__ import annotations

import re
from functools import cache

SCRIPT = r"(?:pyinfra [A-Z]+ )?(?:deploys[/])?[a-z_]+\.py(?: --data \w+=[\w./-]*\w)*"
"""A script as a text names it; our own command is within backticks."""
_COMMAND = rf"(`[^`]+`|{SCRIPT})"

SENTENCES = (
    (r"it cannot be reached", "无法连接"),
    (r"its state cannot be read: ", "无法读取其状态："),
    (r"unfinished: ", "未完成："),
    (r"the last run, (\S+) by (.+?): ", r"上次运行（\2 的 \1）："),
    (rf"the gateway of (\S+) has not arrived here: run {_COMMAND} again to resume; to cancel, remove (\S+) on this"
     r" host",
     r"\1 的网关还没有迁到这里：再次运行 \2 继续；要取消，请删除本机的 \3"),
    (rf"it is half removed: run {_COMMAND} again, which completes that; or {_COMMAND}, to have it back",
     r"只卸载了一半：再次运行 \1 完成卸载；或运行 \2 恢复"),
    (r"^(\S+\.service) is (\w+)$", r"\1 的状态是 \2"),
    (r"(\S+) runs, and is not ready \((.*?)\): ", r"\1 在运行，但未就绪（\2）："),
    (r"OpenClaw does not reach its gateway: ", "OpenClaw 连不上它的网关："),
    (r"OpenClaw does not reach (\S+), its fallback: ", r"OpenClaw 连不上它的备用网关 \1："),
    (r"differs from what is declared \((\d+) things?\): ", r"与声明不一致（\1 处）："),
    (r"whether it is as declared is not known: ", "无法判断是否与声明一致："),
    (rf"no deployment has been completed: {_COMMAND}", r"还没有完成过部署：\1"),
    (r"the gateway does not run, it waits: ", "网关没有运行，在等待："),
    (r"the gateway does not run: on the host, (`[^`]+`) and (`[^`]+`) say why",
     r"网关没有运行：在主机上执行 \1 和 \2 查看原因"),
    (r"the gateway runs and does not answer: on the host, (`[^`]+`) and (`[^`]+`) say why",
     r"网关在运行但没有应答：在主机上执行 \1 和 \2 查看原因"),
    (rf"it is published on (\S+), and this host is (\S+) in the tailnet now: {_COMMAND}",
     r"它发布在 \1 上，而本机在 tailnet 中现在是 \2：运行 \3"),
    (r"its container is paused, so that nobody is answered: on the host, (`[^`]+`)",
     r"容器被暂停，无人得到应答：在主机上执行 \1"),
    (r"Docker's health check fails in its container, though it answers now: on the host, (`[^`]+`) says what it saw",
     r"Docker 的健康检查失败，但它现在有应答：在主机上执行 \1 查看检查结果"),
    (r"(\S+) leads to (\S+), which is not there: is its file system mounted\? \(findmnt\)",
     r"\1 指向 \2，但后者不存在：文件系统挂载了吗？（findmnt）"),
    (r"the database is inconsistent, as its last backup is: ", "数据库不一致，上次备份也一样："),
    (r"pruning of logs: ", "日志清理："),
    (r"the disk of (\S+) is full, so that what is there can be read and nothing new is stored: ",
     r"\1 所在的磁盘已满，已有内容可读，但无法写入新内容："),
    (r"only (\d+) MiB are free on the disk of (\S+): ", r"\2 所在的磁盘只剩 \1 MiB："),
    (r"make room \((`[^`]+`) on the host shows what takes it\)", r"请腾出空间（在主机上执行 \1 查看占用）"),
    (r"firewall: ", "防火墙："),
    (r"canary, (\d+) (\w+) ago: ", r"金丝雀（\1 \2 前）："),
    (r"canary: ", "金丝雀："),
    (rf"no alarm could be sent to (\S+): (.*); {_COMMAND} sends a test message",
     r"告警发不到 \1：\2；\3 可发送一条测试消息"),
    (r"no completion: ", "没有得到补全："),
    (r"backup: ", "备份："),
    (rf"none are scheduled yet on this host: run {_COMMAND}", r"本机还没有定时备份：运行 \1"),
    (rf"(\S+) does not run, so none are made: run {_COMMAND}", r"\1 没有运行，因此没有备份：运行 \2"),
    (r"the last one, of (\S+ \S+) UTC, failed: (.*?)\. When that is fixed: ", r"\1 UTC 的备份失败：\2。修复之后："),
    (r"the last one was cut off \((.*?)\): ", r"上次备份被中断（\1）："),
    (r"they are overdue: none was ever made; ", "备份过期：从未做过；"),
    (r"they are overdue: the newest is of (\S+ \S+) UTC; ", r"备份过期：最近一份是 \1 UTC 的；"),
    (r"on the host, (`[^`]+`) makes one and (`[^`]+`) says more", r"在主机上执行 \1 做一次，\2 查看详情"),
    (rf"there is none yet on this host: run {_COMMAND}", r"本机还没有：运行 \1"),
    (rf"(\S+) does not run, so nobody looks: run {_COMMAND}", r"\1 没有运行，因此没人检查：运行 \2"),
    (r"it does not work \((.*?)\): ", r"它不能工作（\1）："),
    (r"it has never looked: ", "它从未检查过："),
    (r"it last looked on (\S+ \S+) UTC: ", r"它上次检查是在 \1 UTC："),
    (r"(`[^`]+`) on the host says why", r"在主机上执行 \1 查看原因"),
    (rf"{_COMMAND} says at which link", r"运行 \1 查看是哪一环"),
    (rf"[:;] run {_COMMAND}", r"：运行 \1"),
)  # fmt: skip
"""Regular expressions, the longer ones first: what one has made of a text is what the next one reads."""


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(pattern), chinese) for pattern, chinese in SENTENCES)


def chinese(text: str) -> str:
    """A text that needs attention, in Chinese as far as it is one of ours."""
    for pattern, told in _patterns():
        text = pattern.sub(told, text)
    return text
