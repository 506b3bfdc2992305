-- time_bucket() and time_buckets(): next to date_bin, date_trunc and arithmetic in SQL, on random times, also by clocks that change.
\set SHOW_CONTEXT never
\pset null '-'
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, YMD';
SET IntervalStyle = 'postgres';

-- what Grafana sends, and what people write
SELECT time_bucket('300.000s', timestamptz '2026-01-01 00:07:30Z') AS grafana, time_bucket('15 minutes', timestamp '2026-01-01 00:17') AS minutes,
    time_bucket('1 week', date '2026-01-01') AS week, time_bucket(10, 17) AS number, time_bucket(10::bigint, -17::bigint, 5) AS "offset";
SELECT pg_typeof(time_bucket('1 day', timestamptz '2026-01-01')), pg_typeof(time_bucket('1 day', timestamp '2026-01-01')),
    pg_typeof(time_bucket('1 day', date '2026-01-01')), pg_typeof(time_bucket(1, 1)), pg_typeof(time_bucket(1, 1::bigint));
-- weeks begin on Mondays, as with date_trunc; quarters and years with January
SELECT width, time_bucket(width, timestamp '2026-08-19 12:34:56.789')
    FROM unnest(array['1 us', '1 s', '7 s', '1 h', '5 h', '36 h', '7 days', '10 days', '1 month', '5 months', '1 year', '10 years',
        '1000000 years', '1 day -1 hour']::interval[]) AS width;
SELECT time_bucket('1 week', t) = date_trunc('week', t) AS week, time_bucket('3 months', t) = date_trunc('quarter', t) AS quarter,
    time_bucket('10 years', t) = date_trunc('decade', t) AS decade FROM (VALUES (timestamp '2026-08-19 12:34'), ('1969-12-31 23:59'), ('0044-03-15 BC')) AS v (t);

-- random times: equal to date_bin from the same origin, and to date_trunc where there is a word for it
CREATE FUNCTION random_time(first timestamptz, last timestamptz) RETURNS timestamptz LANGUAGE sql VOLATILE
    AS $$ SELECT first + random() * (last - first) $$;
SELECT setseed(0.1);
CREATE TEMP TABLE times AS
    SELECT random_time('1900-01-01', '2100-01-01') AS t, make_interval(days => (random() * 40)::int, secs => random() * 100000 + 0.000001) AS w,
        random_time('1950-01-01', '2050-01-01') AS origin
    FROM generate_series(1, 5000);
SELECT count(*) AS rows,
    count(*) FILTER (WHERE time_bucket(w, t) <> date_bin(w, t, '2000-01-03')) AS bin,
    count(*) FILTER (WHERE time_bucket(w, t, origin) <> date_bin(w, t, origin)) AS bin_from_origin,
    count(*) FILTER (WHERE time_bucket(w, t::timestamp) <> date_bin(w, t::timestamp, '2000-01-03')) AS bin_without_zone,
    count(*) FILTER (WHERE time_bucket('1 hour', t) <> date_trunc('hour', t)) AS hours,
    count(*) FILTER (WHERE time_bucket('1 month', t) <> date_trunc('month', t)) AS months,
    count(*) FILTER (WHERE time_bucket('100 years', t, timestamptz '1901-01-01') <> date_trunc('century', t)) AS centuries,
    count(*) FILTER (WHERE time_bucket('14 days', t::date) <> date_bin('14 days', t::date, '2000-01-03')) AS days
FROM times;
-- months from an origin within one: the greatest origin + k months
SELECT count(*) FROM (SELECT t, origin, time_bucket('5 months', t, origin) AS b FROM times) AS q,
    LATERAL (SELECT max(origin + k * interval '5 months') FROM generate_series(-500, 500) AS k WHERE origin + k * interval '5 months' <= t) AS slow (b)
    WHERE q.b IS DISTINCT FROM slow.b AND abs(extract(epoch FROM t - origin)) < 1e9;
SELECT time_bucket('1 month', timestamp '2026-03-01', timestamp '2026-01-31') AS "28th", time_bucket('1 month', timestamp '2026-03-31', timestamp '2026-01-31') AS "31st";

