CREATE TABLE memory_migration (version INTEGER PRIMARY KEY, name TEXT NOT NULL, at INTEGER NOT NULL);
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
        merged_into INTEGER REFERENCES entity(id)
    );
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
        expired_at INTEGER
    );
CREATE INDEX episode_of_namespace ON episode (namespace);
CREATE UNIQUE INDEX episode_of_key ON episode (namespace, key, version) WHERE key IS NOT NULL;
CREATE INDEX episode_of_session ON episode (namespace, session, seq) WHERE session IS NOT NULL;
CREATE TABLE mention (
        entity INTEGER NOT NULL REFERENCES entity(id),
        episode INTEGER NOT NULL REFERENCES episode(id),
        PRIMARY KEY (entity, episode)
    ) WITHOUT ROWID;
CREATE INDEX mention_of_episode ON mention (episode);
CREATE TABLE fact (
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
    );
CREATE UNIQUE INDEX fact_believed
        ON fact (subject, predicate, coalesce(object, value), ifnull(valid_at, -9223372036854775808))
        WHERE expired_at IS NULL;
CREATE INDEX fact_of_subject ON fact (subject, predicate);
CREATE INDEX fact_of_object ON fact (object, predicate) WHERE object IS NOT NULL;
CREATE INDEX fact_of_namespace ON fact (namespace);
CREATE TABLE fact_evidence (
        fact INTEGER NOT NULL REFERENCES fact(id),
        episode INTEGER REFERENCES episode(id),
        quote TEXT,
        confidence REAL NOT NULL CHECK (confidence BETWEEN 0 AND 1),
        agent TEXT,
        created_at INTEGER NOT NULL
    );
