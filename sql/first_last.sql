-- first(value, time) and last(value, time): next to slow SQL on random data, for every kind of type, in parallel, partial and window plans.
\set SHOW_CONTEXT never
\pset null '-'
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, YMD';

SELECT setseed(0.2);
CREATE TABLE points AS
    SELECT 'tag' || (i * 7919) % 37 AS name, timestamptz '2026-01-01' + i * interval '1 s' * (CASE WHEN i % 2 = 0 THEN 1 ELSE -1 END) AS time,
        CASE WHEN random() < 0.8 THEN random() * 100 END AS value, CASE WHEN random() < 0.8 THEN repeat('x', (random() * 30)::int) || i END AS message,
        array[i, i + 1] AS numbers, i::numeric / 7 AS exact, i % 5 AS quality
    FROM generate_series(1, 20000) AS i ORDER BY random();
INSERT INTO points SELECT name, NULL, 1e9, 'no time', '{}', 0, 0 FROM points LIMIT 500;

-- each group's answer next to ORDER BY ... LIMIT 1
CREATE VIEW slow AS SELECT n.name, f.value AS first_value, f.message AS first_message, f.numbers AS first_numbers, l.value AS last_value, l.message AS last_message,
        l.numbers AS last_numbers
    FROM (SELECT DISTINCT name FROM points) AS n,
        LATERAL (SELECT * FROM points AS p WHERE p.name = n.name AND time IS NOT NULL ORDER BY time LIMIT 1) AS f,
        LATERAL (SELECT * FROM points AS p WHERE p.name = n.name AND time IS NOT NULL ORDER BY time DESC LIMIT 1) AS l;
CREATE VIEW fast AS SELECT name, first(value, time) AS first_value, first(message, time) AS first_message, first(numbers, time) AS first_numbers,
        last(value, time) AS last_value, last(message, time) AS last_message, last(numbers, time) AS last_numbers
    FROM points GROUP BY name;
SELECT (SELECT count(*) FROM slow) AS groups, count(*) AS different FROM ((TABLE slow EXCEPT TABLE fast) UNION ALL (TABLE fast EXCEPT TABLE slow)) AS d;
SET enable_hashagg = off;
SELECT count(*) AS different FROM ((TABLE slow EXCEPT TABLE fast) UNION ALL (TABLE fast EXCEPT TABLE slow)) AS d;
RESET enable_hashagg;