-- the days of a time zone have 23 to 25 hours; each bucket is where the clock shows its start
SELECT b, b AT TIME ZONE 'Europe/Berlin' AS shown, count(*) FROM generate_series(timestamptz '2026-03-28 23:00Z', '2026-03-29 22:59Z', '1 hour') AS t,
    time_bucket('1 day', t, 'Europe/Berlin') AS b GROUP BY b ORDER BY b;
SELECT b, b AT TIME ZONE 'Europe/Berlin' AS shown, count(*) FROM generate_series(timestamptz '2026-10-24 22:00Z', '2026-10-25 22:59Z', '1 hour') AS t,
    time_bucket('6 hours', t, 'Europe/Berlin') AS b GROUP BY b ORDER BY b;
-- the hour that is there twice is two buckets, the one that is left out none
SELECT b, b AT TIME ZONE 'Europe/Berlin' AS shown, count(*) FROM generate_series(timestamptz '2026-10-24 23:00Z', '2026-10-25 02:45Z', '15 min') AS t,
    time_bucket('1 hour', t, 'Europe/Berlin') AS b GROUP BY b ORDER BY b;
SELECT b AT TIME ZONE 'Europe/Berlin' AS shown, count(*) FROM generate_series(timestamptz '2026-03-28 23:00Z', '2026-03-29 02:45Z', '15 min') AS t,
    time_bucket('1 hour', t, 'Europe/Berlin') AS b GROUP BY b ORDER BY b;
SELECT time_bucket('1 day', timestamptz '2026-06-01 18:14Z', 'Asia/Kathmandu') AS kathmandu, time_bucket('15 min', timestamptz '2026-06-01 18:14Z', 'Asia/Kathmandu') AS quarter,
    time_bucket('1 month', timestamptz '2026-05-31 23:00Z', 'Asia/Seoul') AS month,
    time_bucket('1 day', timestamptz '2026-06-01 12:00Z', timezone => 'Asia/Seoul', origin => '2026-01-01 06:00+09') AS shift;

-- by brute force, minute by minute through changes of the clock: a bucket begins when the clock shows a multiple of the width or
-- jumps past it; a day or longer only the first time
CREATE FUNCTION brute_force(zone text, width interval, first timestamptz, last timestamptz) RETURNS TABLE (t timestamptz, bucket timestamptz) LANGUAGE sql
AS $$
    WITH shown AS (
        SELECT t, date_bin(width, t AT TIME ZONE zone, '2000-01-03') AS multiple, t AT TIME ZONE zone AS clock FROM generate_series(first, last, '5 min') AS t),
    started AS (
        SELECT t, CASE WHEN width < interval '1 day'
            THEN multiple > lag(clock) OVER w OR multiple = clock
            ELSE multiple > max(clock) OVER (ORDER BY t ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) END AS starts
        FROM shown WINDOW w AS (ORDER BY t))
    SELECT t, max(t) FILTER (WHERE starts) OVER (ORDER BY t) FROM started
$$;
SELECT zone, count(*) AS times, count(*) FILTER (WHERE bucket IS NOT NULL AND bucket <> time_bucket(width, t, zone)) AS different,
    count(*) FILTER (WHERE bucket IS NULL) < 1500 AS most
FROM (VALUES ('Europe/Berlin', '2026-03-29'::timestamptz), ('Europe/Berlin', '2026-10-25'), ('America/New_York', '2026-11-01'), ('America/Havana', '2024-11-03'),
        ('America/Sao_Paulo', '2018-02-18'), ('America/Sao_Paulo', '2018-11-04'), ('Australia/Lord_Howe', '2026-04-05'), ('Australia/Lord_Howe', '2026-10-04'),
        ('Pacific/Apia', '2011-12-30'), ('Asia/Kathmandu', '2026-01-01'), ('Africa/Casablanca', '2026-02-15')) AS z (zone, day),
    unnest(array['15 min', '30 min', '50 min', '1 hour', '2 hours', '3 hours', '4 hours', '7 hours', '12 hours', '23 hours 55 min', '1 day', '36 hours']::interval[]) AS width,
    LATERAL brute_force(zone, width, day - interval '4 days', day + interval '3 days')
GROUP BY zone, day ORDER BY zone, day;

