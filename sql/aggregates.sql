-- HistorianAggregate: which queries it does, and that it answers as PostgreSQL does row by row.
SET timezone = 'UTC';
SET max_parallel_workers_per_gather = 0;
CREATE TABLE sensor (name text, time timestamptz, value float8, n int, b bigint, r real, s smallint, ok bool, day date) USING tag;
CREATE TABLE plain (LIKE sensor);

-- Numbers that floats add without rounding, so that sums are the same in any order; NULLs, NaN, infinities; NULL keys.
INSERT INTO plain
    SELECT 'tag' || i % 5, '2026-01-01'::timestamptz + i * interval '1 second',
           CASE WHEN i % 11 = 0 THEN NULL ELSE (i * 7919 % 1000) / 8.0 END, i * 31 % 1000, i::bigint * 1000000007 % 1000000000039,
           (i * 17 % 100) / 4.0, i % 200 - 100, i % 3 = 0, date '2026-01-01' + i % 40
    FROM generate_series(1, 40000) AS i;
INSERT INTO plain VALUES (NULL, '2026-01-01', 1, 2, 3, 4, 5, true, NULL), ('tag1', NULL, 1, 2, 3, 4, 5, NULL, NULL),
    (NULL, NULL, 1, 2, 3, 4, 5, false, NULL), ('odd', '2026-01-01 00:00:01', 'NaN', 1, 1, 'NaN', 1, true, NULL),
    ('odd', '2026-01-01 00:00:02', 'Infinity', 1, 9223372036854775807, '-Infinity', 1, true, 'infinity'),
    ('odd', '2026-01-01 00:00:03', '-Infinity', 1, 9223372036854775807, 0, 1, true, '-infinity'),
    ('null', '2026-01-01 00:00:01', NULL, NULL, NULL, NULL, NULL, NULL, NULL), ('ever', 'infinity', 1, 1, 1, 1, 1, true, NULL),
    ('ever', '-infinity', 1, 1, 1, 1, 1, true, NULL);
INSERT INTO sensor SELECT * FROM plain;
CALL compact('sensor');
-- Some rows in the tail, some deleted.
INSERT INTO sensor SELECT name, time + interval '5 hours', value, n, b, r, s, ok, day FROM plain WHERE n < 20;
INSERT INTO plain SELECT name, time + interval '5 hours', value, n, b, r, s, ok, day FROM plain WHERE n < 20;
DELETE FROM sensor WHERE n = 77 OR (name = 'tag2' AND time < '2026-01-01 01:00');
DELETE FROM plain WHERE n = 77 OR (name = 'tag2' AND time < '2026-01-01 01:00');

-- What it does.
CREATE FUNCTION plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF) ' || query;
END $$;
SELECT plan('SELECT count(*), avg(value) FROM sensor');
SELECT plan('SELECT name, date_trunc(''hour'', time), max(value) FROM sensor WHERE name IN (''tag1'', ''tag2'') AND value > 10 GROUP BY 1, 2');
EXPLAIN (COSTS OFF, VERBOSE) SELECT name, count(*) FILTER (WHERE value > 3) + 1 AS more FROM sensor WHERE time < '2026-01-02'
    GROUP BY name HAVING max(n) > 3 ORDER BY more;

-- The shapes of a query, one a row; each is asked of both tables.
CREATE TABLE question (groups text, rows text, aggregates text);
INSERT INTO question (groups, rows, aggregates)
    SELECT g.*, r.*, a.* FROM
    (VALUES ('NULL::text, NULL::text'), ('name, NULL::text'), ('NULL::text, date_bin(''10 minutes'', time, ''2000-01-01'')'),
        ('name, date_bin(''1 hour'', time, ''2000-01-01'')'), ('name, date_trunc(''day'', time)'),
        ('name, floor(extract(epoch FROM time) / 300) * 300'), ('name, (floor(extract(epoch FROM time) / 3600) * 3600)::float8'),
        ('NULL::text, to_timestamp(floor(extract(epoch FROM time) / 900) * 900)'), ('ok::text, NULL::text'), ('name, time::date'),
        ('name, date_trunc(''hour'', time, ''Asia/Kolkata'')'), ('NULL::text, extract(minute FROM time)'),
        ('ok, s'), ('name, day'), ('r, NULL::text'),
        ('ok, date_bin(''2 hours'', time, ''2000-01-01'')')) AS g (groups),
    (VALUES ('true'), ('name = ''tag1'''), ('time >= ''2026-01-01 02:00'' AND time < ''2026-01-01 04:30'''), ('value > 50'),
        ('value BETWEEN 20 AND 60 AND n < 300 AND name IN (''tag1'', ''tag4'', ''odd'')'), ('n::text LIKE ''%1'' AND NOT ok'),
        ('value >= ''NaN'''), ('name > ''tag3'' AND name NOT LIKE ''%4'' AND value > 3'),
        ('time IN (''2026-01-01 00:00:01'', ''2026-01-01 01:00'')'), ('value IS NULL'),
        ('time > date ''5874897-12-31'''), ('r = 0.25::float8 AND b <> 5 AND day < ''2026-01-20''')) AS r (rows),
    (VALUES ('count(*), count(value), count(time), count(name), count(*) FILTER (WHERE value > 50 AND ok), sum(n), avg(n)'),
        ('sum(value), avg(value), min(value), max(value), min(r), max(r), avg(r), max(value) FILTER (WHERE name = ''tag3'')'),
        ('sum(b), avg(b), min(b), max(b), sum(s), avg(s), min(time), max(time), min(day), max(day), every(ok), bool_or(ok)'),
        ('variance(n), stddev_pop(s), var_samp(n) FILTER (WHERE n < 500), max(s), min(s), min(n), max(n), sum(r)'))
        AS a (aggregates);
