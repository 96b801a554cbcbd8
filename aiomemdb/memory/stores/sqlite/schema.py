"""The tables of the memory graph, by the version of the schema that made them. What has been released is never changed,
only followed by more.
"""

from __future__ import annotations

__all__ = ["FIFTH", "FIRST", "FOURTH", "SECOND", "SIXTH", "THIRD", "UNBOUNDED"]

#: Stands for "since ever" where NULL can't: in a unique index NULLs differ from each other.
UNBOUNDED = -(2**63)

_FACT_INDEXES = (
    f"""CREATE UNIQUE INDEX fact_believed
        ON fact (subject, predicate, coalesce(object, value), ifnull(valid_at, {UNBOUNDED}))
        WHERE expired_at IS NULL""",
    # The next two also serve the foreign keys and the times that are past, so they hold what is expired too.
    "CREATE INDEX fact_of_subject ON fact (subject, predicate)",
    "CREATE INDEX fact_of_object ON fact (object, predicate) WHERE object IS NOT NULL",
    "CREATE INDEX fact_of_namespace ON fact (namespace)",
)
_EVIDENCE_INDEXES = (
    "CREATE UNIQUE INDEX evidence_of_fact ON fact_evidence (fact, ifnull(episode, 0), ifnull(agent, ''))",
    "CREATE INDEX evidence_of_episode ON fact_evidence (episode) WHERE episode IS NOT NULL",
)


def _word_search(table: str, *columns: str) -> tuple[str, ...]:
    """An FTS5 index over the content of a table, kept by triggers (https://www.sqlite.org/fts5.html, 4.4.3).

    Where the words of a row change, the old ones are taken out by the old text: that is how FTS5 finds them.
    """
    names = ", ".join(columns)
    old, new = (", ".join(f"{row}.{column}" for column in columns) for row in ("old", "new"))
    add = f"INSERT INTO {table}_words (rowid, {names}) VALUES (new.id, {new});"
    remove = f"INSERT INTO {table}_words ({table}_words, rowid, {names}) VALUES ('delete', old.id, {old});"
    return (
        f"CREATE VIRTUAL TABLE {table}_words USING fts5({names}, content='{table}', content_rowid='id', "
        "tokenize='porter unicode61 remove_diacritics 2')",
        f"CREATE TRIGGER {table}_words_insert AFTER INSERT ON {table} BEGIN {add} END",
        f"CREATE TRIGGER {table}_words_delete AFTER DELETE ON {table} BEGIN {remove} END",
        f"CREATE TRIGGER {table}_words_update AFTER UPDATE OF {names} ON {table} BEGIN {remove} {add} END",
    )


