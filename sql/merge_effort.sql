-- historian.merge_effort = high: the same rows in fewer bytes; once packed so, a segment stays so, and is not packed again.
SET timezone = 'UTC';
CREATE TABLE points (name text, time timestamptz, value float8, note text) USING tag WITH (historian.compact = off);
INSERT INTO points SELECT 'tag' || i % 5, timestamptz '2026-01-01 00:00+00' + i * interval '1 s',
        round((20 + 5 * sin(i / 3000.0) + 0.2 * sin(i * 7919.0) + 0.02 * (i * 7919 % 13))::numeric, 2), 'note ' || md5((i % 500)::text)
    FROM generate_series(1, 40000) AS i;
CREATE TABLE as_heap USING heap AS TABLE points;
CREATE FUNCTION is_whole() RETURNS boolean LANGUAGE sql AS $$
    SELECT NOT EXISTS (TABLE points EXCEPT ALL TABLE as_heap) AND NOT EXISTS (TABLE as_heap EXCEPT ALL TABLE points)
        AND historian_check('points') IS NOT NULL
$$;
SHOW historian.merge_effort;
CALL compact('points');
SELECT encoded_bytes AS normal_bytes, rows_rewritten AS normal_rewritten FROM historian_size('points') \gset
SELECT is_whole();

-- what lies there packed with normal effort is packed anew, once
SET historian.merge_effort = high;
CALL compact('points');
SELECT encoded_bytes < :normal_bytes AS smaller, rows_rewritten > :normal_rewritten AS rewritten FROM historian_size('points');
SELECT is_whole();
SELECT encoded_bytes AS high_bytes, rows_rewritten AS high_rewritten FROM historian_size('points') \gset
CALL compact('points');
SELECT encoded_bytes = :high_bytes AS unchanged, rows_rewritten = :high_rewritten AS "nothing rewritten" FROM historian_size('points');

-- with normal effort again it stays as it is, also when rows are deleted from it and it is written again
RESET historian.merge_effort;
CALL compact('points');
SELECT encoded_bytes = :high_bytes AS unchanged, rows_rewritten = :high_rewritten AS "nothing rewritten" FROM historian_size('points');
DELETE FROM points WHERE name = 'tag3' AND value > 20;
DELETE FROM as_heap WHERE name = 'tag3' AND value > 20;
CALL compact('points');
SELECT is_whole();
SELECT rows_rewritten > :high_rewritten AS rewritten, rows_rewritten AS shed_rewritten FROM historian_size('points') \gset
SET historian.merge_effort = high;
CALL compact('points');
SELECT :'rewritten' AS rewritten, rows_rewritten = :shed_rewritten AS "was still packed hard" FROM historian_size('points');

-- new rows join
INSERT INTO points SELECT 'tag' || i % 5, timestamptz '2026-01-02 00:00+00' + i * interval '1 s', i % 100 / 10.0, NULL FROM generate_series(1, 1000) AS i;
INSERT INTO as_heap SELECT 'tag' || i % 5, timestamptz '2026-01-02 00:00+00' + i * interval '1 s', i % 100 / 10.0, NULL FROM generate_series(1, 1000) AS i;
CALL compact('points');
SELECT is_whole();
SELECT rows_rewritten AS joined_rewritten FROM historian_size('points') \gset
CALL compact('points');
SELECT rows_rewritten = :joined_rewritten AS "nothing rewritten" FROM historian_size('points');

-- log tables, whose messages have templates
CREATE TABLE records (host text, msg text) USING log WITH (historian.compact = off);
INSERT INTO records SELECT 'host' || i % 3, 'session ' || i % 50 || ' of user ' || md5((i % 40)::text) || ' opened' FROM generate_series(1, 20000) AS i;
CREATE TABLE records_as_heap USING heap AS TABLE records;
RESET historian.merge_effort;
CALL compact('records');
SELECT encoded_bytes AS normal_bytes FROM historian_size('records') \gset
SET historian.merge_effort = high;
CALL compact('records');
SELECT encoded_bytes < :normal_bytes AS smaller FROM historian_size('records');
SELECT count(*) FROM (TABLE records EXCEPT ALL TABLE records_as_heap) AS missing;
SELECT count(*) = (SELECT count(*) FROM records_as_heap WHERE msg LIKE 'session 7 of%') AS found FROM records WHERE msg @@ search('session 7');
SET historian.merge_effort = most;
DROP TABLE points, as_heap, records, records_as_heap;
DROP FUNCTION is_whole;
