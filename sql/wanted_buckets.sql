-- GROUP BY a bucket, ORDER BY it, LIMIT n (planner/wanted_buckets.h): little is read, and the answers are those of a heap table.
SET timezone = 'UTC';
SET max_parallel_workers_per_gather = 0;
SET historian.debug_segment_rows = 10000;
CREATE TABLE plain (name text, time timestamptz NOT NULL, value float8, n int);
CREATE TABLE sensor (LIKE plain) USING tag WITH (historian.seal_interval = '1h');
INSERT INTO plain SELECT 'tag' || tag, '2026-01-01'::timestamptz + i * interval '10 seconds', (i * 7919 % 1000) / 8.0, i
    FROM generate_series(1, 9000) AS i, generate_series(1, 3) AS tag;
INSERT INTO sensor SELECT * FROM plain;
CALL compact('sensor');
INSERT INTO plain SELECT name, time + interval '26 hours', value, n FROM plain WHERE n < 300;
INSERT INTO sensor SELECT name, time + interval '26 hours', value, n FROM sensor WHERE n < 300;
-- The newest and the oldest buckets are gone, in part and as a whole.
DELETE FROM plain WHERE n % 7 = 0 OR n < 10 OR time > '2026-01-02 02:40';
DELETE FROM sensor WHERE n % 7 = 0 OR n < 10 OR time > '2026-01-02 02:40';
ANALYZE plain, sensor;

-- What it does: of each tag but the first it reads what lies at the end.
CREATE TABLE many (LIKE plain) USING tag;
INSERT INTO many SELECT 'tag' || tag, '2026-01-01'::timestamptz + i * interval '1 second', i, i
    FROM generate_series(1, 30000) AS i, generate_series(1, 8) AS tag;
CALL compact('many');
ANALYZE many;
EXPLAIN (COSTS OFF) SELECT time_bucket('1 minute', time) AS minute, max(value) FROM many GROUP BY 1 ORDER BY 1 DESC LIMIT 5 OFFSET 1;
EXPLAIN (COSTS OFF) SELECT time_bucket('1 minute', time) AS minute, max(value) FROM many WHERE time > '2026-01-01 01:00' GROUP BY 1 ORDER BY 1 LIMIT 5;
CREATE FUNCTION share_read(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    plan jsonb;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, FORMAT JSON) ' || query INTO plan;
    plan := jsonb_path_query_first(plan, '$.**."Granules Read"') || jsonb_path_query_first(plan, '$.**."Granules Skipped"');
    RETURN CASE WHEN (plan->>0)::int < (plan->>1)::int THEN 'less than half' ELSE plan::text END;
END $$;
SELECT share_read('SELECT time_bucket(''10 seconds'', time), max(value) FROM many GROUP BY 1 ORDER BY 1 DESC LIMIT 5');
SELECT share_read('SELECT time_bucket(''10 seconds'', time), max(value) FROM many GROUP BY 1 ORDER BY 1 LIMIT 5');
DROP TABLE many;

-- Buckets, conditions and limits in all combinations.
-- One of so many of them.
CREATE FUNCTION faults(share int) RETURNS TABLE (query text) LANGUAGE plpgsql AS $$
DECLARE
    fast text;
    slow text;
BEGIN
    FOR query IN
        SELECT q FROM (SELECT row_number() OVER () AS number, format('SELECT %s AS bucket, count(*), sum(n), max(value) FROM {s} WHERE %s GROUP BY 1 ORDER BY 1 %s LIMIT %s', b, c, d, l) AS q
        FROM unnest(ARRAY['date_bin(''7 minutes'', time, ''2000-01-01'')', 'time_bucket(''1 hour'', time)', 'date_trunc(''day'', time)', 'time',
                'floor(extract(epoch FROM time) / 300) * 300', 'ceil((date_part(''epoch'', time) - 1767229200) / 3600)', 'time::date',
                '(extract(epoch FROM time) / 900)::int']) AS b,
            unnest(ARRAY['true', 'time < ''2026-01-01 20:00''', 'time > ''2026-01-01 18:00'' AND name IN (''tag1'', ''tag3'')', 'n % 1000 = 3',
                'value > 124', 'name = ''none''', 'value > 124 AND n > 8000 AND time < ''2026-01-02 09:00''']) AS c,
            unnest('{ASC,DESC,ASC NULLS FIRST,DESC NULLS LAST}'::text[]) AS d, unnest('{1,2 OFFSET 3,50,0}'::text[]) AS l) AS all_of_them
        WHERE number % share = 0
    LOOP
        EXECUTE 'SELECT string_agg(q::text, chr(10)) FROM (' || replace(query, '{s}', 'sensor') || ') AS q' INTO fast;
        EXECUTE 'SELECT string_agg(q::text, chr(10)) FROM (' || replace(query, '{s}', 'plain') || ') AS q' INTO slow;
        IF fast IS DISTINCT FROM slow THEN RETURN NEXT; END IF;
    END LOOP;
