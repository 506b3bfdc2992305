-- lttb(), time_weighted_avg(), counter_delta() and counter_rate(): next to slow SQL on random data in random order.
\set SHOW_CONTEXT never
\pset null '-'
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, YMD';
SET extra_float_digits = 0;
SELECT setseed(0.4);
-- times are distinct in a group
CREATE TABLE points AS SELECT g, timestamptz '2026-01-01' + (i * 10 + random() * 9) * interval '1 s' AS time, round((random() * 100)::numeric, 3)::float8 AS value
    FROM generate_series(1, 20) AS g, generate_series(1, 200) AS i ORDER BY random();

-- ------------------------------------------------------------------------------------------------ time_weighted_avg
SELECT time_weighted_avg(v, t), time_weighted_avg(v, t, 'linear') AS linear, time_weighted_avg(v, t, 'locf') AS locf, avg(v)
FROM (VALUES (10, timestamptz '2026-01-01 00:00'), (20, '2026-01-01 00:01'), (40, '2026-01-01 00:04')) AS p (v, t);
CREATE VIEW slow AS SELECT g, sum((value + next) / 2 * seconds) / sum(seconds) AS linear, sum(value * seconds) / sum(seconds) AS locf,
        sum(CASE WHEN next < value THEN next ELSE next - value END) AS delta, sum(CASE WHEN next < value THEN next ELSE next - value END) / sum(seconds) AS rate
    FROM (SELECT g, value, lead(value) OVER w AS next, extract(epoch FROM lead(time) OVER w - time)::float8 AS seconds FROM points WINDOW w AS (PARTITION BY g ORDER BY time)) AS q
    GROUP BY g;
CREATE FUNCTION near(a float8, b float8) RETURNS boolean LANGUAGE sql AS $$ SELECT abs(a - b) <= 1e-9 * greatest(abs(a), abs(b), 1) $$;
SELECT count(*) AS groups, count(*) FILTER (WHERE near(s.linear, f.linear) AND near(s.linear, f.linear_2)) AS linear, count(*) FILTER (WHERE near(s.locf, f.locf)) AS locf,
    count(*) FILTER (WHERE near(s.delta, f.delta)) AS delta, count(*) FILTER (WHERE near(s.rate, f.rate)) AS rate
FROM slow AS s JOIN (SELECT g, time_weighted_avg(value, time) AS linear, time_weighted_avg(value, time, 'linear') AS linear_2, time_weighted_avg(value, time, 'locf') AS locf,
        counter_delta(value, time) AS delta, counter_rate(value, time) AS rate FROM points GROUP BY g) AS f USING (g);
-- with ORDER BY time, nothing is kept: the same answers
SELECT count(*) AS groups, count(*) FILTER (WHERE near(s.linear, f.linear) AND near(s.locf, f.locf) AND near(s.delta, f.delta) AND near(s.rate, f.rate)) AS near
FROM slow AS s JOIN (SELECT g, time_weighted_avg(value, time ORDER BY time) AS linear, time_weighted_avg(value, time, 'locf' ORDER BY time, value) AS locf,
        counter_delta(value, time ORDER BY time) AS delta, counter_rate(value, time ORDER BY time) AS rate FROM points GROUP BY g) AS f USING (g);
-- other orders of rows are no order of time
SELECT count(*) AS groups, count(*) FILTER (WHERE near(s.linear, f.linear) AND near(s.locf, f.locf) AND near(s.delta, f.delta)) AS near
FROM slow AS s JOIN (SELECT g, time_weighted_avg(value, time ORDER BY time DESC) AS linear, time_weighted_avg(value, time, 'locf' ORDER BY value) AS locf,
        counter_delta(value, time ORDER BY value, time) AS delta FROM points GROUP BY g) AS f USING (g);
-- as window functions
SELECT count(*) AS rows, count(*) FILTER (WHERE near(a, b) AND near(c, d)) AS near
FROM (SELECT time_weighted_avg(value, time) OVER w AS a, counter_delta(value, time) OVER w AS c, g, time FROM points WHERE g = 1
        WINDOW w AS (ORDER BY time ROWS BETWEEN 5 PRECEDING AND CURRENT ROW)) AS q,
    LATERAL (SELECT time_weighted_avg(value, time) AS b, counter_delta(value, time) AS d
        FROM (SELECT * FROM points AS p WHERE p.g = q.g AND p.time <= q.time ORDER BY time DESC LIMIT 6) AS r) AS s;
