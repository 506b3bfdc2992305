-- duration(): every form next to what it means, how literals are read, what is refused, and that it skips what it excludes.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, YMD';

-- each form, and the range that it is; both ends belong to it; now() is the start of the transaction
BEGIN;
SELECT form, given = meant AS equal FROM (VALUES
    ('n',                    duration('10 minutes'),
                             tstzrange(now() - interval '10 minutes', now(), '[]')),
    ('n before m',           duration('30 minutes', before => '1 hour'),
                             tstzrange(now() - interval '1 hour 30 minutes', now() - interval '1 hour', '[]')),
    ('n before interval',    duration('30 minutes', before => interval '1 hour'),
                             tstzrange(now() - interval '1 hour 30 minutes', now() - interval '1 hour', '[]')),
    ('n before time',        duration('30 minutes', before => '2014-06-01'),
                             tstzrange('2014-05-31 23:30', '2014-06-01 00:00', '[]')),
    ('n before timestamptz', duration('30 minutes', before => timestamptz '2014-06-01 00:00+00'),
                             tstzrange('2014-05-31 23:30', '2014-06-01 00:00', '[]')),
    ('n before expression',  duration('30 minutes', before => now() - interval '1 hour'),
                             duration('30 minutes', before => '1 hour')),
    ('n after m',            duration('30 minutes', after => '1 hour'),
                             tstzrange(now() - interval '1 hour', now() - interval '30 minutes', '[]')),
    ('n after m, m < n',     duration('2 hours', after => '1 hour'),
                             tstzrange(now() - interval '1 hour', now() + interval '1 hour', '[]')),
    ('n after time',         duration('30 minutes', after => '2014-06-01 12:00'),
                             tstzrange('2014-06-01 12:00', '2014-06-01 12:30', '[]')),
    ('all before m',         duration(before => '1 hour'),
                             tstzrange(NULL, now() - interval '1 hour', '[]')),
    ('all before time',      duration(before => '2014-06-01'),
                             tstzrange(NULL, '2014-06-01', '[]')),
    ('all after m',          duration(after => '1 hour'),
                             tstzrange(now() - interval '1 hour', NULL, '[]')),
    ('all after time',       duration(after => date '2014-06-01'),
                             tstzrange('2014-06-01', NULL, '[]')),
    ('from a to b',          duration(from_ => '2014-06-01', to_ => '2014-06-02'),
                             tstzrange('2014-06-01', '2014-06-02', '[]')),
    ('from b to a',          duration(from_ => '2014-06-02', to_ => '2014-06-01'),
                             tstzrange('2014-06-01', '2014-06-02', '[]')),
    ('from m to n',          duration(from_ => '2 hours', to_ => '1 hour'),
                             duration('1 hour', before => '1 hour')),
    ('from a',               duration(from_ => '2014-06-01'), duration(after => '2014-06-01')),
    ('to b',                 duration(to_ => '2014-06-01'), duration(before => '2014-06-01')),
    ('no time at all',       duration('0'), tstzrange(now(), now(), '[]')),
    ('by position',          duration('30 minutes', '1 hour'), duration('30 minutes', before => '1 hour')),
    ('in Machbase''s units', duration('1 year'), tstzrange(now() - interval '1 year', now(), '[]'))
) AS forms (form, given, meant);
COMMIT;
SELECT t, t <@ duration('1 hour', before => '2014-06-01 12:00') AS inside
    FROM unnest(array['2014-06-01 10:59:59.999999', '2014-06-01 11:00', '2014-06-01 12:00', '2014-06-01 12:00:00.000001']::timestamptz[]) AS t;

-- months, leap days and the hour that a clock change leaves out are PostgreSQL's
SELECT duration('1 month', before => '2024-03-31'), duration('1 year', after => '2024-02-29');
SET TimeZone = 'Europe/Berlin';
SELECT duration('1 day', before => '2026-03-29 12:00') AS "23 hours", duration('24 hours', before => '2026-03-29 12:00') AS "24 hours";
SET TimeZone = 'UTC';

-- other types of times; a timestamp or date is one of the session's time zone
SET TimeZone = 'Asia/Seoul';
SELECT duration('1 hour', before => timestamp '2014-06-01'), duration('1 hour', before => date '2014-06-01'),
    duration('1 hour', before => '2014-06-01'::text), duration('1 hour', before => '2014-06-01 00:00+00'::varchar);
SET TimeZone = 'UTC';

-- a literal is a time if it can be one, an interval if it has a unit
SELECT duration(before => '20140601') AS day, duration(before => '2014-06-01T12:00Z') AS iso, duration(before => 'epoch') AS epoch;
SELECT literal, duration(before => literal) = duration(before => literal::interval) AS interval
    FROM unnest(array['1 hour', '90s', '1.5 days', 'P1DT2H', '1 mon', '@ 5 minutes', '1 day 02:03:04']) AS literal;
SELECT duration(before => '2014-06');
SELECT duration(before => '10:00');
SELECT duration(before => '90');
SELECT duration('1 hour', before => '2014-13-01');
SELECT duration('1 hour', after => 'last week');
SELECT duration('1 hour', after => '');
SELECT duration('last week');
SELECT duration('1 hour', before => 90);
SELECT duration(90);
-- in one call, literals have the type of the other times
SELECT duration(from_ => '2014-06-01', to_ => timestamptz '2014-06-02 00:00+00');
SELECT duration(from_ => '1 hour', to_ => now());
BEGIN;
SELECT duration(from_ => now() - interval '1 hour', to_ => now()) = duration('1 hour');
COMMIT;

