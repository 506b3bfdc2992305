-- A small table is small; and a file is as long as its rows need, although the directory grew when it was longer.
SET timezone = 'UTC';
CREATE TABLE small (name text, time timestamptz, value float8) USING tag WITH (historian.compact = off);
CREATE TABLE as_heap (name text, time timestamptz, value float8) USING heap;
CREATE FUNCTION add_rows(from_row int, to_row int) RETURNS void LANGUAGE sql AS $$
    INSERT INTO as_heap SELECT 'tag' || i % 10, timestamptz '2026-01-01 00:00+00' + i * interval '1 s', i FROM generate_series(from_row, to_row) AS i;
    INSERT INTO small SELECT 'tag' || i % 10, timestamptz '2026-01-01 00:00+00' + i * interval '1 s', i FROM generate_series(from_row, to_row) AS i
$$;
CREATE FUNCTION state(OUT pages bigint, OUT checked text, OUT missing bigint, OUT wrong bigint) LANGUAGE sql AS $$
    SELECT pg_table_size('small') / 8192, historian_check('small'), (SELECT count(*) FROM (TABLE as_heap EXCEPT ALL TABLE small) AS m),
        (SELECT count(*) FROM (TABLE small EXCEPT ALL TABLE as_heap) AS w)
$$;
SELECT add_rows(1, 1000);
CALL compact('small');
SELECT * FROM state();
-- single rows: the tail grows
INSERT INTO small VALUES ('one', '2026-02-01 00:00+00', 1);
INSERT INTO as_heap VALUES ('one', '2026-02-01 00:00+00', 1);
SELECT checked, missing, wrong FROM state();
SELECT add_rows(1001, 3000);
SELECT checked, missing, wrong FROM state();
-- nothing goes while the tail is in use
VACUUM small;
SELECT checked, missing, wrong FROM state();
CALL compact('small');
SELECT * FROM state();
-- many times over, with rows deleted, with segments left apart
DO $$
BEGIN
    FOR round IN 1 .. 40 LOOP
        PERFORM add_rows(3000 + round * 20, 3019 + round * 20);
        IF round % 3 = 0 THEN
            DELETE FROM small WHERE value = 3000 + round;
            DELETE FROM as_heap WHERE value = 3000 + round;
        END IF;
    END LOOP;
END $$;
CALL compact('small');
SELECT * FROM state();
-- rolled back
BEGIN;
SELECT add_rows(5000, 9000);
ROLLBACK;
CALL compact('small');
SELECT * FROM state();
-- many entries: the directory grows, behind all rows that were there; most rows go, and the directory moves down
CREATE TABLE many (name text, time timestamptz, v int) USING tag WITH (historian.compact = off);
SET historian.debug_segment_rows = 1000;
\copy many FROM PROGRAM 'awk ''BEGIN { OFS = "\t"; for (i = 0; i < 100000; i++) print "x", sprintf("2026-03-%02d %02d:%02d:%02d+00", 1 + i / 86400, i / 3600 % 24, i / 60 % 60, i % 60), i * 7919 % 104729 }'''
SELECT count(*), pg_table_size('many') / 8192 AS pages FROM historian_segments('many');
SELECT delete_before('many', '2026-03-02 03:00+00') > 0 AS deleted;
CREATE TABLE many_as_heap USING heap AS TABLE many;
CALL compact('many');
CREATE FUNCTION state_of_many(OUT segments bigint, OUT pages bigint, OUT other_pages bigint, OUT checked boolean, OUT missing bigint, OUT wrong bigint) LANGUAGE sql AS $$
    SELECT segment_count, total_bytes / 8192, (total_bytes - segment_bytes) / 8192, historian_check('many') IS NOT NULL,
        (SELECT count(*) FROM (TABLE many_as_heap EXCEPT ALL TABLE many) AS m), (SELECT count(*) FROM (TABLE many EXCEPT ALL TABLE many_as_heap) AS w)
    FROM historian_size('many')
$$;
SELECT * FROM state_of_many();
-- entries that were used long ago are used again, on pages that moved, and further ones
SET historian.debug_segment_rows = 500;
\copy many FROM PROGRAM 'awk ''BEGIN { OFS = "\t"; for (i = 0; i < 100000; i++) print "y", sprintf("2026-04-%02d %02d:%02d:%02d+00", 1 + i / 86400, i / 3600 % 24, i / 60 % 60, i % 60), i * 7919 % 104729 }'''
INSERT INTO many_as_heap SELECT * FROM many WHERE name = 'y';
SELECT count(*) > 180 AS many FROM historian_segments('many');
SELECT checked, missing, wrong FROM state_of_many();
SELECT delete_before('many', '2026-04-02 03:00+00') > 0 AS deleted;
DELETE FROM many_as_heap WHERE time < '2026-04-02 03:00+00';
RESET historian.debug_segment_rows;
CALL compact('many');
SELECT * FROM state_of_many();
DROP FUNCTION state_of_many;
DROP TABLE many, many_as_heap;
TRUNCATE small, as_heap;
SELECT add_rows(1, 100);
CALL compact('small');
SELECT * FROM state();
DROP TABLE small, as_heap;
DROP FUNCTION add_rows, state;
