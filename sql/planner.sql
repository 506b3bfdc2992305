-- HistorianScan: what it pushes down, what it must not, and that it answers as the sequential scan does.
\set ECHO none
\i sql/include/plan_of.sql
\set ECHO all
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET max_parallel_workers_per_gather = 0;
SET jit = off;
SET historian.enable_aggregate = off;

-- 20 tags, one point a minute: three days in a segment each, an hour of the fourth in the tail. The first segment has the odd rows.
CREATE TABLE readings (name text, time timestamptz, value float8, note text) USING tag;
INSERT INTO readings SELECT format('pump_%s', to_char(g % 20, 'FM00')), '2026-01-01'::timestamptz + g / 20 * interval '1 minute', g % 1000, 'n' || g % 7
    FROM generate_series(0, 20 * 1440 - 1) g;
INSERT INTO readings VALUES (NULL, '2026-01-03', 1, 'no tag'), ('pump_03', NULL, 2, 'no time'), ('pump_03', 'infinity', 3, 'late'),
    ('pump_03', '-infinity', 4, 'early'), ('', '2026-01-03', 5, 'empty tag');
CALL compact('readings');
\copy readings FROM PROGRAM 'awk ''BEGIN { OFS = "\t"; for (g = 0; g < 28800; g++) print sprintf("pump_%02d", g % 20), sprintf("2026-01-02 %02d:%02d+00", g / 1200, int(g / 20) % 60), g % 1000, "n" g % 7 }'''
\copy readings FROM PROGRAM 'awk ''BEGIN { OFS = "\t"; for (g = 0; g < 28800; g++) print sprintf("pump_%02d", g % 20), sprintf("2026-01-03 %02d:%02d+00", g / 1200, int(g / 20) % 60), g % 1000, "n" g % 7 }'''
INSERT INTO readings SELECT format('pump_%s', to_char(g % 20, 'FM00')), '2026-01-04'::timestamptz + g / 20 * interval '1 minute', g % 1000, 'n' || g % 7
    FROM generate_series(0, 20 * 60 - 1) g;
SELECT kind, row_count, tag_count, time_min, time_max FROM historian_segments('readings') ORDER BY kind, time_min;
ANALYZE readings;

-- ------------------------------------------------------------------------------------------------ what is read and skipped

SELECT plan_of($$SELECT time, value FROM readings WHERE name = 'pump_07' AND time >= '2026-01-02 10:00' AND time < '2026-01-02 11:00'$$);
SELECT plan_of($$SELECT count(*) FROM readings WHERE name LIKE 'pump\_1%' AND time >= '2026-01-03 12:00'$$);
SELECT plan_of($$SELECT count(*) FROM readings WHERE name IN ('pump_01', 'pump_02', 'nobody') AND time BETWEEN '2026-01-01T18:00:00Z' AND '2026-01-02T05:59:00Z'$$);
SELECT plan_of($$SELECT count(*) FROM readings WHERE name = 'zebra'$$);
SELECT plan_of($$SELECT count(*) FROM readings WHERE time >= '2026-01-04 00:30'$$);
SELECT plan_of($$SELECT count(*) FROM readings$$);
SELECT plan_of($$SELECT value FROM readings WHERE name = 'pump_07' AND time < '2026-01-02' LIMIT 0$$, 'ANALYZE, FORMAT JSON');
EXPLAIN (COSTS OFF, VERBOSE) SELECT r.value FROM readings r WHERE r.name = 'pump_07';
SET historian.enable_scan = off;
EXPLAIN (COSTS OFF) SELECT value FROM readings WHERE name = 'pump_07';
RESET historian.enable_scan;

-- ------------------------------------------------------------------------------------------------ every form, with and without

-- Runs a query both ways; tells what was pushed down and how many rows came, or that the answers differ. Not in full: ranges that are
-- constants, which version 17 makes comparisons of.
CREATE FUNCTION both_ways(query text, in_full bool DEFAULT true) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    line text;
    plan text := '';
    answers text[];
    row_count bigint;
