-- HistorianAggregate where sums leave what floats hold, where columns are of domains, where rows that do not count have times that
-- the groups' expression cannot take, and where clocks are put back.
SET timezone = 'UTC';
SET max_parallel_workers_per_gather = 0;
-- Whether a query over point answers the same when rows are aggregated one by one, and by the node at all.
CREATE FUNCTION is_same(query text, OUT by_node bool, OUT same bool) LANGUAGE plpgsql AS $$
DECLARE
    line text;
    fast text;
    slow text;
BEGIN
    by_node := false;
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        by_node := by_node OR line LIKE '%HistorianAggregate%';
    END LOOP;
    EXECUTE 'SELECT string_agg(q::text, chr(10) ORDER BY q::text COLLATE "C") FROM (' || query || ') AS q' INTO fast;
    PERFORM set_config('historian.enable_aggregate', 'off', true);
    EXECUTE 'SELECT string_agg(q::text, chr(10) ORDER BY q::text COLLATE "C") FROM (' || query || ') AS q' INTO slow;
    PERFORM set_config('historian.enable_aggregate', 'on', true);
    same := fast IS NOT DISTINCT FROM slow;
END $$;

-- Sums whose squares no float holds; rows 1 to 8192 are two granules.
CREATE TABLE point (name text, time timestamptz, value float8, r real) USING tag;
INSERT INTO point SELECT 'a', '2026-01-01'::timestamptz + i * interval '1 second',
        CASE i WHEN 10 THEN 1e200 WHEN 5000 THEN 2e200 WHEN 9000 THEN -3e200 ELSE 0 END, 1e38
    FROM generate_series(1, 10000) AS i;
CALL compact('point');
SELECT * FROM is_same('SELECT sum(value), min(value) FROM point');
SELECT * FROM is_same('SELECT sum(value) FROM point WHERE value < 1e300');
SELECT sum(r) FROM point;
SELECT max(r) FROM point;
-- Finite values that overflow only when they are added out of order.
TRUNCATE point;
INSERT INTO point SELECT 'a', '2026-01-01'::timestamptz + i * interval '1 second', CASE WHEN i % 2 = 0 THEN 1e308 ELSE -1e308 END, i
    FROM generate_series(1, 4000) AS i;
SELECT sum(value) FROM point;
CALL compact('point');
SELECT sum(value) FROM point;
SELECT sum(value) FROM point WHERE r > 0;
SELECT sum(value) FROM point WHERE r > 3;
SELECT sum(value) FROM point WHERE r::int % 2 = 0;
-- Infinities beside others, in groups that Finalize Aggregate joins; nothing but -0.
TRUNCATE point;
INSERT INTO point SELECT name, '2026-01-01'::timestamptz + i * interval '1 second',
        CASE i WHEN 10 THEN 'Infinity'::float8 WHEN 6000 THEN 'Infinity' ELSE 1 END, '-0'
    FROM generate_series(1, 20000) AS i, (VALUES ('a'), ('b')) AS v (name);
CALL compact('point');
ANALYZE point;
SELECT * FROM is_same('SELECT sum(value), avg(value), stddev(value) FROM point');
SELECT * FROM is_same('SELECT sum(r), avg(r), min(r), max(r) FROM point');
SELECT * FROM is_same('SELECT sum(r), avg(r), min(r), max(r) FROM point WHERE value > 0 AND value < 9');
-- The tags' groups are the same, and more than memory holds.
SET work_mem = '64kB';
SET hash_mem_multiplier = 1;
SELECT * FROM is_same('SELECT date_bin(''12 s'', time, ''2000-01-01''), sum(value), avg(value) FROM point GROUP BY 1');
RESET work_mem;
RESET hash_mem_multiplier;

-- Domains over floats are stored as integers of their width, and stay so when the column becomes a float.
CREATE DOMAIN level AS float8;
CREATE DOMAIN small_level AS real;
CREATE TABLE leveled (name text, time timestamptz, l level, s small_level) USING tag;
INSERT INTO leveled SELECT 'a', '2026-01-01'::timestamptz + i * interval '1 second', i / 8.0 - 500, i / 4.0 - 1000
    FROM generate_series(1, 10000) AS i;
CALL compact('leveled');
CREATE TABLE leveled_question (rows text);
INSERT INTO leveled_question VALUES ('true'), ('l < -3'), ('l > -3'), ('l BETWEEN -100 AND -1'), ('s < -3'), ('s > -3 AND l < 20'),
    ('l = ANY (''{-4, -10.5, 7}'')'), ('s <= -999.75'), ('l >= 0 AND l <= 0');