-- equal times count as their mean; a single time is the plain mean
SELECT time_weighted_avg(v, t), time_weighted_avg(v, t ORDER BY t) AS ordered, time_weighted_avg(v, t, 'locf') AS locf
FROM (VALUES (10, timestamptz '2026-01-01 00:00'), (30, '2026-01-01 00:00'), (20, '2026-01-01 00:01'), (0, '2026-01-01 00:01'), (60, '2026-01-01 00:02')) AS p (v, t);
SELECT time_weighted_avg(v, t), time_weighted_avg(v, t ORDER BY t) AS ordered FROM (VALUES (10, timestamptz '2026-01-01'), (30, '2026-01-01')) AS p (v, t);
-- one row, no rows, NULLs, NaN, infinities, overflow
SELECT time_weighted_avg(5, now()) AS one, time_weighted_avg(NULL, now()) AS no_value, time_weighted_avg(5, NULL) AS no_time, time_weighted_avg(5, now()) FILTER (WHERE false) AS none,
    time_weighted_avg(5, now(), 'locf') AS locf;
SELECT time_weighted_avg(v, t) AS value FROM (VALUES (1, timestamptz '2026-01-01'), (NULL, '2026-01-02'), (3, NULL), (3, '2026-01-03')) AS p (v, t);
SELECT time_weighted_avg(v, t) FROM (VALUES (1::float8, timestamptz '2026-01-01'), ('NaN', '2026-01-02'), (3, '2026-01-03')) AS p (v, t);
SELECT time_weighted_avg(v, t) FROM (VALUES (1::float8, timestamptz '2026-01-01'), ('Infinity', '2026-01-02'), (3, '2026-01-03')) AS p (v, t);
SELECT time_weighted_avg(v, t) FROM (VALUES (1.7e308, timestamptz '2026-01-01'), (1.7e308, '2026-01-02')) AS p (v, t);
SELECT time_weighted_avg(1, 'infinity'::timestamptz);
SELECT time_weighted_avg(1, now(), 'cubic');
SELECT time_weighted_avg(1, now(), NULL);
SELECT time_weighted_avg(v, t, m) FROM (VALUES (1, now(), 'locf'), (2, now(), 'linear')) AS p (v, t, m);
SELECT time_weighted_avg('a'::text, now());
SELECT time_weighted_avg(v, t) AS "of a timestamp" FROM (VALUES (1, timestamp '2026-01-01'), (3, '2026-01-02')) AS p (v, t);

-- ------------------------------------------------------------------------------------------------ counters
SELECT counter_delta(v, t), counter_rate(v, t), counter_delta(v, t ORDER BY t) AS ordered FROM (VALUES (100, timestamptz '2026-01-01 00:00'), (150, '2026-01-01 00:01'), (20, '2026-01-01 00:02'), (20, '2026-01-01 00:03'), (50, '2026-01-01 00:04')) AS p (v, t);
-- equal times: from the least to the greatest, never a reset
SELECT counter_delta(v, t), counter_delta(v, t ORDER BY t) AS ordered, counter_delta(v, t ORDER BY t, v DESC) AS turned
FROM (VALUES (5, timestamptz '2026-01-01 00:00'), (1, '2026-01-01 00:00'), (12, '2026-01-01 00:01'), (9, '2026-01-01 00:01'), (3, '2026-01-01 00:02'), (2, '2026-01-01 00:02')) AS p (v, t);
SELECT counter_delta(5, now()) AS one, counter_rate(5, now()) AS one_rate, counter_delta(NULL, now()) AS no_value, counter_delta(5, NULL) AS no_time, counter_rate(5, now()) FILTER (WHERE false) AS none;
SELECT counter_delta(v, t), counter_rate(v, t) FROM (VALUES (1, timestamptz '2026-01-01'), (4, '2026-01-01')) AS p (v, t);
SELECT counter_delta(v, t), counter_rate(v, t) FROM (VALUES (1::float8, timestamptz '2026-01-01'), ('NaN', '2026-01-02'), (4, '2026-01-03')) AS p (v, t);
SELECT counter_delta(v, t) FROM (VALUES (1::float8, timestamptz '2026-01-01'), ('Infinity', '2026-01-02'), (4, '2026-01-03')) AS p (v, t);
SELECT counter_delta(v, t) FROM (VALUES (0, timestamptz '2026-01-01'), (1.7e308, '2026-01-02'), (1e308, '2026-01-03')) AS p (v, t);
SELECT counter_rate(1, '-infinity'::timestamptz);

-- ------------------------------------------------------------------------------------------------ lttb
-- the paper's algorithm in plpgsql
CREATE FUNCTION lttb_slow(times timestamptz[], v float8[], threshold int) RETURNS timestamptz[] LANGUAGE plpgsql AS $$
DECLARE
    n bigint := cardinality(v); buckets int := threshold - 2; a int := 1; best int; largest float8; triangle float8; chosen timestamptz[]; mean_x float8; mean_y float8; x float8[];
