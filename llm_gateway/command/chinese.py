"""What our steps say in English, in Chinese: their names, what becomes of a host, and why the command itself refuses.

Reasons that a host, a provider or another program gives stay as they are, as does what a step says while it works.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

STEPS = {
    "Ask OpenClaw itself whether it uses the gateway": "向 OpenClaw 本身确认它使用该网关",
    "Ask OpenClaw's agent for a turn": "让 OpenClaw 的 agent 回答一轮",
    "Check the canary": "检查 canary",
    "Check the firewall": "检查防火墙",
    "Check the page's server": "检查页面服务",
    "Check the scheduled backups": "检查定时备份",
    "Declare channels, tokens and options": "按声明设置渠道、令牌和选项",
    "Finish the rotation of the gateway's secrets": "完成网关密钥的轮换",
    "Give Docker's daemon its settings back": "还原 Docker 守护进程的设置",
    "Give OpenClaw its environment back": "还原 OpenClaw 的环境",
    "Give OpenClaw its own configuration back": "还原 OpenClaw 自己的配置",
    "Give the gateway its new secrets": "让网关使用新密钥",
    "Give the workspace back what the client of the Skills replaced": "还原工作区中被 Skills 客户端替换的文件",
    "Go back to the image that served before the upgrade": "换回升级前的镜像",
    "Install nginx, and let it serve nothing of its own": "安装 nginx，且不启动它自带的站点",
    "Keep the files of the gateway that was there before": "保留原有网关的文件",
    "Let the firewall take its final rules in": "让防火墙载入最终规则",
    "Let the firewall take its rules in": "让防火墙载入规则",
    "Look at the budgets": "检查预算",
    "Look at the database": "检查数据库",
    "Load the image from the archive": "从归档加载镜像",
    "Make a backup on the host": "在主机上制作备份",
    "Make a backup on the host and bring it here": "在主机上制作备份并取回本机",
    "Make new tokens beside the present ones": "在现有令牌之外创建新令牌",
    "Make the page's token": "生成页面的令牌",
    "Make the directories, writable by root alone": "创建目录（仅 root 可写）",
    "Move the gateway": "迁移网关",
    "Point OpenClaw at the gateway": "让 OpenClaw 使用该网关",
    "Prove the gateway before OpenClaw is pointed at it": "在 OpenClaw 改用之前验证网关",
    "Publish the gateway on its Tailscale address": "在 Tailscale 地址上发布网关",
    "Pull the image": "拉取镜像",
    "Put the client of the Skills into the workspace": "把 Skills 的客户端放入工作区",
    "Remove the copy of OpenClaw's former .env": "删除 OpenClaw 原 .env 的副本",
    "Remove the gateway's containers and networks": "删除网关的容器和网络",
    "Remove the gateway's files": "删除网关的文件",
    "Remove the gateway's firewall": "删除网关的防火墙",
    "Remove the gateway's units": "删除网关的 unit",
    "Remove the destinations of alarms": "删除告警的接收端",
    "Remove the metrics, which would be out of date": "删除会过时的指标",
    "Remove the tokens that were replaced": "删除已被替换的令牌",
    "Remove what was known of the budgets": "删除预算的记录",
    "Remove what runs keep on the host": "删除各次运行留在主机上的记录",
    "Replace the default password out of everybody's reach": "在他人无法访问时替换默认密码",
    "Restart OpenClaw with what it had before": "按原配置重启 OpenClaw",
    "Restore the gateway's data": "恢复网关的数据",
    "Revoke the tokens of the OpenClaw hosts that are removed": "吊销被移除的 OpenClaw 主机的令牌",
    "Send the image archive": "发送镜像归档",
    "Start the firewall": "启动防火墙",
    "Start the page's server": "启动页面服务",
    "Stop the gateway and keep a last backup of it": "停止网关并保留最后一份备份",
    "Take off the page's server": "撤掉页面服务",
    "Take our drop-in out of OpenClaw's unit": "从 OpenClaw 的 unit 中取下我们的 drop-in",
    "Tell the Docker daemon of its mirrors and proxy": "为 Docker 守护进程设置镜像站和代理",
    "Tell what the migration came to": "报告迁移结果",
    "Upgrade the gateway: the new image on a copy first, then the switch": "升级网关：先在副本上试新镜像，再切换",
    "Verify with a real completion and a real embedding": "用真实的补全和向量请求验证",
    "Wait until OpenClaw is idle": "等待 OpenClaw 空闲",
    "Wait until the gateway answers": "等待网关应答",
    "Install Docker from its own repository": "从 Docker 官方仓库安装 Docker",
}
"""By the name of a step."""

FILES = {
    "the generated secrets": "生成的密钥",
    "the compose environment": "compose 的环境变量",
    "what leads psql to the database": "psql 连接数据库用的文件",
    "the compose file": "compose 文件",
    "the compose file of the first start": "首次启动的 compose 文件",
    "the script that gives the data to the gateway's user": "把数据交给网关用户的脚本",
    "what tells what is wrong with Tailscale": "说明 Tailscale 问题的脚本",
    "the script that starts the gateway": "启动网关的脚本",
    "the systemd unit": "systemd unit",
    "the rules of the firewall": "防火墙规则",
    "the script that holds the firewall": "维持防火墙的脚本",
    "the unit that leads the container to the resolvers of its host": "把容器引向主机 DNS 的 unit",
    "the unit that watches over the resolvers of the host": "监视主机 DNS 的 unit",
    "the unit of the firewall": "防火墙的 unit",
    "what scripts of the host have in common": "主机上脚本共用的函数",
    "the script that tells other databases": "识别其他数据库的脚本",
    "what scripts read the database with": "脚本读取数据库所用的函数",
    "the script that makes backups": "制作备份的脚本",
    "the script that keeps backups for root alone": "使备份仅 root 可读的脚本",
    "what counts the rows of backups": "统计备份行数的程序",
    "the settings of the backups": "备份的设置",
    "the script of the canary": "canary 的脚本",
    "the settings of the canary": "canary 的设置",
    "the script that sends alarms": "发送告警的脚本",
    "the destinations of alarms": "告警的接收端",
    "the page's configuration of nginx": "页面的 nginx 配置",
    "the unit of the page": "页面的 unit",
    "the script of the pruning": "日志清理的脚本",
    "the settings of the pruning": "日志清理的设置",
    "the script of the budgets": "预算的脚本",
    "the settings of the budgets": "预算的设置",
}
"""By what a file is; a step that writes it is called "Write …"."""

_TIMERS = {"the backups": "备份", "the canary": "canary", "the pruning of logs": "日志清理", "the budgets": "预算"}

_PATTERNS = (
    (r"Write the tiktoken file (\S+)", r"写入 tiktoken 文件 \1"),
    (r"Install Docker from the distribution's packages, and (.+)", r"用发行版的软件包安装 Docker，以及 \1"),
    (r"Install Docker from the distribution's packages", "用发行版的软件包安装 Docker"),
    (r"Install sqlite3, .*", "安装 sqlite3"),
    (r"Install (.+)", r"安装 \1"),
)

SAID = (
    (r"There is no inventory file (\S+) \(seen from (.+)\): correct the path\.",
     r"没有 inventory 文件 \1（从 \2 看）：请改正路径。"),
    (r"There is no inventory file (.+): correct the path\.", r"没有 inventory 文件 \1：请改正路径。"),
    (r"There is no terminal to ask on: add -y to carry it out, or --dry to see what it would change\.",
     "没有终端可供确认：加 -y 直接执行，或用 --dry 查看将要更改的内容。"),
    (r"Nothing was carried out, as you wished\.", "已按您的选择停止，什么都没有执行。"),
    (r"No host was reached(?:, so nothing was changed)?; the errors above say why\.",
     "没有连上任何主机；原因见上面的错误。"),
    (r"No host to work on: is (.+) the right inventory file, has it hosts in its groups, and does --limit match"
     r" one of them\?",
     r"没有可操作的主机：inventory 文件 \1 是否正确，组里是否有主机，--limit 是否匹配？"),
    (r"Interrupted: run the same command again; it resumes where this run stopped\.",
     "已中断：再次运行同一条命令，会从停下的地方继续。"),
    (r"the connection is lost: once the host can be reached, run the same command again",
     "连接已断开：主机恢复可达后，再次运行同一条命令"),
    (r"Could not connect \((.+)\)", r"无法连接（\1）"),
    (r"fetching package (\d+) of (\d+)", r"正在下载第 \1 个软件包，共 \2 个"),
    (r"unpacking package (\d+) of (\d+)", r"正在解包第 \1 个软件包，共 \2 个"),
    (r"setting up package (\d+) of (\d+)", r"正在配置第 \1 个软件包，共 \2 个"),
    (r"a problem with the hosts", "主机有 1 个问题"),
    (r"(\d+) problems with the hosts", r"主机有 \1 个问题"),
    (r"a problem with the settings", "设置有 1 个问题"),
    (r"(\d+) problems with the settings", r"设置有 \1 个问题"),
    (r"admin page (\S+) \(user root; password in (\S+) on the host\)", r"管理页面 \1（用户 root；密码在主机的 \2 中）"),
    (r"OpenClaw uses (http\S*[^\s,])", r"OpenClaw 使用 \1"),
    (r"OpenClaw's \.env names (http\S*[^\s,])", r"OpenClaw 的 .env 指向 \1"),
    (r", then (http\S*[^\s,])", r"，其次 \1"),
    (r"(\S+) was not reached in this run, so it ", r"本次运行没有连到 \1，"),
    (r"(\S+) failed, or has no token for this host, in this run, so it ",
     r"\1 在本次运行中失败，或没有这台主机的令牌，"),
    (r"keeps its place in the files of this host; run again once it is back",
     "它在这台主机文件里的位置保留；恢复后请再运行一次"),
    (r"is left out of the files of this host; run again once it is back",
     "暂不写入这台主机的文件；恢复后请再运行一次"),
    (r"Skills require (\S+)", r"Skills 通过 require 加载 \1"),
    (r"openclaw\.json gets (\d+) new (?:values?) \(--dry shows them\)",
     r"openclaw.json 将写入 \1 个新值（--dry 可查看）"),
    (r"declared: (\d+) (?:channels?), (\d+) (?:tokens?), (\d+) (?:options?)",
     r"已按声明设置 \1 个渠道、\2 个令牌、\3 个选项"),
    (r"the agent (\S+) answered a turn in ([\d.]+) s by (\S+)(?:$)", r"agent \1 用 \3 在 \2 秒内回答了一轮"),
    (r"verified within ([\d.]+) s: ", r"\1 秒内验证通过："),
    (r"its gateway was moved to (\S+), and is stopped here", r"网关已迁到 \1，此处已停止"),
    (r"no gateway of ours runs on it", "上面没有运行我们的网关"),
    (r"no deployment on it", "上面没有部署"),
)  # fmt: skip
"""What the command says of itself, and of what a host is at the end; each a regular expression."""


TYPED_WRONGLY = (
    (r"there is no \./inventory\.py here: name yours, or make one by `(.+)`",
     r"这里没有 ./inventory.py：请写明您的 inventory，或用 `\1` 生成一份"),
    (r"with --json nothing is asked: add -y to carry it out, or --dry to see what it would do",
     "使用 --json 时不会询问：加 -y 执行，或用 --dry 查看将要做什么"),
    (r"--quiet, and an option that shows pyinfra's own output \((.+)\): leave one out",
     r"--quiet 不能与显示 pyinfra 输出的选项（\1）同用：请去掉一个"),
    (r"--data: write it as NAME=VALUE", "--data：请写成 NAME=VALUE"),
    (r"(--\S+): there is nothing behind it; leave it out, or name a (\S+)", r"\1：后面是空的；请去掉它，或写明 \2"),
    (r"No such option '?([^\s']+?)'?\.?(?= |$)", r"没有选项 \1。"),
    (r"Did you mean '?(\S+?)'?\?", r"您是想用 \1 吗？"),
    (r"\(Did you mean one of: (.+)\?\)", r"您是想用 \1 吗？"),
    (r"No such command '(.+?)'\.", r"没有命令 \1。"),
    (r"Missing option '(.+?)'\.", r"缺少选项 \1。"),
    (r"Option '(.+?)' requires an argument\.", r"选项 \1 需要一个值。"),
    (r"Got unexpected extra arguments? \((.+)\)", r"多出了参数（\1）"),
    (r"Invalid value for '(.+?)':", r"\1 的值不对："),
    (r"(?:Path|File) '(.+?)' does not exist\.", r"路径 \1 不存在。"),
    (r"'(.+?)' is not a valid integer(?: range)?\.", r"\1 不是整数。"),
    (r"'?(.+?)'? is not in the range (\S+)\.", r"\1 不在范围 \2 内。"),
    (r"'(.+?)' is not one of (.+)\.", r"\1 不是 \2 之一。"),
)  # fmt: skip
"""Why the command takes what was typed for none of its own; as `SAID`. Click's words are those of 8.4."""