CREATE FUNCTION answer(question, source regclass, OUT md5 text, OUT rows bigint) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SELECT md5(string_agg(q::text, chr(10) ORDER BY q::text COLLATE "C")), count(*) FROM '
                   '(SELECT %s, %s FROM %s WHERE %s GROUP BY 1, 2) AS q', $1.groups, $1.aggregates, source, $1.rows) INTO md5, rows;
    IF $1.groups = 'NULL::text, NULL::text' THEN
        EXECUTE format('SELECT q::text, 1 FROM (SELECT %s FROM %s WHERE %s) AS q', $1.aggregates, source, $1.rows) INTO md5, rows;
    END IF;
END $$;
SELECT groups, q.rows, aggregates FROM question AS q, answer(q, 'sensor') AS fast, answer(q, 'plain') AS slow
    WHERE fast IS DISTINCT FROM slow ORDER BY 1, 2, 3;
SELECT count(*) AS questions, sum(fast.rows) AS rows FROM question AS q, answer(q, 'sensor') AS fast;

-- By parallel workers, each with segments of its own.
INSERT INTO sensor SELECT name, time + interval '20 hours', value, n, b, r, s, ok, day FROM plain WHERE n < 500 AND name <> 'ever';
INSERT INTO plain SELECT name, time + interval '20 hours', value, n, b, r, s, ok, day FROM plain WHERE n < 500 AND name <> 'ever';
CALL compact('sensor');
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT name, date_bin('1 minute', time, '2000-01-01'), avg(value) FROM sensor WHERE value > 0 GROUP BY 1, 2;
SELECT groups, q.rows, aggregates FROM question AS q, answer(q, 'sensor') AS fast, answer(q, 'plain') AS slow
    WHERE fast IS DISTINCT FROM slow ORDER BY 1, 2, 3;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
SET max_parallel_workers_per_gather = 0;

-- Variance of floats depends on the order of rows in its last digits.
SELECT count(*) FROM (SELECT name, stddev(value), var_pop(r) FROM sensor GROUP BY 1) AS a (name, d, v)
    JOIN (SELECT name, stddev(value), var_pop(r) FROM plain GROUP BY 1) AS b (name, d, v) ON a.name IS NOT DISTINCT FROM b.name
    AND (a.d IS NOT DISTINCT FROM b.d OR abs(a.d - b.d) < 1e-9) AND (a.v IS NOT DISTINCT FROM b.v OR abs(a.v - b.v) < 1e-9);
SELECT count(DISTINCT name) + 1 AS groups FROM plain;

-- Buckets of clocks that are put back: at 2010-11-07 00:01 Newfoundland's went back to 23:01 of the day before.
SET timezone = 'America/St_Johns';
CREATE TABLE fall (name text, time timestamptz, value int) USING tag;
INSERT INTO fall SELECT 'a', '2010-11-07 00:00:00+00'::timestamptz + i * interval '7 seconds', i FROM generate_series(1, 5000) AS i;
CALL compact('fall');
SELECT date_trunc('day', time) AS day, count(*), min(time), max(time) FROM fall GROUP BY 1 ORDER BY 1;
SET historian.enable_aggregate = off;
SELECT date_trunc('day', time) AS day, count(*), min(time), max(time) FROM fall GROUP BY 1 ORDER BY 1;
RESET historian.enable_aggregate;
SET timezone = 'UTC';

