-- DELETE on fresh and on sealed rows: the same statements, the same answers.
\set SHOW_CONTEXT never
CREATE TABLE t (name text, time timestamptz, v int) USING tag;
CREATE FUNCTION fill() RETURNS void LANGUAGE sql AS $$
    TRUNCATE t;
    INSERT INTO t SELECT 'tag' || i % 4, timestamptz '2026-01-01 00:00:00+00' + i * interval '1 s', i FROM generate_series(1, 200) AS i;
$$;
CREATE FUNCTION state() RETURNS text LANGUAGE sql AS $$
    SELECT format('%s rows, %s distinct, sum %s', count(*), count(DISTINCT v), sum(v)) FROM t
$$;

-- each of the following once in the tail, once in a segment
\set ECHO none
\set kind tail
\i sql/include/delete_statements.sql
\set kind sealed
\i sql/include/delete_statements.sql
\set ECHO all

-- what is deleted stays so when rows move, and space comes back
SELECT fill();
DELETE FROM t WHERE v % 3 = 0;
CALL compact('t');
SELECT state();
DELETE FROM t WHERE v % 3 = 1;
CALL compact('t');
SELECT state(), historian_check('t') ~ ' 67 rows, 0 tail' AS checked;
SELECT kind, state, row_count FROM historian_segments('t') WHERE state <> 'superseded';
DELETE FROM t;
CALL compact('t');
SELECT state();
-- freed as soon as nobody's snapshot needs the old places
DO $$ BEGIN
    FOR i IN 1 .. 100 LOOP
        EXIT WHEN NOT EXISTS (SELECT FROM historian_segments('t'));
        PERFORM pg_sleep(0.1);
        COMMIT;
    END LOOP;
END $$;
SELECT count(*) FROM historian_segments('t');

-- ANALYZE and samples do not count deleted rows
SELECT fill();
CALL compact('t');
DELETE FROM t WHERE v <= 150;
ANALYZE t;
SELECT reltuples BETWEEN 30 AND 70 AS about_fifty FROM pg_class WHERE relname = 't';
SELECT count(*) FROM t TABLESAMPLE BERNOULLI (100);
SELECT count(*) FROM t TABLESAMPLE SYSTEM (100);

-- a row is found by its address until it is deleted
SELECT ctid AS place FROM t WHERE v = 160 \gset
DELETE FROM t WHERE ctid = :'place' RETURNING v;
SELECT count(*) FROM t WHERE ctid = :'place';

-- COPY and DELETE in one transaction
BEGIN;
COPY t FROM PROGRAM 'seq 1 10000 | sed "s/.*/bulk\t2026-02-01 00:00+00\t&/"';
DELETE FROM t WHERE name = 'bulk' AND v > 10;
SELECT count(*) FROM t WHERE name = 'bulk';
SAVEPOINT a;
DELETE FROM t WHERE name = 'bulk';
SELECT count(*) FROM t WHERE name = 'bulk';
ROLLBACK TO a;
COMMIT;
SELECT count(*) FROM t WHERE name = 'bulk';

-- deleting by age: whole segments, the one that the bound goes through, fresh rows
TRUNCATE t;
INSERT INTO t SELECT 'tag' || i % 4, timestamptz '2026-01-01 00:00:00+00' + i * interval '1 s', i FROM generate_series(1, 1000) AS i;
CALL compact('t');
INSERT INTO t SELECT 'tag' || i % 4, timestamptz '2026-01-01 00:00:00+00' + i * interval '1 s', i FROM generate_series(991, 1100) AS i;
INSERT INTO t VALUES ('edge', NULL, 0), ('edge', '-infinity', 0), ('edge', 'infinity', 0);
BEGIN;
SELECT delete_before('t', '2026-01-01 00:16:40+00');
SELECT count(*), min(time), max(time) FROM t;
ROLLBACK;
SELECT count(*), min(time), max(time) FROM t;
SELECT delete_before('t', '2026-01-01 00:08:20.000001+00');
SELECT count(*), min(time), max(time) FROM t;
SELECT delete_before('t', '2026-01-01 00:08:20.000001+00');
DELETE FROM t WHERE v = 501;
SELECT delete_before('t', '2026-01-01 00:16:41+00');
SELECT count(*), min(time), max(time) FROM t;
SELECT delete_before('t', '-infinity');
SELECT delete_before('t', NULL) IS NULL AS "nothing asked";
SELECT delete_before('t', 'infinity');
SELECT * FROM t;
SELECT historian_check('t') ~ 'segments' AS whole;

