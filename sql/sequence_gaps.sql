-- sequence_gaps(): next to slow SQL on a heap table; numbers that are missing, come late, come twice, begin again.
\set SHOW_CONTEXT never
\pset null '-'
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, YMD';

-- in words
CREATE TABLE meter (name text, time timestamptz, value double precision, sequence bigint) USING tag;
INSERT INTO meter SELECT name, timestamptz '2026-01-01' + s * interval '1 s', 0, n FROM (VALUES
    ('a', 1, 1), ('a', 2, 2), ('a', 3, 5), ('a', 4, 6), ('a', 5, 9), ('b', 1, 7), ('b', 2, 8), ('b', 2, 8), ('b', 3, 9), ('b', 3, 9), ('b', 4, 1), ('b', 5, 2),
    ('c', 1, 1), ('c', 2, 2), (NULL, 1, 1), (NULL, 2, 3), ('without numbers', 1, NULL), ('without numbers', 2, NULL), ('timeless', NULL, 1), ('timeless', NULL, 7)) AS v (name, s, n);
SELECT * FROM sequence_gaps('meter');
-- from and to, of some tags; the first number begins the count
SELECT * FROM sequence_gaps('meter', from_ => '2026-01-01 00:00:03', to_ => '2026-01-01 00:00:05');
SELECT * FROM sequence_gaps('meter', names => '{b,missing}');
SELECT tag, sum(missing) AS missing, count(*) FILTER (WHERE kind = 'restart') AS restarts, sum(duplicates) AS duplicates FROM sequence_gaps('meter') GROUP BY tag ORDER BY tag;

-- numbers that come late, or again with a time of their own: reordered says how late
CREATE TABLE arrivals (number int, device text) USING log;
INSERT INTO arrivals (_arrival_time, number) SELECT timestamptz '2026-01-01' + o * interval '1 s', n
    FROM unnest('{3,1,2,4,5,9,7,8,10,9,10,20,14,12,13,21,1,2,3}'::int[]) WITH ORDINALITY AS u (n, o);
SELECT * FROM sequence_gaps('arrivals', 'number', reordered => 8);
SELECT kind, count(*), sum(missing) AS missing FROM sequence_gaps('arrivals', 'number') GROUP BY kind ORDER BY kind;
-- a hole is cut in two, and from either end
TRUNCATE arrivals;
INSERT INTO arrivals (_arrival_time, number) SELECT timestamptz '2026-01-01' + o * interval '1 s', n FROM unnest('{1,10,5,2,9,4,6,11}'::int[]) WITH ORDINALITY AS u (n, o);
SELECT * FROM sequence_gaps('arrivals', 'number', reordered => 10);
-- the ends of bigint
CREATE TABLE wide (t timestamptz, n bigint);
INSERT INTO wide VALUES ('2026-01-01', 9223372036854775806), ('2026-01-02', 9223372036854775807), ('2026-01-03', -9223372036854775808), ('2026-01-04', -9223372036854775806), ('2026-01-05', 0);
SELECT * FROM sequence_gaps('wide', 'n');
SELECT * FROM sequence_gaps('wide', 'n', reordered => 9223372036854775807);
INSERT INTO wide VALUES ('2026-01-06', 9223372036854775807);
SELECT kind, previous, next, missing FROM sequence_gaps('wide', 'n', from_ => '2026-01-05');
DELETE FROM wide WHERE n = 0;
SELECT * FROM sequence_gaps('wide', 'n');

-- against slow SQL: numbers dropped, doubled, beginning again, in order of time
SELECT setseed(0.75);
CREATE TABLE plain AS SELECT 'tag' || g AS name, timestamptz '2026-01-01' + i * interval '1 s' + run * interval '1 hour' AS time, 0::float8 AS value, i AS sequence
    FROM generate_series(1, 20) AS g, generate_series(0, (g % 4)) AS run, generate_series(1, 500) AS i, generate_series(1, CASE WHEN random() < 0.05 + 0 * i THEN 3 ELSE 1 END)
    WHERE random() < 0.9;
INSERT INTO plain SELECT 'tag' || g, timestamptz '2026-01-05' + i * interval '1 s', 0, (random() * 10)::int FROM generate_series(1, 3) AS g, generate_series(1, 200) AS i;
CREATE TABLE sensor (name text, time timestamptz, value double precision, sequence int) USING tag;
INSERT INTO sensor SELECT * FROM plain ORDER BY random();
CREATE VIEW slow AS WITH steps AS (
    SELECT name, time, sequence, lag(sequence) OVER w AS previous, lag(time) OVER w AS time_before FROM plain WINDOW w AS (PARTITION BY name ORDER BY time, sequence))
    SELECT name AS tag, CASE WHEN sequence > previous THEN 'missing' ELSE 'restart' END AS kind, previous::bigint, sequence::bigint AS next,
        CASE WHEN sequence > previous THEN sequence - previous - 1 END::bigint AS missing, NULL::bigint AS duplicates, time_before, time AS time_after
    FROM steps WHERE sequence > previous + 1 OR sequence < previous
    UNION ALL SELECT name, 'duplicates', NULL, NULL, NULL, count(*), min(time), max(time) FROM steps WHERE sequence = previous GROUP BY name;