CREATE UNIQUE INDEX evidence_of_fact ON fact_evidence (fact, ifnull(episode, 0), ifnull(agent, ''));
CREATE INDEX evidence_of_episode ON fact_evidence (episode) WHERE episode IS NOT NULL;
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
CREATE VIRTUAL TABLE entity_words USING fts5(name, description, content='entity', content_rowid='id', tokenize='porter unicode61 remove_diacritics 2');
CREATE VIRTUAL TABLE episode_words USING fts5(content, content='episode', content_rowid='id', tokenize='porter unicode61 remove_diacritics 2');
CREATE VIRTUAL TABLE fact_words USING fts5(text, content='fact', content_rowid='id', tokenize='porter unicode61 remove_diacritics 2');
INSERT INTO memory_migration VALUES (1, 'the memory graph', 1795921296450807);
INSERT INTO memory_namespace VALUES (1, 'default');
INSERT INTO memory_namespace VALUES (2, 'mail');
INSERT INTO memory_meta VALUES ('model', '1');
INSERT INTO memory_meta VALUES ('normaliser', 'nfkc-casefold-1');
INSERT INTO memory_meta VALUES ('predicate normaliser', 'casefold-1');
INSERT INTO entity VALUES (1, 1, 'Acme Corp', 'acme corp', NULL, '', '', '{}', 'ann', 1795921296458383, NULL);
INSERT INTO entity VALUES (10, 1, 'thing 41636d6520436f7270e2808e', 'thing 41636d6520436f7270e2808e', NULL, '', '', '{}', 'ann', 1795921296472302, NULL);
INSERT INTO entity VALUES (11, 1, 'O''Brien', 'o''brien', NULL, '', '', '{}', 'ann', 1795921296474959, NULL);
INSERT INTO entity VALUES (12, 1, 'O’Brien', 'o’brien', NULL, '', '', '{}', 'ann', 1795921296474959, NULL);
INSERT INTO entity VALUES (13, 1, 'Coca-Cola', 'coca-cola', NULL, '', '', '{}', 'ann', 1795921296480005, NULL);
INSERT INTO entity VALUES (14, 1, 'Coca‐Cola', 'coca‐cola', NULL, '', '', '{}', 'ann', 1795921296481279, NULL);
INSERT INTO entity VALUES (15, 1, 'Ann', 'ann', NULL, '', '', '{}', 'ann', 1795921296482569, NULL);
INSERT INTO entity VALUES (16, 1, 'Oslo', 'oslo', NULL, '', '', '{}', 'ann', 1795921296482569, NULL);
INSERT INTO entity VALUES (17, 1, 'Bergen', 'bergen', NULL, '', '', '{}', 'ann', 1795921296485204, NULL);
INSERT INTO entity VALUES (18, 1, 'Apple', 'apple', 'company', 'company', 'company?', '{}', 'ann', 1795921296501684, NULL);
INSERT INTO entity VALUES (19, 1, 'Ap​ple', 'ap​ple', 'fruit', 'fruit', 'fruit?', '{}', 'ann', 1795921296504218, NULL);
INSERT INTO entity VALUES (2, 1, 'thing 41636d6520436f7270', 'thing 41636d6520436f7270', NULL, '', '', '{}', 'ann', 1795921296458383, NULL);
INSERT INTO entity VALUES (20, 1, 'App​le', 'app​le', NULL, '', 'None?', '{}', 'ann', 1795921296506495, NULL);
INSERT INTO entity VALUES (21, 1, 'Pear', 'pear', 'fr­uit', 'fr­uit', 'fr­uit?', '{}', 'ann', 1795921296509708, NULL);
INSERT INTO entity VALUES (22, 1, 'Pear', 'pear', 'fruit', 'fruit', '', '{}', 'ann', 1795921296511886, NULL);
INSERT INTO entity VALUES (23, 1, 'Bob', 'bob', NULL, '', '', '{}', 'ann', 1795921296514469, NULL);
INSERT INTO entity VALUES (24, 1, 'Robert', 'robert', NULL, '', '', '{}', 'ann', 1795921296517073, 23);
INSERT INTO entity VALUES (25, 1, 'Keys', 'keys', NULL, '', '', '{}', 'ann', 1795921296525391, NULL);
INSERT INTO entity VALUES (26, 1, 'Old', 'old', NULL, '', '', '{}', 'ann', 1795921296526547, NULL);
INSERT INTO entity VALUES (27, 1, 'Acme​ Corp', 'acme​ corp', NULL, '', '', '{}', 'ann', 1795921296528472, NULL);
INSERT INTO entity VALUES (28, 1, 'second', 'second', NULL, '', '', '{}', 'ann', 1795921296528472, NULL);
INSERT INTO entity VALUES (29, 1, 'first', 'first', NULL, '', '', '{}', 'ann', 1795921296531853, NULL);
INSERT INTO entity VALUES (3, 1, 'Ac​me Corp', 'ac​me corp', NULL, '', '', '{}', 'ann', 1795921296465993, NULL);
INSERT INTO entity VALUES (30, 1, 'third', 'third', NULL, '', '', '{}', 'ann', 1795921296536429, NULL);
INSERT INTO entity VALUES (31, 1, 'draft', 'draft', NULL, '', '', '{}', 'ann', 1795921296540734, NULL);
INSERT INTO entity VALUES (32, 1, 'final', 'final', NULL, '', '', '{}', 'ann', 1795921296545133, NULL);
INSERT INTO entity VALUES (33, 2, 'Acme Corp', 'acme corp', NULL, '', '', '{}', 'bot', 1795921296547556, NULL);
INSERT INTO entity VALUES (34, 2, 'Acme​ Corp', 'acme​ corp', NULL, '', '', '{}', 'bot', 1795921296547556, NULL);
INSERT INTO entity VALUES (35, 1, 'Time', 'time', NULL, '', '', '{}', 'ann', 4133980800000000, NULL);
INSERT INTO entity VALUES (36, 1, 'Back', 'back', NULL, '', '', '{}', 'ann', 4133980800000001, NULL);
INSERT INTO entity VALUES (37, 1, '​', '​', NULL, '', '', '{}', NULL, 4133980800000002, NULL);
INSERT INTO entity VALUES (4, 1, 'thing 4163e2808b6d6520436f7270', 'thing 4163e2808b6d6520436f7270', NULL, '', '', '{}', 'ann', 1795921296465993, NULL);
INSERT INTO entity VALUES (5, 1, 'Acme­ Corp', 'acme­ corp', NULL, '', '', '{}', 'ann', 1795921296467580, NULL);
INSERT INTO entity VALUES (6, 1, 'thing 41636d65c2ad20436f7270', 'thing 41636d65c2ad20436f7270', NULL, '', '', '{}', 'ann', 1795921296467580, NULL);
INSERT INTO entity VALUES (7, 1, '﻿ACME Corp', '﻿acme corp', NULL, '', '', '{}', 'ann', 1795921296469077, NULL);
INSERT INTO entity VALUES (8, 1, 'thing efbbbf41434d4520436f7270', 'thing efbbbf41434d4520436f7270', NULL, '', '', '{}', 'ann', 1795921296469077, NULL);
INSERT INTO entity VALUES (9, 1, 'Acme Corp‎', 'acme corp‎', NULL, '', '', '{}', 'ann', 1795921296472302, NULL);
INSERT INTO entity_alias VALUES (1, 'acme corp', '', 1);
INSERT INTO entity_alias VALUES (1, 'acme corp‎', '', 9);
INSERT INTO entity_alias VALUES (1, 'acme­ corp', '', 5);
INSERT INTO entity_alias VALUES (1, 'acme​ corp', '', 27);
INSERT INTO entity_alias VALUES (1, 'ac​me corp', '', 3);
INSERT INTO entity_alias VALUES (1, 'ann', '', 15);
INSERT INTO entity_alias VALUES (1, 'apple', 'company', 18);
INSERT INTO entity_alias VALUES (1, 'app​le', '', 20);
INSERT INTO entity_alias VALUES (1, 'ap​ple', 'fruit', 19);
INSERT INTO entity_alias VALUES (1, 'back', '', 36);
INSERT INTO entity_alias VALUES (1, 'bergen', '', 17);
INSERT INTO entity_alias VALUES (1, 'bob', '', 23);
INSERT INTO entity_alias VALUES (1, 'bobby''s', '', 15);
INSERT INTO entity_alias VALUES (1, 'bobby', '', 23);
INSERT INTO entity_alias VALUES (1, 'bob​by''s', '', 23);
INSERT INTO entity_alias VALUES (1, 'coca-cola', '', 13);
INSERT INTO entity_alias VALUES (1, 'coca‐cola', '', 14);
INSERT INTO entity_alias VALUES (1, 'draft', '', 31);
INSERT INTO entity_alias VALUES (1, 'final', '', 32);
INSERT INTO entity_alias VALUES (1, 'first', '', 29);
INSERT INTO entity_alias VALUES (1, 'keys', '', 25);
INSERT INTO entity_alias VALUES (1, 'o''brien', '', 11);
INSERT INTO entity_alias VALUES (1, 'old', '', 26);
INSERT INTO entity_alias VALUES (1, 'oslo', '', 16);
INSERT INTO entity_alias VALUES (1, 'o’brien', '', 12);
INSERT INTO entity_alias VALUES (1, 'pear', 'fruit', 22);
INSERT INTO entity_alias VALUES (1, 'pear', 'fr­uit', 21);
INSERT INTO entity_alias VALUES (1, 'robert', '', 23);
INSERT INTO entity_alias VALUES (1, 'second', '', 28);
INSERT INTO entity_alias VALUES (1, 'thing 41636d6520436f7270', '', 2);
INSERT INTO entity_alias VALUES (1, 'thing 41636d6520436f7270e2808e', '', 10);
INSERT INTO entity_alias VALUES (1, 'thing 41636d65c2ad20436f7270', '', 6);
INSERT INTO entity_alias VALUES (1, 'thing 4163e2808b6d6520436f7270', '', 4);
INSERT INTO entity_alias VALUES (1, 'thing efbbbf41434d4520436f7270', '', 8);
INSERT INTO entity_alias VALUES (1, 'third', '', 30);
INSERT INTO entity_alias VALUES (1, 'time', '', 35);
INSERT INTO entity_alias VALUES (1, '​', '', 37);
INSERT INTO entity_alias VALUES (1, '﻿acme corp', '', 7);
INSERT INTO entity_alias VALUES (2, 'acme corp', '', 33);
INSERT INTO entity_alias VALUES (2, 'acme​ corp', '', 34);
INSERT INTO entity_similar VALUES (1, 10, 8.88851702213287353515e-01);
INSERT INTO entity_similar VALUES (1, 20, 8.26380133628845214843e-01);
INSERT INTO entity_similar VALUES (10, 20, 8.78924787044525146484e-01);
INSERT INTO entity_similar VALUES (10, 23, 8.65442991256713867187e-01);
INSERT INTO entity_similar VALUES (10, 35, 8.05443048477172851562e-01);
INSERT INTO entity_similar VALUES (12, 26, 9.49025452136993408203e-01);
INSERT INTO entity_similar VALUES (13, 26, 8.62047076225280761718e-01);
INSERT INTO entity_similar VALUES (13, 30, 8.65832269191741943359e-01);
INSERT INTO entity_similar VALUES (13, 32, 8.62294852733612060546e-01);
INSERT INTO entity_similar VALUES (14, 28, 8.23915362358093261718e-01);
INSERT INTO entity_similar VALUES (15, 18, 8.30472767353057861328e-01);
INSERT INTO entity_similar VALUES (15, 27, 0.93846595287323);
INSERT INTO entity_similar VALUES (15, 31, 0.949004054069519);
INSERT INTO entity_similar VALUES (15, 36, 9.29569840431213378906e-01);
INSERT INTO entity_similar VALUES (18, 27, 8.86928677558898925781e-01);
INSERT INTO entity_similar VALUES (2, 28, 8.72487843036651611328e-01);
INSERT INTO entity_similar VALUES (2, 4, 8.9613252878189086914e-01);
INSERT INTO entity_similar VALUES (21, 22, 9.99999940395355224609e-01);
INSERT INTO entity_similar VALUES (23, 25, 9.02368068695068359375e-01);
INSERT INTO entity_similar VALUES (23, 35, 0.865373969078064);
INSERT INTO entity_similar VALUES (25, 32, 0.91680908203125);
INSERT INTO entity_similar VALUES (25, 35, 8.45202028751373291015e-01);
INSERT INTO entity_similar VALUES (27, 31, 9.62936758995056152343e-01);
INSERT INTO entity_similar VALUES (27, 36, 9.63025867938995361328e-01);
INSERT INTO entity_similar VALUES (3, 23, 9.50683236122131347656e-01);
INSERT INTO entity_similar VALUES (30, 37, 8.06967377662658691406e-01);
INSERT INTO entity_similar VALUES (31, 36, 9.75600957870483398437e-01);
INSERT INTO entity_similar VALUES (32, 37, 8.267154693603515625e-01);
INSERT INTO entity_similar VALUES (5, 11, 9.73853290081024169921e-01);
INSERT INTO entity_similar VALUES (6, 18, 8.25428366661071777343e-01);
INSERT INTO entity_similar VALUES (6, 27, 8.43195259571075439453e-01);
INSERT INTO entity_similar VALUES (6, 30, 9.42552745342254638671e-01);
INSERT INTO entity_similar VALUES (6, 31, 8.17763984203338623046e-01);
INSERT INTO entity_similar VALUES (7, 10, 0.875818133354187);
INSERT INTO entity_similar VALUES (7, 23, 9.09072697162628173828e-01);
INSERT INTO entity_similar VALUES (8, 21, 8.04010987281799316406e-01);
INSERT INTO entity_similar VALUES (8, 22, 8.04010987281799316406e-01);
INSERT INTO entity_similar VALUES (9, 23, 8.28217148780822753906e-01);
INSERT INTO episode VALUES (1, 1, NULL, 1, 'talk', 2, 'ann', NULL, 'the second', '{}', 1578009600000000, 1795921296528472, NULL);
INSERT INTO episode VALUES (2, 1, NULL, 1, 'talk', 1, 'ann', NULL, 'the first', '{}', 1577923200000000, 1795921296531853, NULL);
INSERT INTO episode VALUES (3, 1, NULL, 1, 'talk', 3, 'ann', NULL, 'the third', '{}', 1578096000000000, 1795921296536429, NULL);
INSERT INTO episode VALUES (4, 1, 'paper', 1, NULL, NULL, 'ann', NULL, 'draft', '{"n": 1}', NULL, 1795921296540734, 1795921296545133);
INSERT INTO episode VALUES (5, 1, 'paper', 2, NULL, NULL, 'ann', NULL, 'final', '{"n": 1}', NULL, 1795921296545133, NULL);
INSERT INTO episode VALUES (6, 2, NULL, 1, NULL, NULL, 'bot', NULL, 'of Acme', '{}', NULL, 1795921296547556, NULL);
INSERT INTO mention VALUES (23, 4);
INSERT INTO mention VALUES (23, 5);
INSERT INTO mention VALUES (27, 1);
INSERT INTO mention VALUES (27, 2);
INSERT INTO mention VALUES (27, 3);
INSERT INTO mention VALUES (28, 1);
INSERT INTO mention VALUES (29, 2);
INSERT INTO mention VALUES (30, 3);
INSERT INTO mention VALUES (31, 4);
INSERT INTO mention VALUES (32, 5);
INSERT INTO mention VALUES (33, 6);
INSERT INTO mention VALUES (34, 6);
INSERT INTO fact VALUES (1, 1, 1, 'makes', 2, NULL, 'Acme Corp makes thing 41636d6520436f7270', NULL, NULL, 1795921296458383, NULL, NULL, 'ann');
INSERT INTO fact VALUES (10, 1, 15, 'café', 16, NULL, 'Ann café Oslo', 1577836800000000, NULL, 1795921296483786, 1795921296485204, 11, 'ann');
INSERT INTO fact VALUES (11, 1, 15, 'café', 17, NULL, 'Ann café Bergen', 1577836800000000, NULL, 1795921296485204, NULL, NULL, 'ann');
INSERT INTO fact VALUES (12, 1, 15, 'says', NULL, '"café"', 'Ann says café', NULL, NULL, 1795921296488001, NULL, NULL, 'ann');
INSERT INTO fact VALUES (13, 1, 15, 'says', NULL, '"café"', 'Ann says café', NULL, NULL, 1795921296489344, NULL, NULL, 'ann');
INSERT INTO fact VALUES (14, 1, 15, 'says', NULL, '"10²"', 'Ann says 10²', NULL, NULL, 1795921296490460, NULL, NULL, 'ann');
INSERT INTO fact VALUES (15, 1, 15, 'says', NULL, '"102"', 'Ann says 102', NULL, NULL, 1795921296492249, NULL, NULL, 'ann');
INSERT INTO fact VALUES (16, 1, 15, 'age', NULL, '7', 'Ann age 7', 1577923200000000, 1578614400000000, 1795921296494748, 1795921296496598, 17, 'ann');
INSERT INTO fact VALUES (17, 1, 15, 'age', NULL, '8', 'Ann age 8', 1578268800000000, NULL, 1795921296496598, NULL, NULL, 'ann');
INSERT INTO fact VALUES (18, 1, 15, 'age', NULL, '7', 'Ann age 7', 1577923200000000, 1578268800000000, 1795921296496598, NULL, NULL, 'ann');
INSERT INTO fact VALUES (2, 1, 3, 'makes', 4, NULL, 'Ac​me Corp makes thing 4163e2808b6d6520436f7270', NULL, NULL, 1795921296465993, NULL, NULL, 'ann');
INSERT INTO fact VALUES (20, 1, 23, 'is', 26, NULL, 'Bob is Old', NULL, NULL, 1795921296526547, 1795921296527059, NULL, 'ann');
INSERT INTO fact VALUES (21, 1, 27, 'is', 28, NULL, 'Acme​ Corp is second', NULL, NULL, 1795921296528472, NULL, NULL, 'ann');
INSERT INTO fact VALUES (22, 1, 27, 'is', 29, NULL, 'Acme​ Corp is first', NULL, NULL, 1795921296531853, NULL, NULL, 'ann');
INSERT INTO fact VALUES (23, 1, 27, 'is', 30, NULL, 'Acme​ Corp is third', NULL, NULL, 1795921296536429, NULL, NULL, 'ann');
INSERT INTO fact VALUES (24, 1, 23, 'wrote', 31, NULL, 'Bob wrote draft', NULL, NULL, 1795921296540734, 1795921296545133, NULL, 'ann');
INSERT INTO fact VALUES (25, 1, 23, 'wrote', 32, NULL, 'Bob wrote final', NULL, NULL, 1795921296545133, NULL, NULL, 'ann');
INSERT INTO fact VALUES (26, 1, 23, 'met', 35, NULL, 'Bob met Time', NULL, NULL, 4133980800000000, NULL, NULL, 'ann');
INSERT INTO fact VALUES (27, 1, 23, 'is', 36, NULL, 'Bob is Back', NULL, NULL, 4133980800000001, NULL, NULL, 'ann');
INSERT INTO fact VALUES (3, 1, 5, 'makes', 6, NULL, 'Acme­ Corp makes thing 41636d65c2ad20436f7270', NULL, NULL, 1795921296467580, NULL, NULL, 'ann');
INSERT INTO fact VALUES (4, 1, 7, 'makes', 8, NULL, '﻿ACME Corp makes thing efbbbf41434d4520436f7270', NULL, NULL, 1795921296469077, NULL, NULL, 'ann');
INSERT INTO fact VALUES (5, 1, 9, 'makes', 10, NULL, 'Acme Corp‎ makes thing 41636d6520436f7270e2808e', NULL, NULL, 1795921296472302, NULL, NULL, 'ann');
INSERT INTO fact VALUES (6, 1, 11, 'knows', 12, NULL, 'O''Brien knows O’Brien', NULL, NULL, 1795921296474959, NULL, NULL, 'ann');
INSERT INTO fact VALUES (7, 1, 11, 'drinks', 13, NULL, 'O''Brien drinks Coca-Cola', NULL, NULL, 1795921296480005, NULL, NULL, 'ann');
INSERT INTO fact VALUES (8, 1, 12, 'drinks', 14, NULL, 'O’Brien drinks Coca‐Cola', NULL, NULL, 1795921296481279, NULL, NULL, 'ann');
INSERT INTO fact VALUES (9, 1, 15, 'café', 16, NULL, 'Ann café Oslo', 1577836800000000, NULL, 1795921296482569, NULL, NULL, 'ann');
INSERT INTO fact_evidence VALUES (1, NULL, NULL, 1.0, 'ann', 1795921296458383);
INSERT INTO fact_evidence VALUES (10, NULL, NULL, 1.0, 'ann', 1795921296483786);
INSERT INTO fact_evidence VALUES (11, NULL, NULL, 1.0, 'ann', 1795921296485204);
INSERT INTO fact_evidence VALUES (12, NULL, NULL, 1.0, 'ann', 1795921296488001);
INSERT INTO fact_evidence VALUES (13, NULL, NULL, 1.0, 'ann', 1795921296489344);
INSERT INTO fact_evidence VALUES (14, NULL, NULL, 1.0, 'ann', 1795921296490460);
INSERT INTO fact_evidence VALUES (15, NULL, NULL, 1.0, 'ann', 1795921296492249);
INSERT INTO fact_evidence VALUES (16, NULL, NULL, 1.0, 'ann', 1795921296494748);
INSERT INTO fact_evidence VALUES (17, NULL, NULL, 1.0, 'ann', 1795921296496598);
INSERT INTO fact_evidence VALUES (18, NULL, NULL, 1.0, 'ann', 1795921296494748);
INSERT INTO fact_evidence VALUES (2, NULL, NULL, 1.0, 'ann', 1795921296465993);
INSERT INTO fact_evidence VALUES (20, NULL, NULL, 1.0, 'ann', 1795921296526547);
INSERT INTO fact_evidence VALUES (21, 1, 'so it is', 1.0, 'ann', 1795921296528472);
INSERT INTO fact_evidence VALUES (22, 2, 'so it is', 1.0, 'ann', 1795921296531853);
INSERT INTO fact_evidence VALUES (23, 3, 'so it is', 1.0, 'ann', 1795921296536429);
INSERT INTO fact_evidence VALUES (24, 4, NULL, 1.0, 'ann', 1795921296540734);
INSERT INTO fact_evidence VALUES (25, 5, NULL, 1.0, 'ann', 1795921296545133);
INSERT INTO fact_evidence VALUES (26, NULL, NULL, 1.0, 'ann', 4133980800000000);
INSERT INTO fact_evidence VALUES (27, NULL, NULL, 1.0, 'ann', 4133980800000001);
INSERT INTO fact_evidence VALUES (3, NULL, NULL, 1.0, 'ann', 1795921296467580);
INSERT INTO fact_evidence VALUES (4, NULL, NULL, 1.0, 'ann', 1795921296469077);
INSERT INTO fact_evidence VALUES (5, NULL, NULL, 1.0, 'ann', 1795921296472302);
INSERT INTO fact_evidence VALUES (6, NULL, NULL, 1.0, 'ann', 1795921296474959);
INSERT INTO fact_evidence VALUES (7, NULL, NULL, 1.0, 'ann', 1795921296480005);
INSERT INTO fact_evidence VALUES (8, NULL, NULL, 1.0, 'ann', 1795921296481279);
INSERT INTO fact_evidence VALUES (9, NULL, NULL, 1.0, 'ann', 1795921296482569);
INSERT INTO vector_model VALUES (1, 'spelling', 4);
INSERT INTO vector VALUES (1, 1, 1, 'entity', 1, X'0C57ACBD3E82B73E0A05713E1444663F');
INSERT INTO vector VALUES (10, 1, 1, 'entity', 7, X'2D85D0BDF5B14B3F1B18143FD66B173E');
INSERT INTO vector VALUES (11, 1, 1, 'entity', 8, X'09CC10BFEE9509BF09B81EBFE163A93D');
INSERT INTO vector VALUES (12, 1, 1, 'fact', 4, X'B308E8BEEAEF133DEA195F3FB1503C3E');
INSERT INTO vector VALUES (13, 1, 1, 'entity', 9, X'BB93E7BD4CF8AA3E7CB598BEB11163BF');
INSERT INTO vector VALUES (14, 1, 1, 'entity', 10, X'078072BD17DB2B3F650CDA3EB48C1A3F');
INSERT INTO vector VALUES (15, 1, 1, 'fact', 5, X'221CD53EAF3B0A3FB9EA34BF469B413E');
INSERT INTO vector VALUES (16, 1, 1, 'entity', 11, X'13E0E2BE3341953ECDD237BF9AB7E63E');
INSERT INTO vector VALUES (17, 1, 1, 'entity', 12, X'25581B3FAEF7D73D40A3F63CB58849BF');
INSERT INTO vector VALUES (18, 1, 1, 'fact', 6, X'CDAA313E527796BE67A20C3FAB41433F');
INSERT INTO vector VALUES (19, 1, 1, 'entity', 13, X'B1AA6F3FFE7F4B3D4DBF8A3E197A5FBE');
INSERT INTO vector VALUES (2, 1, 1, 'entity', 2, X'62568FBE15854F3E32DD373F5D9A1ABF');
INSERT INTO vector VALUES (20, 1, 1, 'fact', 7, X'03C3863EA88720BF756D353E701F363F');
INSERT INTO vector VALUES (21, 1, 1, 'entity', 14, X'6370D2BEBF7946BE3ED8573F8128933E');
INSERT INTO vector VALUES (22, 1, 1, 'fact', 8, X'EA5A03BF25E2A53ECE983FBF4C0389BE');
INSERT INTO vector VALUES (23, 1, 1, 'entity', 15, X'3F27103F1F283CBF39CA0F3EF08FB3BE');
INSERT INTO vector VALUES (24, 1, 1, 'entity', 16, X'6E330E3FFFACF33DCFC280BED39A483F');
INSERT INTO vector VALUES (25, 1, 1, 'fact', 9, X'0756F93EB4D0203EC1FED53E5A2B403F');
INSERT INTO vector VALUES (26, 1, 1, 'fact', 10, X'0756F93EB4D0203EC1FED53E5A2B403F');
INSERT INTO vector VALUES (27, 1, 1, 'entity', 17, X'C12D66BF5B1BC03D3AC9963E2CA89E3E');
INSERT INTO vector VALUES (28, 1, 1, 'fact', 11, X'37A800BF516E66BE0EBB3EBFA8BBC03E');
INSERT INTO vector VALUES (29, 1, 1, 'fact', 12, X'656DFB3EB781283F8F5E0A3FDB403BBE');
INSERT INTO vector VALUES (3, 1, 1, 'fact', 1, X'CBE8C6BD0C2F613F646116BD75ABEDBE');
INSERT INTO vector VALUES (30, 1, 1, 'fact', 13, X'656DFB3EB781283F8F5E0A3FDB403BBE');
INSERT INTO vector VALUES (31, 1, 1, 'fact', 14, X'B82140BFDA0E24BF2F8968BCB99724BE');
INSERT INTO vector VALUES (32, 1, 1, 'fact', 15, X'B82140BFDA0E24BF2F8968BCB99724BE');
INSERT INTO vector VALUES (33, 1, 1, 'fact', 16, X'8EDC363E68915ABF1728B9BDB313F6BE');
INSERT INTO vector VALUES (34, 1, 1, 'fact', 17, X'3D408A3E3706AA3DC7EDB3BE138064BF');
INSERT INTO vector VALUES (35, 1, 1, 'fact', 18, X'8EDC363E68915ABF1728B9BDB313F6BE');
INSERT INTO vector VALUES (36, 1, 1, 'entity', 18, X'0DEC4D3F5FBE13BF5798DFBDE4E8B63D');
INSERT INTO vector VALUES (37, 1, 1, 'entity', 19, X'8209603E578E2A3F555F15BFE7BCD1BE');
INSERT INTO vector VALUES (38, 1, 1, 'entity', 20, X'3C5AE8BE8991D03E8C030D3F85DF113F');
INSERT INTO vector VALUES (39, 1, 1, 'entity', 21, X'E10A16BFDBD34EBFC79C78BD69AE023C');
INSERT INTO vector VALUES (4, 1, 1, 'entity', 3, X'C94994BDCA03D9BE840837BEB58C62BF');
INSERT INTO vector VALUES (40, 1, 1, 'entity', 22, X'E10A16BFDBD34EBFC79C78BD69AE023C');
INSERT INTO vector VALUES (41, 1, 1, 'entity', 23, X'400B563E1FF4643FCBCEA23E69DF703E');
INSERT INTO vector VALUES (42, 1, 1, 'entity', 25, X'DC560F3FCEF74E3FA95A383ED81AAF3C');
INSERT INTO vector VALUES (44, 1, 1, 'entity', 26, X'433B473F0199D5BD08FA543C447D1EBF');
INSERT INTO vector VALUES (45, 1, 1, 'fact', 20, X'BDD3763FC76AD63D413E68BED8F2B63D');
INSERT INTO vector VALUES (46, 1, 1, 'entity', 27, X'6D011A3F67B140BF6049883E95B9D4BC');
INSERT INTO vector VALUES (47, 1, 1, 'entity', 28, X'5C5BE8BE3306523E6CA95A3F684B19BE');
INSERT INTO vector VALUES (48, 1, 1, 'episode', 1, X'F56641BE5B49503EDB67653F9E4FB13E');
INSERT INTO vector VALUES (49, 1, 1, 'fact', 21, X'EFB5CDBD9E0902BFA55CB43CC9EF5A3F');
INSERT INTO vector VALUES (5, 1, 1, 'entity', 4, X'62D610BF7D7DCA3EFF4CD73E61BA16BF');
INSERT INTO vector VALUES (50, 1, 1, 'entity', 29, X'946FF63D2AEF433F08F4973EFCE90EBF');
INSERT INTO vector VALUES (51, 1, 1, 'episode', 2, X'B4C7C3BE305710BED9A4033FE92F413F');
INSERT INTO vector VALUES (52, 1, 1, 'fact', 22, X'B7C79DBE8ADC9E3E1C8B1F3F9EFA253F');
INSERT INTO vector VALUES (53, 1, 1, 'entity', 30, X'886A6E3FA0E9AABD4A4A5F3EE81F8F3E');
INSERT INTO vector VALUES (54, 1, 1, 'episode', 3, X'C64BDBBE7E66F0BE10B2C3BD322144BF');
INSERT INTO vector VALUES (55, 1, 1, 'fact', 23, X'B6F733BE01621A3E3102993E1B006D3F');
INSERT INTO vector VALUES (56, 1, 1, 'entity', 31, X'368E1A3FF95924BFF0DED43ECB1566BE');
INSERT INTO vector VALUES (57, 1, 1, 'episode', 4, X'368E1A3FF95924BFF0DED43ECB1566BE');
INSERT INTO vector VALUES (58, 1, 1, 'fact', 24, X'E199EB3BD9FB67BFB6E5D7BE2D72FEBC');
INSERT INTO vector VALUES (59, 1, 1, 'entity', 32, X'090C4B3F841A033F0450A83EDBE7C3BC');
INSERT INTO vector VALUES (6, 1, 1, 'fact', 2, X'12DCF4BED1A93EBFB5BFB63E32E8983E');
INSERT INTO vector VALUES (60, 1, 1, 'episode', 5, X'090C4B3F841A033F0450A83EDBE7C3BC');
INSERT INTO vector VALUES (61, 1, 1, 'fact', 25, X'F647F3BE1AD2A23EB430FBBE9E5628BF');
INSERT INTO vector VALUES (62, 1, 2, 'entity', 33, X'0C57ACBD3E82B73E0A05713E1444663F');
INSERT INTO vector VALUES (63, 1, 2, 'entity', 34, X'6D011A3F67B140BF6049883E95B9D4BC');
INSERT INTO vector VALUES (64, 1, 2, 'episode', 6, X'954E2B3F06FC87BD347F043F207207BF');
INSERT INTO vector VALUES (65, 1, 1, 'entity', 35, X'5A62FE3E6856273F5239183E8F180D3F');
INSERT INTO vector VALUES (66, 1, 1, 'fact', 26, X'E70ABB3E126999BE57D036BF473B04BF');
INSERT INTO vector VALUES (67, 1, 1, 'entity', 36, X'7DE4DF3E803145BF6C26DF3E347423BE');
INSERT INTO vector VALUES (68, 1, 1, 'fact', 27, X'7801F13EBA9C3C3FAD34C6BEE4EB95BE');
INSERT INTO vector VALUES (69, 1, 1, 'entity', 37, X'DDDB683F802AAF3EE21C51BE6D31F13D');
INSERT INTO vector VALUES (7, 1, 1, 'entity', 5, X'5B8E12BFDC6AC23EF2492ABF08CB953E');
INSERT INTO vector VALUES (8, 1, 1, 'entity', 6, X'458D4F3F13E1ACBE7288CF3E25E8813E');
INSERT INTO vector VALUES (9, 1, 1, 'fact', 3, X'25793D3FE2011A3FA36998BE81FC27BD');
INSERT INTO memory_event VALUES (1, 1795921296458383, 1, 'ann', 'create', 'entity', 1, NULL, NULL);
INSERT INTO memory_event VALUES (10, 1795921296469077, 1, 'ann', 'create', 'entity', 7, NULL, NULL);
INSERT INTO memory_event VALUES (11, 1795921296469077, 1, 'ann', 'create', 'entity', 8, NULL, NULL);
INSERT INTO memory_event VALUES (12, 1795921296469077, 1, 'ann', 'create', 'fact', 4, NULL, NULL);
INSERT INTO memory_event VALUES (13, 1795921296472302, 1, 'ann', 'create', 'entity', 9, NULL, NULL);
INSERT INTO memory_event VALUES (14, 1795921296472302, 1, 'ann', 'create', 'entity', 10, NULL, NULL);
INSERT INTO memory_event VALUES (15, 1795921296472302, 1, 'ann', 'create', 'fact', 5, NULL, NULL);
INSERT INTO memory_event VALUES (16, 1795921296474959, 1, 'ann', 'create', 'entity', 11, NULL, NULL);
INSERT INTO memory_event VALUES (17, 1795921296474959, 1, 'ann', 'create', 'entity', 12, NULL, NULL);
INSERT INTO memory_event VALUES (18, 1795921296474959, 1, 'ann', 'create', 'fact', 6, NULL, NULL);
INSERT INTO memory_event VALUES (19, 1795921296480005, 1, 'ann', 'create', 'entity', 13, NULL, NULL);
INSERT INTO memory_event VALUES (2, 1795921296458383, 1, 'ann', 'create', 'entity', 2, NULL, NULL);
INSERT INTO memory_event VALUES (20, 1795921296480005, 1, 'ann', 'create', 'fact', 7, NULL, NULL);
INSERT INTO memory_event VALUES (21, 1795921296481279, 1, 'ann', 'create', 'entity', 14, NULL, NULL);
INSERT INTO memory_event VALUES (22, 1795921296481279, 1, 'ann', 'create', 'fact', 8, NULL, NULL);
INSERT INTO memory_event VALUES (23, 1795921296482569, 1, 'ann', 'create', 'entity', 15, NULL, NULL);
INSERT INTO memory_event VALUES (24, 1795921296482569, 1, 'ann', 'create', 'entity', 16, NULL, NULL);
INSERT INTO memory_event VALUES (25, 1795921296482569, 1, 'ann', 'create', 'fact', 9, NULL, NULL);
INSERT INTO memory_event VALUES (26, 1795921296483786, 1, 'ann', 'create', 'fact', 10, NULL, NULL);
INSERT INTO memory_event VALUES (27, 1795921296485204, 1, 'ann', 'create', 'entity', 17, NULL, NULL);
INSERT INTO memory_event VALUES (28, 1795921296485204, 1, 'ann', 'create', 'fact', 11, NULL, NULL);
INSERT INTO memory_event VALUES (29, 1795921296485204, 1, 'ann', 'supersede', 'fact', 10, 11, NULL);
INSERT INTO memory_event VALUES (3, 1795921296458383, 1, 'ann', 'create', 'fact', 1, NULL, NULL);
INSERT INTO memory_event VALUES (30, 1795921296488001, 1, 'ann', 'create', 'fact', 12, NULL, NULL);
INSERT INTO memory_event VALUES (31, 1795921296489344, 1, 'ann', 'create', 'fact', 13, NULL, NULL);
INSERT INTO memory_event VALUES (32, 1795921296490460, 1, 'ann', 'create', 'fact', 14, NULL, NULL);
INSERT INTO memory_event VALUES (33, 1795921296492249, 1, 'ann', 'create', 'fact', 15, NULL, NULL);
INSERT INTO memory_event VALUES (34, 1795921296494748, 1, 'ann', 'create', 'fact', 16, NULL, NULL);
INSERT INTO memory_event VALUES (35, 1795921296496598, 1, 'ann', 'create', 'fact', 17, NULL, NULL);
INSERT INTO memory_event VALUES (36, 1795921296496598, 1, 'ann', 'supersede', 'fact', 16, 17, NULL);
INSERT INTO memory_event VALUES (37, 1795921296496598, 1, 'ann', 'create', 'fact', 18, 16, NULL);
INSERT INTO memory_event VALUES (38, 1795921296501684, 1, 'ann', 'create', 'entity', 18, NULL, NULL);
INSERT INTO memory_event VALUES (39, 1795921296504218, 1, 'ann', 'create', 'entity', 19, NULL, NULL);
INSERT INTO memory_event VALUES (4, 1795921296465993, 1, 'ann', 'create', 'entity', 3, NULL, NULL);
INSERT INTO memory_event VALUES (40, 1795921296506495, 1, 'ann', 'create', 'entity', 20, NULL, NULL);
INSERT INTO memory_event VALUES (41, 1795921296509708, 1, 'ann', 'create', 'entity', 21, NULL, NULL);
INSERT INTO memory_event VALUES (42, 1795921296511886, 1, 'ann', 'create', 'entity', 22, NULL, NULL);
INSERT INTO memory_event VALUES (43, 1795921296514469, 1, 'ann', 'create', 'entity', 23, NULL, NULL);
INSERT INTO memory_event VALUES (44, 1795921296517073, 1, 'ann', 'create', 'entity', 24, NULL, NULL);
INSERT INTO memory_event VALUES (45, 1795921296518810, 1, 'ann', 'merge', 'entity', 24, 23, NULL);
INSERT INTO memory_event VALUES (46, 1795921296518810, 1, 'ann', 'update', 'entity', 23, 24, NULL);
INSERT INTO memory_event VALUES (47, 1795921296524358, 1, 'ann', 'alias', 'entity', 23, NULL, NULL);
INSERT INTO memory_event VALUES (48, 1795921296525391, 1, 'ann', 'create', 'entity', 25, NULL, NULL);
INSERT INTO memory_event VALUES (49, 1795921296525391, 1, 'ann', 'create', 'fact', 19, NULL, NULL);
INSERT INTO memory_event VALUES (5, 1795921296465993, 1, 'ann', 'create', 'entity', 4, NULL, NULL);
INSERT INTO memory_event VALUES (50, 1795921296526547, 1, 'ann', 'create', 'entity', 26, NULL, NULL);
INSERT INTO memory_event VALUES (51, 1795921296526547, 1, 'ann', 'create', 'fact', 20, NULL, NULL);
INSERT INTO memory_event VALUES (52, 1795921296527059, 1, 'ann', 'retract', 'fact', 20, NULL, 'he is not');
INSERT INTO memory_event VALUES (53, 1795921296528472, 1, 'ann', 'create', 'entity', 27, NULL, NULL);
INSERT INTO memory_event VALUES (54, 1795921296528472, 1, 'ann', 'create', 'entity', 28, NULL, NULL);
INSERT INTO memory_event VALUES (55, 1795921296528472, 1, 'ann', 'create', 'episode', 1, NULL, NULL);
INSERT INTO memory_event VALUES (56, 1795921296528472, 1, 'ann', 'create', 'fact', 21, NULL, NULL);
INSERT INTO memory_event VALUES (57, 1795921296531853, 1, 'ann', 'create', 'entity', 29, NULL, NULL);
INSERT INTO memory_event VALUES (58, 1795921296531853, 1, 'ann', 'create', 'episode', 2, NULL, NULL);
INSERT INTO memory_event VALUES (59, 1795921296531853, 1, 'ann', 'create', 'fact', 22, NULL, NULL);
INSERT INTO memory_event VALUES (6, 1795921296465993, 1, 'ann', 'create', 'fact', 2, NULL, NULL);
INSERT INTO memory_event VALUES (60, 1795921296536429, 1, 'ann', 'create', 'entity', 30, NULL, NULL);
INSERT INTO memory_event VALUES (61, 1795921296536429, 1, 'ann', 'create', 'episode', 3, NULL, NULL);
INSERT INTO memory_event VALUES (62, 1795921296536429, 1, 'ann', 'create', 'fact', 23, NULL, NULL);
INSERT INTO memory_event VALUES (63, 1795921296540734, 1, 'ann', 'create', 'entity', 31, NULL, NULL);
INSERT INTO memory_event VALUES (64, 1795921296540734, 1, 'ann', 'create', 'episode', 4, NULL, NULL);
INSERT INTO memory_event VALUES (65, 1795921296540734, 1, 'ann', 'create', 'fact', 24, NULL, NULL);
INSERT INTO memory_event VALUES (66, 1795921296545133, 1, 'ann', 'create', 'entity', 32, NULL, NULL);
INSERT INTO memory_event VALUES (67, 1795921296545133, 1, 'ann', 'create', 'episode', 5, NULL, NULL);
INSERT INTO memory_event VALUES (68, 1795921296545133, 1, 'ann', 'supersede', 'episode', 4, 5, NULL);
INSERT INTO memory_event VALUES (69, 1795921296545133, 1, 'ann', 'create', 'fact', 25, NULL, NULL);
INSERT INTO memory_event VALUES (7, 1795921296467580, 1, 'ann', 'create', 'entity', 5, NULL, NULL);
INSERT INTO memory_event VALUES (70, 1795921296545133, 1, 'ann', 'expire', 'fact', 24, NULL, NULL);
INSERT INTO memory_event VALUES (71, 1795921296547556, 2, 'bot', 'create', 'entity', 33, NULL, NULL);
INSERT INTO memory_event VALUES (72, 1795921296547556, 2, 'bot', 'create', 'entity', 34, NULL, NULL);
INSERT INTO memory_event VALUES (73, 1795921296547556, 2, 'bot', 'create', 'episode', 6, NULL, NULL);
INSERT INTO memory_event VALUES (74, 1795921296548288, 1, 'ann', 'forget', 'fact', 19, NULL, NULL);
INSERT INTO memory_event VALUES (75, 4133980800000000, 1, 'ann', 'create', 'entity', 35, NULL, NULL);
INSERT INTO memory_event VALUES (76, 4133980800000000, 1, 'ann', 'create', 'fact', 26, NULL, NULL);
INSERT INTO memory_event VALUES (77, 4133980800000001, 1, 'ann', 'create', 'entity', 36, NULL, NULL);
INSERT INTO memory_event VALUES (78, 4133980800000001, 1, 'ann', 'create', 'fact', 27, NULL, NULL);
INSERT INTO memory_event VALUES (79, 4133980800000002, 1, NULL, 'create', 'entity', 37, NULL, NULL);
INSERT INTO memory_event VALUES (8, 1795921296467580, 1, 'ann', 'create', 'entity', 6, NULL, NULL);
INSERT INTO memory_event VALUES (80, 4133980800000003, 1, NULL, 'alias', 'entity', 23, NULL, NULL);
INSERT INTO memory_event VALUES (81, 4133980800000004, 1, NULL, 'alias', 'entity', 15, NULL, NULL);
INSERT INTO memory_event VALUES (9, 1795921296467580, 1, 'ann', 'create', 'fact', 3, NULL, NULL);
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES ('entity', 37);
INSERT INTO sqlite_sequence VALUES ('episode', 6);
INSERT INTO sqlite_sequence VALUES ('fact', 27);
INSERT INTO sqlite_sequence VALUES ('memory_event', 81);
INSERT INTO sqlite_sequence VALUES ('memory_namespace', 2);
INSERT INTO entity_words (entity_words) VALUES ('rebuild');
INSERT INTO episode_words (episode_words) VALUES ('rebuild');
INSERT INTO fact_words (fact_words) VALUES ('rebuild');
CREATE TRIGGER entity_words_insert AFTER INSERT ON entity BEGIN INSERT INTO entity_words (rowid, name, description) VALUES (new.id, new.name, new.description); END;
CREATE TRIGGER entity_words_delete AFTER DELETE ON entity BEGIN INSERT INTO entity_words (entity_words, rowid, name, description) VALUES ('delete', old.id, old.name, old.description); END;
CREATE TRIGGER entity_words_update AFTER UPDATE OF name, description ON entity BEGIN INSERT INTO entity_words (entity_words, rowid, name, description) VALUES ('delete', old.id, old.name, old.description); INSERT INTO entity_words (rowid, name, description) VALUES (new.id, new.name, new.description); END;
CREATE TRIGGER episode_words_insert AFTER INSERT ON episode BEGIN INSERT INTO episode_words (rowid, content) VALUES (new.id, new.content); END;
CREATE TRIGGER episode_words_delete AFTER DELETE ON episode BEGIN INSERT INTO episode_words (episode_words, rowid, content) VALUES ('delete', old.id, old.content); END;
CREATE TRIGGER episode_words_update AFTER UPDATE OF content ON episode BEGIN INSERT INTO episode_words (episode_words, rowid, content) VALUES ('delete', old.id, old.content); INSERT INTO episode_words (rowid, content) VALUES (new.id, new.content); END;
CREATE TRIGGER fact_words_insert AFTER INSERT ON fact BEGIN INSERT INTO fact_words (rowid, text) VALUES (new.id, new.text); END;
CREATE TRIGGER fact_words_delete AFTER DELETE ON fact BEGIN INSERT INTO fact_words (fact_words, rowid, text) VALUES ('delete', old.id, old.text); END;
CREATE TRIGGER fact_words_update AFTER UPDATE OF text ON fact BEGIN INSERT INTO fact_words (fact_words, rowid, text) VALUES ('delete', old.id, old.text); INSERT INTO fact_words (rowid, text) VALUES (new.id, new.text); END;
