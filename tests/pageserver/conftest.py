"""Where the memories of these tests are: in a file, or with --on-postgres on a server."""

from __future__ import annotations

from tests.mcp.conftest import place, postgres_database

__all__ = ["place", "postgres_database"]