-- time_buckets: the buckets of time_bucket, one after the other, without gap
SELECT bucket FROM time_buckets('1 day', '2026-03-28 12:00Z', '2026-03-31 00:00Z');
SELECT bucket, bucket AT TIME ZONE 'Europe/Berlin' AS shown FROM time_buckets('1 day', '2026-03-28 12:00Z', '2026-03-30 12:00Z', 'Europe/Berlin');
SELECT array_agg(bucket::date) FROM time_buckets('1 month', '2026-01-15', '2026-04-01');
SELECT array_agg(bucket::date) FROM time_buckets('1 month', '2026-01-15', '2026-06-01', origin => '2025-12-31');
SELECT zone, sum(different) AS different, sum(buckets) AS buckets FROM (
    SELECT zone, (SELECT count(*) FROM (
            (SELECT DISTINCT time_bucket(width, t, zone) FROM generate_series(day - interval '4 days', day + interval '3 days', '5 min') AS t
                EXCEPT SELECT bucket FROM time_buckets(width, day - interval '4 days', day + interval '3 days 1 s', zone))
            UNION ALL (SELECT bucket FROM time_buckets(width, day - interval '4 days', day + interval '3 days 1 s', zone)
                EXCEPT SELECT time_bucket(width, t, zone) FROM generate_series(day - interval '4 days', day + interval '3 days', '5 min') AS t)) AS d) AS different,
        (SELECT count(*) FROM time_buckets(width, day - interval '4 days', day + interval '3 days', zone)) AS buckets
    FROM (VALUES ('Europe/Berlin', '2026-03-29'::timestamptz), ('Europe/Berlin', '2026-10-25'), ('America/Havana', '2024-11-03'), ('America/Sao_Paulo', '2018-02-18'),
            ('America/Sao_Paulo', '2018-11-04'), ('Australia/Lord_Howe', '2026-04-05'), ('Australia/Lord_Howe', '2026-10-04'), ('Pacific/Apia', '2011-12-30'),
            ('UTC', '2026-01-01')) AS z (zone, day),
        unnest(array['15 min', '50 min', '1 hour', '2 hours', '3 hours', '4 hours', '7 hours', '12 hours', '1 day', '36 hours', '1 month']::interval[]) AS width) AS q
