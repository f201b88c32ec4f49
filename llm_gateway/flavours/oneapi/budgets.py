"""How One API's tokens are switched off by a budget (v0.6.10 and v0.6.11-preview; model/token.go).

Status 4 is a used up quota: the relay answers 401 "令牌 NAME（#ID）额度已用尽". One API gives it to limited tokens
alone, and looks a token up at every request; with Redis it keeps what it has seen for SYNC_FREQUENCY seconds.
"""

from __future__ import annotations

from llm_gateway.flavours import values
from llm_gateway.model.budgets import TokenTable

TABLE = TokenTable(
    table="tokens",
    name="name",
    status="status",
    enabled=values.ENABLED,
    used_up=values.EXHAUSTED,
    has_no_quota="unlimited_quota",
)
