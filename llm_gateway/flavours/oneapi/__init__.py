"""One API v0.6.10 and v0.6.11-preview: a typed client of its admin API, its versions, and what its log means."""

from llm_gateway.flavours.oneapi.admin import AdminClient

__all__ = ["AdminClient"]
