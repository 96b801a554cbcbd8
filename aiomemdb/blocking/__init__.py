"""The verbs for synchronous code: scripts, threads, frameworks that call plain functions.

::

    import aiomemdb.blocking

    with aiomemdb.blocking.connect("agent.db") as db:
        db.write("INSERT INTO note (body) VALUES (?)", ("call Ada",))
        for row in db.read_stream("SELECT body FROM note"):
            print(row["body"])
        with db.transaction() as tx:
            ...

Each verb waits for the verb of that name of ``aiomemdb.connect()``'s database, or of ``aiomemdb.Memory``, and has its
arguments, its result and its errors. All databases share one event loop, in a thread of the library's own: it begins
with the first and ends with the last. Any number of threads use a database at once, and their writes share commits.

In a thread in which an event loop runs, a verb raises ``WrongLoop`` and waits for nothing. Functions that you hand over
(``progress=``, ``rerank=``, an embedder) run on the library's loop, and ``write_fn``'s on a thread of the database: the
verbs raise there too. Ctrl-C in a verb that waits is a cancellation of its call, and raises ``KeyboardInterrupt``.
"""

from .connecting import connect
from .database import Database, Hold, Snapshot, Transaction
from .memory import Memory

__all__ = ["Database", "Hold", "Memory", "Snapshot", "Transaction", "connect"]