-- Parameters, in generic plans too; rescans; subqueries; cursors.
PREPARE by_width(interval, text) AS
    SELECT date_bin($1, time, '2000-01-01') AS t, count(*) FROM sensor WHERE name = $2 GROUP BY 1 ORDER BY 1 LIMIT 2;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE by_width('1 hour', 'tag1');
EXECUTE by_width('1 hour', 'tag1');
EXECUTE by_width('2 hours', 'tag3');
RESET plan_cache_mode;
SELECT t, (SELECT count(*) FROM sensor WHERE name = t) AS rows FROM (VALUES ('tag1'), ('none'), ('tag2')) AS v (t);
SELECT t, n FROM (VALUES ('tag1'), ('tag4')) AS v (t), LATERAL (SELECT sum(n) AS n FROM sensor WHERE name = t) AS s;
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT name, count(*) FROM sensor WHERE name LIKE 'tag%' GROUP BY name ORDER BY name;
FETCH 2 FROM c;
FETCH BACKWARD 1 FROM c;
FETCH 3 FROM c;
COMMIT;

-- An empty table, a table without statistics, columns added later and dropped.
CREATE TABLE young (name text, time timestamptz, value float8) USING tag;
SELECT count(*), sum(value), avg(value), max(time) FROM young;
SELECT name, count(*) FROM young GROUP BY name;
INSERT INTO young SELECT 'a', '2026-01-01'::timestamptz + i * interval '1 second', i FROM generate_series(1, 1000) AS i;
CALL compact('young');
ALTER TABLE young ADD COLUMN added int DEFAULT 7, ADD COLUMN empty float8;
SELECT count(*), sum(added), avg(added), count(empty), max(empty), count(*) FILTER (WHERE added = 7),
    sum(value) FILTER (WHERE empty > 1) FROM young;
ALTER TABLE young DROP COLUMN value;
SELECT count(*), sum(added) FROM young WHERE added > 3;

-- Overflow is an error as elsewhere.
CREATE TABLE big (name text, time timestamptz, value float8, n int) USING tag;
INSERT INTO big SELECT 'a', '2026-01-01'::timestamptz + i * interval '1 second', 1e308, 2147483647 FROM generate_series(1, 1000) AS i;
CALL compact('big');
SELECT sum(value) FROM big;
SELECT avg(value) FROM big;
SELECT max(value), sum(n), avg(n) FROM big;

-- The log table has them too, searches in them.
CREATE TABLE records (level int, msg text) USING log;
INSERT INTO records (level, msg, _arrival_time)
    SELECT i % 5, 'pump ' || i % 7 || CASE WHEN i % 3 = 0 THEN ' failed' ELSE ' runs' END,
        '2026-01-01'::timestamptz + i * interval '1 second'
    FROM generate_series(1, 20000) AS i;
CALL compact('records');
EXPLAIN (COSTS OFF) SELECT date_trunc('hour', _arrival_time), count(*) FROM records WHERE msg @@ search('failed') AND level = 2 GROUP BY 1;
SELECT date_trunc('hour', _arrival_time) AS hour, count(*), max(level) FROM records WHERE msg @@ search('failed') GROUP BY 1 ORDER BY 1;
SELECT level, msg, count(*), count(*) FILTER (WHERE _arrival_time < '2026-01-01 01:00') AS early FROM records
    WHERE msg @@ search('failed') AND level < 2 GROUP BY level, msg ORDER BY 1, 2;
SELECT count(*) FROM records WHERE msg LIKE '%failed' AND _arrival_time < '2026-01-01 00:10' AND level = 2;

-- Row-level security: nobody sees by EXPLAIN what hidden rows hold, and only visible rows count.
CREATE ROLE aggregates_reader;
GRANT SELECT ON sensor TO aggregates_reader;
ALTER TABLE sensor ENABLE ROW LEVEL SECURITY;
CREATE POLICY one_tag ON sensor FOR SELECT TO aggregates_reader USING (name = 'tag1');
SET ROLE aggregates_reader;
SELECT name, count(*) FROM sensor WHERE value < 1e9 GROUP BY name;
RESET ROLE;
ALTER TABLE sensor DISABLE ROW LEVEL SECURITY;
DROP POLICY one_tag ON sensor;
REVOKE ALL ON sensor FROM aggregates_reader;
DROP ROLE aggregates_reader;

-- More groups than memory.
SET work_mem = '64kB';
SET hash_mem_multiplier = 1;
SELECT count(*), sum(rows) FROM (SELECT name, time, count(*) AS rows FROM sensor WHERE name LIKE 'tag%' GROUP BY name, time) AS q;
RESET work_mem;
RESET hash_mem_multiplier;
DROP TABLE sensor, plain, question, fall, young, big, records CASCADE;
DROP FUNCTION plan;