@cache
def step(name: str) -> str:
    """The name of a step; as it is where it is not known."""
    if known := STEPS.get(name):
        return known
    if name.startswith("Write ") and (file := _file(name.removeprefix("Write "))):
        return f"写入{'' if file[0] > '~' else ' '}{file}"
    for verb, chinese in (("Start", "启动"), ("Take off", "取下")):
        if timer := _TIMERS.get(name.removeprefix(f"{verb} the timer of ")):
            return f"{chinese}{_spaced(timer)}的定时器"
    for pattern, chinese in _PATTERNS:
        if found := re.fullmatch(pattern, name):
            return found.expand(chinese)
    return ", ".join(map(step, name.split(", "))) if ", " in name else name


def _file(what: str) -> str:
    for kind, chinese in (("unit", "unit"), ("timer", "定时器")):
        if timer := _TIMERS.get(what.removeprefix(f"the {kind} of ")):
            return f"{_spaced(timer).lstrip()}的{_spaced(chinese).rstrip()}"
    return FILES.get(what, "")


def _spaced(word: str) -> str:
    """Between Chinese characters, with blanks around a word in Latin letters."""
    return f" {word} " if word.isascii() else word


def said(text: str) -> str:
    """A text with what is known of it in Chinese."""
    return _replaced(SAID, text)


def typed_wrongly(text: str) -> str:
    """A refusal of what was typed, as `said`."""
    return _replaced(TYPED_WRONGLY, text)


def _replaced(table: Sequence[tuple[str, str]], text: str) -> str:
    for pattern, chinese in table:
        text = re.sub(pattern, chinese, text)
    return text
