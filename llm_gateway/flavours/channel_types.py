"""One API's kinds of channel: their names, numbers, default base URLs, and the version that brought each.

One API itself has only numbers (`relay/channeltype/define.go`); the names are theirs in that file, in lower case.
"""

from __future__ import annotations

from dataclasses import dataclass

from llm_gateway.flavours.errors import Invalid
from llm_gateway.model.suggestion import suggest

OLDEST = "v0.6.0"
"""Stands for every version that this client knows."""


@dataclass(frozen=True)
class ChannelType:
    """A kind of channel.

    Args:
        number: what One API stores.
        name: what people write.
        base_url: where it goes when a channel names no base URL; empty for the types that make their
            addresses themselves and for those that need one.
        since: the first version that has it. An older one takes it even so: with a base URL it is
            treated as plain OpenAI, with none the relay panics (an index out of range).
        needs_base_url: whether a channel of it works only with a base URL of its own.
    """

    number: int
    name: str
    base_url: str = ""
    since: str = OLDEST
    needs_base_url: bool = False

    @property
    def passes_on(self) -> bool:
        """Whether the body of a request for a model that is not mapped goes on as it came.

        To the others One API writes it anew in their form (`relay/channeltype/helper.go`, ToAPIType).
        """
        return self.number not in _CONVERTED


_CONVERTED = frozenset({11, 14, 15, 16, 17, 18, 21, 23, 24, 26, 30, 33, 34, 35, 37, 38, 42, 43, 46})
TYPES = (
    ChannelType(1, "openai", "https://api.openai.com"),
    ChannelType(2, "api2d", "https://oa.api2d.net"),
    ChannelType(3, "azure", needs_base_url=True),
    ChannelType(4, "closeai", "https://api.closeai-proxy.xyz"),
    ChannelType(5, "openai-sb", "https://api.openai-sb.com"),
    ChannelType(6, "openai-max", "https://api.openaimax.com"),
    ChannelType(7, "ohmygpt", "https://api.ohmygpt.com"),
    ChannelType(8, "custom", needs_base_url=True),
    ChannelType(9, "ails", "https://api.caipacity.com"),
    ChannelType(10, "aiproxy", "https://api.aiproxy.io"),
    ChannelType(11, "palm", "https://generativelanguage.googleapis.com"),
    ChannelType(12, "api2gpt", "https://api.api2gpt.com"),
    ChannelType(13, "aigc2d", "https://api.aigc2d.com"),
    ChannelType(14, "anthropic", "https://api.anthropic.com"),
    ChannelType(15, "baidu", "https://aip.baidubce.com"),
    ChannelType(16, "zhipu", "https://open.bigmodel.cn"),
    ChannelType(17, "ali", "https://dashscope.aliyuncs.com"),
    ChannelType(18, "xunfei"),
    ChannelType(19, "ai360", "https://ai.360.cn"),
    ChannelType(20, "openrouter", "https://openrouter.ai/api"),
    ChannelType(21, "aiproxy-library", "https://api.aiproxy.io"),
    ChannelType(22, "fastgpt", "https://fastgpt.run/api/openapi"),
    ChannelType(23, "tencent", "https://hunyuan.tencentcloudapi.com"),
    ChannelType(24, "gemini", "https://generativelanguage.googleapis.com"),
    ChannelType(25, "moonshot", "https://api.moonshot.cn"),
    ChannelType(26, "baichuan", "https://api.baichuan-ai.com"),
    ChannelType(27, "minimax", "https://api.minimax.chat"),
    ChannelType(28, "mistral", "https://api.mistral.ai"),
    ChannelType(29, "groq", "https://api.groq.com/openai"),
    ChannelType(30, "ollama", "http://localhost:11434"),
    ChannelType(31, "lingyiwanwu", "https://api.lingyiwanwu.com"),
    ChannelType(32, "stepfun", "https://api.stepfun.com"),
    ChannelType(33, "aws-claude"),
    ChannelType(34, "coze", "https://api.coze.com"),
    ChannelType(35, "cohere", "https://api.cohere.ai"),
    ChannelType(36, "deepseek", "https://api.deepseek.com"),
    ChannelType(37, "cloudflare", "https://api.cloudflare.com"),
    ChannelType(38, "deepl", "https://api-free.deepl.com"),
    ChannelType(39, "togetherai", "https://api.together.xyz"),
    ChannelType(40, "doubao", "https://ark.cn-beijing.volces.com", "v0.6.7"),
    ChannelType(41, "novita", "https://api.novita.ai/v3/openai", "v0.6.8"),
    ChannelType(42, "vertexai", since="v0.6.8"),
    ChannelType(43, "proxy", since="v0.6.8", needs_base_url=True),
    ChannelType(44, "siliconflow", "https://api.siliconflow.cn", "v0.6.9"),
    ChannelType(45, "xai", "https://api.x.ai", "v0.6.9"),
    ChannelType(46, "replicate", "https://api.replicate.com/v1/models/", "v0.6.10"),
    ChannelType(47, "baidu-v2", "https://qianfan.baidubce.com", "v0.6.11-preview"),
    ChannelType(48, "xunfei-v2", "https://spark-api-open.xf-yun.com", "v0.6.11-preview"),
    ChannelType(49, "ali-bailian", "https://dashscope.aliyuncs.com", "v0.6.11-preview.6"),
    ChannelType(50, "openai-compatible", since="v0.6.11-preview.7", needs_base_url=True),
    ChannelType(
        51,
        "gemini-openai-compatible",
        "https://generativelanguage.googleapis.com/v1beta/openai/",
        "v0.6.11-preview.7",
    ),
)
FOREIGN = 1000
"""Added to the number of a kind that only another software has: it can be listed, and not declared."""
_BY_NAME = {each.name: each for each in TYPES}
_BY_NUMBER = {each.number: each for each in TYPES}


def channel_type(value: str | int) -> ChannelType:
    """Return the kind of channel of this name (in whatever case) or number.

    Raises:
        Invalid: none that is known; it names the nearest one.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        if value in _BY_NUMBER:
            return _BY_NUMBER[value]
        raise Invalid(f"there is no channel type {value}: 1 to {TYPES[-1].number} are known")
    if isinstance(value, str) and value.lower() in _BY_NAME:
        return _BY_NAME[value.lower()]
    near = suggest(str(value), _BY_NAME) or f": {', '.join(_BY_NAME)} are known"
    raise Invalid(f"there is no channel type {value!r}{near}")


def type_name(number: int) -> str:
    """Return the name of a number as it is listed, or the number itself where it has no name."""
    if number >= FOREIGN:
        return f"number {number - FOREIGN}"
    return _BY_NUMBER[number].name if number in _BY_NUMBER else str(number)