CREATE VIEW differences AS SELECT (SELECT count(*) FROM slow) AS rows, (SELECT count(*) FROM (
    (SELECT * FROM sequence_gaps('sensor') EXCEPT ALL TABLE slow) UNION ALL (TABLE slow EXCEPT ALL SELECT * FROM sequence_gaps('sensor'))) AS d) AS differences,
    (SELECT count(*) FROM ((SELECT * FROM sequence_gaps('plain') EXCEPT ALL TABLE slow) UNION ALL (TABLE slow EXCEPT ALL SELECT * FROM sequence_gaps('plain'))) AS d) AS on_heap;
SELECT * FROM differences;
CALL compact('sensor');
SELECT * FROM differences;
DELETE FROM sensor WHERE sequence % 7 = 0;
DELETE FROM plain WHERE sequence % 7 = 0;
SELECT * FROM differences;

-- against slow SQL: numbers that come up to twenty places too late
CREATE TABLE shuffled AS SELECT 'tag' || g AS name, run, i + 1000 AS sequence, timestamptz '2026-01-01' + (i + random() * 20) * interval '1 s' + run * interval '1 hour' AS time
    FROM generate_series(1, 20) AS g, generate_series(1, 3) AS run, generate_series(1, 500) AS i, generate_series(1, CASE WHEN random() < 0.05 + 0 * i THEN 2 ELSE 1 END) WHERE random() < 0.9;
CREATE TABLE late (device text, sent timestamptz, n int, _arrival_time timestamptz) USING log;
INSERT INTO late SELECT name, time, sequence, time FROM shuffled ORDER BY time;
WITH slow AS (
    SELECT name, sequence - missing - 1 AS previous, sequence AS next, missing FROM (
        SELECT name, sequence, sequence - lag(sequence) OVER (PARTITION BY name, run ORDER BY sequence) - 1 AS missing FROM (SELECT DISTINCT name, run, sequence FROM shuffled) AS d) AS q WHERE missing > 0),
ours AS (SELECT tag, previous, next, missing FROM sequence_gaps('late', 'n', 'device', reordered => 50) WHERE kind = 'missing')
SELECT (SELECT count(*) FROM slow) AS rows, (SELECT count(*) FROM ((TABLE slow EXCEPT ALL TABLE ours) UNION ALL (TABLE ours EXCEPT ALL TABLE slow)) AS d) AS differences;
WITH slow AS (SELECT name, count(*) - count(DISTINCT (run, sequence)) AS duplicates FROM shuffled GROUP BY name HAVING count(*) > count(DISTINCT (run, sequence))),
ours AS (SELECT tag, duplicates FROM sequence_gaps('late', 'n', 'device', reordered => 50, time_column => 'sent') WHERE kind = 'duplicates')
SELECT (SELECT sum(duplicates) > 0 FROM slow) AS some, (SELECT count(*) FROM ((TABLE slow EXCEPT ALL TABLE ours) UNION ALL (TABLE ours EXCEPT ALL TABLE slow)) AS d) AS differences;
SELECT count(*) AS restarts FROM sequence_gaps('late', 'n', 'device', reordered => 50) WHERE kind = 'restart';

-- tags of other types, views, no tag; equal tags that are written differently are one
CREATE VIEW several AS SELECT * FROM (VALUES (1.0, timestamp '2026-01-01', 1::smallint), (1.00, timestamp '2026-01-02', 3::smallint), (2, timestamp '2026-01-02', 1::smallint)) AS v (tag, at, seq);
SELECT * FROM sequence_gaps('several', 'seq');
SELECT * FROM sequence_gaps('several', 'seq', names => '{2,3}');
SELECT * FROM sequence_gaps('several', 'seq', key => 'at', time_column => 'at');
CREATE TABLE lone (n int, at timestamptz);
INSERT INTO lone VALUES (1, '2026-01-01'), (3, '2026-01-02');
SELECT * FROM sequence_gaps('lone', 'n');

-- Of a partitioned table of log tables the columns are those of a log table.
CREATE TABLE parts (message text, sequence bigint, _arrival_time timestamptz NOT NULL) PARTITION BY RANGE (_arrival_time);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (MINVALUE) TO ('2026-01-02') USING log;
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM ('2026-01-02') TO (MAXVALUE) USING log;
INSERT INTO parts VALUES ('a', 1, '2026-01-01'), ('b', 2, '2026-01-01 01:00'), ('c', 5, '2026-01-03');
SELECT * FROM sequence_gaps('parts');
DROP TABLE parts;

-- what is refused
SELECT * FROM sequence_gaps('lone');
SELECT * FROM sequence_gaps('lone', 'n', names => '{a}');
SELECT * FROM sequence_gaps('lone', 'at');
SELECT * FROM sequence_gaps('lone', 'n', 'missing');
SELECT * FROM sequence_gaps('lone', 'n', time_column => 'n');
SELECT * FROM sequence_gaps('lone', 'n', reordered => -1);
SELECT * FROM sequence_gaps(NULL);
SELECT * FROM sequence_gaps('lone', NULL);
ALTER TABLE lone DROP COLUMN at;
SELECT * FROM sequence_gaps('lone', 'n');
CREATE ROLE regress_watcher;
SET ROLE regress_watcher;
SELECT * FROM sequence_gaps('sensor');
RESET ROLE;
DROP ROLE regress_watcher;
DROP VIEW several, differences, slow;
DROP TABLE meter, arrivals, wide, plain, sensor, shuffled, late, lone;