GROUP BY zone ORDER BY zone;
SELECT count(*) FROM time_buckets('1 day', '2026-01-02', '2026-01-01');
SELECT count(*) FROM time_buckets('1 day', '2026-01-01', '2026-01-01');
SELECT count(*) FROM time_buckets(NULL, '2026-01-01', '2026-01-02');
SELECT count(*) FROM time_buckets('1 day', NULL, '2026-01-02');
SELECT count(*) FROM time_buckets('1 s', '2026-01-01', '2026-01-02');
SELECT time_buckets('12 hours', '2026-01-01', '2026-01-02') LIMIT 1;
-- the planner knows how many there will be
CREATE FUNCTION estimate(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
    RETURN plan->0->'Plan'->>'Plan Rows';
END $$;
SELECT call, estimate('SELECT FROM ' || call) FROM (VALUES ($$time_buckets('1 min', '2026-01-01', '2026-02-01')$$), ($$time_buckets('1 day', now() - interval '7 days', now())$$),
    ($$time_buckets('1 month', '2026-01-01', '2027-01-01', 'Asia/Seoul')$$), ($$time_buckets('1 day', '2026-01-02', '2026-01-01')$$), ($$time_buckets('1 day', NULL, '2026-01-01')$$),
    ($$time_buckets('1 day', 'infinity', '2026-01-01')$$), ($$time_buckets('-1 day', '2026-01-01', '2026-01-02')$$)) AS c (call);
DROP FUNCTION estimate;

-- nothing and infinity
SELECT time_bucket(NULL, timestamptz '2026-01-01'), time_bucket('1 day', NULL::timestamptz), time_bucket('1 day', timestamptz '2026-01-01', NULL::timestamptz),
    time_bucket('1 day', timestamptz '2026-01-01', NULL::text), time_bucket('1 day', timestamptz '2026-01-01', 'UTC', NULL);
SELECT time_bucket('1 day', timestamptz 'infinity'), time_bucket('1 month', timestamp '-infinity'), time_bucket('1 day', date 'infinity'),
    time_bucket('1 day', timestamptz '-infinity', 'Asia/Seoul');
-- the ends of time
SELECT time_bucket('1 day', timestamptz '4714-11-24 00:00:00+00 BC'), time_bucket('1 day', timestamptz '294276-12-31 23:59:59Z');
SELECT time_bucket('1 month', date '5874897-12-31');
SELECT time_bucket('1 week', timestamptz '4714-11-24 00:00:00+00 BC');
SELECT time_bucket('1 month', timestamptz '4714-11-24 00:00:00+00 BC');
SELECT time_bucket('1 day', timestamptz '4714-11-24 00:00:00+00 BC', 'Asia/Seoul');
SELECT time_bucket('1 day', timestamptz '294276-12-31 23:59:59Z', 'Asia/Seoul');
SELECT time_bucket('1 day', timestamptz '294276-06-01 23:59:59Z', 'Europe/Berlin');
SELECT count(*) FROM time_buckets('1 month', '294276-10-01Z', '294276-12-31Z', 'Europe/Berlin');
SELECT count(*) FROM time_buckets('1 month', '294276-10-01Z', '294276-12-31Z');
SELECT time_bucket(10, -2147483648);
SELECT time_bucket(2147483647, 2147483647, 1), time_bucket(9223372036854775807, 9223372036854775807, -1);
SELECT time_bucket(9223372036854775807, 9223372036854775800, -9223372036854775806);

-- what is refused
SELECT time_bucket('0', timestamptz '2026-01-01');
SELECT time_bucket('-1 hour', timestamptz '2026-01-01');
SELECT time_bucket('-1 month', timestamptz '2026-01-01');
SELECT time_bucket('1 month 1 day', timestamptz '2026-01-01');
SELECT time_bucket('1 month 1 second', date '2026-01-01');
SELECT time_bucket('2000000000 days', timestamptz '2026-01-01');
SELECT time_bucket('106751991 days 10:00', timestamptz '2026-01-01');
SELECT time_bucket('1 hour', date '2026-01-01');
SELECT time_bucket('36 hours', date '2026-01-01');
SELECT time_bucket('1 day', timestamptz '2026-01-01', timestamptz 'infinity');
SELECT time_bucket('1 day', date '2026-01-01', date '-infinity');
SELECT time_bucket('1 day', timestamptz '2026-01-01', 'UTC', 'infinity');
SELECT time_bucket('1 day', timestamptz '2026-01-01', 'KST');
SELECT time_bucket('1 day', timestamptz '2026-01-01', 'Mars/Olympus_Mons');
SELECT time_bucket('1 day', timestamptz '2026-01-01', '2026-01-01');
SELECT time_bucket('1 day', timestamptz '2026-01-01', repeat('x', 10000));
SELECT time_bucket(0, 1);
SELECT time_bucket(-1::bigint, 1::bigint);
SELECT * FROM time_buckets('0', '2026-01-01', '2026-01-02');
SELECT * FROM time_buckets('1 day', '-infinity', '2026-01-02');
SELECT * FROM time_buckets('1 day', '2026-01-02', 'infinity');
SELECT * FROM time_buckets('1 day', '2026-01-01', '2026-01-02', origin => 'infinity');
SELECT * FROM time_buckets('1 day', '2026-01-01', '2026-01-02', 'nowhere');

-- zones that change from row to row, and what the planner may assume
SELECT zone, time_bucket('1 day', timestamptz '2026-06-01 12:00Z', zone) FROM (VALUES ('Asia/Seoul'), ('America/New_York'), ('Asia/Seoul'), ('UTC')) AS z (zone);
SELECT provolatile, proparallel, count(*) FROM pg_proc WHERE proname IN ('time_bucket', 'time_buckets') GROUP BY 1, 2 ORDER BY 1, 2;
-- no search_path changes what they do
SET search_path = pg_catalog;
SELECT public.time_bucket('1 day', timestamptz '2026-06-01 12:00Z', 'Asia/Seoul'), count(*) FROM public.time_buckets('6 hours', '2026-01-01', '2026-01-02');
RESET search_path;
DROP TABLE times;
DROP FUNCTION random_time, brute_force;