FIRST: tuple[str, ...] = (
    "CREATE TABLE memory_migration (version INTEGER PRIMARY KEY, name TEXT NOT NULL, at INTEGER NOT NULL)",
    # A forgotten namespace has no name: nothing finds its rows any more, while they are deleted slice by slice.
    """CREATE TABLE memory_namespace (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT UNIQUE
    )""",
    "CREATE TABLE memory_meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    # AUTOINCREMENT: an id is never used again, so what holds an old one can't reach another row.
    """CREATE TABLE entity (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        namespace INTEGER NOT NULL REFERENCES memory_namespace(id),
        name TEXT NOT NULL,
        key TEXT NOT NULL,  -- the name, normalised
        type TEXT,
        type_key TEXT NOT NULL,  -- normalised; '' where there is no type
        description TEXT NOT NULL DEFAULT '',
        attributes TEXT NOT NULL DEFAULT '{}',
        agent TEXT,
        created_at INTEGER NOT NULL,
        merged_into INTEGER REFERENCES entity(id)
    )""",
    "CREATE INDEX entity_of_namespace ON entity (namespace)",
    "CREATE INDEX entity_merged ON entity (merged_into) WHERE merged_into IS NOT NULL",
    """CREATE TABLE entity_alias (
        namespace INTEGER NOT NULL REFERENCES memory_namespace(id),
        key TEXT NOT NULL,
        type TEXT NOT NULL,  -- '' or a type_key
        entity INTEGER NOT NULL REFERENCES entity(id),
        PRIMARY KEY (namespace, key, type)
    ) WITHOUT ROWID""",
    "CREATE INDEX alias_of_entity ON entity_alias (entity)",
    """CREATE TABLE entity_similar (
        a INTEGER NOT NULL REFERENCES entity(id),
        b INTEGER NOT NULL REFERENCES entity(id),
        cosine REAL NOT NULL,
        PRIMARY KEY (a, b),
        CHECK (a < b)
    ) WITHOUT ROWID""",
    "CREATE INDEX similar_back ON entity_similar (b)",
    """CREATE TABLE episode (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        namespace INTEGER NOT NULL REFERENCES memory_namespace(id),
        key TEXT,
        version INTEGER NOT NULL,
        session TEXT,
        seq INTEGER,
        agent TEXT,
        source TEXT,
        content TEXT NOT NULL,
        metadata TEXT NOT NULL DEFAULT '{}',
        occurred_at INTEGER,
        created_at INTEGER NOT NULL,
        expired_at INTEGER
    )""",
    "CREATE INDEX episode_of_namespace ON episode (namespace)",
    "CREATE UNIQUE INDEX episode_of_key ON episode (namespace, key, version) WHERE key IS NOT NULL",
    "CREATE INDEX episode_of_session ON episode (namespace, session, seq) WHERE session IS NOT NULL",
    """CREATE TABLE mention (
        entity INTEGER NOT NULL REFERENCES entity(id),
        episode INTEGER NOT NULL REFERENCES episode(id),
        PRIMARY KEY (entity, episode)
    ) WITHOUT ROWID""",
    "CREATE INDEX mention_of_episode ON mention (episode)",
    """CREATE TABLE fact (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        namespace INTEGER NOT NULL REFERENCES memory_namespace(id),
        subject INTEGER NOT NULL REFERENCES entity(id),
        predicate TEXT NOT NULL,
        object INTEGER REFERENCES entity(id),
        value TEXT,  -- canonical JSON
        text TEXT NOT NULL,
        valid_at INTEGER,
        invalid_at INTEGER,
        created_at INTEGER NOT NULL,
        expired_at INTEGER,
        superseded_by INTEGER,  -- no foreign key: that fact may be forgotten
        agent TEXT,
        CHECK ((object IS NULL) <> (value IS NULL)),
        CHECK (valid_at < invalid_at),
        CHECK (created_at <= expired_at)
    )""",
    *_FACT_INDEXES,
    # Without an episode: an agent stated it directly.
    """CREATE TABLE fact_evidence (
        fact INTEGER NOT NULL REFERENCES fact(id),
        episode INTEGER REFERENCES episode(id),
        quote TEXT,
        confidence REAL NOT NULL CHECK (confidence BETWEEN 0 AND 1),
        agent TEXT,
        created_at INTEGER NOT NULL
    )""",
    *_EVIDENCE_INDEXES,
    "CREATE TABLE vector_model (id INTEGER PRIMARY KEY, name TEXT NOT NULL, dim INTEGER NOT NULL, UNIQUE (name, dim))",
    """CREATE TABLE vector (
        id INTEGER PRIMARY KEY,
        model INTEGER NOT NULL REFERENCES vector_model(id),
        namespace INTEGER NOT NULL REFERENCES memory_namespace(id),
        kind TEXT NOT NULL,
        ref INTEGER NOT NULL,
        data BLOB NOT NULL  -- float32, little endian, of length 1
    )""",
    "CREATE UNIQUE INDEX vector_of ON vector (model, namespace, kind, ref)",
    "CREATE INDEX vector_of_namespace ON vector (namespace)",
    """CREATE TABLE memory_event (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at INTEGER NOT NULL,
        namespace INTEGER NOT NULL,
        agent TEXT,
        operation TEXT NOT NULL,
        kind TEXT NOT NULL,
        ref INTEGER NOT NULL,
        other INTEGER,
        reason TEXT
    )""",
    "CREATE INDEX event_of ON memory_event (ref, kind)",
    "CREATE INDEX event_with_reason ON memory_event (namespace) WHERE reason IS NOT NULL",
    *_word_search("entity", "name", "description"),
    *_word_search("episode", "content"),
    *_word_search("fact", "text"),
)

_FACT_COLUMNS = (
    "id, namespace, subject, predicate, object, value, text, valid_at, invalid_at, created_at, expired_at, "
    "superseded_by, agent"
)