BEGIN
    IF n <= threshold THEN RETURN times; END IF;
    SELECT array_agg(extract(epoch FROM t - times[1])::float8 ORDER BY o) INTO x FROM unnest(times) WITH ORDINALITY AS u (t, o);
    chosen := array[times[1]];
    FOR i IN 0 .. threshold - 3 LOOP
        SELECT avg(x[j]), avg(v[j]) INTO mean_x, mean_y FROM generate_series((n - 2) * (i + 1) / buckets + 2, least((n - 2) * (i + 2) / buckets + 1, n)) AS j;
        largest := -1;
        FOR j IN (n - 2) * i / buckets + 2 .. (n - 2) * (i + 1) / buckets + 1 LOOP
            triangle := abs((x[a] - mean_x) * (v[j] - v[a]) - (x[a] - x[j]) * (mean_y - v[a]));
            IF triangle > largest THEN largest := triangle; best := j; END IF;
        END LOOP;
        chosen := chosen || times[best];
        a := best;
    END LOOP;
    RETURN chosen || times[n];
END $$;
SELECT threshold, count(*) AS groups, count(*) FILTER (WHERE fast = slow) AS equal, max(cardinality(fast)) AS points
FROM (SELECT threshold, g, (SELECT array_agg((p).time ORDER BY (p).time) FROM unnest((SELECT lttb(time, value, threshold) FROM points AS q WHERE q.g = s.g)) AS p) AS fast,
        (SELECT lttb_slow(array_agg(time ORDER BY time), array_agg(value ORDER BY time), threshold) FROM points AS q WHERE q.g = s.g) AS slow
    FROM (SELECT DISTINCT g FROM points) AS s, unnest(array[3, 4, 10, 57, 198, 199, 200, 201, 1000]) AS threshold) AS q
GROUP BY threshold ORDER BY threshold;
-- a spike is kept where an average would lose it
SELECT time, value FROM unnest((SELECT lttb(timestamptz '2026-01-01' + i * interval '1 s', CASE WHEN i = 437 THEN 100 ELSE i % 3 END, 5) FROM generate_series(0, 999) AS i)) ORDER BY time;
-- in every place: by group, as rows, nested
SELECT g, p.time = lag(p.time) OVER (PARTITION BY g ORDER BY p.time) AS twice, p.value IS NOT NULL AS value
FROM (SELECT g, lttb(time, value, 2) AS chart FROM points WHERE g <= 2 GROUP BY g) AS c, unnest(chart) AS p ORDER BY g, p.time;
SELECT (p).* FROM (SELECT unnest(lttb(time, value, 2)) AS p FROM (VALUES (timestamptz '2026-01-02', 2.0), ('2026-01-01', 1), ('2026-01-03', 3)) AS v (time, value)) AS q;
SELECT cardinality(lttb(time, avg, 10)) FROM (SELECT time_bucket('1 min', time) AS time, avg(value) FROM points GROUP BY 1) AS q;
-- equal times, NULL, NaN and infinite values, one row, no rows, huge values
SELECT lttb(t, v, 100) FROM (VALUES (timestamptz '2026-01-01', 3.0), ('2026-01-01', 1), ('2026-01-01', 2)) AS p (t, v);
SELECT lttb(t, v, 100) FROM (VALUES (timestamptz '2026-01-01', 1::float8), (NULL, 1), ('2026-01-02', NULL), ('2026-01-03', 'NaN'), ('2026-01-04', 'Infinity'), ('2026-01-05', '-Infinity'), ('2026-01-06', 2)) AS p (t, v);
SELECT lttb('2026-01-01', 1, 2) AS one, lttb('2026-01-01', 1, 2) FILTER (WHERE false) AS none, lttb(NULL, NULL, 2) AS nothing;
SELECT cardinality(lttb(timestamptz '2026-01-01' + i * interval '1 s', CASE WHEN i % 2 = 0 THEN 1.7e308 ELSE -1.7e308 END, 10)) FROM generate_series(1, 100) AS i;
SELECT cardinality(lttb('2026-01-01', 1, 10)) AS all_equal FROM generate_series(1, 100);
SELECT lttb('2026-01-01', 1, 1);
SELECT lttb('2026-01-01', 1, -5);
SELECT lttb('2026-01-01', 1, NULL);
SELECT lttb('2026-01-01', 1, i) FROM generate_series(2, 3) AS i;
SELECT lttb('infinity', 1, 2);
SET search_path = pg_catalog;
SELECT public.lttb('2026-01-01', 1, 2), public.counter_delta(1, '2026-01-01'), public.time_weighted_avg(1, '2026-01-01');
RESET search_path;
DROP VIEW slow;
DROP TABLE points;
DROP FUNCTION near, lttb_slow;
