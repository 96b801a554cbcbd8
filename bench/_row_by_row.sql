-- The tables, indexes and triggers of a memory as of November 2026: what row_by_row fills. Frozen: not to follow the library.

CREATE TABLE memory_namespace (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT UNIQUE
    );
CREATE TABLE memory_meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE entity (
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
        merged_into INTEGER REFERENCES entity(id),
        created_event INTEGER NOT NULL DEFAULT 0, other_names TEXT NOT NULL DEFAULT '', form TEXT, terms TEXT, established INTEGER);
CREATE INDEX entity_of_namespace ON entity (namespace);
CREATE INDEX entity_merged ON entity (merged_into) WHERE merged_into IS NOT NULL;
CREATE TABLE entity_alias (
        namespace INTEGER NOT NULL REFERENCES memory_namespace(id),
        key TEXT NOT NULL,
        type TEXT NOT NULL,  -- '' or a type_key
        entity INTEGER NOT NULL REFERENCES entity(id),
        PRIMARY KEY (namespace, key, type)
    ) WITHOUT ROWID;
CREATE INDEX alias_of_entity ON entity_alias (entity);
CREATE TABLE entity_similar (
        a INTEGER NOT NULL REFERENCES entity(id),
        b INTEGER NOT NULL REFERENCES entity(id),
        cosine REAL NOT NULL,
        PRIMARY KEY (a, b),
        CHECK (a < b)
    ) WITHOUT ROWID;
CREATE INDEX similar_back ON entity_similar (b);
CREATE TABLE episode (
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
        expired_at INTEGER,
        created_event INTEGER NOT NULL DEFAULT 0, expired_event INTEGER, occurred_offset INTEGER, form TEXT, terms TEXT);
CREATE INDEX episode_of_namespace ON episode (namespace);
CREATE UNIQUE INDEX episode_of_key ON episode (namespace, key, version) WHERE key IS NOT NULL;
CREATE INDEX episode_of_session ON episode (namespace, session, seq) WHERE session IS NOT NULL;
CREATE TABLE mention (
        entity INTEGER NOT NULL REFERENCES entity(id),
        episode INTEGER NOT NULL REFERENCES episode(id),
        PRIMARY KEY (entity, episode)
    ) WITHOUT ROWID;
CREATE INDEX mention_of_episode ON mention (episode);
CREATE TABLE vector_model (id INTEGER PRIMARY KEY, name TEXT NOT NULL, dim INTEGER NOT NULL, UNIQUE (name, dim));
CREATE TABLE vector (
        id INTEGER PRIMARY KEY,
        model INTEGER NOT NULL REFERENCES vector_model(id),
        namespace INTEGER NOT NULL REFERENCES memory_namespace(id),
        kind TEXT NOT NULL,
        ref INTEGER NOT NULL,
        data BLOB NOT NULL  -- float32, little endian, of length 1
    );
CREATE UNIQUE INDEX vector_of ON vector (model, namespace, kind, ref);
CREATE INDEX vector_of_namespace ON vector (namespace);
CREATE TABLE memory_event (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at INTEGER NOT NULL,
        namespace INTEGER NOT NULL,
        agent TEXT,
        operation TEXT NOT NULL,
        kind TEXT NOT NULL,
        ref INTEGER NOT NULL,
        other INTEGER,
        reason TEXT
    );
CREATE INDEX event_of ON memory_event (ref, kind);
CREATE INDEX event_with_reason ON memory_event (namespace) WHERE reason IS NOT NULL;
CREATE TABLE memory_clock_back (event INTEGER PRIMARY KEY);
CREATE TABLE "fact" (
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
        agent TEXT, form TEXT, terms TEXT,
        CHECK ((object IS NULL) <> (value IS NULL)),
        CHECK (valid_at < invalid_at),
        CHECK ((expired_at IS NULL) = (expired_event IS NULL)),
        CHECK (created_event <= expired_event)
    );
