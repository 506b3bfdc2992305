-- Every door that a PostgreSQL table has: what happens there when the table is a tag table. doc/compatibility.md is the same list.
-- What is refused for any row or index stands in refused.sql; servers, dumps and replication in test/t.
\set SHOW_CONTEXT never
CREATE FUNCTION points(text, int) RETURNS TABLE (name text, "time" timestamptz, value float8) LANGUAGE sql AS
    $$ SELECT $1, timestamptz '2026-01-01 00:00+00' + i * interval '1 minute', i FROM generate_series(1, $2) i $$;
CREATE TABLE t (name text, time timestamptz, value float8) USING tag;
INSERT INTO t SELECT * FROM points('a', 10);

-- DOOR: TRUNCATE, in a transaction of its own, in the creating one, after a savepoint, with RESTART IDENTITY
CREATE TABLE numbered (id int GENERATED ALWAYS AS IDENTITY, at timestamptz DEFAULT '2026-01-01', name text) USING tag;
INSERT INTO numbered (name) VALUES ('a'), ('b');
BEGIN;
TRUNCATE numbered RESTART IDENTITY;
INSERT INTO numbered (name) VALUES ('c');
SELECT id, name FROM numbered;
ROLLBACK;
SELECT id, name FROM numbered ORDER BY id;
TRUNCATE numbered RESTART IDENTITY;
INSERT INTO numbered (name) VALUES ('d');
SELECT id, name FROM numbered;
BEGIN;
CREATE TABLE young (name text, time timestamptz, value float8) USING tag;
INSERT INTO young SELECT * FROM points('a', 10000);
TRUNCATE young;
INSERT INTO young SELECT * FROM points('b', 2);
SAVEPOINT s;
TRUNCATE young;
SELECT count(*) FROM young;
ROLLBACK TO s;
COMMIT;
SELECT name, count(*) FROM young GROUP BY name;
DROP TABLE young, numbered;

-- DOOR: CREATE TABLE LIKE INCLUDING ALL; a primary key or index of the source is refused
CREATE TABLE source (id int PRIMARY KEY, at timestamptz DEFAULT '2026-01-01' NOT NULL, v int CHECK (v > 0) DEFAULT 7);
COMMENT ON COLUMN source.v IS 'a value';
CREATE TABLE alike (LIKE source INCLUDING ALL) USING tag;
CREATE TABLE alike (LIKE source INCLUDING ALL EXCLUDING INDEXES) USING tag;
INSERT INTO alike (id) VALUES (1);
INSERT INTO alike (id, v) VALUES (1, 0);
SELECT id, v, col_description('alike'::regclass, 3) FROM alike;
DROP TABLE source, alike;

-- DOOR: ADD, DROP COLUMN, ALTER COLUMN TYPE with and without a rewrite; the tag and the time stay what they are
CREATE TABLE changed (name varchar(10), time timestamptz, value int, seen bigint) USING tag;
INSERT INTO changed SELECT name, time, value, 0 FROM points('a', 3);
CALL compact('changed');
INSERT INTO changed SELECT name, time, value, 0 FROM points('b', 3);
ALTER TABLE changed ADD COLUMN quality int DEFAULT 192 NOT NULL, ADD COLUMN note text;
ALTER TABLE changed ADD COLUMN stamp uuid DEFAULT gen_random_uuid();
ALTER TABLE changed ALTER COLUMN name TYPE text;
ALTER TABLE changed ALTER COLUMN value TYPE numeric(10, 2) USING value / 4.0;
CALL compact('changed');
SELECT name, sum(value), min(quality), count(note), count(DISTINCT stamp) FROM changed GROUP BY name ORDER BY name;
SELECT count(*) FROM changed WHERE name = 'a';
ALTER TABLE changed DROP COLUMN value, DROP COLUMN stamp;
INSERT INTO changed VALUES ('c', '2026-01-01 00:00+00', 1, 2, 'x');
SELECT name, seen, quality, note FROM changed WHERE name >= 'b' ORDER BY name, time;
ALTER TABLE changed ALTER COLUMN time TYPE timestamp USING time AT TIME ZONE 'UTC';
SELECT count(*) FROM changed WHERE time > '2026-01-01 00:01';
ALTER TABLE changed ALTER COLUMN time TYPE date;
CREATE TABLE two_times (a bigint, first timestamptz, second timestamptz) USING tag;
ALTER TABLE two_times ALTER COLUMN first TYPE text;
ALTER TABLE two_times ALTER COLUMN a TYPE timestamptz USING to_timestamp(a);
ALTER TABLE two_times DROP COLUMN first;
CREATE DOMAIN stamp AS timestamptz;
CREATE TABLE by_domain (a stamp, time timestamptz) USING tag;
ALTER TABLE by_domain ALTER COLUMN a TYPE timestamptz;
SELECT historian_check('changed') ~ ' 7 rows' AS checked;
DO $$ BEGIN
    BEGIN ALTER TABLE changed DROP COLUMN name, DROP COLUMN nowhere;
    EXCEPTION WHEN undefined_column THEN RAISE NOTICE 'caught: %', SQLERRM;
    END;
    BEGIN ALTER TABLE changed DROP COLUMN name;
    EXCEPTION WHEN feature_not_supported THEN RAISE NOTICE 'caught: %', SQLERRM;
    END;
