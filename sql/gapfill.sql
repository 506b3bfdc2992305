-- Gaps filled: locf(), interpolate(), gapfill(), next to slow SQL on random data.
\set SHOW_CONTEXT never
\pset null '-'
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, YMD';

-- the parts, put together
CREATE TABLE sensor (name text, time timestamptz, value double precision) USING tag;
INSERT INTO sensor VALUES ('a', '2026-01-01 00:00:10', 1), ('a', '2026-01-01 00:00:50', 3), ('a', '2026-01-01 00:03:00', 8), ('b', '2026-01-01 00:01:00', -1), ('b', '2026-01-01 00:02:00', NULL);
SELECT name, bucket, value, locf(value) OVER w, interpolate(value, bucket) OVER w, 10 + coalesce(interpolate(value, bucket) OVER w, locf(value) OVER w, 0) AS nested
FROM (SELECT n.name, b.bucket, avg(s.value) AS value
      FROM time_buckets('1 min', '2026-01-01', '2026-01-01 00:05') AS b CROSS JOIN (VALUES ('a'), ('b')) AS n (name)
          LEFT JOIN sensor AS s ON s.name = n.name AND time_bucket('1 min', s.time) = b.bucket
      GROUP BY n.name, b.bucket) AS q
WINDOW w AS (PARTITION BY name ORDER BY bucket) ORDER BY name, bucket;
-- over aggregates of the same level
SELECT b.bucket, locf(avg(s.value)) OVER (ORDER BY b.bucket) AS locf, interpolate(avg(s.value), b.bucket) OVER (ORDER BY b.bucket) AS line
FROM time_buckets('1 min', '2026-01-01', '2026-01-01 00:05') AS b LEFT JOIN sensor AS s ON s.name = 'a' AND time_bucket('1 min', s.time) = b.bucket
GROUP BY b.bucket ORDER BY b.bucket;