CREATE TABLE "fact_evidence" (
        id INTEGER PRIMARY KEY,
        fact INTEGER NOT NULL REFERENCES "fact"(id),
        episode INTEGER REFERENCES episode(id),
        quote TEXT,
        confidence REAL NOT NULL CHECK (confidence BETWEEN 0 AND 1),
        agent TEXT,
        created_at INTEGER NOT NULL
    );
CREATE UNIQUE INDEX fact_believed
        ON fact (subject, predicate, coalesce(object, value), ifnull(valid_at, -9223372036854775808))
        WHERE expired_at IS NULL;
CREATE INDEX fact_of_subject ON fact (subject, predicate);
CREATE INDEX fact_of_object ON fact (object, predicate) WHERE object IS NOT NULL;
CREATE INDEX fact_of_namespace ON fact (namespace);
CREATE UNIQUE INDEX evidence_of_fact ON fact_evidence (fact, ifnull(episode, 0), ifnull(agent, ''));
CREATE INDEX evidence_of_episode ON fact_evidence (episode) WHERE episode IS NOT NULL;
CREATE VIEW entity_searched (id, text, terms, scope) AS SELECT t.id, ifnull(t.form, t.name || ' ' || t.description || ' ' || t.other_names), t.terms, char(63728) || 'n' || t.namespace || iif(t.merged_into IS NULL, ' ' || char(63728) || 'b' || t.namespace, '') FROM entity t WHERE t.terms IS NOT NULL;
CREATE VIRTUAL TABLE entity_search USING fts5(text, terms, scope, content='entity_searched', content_rowid='id', tokenize='porter unicode61 remove_diacritics 2');
CREATE TRIGGER entity_search_insert AFTER INSERT ON entity BEGIN INSERT INTO entity_search (rowid, text, terms, scope) SELECT new.id, ifnull(new.form, new.name || ' ' || new.description || ' ' || new.other_names), new.terms, char(63728) || 'n' || new.namespace || iif(new.merged_into IS NULL, ' ' || char(63728) || 'b' || new.namespace, '') WHERE new.terms IS NOT NULL; END;
CREATE TRIGGER entity_search_delete AFTER DELETE ON entity BEGIN INSERT INTO entity_search (entity_search, rowid, text, terms, scope) SELECT 'delete', old.id, ifnull(old.form, old.name || ' ' || old.description || ' ' || old.other_names), old.terms, char(63728) || 'n' || old.namespace || iif(old.merged_into IS NULL, ' ' || char(63728) || 'b' || old.namespace, '') WHERE old.terms IS NOT NULL; END;
CREATE TRIGGER entity_search_update AFTER UPDATE OF form, terms, namespace, merged_into, name, description, other_names ON entity BEGIN INSERT INTO entity_search (entity_search, rowid, text, terms, scope) SELECT 'delete', old.id, ifnull(old.form, old.name || ' ' || old.description || ' ' || old.other_names), old.terms, char(63728) || 'n' || old.namespace || iif(old.merged_into IS NULL, ' ' || char(63728) || 'b' || old.namespace, '') WHERE old.terms IS NOT NULL; INSERT INTO entity_search (rowid, text, terms, scope) SELECT new.id, ifnull(new.form, new.name || ' ' || new.description || ' ' || new.other_names), new.terms, char(63728) || 'n' || new.namespace || iif(new.merged_into IS NULL, ' ' || char(63728) || 'b' || new.namespace, '') WHERE new.terms IS NOT NULL; END;
CREATE VIEW episode_searched (id, text, terms, scope) AS SELECT t.id, ifnull(t.form, t.content), t.terms, char(63728) || 'n' || t.namespace || iif(t.expired_at IS NULL, ' ' || char(63728) || 'b' || t.namespace, '') FROM episode t WHERE t.terms IS NOT NULL;
CREATE VIRTUAL TABLE episode_search USING fts5(text, terms, scope, content='episode_searched', content_rowid='id', tokenize='porter unicode61 remove_diacritics 2');
CREATE TRIGGER episode_search_insert AFTER INSERT ON episode BEGIN INSERT INTO episode_search (rowid, text, terms, scope) SELECT new.id, ifnull(new.form, new.content), new.terms, char(63728) || 'n' || new.namespace || iif(new.expired_at IS NULL, ' ' || char(63728) || 'b' || new.namespace, '') WHERE new.terms IS NOT NULL; END;
CREATE TRIGGER episode_search_delete AFTER DELETE ON episode BEGIN INSERT INTO episode_search (episode_search, rowid, text, terms, scope) SELECT 'delete', old.id, ifnull(old.form, old.content), old.terms, char(63728) || 'n' || old.namespace || iif(old.expired_at IS NULL, ' ' || char(63728) || 'b' || old.namespace, '') WHERE old.terms IS NOT NULL; END;
CREATE TRIGGER episode_search_update AFTER UPDATE OF form, terms, namespace, expired_at, content ON episode BEGIN INSERT INTO episode_search (episode_search, rowid, text, terms, scope) SELECT 'delete', old.id, ifnull(old.form, old.content), old.terms, char(63728) || 'n' || old.namespace || iif(old.expired_at IS NULL, ' ' || char(63728) || 'b' || old.namespace, '') WHERE old.terms IS NOT NULL; INSERT INTO episode_search (rowid, text, terms, scope) SELECT new.id, ifnull(new.form, new.content), new.terms, char(63728) || 'n' || new.namespace || iif(new.expired_at IS NULL, ' ' || char(63728) || 'b' || new.namespace, '') WHERE new.terms IS NOT NULL; END;
CREATE VIEW fact_searched (id, text, terms, scope) AS SELECT t.id, ifnull(t.form, t.text), t.terms, char(63728) || 'n' || t.namespace || iif(t.expired_at IS NULL, ' ' || char(63728) || 'b' || t.namespace, '') FROM fact t WHERE t.terms IS NOT NULL;
CREATE VIRTUAL TABLE fact_search USING fts5(text, terms, scope, content='fact_searched', content_rowid='id', tokenize='porter unicode61 remove_diacritics 2');
CREATE TRIGGER fact_search_insert AFTER INSERT ON fact BEGIN INSERT INTO fact_search (rowid, text, terms, scope) SELECT new.id, ifnull(new.form, new.text), new.terms, char(63728) || 'n' || new.namespace || iif(new.expired_at IS NULL, ' ' || char(63728) || 'b' || new.namespace, '') WHERE new.terms IS NOT NULL; END;
CREATE TRIGGER fact_search_delete AFTER DELETE ON fact BEGIN INSERT INTO fact_search (fact_search, rowid, text, terms, scope) SELECT 'delete', old.id, ifnull(old.form, old.text), old.terms, char(63728) || 'n' || old.namespace || iif(old.expired_at IS NULL, ' ' || char(63728) || 'b' || old.namespace, '') WHERE old.terms IS NOT NULL; END;
CREATE TRIGGER fact_search_update AFTER UPDATE OF form, terms, namespace, expired_at, text ON fact BEGIN INSERT INTO fact_search (fact_search, rowid, text, terms, scope) SELECT 'delete', old.id, ifnull(old.form, old.text), old.terms, char(63728) || 'n' || old.namespace || iif(old.expired_at IS NULL, ' ' || char(63728) || 'b' || old.namespace, '') WHERE old.terms IS NOT NULL; INSERT INTO fact_search (rowid, text, terms, scope) SELECT new.id, ifnull(new.form, new.text), new.terms, char(63728) || 'n' || new.namespace || iif(new.expired_at IS NULL, ' ' || char(63728) || 'b' || new.namespace, '') WHERE new.terms IS NOT NULL; END;
CREATE INDEX fact_of_time ON fact (created_at, subject, object);
CREATE INDEX episode_of_time ON episode (created_at);