END $$;
SELECT count(name) FROM changed;
DROP TABLE changed, two_times, by_domain;
DROP DOMAIN stamp;

-- DOOR: DROP: of the table, its schema, its owner's things, the type of its tag with or without it
CREATE SCHEMA leaving;
CREATE TABLE leaving.later_type (tag int, time timestamptz) USING tag;
CREATE TYPE leaving.mood AS ENUM ('good', 'bad');
CREATE TABLE leaving.of_mood (tag leaving.mood, time timestamptz) USING tag;
INSERT INTO leaving.of_mood VALUES ('good', '2026-01-01 00:00+00');
DROP TYPE leaving.mood CASCADE;
SELECT count(tag) FROM leaving.of_mood WHERE tag = 'good';
ALTER TABLE leaving.later_type ALTER COLUMN tag TYPE leaving.mood USING NULL;
SET client_min_messages = warning;
DROP SCHEMA leaving CASCADE;
RESET client_min_messages;
CREATE ROLE historian_leaver;
CREATE TABLE left_behind (name text, time timestamptz) USING tag;
ALTER TABLE left_behind OWNER TO historian_leaver;
DROP OWNED BY historian_leaver;
DROP ROLE historian_leaver;
SELECT to_regclass('left_behind');

-- DOOR: RENAME of table, column, constraint; SET SCHEMA; OWNER TO; COMMENT; LOCK TABLE
CREATE TABLE called (name text CONSTRAINT named CHECK (name <> ''), time timestamptz) USING tag;
INSERT INTO called VALUES ('a', '2026-01-01 00:00+00');
ALTER TABLE called RENAME COLUMN name TO sensor;
ALTER TABLE called RENAME CONSTRAINT named TO not_empty;
ALTER TABLE called RENAME TO recalled;
CREATE SCHEMA elsewhere;
ALTER TABLE recalled SET SCHEMA elsewhere;
CREATE ROLE historian_owner;
GRANT ALL ON SCHEMA elsewhere TO historian_owner;
ALTER TABLE elsewhere.recalled OWNER TO historian_owner;
COMMENT ON TABLE elsewhere.recalled IS 'renamed';
SET ROLE historian_owner;
INSERT INTO elsewhere.recalled VALUES ('b', '2026-01-01 00:00+00');
CALL compact('elsewhere.recalled');
BEGIN;
LOCK TABLE elsewhere.recalled IN ACCESS EXCLUSIVE MODE;
SELECT sensor FROM elsewhere.recalled ORDER BY 1;
COMMIT;
RESET ROLE;
DROP SCHEMA elsewhere CASCADE;
DROP ROLE historian_owner;

-- DOOR: defaults, generated and identity columns, serial
CREATE SEQUENCE counter;
CREATE TABLE made (name text DEFAULT 'x', time timestamptz DEFAULT '2026-01-01 00:00+00', n bigint DEFAULT nextval('counter'), s serial,
    double_n bigint GENERATED ALWAYS AS (n * 2) STORED, id int GENERATED BY DEFAULT AS IDENTITY) USING tag;
INSERT INTO made DEFAULT VALUES;
INSERT INTO made (name, id) VALUES ('y', 100);
INSERT INTO made (double_n) VALUES (1);
COPY made (name) FROM stdin;
z
\.
ALTER TABLE made ALTER COLUMN name SET DEFAULT 'w', ALTER COLUMN n DROP DEFAULT;
INSERT INTO made DEFAULT VALUES;
SELECT name, n, s, double_n, id FROM made ORDER BY s;
DROP TABLE made;
DROP SEQUENCE counter;

-- DOOR: CHECK, NOT NULL, NOT VALID and VALIDATE
INSERT INTO t VALUES ('negative', '2026-01-01 00:00+00', -1), (NULL, '2026-01-01 00:00+00', 1);
ALTER TABLE t ADD CONSTRAINT positive CHECK (value > 0) NOT VALID;
INSERT INTO t VALUES ('negative', '2026-01-01 00:00+00', -2);
ALTER TABLE t VALIDATE CONSTRAINT positive;
ALTER TABLE t ALTER COLUMN name SET NOT NULL;
ALTER TABLE t DROP CONSTRAINT positive;
TRUNCATE t;
INSERT INTO t SELECT * FROM points('a', 10);
ALTER TABLE t ALTER COLUMN name SET NOT NULL, ADD CONSTRAINT positive CHECK (value > 0);
CALL compact('t');
INSERT INTO t VALUES (NULL, '2026-01-01 00:00+00', 1);
INSERT INTO t VALUES ('b', '2026-01-01 00:00+00', 0);
ALTER TABLE t ALTER COLUMN name DROP NOT NULL, DROP CONSTRAINT positive;

