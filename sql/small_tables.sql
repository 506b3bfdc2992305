-- A small table is small: what is spare of its directory goes with VACUUM or compact(), and comes back when it is needed.
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
-- single rows: the tail grows, and with it the directory
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
-- once an entry beyond the first page was used the directory stays, for its entries' generations
BEGIN;
SET LOCAL historian.debug_segment_rows = 16;
INSERT INTO small SELECT 'x', '2026-03-01 00:00+00'::timestamptz + i * interval '1 s', i FROM generate_series(1, 1000) AS i;
INSERT INTO as_heap SELECT 'x', '2026-03-01 00:00+00'::timestamptz + i * interval '1 s', i FROM generate_series(1, 1000) AS i;
COMMIT;
SET historian.debug_segment_rows = 16;
CALL compact('small');
RESET historian.debug_segment_rows;
CALL compact('small');
SELECT checked, missing, wrong FROM state();
TRUNCATE small, as_heap;
SELECT add_rows(1, 100);
CALL compact('small');
SELECT * FROM state();
DROP TABLE small, as_heap;
DROP FUNCTION add_rows, state;
