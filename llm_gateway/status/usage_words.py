"""The words of a report of usage, in English and Chinese."""

from __future__ import annotations

WORDS = {
    "title": ("Usage of the LLM gateways", "LLM 网关用量"),
    "agent": ("agent", "Agent"),
    "model": ("model", "模型"),
    "channel": ("channel", "渠道"),
    "day": ("day", "日期"),
    "requests": ("requests", "请求"),
    "prompt": ("prompt", "输入"),
    "completion": ("completion", "输出"),
    "failed": ("failed", "失败"),
    "cost": ("cost", "费用"),
    "total": ("total", "合计"),
    "others": ("({count} more)", "（另有 {count} 组）"),
    "period": ("{name}: since {since} ({zone})", "{name}：自 {since} 起（{zone}）"),
    "days in": ("days are those of {zone}", "日期按 {zone}"),
    "none": ("no requests", "没有请求"),
    "down": ("{name}: it cannot be reached", "{name}：无法连接"),
    "unreadable": ("{name}: its log cannot be read: {problem}", "{name}：无法读取其日志：{problem}"),
    "moved": (
        "{name}: its gateway was moved to {problem}, and its log with it",
        "{name}：网关已迁到 {problem}，日志也在那里",
    ),
    "no gateway": ("There is no gateway in this run.", "本次运行中没有网关。"),
    "pruned": (
        "Rows exist since {oldest}: older ones were removed (gateway_log_days = {days}).",
        "现有记录始于 {oldest}：更早的已删除（gateway_log_days = {days}）。",
    ),
    "young": ("Rows exist since {oldest}.", "现有记录始于 {oldest}。"),
    "unpriced": (
        "Requests whose cost is unknown: {requests}. No price in gateway_prices: {models}.",
        "{requests} 个请求的费用未知；gateway_prices 中没有价格：{models}。",
    ),
    "and": (", ", "、"),
    "of tokens": ("{model} ({tokens} tokens)", "{model}（{tokens} token）"),
    "without tokens": (
        "Requests without tokens (images, speech, no usage), in no cost: {count}.",
        "{count} 个请求没有 token 数（图像、语音、无 usage），不计入费用。",
    ),
    "lost": (
        "Requests missing, since the gateway could not write their rows (locked, disk full): {count}.",
        "缺少 {count} 个请求：网关未能写入记录（数据库被锁或磁盘已满）。",
    ),
    "failures": (
        "Failed attempts at channels since {since}: {count}; each retry counts.",
        "自 {since} 起，渠道上有 {count} 次尝试失败；每次重试都计入。",
    ),
    "failures by": (
        "The log has their channel and day alone: --by channel,day.",
        "日志只记录其渠道和日期：--by channel,day。",
    ),
    "no failures known": (
        "Failed attempts are not known: there are no log files of that time.",
        "失败次数未知：没有该时段的日志文件。",
    ),
    "misses": (
        "Answers without usage are estimated. What the log misses: docs/usage.md",
        "没有 usage 的回答按估算计 token。日志的缺漏见 docs/usage.zh-CN.md",
    ),
    "capped": (
        "{count} groups; the {shown} largest are shown. Narrow it with --by or --since.",
        "共 {count} 组，显示最大的 {shown} 组。可用 --by 或 --since 缩小范围。",
    ),
    "made at": ("as of {moment}", "生成于 {moment}"),
    "tokens": ("tokens", "token"),
    "unknown": ("unknown", "未知"),
}
