"""LangGraph's checkpointer, store and cache on an aiomemdb database: one file, any number of agents.

The tables are those of ``langgraph-checkpoint-sqlite``, so a file goes from one to the other and back.
"""

try:
    import langgraph.checkpoint.base  # noqa: F401  what these stand on
    import orjson  # noqa: F401
except ImportError as _error:
    raise ImportError("aiomemdb.integrations.langgraph needs LangGraph: pip install 'aiomemdb[langgraph]'") from _error

from .cache import AiomemdbCache
from .saver import AiomemdbSaver
from .store import AiomemdbStore

__all__ = ["AiomemdbCache", "AiomemdbSaver", "AiomemdbStore"]
