"""How ``connect(prepare=...)`` runs: under a policy of its own, for it runs outside of the turns."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from ...errors import AiomemdbError, ForbiddenStatement
from .guarded import GuardedConnection
from .policies import PREPARE

__all__ = ["run_prepare"]


def run_prepare(raw: GuardedConnection, prepare: Callable[[sqlite3.Connection], object]) -> None:
    """Runs the user's function; afterwards the connection has the policy that it had before.

    Raises:
        ForbiddenStatement: it tried what is forbidden, even if it swallowed the refusal.
        AiomemdbError: it left a transaction open.
        BaseException: its own error.
    """
    guard = raw.guard
    policy = guard.policy
    raw.obey(PREPARE)
    try:
        prepare(raw)
    except Exception as error:
        if guard.denied is None or isinstance(error, ForbiddenStatement):
            raise
        raise ForbiddenStatement(guard.denied) from error
    finally:
        raw.obey(policy)
    if guard.denied is not None:
        raise ForbiddenStatement(guard.denied)
    if raw.isolation_level is not None or raw.in_transaction:
        raise AiomemdbError("prepare must leave no transaction open, and isolation_level as it is")