-- NULL is as if it were not given; NULL when nothing is
SELECT duration('1 hour', before => NULL) = duration('1 hour') AS span,
    duration(from_ => NULL, to_ => timestamptz '2014-06-01') = duration(before => '2014-06-01') AS open;
SELECT duration() IS NULL AS none, duration(NULL) IS NULL AS no_span, duration(before => NULL::timestamptz) IS NULL AS no_time;
SELECT duration(before => 'infinity'), duration(after => '-infinity'), duration(from_ => '-infinity', to_ => 'infinity');

-- what is refused
SELECT duration('-10 minutes');
SELECT duration('1 day -25 hours');
SELECT duration('1 hour', before => '-1 hour');
SELECT duration('1 hour', after => '1 hour ago');
SELECT duration(before => interval '-1 hour');
SELECT duration('1 hour', before => 'infinity');
SELECT duration('1 hour', after => timestamptz '-infinity');
SELECT duration('1 hour', before => '1 hour', after => '1 hour');
SELECT duration('1 hour', from_ => '2014-06-01', to_ => '2014-06-02');
SELECT duration(from_ => '2014-06-01', before => '2014-06-02');
SELECT duration('10000 years');
SELECT duration('300000 years', after => '2014-06-01');
SELECT duration('1000000000000 years');

-- it is stable, and one answer a transaction
SELECT provolatile, proparallel, proisstrict FROM pg_proc WHERE proname = 'duration';
BEGIN;
SELECT duration('1 hour') AS first \gset
SELECT pg_sleep(0.01);
SELECT duration('1 hour') = :'first' AS same;
COMMIT;
SELECT duration('1 hour') = :'first' AS same;
-- a function keeps its plan over transactions, time zones and styles of dates
CREATE FUNCTION last_hours(n interval, t text) RETURNS tstzrange LANGUAGE plpgsql AS $$ BEGIN RETURN duration(n, before => t); END $$;
BEGIN;
SET LOCAL DateStyle = 'ISO, MDY';
SELECT last_hours('1 hour', '01-02-2014');
SET LOCAL DateStyle = 'ISO, DMY';
SELECT last_hours('1 hour', '01-02-2014');
SET LOCAL DateStyle = 'ISO, MDY';
SELECT last_hours('1 hour', '01-02-2014');
SET LOCAL TimeZone = 'Asia/Seoul';
SELECT last_hours('1 hour', '01-02-2014');
ROLLBACK;
SELECT last_hours('1 hour', '1 hour') @> now() - interval '90 minutes' AS moves_on;
SELECT n, upper(duration(n)) - lower(duration(n)) = n AS equal FROM unnest(array['1 hour', '2 hours']::interval[]) AS n;

-- on a table: segments and granules outside are skipped, whatever the bounds are made of
CREATE TABLE t (name text, time timestamptz, v int) USING tag WITH (historian.compact = off);
SET historian.debug_segment_rows = 5000;
CREATE FUNCTION plan_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || query LOOP
        IF line ~ 'Time Filter|Segments|Rows Removed' THEN RETURN NEXT ltrim(line); END IF;
    END LOOP;
END $$;
INSERT INTO t SELECT 'a', now() - i * interval '1 s', i / 3600 FROM generate_series(0, 35999) AS i;
CALL compact('t');
SELECT count(*) AS segments FROM historian_segments('t') WHERE state = 'sealed';
SELECT count(*) BETWEEN 590 AND 601 AS equal FROM t WHERE time <@ duration('10 minutes');
SELECT plan_of($$ SELECT FROM t WHERE time <@ duration('10 minutes') $$);
SELECT plan_of($$ SELECT FROM t WHERE time <@ duration(before => '9 hours') $$);
SELECT plan_of($$ SELECT FROM t WHERE time <@ duration('10 minutes', before => now() - interval '8 hours') $$);
SET plan_cache_mode = force_generic_plan;
PREPARE typed(interval, timestamptz) AS SELECT FROM t WHERE time <@ duration($1, before => $2);
PREPARE untyped AS SELECT FROM t WHERE duration($1, after => $2) @> time;
SELECT plan_of($$ EXECUTE typed('10 minutes', now()) $$);
SELECT plan_of($$ EXECUTE untyped('1 minute', '9 hours') $$);
RESET plan_cache_mode;
DEALLOCATE ALL;
SELECT plan_of($$ SELECT FROM (SELECT interval '9 hours' AS old OFFSET 0) AS q, LATERAL (SELECT FROM t WHERE time <@ duration(before => old)) AS r $$);
SELECT plan_of($$ SELECT FROM t WHERE time <@ duration(NULL) $$);
SELECT count(*) FROM t WHERE time <@ duration(before => '-infinity');
-- log tables, whose own order it is
CREATE TABLE devices (v int) USING log WITH (historian.compact = off);
INSERT INTO devices SELECT i, now() - i * interval '1 s' FROM generate_series(0, 35999) AS i;
CALL compact('devices');
SELECT plan_of($$ SELECT FROM devices WHERE _arrival_time <@ duration('10 minutes') $$);
SELECT plan_of($$ SELECT FROM devices WHERE _arrival_time <@ duration('10 minutes', after => '9 hours') LIMIT 1 $$);
SELECT v BETWEEN 32300 AND 32400 AS newest FROM devices WHERE _arrival_time <@ duration(before => '9 hours') LIMIT 1;
DROP TABLE devices;
DROP TABLE t;
DROP FUNCTION last_hours, plan_of;