def _event_at(at: str) -> str:
    """The event by which what has this time was known: no two jobs shared one, and it never went back."""
    return f"ifnull((SELECT id FROM memory_event WHERE at <= {at} ORDER BY at DESC, id DESC LIMIT 1), 0)"


# The order of knowledge is the event's, whatever the clock does; times come back with the offset that they were given
# with; what is compared stands beside what is shown. fact loses a CHECK by it (the clock may go back between its two
# times), so it is copied, and fact_evidence with it: its foreign key would follow the old one.
SECOND: tuple[str, ...] = (
    "CREATE TABLE memory_clock_back (event INTEGER PRIMARY KEY)",  # the first of each job after its clock had gone back
    "CREATE INDEX memory_event_at ON memory_event (at)",
    """CREATE TABLE fact_2 (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        namespace INTEGER NOT NULL REFERENCES memory_namespace(id),
        subject INTEGER NOT NULL REFERENCES entity(id),
        predicate TEXT NOT NULL,  -- normalised
        predicate_given TEXT,  -- as it is shown, where that differs
        object INTEGER REFERENCES entity(id),
        value TEXT,  -- canonical JSON
        value_given TEXT,  -- as it is shown, where that differs
        text TEXT NOT NULL,
        valid_at INTEGER,
        valid_offset INTEGER,  -- minutes from UTC, as it was given; NULL: none
        invalid_at INTEGER,
        invalid_offset INTEGER,
        created_at INTEGER NOT NULL,
        created_event INTEGER NOT NULL,
        expired_at INTEGER,
        expired_event INTEGER,
        superseded_by INTEGER,  -- no foreign key: that fact may be forgotten
        agent TEXT,
        CHECK ((object IS NULL) <> (value IS NULL)),
        CHECK (valid_at < invalid_at),
        CHECK ((expired_at IS NULL) = (expired_event IS NULL)),
        CHECK (created_event <= expired_event)
    )""",
    f"INSERT INTO fact_2 ({_FACT_COLUMNS}, created_event, expired_event) SELECT {_FACT_COLUMNS}, "
    f"{_event_at('created_at')}, iif(expired_at IS NULL, NULL, {_event_at('expired_at')}) FROM fact ORDER BY id",
    # An id is never used again, of those that were deleted either.
    "DELETE FROM sqlite_sequence WHERE name = 'fact_2'",
    "UPDATE sqlite_sequence SET name = 'fact_2' WHERE name = 'fact'",
    """CREATE TABLE fact_evidence_2 (
        id INTEGER PRIMARY KEY,
        fact INTEGER NOT NULL REFERENCES fact_2(id),
        episode INTEGER REFERENCES episode(id),
        quote TEXT,
        confidence REAL NOT NULL CHECK (confidence BETWEEN 0 AND 1),
        agent TEXT,
        created_at INTEGER NOT NULL
    )""",
    "INSERT INTO fact_evidence_2 SELECT rowid, * FROM fact_evidence ORDER BY rowid",
    "DROP TABLE fact_evidence",
    "DROP TABLE fact",
    "ALTER TABLE fact_2 RENAME TO fact",
    "ALTER TABLE fact_evidence_2 RENAME TO fact_evidence",
    *_FACT_INDEXES,
    *_EVIDENCE_INDEXES,
    *_word_search("fact", "text")[1:],
    "ALTER TABLE entity ADD COLUMN created_event INTEGER NOT NULL DEFAULT 0",
    f"UPDATE entity SET created_event = {_event_at('created_at')}",
    "ALTER TABLE episode ADD COLUMN created_event INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE episode ADD COLUMN expired_event INTEGER",
    "ALTER TABLE episode ADD COLUMN occurred_offset INTEGER",  # minutes from UTC, as it was given; NULL: none
    f"UPDATE episode SET created_event = {_event_at('created_at')}, "
    f"expired_event = iif(expired_at IS NULL, NULL, {_event_at('expired_at')})",
    "DROP INDEX memory_event_at",
)

