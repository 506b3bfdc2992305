-- Merging by tag: what ends up together, what apart, and that it comes to an end.
SET historian.debug_segment_rows = 1000;
SET timezone = 'UTC';
SET datestyle = 'ISO';
CREATE FUNCTION layers(regclass) RETURNS TABLE (level int, tags bigint, days numeric, segments bigint, points numeric) LANGUAGE sql AS $$
    SELECT level, max(tag_count), round(max(extract(epoch FROM time_max - time_min)) / 86400, 1), count(*), sum(row_count)
    FROM historian_segments($1) WHERE state = 'sealed' GROUP BY level, time_max - time_min > '2 days' ORDER BY 1, 3
$$;
CREATE TABLE t (name text, time timestamptz, v int) USING tag WITH (historian.compact = off);

-- one point in ten is up to a month late: those are parted from the rest, and each tag is in one segment of both
INSERT INTO t SELECT 'tag' || lpad((i % 100)::text, 2, '0'),
        timestamptz '2026-03-01 00:00+00' + i * interval '1 s' - (CASE WHEN i / 100 % 10 = 0 THEN i % 977 * interval '45 min' ELSE '0' END), i
    FROM generate_series(1, 20000) AS i;
CALL compact('t');
SELECT * FROM layers('t');
SELECT count(*), sum(v), count(DISTINCT v) FROM t;
SELECT count(*) AS opened FROM historian_segments('t')
    WHERE state = 'sealed' AND 'tag42' BETWEEN tag_first AND tag_last AND time_min <= '2026-03-01 02:00+00' AND time_max >= '2026-03-01 02:00+00';

-- more of the same: late points go to late ones
INSERT INTO t SELECT 'tag' || lpad((i % 100)::text, 2, '0'),
        timestamptz '2026-03-01 00:00+00' + i * interval '1 s' - (CASE WHEN i / 100 % 10 = 0 THEN i % 977 * interval '45 min' ELSE '0' END), i
    FROM generate_series(20001, 40000) AS i;
CALL compact('t');
SELECT * FROM layers('t');
SELECT count(*), sum(v), count(DISTINCT v) FROM t;
SELECT historian_check('t') ~ ' 40000 rows' AS whole;
SELECT rows_stored, rows_rewritten BETWEEN 40000 AND 5 * 40000 AS "rewritten a few times" FROM historian_size('t');

-- with nothing new there is nothing to do
SELECT array_agg(slot ORDER BY slot) AS before FROM historian_segments('t') WHERE state = 'sealed' \gset
CALL compact('t');
SELECT array_agg(slot ORDER BY slot) = :'before' AS unchanged FROM historian_segments('t') WHERE state = 'sealed';

-- a clock that is wrong, no time at all, both infinities
TRUNCATE t;
INSERT INTO t VALUES ('tag3', '2099-01-01 00:00+00', 4001), ('tag4', NULL, 4002), ('tag5', 'infinity', 4003), ('tag6', '-infinity', 4004),
    (NULL, '2026-03-01 00:30+00', 4005), (NULL, NULL, 4006);
INSERT INTO t SELECT 'tag' || i % 10, timestamptz '2026-03-01 00:00+00' + i * interval '1 s', i FROM generate_series(1, 4000) AS i;
CALL compact('t');
SELECT level, row_count, tag_count, time_min, time_max FROM historian_segments('t') WHERE state = 'sealed' ORDER BY time_min, tag_first;
SELECT count(*), sum(v) FROM t;
SELECT name, time, v FROM t WHERE v > 4000 ORDER BY v;
SELECT count(*) FROM t WHERE name = 'tag3' AND time BETWEEN '2026-03-01 00:00+00' AND '2026-03-01 00:10+00';

-- tags that cannot be told apart by what the directory keeps of them are merged once, not for ever
TRUNCATE t;
INSERT INTO t SELECT repeat('plant/', 20) || i % 50, timestamptz '2026-03-01 00:00+00' + i * interval '1 s', i FROM generate_series(1, 10000) AS i;
CALL compact('t');
CALL compact('t');
INSERT INTO t SELECT repeat('plant/', 20) || i % 50, timestamptz '2026-03-01 00:00+00' + i * interval '1 s', i FROM generate_series(10001, 20000) AS i;
CALL compact('t');
CALL compact('t');
SELECT level, count(*), sum(row_count) FROM historian_segments('t') WHERE state = 'sealed' GROUP BY level ORDER BY level;
SELECT count(*), sum(v) FROM t WHERE name = repeat('plant/', 20) || 7;

-- a tag with more rows than a segment: its segments are of disjoint times, and so are done with, however often compact() is called
TRUNCATE t;
INSERT INTO t SELECT CASE WHEN i % 5 = 0 THEN 'tag' || i % 7 ELSE 'tag1' END, timestamptz '2026-03-01 00:00+00' + i * 7919 % 6007 * interval '1 s', i
    FROM generate_series(1, 6000) AS i;
