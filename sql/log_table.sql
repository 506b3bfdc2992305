-- Log tables: their column _arrival_time, and records newest first.
\set ECHO none
\i sql/include/plan_of.sql
\set ECHO all
\pset null '(null)'
-- Plans below are to show the scan's order, not what a small table costs.
SET enable_seqscan = off;

-- ------------------------------------------------------------------ the column

CREATE TABLE devices (id int, ip inet, msg text) USING log;
\d devices
SELECT column_name, data_type, is_nullable, column_default FROM information_schema.columns
WHERE table_name = 'devices' ORDER BY ordinal_position;

-- Positional INSERTs keep working, and a loader may say when it was.
INSERT INTO devices VALUES (1, '10.0.0.1', 'first'), (2, '10.0.0.2', 'second');
INSERT INTO devices (msg, id) VALUES ('third', 3);
INSERT INTO devices VALUES (0, NULL, 'from a backup', '2020-01-01 00:00+00');
INSERT INTO devices (id, _arrival_time) VALUES (9, NULL);
SELECT id, ip, msg, _arrival_time > now() - interval '1 hour' AS is_fresh FROM devices;

-- default_table_access_method is enough for clients that send a plain CREATE TABLE.
SET default_table_access_method = log;
CREATE TABLE plain (a int);
CREATE TEMP TABLE temporary (a int);
CREATE UNLOGGED TABLE IF NOT EXISTS unlogged (a int);
CREATE TABLE parted (a int) PARTITION BY RANGE (a);
RESET default_table_access_method;
SELECT c.relname, am.amname, a.attname, a.attnotnull, pg_get_expr(d.adbin, d.adrelid) AS default
FROM pg_class c LEFT JOIN pg_am am ON am.oid = relam
    LEFT JOIN pg_attribute a ON attrelid = c.oid AND attname = '_arrival_time' LEFT JOIN pg_attrdef d ON adrelid = c.oid AND adnum = attnum
WHERE relname IN ('plain', 'temporary', 'unlogged', 'parted') ORDER BY 1;
DROP TABLE plain, temporary, unlogged, parted;

-- A column of that name is completed; where it comes from elsewhere it is left alone.
CREATE TABLE own (_arrival_time timestamptz, a int) USING log;
\d own
CREATE TABLE own_default (_arrival_time timestamptz NULL DEFAULT '2026-01-01 00:00+00', a int) USING log;
\d own_default
CREATE TABLE alike (LIKE devices INCLUDING DEFAULTS) USING log;
CREATE TABLE child (b int) INHERITS (own) USING log;
\d child
CREATE TYPE event AS (_arrival_time timestamptz, a int);
CREATE TABLE typed OF event USING log;
CREATE TABLE events (a int, _arrival_time timestamptz NOT NULL DEFAULT clock_timestamp()) PARTITION BY LIST (a);
CREATE TABLE events_1 PARTITION OF events FOR VALUES IN (1) USING log;
INSERT INTO events VALUES (1);
SELECT a FROM events;
DROP TABLE own_default, alike, child, own, typed, events;

-- From queries
CREATE TABLE copied USING log AS SELECT i AS a, 'x' || i AS b FROM generate_series(1, 3) AS i ORDER BY i;
\d copied
INSERT INTO copied VALUES (4, 'x4');
SELECT a, b FROM copied;
CREATE TABLE with_times (n, _arrival_time) USING log AS SELECT i, timestamptz '2026-01-01 00:00+00' + i * interval '1 s' FROM generate_series(1, 3) AS i;
SELECT n FROM with_times;
CREATE TABLE bad (a, b) USING log AS SELECT 1;
CREATE MATERIALIZED VIEW seen USING log AS SELECT count(*) AS records FROM copied;
REFRESH MATERIALIZED VIEW seen;
SELECT records, _arrival_time > now() - interval '1 hour' AS is_fresh FROM seen;
PREPARE three AS SELECT 3 AS a;
CREATE TABLE executed USING log AS EXECUTE three;
DROP MATERIALIZED VIEW seen;
DROP TABLE copied, with_times;

