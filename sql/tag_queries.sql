-- tags(), tag_stat() and latest(): next to plain SQL on a heap table, fresh, sealed and deleted from; rights, names and refusals.
\set SHOW_CONTEXT never
\pset null '-'
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, YMD';

SELECT setseed(0.5);
CREATE TABLE plain AS SELECT CASE WHEN g < 29 THEN 'tag' || g END AS name, timestamptz '2026-01-01' + i * interval '1 s' AS time,
        CASE WHEN random() < 0.9 THEN random() * 100 END AS value, (random() * 1000)::int AS number, 'text' AS message
    FROM (SELECT i, (random() * 30)::int AS g FROM generate_series(1, 20000) AS i) AS q;
CREATE TABLE sensor (name text, time timestamptz, message text, value double precision, number int) USING tag;
INSERT INTO sensor SELECT name, time, message, value, number FROM plain ORDER BY random();
-- rows without a time
INSERT INTO sensor VALUES ('tag1', NULL, '', 1000, 0), ('timeless', NULL, '', 5, 0), ('valueless', '2026-01-01', '', NULL, 0);
INSERT INTO plain VALUES ('tag1', NULL, 1000, 0), ('timeless', NULL, 5, 0), ('valueless', '2026-01-01', NULL, 0);

CREATE VIEW slow_stat AS SELECT name, count(*), count(value) AS values, min(time) AS first_time, max(time) AS last_time,
        (array_agg(value ORDER BY time) FILTER (WHERE time IS NOT NULL))[1] AS first_value, (array_agg(value ORDER BY time DESC) FILTER (WHERE time IS NOT NULL))[1] AS last_value,
        min(value), (array_agg(time ORDER BY value) FILTER (WHERE value IS NOT NULL))[1] AS min_time,
        max(value), (array_agg(time ORDER BY value DESC) FILTER (WHERE value IS NOT NULL))[1] AS max_time, round(sum(value)::numeric, 6) AS sum, round(avg(value)::numeric, 6) AS avg
    FROM plain GROUP BY name;
CREATE VIEW stat AS SELECT tag, row_count, value_count, first_time, last_time, first_value, last_value, min_value, min_time, max_value, max_time,
        round(sum_value::numeric, 6) AS sum, round(avg_value::numeric, 6) AS avg FROM tag_stat('sensor');
CREATE VIEW slow_latest AS SELECT DISTINCT ON (name) name, time, value FROM plain WHERE time IS NOT NULL ORDER BY name, time DESC;
CREATE FUNCTION differences(OUT tags bigint, OUT rows bigint, OUT stat bigint, OUT latest bigint, OUT names bigint) LANGUAGE sql AS $$
    SELECT (SELECT count(*) FROM tags('sensor')), (SELECT count(*) FROM plain),
        (SELECT count(*) FROM ((TABLE slow_stat EXCEPT ALL TABLE stat) UNION ALL (TABLE stat EXCEPT ALL TABLE slow_stat)) AS d),
        (SELECT count(*) FROM ((TABLE slow_latest EXCEPT ALL SELECT * FROM latest('sensor')) UNION ALL (SELECT * FROM latest('sensor') EXCEPT ALL TABLE slow_latest)) AS d),
        (SELECT count(*) FROM ((SELECT DISTINCT name FROM plain EXCEPT ALL SELECT * FROM tags('sensor')) UNION ALL (SELECT * FROM tags('sensor') EXCEPT ALL SELECT DISTINCT name FROM plain)) AS d)
$$;
SELECT * FROM differences();
CALL compact('sensor');
SELECT * FROM differences();
INSERT INTO sensor SELECT 'tag7', '2026-02-01', '', 7, 7;
INSERT INTO plain SELECT 'tag7', '2026-02-01', 7, 7;
SELECT * FROM differences();
-- exact after DELETE, in the same transaction and for its own rows too
DELETE FROM sensor WHERE time > '2026-01-01 05:00' OR value > 90 OR name = 'tag3';
DELETE FROM plain WHERE time > '2026-01-01 05:00' OR value > 90 OR name = 'tag3';
SELECT * FROM differences();
BEGIN;
DELETE FROM sensor WHERE time > '2026-01-01 04:00';
SELECT max(last_time) < '2026-01-01 04:00:01' AS own_deletes FROM tag_stat('sensor');
INSERT INTO sensor VALUES ('tag5', '2026-03-01', '', 5, 5);
SELECT * FROM latest('sensor', '{tag5}');
ROLLBACK;
SELECT * FROM differences();