# Word search finds an entity by each name that it has, not by its own alone.
THIRD: tuple[str, ...] = (
    "ALTER TABLE entity ADD COLUMN other_names TEXT NOT NULL DEFAULT ''",  # its aliases, see identity.index_names
    *(f"DROP TRIGGER entity_words_{change}" for change in ("insert", "delete", "update")),
    "DROP TABLE entity_words",
    *_word_search("entity", "name", "description", "other_names"),
    "INSERT INTO entity_words (entity_words) VALUES ('rebuild')",
)


def _one_form(table: str, ended: str, *columns: str) -> tuple[str, ...]:
    """An FTS5 index over a view of a table, of those of its rows that have their ``terms``.

    ``scope`` says in which namespace a row is (n) and, if it is believed (b), once more: a token of each. No text has
    their first character (``words.MARK``).
    """
    watched = ", ".join(["form", "terms", "namespace", ended, *columns])

    def values(row: str) -> str:
        text = " || ' ' || ".join(f"{row}.{column}" for column in columns)
        return (
            f"ifnull({row}.form, {text}), {row}.terms, char(63728) || 'n' || {row}.namespace || "
            f"iif({row}.{ended} IS NULL, ' ' || char(63728) || 'b' || {row}.namespace, '')"
        )

    index = f"{table}_search"
    remove = (
        f"INSERT INTO {index} ({index}, rowid, text, terms, scope) SELECT 'delete', old.id, {values('old')} "
        "WHERE old.terms IS NOT NULL;"
    )
    add = f"INSERT INTO {index} (rowid, text, terms, scope) SELECT new.id, {values('new')} WHERE new.terms IS NOT NULL;"
    # The index before holds the rows without terms, until they have some.
    before = f"{table}_words"
    named = ", ".join(columns)
    old, new = (", ".join(f"{row}.{column}" for column in columns) for row in ("old", "new"))
    leave = f"INSERT INTO {before} ({before}, rowid, {named}) VALUES ('delete', old.id, {old});"
    stay = f"INSERT INTO {before} (rowid, {named}) SELECT new.id, {new} WHERE new.terms IS NULL;"
    return (
        # The text as it is compared, where an index does not see it so, and what the row is found by beside: words.py.
        f"ALTER TABLE {table} ADD COLUMN form TEXT",
        f"ALTER TABLE {table} ADD COLUMN terms TEXT",
        f"CREATE VIEW {table}_searched (id, text, terms, scope) AS SELECT t.id, {values('t')} FROM {table} t "
        "WHERE t.terms IS NOT NULL",
        f"CREATE VIRTUAL TABLE {index} USING fts5(text, terms, scope, content='{table}_searched', content_rowid='id', "
        "tokenize='porter unicode61 remove_diacritics 2')",
        f"CREATE TRIGGER {index}_insert AFTER INSERT ON {table} BEGIN {add} END",
        f"CREATE TRIGGER {index}_delete AFTER DELETE ON {table} BEGIN {remove} END",
        f"CREATE TRIGGER {index}_update AFTER UPDATE OF {watched} ON {table} BEGIN {remove} {add} END",
        *(f"DROP TRIGGER {before}_{change}" for change in ("insert", "delete", "update")),
        f"CREATE TRIGGER {before}_delete AFTER DELETE ON {table} WHEN old.terms IS NULL BEGIN {leave} END",
        f"CREATE TRIGGER {before}_update AFTER UPDATE OF terms, {named} ON {table} WHEN old.terms IS NULL "
        f"BEGIN {leave} {stay} END",
    )


# Words have one form, stored and asked; dates, quotes and values are found; the index knows what is readable. Rows that
# are there already are indexed anew in slices, see indexing.py.
FOURTH: tuple[str, ...] = (
    *_one_form("entity", "merged_into", "name", "description", "other_names"),
    *_one_form("episode", "expired_at", "content"),
    *_one_form("fact", "expired_at", "text"),
)

# An entity that relations alone have named so far is implied.
FIFTH: tuple[str, ...] = (
    # The line of the audit since which it is not: the order of creation. NULL: it is.
    "ALTER TABLE entity ADD COLUMN established INTEGER",
    "UPDATE entity SET established = created_event",
)

# By which an import finds what it has brought before.
SIXTH: tuple[str, ...] = (
    "CREATE INDEX fact_of_time ON fact (created_at, subject, object)",
    "CREATE INDEX episode_of_time ON episode (created_at)",
)