-- What a log table cannot be without
CREATE TABLE bad (_arrival_time timestamp) USING log;
CREATE TABLE parent (a int) PARTITION BY LIST (a);
CREATE TABLE bad PARTITION OF parent DEFAULT USING log;
DROP TABLE parent;
ALTER TABLE devices DROP COLUMN _arrival_time;
ALTER TABLE devices RENAME COLUMN _arrival_time TO t;
ALTER TABLE devices ALTER COLUMN _arrival_time TYPE text;
ALTER TABLE devices RENAME COLUMN msg TO message;
ALTER TABLE devices RENAME COLUMN message TO msg;

-- Changing the kind
CREATE TABLE moving (a int, b text);
INSERT INTO moving VALUES (1, 'heap');
ALTER TABLE moving SET ACCESS METHOD log;
ALTER TABLE moving ADD COLUMN _arrival_time timestamptz NOT NULL DEFAULT '2026-01-01 00:00+00';
ALTER TABLE moving SET ACCESS METHOD log;
INSERT INTO moving VALUES (2, 'log', '2026-01-02 00:00+00');
SELECT a, b FROM moving;
CALL compact('moving');
ALTER TABLE moving SET ACCESS METHOD tag;
SELECT a, b FROM moving ORDER BY a;
ALTER TABLE moving SET ACCESS METHOD log;
SELECT a, b FROM moving;
ALTER TABLE moving SET ACCESS METHOD heap;
SELECT a, b FROM moving ORDER BY a;
DROP TABLE moving;

-- --------------------------------------------------------------- newest first

TRUNCATE devices;
INSERT INTO devices SELECT i, '10.0.0.1', 'record ' || i, timestamptz '2026-01-01 00:00+00' + i * interval '1 minute' FROM generate_series(1, 20000) AS i;
SELECT id FROM devices LIMIT 3;
CALL compact('devices');
SELECT id FROM devices LIMIT 3;
-- In their right place: records of a backup, others of the same time, and fresh ones
INSERT INTO devices VALUES (-1, NULL, 'late', '2026-01-14 21:18:30+00'), (-2, NULL, 'same time, arrived later', '2026-01-14 21:19+00'), (-3, NULL, 'oldest', '2025-01-01 00:00+00'),
    (-4, NULL, 'newest', '2026-02-01 00:00+00');
SELECT id FROM devices LIMIT 5;
SELECT id FROM devices ORDER BY _arrival_time LIMIT 3;
CALL compact('devices');
SELECT id FROM devices LIMIT 5;
SELECT id FROM devices ORDER BY _arrival_time LIMIT 3;
SELECT id FROM devices WHERE _arrival_time < '2026-01-01 00:05+00';
SELECT historian_check('devices') IS NOT NULL AS is_well;

-- No sort, and no more read than is asked for
EXPLAIN (COSTS OFF) SELECT id FROM devices ORDER BY _arrival_time DESC LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM devices ORDER BY _arrival_time LIMIT 5;
SELECT plan_of($$SELECT id FROM devices LIMIT 5$$);
SELECT plan_of($$SELECT id FROM devices WHERE msg LIKE '%7' ORDER BY _arrival_time LIMIT 5$$);
EXPLAIN (COSTS OFF) SELECT id FROM devices ORDER BY _arrival_time DESC, id;
EXPLAIN (COSTS OFF) SELECT id FROM devices ORDER BY id;
EXPLAIN (COSTS OFF) SELECT DISTINCT ON (_arrival_time) id FROM devices ORDER BY _arrival_time;

-- The plain scan gives the same order.
SET historian.enable_scan = off;
SELECT id FROM devices LIMIT 3;
RESET historian.enable_scan;

-- Cursors turn around anywhere.
BEGIN;
DECLARE newest SCROLL CURSOR FOR SELECT id FROM devices;
FETCH 3 FROM newest;
FETCH BACKWARD 2 FROM newest;
FETCH 2 FROM newest;
MOVE FORWARD ALL FROM newest;
FETCH BACKWARD 2 FROM newest;
FETCH 3 FROM newest;
FETCH ABSOLUTE 10000 FROM newest;
FETCH RELATIVE -2 FROM newest;
MOVE BACKWARD ALL FROM newest;
FETCH 1 FROM newest;
DECLARE oldest SCROLL CURSOR FOR SELECT id FROM devices ORDER BY _arrival_time;
FETCH 2 FROM oldest;
FETCH LAST FROM oldest;
FETCH PRIOR FROM oldest;
COMMIT;

