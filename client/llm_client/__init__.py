"""A small client for an OpenAI-compatible LLM gateway: an answer, or one clear error, in time.

    from llm_client import LLMError, call_specific_model

    answer = call_specific_model("qwen3.5-plus", [{"role": "user", "content": "Hello"}])
    text = answer["choices"][0]["message"]["content"]

The gateway's address and key come from ``LLM_BASE_URL`` and ``LLM_API_KEY``. Installed on its own
(``pip install ./client``) the package is ``llm_client``.
"""

from ._async.calls import acall_specific_model, aembed, astream_specific_model
from ._async.client import AsyncLLMClient
from ._async.streams import AsyncStream
from ._sync.calls import call_specific_model, embed, stream_specific_model
from ._sync.client import LLMClient
from ._sync.streams import Stream
from .errors import (
    LLMConfigError,
    LLMConnectionError,
    LLMError,
    LLMProtocolError,
    LLMStatusError,
    LLMTimeoutError,
)
from .key_usage import KeyUsage
from .vectors import vector_problem
from .version import VERSION

__version__ = VERSION

__all__ = [
    "AsyncLLMClient",
    "AsyncStream",
    "KeyUsage",
    "LLMClient",
    "LLMConfigError",
    "LLMConnectionError",
    "LLMError",
    "LLMProtocolError",
    "LLMStatusError",
    "LLMTimeoutError",
    "Stream",
    "__version__",
    "acall_specific_model",
    "aembed",
    "astream_specific_model",
    "call_specific_model",
    "embed",
    "stream_specific_model",
    "vector_problem",
]