CREATE FUNCTION leveled_faults() RETURNS TABLE (question text, fast text, slow text) LANGUAGE plpgsql AS $$
DECLARE
    sql text;
BEGIN
    FOR question IN SELECT rows FROM leveled_question LOOP
        sql := 'SELECT (count(*), sum(l), avg(l), min(l), max(l), avg(s), min(s), max(s))::text FROM leveled WHERE ' || question;
        EXECUTE sql INTO fast;
        PERFORM set_config('historian.enable_scan', 'off', true);
        EXECUTE sql INTO slow;
        PERFORM set_config('historian.enable_scan', 'on', true);
        IF fast IS DISTINCT FROM slow THEN RETURN NEXT; END IF;
    END LOOP;
END $$;
SELECT count(*), sum(l), avg(l), min(l), max(l), avg(s), min(s), max(s) FROM leveled;
SELECT count(*) FROM leveled WHERE l < -3;
SELECT * FROM leveled_faults();
SET historian.enable_aggregate = off;
SELECT * FROM leveled_faults();
ALTER TABLE leveled ALTER l TYPE float8, ALTER s TYPE real;
SELECT * FROM leveled_faults();
RESET historian.enable_aggregate;
SELECT * FROM leveled_faults();

-- Tags that are numbers are stored as bytes.
CREATE TABLE numbered (tag int, time timestamptz, n int) USING tag;
CREATE TABLE floated (tag float8, time timestamptz, n int) USING tag;
INSERT INTO numbered SELECT i % 5 - 2, '2026-01-01'::timestamptz + i * interval '1 second', i FROM generate_series(1, 10000) AS i;
INSERT INTO floated SELECT tag / 2.0, time, n FROM numbered;
CALL compact('numbered');
CALL compact('floated');
SELECT tag, count(*), count(*) FILTER (WHERE tag > 0) AS positive, sum(n) FILTER (WHERE tag = 1) AS sum FROM numbered
    WHERE tag >= -1 AND tag < 2 GROUP BY tag ORDER BY tag;
SELECT tag, count(*), count(*) FILTER (WHERE tag > 0) AS positive, sum(n) FILTER (WHERE tag = 0.5) AS sum FROM floated
    WHERE tag >= -0.5 AND tag < 1 GROUP BY tag ORDER BY tag;
SELECT count(*) FROM floated WHERE tag = 0;
SELECT count(*) FILTER (WHERE time < '2026-01-01 00:10'), count(*) FILTER (WHERE time IN ('2026-01-01 00:10', '2026-01-01 00:11'))
    FROM numbered;

-- Rows that are deleted, or that no condition wants, may have times that the groups' expression cannot take.
TRUNCATE point;
INSERT INTO point SELECT 'a', '2026-01-01'::timestamptz + i * interval '1 second', i, i FROM generate_series(1, 100) AS i;
INSERT INTO point VALUES ('a', 'infinity', 1000), ('a', '-infinity', 1000), ('a', '2100-01-01', 1000);
CALL compact('point');
SELECT extract(epoch FROM time)::int / 50 AS bucket, count(*) FROM point WHERE value < 1000 GROUP BY 1 ORDER BY 1;
SELECT extract(epoch FROM time)::int / 50 AS bucket, count(*) FROM point GROUP BY 1 ORDER BY 1;
DELETE FROM point WHERE value = 1000 AND NOT isfinite(time);
SELECT extract(epoch FROM time)::int / 50 AS bucket, count(*) FROM point WHERE value < 1000 GROUP BY 1 ORDER BY 1;
DELETE FROM point WHERE value = 1000;
SELECT extract(epoch FROM time)::int / 50 AS bucket, count(*) FROM point GROUP BY 1 ORDER BY 1;

-- Nor are they tried while planning.
INSERT INTO point VALUES ('a', '4714-11-24 00:00+00 BC', -1), ('a', '294276-12-31 23:59:59.999999+00', -1);
CALL compact('point');
SELECT date_trunc('hour', time) AS hour, count(*) FROM point WHERE value = -2 GROUP BY 1;
SELECT date_trunc('week', time) AS week, count(*) FROM point WHERE value > 0 GROUP BY 1;
SELECT (extract(epoch FROM time) * 1000)::int8 / 60000 AS bucket, count(*) FROM point WHERE value = -2 GROUP BY 1;
DELETE FROM point WHERE value = -1;