-- DOOR: triggers on INSERT and TRUNCATE, of rows and statements, with transition tables; constraint triggers at COMMIT
CREATE TABLE watched (name text, time timestamptz, value float8) USING tag;
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_LEVEL = 'ROW' THEN RAISE NOTICE '% % %: %', TG_NAME, TG_WHEN, TG_OP, NEW.name;
    ELSE RAISE NOTICE '% % %', TG_NAME, TG_WHEN, TG_OP;
    END IF;
    RETURN CASE WHEN TG_LEVEL = 'ROW' THEN NEW END;
END $$;
CREATE FUNCTION tell_new_rows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE NOTICE '% new rows, sum %, of % in all', (SELECT count(*) FROM new_rows), (SELECT sum(value) FROM new_rows), (SELECT count(*) FROM watched);
    RETURN NULL;
END $$;
CREATE FUNCTION upper_name() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN NEW.name := upper(NEW.name); RETURN CASE WHEN NEW.value < 100 THEN NEW END; END $$;
CREATE TRIGGER a_upper BEFORE INSERT ON watched FOR EACH ROW EXECUTE FUNCTION upper_name();
CREATE TRIGGER b_row AFTER INSERT ON watched FOR EACH ROW WHEN (NEW.value = 2) EXECUTE FUNCTION tell();
CREATE TRIGGER c_new_rows AFTER INSERT ON watched REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION tell_new_rows();
CREATE TRIGGER d_truncate BEFORE TRUNCATE ON watched FOR EACH STATEMENT EXECUTE FUNCTION tell();
CREATE CONSTRAINT TRIGGER e_commit AFTER INSERT ON watched DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.value = 3) EXECUTE FUNCTION tell();
BEGIN;
INSERT INTO watched SELECT * FROM points('a', 3);
COPY watched FROM stdin;
b	2026-01-01 00:00+00	2
c	2026-01-01 00:00+00	200
\.
COMMIT;
SELECT name, value FROM watched ORDER BY name, value;
TRUNCATE watched;
DROP TABLE watched;
DROP FUNCTION upper_name, tell, tell_new_rows;

-- DOOR: foreign keys to look-up tables; an action that would update points is refused, whichever way it comes
CREATE TABLE lookup (name text PRIMARY KEY, unit text);
INSERT INTO lookup VALUES ('a', 'bar'), ('b', 'bar'), ('c', 'bar');
CREATE TABLE of_lookup (name text REFERENCES lookup, time timestamptz, value float8) USING tag;
INSERT INTO of_lookup SELECT * FROM points('a', 2);
INSERT INTO of_lookup SELECT * FROM points('x', 2);
CALL compact('of_lookup');
DELETE FROM lookup WHERE name = 'a';
UPDATE lookup SET name = 'A' WHERE name = 'a';
DELETE FROM lookup WHERE name = 'c';
UPDATE lookup SET unit = 'psi' WHERE name = 'a';
INSERT INTO lookup SELECT 'new';
BEGIN;
ALTER TABLE of_lookup ALTER CONSTRAINT of_lookup_name_fkey DEFERRABLE INITIALLY DEFERRED;
INSERT INTO of_lookup SELECT * FROM points('later', 1);
INSERT INTO lookup VALUES ('later');
COMMIT;
ALTER TABLE of_lookup DROP CONSTRAINT of_lookup_name_fkey;
INSERT INTO of_lookup SELECT * FROM points('x', 1);
ALTER TABLE of_lookup ADD CONSTRAINT fk FOREIGN KEY (name) REFERENCES lookup NOT VALID;
ALTER TABLE of_lookup VALIDATE CONSTRAINT fk;
CREATE TABLE updating (name text REFERENCES lookup ON DELETE SET NULL, time timestamptz) USING tag;
CREATE TABLE updating (name text, time timestamptz, FOREIGN KEY (name) REFERENCES lookup ON DELETE SET DEFAULT) USING tag;
ALTER TABLE of_lookup ADD FOREIGN KEY (name) REFERENCES lookup ON UPDATE CASCADE;
CREATE TABLE updating (name text REFERENCES lookup ON DELETE SET NULL, time timestamptz);
ALTER TABLE updating SET ACCESS METHOD tag;
DROP TABLE updating;
CREATE TABLE updating (name text REFERENCES lookup ON UPDATE SET NULL, time timestamptz) PARTITION BY RANGE (time);
CREATE TABLE updating_1 PARTITION OF updating DEFAULT USING tag;
CREATE TABLE allowed (name text REFERENCES lookup ON DELETE RESTRICT ON UPDATE NO ACTION, time timestamptz) USING tag;
CREATE TABLE referring (name text REFERENCES of_lookup (name));
CREATE TABLE attached (name text, time timestamptz) USING tag;
ALTER TABLE updating ATTACH PARTITION attached DEFAULT;
DROP TABLE of_lookup, allowed, updating, attached, lookup;