-- locf: any type; the frame says how far, FILTER what
SELECT i, v, locf(v) OVER (ORDER BY i) AS locf, locf(v) OVER (ORDER BY i ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS near, locf(v) OVER (ORDER BY i DESC) AS backward,
    locf(v) FILTER (WHERE v <> 'b') OVER (ORDER BY i) AS "not b"
FROM (VALUES (1, NULL), (2, 'a'), (3, NULL), (4, NULL), (5, 'b'), (6, NULL)) AS p (i, v);
SELECT locf(v) OVER (ORDER BY i), locf(array[v, v]) OVER (ORDER BY i) FROM (VALUES (1, 1.5), (2, NULL), (3, 'NaN'), (4, NULL)) AS p (i, v);
SELECT locf(v ORDER BY i) AS "last that is there", locf(v) FILTER (WHERE false) AS none FROM (VALUES (1, 'a'), (2, 'b'), (3, NULL)) AS p (i, v);
SELECT locf(1) OVER () WHERE false;

-- interpolate: by the times, not by the rows; numbers and dates too; in either order
SELECT t, v, interpolate(v, t) OVER (ORDER BY t) AS line, interpolate(v, t) OVER (ORDER BY t DESC) AS backward
FROM (VALUES (NULL, date '2026-01-01'), (1, '2026-01-02'), (NULL, '2026-01-03'), (NULL, '2026-01-12'), (11, '2026-01-12'), (NULL, '2026-01-12'), (NULL, '2026-01-13'), (12, '2026-01-14'), (NULL, '2026-01-15')) AS p (v, t);
SELECT x, interpolate(v, x) OVER (ORDER BY x) FROM (VALUES (1::float8, 10::float8), (2, NULL), (4, 40), (4.5, NULL), (5, 'Infinity'), (6, NULL), (7, 'NaN'), (8, NULL), (9, -1e308), (10, NULL), (11, 1e308)) AS p (x, v);
SELECT x, interpolate(v, x) OVER (ORDER BY x) FROM (VALUES (1, 10), (2, NULL), (4, 40)) AS p (x, v);
-- one row, one value, no value, rows without a time
SELECT t, v, interpolate(v, t) OVER (PARTITION BY g ORDER BY t) AS line
FROM (VALUES (1, timestamptz '2026-01-01', 1.0), (2, '2026-01-01', NULL), (3, '2026-01-01', NULL), (3, '2026-01-02', 1), (4, '-infinity', 5), (4, '2026-01-01', NULL), (4, '2026-01-02', 6), (4, 'infinity', NULL),
    (5, '2026-01-01', 1), (5, '2026-01-02', NULL), (5, '2026-01-03', 3), (5, NULL, 100), (5, NULL, NULL)) AS p (g, t, v) ORDER BY g, t;
-- random gaps, next to look-ups by hand
SELECT setseed(0.3);
CREATE TABLE gaps AS SELECT g, timestamptz '2026-01-01' + (i * 100 + random() * 100) * interval '1 s' AS t, CASE WHEN random() < 0.3 THEN random() * 100 END AS v
    FROM generate_series(1, 5) AS g, generate_series(1, 300) AS i;
SELECT count(*) AS rows, count(line) AS lines, count(*) FILTER (WHERE line IS NOT NULL AND abs(line - slow) < 1e-9) AS near,
    count(*) FILTER (WHERE (line IS NULL) <> (slow IS NULL)) AS null_differs, count(*) FILTER (WHERE locf IS DISTINCT FROM before_v) AS locf_differs
FROM (SELECT *, interpolate(v, t) OVER w AS line, locf(v) OVER w AS locf FROM gaps WINDOW w AS (PARTITION BY g ORDER BY t)) AS q,
    LATERAL (SELECT (SELECT v FROM gaps AS b WHERE b.g = q.g AND b.t <= q.t AND b.v IS NOT NULL ORDER BY t DESC LIMIT 1) AS before_v,
        (SELECT t FROM gaps AS b WHERE b.g = q.g AND b.t <= q.t AND b.v IS NOT NULL ORDER BY t DESC LIMIT 1) AS before_t,
        (SELECT v FROM gaps AS b WHERE b.g = q.g AND b.t > q.t AND b.v IS NOT NULL ORDER BY t LIMIT 1) AS after_v,
        (SELECT t FROM gaps AS b WHERE b.g = q.g AND b.t > q.t AND b.v IS NOT NULL ORDER BY t LIMIT 1) AS after_t) AS n,
    LATERAL (SELECT coalesce(v, before_v + (after_v - before_v) * extract(epoch FROM t - before_t)::float8 / extract(epoch FROM after_t - before_t)::float8) AS slow) AS s;
-- a long gap is looked at once
SELECT count(line), sum(line) FROM (SELECT interpolate(CASE WHEN i IN (0, 200000) THEN i END, i) OVER (ORDER BY i) AS line FROM generate_series(0, 200000) AS i) AS q;
SELECT count(line) FROM (SELECT interpolate(CASE WHEN i = 0 THEN i END, i) OVER (ORDER BY i) AS line FROM generate_series(0, 200000) AS i) AS q;

-- gapfill: all of that of a tag table
SELECT * FROM gapfill('sensor', '1 min', '2026-01-01', '2026-01-01 00:05');
SELECT * FROM gapfill('sensor', '1 min', '2026-01-01', '2026-01-01 00:05', names => '{a,missing}', fill => 'locf');
SELECT * FROM gapfill('sensor', '1 min', '2026-01-01', '2026-01-01 00:04', names => '{a,a,NULL}', fill => 'linear', aggregate => 'last');
SELECT aggregate, (SELECT array_agg(value ORDER BY bucket) FROM gapfill('sensor', '1 min', '2026-01-01', '2026-01-01 00:04', '{a}', aggregate => aggregate))
    FROM unnest(array['avg', 'min', 'max', 'sum', 'count', 'first', 'last']) AS aggregate;
-- only times from from_ until before to_ count, whatever bucket they begin in
SELECT * FROM gapfill('sensor', '1 min', '2026-01-01 00:00:30', '2026-01-01 00:03:00', '{a}');
SELECT * FROM gapfill('sensor', '12 hours', '2025-12-31 23:00', '2026-01-01 04:00', '{a}', timezone => 'Asia/Seoul');
SELECT count(*) FROM gapfill('sensor', '1 min', '2027-01-01', '2027-01-02');
SELECT count(*), count(value) FROM gapfill('sensor', '1 min', '2027-01-01', '2027-01-02', '{a}');
SELECT count(*) FROM gapfill('sensor', '1 min', '2027-01-02', '2027-01-01', '{a}');
-- a NULL tag is a tag; other types of tags and times; other columns
CREATE TABLE counts ("The Tag" int, junk text, "at" timestamp, "n" numeric, m bigint) USING tag;
INSERT INTO counts VALUES (7, '', '2026-01-01', 1, 10), (NULL, '', '2026-01-01 02:00', 2, 20), (7, '', '2026-01-01 02:00', 3, 30);
SELECT * FROM gapfill('counts', '1 hour', '2026-01-01', '2026-01-01 03:00', fill => 'locf');
SELECT * FROM gapfill('counts', '1 hour', '2026-01-01', '2026-01-01 03:00', '{7}', value_column => 'm', fill => 'linear');

-- what is refused
SELECT interpolate(1, now());
SELECT interpolate(v, t) OVER (ORDER BY i) FROM (VALUES (1, 1, 1), (2, NULL, 5), (3, 3, 3)) AS p (i, v, t);
SELECT interpolate('a'::text, now()) OVER ();
SELECT * FROM gapfill('sensor', '1 min', '2026-01-01', '2026-01-02', fill => 'spline');
SELECT * FROM gapfill('sensor', '1 min', '2026-01-01', '2026-01-02', aggregate => 'median');
SELECT * FROM gapfill('sensor', NULL, '2026-01-01', '2026-01-02');
SELECT * FROM gapfill('sensor', '0', '2026-01-01', '2026-01-02');
SELECT * FROM gapfill('sensor', '1 min', '2026-01-01', 'infinity');
SELECT * FROM gapfill('sensor', '1 min', '2026-01-01', '2026-01-02', timezone => 'nowhere');
SELECT * FROM gapfill('sensor', '1 min', '2026-01-01', '2026-01-02', value_column => 'name');
SELECT * FROM gapfill('counts', '1 min', '2026-01-01', '2026-01-02', '{x}');
SELECT * FROM gapfill('gaps', '1 min', '2026-01-01', '2026-01-02');
SET search_path = pg_catalog;
SELECT * FROM public.gapfill('public.sensor', '2 min', '2026-01-01', '2026-01-01 00:04', '{a}', fill => 'linear', aggregate => 'first');
RESET search_path;
DROP TABLE sensor, gaps, counts;
