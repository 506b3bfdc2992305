-- Tag tables in order of tag and time, and one row of each tag: plans, and answers next to those of a heap table.
\set ECHO none
\i sql/include/plan_of.sql
\set ECHO all
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET max_parallel_workers_per_gather = 0;
SET jit = off;
SET historian.debug_segment_rows = 4000;

-- 60 small tags that share granules, 4 large ones and NULL, over seven segments and a tail; NULL and infinite times among them.
CREATE TABLE sensor (name text COLLATE "C", time timestamptz, value float8, n int) USING tag;
CREATE TABLE as_heap (name text COLLATE "C", time timestamptz, value float8, n int) USING heap;
INSERT INTO as_heap SELECT CASE WHEN g % 500 = 0 THEN NULL WHEN g % 3 = 0 THEN 'big_' || g % 4 ELSE 'small_' || g * 7919 % 61 END,
        CASE WHEN g % 91 = 0 THEN NULL WHEN g % 333 = 0 THEN 'infinity' WHEN g % 334 = 0 THEN '-infinity'
        ELSE '2026-01-01'::timestamptz + g % 7000 * interval '1 second' END, g % 1000, g
    FROM generate_series(1, 25000) g;
INSERT INTO sensor SELECT * FROM as_heap WHERE n <= 8000 ORDER BY n;
CALL compact('sensor');
\copy (SELECT * FROM as_heap WHERE n > 8000 AND n <= 23000 ORDER BY n) TO 'ordered_scan.rows'
\copy sensor FROM 'ordered_scan.rows'
INSERT INTO sensor SELECT * FROM as_heap WHERE n > 23000 ORDER BY n;
DELETE FROM sensor WHERE n % 17 = 0;
DELETE FROM as_heap WHERE n % 17 = 0;
SELECT kind, count(*) FROM historian_segments('sensor') GROUP BY kind ORDER BY kind;

