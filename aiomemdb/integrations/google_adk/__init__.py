"""The Agent Development Kit's session and memory services, in an aiomemdb database.

``AiomemdbSessionService(db)`` and ``AiomemdbMemoryService(db)`` take an open database. ``register()`` makes ADK's own
tools take ``aiomemdb:///file.db`` where they take a service's URI.
"""

from __future__ import annotations

try:
    import google.adk  # noqa: F401
except ImportError as _error:
    raise ImportError(
        "aiomemdb.integrations.google_adk needs the Agent Development Kit: pip install 'aiomemdb[adk]'"
    ) from _error

from .memory import AiomemdbMemoryService
from .registry import register
from .sessions import AiomemdbSessionService

__all__ = ["AiomemdbMemoryService", "AiomemdbSessionService", "register"]