-- in order of the tag; some tags only; another column; in expressions
SELECT array_agg(tag) FROM (SELECT tag FROM tags('sensor') WHERE tag LIKE 'tag1%' OR tag IS NULL) AS t;
SELECT tags('sensor') LIMIT 2;
SELECT tag FROM latest('sensor', names => '{tag2,missing,tag1,tag2,NULL}');
SELECT tag, row_count = (SELECT count(*) FROM plain WHERE name = tag) AS rows, max_value = (SELECT max(number) FROM plain WHERE name = tag) AS max
    FROM tag_stat('sensor', '{tag1,tag2}', value_column => 'number');
SELECT tag, value = (SELECT number FROM plain WHERE name = 'tag9' ORDER BY time DESC NULLS LAST LIMIT 1) AS number FROM latest('sensor', '{tag9}', 'number');
SELECT * FROM tag_stat('sensor', '{timeless,valueless}');
SELECT count(*) FROM latest('sensor', '{}');
SELECT n.name, l.tag FROM (VALUES ('tag1'), ('tag2')) AS n (name), latest('sensor', array[n.name]) AS l;

-- empty tables, tags and times of other types, and names that want quotes
CREATE SCHEMA "My ""Schema";
CREATE TABLE "My ""Schema"."select" ("Ti""me" timestamp, "group" int, "The Value" numeric, "drop" float4, "Order" bigint) USING tag;
SELECT * FROM tags('"My ""Schema"."select"');
SELECT * FROM tag_stat('"My ""Schema"."select"');
SELECT * FROM latest('"My ""Schema"."select"');
INSERT INTO "My ""Schema"."select" VALUES ('2026-01-01', 10, 1.5, 1, 5), ('2026-01-02', 9, 'NaN', 2, 6), ('2026-01-03', 9, 2.5, 3, 7);
SELECT * FROM tags('"My ""Schema"."select"');
SELECT * FROM tag_stat('"My ""Schema"."select"');
SELECT * FROM latest('"My ""Schema"."select"', '{9}', value_column => 'drop');
SELECT * FROM latest('"My ""Schema"."select"', '{nine}');
SET TimeZone = 'Asia/Seoul';
SELECT * FROM latest('"My ""Schema"."select"', value_column => 'Order');
SET TimeZone = 'UTC';
CREATE TYPE hall AS ENUM ('south', 'north');
CREATE DOMAIN level AS int;
CREATE TABLE halls (h hall, at timestamptz, l level) USING tag;
INSERT INTO halls VALUES ('north', '2026-01-01', 1), ('south', '2026-01-01', 2);
SELECT * FROM latest('halls');
SELECT * FROM latest('halls', '{north}');
CREATE TABLE padded (c char(5), at timestamptz, v smallint) USING tag;
INSERT INTO padded VALUES ('abc', '2026-01-01', 1), ('b', '2026-01-01', 2);
SELECT * FROM latest('padded', '{abc,b}');
SELECT * FROM gapfill('padded', '1 day', '2026-01-01', '2026-01-02', '{abc,b,c}');
CREATE TABLE several (c varchar(10)[], at timestamptz, v smallint) USING tag;
INSERT INTO several VALUES ('{a,b}', '2026-01-01', 1);
SELECT * FROM latest('several');
DROP TABLE halls, padded, several;
DROP TYPE hall;
DROP DOMAIN level;

-- partitioned tables: when all partitions are tag tables
CREATE TABLE parts (name text, time timestamptz, value double precision) PARTITION BY RANGE (time);
SELECT * FROM tags('parts');
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (MINVALUE) TO ('2026-01-02') USING tag;
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM ('2026-01-02') TO (MAXVALUE) USING tag;
INSERT INTO parts VALUES ('a', '2026-01-01', 1), ('a', '2026-01-03', 2), ('b', '2026-01-01', 3);
SELECT * FROM tags('parts');
SELECT tag, row_count, first_value, last_value FROM tag_stat('parts');
SELECT * FROM latest('parts');
SELECT * FROM latest('parts_1');
ALTER TABLE parts DETACH PARTITION parts_2;
CREATE TABLE parts_3 PARTITION OF parts FOR VALUES FROM ('2026-01-02') TO (MAXVALUE) USING heap;
SELECT * FROM latest('parts');
DROP TABLE parts, parts_2;