-- of a timestamp without time zone, by the session's
CREATE TABLE local (name text, at timestamp, v int) USING tag;
INSERT INTO local VALUES ('a', '2026-01-01 00:59:59', 1), ('a', '2026-01-01 01:00:00', 2);
SET TimeZone = 'Europe/Berlin';
SELECT delete_before('local', '2026-01-01 00:00+00');
RESET TimeZone;
SELECT * FROM local;

-- of partitions, ours or not
CREATE TABLE parted (name text, time timestamptz, v int) PARTITION BY RANGE (time);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2026-01-01') TO ('2026-02-01') USING tag;
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM ('2026-02-01') TO ('2026-03-01') USING heap;
INSERT INTO parted SELECT 'a', d, 0 FROM generate_series(timestamptz '2026-01-01', '2026-02-20', '1 day') AS d;
CALL compact('parted_1');
SELECT delete_before('parted', '2026-02-05');
SELECT count(*), min(time) = '2026-02-05' AS exact FROM parted;
DELETE FROM parted WHERE v = 0;
SELECT count(*) FROM parted;

-- row-level security, triggers and rights of the partitioned table count, not those of its partitions
CREATE TABLE ruled (name text, time timestamptz, v int) PARTITION BY RANGE (time);
CREATE TABLE ruled_1 PARTITION OF ruled FOR VALUES FROM ('2026-01-01') TO ('2026-02-01') USING tag;
CREATE TABLE ruled_2 PARTITION OF ruled FOR VALUES FROM ('2026-02-01') TO ('2026-03-01') USING heap;
INSERT INTO ruled SELECT 'a', timestamptz '2026-01-01' + v * interval '1 day', v FROM generate_series(1, 50) AS v;
CALL compact('ruled_1');
CREATE ROLE historian_parent;
GRANT SELECT, DELETE ON ruled TO historian_parent;
SET ROLE historian_parent;
BEGIN;
SELECT delete_before('ruled', '2026-02-10');
ROLLBACK;
RESET ROLE;
ALTER TABLE ruled ENABLE ROW LEVEL SECURITY;
CREATE POLICY low ON ruled TO historian_parent USING (v < 5);
SET ROLE historian_parent;
SELECT delete_before('ruled', '2026-02-10');
RESET ROLE;
SELECT count(*) FROM ruled;
DROP TABLE ruled;
DROP ROLE historian_parent;

-- with triggers it is row by row
CREATE TABLE deleted (v int) USING heap;
CREATE FUNCTION note_deleted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO deleted VALUES (OLD.v); RETURN OLD; END $$;
SELECT fill();
CALL compact('t');
CREATE TRIGGER note BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION note_deleted();
SELECT delete_before('t', '2026-01-01 00:00:06+00');
SELECT array_agg(v ORDER BY v) FROM deleted;
DROP TRIGGER note ON t;

-- who may, and on what
CREATE TABLE plain (name text, time timestamptz) USING heap;
SELECT delete_before('plain', now());
CREATE ROLE historian_cleaner;
GRANT SELECT ON t TO historian_cleaner;
SET ROLE historian_cleaner;
SELECT delete_before('t', now());
DELETE FROM t;
RESET ROLE;
GRANT DELETE ON t TO historian_cleaner;
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE POLICY low ON t TO historian_cleaner USING (v < 20);
SET ROLE historian_cleaner;
SELECT delete_before('t', '2026-01-01 00:00:15+00');
DELETE FROM t;
RESET ROLE;
ALTER TABLE t DISABLE ROW LEVEL SECURITY;
SELECT min(v) FROM t;
BEGIN READ ONLY;
DELETE FROM t;
ROLLBACK;
BEGIN READ ONLY;
SELECT delete_before('t', now());
ROLLBACK;
REVOKE ALL ON t FROM historian_cleaner;
DROP POLICY low ON t;
DROP ROLE historian_cleaner;

-- statistics
SELECT fill();
CALL compact('t');
SELECT pg_stat_force_next_flush();
SELECT n_tup_del AS before FROM pg_stat_user_tables WHERE relname = 't' \gset
DELETE FROM t WHERE v <= 7;
SELECT delete_before('t', '2026-01-01 00:00:11+00');
SELECT pg_stat_force_next_flush();
SELECT n_tup_del - :before AS deleted FROM pg_stat_user_tables WHERE relname = 't';

-- not an index scan, not a lock: WHERE CURRENT OF and FOR UPDATE stay refused (refused.sql); UPDATE by MERGE too
MERGE INTO t USING (VALUES (9)) AS s (v) ON t.v = s.v WHEN MATCHED THEN UPDATE SET v = 0;
DROP TABLE t, local, parted, deleted, plain;
DROP FUNCTION fill, state, note_deleted;
