"""A small client for an OpenAI-compatible LLM gateway: an answer, or one clear error, in time.

    from client import LLMError, call_specific_model

    answer = call_specific_model("qwen3.5-plus", [{"role": "user", "content": "Hello"}])
    text = answer["choices"][0]["message"]["content"]

The gateway's address and key come from ``LLM_BASE_URL`` and ``LLM_API_KEY``.
"""

from .calls import call_specific_model, embed
from .errors import (
    LLMConfigError,
    LLMConnectionError,
    LLMError,
    LLMProtocolError,
    LLMStatusError,
    LLMTimeoutError,
)
from .llm import LLMClient
from .vectors import vector_problem

__all__ = [
    "LLMClient",
    "LLMConfigError",
    "LLMConnectionError",
    "LLMError",
    "LLMProtocolError",
    "LLMStatusError",
    "LLMTimeoutError",
    "call_specific_model",
    "embed",
    "vector_problem",
]
