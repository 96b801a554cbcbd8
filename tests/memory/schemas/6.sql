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
    , created_event INTEGER NOT NULL DEFAULT 0, other_names TEXT NOT NULL DEFAULT '', form TEXT, terms TEXT, established INTEGER);
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
    , created_event INTEGER NOT NULL DEFAULT 0, expired_event INTEGER, occurred_offset INTEGER, form TEXT, terms TEXT);
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
CREATE VIEW episode_searched (id, text, terms, scope) AS SELECT t.id, ifnull(t.form, t.content), t.terms, char(63728) || 'n' || t.namespace || iif(t.expired_at IS NULL, ' ' || char(63728) || 'b' || t.namespace, '') FROM episode t WHERE t.terms IS NOT NULL;
CREATE VIRTUAL TABLE episode_search USING fts5(text, terms, scope, content='episode_searched', content_rowid='id', tokenize='porter unicode61 remove_diacritics 2');
CREATE VIEW fact_searched (id, text, terms, scope) AS SELECT t.id, ifnull(t.form, t.text), t.terms, char(63728) || 'n' || t.namespace || iif(t.expired_at IS NULL, ' ' || char(63728) || 'b' || t.namespace, '') FROM fact t WHERE t.terms IS NOT NULL;
CREATE VIRTUAL TABLE fact_search USING fts5(text, terms, scope, content='fact_searched', content_rowid='id', tokenize='porter unicode61 remove_diacritics 2');
CREATE INDEX fact_of_time ON fact (created_at, subject, object);
CREATE INDEX episode_of_time ON episode (created_at);
INSERT INTO memory_migration VALUES (1, 'the memory graph', 1796039362039622);
INSERT INTO memory_migration VALUES (2, 'one order of knowledge, offsets, one normal form', 1796039362048464);
INSERT INTO memory_migration VALUES (3, 'words of all names', 1796039362049801);
INSERT INTO memory_migration VALUES (4, 'one form of words', 1796039362061715);
INSERT INTO memory_migration VALUES (5, 'implied entities', 1796039362064142);
INSERT INTO memory_migration VALUES (6, 'rows by time', 1796039362064459);
INSERT INTO memory_namespace VALUES (1, 'default');
INSERT INTO memory_namespace VALUES (2, 'mail');
INSERT INTO memory_meta VALUES ('model', '1');
INSERT INTO memory_meta VALUES ('normaliser', 'nfkc-casefold-2');
INSERT INTO memory_meta VALUES ('predicate normaliser', 'nfkc-casefold-2');
INSERT INTO entity VALUES (1, 1, 'Acme Corp', 'acme corp', NULL, '', '', '{}', 'ann', 1796039362081815, NULL, 1, '', NULL, '', 1);
INSERT INTO entity VALUES (10, 1, 'Oslo', 'oslo', NULL, '', '', '{}', 'ann', 1796039362099387, NULL, 16, '', NULL, '', 17);
INSERT INTO entity VALUES (11, 1, 'Bergen', 'bergen', NULL, '', '', '{}', 'ann', 1796039362102267, NULL, 19, '', NULL, '', 19);
INSERT INTO entity VALUES (12, 1, 'Apple', 'apple', 'company', 'company', 'company?', '{}', 'ann', 1796039362111175, NULL, 29, '', NULL, '', 29);
INSERT INTO entity VALUES (13, 1, 'Ap​ple', 'apple', 'fruit', 'fruit', 'fruit?', '{}', 'ann', 1796039362112356, NULL, 30, '', 'apple fruit? ', '', 30);
INSERT INTO entity VALUES (14, 1, 'Pear', 'pear', 'fr­uit', 'fruit', 'fr­uit?', '{}', 'ann', 1796039362113622, NULL, 31, '', 'pear fruit? ', '', 31);
INSERT INTO entity VALUES (15, 1, 'Bob', 'bob', NULL, '', '', '{}', 'ann', 1796039362114720, NULL, 32, 'bobby robert', NULL, '', 32);
INSERT INTO entity VALUES (16, 1, 'Robert', 'robert', NULL, '', '', '{}', 'ann', 1796039362115622, 15, 33, '', NULL, '', 33);
INSERT INTO entity VALUES (17, 1, 'Keys', 'keys', NULL, '', '', '{}', 'ann', 1796039362119734, NULL, 37, '', NULL, '', 37);
INSERT INTO entity VALUES (18, 1, 'Old', 'old', NULL, '', '', '{}', 'ann', 1796039362121210, NULL, 39, '', NULL, '', 39);
INSERT INTO entity VALUES (19, 1, 'second', 'second', NULL, '', '', '{}', 'ann', 1796039362123303, NULL, 42, '', NULL, '', 42);
INSERT INTO entity VALUES (2, 1, 'thing 41636d6520436f7270', 'thing 41636d6520436f7270', NULL, '', '', '{}', 'ann', 1796039362081815, NULL, 1, '', NULL, '', 2);
INSERT INTO entity VALUES (20, 1, 'first', 'first', NULL, '', '', '{}', 'ann', 1796039362125312, NULL, 45, '', NULL, '', 45);
INSERT INTO entity VALUES (21, 1, 'third', 'third', NULL, '', '', '{}', 'ann', 1796039362127098, NULL, 48, '', NULL, '', 48);
INSERT INTO entity VALUES (22, 1, 'draft', 'draft', NULL, '', '', '{}', 'ann', 1796039362128869, NULL, 51, '', NULL, '', 51);
INSERT INTO entity VALUES (23, 1, 'final', 'final', NULL, '', '', '{}', 'ann', 1796039362130653, NULL, 54, '', NULL, '', 54);
INSERT INTO entity VALUES (24, 2, 'Acme Corp', 'acme corp', NULL, '', '', '{}', 'bot', 1796039362133396, NULL, 59, '', NULL, '', 59);
INSERT INTO entity VALUES (25, 1, 'Time', 'time', NULL, '', '', '{}', 'ann', 4133980800000000, NULL, 62, '', NULL, '', 62);
INSERT INTO entity VALUES (26, 1, 'Back', 'back', NULL, '', '', '{}', 'ann', 1796039362137790, NULL, 64, '', NULL, '', 64);
INSERT INTO entity VALUES (3, 1, 'thing 4163e2808b6d6520436f7270', 'thing 4163e2808b6d6520436f7270', NULL, '', '', '{}', 'ann', 1796039362086189, NULL, 4, '', NULL, '', 4);
INSERT INTO entity VALUES (4, 1, 'thing 41636d65c2ad20436f7270', 'thing 41636d65c2ad20436f7270', NULL, '', '', '{}', 'ann', 1796039362088942, NULL, 6, '', NULL, '', 6);
INSERT INTO entity VALUES (5, 1, 'thing efbbbf41434d4520436f7270', 'thing efbbbf41434d4520436f7270', NULL, '', '', '{}', 'ann', 1796039362091025, NULL, 8, '', NULL, '', 8);
INSERT INTO entity VALUES (6, 1, 'thing 41636d6520436f7270e2808e', 'thing 41636d6520436f7270e2808e', NULL, '', '', '{}', 'ann', 1796039362092825, NULL, 10, '', NULL, '', 10);
INSERT INTO entity VALUES (7, 1, 'O''Brien', 'o''brien', NULL, '', '', '{}', 'ann', 1796039362094752, NULL, 12, '', NULL, '', 12);
INSERT INTO entity VALUES (8, 1, 'Coca-Cola', 'coca-cola', NULL, '', '', '{}', 'ann', 1796039362096636, NULL, 14, '', NULL, '', 14);
INSERT INTO entity VALUES (9, 1, 'Ann', 'ann', NULL, '', '', '{}', 'ann', 1796039362099387, NULL, 16, '', NULL, '', 16);
INSERT INTO entity_alias VALUES (1, 'acme corp', '', 1);
INSERT INTO entity_alias VALUES (1, 'ann', '', 9);
INSERT INTO entity_alias VALUES (1, 'apple', 'company', 12);
INSERT INTO entity_alias VALUES (1, 'apple', 'fruit', 13);
INSERT INTO entity_alias VALUES (1, 'back', '', 26);
INSERT INTO entity_alias VALUES (1, 'bergen', '', 11);
INSERT INTO entity_alias VALUES (1, 'bob', '', 15);
INSERT INTO entity_alias VALUES (1, 'bobby', '', 15);
INSERT INTO entity_alias VALUES (1, 'coca-cola', '', 8);
INSERT INTO entity_alias VALUES (1, 'draft', '', 22);
INSERT INTO entity_alias VALUES (1, 'final', '', 23);
INSERT INTO entity_alias VALUES (1, 'first', '', 20);
INSERT INTO entity_alias VALUES (1, 'keys', '', 17);
INSERT INTO entity_alias VALUES (1, 'o''brien', '', 7);
INSERT INTO entity_alias VALUES (1, 'old', '', 18);
INSERT INTO entity_alias VALUES (1, 'oslo', '', 10);
INSERT INTO entity_alias VALUES (1, 'pear', 'fruit', 14);
INSERT INTO entity_alias VALUES (1, 'robert', '', 15);
INSERT INTO entity_alias VALUES (1, 'second', '', 19);
INSERT INTO entity_alias VALUES (1, 'thing 41636d6520436f7270', '', 2);
INSERT INTO entity_alias VALUES (1, 'thing 41636d6520436f7270e2808e', '', 6);
INSERT INTO entity_alias VALUES (1, 'thing 41636d65c2ad20436f7270', '', 4);
INSERT INTO entity_alias VALUES (1, 'thing 4163e2808b6d6520436f7270', '', 3);
INSERT INTO entity_alias VALUES (1, 'thing efbbbf41434d4520436f7270', '', 5);
INSERT INTO entity_alias VALUES (1, 'third', '', 21);
INSERT INTO entity_alias VALUES (1, 'time', '', 25);
INSERT INTO entity_alias VALUES (2, 'acme corp', '', 24);
INSERT INTO entity_similar VALUES (1, 6, 8.88851702213287353515e-01);
INSERT INTO entity_similar VALUES (12, 13, 9.99999940395355224609e-01);
INSERT INTO entity_similar VALUES (15, 17, 9.02368068695068359375e-01);
INSERT INTO entity_similar VALUES (15, 25, 0.865373969078064);
INSERT INTO entity_similar VALUES (17, 23, 0.91680908203125);
INSERT INTO entity_similar VALUES (17, 25, 8.45202028751373291015e-01);
INSERT INTO entity_similar VALUES (2, 19, 8.72487843036651611328e-01);
INSERT INTO entity_similar VALUES (2, 3, 8.96132588386535644531e-01);
INSERT INTO entity_similar VALUES (22, 26, 9.75600957870483398437e-01);
INSERT INTO entity_similar VALUES (4, 12, 8.25428366661071777343e-01);
INSERT INTO entity_similar VALUES (4, 13, 8.25428366661071777343e-01);
INSERT INTO entity_similar VALUES (4, 21, 9.42552745342254638671e-01);
INSERT INTO entity_similar VALUES (4, 22, 8.17763984203338623046e-01);
INSERT INTO entity_similar VALUES (5, 14, 8.04010987281799316406e-01);
INSERT INTO entity_similar VALUES (6, 15, 8.65442991256713867187e-01);
INSERT INTO entity_similar VALUES (6, 25, 8.05443048477172851562e-01);
INSERT INTO entity_similar VALUES (8, 18, 8.62047076225280761718e-01);
INSERT INTO entity_similar VALUES (8, 21, 8.65832269191741943359e-01);
INSERT INTO entity_similar VALUES (8, 23, 8.62294852733612060546e-01);
INSERT INTO entity_similar VALUES (9, 12, 8.30472767353057861328e-01);
INSERT INTO entity_similar VALUES (9, 13, 8.30472767353057861328e-01);
INSERT INTO entity_similar VALUES (9, 22, 0.949004054069519);
INSERT INTO entity_similar VALUES (9, 26, 9.29569840431213378906e-01);
INSERT INTO episode VALUES (1, 1, NULL, 1, 'talk', 2, 'ann', NULL, 'the second', '{}', 1578009600000000, 1796039362123303, NULL, 42, NULL, 540, NULL, '0103 20200103 202001');
INSERT INTO episode VALUES (2, 1, NULL, 1, 'talk', 1, 'ann', NULL, 'the first', '{}', 1577923200000000, 1796039362125312, NULL, 45, NULL, 540, NULL, '0102 20200102 202001');
INSERT INTO episode VALUES (3, 1, NULL, 1, 'talk', 3, 'ann', NULL, 'the third', '{}', 1578096000000000, 1796039362127098, NULL, 48, NULL, 540, NULL, '0104 20200104 202001');
INSERT INTO episode VALUES (4, 1, 'paper', 1, NULL, NULL, 'ann', NULL, 'draft', '{"n": 1}', NULL, 1796039362128869, 1796039362130653, 51, 54, NULL, NULL, '');
INSERT INTO episode VALUES (5, 1, 'paper', 2, NULL, NULL, 'ann', NULL, 'final', '{"n": 1}', NULL, 1796039362130653, NULL, 54, NULL, NULL, NULL, '');
INSERT INTO episode VALUES (6, 2, NULL, 1, NULL, NULL, 'bot', NULL, 'of Acme', '{}', NULL, 1796039362133396, NULL, 59, NULL, NULL, NULL, '');
INSERT INTO mention VALUES (1, 1);
INSERT INTO mention VALUES (1, 2);
INSERT INTO mention VALUES (1, 3);
INSERT INTO mention VALUES (15, 4);
INSERT INTO mention VALUES (15, 5);
INSERT INTO mention VALUES (19, 1);
INSERT INTO mention VALUES (20, 2);
INSERT INTO mention VALUES (21, 3);
INSERT INTO mention VALUES (22, 4);
INSERT INTO mention VALUES (23, 5);
INSERT INTO mention VALUES (24, 6);
INSERT INTO vector_model VALUES (1, 'spelling', 4);
INSERT INTO vector VALUES (1, 1, 1, 'entity', 1, X'0C57ACBD3E82B73E0A05713E1444663F');
INSERT INTO vector VALUES (10, 1, 1, 'entity', 6, X'078072BD17DB2B3F650CDA3EB48C1A3F');
INSERT INTO vector VALUES (11, 1, 1, 'fact', 5, X'BE12B4BE9546503F9FE8A3BE6D47ABBE');
INSERT INTO vector VALUES (12, 1, 1, 'entity', 7, X'13E0E2BE3341953ECDD237BF9AB7E63E');
INSERT INTO vector VALUES (13, 1, 1, 'fact', 6, X'84B92A3E754D05BF561DFF3ED6422CBF');
INSERT INTO vector VALUES (14, 1, 1, 'entity', 8, X'B1AA6F3FFE7F4B3D4DBF8A3E197A5FBE');
INSERT INTO vector VALUES (15, 1, 1, 'fact', 7, X'03C3863EA88720BF756D353E701F363F');
INSERT INTO vector VALUES (16, 1, 1, 'entity', 9, X'3F27103F1F283CBF39CA0F3EF08FB3BE');
INSERT INTO vector VALUES (17, 1, 1, 'entity', 10, X'6E330E3FFFACF33DCFC280BED39A483F');
INSERT INTO vector VALUES (18, 1, 1, 'fact', 8, X'0756F93EB4D0203EC1FED53E5A2B403F');
INSERT INTO vector VALUES (19, 1, 1, 'entity', 11, X'C12D66BF5B1BC03D3AC9963E2CA89E3E');
INSERT INTO vector VALUES (2, 1, 1, 'entity', 2, X'62568FBE15854F3E32DD373F5D9A1ABF');
INSERT INTO vector VALUES (20, 1, 1, 'fact', 9, X'37A800BF516E66BE0EBB3EBFA8BBC03E');
INSERT INTO vector VALUES (21, 1, 1, 'fact', 10, X'656DFB3EB781283F8F5E0A3FDB403BBE');
INSERT INTO vector VALUES (22, 1, 1, 'fact', 11, X'B82140BFDA0E24BF2F8968BCB99724BE');
INSERT INTO vector VALUES (23, 1, 1, 'fact', 12, X'B82140BFDA0E24BF2F8968BCB99724BE');
INSERT INTO vector VALUES (24, 1, 1, 'fact', 13, X'8EDC363E68915ABF1728B9BDB313F6BE');
INSERT INTO vector VALUES (25, 1, 1, 'fact', 15, X'8EDC363E68915ABF1728B9BDB313F6BE');
INSERT INTO vector VALUES (26, 1, 1, 'fact', 14, X'3D408A3E3706AA3DC7EDB3BE138064BF');
INSERT INTO vector VALUES (27, 1, 1, 'entity', 12, X'0DEC4D3F5FBE13BF5798DFBDE4E8B63D');
INSERT INTO vector VALUES (28, 1, 1, 'entity', 13, X'0DEC4D3F5FBE13BF5798DFBDE4E8B63D');
INSERT INTO vector VALUES (29, 1, 1, 'entity', 14, X'E10A16BFDBD34EBFC79C78BD69AE023C');
INSERT INTO vector VALUES (3, 1, 1, 'fact', 1, X'CBE8C6BD0C2F613F646116BD75ABEDBE');
INSERT INTO vector VALUES (30, 1, 1, 'entity', 15, X'400B563E1FF4643FCBCEA23E69DF703E');
INSERT INTO vector VALUES (31, 1, 1, 'entity', 17, X'DC560F3FCEF74E3FA95A383ED81AAF3C');
INSERT INTO vector VALUES (33, 1, 1, 'entity', 18, X'433B473F0199D5BD08FA543C447D1EBF');
INSERT INTO vector VALUES (34, 1, 1, 'fact', 17, X'BDD3763FC76AD63D413E68BED8F2B63D');
INSERT INTO vector VALUES (35, 1, 1, 'entity', 19, X'5C5BE8BE3306523E6CA95A3F684B19BE');
INSERT INTO vector VALUES (36, 1, 1, 'episode', 1, X'F56641BE5B49503EDB67653F9E4FB13E');
INSERT INTO vector VALUES (37, 1, 1, 'fact', 18, X'87D9C1BE9107A53D3C14A73ED6C35C3F');
INSERT INTO vector VALUES (38, 1, 1, 'entity', 20, X'946FF63D2AEF433F08F4973EFCE90EBF');
INSERT INTO vector VALUES (39, 1, 1, 'episode', 2, X'B4C7C3BE305710BED9A4033FE92F413F');
INSERT INTO vector VALUES (4, 1, 1, 'entity', 3, X'62D610BF7D7DCA3EFF4CD73E61BA16BF');
INSERT INTO vector VALUES (40, 1, 1, 'fact', 19, X'ABE14F3FD238FA3E106370BE37285DBE');
INSERT INTO vector VALUES (41, 1, 1, 'entity', 21, X'886A6E3FA0E9AABD4A4A5F3EE81F8F3E');
INSERT INTO vector VALUES (42, 1, 1, 'episode', 3, X'C64BDBBE7E66F0BE10B2C3BD322144BF');
INSERT INTO vector VALUES (43, 1, 1, 'fact', 20, X'68D96FBEFC4938BE92613B3E790C703F');
INSERT INTO vector VALUES (44, 1, 1, 'entity', 22, X'368E1A3FF95924BFF0DED43ECB1566BE');
INSERT INTO vector VALUES (45, 1, 1, 'episode', 4, X'368E1A3FF95924BFF0DED43ECB1566BE');
INSERT INTO vector VALUES (46, 1, 1, 'fact', 21, X'E199EB3BD9FB67BFB6E5D7BE2D72FEBC');
INSERT INTO vector VALUES (47, 1, 1, 'entity', 23, X'090C4B3F841A033F0450A83EDBE7C3BC');
INSERT INTO vector VALUES (48, 1, 1, 'episode', 5, X'090C4B3F841A033F0450A83EDBE7C3BC');
INSERT INTO vector VALUES (49, 1, 1, 'fact', 22, X'F647F3BE1AD2A23EB430FBBE9E5628BF');
INSERT INTO vector VALUES (5, 1, 1, 'fact', 2, X'41E49D3E2EED543E95CAEF3EAE2B4D3F');
INSERT INTO vector VALUES (50, 1, 2, 'entity', 24, X'0C57ACBD3E82B73E0A05713E1444663F');
INSERT INTO vector VALUES (51, 1, 2, 'episode', 6, X'954E2B3F06FC87BD347F043F207207BF');
INSERT INTO vector VALUES (52, 1, 1, 'entity', 25, X'5A62FE3E6856273F5239183E8F180D3F');
INSERT INTO vector VALUES (53, 1, 1, 'fact', 23, X'E70ABB3E126999BE57D036BF473B04BF');
INSERT INTO vector VALUES (54, 1, 1, 'entity', 26, X'7DE4DF3E803145BF6C26DF3E347423BE');
INSERT INTO vector VALUES (55, 1, 1, 'fact', 24, X'7801F13EBA9C3C3FAD34C6BEE4EB95BE');
INSERT INTO vector VALUES (6, 1, 1, 'entity', 4, X'458D4F3F13E1ACBE7288CF3E25E8813E');
INSERT INTO vector VALUES (7, 1, 1, 'fact', 3, X'8014C73DA60E76BFD1FF183E9AC257BE');
INSERT INTO vector VALUES (8, 1, 1, 'entity', 5, X'09CC10BFEE9509BF09B81EBFE163A93D');
INSERT INTO vector VALUES (9, 1, 1, 'fact', 4, X'B087ED3C744E8F3E6B662A3FA4F2303F');
INSERT INTO memory_event VALUES (1, 1796039362081815, 1, 'ann', 'create', 'entity', 1, NULL, NULL);
INSERT INTO memory_event VALUES (10, 1796039362092825, 1, 'ann', 'create', 'entity', 6, NULL, NULL);
INSERT INTO memory_event VALUES (11, 1796039362092825, 1, 'ann', 'create', 'fact', 5, NULL, NULL);
INSERT INTO memory_event VALUES (12, 1796039362094752, 1, 'ann', 'create', 'entity', 7, NULL, NULL);
INSERT INTO memory_event VALUES (13, 1796039362094752, 1, 'ann', 'create', 'fact', 6, NULL, NULL);
INSERT INTO memory_event VALUES (14, 1796039362096636, 1, 'ann', 'create', 'entity', 8, NULL, NULL);
INSERT INTO memory_event VALUES (15, 1796039362096636, 1, 'ann', 'create', 'fact', 7, NULL, NULL);
INSERT INTO memory_event VALUES (16, 1796039362099387, 1, 'ann', 'create', 'entity', 9, NULL, NULL);
INSERT INTO memory_event VALUES (17, 1796039362099387, 1, 'ann', 'create', 'entity', 10, NULL, NULL);
INSERT INTO memory_event VALUES (18, 1796039362099387, 1, 'ann', 'create', 'fact', 8, NULL, NULL);
INSERT INTO memory_event VALUES (19, 1796039362102267, 1, 'ann', 'create', 'entity', 11, NULL, NULL);
INSERT INTO memory_event VALUES (2, 1796039362081815, 1, 'ann', 'create', 'entity', 2, NULL, NULL);
INSERT INTO memory_event VALUES (20, 1796039362102267, 1, 'ann', 'create', 'fact', 9, NULL, NULL);
INSERT INTO memory_event VALUES (21, 1796039362102267, 1, 'ann', 'supersede', 'fact', 8, 9, NULL);
INSERT INTO memory_event VALUES (22, 1796039362104491, 1, 'ann', 'create', 'fact', 10, NULL, NULL);
INSERT INTO memory_event VALUES (23, 1796039362106212, 1, 'ann', 'create', 'fact', 11, NULL, NULL);
INSERT INTO memory_event VALUES (24, 1796039362107158, 1, 'ann', 'create', 'fact', 12, NULL, NULL);
INSERT INTO memory_event VALUES (25, 1796039362107992, 1, 'ann', 'create', 'fact', 13, NULL, NULL);
INSERT INTO memory_event VALUES (26, 1796039362108738, 1, 'ann', 'create', 'fact', 14, NULL, NULL);
INSERT INTO memory_event VALUES (27, 1796039362108738, 1, 'ann', 'supersede', 'fact', 13, 14, NULL);
INSERT INTO memory_event VALUES (28, 1796039362108738, 1, 'ann', 'create', 'fact', 15, 13, NULL);
INSERT INTO memory_event VALUES (29, 1796039362111175, 1, 'ann', 'create', 'entity', 12, NULL, NULL);
INSERT INTO memory_event VALUES (3, 1796039362081815, 1, 'ann', 'create', 'fact', 1, NULL, NULL);
INSERT INTO memory_event VALUES (30, 1796039362112356, 1, 'ann', 'create', 'entity', 13, NULL, NULL);
INSERT INTO memory_event VALUES (31, 1796039362113622, 1, 'ann', 'create', 'entity', 14, NULL, NULL);
INSERT INTO memory_event VALUES (32, 1796039362114720, 1, 'ann', 'create', 'entity', 15, NULL, NULL);
INSERT INTO memory_event VALUES (33, 1796039362115622, 1, 'ann', 'create', 'entity', 16, NULL, NULL);
INSERT INTO memory_event VALUES (34, 1796039362116545, 1, 'ann', 'merge', 'entity', 16, 15, NULL);
INSERT INTO memory_event VALUES (35, 1796039362116545, 1, 'ann', 'update', 'entity', 15, 16, NULL);
INSERT INTO memory_event VALUES (36, 1796039362118366, 1, 'ann', 'alias', 'entity', 15, NULL, NULL);
INSERT INTO memory_event VALUES (37, 1796039362119734, 1, 'ann', 'create', 'entity', 17, NULL, NULL);
INSERT INTO memory_event VALUES (38, 1796039362119734, 1, 'ann', 'create', 'fact', 16, NULL, NULL);
INSERT INTO memory_event VALUES (39, 1796039362121210, 1, 'ann', 'create', 'entity', 18, NULL, NULL);
INSERT INTO memory_event VALUES (4, 1796039362086189, 1, 'ann', 'create', 'entity', 3, NULL, NULL);
INSERT INTO memory_event VALUES (40, 1796039362121210, 1, 'ann', 'create', 'fact', 17, NULL, NULL);
INSERT INTO memory_event VALUES (41, 1796039362121972, 1, 'ann', 'retract', 'fact', 17, NULL, 'he is not');
INSERT INTO memory_event VALUES (42, 1796039362123303, 1, 'ann', 'create', 'entity', 19, NULL, NULL);
INSERT INTO memory_event VALUES (43, 1796039362123303, 1, 'ann', 'create', 'episode', 1, NULL, NULL);
INSERT INTO memory_event VALUES (44, 1796039362123303, 1, 'ann', 'create', 'fact', 18, NULL, NULL);
INSERT INTO memory_event VALUES (45, 1796039362125312, 1, 'ann', 'create', 'entity', 20, NULL, NULL);
INSERT INTO memory_event VALUES (46, 1796039362125312, 1, 'ann', 'create', 'episode', 2, NULL, NULL);
INSERT INTO memory_event VALUES (47, 1796039362125312, 1, 'ann', 'create', 'fact', 19, NULL, NULL);
INSERT INTO memory_event VALUES (48, 1796039362127098, 1, 'ann', 'create', 'entity', 21, NULL, NULL);
INSERT INTO memory_event VALUES (49, 1796039362127098, 1, 'ann', 'create', 'episode', 3, NULL, NULL);
INSERT INTO memory_event VALUES (5, 1796039362086189, 1, 'ann', 'create', 'fact', 2, NULL, NULL);
INSERT INTO memory_event VALUES (50, 1796039362127098, 1, 'ann', 'create', 'fact', 20, NULL, NULL);
INSERT INTO memory_event VALUES (51, 1796039362128869, 1, 'ann', 'create', 'entity', 22, NULL, NULL);
INSERT INTO memory_event VALUES (52, 1796039362128869, 1, 'ann', 'create', 'episode', 4, NULL, NULL);
INSERT INTO memory_event VALUES (53, 1796039362128869, 1, 'ann', 'create', 'fact', 21, NULL, NULL);
INSERT INTO memory_event VALUES (54, 1796039362130653, 1, 'ann', 'create', 'entity', 23, NULL, NULL);
INSERT INTO memory_event VALUES (55, 1796039362130653, 1, 'ann', 'create', 'episode', 5, NULL, NULL);
INSERT INTO memory_event VALUES (56, 1796039362130653, 1, 'ann', 'supersede', 'episode', 4, 5, NULL);
INSERT INTO memory_event VALUES (57, 1796039362130653, 1, 'ann', 'create', 'fact', 22, NULL, NULL);
INSERT INTO memory_event VALUES (58, 1796039362130653, 1, 'ann', 'expire', 'fact', 21, NULL, NULL);
INSERT INTO memory_event VALUES (59, 1796039362133396, 2, 'bot', 'create', 'entity', 24, NULL, NULL);
INSERT INTO memory_event VALUES (6, 1796039362088942, 1, 'ann', 'create', 'entity', 4, NULL, NULL);
INSERT INTO memory_event VALUES (60, 1796039362133396, 2, 'bot', 'create', 'episode', 6, NULL, NULL);
INSERT INTO memory_event VALUES (61, 1796039362134061, 1, 'ann', 'forget', 'fact', 16, NULL, NULL);
INSERT INTO memory_event VALUES (62, 4133980800000000, 1, 'ann', 'create', 'entity', 25, NULL, NULL);
INSERT INTO memory_event VALUES (63, 4133980800000000, 1, 'ann', 'create', 'fact', 23, NULL, NULL);
INSERT INTO memory_event VALUES (64, 1796039362137790, 1, 'ann', 'create', 'entity', 26, NULL, NULL);
INSERT INTO memory_event VALUES (65, 1796039362137790, 1, 'ann', 'create', 'fact', 24, NULL, NULL);
INSERT INTO memory_event VALUES (7, 1796039362088942, 1, 'ann', 'create', 'fact', 3, NULL, NULL);
INSERT INTO memory_event VALUES (8, 1796039362091025, 1, 'ann', 'create', 'entity', 5, NULL, NULL);
INSERT INTO memory_event VALUES (9, 1796039362091025, 1, 'ann', 'create', 'fact', 4, NULL, NULL);
INSERT INTO memory_clock_back VALUES (64);
INSERT INTO fact VALUES (1, 1, 1, 'makes', NULL, 2, NULL, NULL, 'Acme Corp makes thing 41636d6520436f7270', NULL, NULL, NULL, NULL, 1796039362081815, 1, NULL, NULL, NULL, 'ann', NULL, '');
INSERT INTO fact VALUES (10, 1, 9, 'says', NULL, NULL, '"café"', NULL, 'Ann says café', NULL, NULL, NULL, NULL, 1796039362104491, 22, NULL, NULL, NULL, 'ann', 'ann says cafe', '');
INSERT INTO fact VALUES (11, 1, 9, 'says', NULL, NULL, '"10²"', NULL, 'Ann says 10²', NULL, NULL, NULL, NULL, 1796039362106212, 23, NULL, NULL, NULL, 'ann', 'ann says 102', '');
INSERT INTO fact VALUES (12, 1, 9, 'says', NULL, NULL, '"102"', NULL, 'Ann says 102', NULL, NULL, NULL, NULL, 1796039362107158, 24, NULL, NULL, NULL, 'ann', NULL, '');
INSERT INTO fact VALUES (13, 1, 9, 'age', NULL, NULL, '7', NULL, 'Ann age 7', 1577923200000000, NULL, 1578614400000000, NULL, 1796039362107992, 25, 1796039362108738, 26, 14, 'ann', NULL, '');
INSERT INTO fact VALUES (14, 1, 9, 'age', NULL, NULL, '8', NULL, 'Ann age 8', 1578268800000000, NULL, NULL, NULL, 1796039362108738, 26, NULL, NULL, NULL, 'ann', NULL, '');
INSERT INTO fact VALUES (15, 1, 9, 'age', NULL, NULL, '7', NULL, 'Ann age 7', 1577923200000000, NULL, 1578268800000000, NULL, 1796039362108738, 26, NULL, NULL, NULL, 'ann', NULL, '');
INSERT INTO fact VALUES (17, 1, 15, 'is', NULL, 18, NULL, NULL, 'Bob is Old', NULL, NULL, NULL, NULL, 1796039362121210, 39, 1796039362121972, 41, NULL, 'ann', NULL, '');
INSERT INTO fact VALUES (18, 1, 1, 'is', NULL, 19, NULL, NULL, 'Acme​ Corp is second', NULL, NULL, NULL, NULL, 1796039362123303, 42, NULL, NULL, NULL, 'ann', 'acme corp is second', 'so it is');
INSERT INTO fact VALUES (19, 1, 1, 'is', NULL, 20, NULL, NULL, 'Acme​ Corp is first', NULL, NULL, NULL, NULL, 1796039362125312, 45, NULL, NULL, NULL, 'ann', 'acme corp is first', 'so it is');
INSERT INTO fact VALUES (2, 1, 1, 'makes', NULL, 3, NULL, NULL, 'Ac​me Corp makes thing 4163e2808b6d6520436f7270', NULL, NULL, NULL, NULL, 1796039362086189, 4, NULL, NULL, NULL, 'ann', 'acme corp makes thing 4163e2808b6d6520436f7270', '');
INSERT INTO fact VALUES (20, 1, 1, 'is', NULL, 21, NULL, NULL, 'Acme​ Corp is third', NULL, NULL, NULL, NULL, 1796039362127098, 48, NULL, NULL, NULL, 'ann', 'acme corp is third', 'so it is');
INSERT INTO fact VALUES (21, 1, 15, 'wrote', NULL, 22, NULL, NULL, 'Bob wrote draft', NULL, NULL, NULL, NULL, 1796039362128869, 51, 1796039362130653, 54, NULL, 'ann', NULL, '');
INSERT INTO fact VALUES (22, 1, 15, 'wrote', NULL, 23, NULL, NULL, 'Bob wrote final', NULL, NULL, NULL, NULL, 1796039362130653, 54, NULL, NULL, NULL, 'ann', NULL, '');
INSERT INTO fact VALUES (23, 1, 15, 'met', NULL, 25, NULL, NULL, 'Bob met Time', NULL, NULL, NULL, NULL, 4133980800000000, 62, NULL, NULL, NULL, 'ann', NULL, '');
INSERT INTO fact VALUES (24, 1, 15, 'is', NULL, 26, NULL, NULL, 'Bob is Back', NULL, NULL, NULL, NULL, 1796039362137790, 64, NULL, NULL, NULL, 'ann', NULL, '');
INSERT INTO fact VALUES (3, 1, 1, 'makes', NULL, 4, NULL, NULL, 'Acme­ Corp makes thing 41636d65c2ad20436f7270', NULL, NULL, NULL, NULL, 1796039362088942, 6, NULL, NULL, NULL, 'ann', 'acme corp makes thing 41636d65c2ad20436f7270', '');
INSERT INTO fact VALUES (4, 1, 1, 'makes', NULL, 5, NULL, NULL, '﻿ACME Corp makes thing efbbbf41434d4520436f7270', NULL, NULL, NULL, NULL, 1796039362091025, 8, NULL, NULL, NULL, 'ann', 'acme corp makes thing efbbbf41434d4520436f7270', '');
INSERT INTO fact VALUES (5, 1, 1, 'makes', NULL, 6, NULL, NULL, 'Acme Corp‎ makes thing 41636d6520436f7270e2808e', NULL, NULL, NULL, NULL, 1796039362092825, 10, NULL, NULL, NULL, 'ann', 'acme corp makes thing 41636d6520436f7270e2808e', '');
INSERT INTO fact VALUES (6, 1, 7, 'knows', NULL, 7, NULL, NULL, 'O''Brien knows O’Brien', NULL, NULL, NULL, NULL, 1796039362094752, 12, NULL, NULL, NULL, 'ann', 'o''brien knows o’brien', '');
INSERT INTO fact VALUES (7, 1, 7, 'drinks', NULL, 8, NULL, NULL, 'O''Brien drinks Coca-Cola', NULL, NULL, NULL, NULL, 1796039362096636, 14, NULL, NULL, NULL, 'ann', NULL, '');
INSERT INTO fact VALUES (8, 1, 9, 'café', NULL, 10, NULL, NULL, 'Ann café Oslo', 1577836800000000, NULL, NULL, NULL, 1796039362099387, 16, 1796039362102267, 19, 9, 'ann', 'ann cafe oslo', '');
INSERT INTO fact VALUES (9, 1, 9, 'café', 'café', 11, NULL, NULL, 'Ann café Bergen', 1577836800000000, NULL, NULL, NULL, 1796039362102267, 19, NULL, NULL, NULL, 'ann', 'ann cafe bergen', '');
INSERT INTO fact_evidence VALUES (1, 1, NULL, NULL, 1.0, 'ann', 1796039362081815);
INSERT INTO fact_evidence VALUES (10, 10, NULL, NULL, 1.0, 'ann', 1796039362104491);
INSERT INTO fact_evidence VALUES (11, 11, NULL, NULL, 1.0, 'ann', 1796039362106212);
INSERT INTO fact_evidence VALUES (12, 12, NULL, NULL, 1.0, 'ann', 1796039362107158);
INSERT INTO fact_evidence VALUES (13, 13, NULL, NULL, 1.0, 'ann', 1796039362107992);
INSERT INTO fact_evidence VALUES (14, 15, NULL, NULL, 1.0, 'ann', 1796039362107992);
INSERT INTO fact_evidence VALUES (15, 14, NULL, NULL, 1.0, 'ann', 1796039362108738);
INSERT INTO fact_evidence VALUES (17, 17, NULL, NULL, 1.0, 'ann', 1796039362121210);
INSERT INTO fact_evidence VALUES (18, 18, 1, 'so it is', 1.0, 'ann', 1796039362123303);
INSERT INTO fact_evidence VALUES (19, 19, 2, 'so it is', 1.0, 'ann', 1796039362125312);
INSERT INTO fact_evidence VALUES (2, 2, NULL, NULL, 1.0, 'ann', 1796039362086189);
INSERT INTO fact_evidence VALUES (20, 20, 3, 'so it is', 1.0, 'ann', 1796039362127098);
INSERT INTO fact_evidence VALUES (21, 21, 4, NULL, 1.0, 'ann', 1796039362128869);
INSERT INTO fact_evidence VALUES (22, 22, 5, NULL, 1.0, 'ann', 1796039362130653);
INSERT INTO fact_evidence VALUES (23, 23, NULL, NULL, 1.0, 'ann', 4133980800000000);
INSERT INTO fact_evidence VALUES (24, 24, NULL, NULL, 1.0, 'ann', 1796039362137790);
INSERT INTO fact_evidence VALUES (3, 3, NULL, NULL, 1.0, 'ann', 1796039362088942);
INSERT INTO fact_evidence VALUES (4, 4, NULL, NULL, 1.0, 'ann', 1796039362091025);
INSERT INTO fact_evidence VALUES (5, 5, NULL, NULL, 1.0, 'ann', 1796039362092825);
INSERT INTO fact_evidence VALUES (6, 6, NULL, NULL, 1.0, 'ann', 1796039362094752);
INSERT INTO fact_evidence VALUES (7, 7, NULL, NULL, 1.0, 'ann', 1796039362096636);
INSERT INTO fact_evidence VALUES (8, 8, NULL, NULL, 1.0, 'ann', 1796039362099387);
INSERT INTO fact_evidence VALUES (9, 9, NULL, NULL, 1.0, 'ann', 1796039362102267);
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES ('entity', 26);
INSERT INTO sqlite_sequence VALUES ('episode', 6);
INSERT INTO sqlite_sequence VALUES ('fact', 24);
INSERT INTO sqlite_sequence VALUES ('memory_event', 65);
INSERT INTO sqlite_sequence VALUES ('memory_namespace', 3);
INSERT INTO entity_search (entity_search) VALUES ('rebuild');
INSERT INTO episode_search (episode_search) VALUES ('rebuild');
INSERT INTO fact_search (fact_search) VALUES ('rebuild');
CREATE TRIGGER entity_search_insert AFTER INSERT ON entity BEGIN INSERT INTO entity_search (rowid, text, terms, scope) SELECT new.id, ifnull(new.form, new.name || ' ' || new.description || ' ' || new.other_names), new.terms, char(63728) || 'n' || new.namespace || iif(new.merged_into IS NULL, ' ' || char(63728) || 'b' || new.namespace, '') WHERE new.terms IS NOT NULL; END;
CREATE TRIGGER entity_search_delete AFTER DELETE ON entity BEGIN INSERT INTO entity_search (entity_search, rowid, text, terms, scope) SELECT 'delete', old.id, ifnull(old.form, old.name || ' ' || old.description || ' ' || old.other_names), old.terms, char(63728) || 'n' || old.namespace || iif(old.merged_into IS NULL, ' ' || char(63728) || 'b' || old.namespace, '') WHERE old.terms IS NOT NULL; END;
CREATE TRIGGER entity_search_update AFTER UPDATE OF form, terms, namespace, merged_into, name, description, other_names ON entity BEGIN INSERT INTO entity_search (entity_search, rowid, text, terms, scope) SELECT 'delete', old.id, ifnull(old.form, old.name || ' ' || old.description || ' ' || old.other_names), old.terms, char(63728) || 'n' || old.namespace || iif(old.merged_into IS NULL, ' ' || char(63728) || 'b' || old.namespace, '') WHERE old.terms IS NOT NULL; INSERT INTO entity_search (rowid, text, terms, scope) SELECT new.id, ifnull(new.form, new.name || ' ' || new.description || ' ' || new.other_names), new.terms, char(63728) || 'n' || new.namespace || iif(new.merged_into IS NULL, ' ' || char(63728) || 'b' || new.namespace, '') WHERE new.terms IS NOT NULL; END;
CREATE TRIGGER episode_search_insert AFTER INSERT ON episode BEGIN INSERT INTO episode_search (rowid, text, terms, scope) SELECT new.id, ifnull(new.form, new.content), new.terms, char(63728) || 'n' || new.namespace || iif(new.expired_at IS NULL, ' ' || char(63728) || 'b' || new.namespace, '') WHERE new.terms IS NOT NULL; END;
CREATE TRIGGER episode_search_delete AFTER DELETE ON episode BEGIN INSERT INTO episode_search (episode_search, rowid, text, terms, scope) SELECT 'delete', old.id, ifnull(old.form, old.content), old.terms, char(63728) || 'n' || old.namespace || iif(old.expired_at IS NULL, ' ' || char(63728) || 'b' || old.namespace, '') WHERE old.terms IS NOT NULL; END;
CREATE TRIGGER episode_search_update AFTER UPDATE OF form, terms, namespace, expired_at, content ON episode BEGIN INSERT INTO episode_search (episode_search, rowid, text, terms, scope) SELECT 'delete', old.id, ifnull(old.form, old.content), old.terms, char(63728) || 'n' || old.namespace || iif(old.expired_at IS NULL, ' ' || char(63728) || 'b' || old.namespace, '') WHERE old.terms IS NOT NULL; INSERT INTO episode_search (rowid, text, terms, scope) SELECT new.id, ifnull(new.form, new.content), new.terms, char(63728) || 'n' || new.namespace || iif(new.expired_at IS NULL, ' ' || char(63728) || 'b' || new.namespace, '') WHERE new.terms IS NOT NULL; END;
CREATE TRIGGER fact_search_insert AFTER INSERT ON fact BEGIN INSERT INTO fact_search (rowid, text, terms, scope) SELECT new.id, ifnull(new.form, new.text), new.terms, char(63728) || 'n' || new.namespace || iif(new.expired_at IS NULL, ' ' || char(63728) || 'b' || new.namespace, '') WHERE new.terms IS NOT NULL; END;
CREATE TRIGGER fact_search_delete AFTER DELETE ON fact BEGIN INSERT INTO fact_search (fact_search, rowid, text, terms, scope) SELECT 'delete', old.id, ifnull(old.form, old.text), old.terms, char(63728) || 'n' || old.namespace || iif(old.expired_at IS NULL, ' ' || char(63728) || 'b' || old.namespace, '') WHERE old.terms IS NOT NULL; END;
CREATE TRIGGER fact_search_update AFTER UPDATE OF form, terms, namespace, expired_at, text ON fact BEGIN INSERT INTO fact_search (fact_search, rowid, text, terms, scope) SELECT 'delete', old.id, ifnull(old.form, old.text), old.terms, char(63728) || 'n' || old.namespace || iif(old.expired_at IS NULL, ' ' || char(63728) || 'b' || old.namespace, '') WHERE old.terms IS NOT NULL; INSERT INTO fact_search (rowid, text, terms, scope) SELECT new.id, ifnull(new.form, new.text), new.terms, char(63728) || 'n' || new.namespace || iif(new.expired_at IS NULL, ' ' || char(63728) || 'b' || new.namespace, '') WHERE new.terms IS NOT NULL; END;
