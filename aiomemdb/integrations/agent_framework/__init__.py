"""Microsoft Agent Framework's checkpoints, history and sessions, in an aiomemdb database."""

from __future__ import annotations

try:
    import agent_framework  # noqa: F401
except ImportError as _error:
    raise ImportError(
        "aiomemdb.integrations.agent_framework needs Agent Framework: pip install 'aiomemdb[agent-framework]'"
    ) from _error

from .checkpoints import AiomemdbCheckpointStorage
from .history import AiomemdbHistoryProvider
from .sessions import AiomemdbSessionStore

__all__ = ["AiomemdbCheckpointStorage", "AiomemdbHistoryProvider", "AiomemdbSessionStore"]
