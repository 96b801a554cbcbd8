"""SQLAlchemy on an aiomemdb database: ``create_async_engine``, and the dialect ``sqlite+aiomemdb``.

What takes an ``AsyncEngine`` runs on it: SQLModel, Alembic, FastAPI, and the frameworks that take an engine.
"""

from importlib.util import find_spec

try:
    from sqlalchemy import __version__ as _version

    if not find_spec("greenlet"):
        raise ImportError("SQLAlchemy has no asyncio without greenlet")
    if tuple(int(part) for part in _version.split(".")[:2]) < (2, 0):
        raise ImportError(f"SQLAlchemy {_version} is too old")
except ImportError as _error:
    raise ImportError(
        "aiomemdb.integrations.sqlalchemy needs SQLAlchemy 2.0.45 or newer, with asyncio: "
        "pip install 'aiomemdb[sqlalchemy]'"
    ) from _error

from .dialect import AiomemdbDialect, create_async_engine

__all__ = ["AiomemdbDialect", "create_async_engine"]
