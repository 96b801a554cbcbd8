"""Safeties taken out of the library, in the process that calls one of these: the campaigns must then fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiomemdb.sqlite.connection.guarded import GuardedConnection
from aiomemdb.sqlite.writing.session import Session


def never_sync() -> None:
    """What asks for a sync is not heard."""
    make = GuardedConnection.__init__

    def make_deaf(self: GuardedConnection, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **kwargs)
        own = self.own
        self.own = lambda sql: own(sql.replace("synchronous=FULL", "synchronous=OFF"))

    GuardedConnection.__init__ = make_deaf  # type: ignore[method-assign]


def acknowledge_before_commit() -> None:
    """A batch is acknowledged when it has run; its COMMIT comes with the next one."""
    begin, commit = Session.begin, Session.commit

    def commit_the_last(self: Session, **options: Any) -> None:
        if self.connection.in_transaction:
            commit(self)
        begin(self, **options)

    Session.begin = commit_the_last  # type: ignore[method-assign]
    Session.commit = lambda self: None  # type: ignore[method-assign]


def no_fence() -> None:
    """A COMMIT that failed is taken for one that has left nothing."""

    def settle_nothing(self: Session) -> bool:
        self.rollback()
        return True

    Session.settle_failed_commit = settle_nothing  # type: ignore[method-assign]


def forget_failed_sync() -> None:
    """The next sync that succeeds is taken for one of all that came before."""
    Session.note_failed_sync = lambda self, error: None  # type: ignore[method-assign]


SABOTAGES: dict[str, Callable[[], None]] = {
    sabotage.__name__: sabotage for sabotage in (never_sync, acknowledge_before_commit, no_fence, forget_failed_sync)
}
