-- Tag tables: every way in, every way out, compared with a heap table that gets the same rows.
CREATE TABLE points (name text, time timestamptz, value double precision) USING tag;
CREATE TABLE points_heap (name text, time timestamptz, value double precision);

-- INSERT, multi-row INSERT, INSERT .. SELECT, prepared, COPY, savepoints
INSERT INTO points VALUES ('a', '2026-01-01 00:00+00', 1);
INSERT INTO points VALUES ('a', '2026-01-01 00:01+00', 2), ('b', '2026-01-01 00:00+00', 3), (NULL, '2026-01-01 00:00+00', 4), ('c', NULL, 5), ('d', '2026-01-01 00:00+00', NULL);
INSERT INTO points SELECT 'tag' || i % 7, timestamptz '2026-01-01 00:00+00' + i * interval '1 second', i / 4.0 FROM generate_series(1, 5000) i;
PREPARE put (text, timestamptz, float8) AS INSERT INTO points VALUES ($1, $2, $3) RETURNING name, value;
EXECUTE put('p', '2026-02-01 00:00+00', 'NaN');
EXECUTE put('p', 'infinity', 'Infinity');
EXECUTE put('p', '-infinity', '-0');
COPY points FROM stdin (FORMAT csv);
x,2026-03-01 00:00+00,1.25
y,2026-03-01 00:00+00,-1.5
\.
BEGIN;
INSERT INTO points VALUES ('kept', '2026-01-02 00:00+00', 1);
SAVEPOINT s;
INSERT INTO points VALUES ('gone', '2026-01-02 00:00+00', 1);
SELECT count(*) FROM points WHERE name IN ('kept', 'gone');
ROLLBACK TO s;
SELECT count(*) FROM points WHERE name IN ('kept', 'gone');
COMMIT;
BEGIN;
INSERT INTO points VALUES ('gone', '2026-01-02 00:00+00', 1);
ROLLBACK;
INSERT INTO points_heap SELECT * FROM points;
SELECT count(*), count(name), count(time), count(value), sum(value) FILTER (WHERE value < 'Infinity') FROM points;
SELECT name, time, value FROM points WHERE name = 'p' ORDER BY time;

-- A statement does not see its own rows.
INSERT INTO points SELECT * FROM points WHERE name = 'kept';
INSERT INTO points_heap SELECT * FROM points_heap WHERE name = 'kept';
SELECT count(*) FROM points WHERE name = 'kept';

-- Sealed or not, the answers are the same; what was sealed is freed when nobody needs it.
SELECT count(*) FROM ((TABLE points EXCEPT ALL TABLE points_heap) UNION ALL (TABLE points_heap EXCEPT ALL TABLE points)) difference;
CALL compact('points');
SELECT count(*) FROM ((TABLE points EXCEPT ALL TABLE points_heap) UNION ALL (TABLE points_heap EXCEPT ALL TABLE points)) difference;
SELECT kind, state, row_count, tag_count, time_min, time_max, tag_first, tag_last FROM historian_segments('points');
SELECT historian_check('points') ~ '^1 segments with [0-9]+ granules and 5013 rows, 0 tail runs' AS checked;
INSERT INTO points VALUES ('late', '2025-01-01 00:00+00', 9);
INSERT INTO points_heap VALUES ('late', '2025-01-01 00:00+00', 9);
SELECT count(*) FROM ((TABLE points EXCEPT ALL TABLE points_heap) UNION ALL (TABLE points_heap EXCEPT ALL TABLE points)) difference;
CALL compact('points');
SELECT count(*) FROM historian_segments('points') WHERE state = 'sealed';
VACUUM points;
ANALYZE points;
SELECT reltuples FROM pg_class WHERE relname = 'points';

-- Cursors in both directions, over the tail and segments.
INSERT INTO points VALUES ('fresh', '2026-04-01 00:00+00', 1), ('fresh', '2026-04-01 00:01+00', 2);
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT name, value FROM points WHERE name IN ('late', 'a', 'fresh');
FETCH ALL FROM c;
FETCH BACKWARD ALL FROM c;
FETCH FORWARD 2 FROM c;
FETCH BACKWARD 1 FROM c;
COMMIT;

