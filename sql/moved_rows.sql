-- What must not happen to rows when they move.

-- A TID that was read before a seal finds nothing after it, nor when the run's pages are free.
CREATE TABLE points (name text, time timestamptz, value int) USING tag;
INSERT INTO points SELECT 'a', timestamptz '2026-01-01 00:00+00' + i * interval '1 s', i FROM generate_series(1, 10) i;
SELECT ctid AS old FROM points WHERE value = 7 \gset
SELECT value FROM points WHERE ctid = :'old';
CALL compact('points');
SELECT value FROM points WHERE ctid = :'old';
VACUUM points;
SELECT value FROM points WHERE ctid = :'old';

-- Segments that are full by bytes, long before they have many rows, are not merged again and again.
SET maintenance_work_mem = '1MB';
INSERT INTO points SELECT 'tag' || i % 10, timestamptz '2026-01-02 00:00+00' + i * interval '1 s', i FROM generate_series(11, 100000) i;
CALL compact('points');
SELECT count(*) > 2 AS several, sum(row_count) FROM historian_segments('points');
CREATE TEMP TABLE before AS SELECT slot, row_count FROM historian_segments('points');
CALL compact('points');
SELECT count(*) FROM ((SELECT slot, row_count FROM historian_segments('points') EXCEPT TABLE before)
    UNION ALL (TABLE before EXCEPT SELECT slot, row_count FROM historian_segments('points'))) difference;
RESET maintenance_work_mem;
SELECT count(*), count(DISTINCT value), sum(value) FROM points;

DROP TABLE points, before;