CALL compact('t');
INSERT INTO t SELECT CASE WHEN i % 5 = 0 THEN 'tag' || i % 7 ELSE 'tag1' END, timestamptz '2026-03-01 00:00+00' + i * 7919 % 6007 * interval '1 s', i
    FROM generate_series(6001, 9000) AS i;
CALL compact('t');
SELECT level <= 4 AS low, row_count, tag_count, time_min, time_max FROM historian_segments('t')
    WHERE state = 'sealed' AND tag_first = 'tag1' AND tag_last = 'tag1' ORDER BY time_min;
SELECT rows_rewritten <= 4 * 9000 AS "rewritten a few times" FROM historian_size('t');
SELECT array_agg(slot ORDER BY slot) AS before FROM historian_segments('t') WHERE state = 'sealed' \gset
CALL compact('t');
SELECT array_agg(slot ORDER BY slot) = :'before' AS unchanged FROM historian_segments('t') WHERE state = 'sealed';
SELECT count(*), sum(v) FROM t;

-- nor is there anything to gain from points of one tag and one time, or of none
TRUNCATE t;
INSERT INTO t SELECT 'tag', CASE WHEN i % 2 = 0 THEN timestamptz '2026-03-01 00:00+00' END, i FROM generate_series(1, 8000) AS i;
CALL compact('t');
SELECT max(level) AS level, sum(row_count) FROM historian_segments('t') WHERE state = 'sealed';

-- what deletions leave of many segments becomes few
TRUNCATE t;
INSERT INTO t SELECT 'tag' || i % 10, timestamptz '2026-03-01 00:00+00' + i * interval '1 s', i FROM generate_series(1, 10000) AS i;
CALL compact('t');
DELETE FROM t WHERE v % 50 <> 0;
CALL compact('t');
SELECT count(*), sum(row_count) FROM historian_segments('t') WHERE state = 'sealed';
SELECT count(*), sum(v) FROM t;
DROP TABLE t;
DROP FUNCTION layers;

-- A hole that is too small for the segments behind it: they move out of its way and back.
CREATE TABLE holes (name text, time timestamptz, value float8) USING tag;
SET historian.debug_segment_rows = 66000;
INSERT INTO holes SELECT 'a', timestamptz '2026-01-01 00:00+00' + i * interval '1 s', random()::float4 FROM generate_series(1, 66000) i;
INSERT INTO holes SELECT 'b', timestamptz '2026-01-01 00:00+00' + i * interval '1 s', random() FROM generate_series(1, 66000) i;
INSERT INTO holes SELECT 'c', timestamptz '2026-01-01 00:00+00' + i * interval '1 s', random() FROM generate_series(1, 66000) i;
SELECT sum(hashfloat8(value)) AS sum_before FROM holes WHERE name > 'a' \gset
SELECT sum(block_count) AS needed FROM historian_segments('holes') WHERE tag_first > 'a' \gset
DELETE FROM holes WHERE name = 'a';
CALL compact('holes');
SELECT count(*), bool_and(state = 'sealed'), max(first_block + block_count) <= :needed + 8 AS is_dense FROM historian_segments('holes');
SELECT pg_relation_size('holes') / 8192 <= :needed + 8 AS is_short, sum(hashfloat8(value)) = :sum_before AS is_same FROM holes;
SELECT historian_check('holes') IS NOT NULL AS is_sound;
RESET historian.debug_segment_rows;
DROP TABLE holes;

-- Loads in order stay as they are when each tag has a granule's rows in them; a tag that has fewer is brought together.
CREATE TABLE loads (name text, time timestamptz, value int) USING tag WITH (historian.compact = off);
SET historian.debug_segment_rows = 66500;
CREATE FUNCTION load(n int, rare int) RETURNS text LANGUAGE sql AS $$
    SELECT format('INSERT INTO loads SELECT CASE WHEN i > 66000 THEN ''rare'' ELSE ''busy'' || i %% 2 END,
        timestamptz ''2026-01-01 00:00+00'' + %s * interval ''1 day'' + i * interval ''1 s'', i FROM generate_series(1, 66000 + %s) AS i', n, rare) $$;
SELECT load(n, 0) FROM generate_series(1, 8) AS n \gexec
CALL compact('loads');
SELECT count(*), max(level) FROM historian_segments('loads');
SELECT rows_rewritten FROM historian_size('loads');
SELECT load(n, 500) FROM generate_series(11, 18) AS n \gexec
CALL compact('loads');
SELECT count(*) AS with_rare FROM historian_segments('loads') WHERE 'rare' <= tag_last COLLATE "C";
SELECT count(*), sum(value) FROM loads WHERE name = 'rare';
SELECT historian_check('loads') IS NOT NULL AS is_sound;
RESET historian.debug_segment_rows;
DROP FUNCTION load;
DROP TABLE loads;