-- DOOR: MERGE that only inserts (others: refused.sql)
MERGE INTO t USING points('a', 11) AS s ON t.name = s.name AND t.time = s.time WHEN NOT MATCHED THEN INSERT VALUES (s.name, s.time, s.value);
SELECT count(*), max(value) FROM t;

-- DOOR: row-level security, column and table privileges
CREATE ROLE historian_user;
GRANT SELECT (name, value), INSERT ON t TO historian_user;
INSERT INTO t SELECT * FROM points('secret', 3);
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE POLICY not_secret ON t USING (name <> 'secret');
SET ROLE historian_user;
SELECT name, count(*), sum(value) FROM t GROUP BY name;
SELECT name, count(*) FROM t WHERE name IN ('a', 'secret') GROUP BY name;
SELECT time FROM t;
INSERT INTO t SELECT * FROM points('a', 1);
INSERT INTO t SELECT * FROM points('secret', 1);
TRUNCATE t;
RESET ROLE;
ALTER TABLE t DISABLE ROW LEVEL SECURITY;
DROP POLICY not_secret ON t;
REVOKE ALL ON t FROM historian_user;
DROP ROLE historian_user;

-- DOOR: declarative partitions: tag and heap leaves, DEFAULT, sub-partitions, ATTACH and DETACH, pruning
CREATE TABLE parts (name text, time timestamptz, value float8) PARTITION BY RANGE (time);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2026-01-01 00:00+00') TO ('2026-01-01 00:10+00') USING tag;
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM ('2026-01-01 00:10+00') TO ('2026-01-01 00:20+00') PARTITION BY LIST (name);
CREATE TABLE parts_2_a PARTITION OF parts_2 FOR VALUES IN ('a') USING tag WITH (historian.compact = off);
CREATE TABLE parts_2_rest PARTITION OF parts_2 DEFAULT USING heap;
CREATE TABLE parts_rest PARTITION OF parts DEFAULT USING tag;
INSERT INTO parts SELECT * FROM points('a', 30);
INSERT INTO parts SELECT * FROM points('b', 30);
CREATE TABLE loose (value float8, name text, time timestamptz) USING tag;
INSERT INTO loose SELECT value, name, time - interval '1 day' FROM points('c', 5);
ALTER TABLE parts ATTACH PARTITION loose FOR VALUES FROM ('2025-12-31 00:00+00') TO ('2026-01-01 00:00+00');
CALL compact('parts_1');
SELECT tableoid::regclass AS leaf, name, count(*), sum(value) FROM parts GROUP BY 1, 2 ORDER BY 1, 2;
SELECT name, value FROM loose ORDER BY value LIMIT 1;
EXPLAIN (COSTS OFF) SELECT value FROM parts WHERE name = 'a' AND time >= '2026-01-01 00:05+00' AND time < '2026-01-01 00:15+00';
PREPARE of_time (timestamptz) AS SELECT tableoid::regclass, name, value FROM parts WHERE time = $1 ORDER BY name;
SET plan_cache_mode = force_generic_plan;
EXECUTE of_time ('2026-01-01 00:12+00');
RESET plan_cache_mode;
ALTER TABLE parts DETACH PARTITION parts_1;
SELECT count(*) FROM parts;
ALTER TABLE parts ATTACH PARTITION parts_1 FOR VALUES FROM ('2025-01-01 00:00+00') TO ('2025-02-01 00:00+00');
ALTER TABLE parts ATTACH PARTITION parts_1 FOR VALUES FROM ('2026-01-01 00:00+00') TO ('2026-01-01 00:10+00');
DROP TABLE loose;
ALTER TABLE parts DETACH PARTITION parts_rest;
ALTER TABLE parts DETACH PARTITION parts_1 CONCURRENTLY;
SELECT count(*) FROM parts_1;
ALTER TABLE parts ATTACH PARTITION parts_1 FOR VALUES FROM ('2026-01-01 00:00+00') TO ('2026-01-01 00:10+00');
ALTER TABLE parts ATTACH PARTITION parts_rest DEFAULT;
ALTER TABLE parts ADD COLUMN quality int DEFAULT 5;
ALTER TABLE parts DROP COLUMN name;
SELECT sum(quality), count(*) FROM parts;
CREATE INDEX ON parts (name, time);
ALTER TABLE parts ADD PRIMARY KEY (name, time);
TRUNCATE parts_1;
SELECT count(*) FROM parts;
CREATE TABLE with_key (name text, time timestamptz, PRIMARY KEY (name, time)) PARTITION BY RANGE (time);
CREATE TABLE with_key_1 PARTITION OF with_key DEFAULT USING tag;
DROP TABLE parts, parts_rest, with_key;
DEALLOCATE of_time;

