"""Checks of the settings that are texts: what each takes, with the reason where it takes less than one would think."""

from __future__ import annotations

import re

from llm_gateway.model import layout
from llm_gateway.model.checks import text
from llm_gateway.model.dsn import SQLITE

# Without "." and "..", which systemd refuses, and without "//", which Docker does not give back. Names of files are
# added to it, so it is short.
_PATH = re.compile(r"(?=.{1,200}$)(/(?!\.\.?(/|$))[A-Za-z0-9._+-]+)+")
# Not what is the system's, whose modes would be changed, nor where nothing lasts, nor where hosts keep what is of runs.
_OF_SYSTEM = "bin|boot|dev|etc|home|lib|lib64|media|mnt|opt|proc|root|run|sbin|srv|sys|tmp|usr|var|var/lib|var/tmp"
_NOT_FOR_DATA = f"dev|proc|run|sys|var/run|{layout.STATE.removeprefix('/')}"
_DIRECTORY = re.compile(rf"(?!/({_OF_SYSTEM})$)(?!/({_NOT_FOR_DATA})(/|$)){_PATH.pattern}")
# Not what is the system's; nor a /tmp, since the canary has one of its own.
_NOT_FOR_METRICS = "bin|boot|dev|etc|lib|lib64|proc|sbin|sys|tmp|usr(?!/local/)|var/run|var/tmp"
_METRICS = re.compile(rf"(?!/({_OF_SYSTEM})$)(?!/({_NOT_FOR_METRICS})(/|$)){_PATH.pattern}")
_ZONE = re.compile(r"(?=.{1,64}$)[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9][A-Za-z0-9_+-]*)*")
# Quoted wherever it is used, so that blanks and Chinese characters may stand in it.
_WORKSPACE = re.compile(r"~?(/(?!\.\.?(/|$))[^/]+)+")
# Not with "-" first, which a command would take for an option.
_UNIT = re.compile(r"(?=.{1,255}$)[A-Za-z0-9:_.@][A-Za-z0-9:_.@-]*\.service")
# The whole language is systemd's own, which is asked on the host; here is what may stand in a unit's line.
_CALENDAR = re.compile(r"[A-Za-z0-9*][A-Za-z0-9 *:,./~_+-]*")
_RECIPIENT = re.compile(r"age1[0-9a-z]{58,}|ssh-(ed25519|rsa) [A-Za-z0-9+/]+=*( \S+)?")

local_path = text(
    re.compile(r"(?!~[^/])[^\x00\n]+"), "a path on the machine that runs pyinfra", "运行 pyinfra 的机器上的路径"
)
directory = text(
    _DIRECTORY,
    "an absolute path of letters, digits and . _ + - /, of at most 200, and a directory of its own",
    "绝对路径，由字母、数字和 . _ + - / 组成，最多 200 个字符，且为专用目录",
)
metrics_directory = text(
    _METRICS,
    "an absolute path of letters, digits and . _ + - /, of at most 200, and no directory of the system",
    "绝对路径，由字母、数字和 . _ + - / 组成，最多 200 个字符，且不是系统目录",
)
zone = text(_ZONE, 'a zone such as "Asia/Shanghai"', '时区，例如 "Asia/Shanghai"')
digest = text(re.compile(r"sha256:[0-9a-f]{64}"), '"sha256:…"', '"sha256:…"')
calendar = text(
    _CALENDAR,
    'a time of systemd\'s such as "daily" or "*-*-* 03:30", or None',
    'systemd 的时间写法，例如 "daily" 或 "*-*-* 03:30"',
)
recipient = text(
    _RECIPIENT,
    'a public key of age ("age1…" or "ssh-ed25519 …")',
    'age 的公钥（"age1…" 或 "ssh-ed25519 …"）',
)
command = text(re.compile(r".*\S.*"), "a shell command on one line", "一行 shell 命令")
fingerprint = text(
    re.compile(r"([0-9A-Fa-f]{4} *){10}"),
    "a key's fingerprint, of 40 hexadecimal digits",
    "密钥的指纹，40 位十六进制数",
)
database = text(
    re.compile(rf"{SQLITE}|[A-Z_][A-Z0-9_]{{0,99}}"),
    f'"{SQLITE}", or the name of a secret in capital letters, such as "GATEWAY_DSN", and not its value',
    f'"{SQLITE}"，或密钥的名字（大写字母），例如 "GATEWAY_DSN"，而不是它的值',
)
lost_name = text(re.compile(r"[^\x00\n]*"), "a name on one line", "单行名称")
no_proxy = text(re.compile(r"[^\s'\"\\$`]+"), "a comma list of hosts", "用英文逗号分隔的主机")
host_name = text(re.compile(r"\S(.*\S)?"), "the name of a host in `gateways`", "`gateways` 中一台主机的名字")
unit = text(_UNIT, 'a unit such as "openclaw-gateway.service"', 'unit 名，例如 "openclaw-gateway.service"')
user = text(re.compile(r"[a-z_][a-z0-9_-]*\$?"), "the name of a user", "用户名")
workspace = text(
    _WORKSPACE,
    'an absolute path such as "/root/workspace" or one that begins with "~/" (the home of OpenClaw\'s user),'
    " without //, /./ or /../ in it and without a / at its end; or None",
    '绝对路径（例如 "/root/workspace"）或以 "~/"（OpenClaw 用户的主目录）开头的路径，不含 //、/./ 或 /../，末尾没有 /',
)
variable_name = text(re.compile(r"[A-Za-z_][A-Za-z0-9_]*"), "the name of a variable", "变量名")
provider = text(
    re.compile(r"[a-z][a-z0-9_-]{0,62}"),
    "a name of small letters, digits, _ and -; or None",
    "小写字母、数字、_ 和 - 组成的名字",
)
