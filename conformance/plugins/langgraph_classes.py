"""Has the tests of LangGraph test our checkpointer and store: its own classes' names are bound to them."""

from __future__ import annotations

import os

os.environ.setdefault("NO_DOCKER", "true")  # no PostgreSQL and no Redis

if "AIOMEMDB_STOCK" not in os.environ:
    import langgraph.checkpoint.sqlite.aio
    import langgraph.store.sqlite
    import langgraph.store.sqlite.aio

    from aiomemdb.integrations.langgraph import AiomemdbSaver, AiomemdbStore

    langgraph.checkpoint.sqlite.aio.AsyncSqliteSaver = AiomemdbSaver
    langgraph.store.sqlite.AsyncSqliteStore = langgraph.store.sqlite.aio.AsyncSqliteStore = AiomemdbStore