-- in parallel: partial states, handed over
CREATE FUNCTION plan_of(query text, pattern text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        IF line ~ pattern THEN RETURN NEXT ltrim(line); END IF;
    END LOOP;
END $$;
ANALYZE points;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 4;
SELECT plan_of('TABLE fast', 'Aggregate|Gather|Scan');
SELECT count(*) AS different FROM ((TABLE slow EXCEPT TABLE fast) UNION ALL (TABLE fast EXCEPT TABLE slow)) AS d;
SET parallel_leader_participation = off;
SELECT count(*) AS different FROM ((TABLE slow EXCEPT TABLE fast) UNION ALL (TABLE fast EXCEPT TABLE slow)) AS d;
SELECT first(message, time), last(message, time), first(quality, exact), last(exact, time), last(name, name COLLATE "C") FROM points WHERE time < '2026-01-01';
SELECT first(message, time), last(quality, time) FROM points WHERE time < '1900-01-01';
RESET parallel_leader_participation;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET max_parallel_workers_per_gather;

-- partition by partition
CREATE TABLE parts (name text, time timestamptz, value double precision, message text) PARTITION BY RANGE (time);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (MINVALUE) TO ('2026-01-01') USING tag;
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO (MAXVALUE) USING tag;
INSERT INTO parts SELECT name, time, value, message FROM points WHERE time IS NOT NULL;
SET enable_partitionwise_aggregate = on;
SELECT plan_of('SELECT name, first(message, time) FROM parts GROUP BY name', 'Aggregate|Append');
SELECT count(*) AS different FROM (SELECT name, first_value, last_value, first_message, last_message FROM slow
    EXCEPT SELECT name, first(value, time), last(value, time), first(message, time), last(message, time) FROM parts GROUP BY name) AS d;
RESET enable_partitionwise_aggregate;
DROP TABLE parts;

-- every kind of time and of value
SELECT first(v, t::timestamp), last(v, t::date), first(v, extract(epoch FROM t)), last(v, v::smallint), first(v, v::float4), last(v, v::text), first(v, array[v]),
    last(v, row(v, t)), first(v, t - t), last(v, v::bigint), first(v, 'x'::name), last(t, v), first(array[v], t), last(row(v, t), t), first('{"a": 1}'::json, t)
FROM (VALUES (3, timestamptz '2026-01-03'), (1, '2026-01-01'), (2, '2026-01-02')) AS p (v, t);
CREATE DOMAIN moment AS timestamptz;
CREATE TYPE level AS ENUM ('low', 'middle', 'high');
SELECT first(v, t::moment), last(v, l::level), first(l::level, t), first(t::moment, v) FROM (VALUES (1, '2026-01-01', 'middle'), (2, '2026-01-02', 'low'), (3, '2026-01-03', 'high')) AS p (v, t, l);
SELECT first(v, n) AS least, last(v, n) AS nan FROM (VALUES ('a', 1.0), ('b', 'NaN'::float8), ('c', '-Infinity'), ('d', 'Infinity')) AS p (v, n);
SELECT first(v, t), last(v, t) FROM (VALUES ('a', timestamptz '-infinity'), ('b', '2026-01-01'), ('c', 'infinity')) AS p (v, t);
-- toasted and short values, expanded arrays
SELECT length(first(repeat(md5(i::text), 1000), i)), left(last(repeat(md5(i::text), 1000), i), 32) = md5('100') AS equal FROM generate_series(1, 100) AS i;
CREATE TABLE wide AS SELECT i, (SELECT string_agg(md5((i * 100 + k)::text), '') FROM generate_series(1, 200) AS k) AS v FROM generate_series(1, 30) AS i;
SELECT last(v, i) = (SELECT v FROM wide WHERE i = 30) AS equal, first(v, v) = min(v) AS least, last(v, v) = max(v) AS greatest FROM wide;
SELECT first(array_append(array_append('{}'::int[], i), i), i), last(array_append('{}'::int[], i), array_append('{}'::int[], i)) FROM generate_series(1, 10) AS i;

-- NULLs, no rows, one row, one time
SELECT first(v, t), last(v, t) FROM (VALUES (NULL, 1), ('b', 2), (NULL, 3)) AS p (v, t);
SELECT first(v, t), last(v, t) FROM (VALUES ('a', NULL::int), ('b', 2), ('c', NULL)) AS p (v, t);
SELECT first(v, t), last(v, t) FROM (VALUES ('a', NULL::int)) AS p (v, t);
SELECT first(v, t), last(v, t) FROM (SELECT 1 AS v, 1 AS t WHERE false) AS p;
SELECT first(v, t) IN ('a', 'b') AS first, last(v, t) IN ('a', 'b') AS last FROM (VALUES ('a', 1), ('b', 1)) AS p (v, t);
SELECT first(NULL::text, 1), last(1, NULL::int);

-- DISTINCT, ORDER BY, FILTER, grouping sets, and as window functions
SELECT first(DISTINCT v, t), last(v, t ORDER BY v DESC), first(v, t) FILTER (WHERE t > 1), last(v, t) FILTER (WHERE false)
FROM (VALUES ('a', 1), ('b', 2), ('a', 1), ('c', 3)) AS p (v, t);
SELECT quality % 2 AS odd, quality, last(message, time) = max(message) FILTER (WHERE time = '2026-01-01 05:33:20') AS last FROM points WHERE time >= '2026-01-01 05:33:00'
GROUP BY GROUPING SETS ((quality % 2), (quality), ()) HAVING quality % 2 = 0 OR quality IS NULL ORDER BY 1, 2;
SELECT t, first(v, t) OVER w, last(v, t) OVER w, first(v, t) OVER (ORDER BY t ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS sliding, last(v, t) OVER () AS whole
FROM (VALUES ('a', 1), ('b', 2), (NULL, 3), ('d', 4)) AS p (v, t) WINDOW w AS (ORDER BY t DESC);
SELECT count(*) AS different FROM (SELECT last(message, time) OVER w AS a, last_value(message) OVER w AS b FROM points WHERE time IS NOT NULL
    WINDOW w AS (PARTITION BY name ORDER BY time ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)) AS q WHERE a IS DISTINCT FROM b;
SELECT time_bucket('1 hour', time) AS hour, first(time, time) = min(time) AS first, last(time, time) = max(time) AS last FROM points
WHERE time > '2026-01-01 02:00' GROUP BY hour ORDER BY hour;

-- what is refused
SELECT first(1, '{}'::json);
SELECT last(1, point(1, 2));
SELECT first(1, 'x');
SELECT first(1);
SELECT aggcombinefn <> 0 AS combines, aggserialfn <> 0 AS serializes, proparallel FROM pg_aggregate AS a JOIN pg_proc AS p ON p.oid = a.aggfnoid WHERE proname IN ('first', 'last');
SET search_path = pg_catalog;
SELECT public.first(v, t), public.last(v, t) FROM (VALUES ('a', 1), ('b', 2)) AS p (v, t);
RESET search_path;
DROP VIEW slow, fast;
DROP TABLE points, wide;
DROP DOMAIN moment;
DROP TYPE level;
DROP FUNCTION plan_of;
