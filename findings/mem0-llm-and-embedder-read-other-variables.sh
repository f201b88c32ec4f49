#!/usr/bin/env bash
# mem0's LLM goes to OpenRouter as soon as OPENROUTER_API_KEY is set, though its configuration names another server and key.
#
# mem0ai 2.2.1 (PyPI), providers "openai" of the LLM and of the embedder. With that variable in the environment, the LLM's own
# `openai_base_url` and `api_key` are passed over, and memories go to openrouter.ai, while the embedder keeps to its
# configuration. Without a configured URL the two read different variables: OPENAI_API_BASE moves the embedder alone, and wins
# there over OPENAI_BASE_URL, so that one process asks two servers. Seen at the clients that mem0 makes; nothing is sent.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export HOME=$work MEM0_DIR=$work/mem0 MEM0_TELEMETRY=False PYTHONWARNINGS=ignore
unset OPENAI_BASE_URL OPENAI_API_BASE OPENAI_API_KEY OPENROUTER_API_KEY OPENROUTER_API_BASE
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check mem0ai==2.2.1
cat > seen.py <<'END'
import os

from mem0.configs.embeddings.base import BaseEmbedderConfig
from mem0.configs.llms.openai import OpenAIConfig
from mem0.embeddings.openai import OpenAIEmbedding
from mem0.llms.openai import OpenAILLM

given = {"api_key": "configured"}
if "CONFIGURED" in os.environ:
    given["openai_base_url"] = "http://127.0.0.1:3000/v1"
for name, client in (
    ("LLM", OpenAILLM(OpenAIConfig(model="m", **given)).client),
    ("embedder", OpenAIEmbedding(BaseEmbedderConfig(model="e", **given)).client),
):
    print(f"  {name}: {client.base_url} with the key {client.api_key}")
END
seen() { # VARIABLES...
    echo "$*:"
    env "$@" venv/bin/python seen.py
}
{
    seen OPENAI_BASE_URL=http://base.invalid/v1
    seen OPENAI_API_BASE=http://api-base.invalid/v1
    seen OPENAI_BASE_URL=http://base.invalid/v1 OPENAI_API_BASE=http://api-base.invalid/v1
    seen CONFIGURED=yes OPENROUTER_API_KEY=for-openrouter
} | tee got
diff -u - got <<'END'
OPENAI_BASE_URL=http://base.invalid/v1:
  LLM: http://base.invalid/v1/ with the key configured
  embedder: http://base.invalid/v1/ with the key configured
OPENAI_API_BASE=http://api-base.invalid/v1:
  LLM: https://api.openai.com/v1/ with the key configured
  embedder: http://api-base.invalid/v1/ with the key configured
OPENAI_BASE_URL=http://base.invalid/v1 OPENAI_API_BASE=http://api-base.invalid/v1:
  LLM: http://base.invalid/v1/ with the key configured
  embedder: http://api-base.invalid/v1/ with the key configured
CONFIGURED=yes OPENROUTER_API_KEY=for-openrouter:
  LLM: https://openrouter.ai/api/v1/ with the key for-openrouter
  embedder: http://127.0.0.1:3000/v1/ with the key configured
END