-- DOOR: inheritance
CREATE TABLE parent (name text, time timestamptz);
CREATE TABLE child (value float8) INHERITS (parent) USING tag;
INSERT INTO child SELECT * FROM points('a', 3);
INSERT INTO parent VALUES ('p', '2026-01-01 00:00+00');
SELECT name, count(*) FROM parent GROUP BY name ORDER BY name;
SELECT count(*) FROM ONLY parent;
ALTER TABLE parent ADD COLUMN note text DEFAULT 'n';
ALTER TABLE parent DROP COLUMN name;
ALTER TABLE child NO INHERIT parent;
ALTER TABLE child INHERIT parent;
SELECT name, value, note FROM child ORDER BY value LIMIT 1;
DROP TABLE parent, child;

-- DOOR: views, updatable views, rules
CREATE VIEW v AS SELECT name, time, value FROM t WHERE value > 0 WITH CHECK OPTION;
INSERT INTO v SELECT * FROM points('viewed', 2);
INSERT INTO v VALUES ('viewed', '2026-01-01 00:00+00', -1);
UPDATE v SET value = 1;
SELECT count(*) FROM v WHERE name = 'viewed';
CREATE RULE also AS ON INSERT TO t DO ALSO SELECT NEW.name AS also;
INSERT INTO t VALUES ('ruled', '2026-01-01 00:00+00', 1);
CREATE OR REPLACE RULE also AS ON INSERT TO t DO INSTEAD NOTHING;
INSERT INTO t VALUES ('unruly', '2026-01-01 00:00+00', 1);
SELECT count(*) FROM t WHERE name IN ('ruled', 'unruly');
DROP RULE also ON t;
CREATE RULE instead AS ON UPDATE TO t DO INSTEAD NOTHING;
UPDATE t SET value = 0;
DROP RULE instead ON t;
DROP VIEW v;

-- DOOR: CREATE TABLE AS, SELECT INTO, materialized views: REFRESH; CONCURRENTLY is refused
CREATE TABLE made_of USING tag AS SELECT * FROM points('m', 10000);
SET default_table_access_method = 'tag';
SELECT * INTO selected FROM points('s', 10);
CREATE TABLE nothing AS SELECT * FROM points('s', 10) WITH NO DATA;
RESET default_table_access_method;
CREATE MATERIALIZED VIEW mv USING tag AS SELECT name, time, value FROM made_of WITH NO DATA;
SELECT count(*) FROM mv;
REFRESH MATERIALIZED VIEW mv;
REFRESH MATERIALIZED VIEW CONCURRENTLY mv;
ALTER MATERIALIZED VIEW mv RENAME TO mv2;
CALL compact('mv2');
SELECT (SELECT count(*) FROM mv2) AS mv, (SELECT count(*) FROM selected) AS selected, (SELECT count(*) FROM nothing) AS nothing;
SELECT relname, amname FROM pg_class c JOIN pg_am a ON a.oid = c.relam WHERE relname IN ('mv2', 'selected', 'nothing') ORDER BY 1;
CREATE UNIQUE INDEX ON mv2 (name, time);
DROP TABLE made_of, selected, nothing CASCADE;

-- DOOR: SET ACCESS METHOD both ways; what a tag table cannot have is refused before any row is copied
CREATE TABLE moving (name text, time timestamptz, value float8 CHECK (value > 0), big text);
CREATE INDEX moving_index ON moving (value);
INSERT INTO moving SELECT name, time, value, repeat(name, 10000) FROM points('a', 100);
ALTER TABLE moving SET ACCESS METHOD tag;
DROP INDEX moving_index;
ALTER TABLE moving REPLICA IDENTITY FULL;
ALTER TABLE moving SET ACCESS METHOD tag;
ALTER TABLE moving REPLICA IDENTITY DEFAULT;
ALTER TABLE moving SET ACCESS METHOD tag;
SELECT count(*), sum(value), min(length(big)) FROM moving;
INSERT INTO moving VALUES ('b', '2026-01-01 00:00+00', 0);
ALTER TABLE moving SET ACCESS METHOD tag;
ALTER TABLE moving DROP COLUMN big;
ALTER TABLE moving SET ACCESS METHOD heap;
CREATE INDEX ON moving (value);
SELECT count(*), sum(value) FROM moving;
DROP TABLE moving;
CREATE TABLE keyless (a int, b text);
ALTER TABLE keyless SET ACCESS METHOD tag;
DROP TABLE keyless;

