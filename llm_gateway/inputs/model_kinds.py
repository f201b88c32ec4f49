"""Whether a model is asked for a completion or an embedding, or not at all."""

from __future__ import annotations

import re

from llm_gateway.inputs.settings import Settings

CHAT = "chat"
EMBEDDING = "embedding"
NONE = "none"

# Words of names, in the order in which they decide: bge-reranker is no embedding model, though bge-m3 is one.
_OF_NEITHER = re.compile(
    r"rerank|moderation|whisper|cosyvoice|paraformer|sensevoice|speech|dall-e|stable-diffusion|midjourney"
    r"|(^|[^a-z])(tts|asr|wanx|t2i|t2v|i2v)([^a-z]|$)",
    re.IGNORECASE,
)
_OF_EMBEDDING = re.compile(r"embed|(^|[^a-z])(bge|gte|e5|m3e)([^a-z0-9]|$)", re.IGNORECASE)


def kind_of(model: str, settings: Settings) -> str:
    """What kind of model a name stands for: CHAT, EMBEDDING or NONE.

    What a person has said is certain: `verification_model_kinds`, `llm_model`, `embedding_model`. Only then do the
    words in the name count, and a model whose name says nothing is a chat model. One API itself knows no kinds.
    """
    if model in settings.verification_model_kinds:
        return settings.verification_model_kinds[model]
    if model == settings.llm_model:
        return CHAT
    if model == settings.embedding_model:
        return EMBEDDING
    if _OF_NEITHER.search(model):
        return NONE
    return EMBEDDING if _OF_EMBEDDING.search(model) else CHAT