-- TABLESAMPLE
SELECT count(*) = (SELECT count(*) FROM points) AS all_rows FROM points TABLESAMPLE SYSTEM (100);
SELECT count(*) = (SELECT count(*) FROM points) AS all_rows FROM points TABLESAMPLE BERNOULLI (100);
SELECT count(*) BETWEEN 1000 AND 4000 AS about_half FROM points TABLESAMPLE BERNOULLI (50) REPEATABLE (1);

-- System columns and TID scans
SELECT tableoid::regclass, count(DISTINCT ctid) = count(*) AS distinct_tids FROM points GROUP BY 1;
SELECT p.name, p.value FROM points p WHERE p.ctid = (SELECT ctid FROM points WHERE name = 'late');
SELECT p.name, p.value FROM points p WHERE p.ctid = (SELECT ctid FROM points WHERE name = 'fresh' AND value = 2);
SELECT * FROM points WHERE ctid = '(4294967294,1)';
BEGIN;
INSERT INTO points VALUES ('own', '2026-04-01 00:00+00', 1) RETURNING xmin = pg_current_xact_id()::xid AS own_xmin, tableoid::regclass;
ROLLBACK;

-- TRUNCATE, CTAS, materialized view, ALTER TABLE SET ACCESS METHOD both ways, SET TABLESPACE
BEGIN;
TRUNCATE points;
SELECT count(*) FROM points;
INSERT INTO points VALUES ('new', '2026-01-01 00:00+00', 1);
ROLLBACK;
SELECT count(*) FROM points;
CREATE TABLE copied USING tag AS SELECT * FROM points;
SELECT count(*) FROM ((TABLE points EXCEPT ALL TABLE copied) UNION ALL (TABLE copied EXCEPT ALL TABLE points)) difference;
CREATE MATERIALIZED VIEW seen USING tag AS SELECT * FROM points WHERE name < 'b';
REFRESH MATERIALIZED VIEW seen;
SELECT count(*) FROM seen;
DROP MATERIALIZED VIEW seen;
ALTER TABLE points_heap SET ACCESS METHOD tag;
SELECT count(*) FROM points_heap;
ALTER TABLE points_heap SET ACCESS METHOD heap;
SELECT count(*) FROM points_heap;
TRUNCATE copied;
SELECT count(*) FROM copied;
SELECT historian_check('copied');

SET allow_in_place_tablespaces = true;
CREATE TABLESPACE historian_elsewhere LOCATION '';
ALTER TABLE points SET TABLESPACE historian_elsewhere;
SELECT count(*) FROM points;
SELECT historian_check('points') ~ '^1 segments' AS checked;
ALTER TABLE points SET TABLESPACE pg_default;
DROP TABLESPACE historian_elsewhere;

-- Columns come and go.
ALTER TABLE points ADD COLUMN quality int DEFAULT 7;
ALTER TABLE points ADD COLUMN note text;
SELECT quality, note, count(*) FROM points GROUP BY 1, 2;
INSERT INTO points VALUES ('a', '2026-05-01 00:00+00', 1, 8, 'fine');
ALTER TABLE points DROP COLUMN value;
CALL compact('points');
SELECT * FROM points WHERE name = 'a' ORDER BY time;
ALTER TABLE points ALTER COLUMN quality TYPE bigint;
SELECT quality, note, count(*) FROM points GROUP BY 1, 2 ORDER BY 1;

-- Rows larger than a page, and many of them
CREATE TABLE large (name text, time timestamptz, body text) USING tag;
INSERT INTO large VALUES ('big', '2026-01-01 00:00+00', repeat('0123456789', 100000));
INSERT INTO large VALUES ('small', '2026-01-01 00:00+00', 'x'), ('big', '2026-01-01 00:00+00', repeat('y', 8000));
SELECT name, length(body), md5(body) FROM large ORDER BY 1, 2;
CALL compact('large');
SELECT name, length(body), md5(body) FROM large ORDER BY 1, 2;
SELECT historian_check('large');