-- DOOR: SET TABLESPACE, ALTER TABLE ALL IN TABLESPACE
SET allow_in_place_tablespaces = true;
CREATE TABLESPACE historian_doors LOCATION '';
CREATE TABLE spaced (name text, time timestamptz, value float8) USING tag TABLESPACE historian_doors;
INSERT INTO spaced SELECT * FROM points('a', 10000);
ALTER TABLE ALL IN TABLESPACE historian_doors SET TABLESPACE pg_default;
INSERT INTO spaced SELECT * FROM points('b', 10000);
ALTER TABLE spaced SET TABLESPACE historian_doors, ADD COLUMN note text;
SELECT name, count(*), sum(value) FROM spaced GROUP BY name ORDER BY name;
SELECT historian_check('spaced') ~ ' 20000 rows' AS checked;
DROP TABLE spaced;
DROP TABLESPACE historian_doors;

-- DOOR: SET UNLOGGED and LOGGED
CREATE TABLE logged (name text, time timestamptz, value float8) USING tag;
INSERT INTO logged SELECT * FROM points('a', 10000);
ALTER TABLE logged SET UNLOGGED;
INSERT INTO logged SELECT * FROM points('b', 5);
CALL compact('logged');
ALTER TABLE logged SET LOGGED;
SELECT name, count(*), sum(value) FROM logged GROUP BY name ORDER BY name;
SELECT relpersistence FROM pg_class WHERE oid = 'logged'::regclass;

-- DOOR: VACUUM with every option, VACUUM FULL, CLUSTER, REINDEX, ANALYZE of some columns
VACUUM (FREEZE, ANALYZE, DISABLE_PAGE_SKIPPING, INDEX_CLEANUP on, PROCESS_TOAST off, TRUNCATE off, PARALLEL 2) logged;
VACUUM FULL logged;
CREATE TABLE widened (name text, time timestamptz) USING tag;
INSERT INTO widened VALUES ('a', '2026-01-01');
ALTER TABLE widened ADD COLUMN unit text DEFAULT 'kPa';
VACUUM FULL widened;
SELECT name, unit FROM widened;
DROP TABLE widened;
CLUSTER logged;
CLUSTER logged USING logged_index;
ALTER TABLE logged SET WITHOUT CLUSTER;
REINDEX TABLE logged;
ANALYZE logged (name, value);
SELECT attname, n_distinct FROM pg_stats WHERE tablename = 'logged' ORDER BY attname;
ALTER TABLE logged ALTER COLUMN value SET STATISTICS 50, ALTER COLUMN name SET (n_distinct = 2), ALTER COLUMN name SET STORAGE EXTERNAL,
    ALTER COLUMN name SET COMPRESSION pglz;
ANALYZE logged;
INSERT INTO logged SELECT * FROM points('c', 3);
SELECT count(*) FROM logged;

-- DOOR: extended statistics
CREATE STATISTICS logged_statistics (ndistinct, dependencies, mcv) ON name, value, (value > 5) FROM logged;
ANALYZE logged;
SELECT count(*) FROM pg_statistic_ext_data d JOIN pg_statistic_ext e ON e.oid = d.stxoid WHERE stxname = 'logged_statistics';
SELECT count(*) FROM logged WHERE name = 'a' AND value > 5;
DROP TABLE logged;

-- DOOR: cursors: SCROLL, WITH HOLD (WHERE CURRENT OF: refused.sql)
BEGIN;
DECLARE held SCROLL CURSOR WITH HOLD FOR SELECT name, value FROM t WHERE name = 'a' AND value > 7 ORDER BY value;
DECLARE scrolled SCROLL CURSOR FOR SELECT value FROM t WHERE name = 'viewed';
FETCH LAST FROM scrolled;
FETCH ABSOLUTE 1 FROM scrolled;
FETCH RELATIVE 0 FROM scrolled;
FETCH FIRST FROM held;
COMMIT;
CALL compact('t');
FETCH NEXT FROM held;
FETCH PRIOR FROM held;
CLOSE held;

-- DOOR: TABLESAMPLE, TID scans and ranges, system columns
SELECT count(*) FROM t TABLESAMPLE SYSTEM (100) REPEATABLE (7);
SELECT count(*) FROM t TABLESAMPLE BERNOULLI (0);
SELECT count(*) FROM t AS x WHERE ctid = ANY (ARRAY(SELECT ctid FROM t WHERE name = 'viewed'));
SELECT count(*) FROM t WHERE ctid >= '(0,0)' AND ctid <= '(4294967294,65535)';
SELECT count(*) FROM t WHERE ctid < '(0,0)';
SELECT currtid2('t', '(0,1)') IS NULL;
SELECT DISTINCT tableoid::regclass, cmin, cmax, xmax FROM t WHERE name = 'viewed';