END $$;
SELECT faults(3);
-- More groups than memory holds, so that they are given away and met again.
SET work_mem = '64kB';
SET hash_mem_multiplier = 1;
SELECT time, count(*) FROM sensor GROUP BY time ORDER BY time DESC LIMIT 3;
SELECT count(*), min(time), max(time) FROM (SELECT time, count(*) FROM sensor GROUP BY time ORDER BY time DESC LIMIT 3000) AS s;
SELECT count(*), min(time), max(time) FROM (SELECT time, count(*) FROM plain GROUP BY time ORDER BY time DESC LIMIT 3000) AS s;
SELECT count(*), min(time), max(time) FROM (SELECT time, count(*) FROM sensor GROUP BY time ORDER BY time OFFSET 100 LIMIT 3000) AS s;
SELECT count(*), min(time), max(time) FROM (SELECT time, count(*) FROM plain GROUP BY time ORDER BY time OFFSET 100 LIMIT 3000) AS s;
RESET work_mem;
RESET hash_mem_multiplier;
-- By parallel workers.
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SELECT faults(7);
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
SET max_parallel_workers_per_gather = 0;
-- Rescans with other conditions.
SELECT t, (SELECT string_agg(b::time || ' ' || c, ', ') FROM (SELECT time_bucket('1 hour', time) AS b, count(*) AS c FROM sensor WHERE time < t
    GROUP BY 1 ORDER BY 1 DESC LIMIT 2) AS s) FROM (VALUES ('2026-01-01 05:30'::timestamptz), ('2026-01-01 02:10'), ('2026-01-02 01:00')) AS v (t);

-- What rules it out: conditions on groups, limits that are not known, ties, other groups and orders, DISTINCT, window functions.
CREATE FUNCTION is_limited(query text) RETURNS bool LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        IF line ~ '(First|Last) Buckets' THEN RETURN true; END IF;
    END LOOP;
    RETURN false;
END $$;
SELECT query, is_limited(query) FROM (VALUES
    ('SELECT time_bucket(''1 hour'', time), count(*) FROM sensor GROUP BY 1 ORDER BY 1 LIMIT 3'),
    ('SELECT time_bucket(''1 hour'', time), count(*) FROM sensor GROUP BY 1 ORDER BY 1 DESC, 2 LIMIT 3'),
    ('SELECT time_bucket(''1 hour'', time), count(*) FROM sensor GROUP BY 1 HAVING count(*) > 5 ORDER BY 1 LIMIT 3'),
    ('SELECT time_bucket(''1 hour'', time), count(*) FROM sensor GROUP BY 1 ORDER BY 1 FETCH FIRST 3 ROWS WITH TIES'),
    ('SELECT time_bucket(''1 hour'', time), count(*) FROM sensor GROUP BY 1 ORDER BY 1 LIMIT (SELECT 3)'),
    ('SELECT time_bucket(''1 hour'', time), count(*) FROM sensor GROUP BY 1 ORDER BY 2 LIMIT 3'),
    ('SELECT time_bucket(''1 hour'', time), name, count(*) FROM sensor GROUP BY 1, 2 ORDER BY 1 LIMIT 3'),
    ('SELECT DISTINCT count(*) FROM sensor GROUP BY time_bucket(''1 hour'', time) ORDER BY 1 LIMIT 3'),
    ('SELECT time_bucket(''1 hour'', time) AS b, sum(count(*)) OVER () FROM sensor GROUP BY 1 ORDER BY 1 LIMIT 3'),
    ('SELECT time_bucket(''1 hour'', time), count(*) FROM sensor GROUP BY 1 LIMIT 3'),
    ('SELECT time_bucket(''1 hour'', time), count(*) FROM sensor GROUP BY 1 ORDER BY 1')) AS q (query);
-- Points without a time have a bucket of their own: the table must have none, or the query.
ALTER TABLE sensor ALTER time DROP NOT NULL;
INSERT INTO sensor VALUES ('tag1', NULL, 1, 1), ('tag2', NULL, 2, 2);
SELECT is_limited('SELECT time_bucket(''1 hour'', time), count(*) FROM sensor GROUP BY 1 ORDER BY 1 DESC LIMIT 3');
SELECT time_bucket('1 hour', time), count(*) FROM sensor GROUP BY 1 ORDER BY 1 DESC LIMIT 3;
SELECT is_limited('SELECT time_bucket(''1 hour'', time), count(*) FROM sensor WHERE time > ''2026-01-02'' GROUP BY 1 ORDER BY 1 DESC LIMIT 3');
SELECT time_bucket('1 hour', time), count(*) FROM sensor WHERE time > '2026-01-02' GROUP BY 1 ORDER BY 1 DESC LIMIT 3;
-- Days by a clock that is put back may fall: in Newfoundland in 2010, at a minute past midnight.
SELECT is_limited('SELECT date_trunc(''day'', time, ''America/St_Johns''), count(*) FROM sensor WHERE time > ''2026-01-02'' GROUP BY 1 ORDER BY 1 LIMIT 3');
SELECT is_limited('SELECT date_trunc(''day'', time, ''UTC''), count(*) FROM sensor WHERE time > ''2026-01-02'' GROUP BY 1 ORDER BY 1 LIMIT 3');
PREPARE by_day AS SELECT date_trunc('day', time) AS day, count(*) FROM sensor WHERE time < '2026-01-02 01:00' GROUP BY 1 ORDER BY 1 DESC LIMIT 1;
SET plan_cache_mode = force_generic_plan;
EXECUTE by_day;
SET timezone = 'America/St_Johns';
EXECUTE by_day;
SET timezone = 'UTC';
RESET plan_cache_mode;
DROP TABLE plain, sensor;
DROP FUNCTION share_read, faults, is_limited;
