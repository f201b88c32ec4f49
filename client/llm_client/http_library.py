"""httpx, or its maintained continuation httpx2 where that is the one installed; both have one API."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpcore
    import httpx
else:
    try:
        import httpcore
        import httpx
    except ModuleNotFoundError:
        import httpcore2 as httpcore
        import httpx2 as httpx

__all__ = ["httpcore", "httpx"]