BEGIN
    FOREACH line IN ARRAY ARRAY['on', 'off'] LOOP
        PERFORM set_config('historian.enable_scan', line, true);
        EXECUTE 'SELECT count(*), count(*) || md5(coalesce(string_agg(q::text, chr(10) ORDER BY q::text), ''''))  FROM (' || query || ') q'
            INTO row_count, line;
        answers := answers || line;
    END LOOP;
    PERFORM set_config('historian.enable_scan', 'on', true);
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        IF line ~ 'HistorianScan' THEN plan := plan || ' scan'; END IF;
        IF line ~ 'Seq Scan' THEN plan := plan || ' sequential'; END IF;
        IF line ~ '(Tag|Time) Filter' AND in_full THEN plan := plan || ' | ' || in_one_wording(trim(line)); END IF;
        IF line ~ 'Time Filter' AND NOT in_full THEN plan := plan || ' | Time Filter'; END IF;
    END LOOP;
    RETURN CASE WHEN answers[1] = answers[2] THEN row_count || ' rows:' ELSE 'DIFFERENT:' END || plan;
END $$;

-- The same without the plan, where it depends on the sample of ANALYZE.
CREATE FUNCTION same_rows(query text) RETURNS text LANGUAGE sql AS $$ SELECT split_part(both_ways(query), ':', 1) $$;

\pset format unaligned
\pset tuples_only on
-- Tags.
SELECT both_ways($$SELECT * FROM readings WHERE name = 'pump_03'$$);
SELECT both_ways($$SELECT * FROM readings WHERE 'pump_03' = name$$);
SELECT both_ways($$SELECT * FROM readings WHERE name = ''$$);
SELECT both_ways($$SELECT * FROM readings WHERE name = NULL$$);
SELECT both_ways($$SELECT * FROM readings WHERE name = current_setting('timezone')$$);
SELECT both_ways($$SELECT * FROM readings WHERE name = 'pump_03'::varchar$$);
SELECT both_ways($$SELECT * FROM readings WHERE name = 'pump_03'::name$$);
SELECT both_ways($$SELECT * FROM readings WHERE name = ANY ('{pump_03,NULL,pump_05,pump_03}')$$);
SELECT both_ways($$SELECT * FROM readings WHERE name = ANY ('{}')$$);
SELECT both_ways($$SELECT * FROM readings WHERE name = ANY (NULL::text[])$$);
SELECT both_ways($$SELECT * FROM readings WHERE name IN ('pump_03', upper('pump_04'), lower('PUMP_05'))$$);
SELECT both_ways($$SELECT * FROM readings WHERE name = 'pump_03' OR name = 'pump_04' OR name IN ('pump_05', 'pump_06')$$);
SELECT both_ways($$SELECT * FROM readings WHERE name IN ('pump_03', 'pump_04') AND name IN ('pump_04', 'pump_05')$$);
-- Times that are rounded.
SELECT both_ways($$SELECT * FROM readings WHERE date_trunc('hour', time) = '2026-01-02 10:00'$$);
SELECT both_ways($$SELECT * FROM readings WHERE date_trunc('HOUR', time) > '2026-01-04'$$);
SELECT both_ways($$SELECT * FROM readings WHERE '2026-01-02' >= date_trunc('day', time)$$);
SELECT both_ways($$SELECT * FROM readings WHERE date_trunc('day', time, 'America/Havana') = '2026-01-02 05:00' AND name = 'pump_05'$$);
SELECT both_ways($$SELECT * FROM readings WHERE date_trunc('week', time) = '2025-12-29' AND name = 'pump_05'$$);
SELECT both_ways($$SELECT * FROM readings WHERE date_trunc('century', time) = '2001-01-01' AND name = 'pump_05'$$);
SELECT both_ways($$SELECT * FROM readings WHERE date_trunc(note, time) = '2026-01-01' AND note = 'day'$$);
SELECT both_ways($$SELECT * FROM readings WHERE date_trunc('hour', time) IN ('2026-01-02 10:00', '2026-01-02 11:00', '2026-01-02 11:30')$$);
SELECT both_ways($$SELECT * FROM readings WHERE date_trunc('hour', time) BETWEEN '-infinity' AND '2026-01-01 02:59'$$);
SELECT both_ways($$SELECT * FROM readings WHERE time::date = '2026-01-03' AND name IN ('pump_05', '')$$);
SELECT both_ways($$SELECT * FROM readings WHERE time::date > '2026-01-03'$$);
SELECT both_ways($$SELECT * FROM readings WHERE time::date < timestamptz '2026-01-02' AND name = 'pump_05'$$);
SELECT both_ways($$SELECT * FROM readings WHERE date_bin('15 minutes', time, '2001-01-01') = '2026-01-02 10:15' AND isfinite(time)$$);
SELECT both_ways($$SELECT * FROM readings WHERE date_bin('1 day 2 hours', time, '2026-01-03 07:00') < '2026-01-02 02:00' AND isfinite(time)$$);
SELECT both_ways($$SELECT * FROM readings WHERE isfinite(time) AND date_bin(interval '15 minutes' * length(note), time, '2001-01-01') = '2026-01-02 10:15'$$);
SET timezone = 'America/Havana';
SELECT both_ways($$SELECT * FROM readings WHERE time::date = '2026-01-03' AND name = 'pump_05'$$);
SELECT both_ways($$SELECT * FROM readings WHERE date_trunc('day', time) >= '2026-01-03' AND name = 'pump_05'$$);
SET timezone = 'UTC';
-- By how a tag begins, in any collation; between tags, where the collation is that of bytes.
SELECT both_ways($$SELECT * FROM readings WHERE name LIKE 'pump_1%'$$);
SELECT both_ways($$SELECT * FROM readings WHERE name LIKE 'pump\_1%'$$);
SELECT both_ways($$SELECT * FROM readings WHERE name LIKE 'pump\_1_'$$);
SELECT both_ways($$SELECT * FROM readings WHERE name LIKE 'pump#_0%' ESCAPE '#'$$);
SELECT both_ways($$SELECT * FROM readings WHERE name LIKE 'pump\_07'$$);
SELECT both_ways($$SELECT * FROM readings WHERE name LIKE ''$$);
SELECT both_ways($$SELECT * FROM readings WHERE name LIKE '%_1'$$);
SELECT both_ways($$SELECT * FROM readings WHERE name LIKE NULL$$);
SELECT both_ways($$SELECT * FROM readings WHERE name NOT LIKE 'pump_1%'$$);
SELECT both_ways($$SELECT * FROM readings WHERE name ILIKE 'PUMP_1%'$$);
SELECT both_ways($$SELECT * FROM readings WHERE name ^@ 'pump_1'$$);
SELECT both_ways($$SELECT * FROM readings WHERE starts_with(name, 'pump_0') AND name LIKE '%7'$$);
SELECT both_ways($$SELECT * FROM readings WHERE starts_with('pump_07', name)$$);
SELECT both_ways($$SELECT * FROM readings WHERE name ^@ (SELECT 'pump_' || 1)$$);
SELECT both_ways($$SELECT * FROM readings WHERE name LIKE 'pump\_1%' AND name IN ('pump_03', 'pump_13')$$);
SELECT both_ways($$SELECT * FROM readings WHERE name LIKE 'pump\_1%' AND name LIKE 'pump\_12%'$$);
SELECT both_ways($$SELECT * FROM readings WHERE name LIKE 'pump\_1%' OR name = 'pump_03'$$);
SELECT both_ways($$SELECT * FROM readings WHERE name COLLATE "C" >= 'pump_03' AND name COLLATE "C" < 'pump_05'$$);
SELECT both_ways($$SELECT * FROM readings WHERE name COLLATE "C" > 'pump_03' AND 'pump_05' >= name COLLATE "C"$$);
SELECT both_ways($$SELECT * FROM readings WHERE name COLLATE "C" BETWEEN 'pump_19' AND 'pump_11'$$);
SELECT both_ways($$SELECT * FROM readings WHERE name > 'pump_03' AND name < 'pump_05'$$);
SELECT both_ways($$SELECT * FROM readings WHERE name = ANY (ARRAY(SELECT 'pump_0' || i FROM generate_series(1, 3) i))$$);
SELECT same_rows($$SELECT * FROM readings WHERE name IN (SELECT 'pump_0' || i FROM generate_series(1, 3) i)$$);
-- Long arrays that only execution knows are looked up by hash, also when they change from one start of the scan to the next.
SELECT both_ways($$SELECT * FROM readings WHERE value < 500 AND name = ANY (ARRAY(SELECT to_char(i, '"pump_"FM00') FROM generate_series(0, 11) i))$$);
SELECT both_ways($$SELECT * FROM readings WHERE time > '2026-01-04' AND value <> (SELECT 7) AND name = ANY (array_append(ARRAY(SELECT to_char(i, '"pump_"FM00') FROM generate_series(0, 11) i), NULL))$$);
SELECT same_rows($$SELECT m.g, x.* FROM (SELECT i % 3 AS g, array_agg(to_char(i, '"pump_"FM00') ORDER BY i) AS names FROM generate_series(0, 32) i GROUP BY i % 3
    UNION ALL SELECT 3, NULL UNION ALL SELECT 4, '{}' UNION ALL SELECT 5, '{pump_01,NULL}') m,
    LATERAL (SELECT count(*), sum(value) FROM readings r WHERE r.name = ANY (m.names) AND r.value::int % 7 = m.g) x$$);
-- Times.
SELECT both_ways($$SELECT * FROM readings WHERE time = '2026-01-02 12:00'$$);
SELECT both_ways($$SELECT * FROM readings WHERE time IN ('2026-01-02 12:00', '2026-01-02 13:00')$$);
SELECT both_ways($$SELECT * FROM readings WHERE time > '2026-01-03 23:58'$$);
SELECT both_ways($$SELECT * FROM readings WHERE time < '2026-01-01 00:01'$$);
SELECT both_ways($$SELECT * FROM readings WHERE '2026-01-01 00:01' >= time$$);
SELECT both_ways($$SELECT * FROM readings WHERE time > NULL$$);
SELECT both_ways($$SELECT * FROM readings WHERE time < '-infinity'$$);
SELECT both_ways($$SELECT * FROM readings WHERE time <= '-infinity'$$);
SELECT both_ways($$SELECT * FROM readings WHERE time > 'infinity'$$);
SELECT both_ways($$SELECT * FROM readings WHERE time >= 'infinity'$$);
SELECT both_ways($$SELECT * FROM readings WHERE time > '2026-01-02' AND time < '2026-01-01'$$);
SELECT both_ways($$SELECT * FROM readings WHERE time > to_timestamp(1767484680)$$);
SELECT both_ways($$SELECT * FROM readings WHERE time > now() - interval '1000 years' AND time < now() - interval '100 years'$$);
SELECT both_ways($$SELECT * FROM readings WHERE time >= timestamp '2026-01-04 00:59'$$);
SELECT both_ways($$SELECT * FROM readings WHERE time >= date '2026-01-04' AND time <= date 'infinity'$$);
SELECT both_ways($$SELECT * FROM readings WHERE time < date '5874897-12-31'$$);
SELECT both_ways($$SELECT * FROM readings WHERE time > date '5874897-12-31'$$);
SELECT both_ways($$SELECT * FROM readings WHERE time <@ tstzrange('2026-01-02 10:00', '2026-01-02 10:02')$$, false);
SELECT both_ways($$SELECT * FROM readings WHERE tstzrange('2026-01-02 10:00', '2026-01-02 10:02', '(]') @> time$$, false);
SELECT both_ways($$SELECT * FROM readings WHERE time <@ tstzrange('2026-01-04 00:59', NULL)$$, false);
SELECT both_ways($$SELECT * FROM readings WHERE time <@ tstzrange(NULL, '-infinity', '[]')$$, false);
SELECT both_ways($$SELECT * FROM readings WHERE time <@ tstzrange('infinity', 'infinity', '[]')$$, false);
SELECT same_rows($$SELECT * FROM readings WHERE time <@ 'empty'::tstzrange$$);
SELECT both_ways($$SELECT * FROM readings WHERE time <@ NULL::tstzrange$$);
SELECT both_ways($$SELECT * FROM readings WHERE time > (SELECT max(time) - interval '10 minutes' FROM readings WHERE time < '2026-01-03' AND name = 'pump_07')$$);
-- Both, and what is not pushed down.
SELECT both_ways($$SELECT value FROM readings WHERE name = 'pump_07' AND time > '2026-01-03 23:00' AND value > 500$$);
SELECT both_ways($$SELECT * FROM readings WHERE name > 'pump_18'$$);
SELECT both_ways($$SELECT * FROM readings WHERE name <> ALL ('{pump_03,pump_04}') AND time > '2026-01-04'$$);
SELECT both_ways($$SELECT * FROM readings WHERE name ILIKE 'pump_1%' AND time > '2026-01-04 00:58'$$);
SELECT both_ways($$SELECT * FROM readings WHERE name IS NULL$$);
SELECT both_ways($$SELECT * FROM readings WHERE time IS NULL$$);
SELECT both_ways($$SELECT * FROM readings WHERE name = note$$);
SELECT both_ways($$SELECT * FROM readings WHERE name = 'pump_03' OR value = 7$$);
SELECT both_ways($$SELECT * FROM readings WHERE name = 'pump_03' OR time = '2026-01-02'$$);
SELECT both_ways($$SELECT * FROM readings WHERE name = 'pump_' || (random() * 0)::int$$);
SELECT both_ways($$SELECT * FROM readings WHERE name = 'pump_03'::bpchar$$);
-- Columns: none, the whole row, system columns, expressions, in the qual only.
SELECT both_ways($$SELECT 1 FROM readings WHERE name = 'pump_07'$$);
SELECT both_ways($$SELECT readings FROM readings WHERE name = 'pump_07' AND time < '2026-01-01 00:05'$$);
SELECT both_ways($$SELECT ctid, tableoid::regclass, xmin, note FROM readings WHERE name = 'pump_07' AND time < '2026-01-01 00:05'$$);
SELECT both_ways($$SELECT upper(name) FROM readings WHERE note = 'n3' AND time < '2026-01-01 00:05'$$);
SELECT both_ways($$SELECT note, time FROM readings WHERE name = 'pump_03' AND readings IS NOT NULL AND time > '2026-01-04 00:55'$$);
\pset tuples_only off
\pset format aligned

-- ------------------------------------------------------------------------------------------------ types of tags

\pset format unaligned
\pset tuples_only on
CREATE TYPE state AS ENUM ('off', 'on');
CREATE DOMAIN site AS varchar(20);
CREATE COLLATION planner_ignore_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE tag_types (kind text, query text);
INSERT INTO tag_types VALUES
    ('int2', '7'), ('int4', '7'), ('int8', '7'), ('int8', '7::int2'), ('int2', '100000'), ('int4', '-5000000000'), ('int4', '7.0'), ('oid', '7'),
    ('uuid', '''00000000-0000-0000-0000-000000000007'''), ('date', '''2000-01-08'''), ('bool', 'ANY (ARRAY[true])'), ('state', '''on'''),
    ('site', '''7'''), ('varchar', '''7'''), ('text COLLATE planner_ignore_case', '''7'''), ('numeric', '7'), ('float8', '7'), ('char(3)', '''7'''),
    ('bytea', '''7'''), ('name', '''7'''), ('interval', '''7 days'''), ('inet', '''0.0.0.7''');
DO $$
DECLARE
    test tag_types;
    source text;
BEGIN
    FOR test IN SELECT * FROM tag_types LOOP
        source := CASE test.kind WHEN 'uuid' THEN $q$lpad(g::text, 32, '0')::uuid$q$ WHEN 'date' THEN $q$date '2000-01-01' + g$q$
            WHEN 'bool' THEN 'g % 2 = 0' WHEN 'state' THEN $q$CASE g % 2 WHEN 0 THEN 'on' ELSE 'off' END::state$q$
            WHEN 'interval' THEN $q$g * interval '1 day'$q$ WHEN 'inet' THEN $q$'0.0.0.0'::inet + g$q$ WHEN 'bytea' THEN 'g::text::bytea'
            WHEN 'int2' THEN 'g' ELSE 'g::text::' || test.kind END;
        EXECUTE format('CREATE TABLE typed (tag %s, time timestamp, v int) USING tag', test.kind);
        EXECUTE format('INSERT INTO typed SELECT %s, timestamp ''2026-01-01'' + g * interval ''1 s'', g FROM generate_series(0, 20) g', source);
        RAISE NOTICE '% %', test.kind, both_ways('SELECT * FROM typed WHERE tag = ' || test.query);
        DROP TABLE typed;
    END LOOP;
END $$;

-- Sealed tags of an unsigned type beyond the signed range.
CREATE TABLE large_oids (id oid, time timestamp) USING tag;
INSERT INTO large_oids SELECT 4000000000 + g % 3, timestamp '2026-01-01' + g * interval '1 s' FROM generate_series(1, 30) g;
CALL compact('large_oids');
INSERT INTO large_oids SELECT id, time FROM large_oids;
INSERT INTO large_oids VALUES (4000000001, '2026-01-02');
SELECT both_ways('SELECT * FROM large_oids WHERE id = 4000000001');
CALL compact('large_oids');
SELECT both_ways('SELECT * FROM large_oids WHERE id = 4000000001');

-- timestamp without time zone: compared with its own kind and with dates; never with timestamptz, which converts the column.
SELECT both_ways($$SELECT * FROM large_oids WHERE time < timestamp '2026-01-01 00:00:05'$$);
SELECT both_ways($$SELECT * FROM large_oids WHERE time > date '2026-01-01'$$);
SELECT both_ways($$SELECT * FROM large_oids WHERE time <@ tsrange('2026-01-01 00:00:03', '2026-01-01 00:00:05')$$, false);
SELECT both_ways($$SELECT * FROM large_oids WHERE time < timestamptz '2026-01-01 00:00:05Z'$$);
-- The session's time zone decides what a timestamp or date means to a timestamptz.
SET timezone = 'Asia/Seoul';
SELECT both_ways($$SELECT * FROM readings WHERE time >= date '2026-01-04' AND time < timestamp '2026-01-04 00:05'$$);
SET timezone = 'UTC';
\pset tuples_only off
\pset format aligned

-- ------------------------------------------------------------------------------------------------ parameters and plans

PREPARE point (text, timestamptz, timestamptz) AS SELECT count(*), sum(value) FROM readings WHERE name = $1 AND time >= $2 AND time < $3;
SET plan_cache_mode = force_generic_plan;
SELECT plan_of($$EXECUTE point ('pump_07', '2026-01-02', '2026-01-03')$$);
EXECUTE point ('pump_07', '2026-01-02', '2026-01-03');
EXECUTE point ('pump_08', '2026-01-01 10:00', '2026-01-01 11:00');
EXECUTE point (NULL, '2026-01-01', '2026-01-02');
PREPARE many (text[]) AS SELECT count(*) FROM readings WHERE name = ANY ($1) AND time <@ tstzrange('2026-01-02', '2026-01-03');
EXECUTE many ('{pump_01,pump_02}');
EXECUTE many ('{}');
EXECUTE many (NULL);
SET plan_cache_mode = force_custom_plan;
EXECUTE point ('pump_07', '2026-01-02', '2026-01-03');
EXECUTE many ('{pump_01,pump_02}');
RESET plan_cache_mode;

-- A plan outlives changes of the table.
CREATE TABLE changing (name text, dropped int, time timestamptz, value int) USING tag;
INSERT INTO changing SELECT 't' || g % 3, g, '2026-01-01'::timestamptz + g * interval '1 s', g FROM generate_series(1, 9) g;
CALL compact('changing');
PREPARE all_of (text) AS SELECT * FROM changing WHERE name = $1 ORDER BY time;
SET plan_cache_mode = force_generic_plan;
EXECUTE all_of ('t1');
RESET plan_cache_mode;
ALTER TABLE changing DROP COLUMN dropped;
DEALLOCATE all_of;
PREPARE values_of (text) AS SELECT value, time FROM changing WHERE name = $1 ORDER BY time;
SET plan_cache_mode = force_generic_plan;
EXECUTE values_of ('t1');
ALTER TABLE changing ADD COLUMN added int DEFAULT 42;
EXECUTE values_of ('t1');
RESET plan_cache_mode;
INSERT INTO changing VALUES ('t1', '2026-01-02', 100, 43);
SELECT added, count(*) FROM changing WHERE name = 't1' GROUP BY added ORDER BY added;

-- ------------------------------------------------------------------------------------------------ joins, subqueries, lateral

CREATE TABLE machines (name text, first_seen timestamptz, period tstzrange, place text);
INSERT INTO machines SELECT format('pump_%s', to_char(g, 'FM00')), '2026-01-02'::timestamptz + g * interval '1 hour',
    tstzrange('2026-01-02'::timestamptz + g * interval '1 hour', '2026-01-02'::timestamptz + g * interval '1 hour' + interval '3 minutes'), 'hall ' || g % 4
    FROM generate_series(0, 39) g;
ANALYZE machines;
SELECT plan_of($$SELECT count(*) FROM machines m JOIN readings r ON r.name = m.name WHERE m.first_seen < '2026-01-02 01:00'$$);
SELECT plan_of($$SELECT count(r.value), count(*) FROM machines m LEFT JOIN readings r ON r.name = m.name AND r.time <@ m.period WHERE m.place = 'hall 1'$$);
SELECT plan_of($$SELECT m.name, last.value FROM machines m, LATERAL (SELECT value FROM readings r WHERE r.name = m.name AND r.time >= m.first_seen
        ORDER BY time LIMIT 1) last WHERE m.place = 'hall 2' AND m.name < 'pump_10'$$);
\pset format unaligned
\pset tuples_only on
SELECT same_rows($$SELECT r.* FROM machines m JOIN readings r USING (name) WHERE m.place = 'hall 1' AND r.time < '2026-01-01 01:00'$$);
SELECT same_rows($$SELECT m.name, r.value FROM machines m LEFT JOIN readings r ON r.name = m.name AND r.time <@ m.period WHERE m.place = 'hall 1'$$);
SELECT same_rows($$SELECT m.name, r.value FROM machines m JOIN readings r ON r.name = m.name AND r.time BETWEEN m.first_seen AND m.first_seen + interval '1 minute'$$);
SELECT same_rows($$SELECT m.name, (SELECT max(value) FROM readings r WHERE r.name = m.name AND r.time > '2026-01-04 00:50') FROM machines m$$);
SELECT same_rows($$SELECT * FROM machines m WHERE EXISTS (SELECT FROM readings r WHERE r.name = m.name AND r.time > '2026-01-04 00:50')$$);
SELECT same_rows($$SELECT * FROM machines m WHERE NOT EXISTS (SELECT FROM readings r WHERE r.name = m.name AND r.time > '2026-01-04 00:50')$$);
SELECT same_rows($$SELECT a.time, a.value, b.value FROM readings a JOIN readings b USING (name, time) WHERE name = 'pump_05' AND time < '2026-01-01 00:10'$$);
SELECT same_rows($$SELECT m.name, l.* FROM machines m, LATERAL (SELECT time, value FROM readings r WHERE r.name = m.name ORDER BY time DESC NULLS LAST LIMIT 2) l$$);
SELECT same_rows($$SELECT * FROM readings r WHERE name = 'pump_07' AND time < '2026-01-01 00:10' AND value IN (SELECT g FROM generate_series(0, 100) g)$$);
SELECT same_rows($$SELECT * FROM readings r WHERE name = 'pump_07' AND time < '2026-01-01 00:10' AND value > (SELECT count(*) FROM machines m WHERE m.name >= r.name)$$);
\pset tuples_only off
\pset format aligned

-- ------------------------------------------------------------------------------------------------ cursors

BEGIN;
DECLARE points SCROLL CURSOR FOR SELECT time, value FROM readings WHERE name = 'pump_07' AND time BETWEEN '2026-01-03 23:58' AND '2026-01-04 00:02';
FETCH 2 FROM points;
FETCH BACKWARD 1 FROM points;
FETCH ALL FROM points;
FETCH BACKWARD ALL FROM points;
FETCH ABSOLUTE 3 FROM points;
CLOSE points;
DECLARE kept CURSOR WITH HOLD FOR SELECT time, value FROM readings WHERE name = 'pump_07' AND time >= '2026-01-04 00:58';
FETCH 1 FROM kept;
COMMIT;
FETCH ALL FROM kept;
CLOSE kept;

-- ------------------------------------------------------------------------------------------------ partitions, inheritance, row security

CREATE TABLE parted (name text, time timestamptz, value float8) PARTITION BY RANGE (time);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2026-01-01') TO ('2026-01-02') USING tag;
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM ('2026-01-02') TO ('2026-01-03') USING tag;
CREATE TABLE parted_3 PARTITION OF parted FOR VALUES FROM ('2026-01-03') TO ('2026-01-04');
INSERT INTO parted SELECT name, time, value FROM readings WHERE time BETWEEN '2026-01-01' AND '2026-01-03 00:10';
ANALYZE parted;
EXPLAIN (COSTS OFF) SELECT value FROM parted WHERE name = 'pump_07' AND time > '2026-01-01 12:00';
\pset format unaligned
\pset tuples_only on
SELECT both_ways($$SELECT * FROM parted WHERE name = 'pump_07' AND time > '2026-01-01 12:00'$$);
SELECT same_rows($$SELECT p.*, m.place FROM machines m JOIN parted p ON p.name = m.name AND p.time = m.first_seen$$);
\pset tuples_only off
\pset format aligned
CREATE TABLE readings_child () INHERITS (readings) USING tag;
INSERT INTO readings_child VALUES ('pump_07', '2026-02-01', 1, 'child');
SELECT tableoid::regclass, count(*) FROM readings WHERE name = 'pump_07' GROUP BY 1 ORDER BY 1;
DROP TABLE readings_child;

CREATE ROLE planner_reader;
GRANT SELECT ON readings TO planner_reader;
CREATE POLICY some_pumps ON readings FOR SELECT TO planner_reader USING (name IN ('pump_01', 'pump_02'));
ALTER TABLE readings ENABLE ROW LEVEL SECURITY;
SET ROLE planner_reader;
EXPLAIN (COSTS OFF) SELECT count(*) FROM readings WHERE time < '2026-01-02';
SELECT name, count(*) FROM readings WHERE name >= 'pump_02' GROUP BY name;
SELECT count(*) FROM readings WHERE name = 'pump_03';
RESET ROLE;
ALTER TABLE readings DISABLE ROW LEVEL SECURITY;
DROP POLICY some_pumps ON readings;
REVOKE ALL ON readings FROM planner_reader;
DROP ROLE planner_reader;

-- ------------------------------------------------------------------------------------------------ parallel

SET max_parallel_workers_per_gather = 2;
SET min_parallel_table_scan_size = 0;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SELECT plan_of($$SELECT count(*), sum(value) FROM readings WHERE time < '2026-01-03'$$);
SELECT count(*), sum(value) FROM readings WHERE time < '2026-01-03';
SET parallel_leader_participation = off;
SELECT plan_of($$SELECT count(*) FROM readings WHERE value < 100$$);
RESET parallel_leader_participation;
-- A Gather that is started again and again: in the same shared memory, and in new one after a LIMIT has shut it down.
SET enable_material = off;
EXPLAIN (COSTS OFF) SELECT count(x.value) FROM generate_series(1, 3) g LEFT JOIN (SELECT value FROM readings WHERE value < 100 OFFSET 0) x ON true;
SELECT count(x.value) FROM generate_series(1, 3) g LEFT JOIN (SELECT value FROM readings WHERE value < 100 OFFSET 0) x ON true;
EXPLAIN (COSTS OFF) SELECT count(x.value) FROM generate_series(1, 3) g LEFT JOIN (SELECT value FROM readings WHERE value < 100 LIMIT 500) x ON true;
SELECT count(x.value) FROM generate_series(1, 3) g LEFT JOIN (SELECT value FROM readings WHERE value < 100 LIMIT 500) x ON true;
RESET enable_material;
-- A parallel scan that an error ends.
DO $$
BEGIN
    PERFORM sum(1 / (value::int - 5)) FROM readings;
EXCEPTION WHEN division_by_zero THEN
    RAISE NOTICE 'division by zero';
END $$;
SELECT count(*) FROM readings WHERE value = 5;
RESET parallel_tuple_cost;
RESET parallel_setup_cost;
RESET min_parallel_table_scan_size;
SET max_parallel_workers_per_gather = 0;

-- ------------------------------------------------------------------------------------------------ where it is not used, or sees its own

EXPLAIN (COSTS OFF) SELECT count(*) FROM readings TABLESAMPLE system (10) WHERE name = 'pump_07';
BEGIN;
INSERT INTO readings SELECT name, time + interval '1 year', value FROM readings WHERE name = 'pump_07' AND time < '2026-01-02';
SELECT count(*) FROM readings WHERE name = 'pump_07' AND time >= '2027-01-01';
ROLLBACK;
SELECT count(*) FROM readings WHERE name = 'pump_07' AND time >= '2027-01-01';

-- ------------------------------------------------------------------------------------------------ at random, seed 0.42

SELECT setseed(0.42);
DO $$
DECLARE
    query text;
    answer text;
    wrong int := 0;
    found int := 0;
BEGIN
    FOR i IN 1 .. 150 LOOP
        query := 'SELECT ' || (ARRAY['*', 'value', 'name, time', 'count(*)', 'note, ctid'])[1 + floor(random() * 5)] || ' FROM readings WHERE '
            || CASE floor(random() * 5)::int
                WHEN 0 THEN format('name = ''pump_%s''', to_char(floor(random() * 22), 'FM00'))
                WHEN 1 THEN format('name IN (''pump_%s'', ''pump_%s'')', to_char(floor(random() * 22), 'FM00'), to_char(floor(random() * 22), 'FM00'))
                WHEN 2 THEN format('(name = ''pump_%s'' OR name = '''')', to_char(floor(random() * 22), 'FM00'))
                WHEN 3 THEN format('value < %s', floor(random() * 20))
                ELSE 'true' END
            || format(' AND time %s ''2026-01-01''::timestamptz + interval ''%s s''', (ARRAY['<', '<=', '>', '>=', '='])[1 + floor(random() * 5)],
                floor(random() * 80) * 3600)
            || CASE WHEN random() < 0.5 THEN format(' AND time <@ tstzrange(''2026-01-02''::timestamptz + interval ''%s h'', ''2026-01-04'', ''%s'')',
                floor(random() * 48), (ARRAY['[)', '(]', '[]', '()'])[1 + floor(random() * 4)]) ELSE '' END;
        answer := both_ways(query);
        IF answer ~ 'DIFFERENT' THEN
            wrong := wrong + 1;
            RAISE WARNING '% %', answer, query;
        END IF;
        IF answer !~ '^0 rows' THEN found := found + 1; END IF;
    END LOOP;
    RAISE NOTICE '% different, most with rows: %', wrong, found > 75;
END $$;

DROP TABLE readings, tag_types, large_oids, changing, machines, parted;
DROP FUNCTION same_rows, both_ways;
DROP TYPE state;
DROP DOMAIN site;
DROP COLLATION planner_ignore_case;