-- what is refused
CREATE TABLE words (name text, time timestamptz, word text) USING tag;
INSERT INTO words VALUES ('a', '2026-01-01', 'x');
SELECT * FROM tags('words');
SELECT * FROM tag_stat('words');
SELECT * FROM latest('words');
SELECT * FROM latest('words', value_column => 'word');
SELECT * FROM latest('words', value_column => 'missing');
SELECT * FROM latest('words', value_column => 'time');
SELECT * FROM latest('plain');
SELECT * FROM tag_stat('slow_stat');
SELECT * FROM tags('pg_class_oid_index');
CREATE TABLE records (v int) USING log;
SELECT * FROM tag_stat('records');
DROP TABLE records, words;
SELECT * FROM latest(NULL);
SELECT * FROM tag_stat(NULL);
SELECT * FROM tags(NULL);
SELECT * FROM tags('missing');

-- the SQLSTATE of refusals, here and of the other functions for time series
CREATE FUNCTION sqlstate_of(query text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'SELECT ' || query;
    RETURN 'none';
EXCEPTION WHEN others THEN
    RETURN SQLSTATE;
END $$;
SELECT sqlstate_of(q), q FROM unnest(array[$$tags('plain')$$, $$latest('sensor', value_column => 'missing')$$, $$latest('sensor', value_column => 'message')$$, $$latest(NULL)$$,
    $$gapfill('sensor', '1 day', '2026-01-01', NULL)$$, $$gapfill('sensor', '1 day', '2026-01-01', '2026-01-02', fill => 'x')$$, $$time_bucket('0', now())$$, $$time_bucket('1 month 1 day', now())$$,
    $$time_bucket('1 hour', date 'today')$$, $$time_bucket('1 day', now(), 'KST')$$, $$time_bucket('1 day', now(), timestamptz 'infinity')$$, $$time_bucket(0, 1)$$, $$time_bucket(10, -2147483648)$$,
    $$time_bucket('1 month', timestamptz '4714-11-24 00:00+00 BC')$$, $$time_buckets('1 day', 'infinity', now())$$, $$first(1, '{}'::json)$$, $$interpolate(1, now())$$,
    $$interpolate(NULLIF(i, 2), (array[1, 5, 3])[i]) OVER (ORDER BY i) FROM generate_series(1, 3) AS i$$, $$lttb(now(), 1, 1)$$, $$time_weighted_avg(1, now(), 'x')$$, $$time_weighted_avg(1, 'infinity'::timestamptz)$$,
    $$time_weighted_avg(1.7e308, now() + i * interval '1 day') FROM generate_series(1, 2) AS i$$]) AS q;
DROP FUNCTION sqlstate_of;

-- the caller's rights, and row-level security
CREATE ROLE regress_reader;
SET ROLE regress_reader;
SELECT * FROM tags('sensor');
SELECT * FROM latest('sensor');
RESET ROLE;
GRANT SELECT (name, time) ON sensor TO regress_reader;
SET ROLE regress_reader;
SELECT count(*) FROM tags('sensor');
SELECT * FROM latest('sensor');
RESET ROLE;
GRANT SELECT ON sensor TO regress_reader;
ALTER TABLE sensor ENABLE ROW LEVEL SECURITY;
CREATE POLICY two ON sensor TO regress_reader USING (name IN ('tag1', 'tag2'));
SET ROLE regress_reader;
SELECT * FROM tags('sensor');
SELECT tag FROM latest('sensor');
SELECT tag FROM tag_stat('sensor', '{tag2,tag4}');
SELECT DISTINCT tag FROM gapfill('sensor', '1 hour', '2026-01-01', '2026-01-02');
RESET ROLE;
-- no search_path changes what is asked: operators and functions of the same names do not count
CREATE SCHEMA evil;
CREATE FUNCTION evil.first(float8, timestamptz) RETURNS float8 LANGUAGE sql AS 'SELECT 666';
CREATE FUNCTION evil.no(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT false';
CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.no);
SET search_path = evil, pg_catalog;
SELECT count(*) FROM public.latest('public.sensor', '{tag1}');
SELECT count(*), sum(first_value) < 600 AS own FROM public.tag_stat('public.sensor', '{tag1}');
RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA evil, "My ""Schema" CASCADE;
RESET client_min_messages;
DROP FUNCTION differences;
DROP VIEW slow_stat, stat, slow_latest;
DROP TABLE sensor, plain;
DROP ROLE regress_reader;
