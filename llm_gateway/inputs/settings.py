"""Every setting: its name, type, default, check and meaning, in one place.

`make generated` writes what is told of them elsewhere: `group_data/all.py`, `docs/settings.md` and its Chinese twin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, TypeVar

from llm_gateway.inputs import declarations, environment
from llm_gateway.inputs.alerts import alerts
from llm_gateway.inputs.budgets import budget
from llm_gateway.inputs.declaration_checks import model_name
from llm_gateway.inputs.declarations import Channel as Channel
from llm_gateway.inputs.declarations import DeclaredToken
from llm_gateway.inputs.prices import prices
from llm_gateway.inputs.setting_checks import (
    calendar,
    command,
    database,
    digest,
    directory,
    fingerprint,
    host_name,
    local_path,
    lost_name,
    metrics_directory,
    no_proxy,
    provider,
    recipient,
    unit,
    user,
    variable_name,
    workspace,
    zone,
)
from llm_gateway.model import layout
from llm_gateway.model.budgets import Budget
from llm_gateway.model.checks import (
    Check,
    either_all_or,
    extra_hosts,
    flag,
    http_url,
    image,
    integer,
    list_of,
    map_of,
    number,
    one_of,
    one_or_several,
    optional,
    tailnet,
    tailscale_address,
    time_span,
    upstream,
)
from llm_gateway.model.dsn import SQLITE
from llm_gateway.model.usage import Price as Price

_Checked = TypeVar("_Checked")


class Setting(NamedTuple):
    """What is known of a setting besides its name. Texts are Markdown: values, names and paths in backticks."""

    default: Any
    """As a person writes it in `group_data/all.py`."""
    check: Check[Any]
    text: str
    zh: str
    """The text in Chinese."""
    fields: tuple[tuple[str, str, str], ...]
    """Of what a dict in it may hold: name, text, text in Chinese."""
    section: tuple[str, str] | None
    """The heading in both languages, where a section of the reference begins with this setting."""
    hidden: bool
    """Whether a refused value is never shown: a key may have been pasted into it."""
    refused: Any
    """What stands for a refused value while more problems are looked for."""


def setting(
    default: Any,
    check: Check[_Checked],
    text: str,
    zh: str,
    *,
    fields: tuple[tuple[str, str, str], ...] = (),
    section: tuple[str, str] | None = None,
    hidden: bool = False,
    refused: Any = None,
) -> _Checked:
    """A field of `Settings`; see `Setting`."""
    made = Setting(default, check, text, zh, fields, section, hidden, refused)
    declared: _Checked = field(metadata={"setting": made})
    return declared


@dataclass(frozen=True)
class Settings:
    """The checked settings of one host."""

    secrets_file: str | None = setting(
        None,
        optional(local_path),
        """
        A file of `NAME=value` lines on the machine that runs pyinfra (mode 0600, or it is refused). A variable of the
        environment wins over it. `None`: the environment alone.
        """,
        zh="""
        运行 pyinfra 的机器上的一个文件，每行一个 `NAME=value`（权限须为 0600，否则拒绝）。与环境变量重名时，以环境变
        量为准。`None`：只用环境变量。
        """,
        section=("where secrets come from", "密钥从哪里来"),
    )
    gateway_directory: str = setting(
        layout.OPT,
        directory,
        """
        Everything of the gateway lives here: compose file, `.env`, `secrets.env`, `data/`, `tiktoken/`. To take over a
        gateway that was set up by hand, name its directory, the one that holds `data/`. A directory of its own: the
        system's (`/etc`, `/var/lib`, …) are refused, and so is what does not last (`/tmp`, `/run`, …).
        """,
        zh="""
        网关的全部文件所在的目录：compose 文件、`.env`、`secrets.env`、`data/`、`tiktoken/`。要接管手工搭建的网关，就
        填它的目录，即 `data/` 所在的目录。须是网关专用的目录：系统目录（`/etc`、`/var/lib` 等）和内容不能长期保留的目
        录（`/tmp`、`/run` 等）会被拒绝。
        """,
        section=("the gateway (group `gateways`)", "网关（`gateways` 组）"),
    )
    gateway_port: int = setting(
        3000,
        integer(1, 65535),
        "The port on the Tailscale address.",
        zh="在 Tailscale 地址上监听的端口。",
    )
    gateway_tailscale_address: str | None = setting(
        None,
        optional(tailscale_address),
        """
        The host's Tailscale IPv4 address. `None`: what the host itself has on `tailscale0`. When given, it is compared
        with the host's own, and a difference stops the run before anything is touched.
        """,
        zh="""
        主机的 Tailscale IPv4 地址。`None`：取主机自己在 `tailscale0` 上的地址。填写时会与主机自己的地址比对，不一致就
        在改动任何东西之前停止。
        """,
    )
    gateway_allowed_peers: tuple[str, ...] = setting(
        [],
        list_of(tailnet, "addresses or networks of the tailnet", "tailnet 地址或网段"),
        """
        Who may use the port. `[]`: every machine that Tailscale lets in, by your tailnet's own rules. Otherwise these
        alone, tailnet addresses or networks: `["100.64.0.7", "100.64.1.0/24"]`. What runs on the host itself always
        may, and nobody may by another way than Tailscale: the host's LAN, its other containers, the Internet.
        """,
        zh="""
        谁可以使用该端口。`[]`：按 tailnet 自己的规则，Tailscale 放行的机器都可以。否则只允许列出的 tailnet 地址或网
        段：`["100.64.0.7", "100.64.1.0/24"]`。主机自身上的程序始终可以；不经过 Tailscale 的一律不行：主机所在的局域
        网、主机上的其他容器、公网。
        """,
    )
    gateway_page_port: int | None = setting(
        None,
        optional(integer(1024, 65535)),
        """
        The port, on the Tailscale address and on loopback, that this host serves the page of the fleet on, which
        `llm-gateway page` puts there: by the distribution's nginx in a unit of ours, while a person's own nginx is left
        as it is. Whoever wants to see it needs its token, or is one of `gateway_page_peers`. `None`: no page.
        """,
        zh="""
        本机提供状态页面的端口，监听 Tailscale 地址和回环地址；页面由 `llm-gateway page` 放上去。使用发行版的 nginx 和部
        署自己的 unit，主机上已有的 nginx 站点不受影响。查看页面需要令牌，或属于 `gateway_page_peers`。`None`：不提供页
        面。
        """,
    )
    gateway_page_peers: tuple[str, ...] = setting(
        [],
        list_of(tailnet, "addresses or networks of the tailnet", "tailnet 地址或网段"),
        """
        Who sees that page. `[]`: whoever has its token, which the host makes. Otherwise these alone, without a token:
        tailnet addresses or networks, as in `gateway_allowed_peers`.
        """,
        zh="""
        谁可以看该页面。`[]`：持有令牌的人，令牌由主机生成。否则只有这里列出的可以，无需令牌：tailnet 地址或网段，写法同
        `gateway_allowed_peers`。
        """,
    )
    gateway_private_upstreams: tuple[str, ...] = setting(
        [],
        list_of(upstream, "addresses or networks, each with or without a port", "地址或网段（可带端口）"),
        """
        What One API may reach besides the public Internet and DNS: IPv4 addresses or networks of the LAN, the tailnet
        or the host itself, with or without a port, `["192.168.1.5:8000", "10.0.0.0/24"]`. Where a channel's `base_url`
        names an address, as in `"http://192.168.1.5:8000"`, that is allowed already. A model server whose `base_url` is
        a name of the LAN or of the tailnet needs its address here, and so does a proxy that answers DNS with addresses
        of its own (`"198.18.0.0/15"`).
        """,
        zh="""
        除公网和 DNS 之外，One API 还可以访问的地址：局域网、tailnet 或主机自身的 IPv4 地址或网段，可带端口，
        `["192.168.1.5:8000", "10.0.0.0/24"]`。渠道的 `base_url` 直接写 IP 的（`"http://192.168.1.5:8000"`）已自动允
        许。`base_url` 写局域网或 tailnet 名字的模型服务器，要把它的地址写在这里；用自己的地址回答 DNS 的代理
        （`"198.18.0.0/15"`）也一样。
        """,
    )
    gateway_environment: Mapping[str, str | None] = setting(
        {},
        environment.variables,
        """
        One API's own variables, as `{"RELAY_TIMEOUT": "300", "THEME": "berry", "HTTPS_PROXY":
        "http://192.168.1.9:7890"}`; the address of a proxy is allowed by itself. Those that the deployment sets are
        refused, and so is what may be a secret, as a proxy's password: One API also reads lines `NAME=value` in
        `data/.env`, which is for root and it alone. A gateway that was set up by hand is taken over, or moved, only
        when all of its variables are here or there; `None` for one that is not wanted any more, `{"THEME": None}`.
        """,
        zh="""
        One API 自己的环境变量：`{"RELAY_TIMEOUT": "300", "THEME": "berry", "HTTPS_PROXY":
        "http://192.168.1.9:7890"}`；代理的地址会自动允许访问。由部署设置的变量会被拒绝，可能是机密的（例如代理密码）
        也会被拒绝：One API 还会读取 `data/.env` 里的 `NAME=value`，该文件只有 root 和 One API 能读。手工搭建的网关，
        只有它的全部变量都写在这里或那里，才会被接管或迁移；不再需要的变量填 `None`：`{"THEME": None}`。
        """,
        hidden=True,
        refused={},
    )
    gateway_extra_hosts: Mapping[str, str | None] = setting(
        {},
        extra_hosts,
        """
        Names that One API is told the addresses of, `{"ollama": "192.168.1.5"}`, as `extra_hosts` of Docker does. Where
        a declared channel's `base_url` has such a name, that address is allowed by itself. The gateway's own host is
        172.17.0.1 to it (docker0): a service of the host has to listen there, and a container be published there.
        `None`, in the place of an address: a name of the gateway that is taken over, and that is not wanted any more.
        """,
        zh="""
        告诉 One API 某些主机名的地址，`{"ollama": "192.168.1.5"}`，相当于 Docker 的 `extra_hosts`。渠道的 `base_url`
        用到这样的名字时，其地址会自动允许访问。对 One API 来说，网关主机自身是 172.17.0.1（docker0）：主机上的服务要
        监听这个地址，容器要发布到这个地址。地址处填 `None`：被接管的旧网关有这个名字，但不再需要。
        """,
    )
    gateway_database: str = setting(
        SQLITE,
        database,
        """
        Where the gateway keeps what it knows. `"sqlite"`: in a file on its host, which is right for one gateway.
        Otherwise the name of a secret that holds the DSN of an empty database of a PostgreSQL (13 or newer),
        `postgres://USER:PASSWORD@HOST:5432/DATABASE`, with signs of the password as `%XX`; `?sslmode=disable`,
        `prefer` or `require` may follow, and `TimeZone=` (docs/postgresql.md has more, and when not to).
        """,
        zh="""
        网关把数据存在哪里。`"sqlite"`：存在主机上的一个文件里，单个网关用它就好。否则填一个密钥的名字，其值是
        PostgreSQL（13 或更新）中一个空数据库的 DSN：`postgres://USER:PASSWORD@HOST:5432/DATABASE`，密码里的特殊字符写
        成 `%XX`；后面可以加 `?sslmode=disable`、`prefer` 或 `require`，以及 `TimeZone=`（详见
        docs/postgresql.zh-CN.md，其中也说明何时不该用）。
        """,
        hidden=True,
        refused=SQLITE,
    )
    gateway_timezone: str = setting(
        "Asia/Shanghai",
        zone,
        "The time zone of log texts and log file names. (One API stores times as UTC seconds whatever this says.)",
        zh="日志文本和日志文件名使用的时区。（无论怎么设置，One API 都以 UTC 秒数保存时间。）",
    )
    gateway_image: str = setting(
        "justsong/one-api:v0.6.10",
        image,
        "The image, pinned by tag; `latest` is refused, because what it means changes without you.",
        zh="镜像，按标签锁定版本；不接受 `latest`，因为它的含义会自行改变。",
    )
    gateway_image_digest: str | None = setting(
        None,
        optional(digest),
        """
        The digest (`"sha256:…"`, 64 hex digits) pins the very bytes of the image. It is not used with
        `gateway_image_archive`, whose image ID is compared.
        """,
        zh="""
        镜像摘要（`"sha256:…"`，64 位十六进制数），精确锁定镜像内容。使用 `gateway_image_archive` 时不起作用，归档按镜
        像 ID 校验。
        """,
    )
    gateway_image_archive: str | None = setting(
        None,
        optional(local_path),
        """
        For a host that reaches no registry: a file made by `docker save` on the machine that runs pyinfra. It is sent
        and loaded when the host has another image or none, and the host then never pulls.
        """,
        zh="""
        用于连不上任何镜像仓库的主机：运行 pyinfra 的机器上由 `docker save` 导出的文件。主机上没有镜像或镜像不同时，会
        传过去并载入，此后该主机不再拉取镜像。
        """,
    )
    gateway_may_lose: tuple[str, ...] = setting(
        [],
        list_of(lost_name, "names", "名称"),
        """
        Where `gateway_image` is changed from One API to new-api or back: the names of channels, tokens, options and
        accounts that the other has nothing like, and that may become what the plan says. Others refuse the change.
        """,
        zh="""
        把 `gateway_image` 从 One API 换成 new-api（或换回）时：另一方没有对应功能、允许变成计划中所说状态的渠道、令牌、
        选项和账号的名称。未列出的会使更换被拒绝。
        """,
    )
    gateway_tiktoken_directory: str | None = setting(
        None,
        optional(local_path),
        """
        The directory, on the machine that runs pyinfra, that holds One API's two tiktoken files. `None`: the cache
        (`~/.cache/openclaw-llm-gateway/tiktoken`), filled once by `make tiktoken` or by the first deploy.
        """,
        zh="""
        运行 pyinfra 的机器上存放 One API 两个 tiktoken 文件的目录。`None`：缓存目录
        （`~/.cache/openclaw-llm-gateway/tiktoken`），由 `make tiktoken` 或首次部署填充一次。
        """,
    )
    gateway_start_timeout: int = setting(
        120,
        integer(1, 3600),
        "How long a started gateway may take to answer, in seconds.",
        zh="网关启动后，最多等多少秒让它应答。",
    )
    gateway_user_id: int = setting(
        59300,
        integer(0, 65533),
        """
        The number of the user and group that One API runs as, and that `data/` belongs to: of nobody else on the host.
        `0`: root, for an image, or a file system below `data/`, that cannot do without.
        """,
        zh="""
        One API 运行时的用户与组编号，`data/` 也归它所有；主机上不能有别人使用这个编号。`0`：root，用于离不开 root 的
        镜像，或 `data/` 所在的文件系统。
        """,
    )
    gateway_memory_mb: int = setting(
        1024,
        integer(256, 1 << 20),
        """
        The most memory that One API may take, in MiB. Go is told to keep to 80 % of it (`GOMEMLIMIT`): with 1024, 16
        requests of 20 MB at once pass. Beyond, the kernel ends it and it is started again.
        """,
        zh="""
        One API 最多可用的内存，单位 MiB。部署会让 Go 控制在其中的 80 % 以内（`GOMEMLIMIT`）：设为 1024 时，可同时处理
        16 个 20 MB 的请求。超出时，内核会结束它，然后它会重新启动。
        """,
    )
    gateway_cpus: float = setting(
        2.0,
        number(0.1, 1024),
        "How many processors One API may take; where the host has fewer, those that it has.",
        zh="One API 最多可用的处理器数；主机没有这么多时，以主机的为准。",
    )
    gateway_log_days: int | None = setting(
        90,
        optional(integer(1, 36500)),
        """
        For how many days One API's log is kept: the rows of its table `logs`, which the admin page shows, and the files
        in `data/logs`. Each hour the host removes what is older, a little at a time, while the gateway serves; that
        goes for the log of a gateway that was taken over, too. The database's file does not shrink by it, its room is
        used again. `None`: nothing is ever removed.
        """,
        zh="""
        One API 的日志保留多少天：`logs` 表中的行（管理后台所显示的），以及 `data/logs` 中的文件。网关服务期间，主机每
        小时分小批删除更早的内容；接管来的网关的日志也一样。数据库文件不会因此变小，但空出的空间会被重复使用。`None`：
        永远保留。
        """,
    )
    gateway_prices: tuple[Price, ...] = setting(
        [],
        prices,
        """
        What the models cost, for `llm-gateway usage`: a list of dicts, `{"model": "qwen3.5-plus", "currency": "CNY",
        "prompt": 0.8, "completion": 4.8}`. A model without a price has a cost that is not known, which the report says.
        """,
        zh="""
        模型的价格，供 `llm-gateway usage` 使用：字典的列表，`{"model": "qwen3.5-plus", "currency": "CNY", "prompt":
        0.8, "completion": 4.8}`。没有价格的模型，费用未知，报告会写明。
        """,
        fields=(
            (
                "model",
                "the provider's name of it: where `model_mapping` maps one, the name that it is mapped to.",
                "供应商使用的模型名；有 `model_mapping` 时，填映射后的名字。",
            ),
            (
                "currency",
                '`"CNY"` or `"USD"`; those are never added to each other.',
                '`"CNY"` 或 `"USD"`；两种货币绝不相加。',
            ),
            ("prompt", "for a million tokens that are sent.", "每一百万个输入 token 的价格。"),
            (
                "completion",
                "for a million tokens that are answered; 0 for embeddings.",
                "每一百万个输出 token 的价格；向量模型填 0。",
            ),
            (
                "since",
                """
                the day from which on it holds, `"2026-11-01"`, in `gateway_timezone`; left out: always. A model may
                have several, each with a day of its own.
                """,
                """
                从哪一天起有效，`"2026-11-01"`，按 `gateway_timezone`；省略则始终有效。同一模型可以有多个价格，各有自己
                的日期。
                """,
            ),
        ),
    )
    gateway_backup_schedule: str | None = setting(
        "daily",
        optional(calendar),
        """
        When each host makes a backup into `backups/` in the gateway's directory, by itself: `"daily"`, `"hourly"`,
        `"*-*-* 03:30"` (`systemd-analyze calendar` explains more), in the host's time zone. A missed one is made up for
        after the next start. `None`: no timer; `deploys/backup.py` makes one when it is run. `backups/` may be a link
        to another disk, or to a NAS where root alone can write.
        """,
        zh="""
        每台主机何时自动备份到网关目录下的 `backups/`：`"daily"`、`"hourly"`、`"*-*-* 03:30"`（更多写法见
        `systemd-analyze calendar`），按主机的时区。错过的备份会在下次开机后补上。`None`：不自动备份；运行
        `deploys/backup.py` 时才备份。`backups/` 可以是指向另一块磁盘或 NAS 的链接，但那里只能有 root 可写。
        """,
        section=("backups on the gateway hosts", "网关主机上的备份"),
    )
    gateway_backup_keep: int = setting(
        14,
        integer(1, 10000),
        """
        How many backups are kept. The three newest are kept however old, and the newest always; a file that is not
        named like a backup is never removed.
        """,
        zh="保留多少份备份。最新的三份无论多旧都保留，最新的一份始终保留；名字不像备份的文件绝不删除。",
    )
    gateway_backup_keep_days: int = setting(
        90,
        integer(1, 36500),
        "For how many days backups are kept.",
        zh="备份保留多少天。",
    )
    gateway_backup_recipient: str | None = setting(
        None,
        optional(recipient),
        """
        A public key of age (`"age1…"`): what leaves the host, by `gateway_backup_command` or by `backup.py --fetch`, is
        encrypted for it. What stays in `backups/` is for root alone and not encrypted, as `restore.py` needs it.
        """,
        zh="""
        age 公钥（`"age1…"`）：由 `gateway_backup_command` 或 `backup.py --fetch` 带离主机的备份，都用它加密。留在
        `backups/` 里的仅 root 可读，不加密，因为 `restore.py` 需要它。
        """,
    )
    gateway_backup_command: str | None = setting(
        None,
        optional(command),
        """
        A shell command that the host runs, as root, after each backup, such as `'rclone copy "$1" remote:gateway'` or
        `'restic backup "$1"'`; `$1` is the file. Where it fails, the backup counts as failed. Its credentials belong in
        a file on the host, as the settings are no place for secrets. What it says goes to `backups/.command.log` there.
        """,
        zh="""
        每次备份后，主机以 root 身份执行的 shell 命令，例如 `'rclone copy "$1" remote:gateway'` 或 `'restic backup
        "$1"'`；`$1` 是备份文件。命令失败，备份就算失败。它的凭据应放在主机上的文件里，因为设置里不能放机密。它的输出
        写到主机的 `backups/.command.log`。
        """,
        hidden=True,
    )
    gateway_canary_interval: str | None = setting(
        "5min",
        optional(time_span("10s", "1d")),
        """
        How often each host asks `llm_model` for one word through its own gateway (a model that thinks takes some
        hundred tokens for it), by an API token of its own that may do nothing else, and looks at the disk, the backups
        and the firewall's rules: `"30s"`, `"5min"`, `"1h"`. `status.py` shows the last results. `None`: never.
        """,
        zh="""
        每台主机隔多久通过自己的网关请求 `llm_model` 答一个词（会思考的模型约需几百 token；使用一个只能做这件事的专用
        令牌），并检查磁盘、备份和防火墙规则：`"30s"`、`"5min"`、`"1h"`。`status.py` 显示最近的结果。`None`：从不。
        """,
        section=("the canary on the gateway hosts", "网关主机上的金丝雀探测"),
    )
    gateway_canary_failures: int = setting(
        3,
        integer(1, 1000),
        """
        The alert command runs after this many failures in a row, and once more on recovery. A disk that is nearly full
        (5 %, or 256 MiB) and rules of the firewall that are not those that were loaded are told at once.
        """,
        zh="""
        连续失败这么多次后执行告警命令，恢复后再执行一次。磁盘快满（剩余 5 % 或 256 MiB）和防火墙规则与加载时不同，会
        立即告警。
        """,
    )
    gateway_alerts: tuple[str, ...] = setting(
        [],
        alerts,
        """
        Where each host sends its alarms: a list of `KIND:SECRET_NAME`, `["ntfy:NTFY_URL", "feishu:OPS_ROBOT"]`, whose
        secrets are in `secrets_file` or the environment. `ntfy`: `https://[TOKEN@]HOST/TOPIC`. `telegram`:
        `BOT_TOKEN/CHAT_ID`. `feishu`, `dingtalk`, `wecom`: the robot's webhook URL, behind `#` its signing secret (not
        WeCom). `email`: `smtps://USER:PASSWORD@HOST?to=ADDRESS`. `webhook`: a URL, which gets JSON. One message when
        something begins and one when it is over; `llm-gateway alerts` sends a test
        (docs/alarms.md has more).
        """,
        zh="""
        每台主机把告警发到哪里：`KIND:SECRET_NAME` 的列表，`["ntfy:NTFY_URL", "feishu:OPS_ROBOT"]`，对应的值放在
        `secrets_file` 或环境变量中。`ntfy`：`https://[TOKEN@]HOST/TOPIC`。`telegram`：`BOT_TOKEN/CHAT_ID`。`feishu`、
        `dingtalk`、`wecom`：机器人的 webhook 地址，`#` 后面写签名密钥（企业微信没有）。`email`：
        `smtps://USER:PASSWORD@HOST?to=ADDRESS`。`webhook`：接收 JSON 的 URL。出问题时发一条，恢复时再发一条；
        `llm-gateway alerts` 发送测试消息（详见 docs/alarms.zh-CN.md）。
        """,
        hidden=True,
        refused=(),
    )
    gateway_alerts_language: str = setting(
        "en",
        one_of("en", "zh"),
        'The language of the messages to `gateway_alerts`: English (`"en"`) or Chinese (`"zh"`).',
        zh='发往 `gateway_alerts` 的消息用英文（`"en"`）还是中文（`"zh"`）。',
    )
    gateway_alert_command: str | None = setting(
        None,
        optional(command),
        """
        A shell command that the host runs, as root, to tell somebody: `$1` is `failing` or `recovered`, `$2` a line of
        text without secrets: `'curl -fsS -m 20 -d "$1: $2" https://ntfy.example/gateways'`, `'echo "$2" | mail -s "$1"
        root'`. It has 60 seconds; where it fails, it is called again the next time. What it says goes to
        `canary-alert.log` in `/var/lib/openclaw-llm-gateway`. It and `gateway_backup_command`, when a timer calls that,
        can write to `/var` and to a `/tmp` of their own, not to `/home`, `/root`, `/usr`, `/boot` and `/etc`, and can
        reach the network, but cannot mount anything. A drop-in of yours can allow more. `HOME` is `/root` for both,
        where rclone and others find their settings.
        """,
        zh="""
        告警时，主机以 root 身份执行的 shell 命令：`$1` 是 `failing` 或 `recovered`，`$2` 是一行不含机密的说明：`'curl
        -fsS -m 20 -d "$1: $2" https://ntfy.example/gateways'`、`'echo "$2" | mail -s "$1" root'`。它有 60 秒时间；失
        败时，下一次会再调用。它的输出写到 `/var/lib/openclaw-llm-gateway` 下的 `canary-alert.log`。它和由定时器调用的
        `gateway_backup_command` 可以写 `/var` 和各自的 `/tmp`，不能写 `/home`、`/root`、`/usr`、`/boot` 和 `/etc`；可
        以访问网络，但不能挂载。需要更多权限时，可以自己加 drop-in。两者的 `HOME` 都是 `/root`，rclone 等在那里找自己
        的配置。
        """,
        hidden=True,
    )
    gateway_metrics_directory: str | None = setting(
        None,
        optional(metrics_directory),
        """
        Where the host writes its metrics for Prometheus (`openclaw_llm_gateway.prom`): the directory that its
        node_exporter reads (`--collector.textfile.directory`), which no directory of the system or of the gateway may
        be. `None`: `/var/lib/openclaw-llm-gateway/metrics`.
        """,
        zh="""
        主机把 Prometheus 指标（`openclaw_llm_gateway.prom`）写到哪里：node_exporter 读取的目录
        （`--collector.textfile.directory`），不能是系统目录或网关自己的目录。`None`：
        `/var/lib/openclaw-llm-gateway/metrics`。
        """,
    )
    docker_source: str = setting(
        "distribution",
        one_of("distribution", "docker", "preinstalled"),
        """
        Where Docker is installed from where it is missing; one that is there is used, and never replaced.
        `"distribution"`: Debian's or Ubuntu's own packages (Debian 13 and newer, Ubuntu 24.04 and newer: older releases
        have Compose 1 only). `"docker"`: Docker's own packages, from its apt repository, for those as well.
        `"preinstalled"`: nothing is installed or configured.
        """,
        zh="""
        缺少 Docker 时从哪里安装；已有的 Docker 直接使用，绝不替换。`"distribution"`：Debian 或 Ubuntu 自带的软件包
        （Debian 13、Ubuntu 24.04 及更新版本；更早的版本只有 Compose 1）。`"docker"`：Docker 官方 apt 仓库的软件包，更
        早的版本也能用。`"preinstalled"`：不安装也不配置任何东西。
        """,
        section=("Docker on the gateway hosts", "网关主机上的 Docker"),
    )
    docker_apt_url: str = setting(
        "https://download.docker.com/linux",
        http_url,
        """
        Docker's apt repository, without the distribution at its end, or a mirror of it such as
        `"https://mirrors.aliyun.com/docker-ce/linux"`. A repository of Docker's that the host's apt has already is used
        as it is.
        """,
        zh="""
        Docker 的 apt 仓库，末尾不带发行版名，或它的镜像，例如 `"https://mirrors.aliyun.com/docker-ce/linux"`。主机的
        apt 里已有的 Docker 仓库会原样使用。
        """,
    )
    docker_apt_key: str = setting(
        "9DC8 5822 9FC7 DD38 854A E2D8 8D81 803C 0EBF CD88",
        fingerprint,
        "The fingerprint of the key that signs Docker's apt repository, and a mirror's packages, too.",
        zh="为 Docker 的 apt 仓库签名的密钥的指纹；镜像里的软件包也由它签名。",
    )
    docker_registry_mirrors: tuple[str, ...] = setting(
        [],
        list_of(http_url, "URLs", "URL "),
        """
        Hosts in mainland China: mirrors of Docker Hub (docker.io images only). They and the proxy below are merged into
        `/etc/docker/daemon.json`: what a person has put there stays, be it other mirrors or hosts of no-proxy, and what
        is left out here is taken out again. Docker is asked first whether it would start with that; then it is
        restarted, with all containers that it runs (other people's are named), and has its old settings back where it
        fails.
        """,
        zh="""
        中国大陆的主机：Docker Hub 的镜像加速地址（仅对 docker.io 的镜像有效）。它和下面的代理会合并进
        `/etc/docker/daemon.json`：别人写下的内容（其他镜像地址、no-proxy 里的主机）都会保留，这里去掉的则随之撤出。先
        让 Docker 检查能否用新的设置启动，然后重启 Docker，主机上的所有容器也跟着重启（他人的容器会一一列出）；启动失
        败则还原旧设置。
        """,
    )
    docker_http_proxy: str | None = setting(
        None,
        optional(http_url),
        "The proxy by which the Docker daemon pulls images over http.",
        zh="Docker 守护进程通过 http 拉取镜像时使用的代理。",
    )
    docker_https_proxy: str | None = setting(
        None,
        optional(http_url),
        "The proxy by which the Docker daemon pulls images over https, as from Docker Hub.",
        zh="Docker 守护进程通过 https 拉取镜像（例如从 Docker Hub）时使用的代理。",
    )
    docker_no_proxy: str | None = setting(
        None,
        optional(no_proxy),
        """
        Hosts and networks that the Docker daemon reaches without the proxy, with commas between them:
        `"localhost,.ts.net,100.64.0.0/10"`.
        """,
        zh='Docker 守护进程不经代理直接访问的主机和网段，用英文逗号分隔：`"localhost,.ts.net,100.64.0.0/10"`。',
    )
    gateway_channels: tuple[Channel, ...] = setting(
        [
            {
                "name": "dashscope",
                "type": "openai",
                "base_url": "https://dashscope.aliyuncs.com/compatible-mode",
                "key": "DASHSCOPE_API_KEY",
                "models": ["qwen3.5-plus", "text-embedding-v4"],
            },
            {
                "name": "minimax",
                "type": "openai",
                "base_url": "https://api.minimaxi.com",
                "key": "MINIMAX_API_KEY",
                "models": ["MiniMax-M2.5"],
            },
        ],
        declarations.channels,
        """
        Each channel: where One API sends the requests for some models. A field that is left out has the value shown
        below.
        """,
        zh="每个渠道说明 One API 把某些模型的请求发到哪里。省略的字段取下面写明的值。",
        fields=(
            (
                "name",
                "unique; a channel of that name is made, or changed to match. Others are left alone.",
                "唯一；会建好该名字的渠道，或改成与声明一致。其他渠道不动。",
            ),
            (
                "type",
                """
                `"openai"`, which is right for every OpenAI-compatible service; the name of another of One API's types
                (`"azure"`, `"anthropic"`, `"gemini"`, `"deepseek"`, ...), or its number.
                """,
                """
                `"openai"`，适用于所有兼容 OpenAI 的服务；也可以是 One API 其他类型的名字（`"azure"`、`"anthropic"`、
                `"gemini"`、`"deepseek"` 等）或编号。
                """,
            ),
            (
                "base_url",
                """
                WITHOUT `/v1`: One API appends `/v1/chat/completions` itself (types `"openai-compatible"`, `"proxy"` and
                `"gemini-openai-compatible"` take it as it is). Only with a type that is named and has one of its own
                may it be left out.
                """,
                """
                不带 `/v1`：One API 会自己加上 `/v1/chat/completions`（`"openai-compatible"`、`"proxy"` 和
                `"gemini-openai-compatible"` 三种类型原样使用）。只有写明了类型、且该类型自带地址时才可以省略。
                """,
            ),
            (
                "key",
                "the NAME of the secret that holds the provider's key.",
                "供应商密钥的变量名（不是密钥本身）。",
            ),
            (
                "models",
                "the model names that this channel serves, exactly as clients ask for them.",
                "该渠道提供的模型名，与客户端请求的写法完全一致。",
            ),
            (
                "model_mapping",
                """
                `{}`: names that the provider calls otherwise, `{"asked-for": "the provider's"}`. One API writes the
                requests for these anew and drops fields such as `enable_thinking`; a run names them.
                """,
                """
                `{}`：供应商那里叫法不同的模型名，`{"请求的名字": "供应商的名字"}`。One API 会重写这些模型的请求，丢掉
                `enable_thinking` 等字段；运行时会列出这些字段。
                """,
            ),
            (
                "groups",
                """
                `["default"]`: the user groups that may use it; the tokens below, and the hosts', are of `"default"`.
                """,
                '`["default"]`：可以使用它的用户组；下面的令牌和各主机的令牌都属于 `"default"`。',
            ),
            (
                "priority",
                """
                `0`: the highest wins, equals share the load. Of a model's two channels the first gets 10 and the spare
                0, which takes over where the first refuses or fails (`RetryTimes`, below). Not 0 and -1: with a memory
                cache One API heeds priorities only if the highest is above 0, and a run says so.
                """,
                """
                `0`：数值最大的优先，相同则分担负载。同一模型有两个渠道时，首选填 10、备用填 0，首选拒绝或失败时由备用
                接替（见下文 `RetryTimes`）。不要用 0 和 -1：启用内存缓存时，最高优先级大于 0，One API 才会理会优先
                级；运行时会提示。
                """,
            ),
            (
                "weight",
                "`0`: kept by One API, without effect on its routing.",
                "`0`：One API 会保存，但不影响路由。",
            ),
            (
                "status",
                '`"enabled"`, or `"disabled"`.',
                '`"enabled"` 或 `"disabled"`。',
            ),
            (
                "config",
                """
                `{}`: what some types need besides, such as `{"api_version": "2024-10-21"}` for `"azure"`. For `"ak"`,
                `"sk"` and `"vertex_ai_adc"` it is the NAME of a secret, as for the key. A service account of Google
                (`"vertex_ai_adc"`) is handed in as what its file holds: `export MY_ADC="$(cat service-account.json)"`.
                """,
                """
                `{}`：某些类型另外需要的内容，例如 `"azure"` 的 `{"api_version": "2024-10-21"}`。`"ak"`、`"sk"` 和
                `"vertex_ai_adc"` 与密钥一样，写变量名。Google 的服务账号（`"vertex_ai_adc"`）传入其文件的内容：
                `export MY_ADC="$(cat service-account.json)"`。
                """,
            ),
            (
                "system_prompt",
                """
                `""`: takes the place of the caller's own. One API v0.6.10 adds it only for models that `model_mapping`
                maps to another name (to itself is none), so it is refused where there are none.
                """,
                """
                `""`：代替调用方自己的 system prompt。One API v0.6.10 只对 `model_mapping` 映射到另一个名字的模型加上
                它（映射到自身不算），没有这样的模型时会拒绝。
                """,
            ),
            (
                "pass_through",
                """
                `False`. With `True` new-api sends the body of a request on as it came; otherwise it drops fields that
                it does not know, such as `thinking_budget`, `repetition_penalty` and a tool's `strict`. One API sends
                it on in any case, unless the model is mapped.
                """,
                """
                `False`。设为 `True` 时，new-api 原样转发请求体；否则会丢掉它不认识的字段，例如 `thinking_budget`、
                `repetition_penalty` 和工具的 `strict`。One API 总是原样转发，映射了的模型除外。
                """,
            ),
        ),
        section=("what the gateway holds: channels, tokens, options", "网关的内容：渠道、令牌、选项"),
        hidden=True,
        refused=(),
    )
    gateway_tokens: tuple[DeclaredToken, ...] = setting(
        [],
        declarations.tokens,
        """
        Tokens besides those of the OpenClaw hosts and of verification, which are made without being declared. One API
        chooses the key; it is shown in the admin page. A field that is left out has the value shown below.
        """,
        zh="""
        各 OpenClaw 主机和验证所用令牌之外的令牌；那些令牌无需声明。密钥由 One API 选定，在管理后台可以看到。省略的字
        段取下面写明的值。
        """,
        fields=(
            (
                "name",
                "unique, at most 30 bytes. Tokens not named here are left alone.",
                "唯一，最多 30 字节。这里没有列出的令牌不动。",
            ),
            (
                "models",
                "`[]`: the only models that it may use; empty for all.",
                "`[]`：只能使用这些模型；空表示全部。",
            ),
            (
                "quota",
                "`None`, no limit: all that it may ever use, in One API's units (500,000 to the dollar).",
                "`None`，不限：总共可用的额度，以 One API 的单位计（500,000 为一美元）。",
            ),
            (
                "expires",
                '`None`, never: a day, `"2027-01-31"` (its end, UTC), or a moment, `"2027-01-31T18:00:00+08:00"`.',
                """
                `None`，永不过期：可以是某一天，`"2027-01-31"`（到当天结束，UTC），或某一时刻，
                `"2027-01-31T18:00:00+08:00"`。
                """,
            ),
            (
                "subnets",
                '`[]`: the only networks that it may be used from, `["100.64.0.0/10"]`; empty for all.',
                '`[]`：只能从这些网段使用，`["100.64.0.0/10"]`；空表示不限。',
            ),
            (
                "status",
                '`None`, as a person left it: `"enabled"` or `"disabled"` is made so at each run.',
                '`None`，保持人所设的状态；`"enabled"` 或 `"disabled"` 则每次运行都改成这样。',
            ),
        ),
        hidden=True,
        refused=(),
    )
    gateway_options: Mapping[str, object] = setting(
        {},
        declarations.options,
        """
        The gateway's own options, by its names: `{"SystemName": "Our gateway", "ModelRatio": {"my-model": 1.5}}`.
        Ratios are put among those that are there. Options not named are left alone, except those below, which are made
        so.
        """,
        zh="""
        网关自己的选项，按它的名称书写：`{"SystemName": "Our gateway", "ModelRatio": {"my-model": 1.5}}`。倍率会加
        进已有的倍率中。没有写出的选项不动，下面几项除外，它们会设成这样。
        """,
        fields=(
            (
                "RegisterEnabled",
                "`False`: nobody can make himself an account.",
                "`False`：谁也不能自行注册账号。",
            ),
            (
                "RetryTimes",
                """
                `10`: how often a request that failed is tried elsewhere. The first retry asks the failed channel's
                equals alone, each later one any channel by chance, so few retries miss the spare (2: 42 of 100 requests
                reached it, 10: all). One that hits the channel that has just failed makes no request, so a model with a
                single channel is asked once.
                """,
                """
                `10`：失败的请求最多换渠道重试多少次。第一次重试只问与失败渠道优先级相同的渠道，以后每次随机选一个渠
                道，因此次数少会错过备用渠道（2 次：100 个请求中 42 个到达备用渠道；10 次：全部到达）。选中刚刚失败的
                渠道时不会发出请求，所以只有一个渠道的模型只问一次。
                """,
            ),
            (
                "ApproximateTokenEnabled",
                """
                `True`: the tokens of a request are estimated by its length; billed is what the provider says. `False`
                counts them, which takes minutes of a processor for 1 MB of Chinese.
                """,
                """
                `True`：按长度估算请求的 token 数；计费以供应商返回的为准。`False` 则逐个计数，1 MB 中文要占用处理器几
                分钟。
                """,
            ),
            (
                "SelfUseModeEnabled",
                "`True`, new-api alone: models without a price are served, too.",
                "`True`，仅 new-api：没有价格的模型也能使用。",
            ),
            (
                "performance_setting.monitor_enabled",
                """
                `False`, new-api alone: otherwise it refuses every request while the host's processors are above 90 %,
                its memory above 90 % or its disk above 95 %.
                """,
                """
                `False`，仅 new-api：否则主机 CPU 或内存超过 90 %、磁盘超过 95 % 时，它会拒绝所有请求。
                """,
            ),
        ),
        hidden=True,
        refused={},
    )
    gateway_prune: bool | frozenset[str] = setting(
        False,
        declarations.prune,
        """
        What a run may remove. `False`: nothing. `True`: channels and tokens that an earlier run made and that are no
        longer declared. `["channel:old", "token:old-host"]`: these alone, whoever made them.
        """,
        zh="""
        运行时可以删除什么。`False`：什么都不删。`True`：由以前的运行创建、但已不再声明的渠道和令牌。`["channel:old",
        "token:old-host"]`：只删除列出的，不管是谁建的。
        """,
        hidden=True,
        refused=False,
    )
    gateway_force_keys: bool = setting(
        False,
        flag,
        """
        `True`: every channel's key is sent again, also where it is known to be unchanged. For a single run: `--data
        gateway_force_keys=True`.
        """,
        zh="`True`：重新发送所有渠道的密钥，即使已知没有变化。只用于一次运行：`--data gateway_force_keys=True`。",
    )
    llm_model: str = setting(
        "MiniMax-M2.5",
        model_name,
        "What OpenClaw hosts get as `LLM_MODEL_ID`, and what verification asks for a completion.",
        zh="OpenClaw 主机得到的 `LLM_MODEL_ID`；验证时也向它请求一次对话补全。",
        section=("the models that agents use, and verification", "Agent 使用的模型，以及验证"),
    )
    embedding_model: str = setting(
        "text-embedding-v4",
        model_name,
        "What OpenClaw hosts get as `EMBEDDING_MODEL_ID`, and what verification asks for an embedding.",
        zh="OpenClaw 主机得到的 `EMBEDDING_MODEL_ID`；验证时也向它请求一次向量。",
    )
    embedding_dimensions: int = setting(
        1024,
        integer(1, 65536),
        "The length of an embedding vector. Verification fails when the model answers with another.",
        zh="向量的长度。模型返回的长度不同，验证就失败。",
    )
    verification_timeout: int = setting(
        60,
        integer(1, 3600),
        "Seconds that each verifying request may take.",
        zh="每个验证请求最多用多少秒。",
    )
    verification_models: str | None = setting(
        None,
        optional(one_of("all", "changed", "none")),
        """
        Which of the declared models a gateway is asked for besides `llm_model` and `embedding_model`, one word of each,
        or one embedding: `"all"`; `"changed"`, those of the channels that this run made or changed; `"none"`. `None`:
        `"changed"` in `deploy.py`, `"all"` in `verify.py`.
        """,
        zh="""
        除 `llm_model` 和 `embedding_model` 外，还向网关询问哪些声明的模型（各答一个词，或各求一个向量）：`"all"`，全
        部；`"changed"`，本次运行新建或改动的渠道的模型；`"none"`，都不问。`None`：`deploy.py` 中为 `"changed"`，
        `verify.py` 中为 `"all"`。
        """,
    )
    verification_model_kinds: Mapping[str, str] = setting(
        {},
        map_of(one_of("chat", "embedding", "none"), "model names to kinds", "模型名到类型"),
        """
        What kind of model it is, where its name does not tell: `{"my-model": "embedding"}`. `"chat"`, `"embedding"`, or
        `"none"` for a model that is not to be asked (images, audio, rerank).
        """,
        zh="""
        名称看不出类型时，说明模型是哪一类：`{"my-model": "embedding"}`。可以是 `"chat"`、`"embedding"`，或
        `"none"`（不询问的模型：图像、音频、rerank）。
        """,
    )
    openclaw_gateway: tuple[str, ...] | None = setting(
        None,
        optional(one_or_several(host_name, "a list of such names", "这样的名字的列表")),
        """
        The gateway that this host uses, by its name in the inventory. `["gw1", "gw2"]`: `gw1` as long as it answers,
        and `gw2` as its fallback. `None`: itself when it is in `gateways`, otherwise the only host there.
        """,
        zh="""
        这台主机使用的网关，写它在 inventory 中的名字。`["gw1", "gw2"]`：`gw1` 有回应就用它，否则用备用的 `gw2`。
        `None`：本机在 `gateways` 组里就用本机，否则用该组唯一的主机。
        """,
        section=("OpenClaw hosts (group `openclaw`)", "OpenClaw 主机（`openclaw` 组）"),
    )
    openclaw_budget: Budget | None = setting(  # noqa: RUF009 - a field, as all of them
        None,
        optional(budget),
        """
        What this host may use of its gateway in a calendar month of `gateway_timezone`: `{"tokens": 5_000_000,
        "at_limit": "disable"}`, `{"CNY": 50}`. The gateway's host looks every five minutes; at 80 % and at 100 % its
        canary tells. `None`: no limit.
        """,
        zh="""
        这台主机每个自然月（按 `gateway_timezone`）可以使用网关多少：`{"tokens": 5_000_000, "at_limit": "disable"}`、
        `{"CNY": 50}`。网关主机每五分钟检查一次；到 80 % 和 100 % 时由 canary 通知。`None`：不限。
        """,
        fields=(
            (
                "tokens",
                "prompt and completion tokens together. Or one of the next two.",
                "输入与输出 token 之和。或者用下面两项之一。",
            ),
            (
                "CNY",
                "money, by `gateway_prices`, which must have a price in that currency for each model of this host.",
                "金额，按 `gateway_prices` 计算；这台主机使用的每个模型都须有以该货币计的价格。",
            ),
            ("USD", "the same in that currency.", "同上，以美元计。"),
            ("per", '`"month"`, which is all that there is.', '`"month"`，目前只有这一种。'),
            (
                "at_limit",
                """
                what happens at 100 %: `"alarm"`, it is told; `"disable"`, it is told, and the token of this host is
                refused until the month is over or the budget is raised. Left out: `"alarm"`.
                """,
                """
                用到 100 % 时怎么做：`"alarm"`，只通知；`"disable"`，通知并拒绝这台主机的令牌，直到下个月开始或提高预
                算。省略为 `"alarm"`。
                """,
            ),
        ),
    )
    openclaw_unit: str = setting(
        "openclaw-gateway.service",
        unit,
        "OpenClaw's systemd unit.",
        zh="OpenClaw 的 systemd unit。",
    )
    openclaw_unit_scope: str = setting(
        "system",
        one_of("system", "user"),
        'Whether `openclaw_unit` is a unit of the system (`"system"`) or of the user (`"user"`).',
        zh='`openclaw_unit` 是系统级（`"system"`）还是用户级（`"user"`）的 unit。',
    )
    openclaw_unit_required: bool = setting(
        False,
        flag,
        "`True`: a host without that unit fails. `False`: it is told so, and its `.env` is written all the same.",
        zh="`True`：主机上没有这个 unit 就失败。`False`：只是提示，`.env` 照样写入。",
    )
    openclaw_user: str | None = setting(
        None,
        optional(user),
        """
        The user that OpenClaw runs as, whose `~/.openclaw/.env` it is; a unit of the user needs it
        (`openclaw_unit_scope = "user"`). `None`: the unit's `User=`, or root.
        """,
        zh="""
        运行 OpenClaw 的用户，写的就是该用户的 `~/.openclaw/.env`；用户级 unit（`openclaw_unit_scope = "user"`）必填。
        `None`：unit 的 `User=`，没有则为 root。
        """,
    )
    openclaw_workspace: str | None = setting(
        None,
        optional(workspace),
        """
        OpenClaw's workspace, the directory that holds `skills/`: an absolute path, or one that begins with `"~/"`, the
        home of its user (`"~/.openclaw/workspace"`). The client that Skills share is then kept at
        `skills/shared/llm_client.js` in it. The workspace must exist. `None`: no such file is deployed.
        """,
        zh="""
        OpenClaw 的工作区，即 `skills/` 所在的目录：绝对路径，或以 `"~/"`（其用户的主目录）开头的路径
        （`"~/.openclaw/workspace"`）。各 Skill 共用的客户端随后维护在其中的 `skills/shared/llm_client.js`。工作区必须
        已经存在。`None`：不部署这个文件。
        """,
    )
    openclaw_unset_environment: tuple[str, ...] = setting(
        [
            "MEM0_DASHSCOPE_API_KEY",
            "OPENAI_API_BASE",
            "OPENAI_BASE_URL",
        ],
        list_of(variable_name, "names of variables", "变量名"),
        """
        Variables that a drop-in takes out of the unit's environment, whatever set them, besides the four that the
        deployment writes: any of these would win over `~/.openclaw/.env` and send OpenClaw or mem0 past the gateway.
        """,
        zh="""
        由 drop-in 从 unit 的环境中去掉的变量，不管是在哪里设置的（部署自己写入的四个之外另加）：其中任何一个都会盖过
        `~/.openclaw/.env`，使 OpenClaw 或 mem0 绕过网关。
        """,
    )
    openclaw_provider: str | None = setting(
        "default_llm",
        optional(provider),
        """
        OpenClaw's own configuration (`openclaw.json`) decides what it uses. It is changed by OpenClaw's own command;
        what was there before is given back by `remove.py`. This is the name of the provider that stands for the
        gateway: its URL, key and model follow `.env`, so that a rotation or a migration changes that file alone.
        `None`: all of it is left alone.
        """,
        zh="""
        OpenClaw 使用什么，由它自己的配置 `openclaw.json` 决定。该文件由 OpenClaw 自己的命令修改；原有内容由
        `remove.py` 恢复。这里填代表网关的 provider 的名字：它的地址、密钥和模型跟随 `.env`，轮换密钥或迁移只改那一个
        文件。`None`：完全不动该配置。
        """,
    )
    openclaw_default_model: bool = setting(
        True,
        flag,
        "Whether `LLM_MODEL_ID` of `openclaw_provider` becomes the default model of OpenClaw's agents.",
        zh="是否把 `openclaw_provider` 的 `LLM_MODEL_ID` 设为 OpenClaw 各 Agent 的默认模型。",
    )
    openclaw_memory_search: bool = setting(
        True,
        flag,
        """
        Whether `EMBEDDING_MODEL_ID` of `openclaw_provider` becomes what OpenClaw's memory searches by (OpenClaw then
        indexes its memory anew).
        """,
        zh="是否让 OpenClaw 的记忆用 `openclaw_provider` 的 `EMBEDDING_MODEL_ID` 检索（OpenClaw 会随之重建记忆索引）。",
    )
    openclaw_models: str | tuple[str, ...] = setting(
        [],
        either_all_or(list_of(model_name, "names of models", "模型名")),
        """
        More models of the gateway that `/model` in a chat offers: their names, or `"all"` that the gateway's channels
        declare.
        """,
        zh='对话中 `/model` 另外提供的网关模型：名称列表，或 `"all"`，即网关的渠道所声明的全部。',
    )
    openclaw_context_window: int = setting(
        131072,
        integer(1024, 100_000_000),
        "How long a conversation OpenClaw may send, in tokens of the model.",
        zh="OpenClaw 一次最多发送多长的对话，以该模型的 token 计。",
    )
    openclaw_max_tokens: int = setting(
        8192,
        integer(1, 100_000_000),
        "How long an answer OpenClaw may ask for, in tokens of the model.",
        zh="OpenClaw 最多要求多长的回答，以该模型的 token 计。",
    )
    openclaw_turn: str = setting(
        "first",
        one_of("first", "always", "never"),
        """
        When OpenClaw's own agent is to answer a turn through the gateway, which costs some 10,000 tokens and is seen in
        One API's log: `"first"`, when a deployment first writes `openclaw.json` (which is given back where none is
        answered); `"always"`, in each verification; `"never"`. `python verify.py inventory.py --turn` asks for one at
        any time.
        """,
        zh="""
        OpenClaw 自己的 Agent 何时必须通过网关真正回答一轮（约一万 token，可在 One API 的日志里看到）：`"first"`，部署
        首次写入 `openclaw.json` 时（得不到回答就恢复原状）；`"always"`，每次验证；`"never"`，从不。`python verify.py
        inventory.py --turn` 可随时要求回答一轮。
        """,
    )
    openclaw_start_timeout: int = setting(
        300,
        integer(1, 3600),
        "How long a restarted OpenClaw may take until it is ready, in seconds (seen: 15 to 30 on an idle machine).",
        zh="OpenClaw 重启后最多等多少秒就绪（实测：空闲的机器上为 15 到 30 秒）。",
    )
    openclaw_restart: str = setting(
        "now",
        one_of("now", "idle", "never"),
        """
        What a run does with an OpenClaw that works, where it has something new for it. `"now"`: it is restarted, and
        finishes what it has begun, for as long as its unit gives it (`TimeoutStopSec=`). `"idle"`: first it is waited
        for until no turn runs, at most `openclaw_idle_timeout` seconds; after that the run changes nothing there, and
        fails. `"never"`: `.env` and drop-in are written, and a person restarts it; until then its old token goes on
        working, and `openclaw.json` is only changed while it is stopped. A migration, which would leave it without a
        gateway, and its removal want it stopped.
        """,
        zh="""
        有新内容要交给正在运行的 OpenClaw 时怎么做。`"now"`：重启；它会做完已经开始的任务，最长到其 unit 允许的时间
        （`TimeoutStopSec=`）。`"idle"`：先等到没有任务在跑，最多等 `openclaw_idle_timeout` 秒；超时则不改动那里的任何
        东西，运行失败。`"never"`：写入 `.env` 和 drop-in，由人自己重启；在此之前旧令牌继续有效，`openclaw.json` 只在
        它停止时修改。迁移（会使它没有网关可用）和移除要求它已停止。
        """,
    )
    openclaw_idle_timeout: int = setting(
        600,
        integer(1, 86400),
        'For how many seconds `openclaw_restart = "idle"` waits until no turn runs.',
        zh='`openclaw_restart = "idle"` 时，最多等多少秒让任务跑完。',
    )


SETTINGS: Mapping[str, Setting] = {each.name: each.metadata["setting"] for each in fields(Settings)}
"""All settings, by name, in the order of the reference."""


def defaults() -> dict[str, Any]:
    """The defaults by name, as a person writes them."""
    return {name: each.default for name, each in SETTINGS.items()}
