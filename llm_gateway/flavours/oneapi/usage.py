"""What One API's log means to a report of usage (v0.6.10 and v0.6.11-preview; model/log.go, relay/controller).

A row of kind 2 is written behind each answer that was billed; a failure leaves none. Its model is the one asked for at
the provider, after `model_mapping`. Speech and transcriptions have their quota in the place of tokens
(relay/billing/billing.go), images neither; the text tells them by its ratios, of which a text's row has three.
Of failures and of rows that could not be written only the files in data/logs know (failures.sh).
"""

from __future__ import annotations

from pathlib import Path

from llm_gateway.flavours import paths
from llm_gateway.model.usage import UsageLog

_IS_QUOTA = (
    "completion_tokens = 0 AND prompt_tokens = quota AND"
    " (content LIKE '模型倍率%' AND content NOT LIKE '%补全倍率%'"
    " OR content LIKE '倍率：%×%' AND content NOT LIKE '倍率：%×%×%')"
)
LOG = UsageLog(
    table="logs",
    key="id",
    time="created_at",
    is_request=f"type = {paths.CONSUMED}",
    agent="token_name",
    model="model_name",
    channel="channel_id",
    prompt="prompt_tokens",
    completion="completion_tokens",
    has_tokens=f"(prompt_tokens + completion_tokens > 0 AND NOT ({_IS_QUOTA}))",
    channels="channels",
    files=(Path(__file__).parents[1] / "failures.sh").read_text(encoding="utf-8"),
)
