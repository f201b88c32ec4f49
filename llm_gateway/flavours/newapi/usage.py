"""What new-api's log means to a report of usage (v1.0.0-rc.15; model/log.go).

Its table has One API's columns. The model is the one that was asked for. What a request cost besides tokens (an image,
speech) has none in it.
"""

from __future__ import annotations

from pathlib import Path

from llm_gateway.flavours import paths
from llm_gateway.model.usage import UsageLog

LOG = UsageLog(
    table="logs",
    key="id",
    time="created_at",
    # An administrator's test of a channel is nobody's request, and has a row of its kind.
    is_request=f"type = {paths.CONSUMED} AND NOT (token_id = 0 AND token_name = '模型测试')",
    agent="token_name",
    model="model_name",
    channel="channel_id",
    prompt="prompt_tokens",
    completion="completion_tokens",
    has_tokens="prompt_tokens + completion_tokens > 0",
    channels="channels",
    files=(Path(__file__).parents[1] / "failures.sh").read_text(encoding="utf-8"),
)