-- DOOR: SERIALIZABLE, READ ONLY, two-phase commit (two sessions at once: test/specs)
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT count(*) FROM t WHERE name = 'viewed';
INSERT INTO t SELECT * FROM points('serial', 2);
COMMIT;
BEGIN READ ONLY;
INSERT INTO t SELECT * FROM points('serial', 2);
ROLLBACK;
SELECT setting::int > 0 AS two_phase FROM pg_settings WHERE name = 'max_prepared_transactions' \gset
\if :two_phase
BEGIN;
INSERT INTO t SELECT * FROM points('prepared', 2);
PREPARE TRANSACTION 'historian_doors';
SELECT count(*) FROM t WHERE name = 'prepared';
COMMIT PREPARED 'historian_doors';
\else
INSERT INTO t SELECT * FROM points('prepared', 2);
\endif
SELECT count(*) FROM t WHERE name = 'prepared';

-- DOOR: parallel query
CREATE TABLE wide USING tag AS SELECT * FROM points('a', 30000);
INSERT INTO wide SELECT * FROM points('b', 3000);
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET max_parallel_workers_per_gather = 2;
SET parallel_leader_participation = off;
SELECT count(*), sum(value) FROM wide;
SELECT name, count(*), max(value) FROM wide WHERE time < '2026-01-10 00:00+00' GROUP BY name ORDER BY name;
CREATE TABLE from_parallel USING tag AS SELECT name, time, value FROM wide WHERE value > 10;
SELECT count(*) FROM from_parallel;
RESET parallel_setup_cost; RESET parallel_tuple_cost; RESET min_parallel_table_scan_size; RESET max_parallel_workers_per_gather;
RESET parallel_leader_participation;
DROP TABLE wide, from_parallel;

-- DOOR: temporary tables (ON COMMIT DROP, DELETE ROWS), unlogged tables
BEGIN;
CREATE TEMP TABLE dropped (name text, time timestamptz, value float8) USING tag ON COMMIT DROP;
INSERT INTO dropped SELECT * FROM points('a', 5);
SELECT count(*) FROM dropped;
COMMIT;
SELECT to_regclass('dropped');
CREATE TEMP TABLE emptied (name text, time timestamptz, value float8) USING tag ON COMMIT DELETE ROWS;
BEGIN;
COPY emptied FROM stdin;
a	2026-01-01 00:00+00	1
\.
SELECT count(*) FROM emptied;
COMMIT;
SELECT count(*) FROM emptied;
DROP TABLE emptied;

-- DOOR: COPY: FREEZE, FROM with WHERE, HEADER and defaults, TO, (query) TO
BEGIN;
CREATE TABLE copied (name text, time timestamptz, value float8 DEFAULT 5) USING tag;
COPY copied FROM stdin (FREEZE);
a	2026-01-01 00:00+00	1
\.
SELECT count(*) FROM copied;
COMMIT;
COPY copied (time, name) FROM stdin (FORMAT csv, HEADER) WHERE name <> 'c';
time,name
2026-01-01 00:00+00,b
2026-01-01 00:00+00,c
\.
COPY copied FROM stdin (FREEZE);
\.
COPY copied (name, value) TO stdout (FORMAT csv, HEADER);
COPY (SELECT name, value FROM copied WHERE value > 1 ORDER BY name) TO stdout;
COPY (INSERT INTO copied VALUES ('d', '2026-01-01 00:00+00', 7) RETURNING name) TO stdout;
COPY copied FROM stdin;
e	2026-01-01 00:00+00	nonsense
\.
SELECT count(*) FROM copied;
DROP TABLE copied;

-- DOOR: event triggers
CREATE FUNCTION tell_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE command record;
BEGIN
    FOR command IN SELECT * FROM pg_event_trigger_ddl_commands() LOOP
        RAISE NOTICE '%: % %', TG_EVENT, command.command_tag, command.object_identity;
    END LOOP;
END $$;
CREATE FUNCTION tell_rewrite() RETURNS event_trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE NOTICE '% of %', TG_EVENT, pg_event_trigger_table_rewrite_oid()::regclass; END $$;
CREATE EVENT TRIGGER historian_tell ON ddl_command_end EXECUTE FUNCTION tell_ddl();
CREATE EVENT TRIGGER historian_rewrite ON table_rewrite EXECUTE FUNCTION tell_rewrite();
CREATE TABLE announced (name text, time timestamptz, value int) USING tag WITH (historian.compact = off);
ALTER TABLE announced SET (historian.seal_interval = '10s');
ALTER TABLE announced ALTER COLUMN value TYPE bigint;
DROP EVENT TRIGGER historian_tell;
DROP EVENT TRIGGER historian_rewrite;
DROP TABLE announced;
DROP FUNCTION tell_ddl, tell_rewrite;