-- Large tables are not read in parallel where people look at records; aggregates are.
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT id FROM devices WHERE msg LIKE '%7';
SET historian.enable_aggregate = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM devices WHERE msg LIKE '%7';
RESET historian.enable_aggregate;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;

-- ------------------------------------------------------- every state, compared

CREATE TABLE plain_copy (id int, msg text, _arrival_time timestamptz NOT NULL) USING heap;
CREATE TABLE mixed (id int, msg text) USING log;
INSERT INTO plain_copy SELECT i, repeat('x', i % 50), timestamptz '2026-01-01 00:00+00' + (i * 7919 % 30011) * interval '1 s' FROM generate_series(1, 30000) AS i;
INSERT INTO mixed SELECT * FROM plain_copy WHERE id % 3 = 0;
CALL compact('mixed');
INSERT INTO mixed SELECT * FROM plain_copy WHERE id % 3 = 1 AND id < 15000;
CALL compact('mixed');
INSERT INTO mixed SELECT * FROM plain_copy WHERE id % 3 = 1 AND id >= 15000;
INSERT INTO mixed SELECT * FROM plain_copy WHERE id % 3 = 2;
DELETE FROM mixed WHERE id % 10 = 0;
DELETE FROM plain_copy WHERE id % 10 = 0;
SELECT count(*) AS rows, count(*) FILTER (WHERE a.id IS DISTINCT FROM b.id OR a.msg IS DISTINCT FROM b.msg) AS wrong
FROM (SELECT *, row_number() OVER () AS n FROM mixed) a
    FULL JOIN (SELECT *, row_number() OVER (ORDER BY _arrival_time DESC) AS n FROM plain_copy) b USING (n);
SELECT count(*) AS rows, count(*) FILTER (WHERE a.id IS DISTINCT FROM b.id OR a.msg IS DISTINCT FROM b.msg) AS wrong
FROM (SELECT *, row_number() OVER () AS n FROM (SELECT * FROM mixed WHERE _arrival_time BETWEEN '2026-01-01 01:00+00' AND '2026-01-01 05:00+00' ORDER BY _arrival_time) m) a
    FULL JOIN (SELECT *, row_number() OVER (ORDER BY _arrival_time) AS n FROM plain_copy WHERE _arrival_time BETWEEN '2026-01-01 01:00+00' AND '2026-01-01 05:00+00') b USING (n);
CALL compact('mixed');
SELECT count(*) AS rows, count(*) FILTER (WHERE a.id IS DISTINCT FROM b.id OR a.msg IS DISTINCT FROM b.msg) AS wrong
FROM (SELECT *, row_number() OVER () AS n FROM mixed) a
    FULL JOIN (SELECT *, row_number() OVER (ORDER BY _arrival_time DESC) AS n FROM plain_copy) b USING (n);
SELECT kind, state, row_count, tag_count FROM historian_segments('mixed') WHERE state = 'sealed';
SELECT historian_check('mixed') IS NOT NULL AS is_well;

-- --------------------------------------------------------------------- COPY

-- A default that changes from row to row makes PostgreSQL hand over row by row: segments are built all the same.
CREATE TABLE loaded (id int, msg text) USING log;
\copy (SELECT i, 'line ' || i FROM generate_series(1, 10000) AS i) TO 'results/log_lines.csv' WITH (FORMAT csv)
\copy loaded (id, msg) FROM 'results/log_lines.csv' WITH (FORMAT csv)
SELECT kind, row_count FROM historian_segments('loaded');
SELECT id, msg FROM loaded LIMIT 2;
BEGIN;
\copy loaded (id, msg) FROM 'results/log_lines.csv' WITH (FORMAT csv)
SELECT count(*) FROM loaded;
ROLLBACK;
SELECT count(*) FROM loaded;
-- A few lines go to the tail.
COPY loaded (id, msg) FROM STDIN;
10001	few
\.
SELECT kind, row_count FROM historian_segments('loaded');
SELECT id, msg FROM loaded LIMIT 2;

-- Records of one time: one granule after the other.
CREATE TABLE same (id int) USING log;
INSERT INTO same SELECT i, '2026-01-01' FROM generate_series(1, 20000) AS i;
CALL compact('same');
SELECT plan_of($$SELECT * FROM same LIMIT 1$$);
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM same ORDER BY _arrival_time) AS s;

DROP TABLE devices, plain_copy, mixed, loaded, same;
DROP TYPE event;
