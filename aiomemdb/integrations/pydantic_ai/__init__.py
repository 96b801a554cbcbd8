"""Pydantic AI's ``ConversationStore``, in an aiomemdb database."""

from __future__ import annotations

try:
    import pydantic_ai.conversation_store  # noqa: F401
except ImportError as _error:
    raise ImportError(
        "aiomemdb.integrations.pydantic_ai needs Pydantic AI 2.68 or newer: pip install 'aiomemdb[pydantic-ai]'"
    ) from _error

from .store import AiomemdbConversationStore

__all__ = ["AiomemdbConversationStore"]