-- Cheap conditions are checked before dear ones, as in other plans.
CREATE FUNCTION inverse(x float8) RETURNS float8 LANGUAGE plpgsql COST 1000 AS $$ BEGIN RETURN 1 / x; END $$;
SELECT count(*) FROM point WHERE inverse(value - 7) > 0 AND value <> 7;

-- Groups by constants alone, which nothing is sorted by.
SET enable_hashagg = off;
SELECT 'x'::text, count(*) FROM point GROUP BY 'x'::text;
SELECT name, count(*) FROM point WHERE name = 'a' GROUP BY name;
SELECT name, date_trunc('minute', time), count(*) FROM point WHERE name = 'a' GROUP BY 1, 2 ORDER BY 2;
RESET enable_hashagg;

-- Where the clock is put back the wall shows an hour twice. A bin that begins before that and ends behind it has the wall's time
-- of before: 2:45 there comes before and behind 2:15.
TRUNCATE point;
INSERT INTO point SELECT 'a', '2026-10-24 20:00+00'::timestamptz + i * interval '11 seconds', i, i FROM generate_series(1, 6000) AS i;
CALL compact('point');
SET timezone = 'Europe/Berlin';
SELECT date_bin('30 minutes', time, '2000-01-01 00:15+00')::timestamp AS bin, count(*), min(time) FROM point
    WHERE time BETWEEN '2026-10-25 00:45+00' AND '2026-10-25 02:15+00' GROUP BY 1 ORDER BY 1;
SET timezone = 'UTC';
CREATE VIEW clock_question AS
    SELECT format('SELECT ' || outer_ || ', count(*), min(value), max(value) FROM point GROUP BY 1', inner_) AS sql
    FROM (VALUES ('time'), ('date_bin(''30 minutes'', time, ''2000-01-01 00:15+00'')'), ('time_bucket(''40 minutes'', time)'),
        ('date_trunc(''hour'', time)'), ('date_trunc(''day'', time)'), ('date_bin(''2 days'', time, ''2026-10-23 23:30+00'')'))
        AS i (inner_),
    (VALUES ('date(%s)'), ('(%s)::timestamp'), ('date_trunc(''hour'', %s, ''Europe/Berlin'')'),
        ('(%s) AT TIME ZONE ''Europe/Berlin'''), ('date_trunc(''day'', (%s) AT TIME ZONE ''Europe/Berlin'')')) AS o (outer_);
SELECT count(*), count(*) FILTER (WHERE by_node) AS by_node, count(*) FILTER (WHERE same) AS same FROM clock_question, is_same(sql);
SET timezone = 'Europe/Berlin';
SELECT count(*), count(*) FILTER (WHERE by_node) AS by_node, count(*) FILTER (WHERE same) AS same FROM clock_question, is_same(sql);
SET timezone = 'UTC';
-- A cursor whose zone is another one when it is opened than when it is read.
BEGIN;
DECLARE c CURSOR FOR SELECT (date_bin('30 minutes', time, '2000-01-01 00:15+00')::timestamp)::text, count(*) FROM point
    WHERE time BETWEEN '2026-10-25 00:45+00' AND '2026-10-25 02:15+00' GROUP BY date_bin('30 minutes', time, '2000-01-01 00:15+00')::timestamp;
SET LOCAL timezone = 'Europe/Berlin';
FETCH ALL FROM c;
COMMIT;
DROP VIEW clock_question;
DROP TABLE point, leveled, leveled_question, numbered, floated;
DROP DOMAIN level, small_level;
DROP FUNCTION is_same, leveled_faults, inverse;

-- A tag that is a number, in FILTER.
CREATE TABLE numbered (tag int, time timestamptz, value int) USING tag;
INSERT INTO numbered SELECT i % 5, '2026-01-01'::timestamptz + i * interval '1 second', i FROM generate_series(1, 1000) AS i;
CALL compact('numbered');
SELECT tag, count(*), max(value) FILTER (WHERE tag = 3) FROM numbered GROUP BY tag ORDER BY tag;
SELECT count(*) FILTER (WHERE tag < 3), count(*) FILTER (WHERE tag IS NULL), max(value) FROM numbered;
-- Buckets at the end of time.
CREATE TABLE ancient (tag int, time timestamptz, value int) USING tag;
INSERT INTO ancient VALUES (1, '4714-11-24 BC', 1), (2, '294276-12-31', 2), (3, '2026-01-01', 3);
CALL compact('ancient');
SELECT date_trunc('year', time), count(*) FROM ancient WHERE tag = 3 GROUP BY 1;
DROP TABLE numbered, ancient;
