"""SQLAlchemy's own tests for dialects, which its package holds."""

from sqlalchemy.testing.suite import *  # noqa: F403
