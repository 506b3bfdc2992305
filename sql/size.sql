-- historian_size: rows, the bytes of their values, and how much larger these are than the table's file.
\set SHOW_CONTEXT never
CREATE TABLE t (name text, time timestamptz, value float8, small int2, whole int4, big int8, good boolean, id uuid, note text, raw bytea)
    USING tag WITH (historian.compact = off);
CREATE FUNCTION sizes() RETURNS text LANGUAGE sql AS $$
    SELECT format('%s in the tail, %s sealed, %s rows, %s raw bytes', tail_rows, sealed_rows, row_count, raw_bytes) FROM historian_size('t')
$$;
SELECT sizes(), ratio FROM historian_size('t');

-- 4 + 8 + 8 + 2 + 4 + 8 + 1 + 16 + 3 + 2 bytes, 4 + 8, 8 + 0, and what no page keeps as it is: 1 + 8 + 6000
INSERT INTO t VALUES ('pump', '2026-01-01 00:00+00', 1.5, 1, 2, 3, true, md5('')::uuid, 'abc', '\x0102');
SELECT sizes();
INSERT INTO t VALUES ('pump', '2026-01-01 00:01+00');
INSERT INTO t (value, note) VALUES (2.5, '');
SELECT sizes();
INSERT INTO t (name, time, note) VALUES ('x', '2026-01-01 00:02+00', repeat('long ', 1200));
SELECT sizes();
-- a row that no page takes is a segment of its own: 1 + 8 + 50000
INSERT INTO t (name, time, note) VALUES ('y', '2026-01-01 00:02+00', repeat('large', 10000));
SELECT sizes();
CALL compact('t');
SELECT sizes();
SELECT raw_bytes = (SELECT sum(coalesce(octet_length(name), 0) + coalesce(pg_column_size(time), 0) + coalesce(pg_column_size(value), 0)
    + coalesce(pg_column_size(small), 0) + coalesce(pg_column_size(whole), 0) + coalesce(pg_column_size(big), 0)
    + coalesce(pg_column_size(good), 0) + coalesce(pg_column_size(id), 0) + coalesce(octet_length(note), 0)
    + coalesce(octet_length(raw), 0)) FROM t) AS as_counted_one_by_one FROM historian_size('t');

-- A row counts from its INSERT, unless that is rolled back, to the COMMIT of its DELETE.
BEGIN;
INSERT INTO t VALUES ('gone', '2026-01-01 00:00+00', 1);
INSERT INTO t (name, time, note) VALUES ('gone', '2026-01-01 00:00+00', repeat('large', 10000));
SELECT sizes();
ROLLBACK;
SELECT sizes();
INSERT INTO t (name, time, whole) SELECT 'tail', timestamptz '2026-02-01 00:00+00' + i * interval '1 s', i FROM generate_series(1, 10) AS i;
SELECT sizes();
BEGIN;
DELETE FROM t WHERE name IN ('pump', 'tail');
SELECT sizes();
ROLLBACK;
SELECT sizes();
-- A row deleted from the tail leaves at once, the bytes of one deleted from a segment when that is written again.
DELETE FROM t WHERE whole > 7;
SELECT sizes();
DELETE FROM t WHERE name = 'pump';
SELECT sizes();
CALL compact('t');
SELECT sizes();
SELECT historian_check('t') ~ '^1 segments .* 10 rows, 0 tail runs' AS checked;
DELETE FROM t;
CALL compact('t');
SELECT sizes(), ratio FROM historian_size('t');

-- A tag that is a number counts as that number, in the tail and in segments that are sealed, merged or loaded.
CREATE TABLE by_number (sensor int, at timestamptz, v "char") USING tag WITH (historian.compact = off);
INSERT INTO by_number SELECT i % 3, timestamptz '2026-01-01 00:00+00' + i * interval '1 s', 'c' FROM generate_series(1, 100) AS i;
INSERT INTO by_number VALUES (NULL, NULL, 'c');
SELECT tail_rows, row_count, raw_bytes FROM historian_size('by_number');
CALL compact('by_number');
SELECT tail_rows, row_count, raw_bytes FROM historian_size('by_number');
COPY by_number FROM PROGRAM 'seq 1 10000 | sed "s/.*/&\t2026-02-01 00:00+00\tc/"';
SELECT tail_rows, row_count, raw_bytes, segment_count FROM historian_size('by_number');
CALL compact('by_number');
SELECT tail_rows, row_count, raw_bytes, segment_count FROM historian_size('by_number');
SELECT historian_check('by_number') ~ '^1 segments .* 10101 rows' AS checked;

-- Values that are stored count: a new column's default when its rows are written again, a dropped column's values until then.
CREATE TABLE columns (name text, time timestamptz, v int) USING tag WITH (historian.compact = off);
INSERT INTO columns SELECT 'a', timestamptz '2026-01-01 00:00+00' + i * interval '1 s', i FROM generate_series(1, 100) AS i;
CALL compact('columns');
INSERT INTO columns VALUES ('b', '2026-01-01 00:00+00', 1);
SELECT tail_rows, row_count, raw_bytes FROM historian_size('columns');
ALTER TABLE columns ADD COLUMN quality int8 DEFAULT 7;
ALTER TABLE columns DROP COLUMN v;
SELECT tail_rows, row_count, raw_bytes FROM historian_size('columns');
SELECT historian_check('columns') ~ '^1 segments .* 1 tail runs with 1 rows' AS checked;
CALL compact('columns');
SELECT tail_rows, row_count, raw_bytes FROM historian_size('columns');
SELECT historian_check('columns') ~ '^1 segments .* 101 rows' AS checked;

-- Of 20 + 8 + 8 bytes a row little is left; total_bytes is the file's length.
CREATE TABLE many (name text, time timestamptz, value float8) USING tag WITH (historian.compact = off);
COPY many FROM PROGRAM 'seq 1 50000 | sed "s/.*/site0.line3.pressure\t2026-02-01 00:00+00\t20.25/"';
SELECT row_count, raw_bytes, ratio > 1 AS is_smaller, ratio = raw_bytes::float8 / total_bytes AS is_ratio,
    total_bytes = pg_relation_size('many') AS is_file FROM historian_size('many');
DROP TABLE t, by_number, columns, many;
DROP FUNCTION sizes;