-- Tags of other types
CREATE TABLE by_number (sensor int, at timestamp, v int) USING tag;
INSERT INTO by_number SELECT i % 5 - 2, timestamp '2026-01-01' + i * interval '1 s', i FROM generate_series(1, 1000) i;
CALL compact('by_number');
SELECT sensor, count(*), min(v), max(v) FROM by_number GROUP BY 1 ORDER BY 1;
CREATE TABLE by_uuid (at timestamptz, id uuid, v numeric) USING tag;
INSERT INTO by_uuid SELECT timestamptz '2026-01-01 00:00+00' + i * interval '1 s', md5((i % 3)::text)::uuid, i / 3.0 FROM generate_series(1, 1000) i;
CALL compact('by_uuid');
SELECT id, count(*), sum(v) FROM by_uuid GROUP BY 1 ORDER BY 1;

-- Temporary and unlogged tables
CREATE TEMP TABLE short_lived (name text, time timestamptz, v int) USING tag ON COMMIT DELETE ROWS;
BEGIN;
INSERT INTO short_lived SELECT 'a', now(), i FROM generate_series(1, 1000) i;
SELECT count(*), sum(v) FROM short_lived;
COMMIT;
SELECT count(*) FROM short_lived;
CREATE TEMP TABLE kept_temp (name text, time timestamptz, v int) USING tag;
INSERT INTO kept_temp SELECT 'a', now(), i FROM generate_series(1, 1000) i;
CALL compact('kept_temp');
SELECT count(*), sum(v) FROM kept_temp;
CREATE UNLOGGED TABLE quick (name text, time timestamptz, v int) USING tag;
INSERT INTO quick SELECT 'a', now(), i FROM generate_series(1, 1000) i;
SELECT count(*), sum(v) FROM quick;

-- Triggers and foreign keys
CREATE TABLE lines (name text PRIMARY KEY);
CREATE TABLE checked (name text REFERENCES lines, time timestamptz, v int CHECK (v > 0)) USING tag;
INSERT INTO lines VALUES ('l1'), ('l2');
INSERT INTO checked VALUES ('l1', '2026-01-01 00:00+00', 1);
INSERT INTO checked VALUES ('l3', '2026-01-01 00:00+00', 1);
INSERT INTO checked VALUES ('l1', '2026-01-01 00:00+00', 0);
DELETE FROM lines WHERE name = 'l1';
DELETE FROM lines WHERE name = 'l2';
CREATE FUNCTION count_checked() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE NOTICE '% sees % rows', TG_NAME, (SELECT count(*) FROM checked);
    RETURN NULL;
END $$;
CREATE TRIGGER after_statement AFTER INSERT ON checked FOR EACH STATEMENT EXECUTE FUNCTION count_checked();
COPY checked FROM stdin;
l1	2026-01-01 00:01+00	2
l1	2026-01-01 00:02+00	3
\.
CREATE TRIGGER after_row AFTER INSERT ON checked FOR EACH ROW EXECUTE FUNCTION count_checked();
COPY checked FROM stdin;
l1	2026-01-01 00:03+00	4
\.

-- Partitions
CREATE TABLE by_month (name text, time timestamptz, v int) PARTITION BY RANGE (time);
CREATE TABLE by_month_1 PARTITION OF by_month FOR VALUES FROM ('2026-01-01') TO ('2026-02-01') USING tag;
CREATE TABLE by_month_2 PARTITION OF by_month FOR VALUES FROM ('2026-02-01') TO ('2026-03-01') USING tag;
INSERT INTO by_month SELECT 't' || i % 3, timestamptz '2026-01-15' + i * interval '1 hour', i FROM generate_series(1, 700) i;
SELECT tableoid::regclass, count(*) FROM by_month GROUP BY 1 ORDER BY 1;

DROP TABLE points, points_heap, copied, large, by_number, by_uuid, quick, checked, lines, by_month CASCADE;