-- DOOR: DO blocks and PL/pgSQL: loops over INSERT ... RETURNING, dynamic SQL, subtransactions of EXCEPTION
DO $$
DECLARE
    point record;
    total float8 := 0;
BEGIN
    FOR point IN INSERT INTO t SELECT * FROM points('looped', 4) RETURNING name, value LOOP
        total := total + point.value;
        EXECUTE 'INSERT INTO t VALUES ($1, now(), $2)' USING 'looped ' || point.value::int % 2, point.value;
        BEGIN
            INSERT INTO t VALUES ('undone', now(), 1);
            RAISE division_by_zero;
        EXCEPTION WHEN division_by_zero THEN NULL;
        END;
    END LOOP;
    RAISE NOTICE 'total %', total;
END $$;
SELECT name, count(*), sum(value) FROM t WHERE name LIKE 'looped%' OR name = 'undone' GROUP BY name ORDER BY name;
WITH put AS (INSERT INTO t SELECT * FROM points('cte', 3) RETURNING value) SELECT sum(value) FROM put;

-- DOOR: publications: rows of tag tables are not replicated, truncation is; REPLICA IDENTITY (subscriptions: 021_other_doors.pl)
SET client_min_messages = error;    -- wal_level may be too low for publications
CREATE PUBLICATION historian_p FOR TABLE t;
CREATE PUBLICATION historian_p FOR TABLES IN SCHEMA public;
CREATE PUBLICATION historian_p FOR ALL TABLES;
CREATE PUBLICATION historian_p FOR TABLE t WITH (publish = 'truncate');
ALTER PUBLICATION historian_p SET (publish = 'truncate, delete');
DROP PUBLICATION historian_p;
CREATE SCHEMA published;
CREATE TABLE published.parts (name text, time timestamptz, value float8) PARTITION BY RANGE (time);
CREATE PUBLICATION historian_p FOR TABLES IN SCHEMA published;
CREATE TABLE published.x (name text, time timestamptz, value float8) USING tag;
CREATE TABLE parts_1 PARTITION OF published.parts DEFAULT USING tag;
CREATE TABLE parts_1 (LIKE t) USING tag;
ALTER TABLE published.parts ATTACH PARTITION parts_1 DEFAULT;
ALTER TABLE parts_1 SET SCHEMA published;
CREATE TABLE published.x (name text, time timestamptz, value float8);
ALTER TABLE published.x SET ACCESS METHOD tag;
CREATE UNLOGGED TABLE published.quick (name text, time timestamptz, value float8) USING tag;
ALTER TABLE published.quick SET LOGGED;
CREATE TEMP TABLE short_lived (name text, time timestamptz, value float8) USING tag;
ALTER PUBLICATION historian_p ADD TABLE t;
ALTER PUBLICATION historian_p SET (publish = 'truncate');
ALTER PUBLICATION historian_p ADD TABLE t;
CREATE TABLE published.y (name text, time timestamptz, value float8) USING tag;
DROP PUBLICATION historian_p;
DROP SCHEMA published CASCADE;
DROP TABLE parts_1, short_lived;
RESET client_min_messages;
ALTER TABLE t REPLICA IDENTITY FULL;
ALTER TABLE t REPLICA IDENTITY NOTHING;
ALTER TABLE t REPLICA IDENTITY DEFAULT;

-- DOOR: PRIMARY KEY, UNIQUE and EXCLUDE in CREATE TABLE and ALTER TABLE (indexes: refused.sql)
CREATE TABLE keyed (name text UNIQUE, time timestamptz) USING tag;
CREATE TABLE keyed (name text, time timestamptz, PRIMARY KEY (name, time)) USING tag;
CREATE TABLE keyed (name text, time timestamptz, EXCLUDE (name WITH =)) USING tag;
ALTER TABLE t ADD CONSTRAINT x EXCLUDE USING btree (name WITH =);

-- DOOR: OF a composite type, row types, whole rows, ALTER TYPE ... CASCADE
CREATE TYPE point_type AS (name text, time timestamptz, value float8);
CREATE TABLE typed OF point_type USING tag;
INSERT INTO typed SELECT * FROM points('a', 2);
ALTER TYPE point_type ADD ATTRIBUTE quality int CASCADE;
ALTER TYPE point_type DROP ATTRIBUTE name CASCADE;
SELECT sum((typed).value) AS sum, count(typed) AS rows, bool_and(typed IS NOT NULL) AS all_there FROM typed;
SELECT row_to_json(typed)->>'name' AS name FROM typed LIMIT 1;
DROP TYPE point_type CASCADE;

SELECT historian_check('t') ~ ' rows' AS checked;
DROP TABLE t;
DROP FUNCTION points;