-- Whether the rows are the same in the same order, and what the plan says of the order.
CREATE FUNCTION in_order(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    line text;
    plan text := '';
    answers text[];
BEGIN
    EXECUTE 'SELECT count(*) || md5(coalesce(array_agg(r)::text, '''')) FROM (SELECT q::text AS r FROM (' || replace(query, '@', 'as_heap') || ') q) r' INTO line;
    answers[1] := line;
    PERFORM set_config('enable_sort', 'off', true), set_config('enable_hashagg', 'off', true), set_config('enable_seqscan', 'off', true);
    EXECUTE 'SELECT count(*) || md5(coalesce(array_agg(r)::text, '''')) FROM (SELECT q::text AS r FROM (' || replace(query, '@', 'sensor') || ') q) r' INTO line;
    answers[2] := line;
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || replace(query, '@', 'sensor') LOOP
        IF line ~ 'Order:|One Row|Sort' THEN plan := plan || ' | ' || trim(line, ' ->'); END IF;
    END LOOP;
    PERFORM set_config('enable_sort', 'on', true), set_config('enable_hashagg', 'on', true), set_config('enable_seqscan', 'on', true);
    RETURN CASE WHEN answers[1] = answers[2] THEN left(answers[1], length(answers[1]) - 32) || ' rows' ELSE 'DIFFERENT' END || plan;
END $$;

-- ----------------------------------------------------------------------------------------------------- by tag and time

\pset format unaligned
\pset tuples_only on
CREATE TABLE ways (way text);
INSERT INTO ways VALUES (''), (' DESC'), (' NULLS FIRST'), (' DESC NULLS LAST');
SELECT in_order('SELECT name, time FROM @ ORDER BY name' || a.way || ', time' || b.way) FROM ways a, ways b;
SELECT in_order('SELECT name, time FROM @ WHERE name = ''big_1'' ORDER BY time' || way) FROM ways;
SELECT in_order('SELECT name, time FROM @ WHERE name = ''small_7'' ORDER BY name, time' || way) FROM ways;
SELECT in_order('SELECT name, time FROM @ WHERE name IN (''big_2'', ''small_1'', ''small_60'', ''none'') AND value < 500 ORDER BY name' || way || ', time') FROM ways;
SELECT in_order('SELECT name, time FROM @ WHERE time BETWEEN ''2026-01-01 00:10'' AND ''2026-01-01 00:20'' ORDER BY name, time' || way) FROM ways;
SELECT in_order('SELECT name FROM @ WHERE name > ''big_2'' ORDER BY name DESC');
SELECT in_order('SELECT time FROM @ WHERE name = ''nobody'' ORDER BY time');
SELECT in_order('SELECT time FROM @ WHERE name = NULL ORDER BY time');
SELECT in_order('SELECT name FROM @ WHERE name IS NULL ORDER BY name');
-- More than the scan can give is sorted within what it gives.
SELECT in_order('SELECT name, time, n FROM @ ORDER BY name, time DESC, n');
SELECT in_order('SELECT name, n FROM @ ORDER BY name, n');
-- Not its order.
SELECT in_order('SELECT n FROM @ WHERE name = ''big_1'' ORDER BY n');
SELECT in_order('SELECT name FROM @ ORDER BY name COLLATE "en-x-icu", name');
SELECT in_order('SELECT time FROM @ ORDER BY time');
SELECT in_order('SELECT time FROM @ WHERE name = ''big_1'' OR n < 100 ORDER BY time');
SELECT in_order('SELECT name FROM @ ORDER BY name USING ~<~');
\pset format aligned
\pset tuples_only off

-- LIMIT ends it early: one granule of the newest segment.
SELECT plan_of($$SELECT time, value FROM sensor WHERE name = 'big_1' AND time < '2026-01-01 00:30' ORDER BY time DESC LIMIT 3$$);
SELECT plan_of($$SELECT max(time) FROM sensor WHERE name = 'big_1' AND time < 'infinity'$$);

-- ----------------------------------------------------------------------------------------------------- one row of each tag

\pset format unaligned
\pset tuples_only on
SELECT in_order('SELECT DISTINCT ON (name) name, time FROM @ ORDER BY name' || a.way || ', time' || b.way) FROM ways a, ways b WHERE a.way !~ 'LAST';
SELECT in_order('SELECT DISTINCT ON (name) name, time, value > 900 FROM @ WHERE value > 900 ORDER BY name, time DESC NULLS LAST');
SELECT in_order('SELECT DISTINCT ON (name) name, time FROM @ WHERE n % 1000 = 6 AND time < ''2026-01-01 01:00'' ORDER BY name, time DESC');
SELECT in_order('SELECT DISTINCT ON (name) name, time FROM @ WHERE name IN (''big_2'', ''small_1'', ''none'') ORDER BY name DESC, time DESC LIMIT 2');
SELECT in_order('SELECT DISTINCT ON (name) name, time FROM @ WHERE name = ''big_2'' ORDER BY name, time');
SELECT in_order('SELECT DISTINCT ON (name) name FROM @ ORDER BY name');
SELECT in_order('SELECT DISTINCT name FROM @ ORDER BY name');
SELECT in_order('SELECT DISTINCT name, 1 FROM @ WHERE value < 3 ORDER BY name DESC');
SELECT in_order('SELECT name FROM @ GROUP BY name ORDER BY name');
SELECT in_order('SELECT upper(name) FROM @ GROUP BY name HAVING name > ''small_3'' ORDER BY name');
-- All rows count here. (Version 16 sorts what is sorted by the tag already.)
SET enable_incremental_sort = off;
SELECT in_order('SELECT DISTINCT ON (name) name, time, n FROM @ ORDER BY name, time DESC, n');
SELECT in_order('SELECT DISTINCT ON (name, value) name, value FROM @ ORDER BY name, value');
SELECT in_order('SELECT DISTINCT name, value FROM @ ORDER BY name, value');
SELECT in_order('SELECT DISTINCT ON (name) name, count(*) OVER (PARTITION BY name) FROM @ ORDER BY name');
SELECT in_order('SELECT name, count(*) FROM @ GROUP BY name ORDER BY name');
SELECT in_order('SELECT DISTINCT ON (name) name, generate_series(1, 2) FROM @ ORDER BY name, 2 DESC');
SELECT split_part(in_order('SELECT DISTINCT ON (a.name) a.name, b.n FROM @ a JOIN as_heap b ON b.n = a.n WHERE a.n < 500 ORDER BY a.name, b.n'), ' | Order', 1);
SELECT in_order('SELECT DISTINCT ON (x.name) x.name, x.time FROM (SELECT * FROM @ ORDER BY name, time LIMIT 100) x ORDER BY x.name, x.time DESC');
RESET enable_incremental_sort;
\pset format aligned
\pset tuples_only off

-- What a policy hides is not anybody's last point; nor is it skipped by conditions that might tell.
ALTER TABLE sensor ENABLE ROW LEVEL SECURITY;
CREATE POLICY only_late ON sensor USING (n > 9000);
CREATE ROLE ordered_reader;
GRANT SELECT ON sensor, as_heap TO ordered_reader;
SET ROLE ordered_reader;
EXPLAIN (COSTS OFF) SELECT DISTINCT ON (name) name, time FROM sensor WHERE n <> 16000 ORDER BY name, time DESC;
SELECT count(*) FROM ((SELECT DISTINCT ON (name) name, time FROM sensor WHERE n <> 16000 ORDER BY name, time DESC)
    EXCEPT ALL (SELECT DISTINCT ON (name) name, time FROM as_heap WHERE n <> 16000 AND n > 9000 ORDER BY name, time DESC)) d;
RESET ROLE;
DROP POLICY only_late ON sensor;
ALTER TABLE sensor DISABLE ROW LEVEL SECURITY;
REVOKE SELECT ON sensor, as_heap FROM ordered_reader;
DROP ROLE ordered_reader;
-- Volatile functions may be meant for every row.
EXPLAIN (COSTS OFF) SELECT DISTINCT ON (name) name, random() FROM sensor ORDER BY name, time DESC;

-- The database's own collation sorts otherwise than by bytes: the few rows that are left are sorted.
CREATE TABLE sensor_local (name text, time timestamptz, value float8, n int) USING tag;
INSERT INTO sensor_local SELECT * FROM as_heap;
CALL compact('sensor_local');
EXPLAIN (COSTS OFF) SELECT DISTINCT ON (name) name, time, value FROM sensor_local ORDER BY name, time DESC;
SELECT count(*) FROM ((SELECT DISTINCT ON (name) name, time FROM sensor_local ORDER BY name, time DESC)
    EXCEPT ALL (SELECT DISTINCT ON (name) name COLLATE "default", time FROM as_heap ORDER BY name, time DESC)) d;
EXPLAIN (COSTS OFF) SELECT name, time FROM sensor_local WHERE name = 'big_1' ORDER BY time DESC LIMIT 1;
EXPLAIN (COSTS OFF) SELECT name, time FROM sensor_local ORDER BY name COLLATE "C" DESC, time;
EXPLAIN (COSTS OFF) SELECT DISTINCT name FROM sensor_local;

-- Settings
SET historian.enable_last_point = off;
EXPLAIN (COSTS OFF) SELECT DISTINCT ON (name) name, time, value FROM sensor ORDER BY name, time DESC;
SET historian.enable_ordered_scan = off;
EXPLAIN (COSTS OFF) SELECT DISTINCT ON (name) name, time, value FROM sensor ORDER BY name, time DESC;
RESET historian.enable_last_point;
EXPLAIN (COSTS OFF) SELECT DISTINCT ON (name) name, time, value FROM sensor ORDER BY name, time DESC;
RESET historian.enable_ordered_scan;

-- ----------------------------------------------------------------------------------------------------- what profits from it

-- The last point of each machine, by name.
CREATE TABLE machines (name text COLLATE "C", hall int);
INSERT INTO machines SELECT 'small_' || i, i FROM generate_series(1, 100) AS i;
ANALYZE machines;
EXPLAIN (COSTS OFF) SELECT m.name, l.time, l.n FROM machines m,
    LATERAL (SELECT * FROM sensor s WHERE s.name = m.name ORDER BY time DESC NULLS LAST LIMIT 1) l WHERE m.hall < 9;
SELECT m.name, l.time, (SELECT max(time) FROM as_heap h WHERE h.name = m.name) = l.time AS is_last FROM machines m,
    LATERAL (SELECT * FROM sensor s WHERE s.name = m.name ORDER BY time DESC NULLS LAST LIMIT 1) l WHERE m.hall < 9 ORDER BY m.hall;
PREPARE last_points (text[], timestamptz) AS
    SELECT DISTINCT ON (name) name, time FROM sensor WHERE name = ANY ($1) AND time < $2 ORDER BY name, time DESC;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE last_points ('{big_1,big_3,small_9}', '2026-01-01 00:10');
EXECUTE last_points ('{big_1,big_3,small_9}', '2026-01-01 00:10');
EXECUTE last_points ('{small_9}', '2026-01-01 00:20');
EXECUTE last_points ('{}', '2026-01-01 00:20');
RESET plan_cache_mode;

-- Window functions, merge joins, grouping
SELECT plan_of('SELECT name, time, value - lag(value) OVER (PARTITION BY name ORDER BY time) FROM sensor', 'ANALYZE OFF');
SELECT in_order('SELECT name, time, count(*) OVER (PARTITION BY name ORDER BY time) FROM @');
SET enable_hashjoin = off;
SET enable_nestloop = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM sensor a JOIN sensor b ON a.name = b.name AND a.time = b.time;
SELECT (SELECT count(*) FROM sensor a JOIN sensor b ON a.name = b.name AND a.time = b.time) AS sensor,
    (SELECT count(*) FROM as_heap a JOIN as_heap b ON a.name = b.name AND a.time = b.time) AS as_heap;
RESET enable_hashjoin;
RESET enable_nestloop;

-- Partitions of a table: merged, or one row of each tag and partition.
CREATE TABLE parted (name text COLLATE "C", time timestamptz, value float8, n int) PARTITION BY RANGE (n);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (12000) USING tag;
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (12000) TO (30000) USING tag;
INSERT INTO parted SELECT * FROM as_heap;
CALL compact('parted_1');
EXPLAIN (COSTS OFF) SELECT name, time FROM parted ORDER BY name DESC, time LIMIT 5;
EXPLAIN (COSTS OFF) SELECT DISTINCT ON (name) name, time FROM parted ORDER BY name, time DESC;
SELECT count(*) FROM ((SELECT DISTINCT ON (name) name, time FROM parted ORDER BY name, time DESC)
    EXCEPT ALL (SELECT DISTINCT ON (name) name, time FROM as_heap ORDER BY name, time DESC)) d;

-- Cursors turn around anywhere.
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT name, time FROM sensor WHERE name >= 'small_58' AND time >= '2026-01-01 01:55' ORDER BY name, time DESC;
FETCH 3 FROM c;
FETCH BACKWARD 2 FROM c;
FETCH 4 FROM c;
FETCH LAST FROM c;
FETCH BACKWARD 2 FROM c;
FETCH FIRST FROM c;
FETCH PRIOR FROM c;
FETCH NEXT FROM c;
COMMIT;

-- Tags of other types.
CREATE FUNCTION typed_order(type text, expression text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    line text;
    plan text := '';
BEGIN
    EXECUTE format('CREATE TABLE typed (tag, time, n) USING tag AS SELECT (%s)::%s, ''2026-01-01''::timestamp - g %% 100 * interval ''1 s'', g FROM generate_series(1, 9000) g', expression, type);
    EXECUTE format('INSERT INTO typed SELECT (%s)::%s, ''2026-01-01''::timestamp + g %% 100 * interval ''1 s'', g FROM generate_series(9001, 9300) g', expression, type);
    CREATE TEMP TABLE typed_heap USING heap AS TABLE typed;
    FOR line IN EXPLAIN (COSTS OFF) SELECT tag, time FROM typed ORDER BY tag, time DESC LIMIT 5 LOOP
        IF line ~ 'Order:|Sort ' THEN plan := plan || ' | ' || trim(line); END IF;
    END LOOP;
    FOR line IN EXPLAIN (COSTS OFF) SELECT DISTINCT ON (tag) tag, time FROM typed ORDER BY tag, time DESC LOOP
        IF line ~ 'One Row|Sort ' THEN plan := plan || ' | ' || trim(line); END IF;
    END LOOP;
    SELECT type || ': ' || (SELECT count(*) FROM historian_segments('typed')) || ', ' || ((SELECT array_agg(t) FROM (SELECT tag, time FROM typed ORDER BY tag, time DESC) t)
        = (SELECT array_agg(t) FROM (SELECT tag, time FROM typed_heap ORDER BY tag, time DESC) t)
        AND (SELECT array_agg(t) FROM (SELECT DISTINCT ON (tag) tag, time FROM typed ORDER BY tag, time DESC) t)
        = (SELECT array_agg(t) FROM (SELECT DISTINCT ON (tag) tag, time FROM typed_heap ORDER BY tag, time DESC) t)) INTO line;
    DROP TABLE typed, typed_heap;
    RETURN line || plan;
END $$;
\pset format unaligned
\pset tuples_only on
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
ALTER TYPE mood ADD VALUE 'angry' BEFORE 'sad';
CREATE DOMAIN code AS int CHECK (value < 100);
SELECT typed_order('int', 'g * 7919 % 50 - 25');
SELECT typed_order('bigint', '(g * 7919 % 50 - 25) * 10000000000');
SELECT typed_order('smallint', 'g % 5 - 2');
SELECT typed_order('code', 'g % 5 - 2');
SELECT typed_order('date', 'date ''2000-01-01'' + g * 7919 % 50 - 25');
SELECT typed_order('uuid', 'md5((g % 50)::text)');
SELECT typed_order('bytea', 'decode(repeat(to_hex(g % 200 + 16), g % 3), ''hex'')');
SELECT typed_order('bool', 'g % 2 = 0');
SELECT typed_order('macaddr', 'lpad(to_hex(g % 50), 12, ''0'')');
SELECT typed_order('varchar(9) COLLATE "C"', 'g % 50');
-- Sorted otherwise than by bytes; of numeric and bpchar equal values are not even equal bytes.
SELECT typed_order('oid', 'g % 50 + 4294967200');
SELECT typed_order('mood', '(enum_range(NULL::mood))[g % 4 + 1]');
SELECT typed_order('numeric', 'g % 50 - 25');
SELECT typed_order('float8', 'g % 50 - 25');
SELECT typed_order('char(5) COLLATE "C"', 'g % 50');
\pset format aligned
\pset tuples_only off
DROP FUNCTION in_order, typed_order;
DROP TYPE mood, code;
DROP TABLE sensor, as_heap, sensor_local, machines, parted, ways;
