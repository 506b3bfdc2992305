-- Row estimates of HistorianScan on a table that was never analyzed: from the directory, the segments' indexes and the tail's pages.
SET timezone = 'UTC';
SET historian.debug_segment_rows = 20000;
CREATE TABLE points (name text, time timestamptz, value float8) USING tag;
-- One tag in ten has half of the points. An hour of them is in the tail.
\copy points FROM PROGRAM 'awk ''BEGIN { OFS = "\t"; for (g = 0; g < 86400; g++) print "tag_" (g % 2 ? g % 100 : g % 10), sprintf("2026-01-01 %02d:%02d:%02d+00", g / 3600, int(g / 60) % 60, g % 60), g % 1000 }'''
INSERT INTO points SELECT 'tag_' || CASE WHEN g % 2 = 1 THEN g % 100 ELSE g % 10 END, '2026-01-02'::timestamptz + g * interval '1 s', g FROM generate_series(0, 3599) g;
SELECT kind, count(*) FROM historian_segments('points') GROUP BY kind ORDER BY kind;

-- Whether the estimate is less than twice and more than half of the rows.
CREATE FUNCTION is_near(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    plan json;
    row_count float8;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
    EXECUTE 'SELECT count(*) FROM (' || query || ') q' INTO row_count;
    RETURN CASE WHEN greatest(row_count, 1) BETWEEN (plan->0->'Plan'->>'Plan Rows')::float8 / 2 AND (plan->0->'Plan'->>'Plan Rows')::float8 * 2 THEN 'near'
        ELSE format('%s rows, estimated %s', row_count, plan->0->'Plan'->>'Plan Rows') END;
END $$;
\pset format unaligned
\pset tuples_only on
SELECT is_near('SELECT * FROM points');
SELECT is_near($$SELECT * FROM points WHERE name = 'tag_2'$$);
SELECT is_near($$SELECT * FROM points WHERE name = 'tag_77'$$);
SELECT is_near($$SELECT * FROM points WHERE name = 'nobody'$$);
SELECT is_near($$SELECT * FROM points WHERE name = 'tag_2' AND time >= '2026-01-01 10:00' AND time < '2026-01-01 10:30'$$);
SELECT is_near($$SELECT * FROM points WHERE name = 'tag_77' AND time >= '2026-01-01 10:00' AND time < '2026-01-01 20:30'$$);
SELECT is_near($$SELECT * FROM points WHERE time >= '2026-01-01 10:00' AND time < '2026-01-01 10:30'$$);
SELECT is_near($$SELECT * FROM points WHERE time >= '2026-01-01 23:30' AND time < '2026-01-02 00:10'$$);
SELECT is_near($$SELECT * FROM points WHERE time > '2026-01-02 00:50'$$);
SELECT is_near($$SELECT * FROM points WHERE time > '2027-01-02'$$);
SELECT is_near($$SELECT * FROM points WHERE name = 'tag_2' AND time > '2026-01-02 00:30'$$);
SELECT is_near($$SELECT * FROM points WHERE name IN ('tag_2', 'tag_7', 'tag_51', 'tag_53')$$);
SELECT is_near($$SELECT * FROM points WHERE name LIKE 'tag\_1%'$$);
SELECT is_near($$SELECT * FROM points WHERE name LIKE 'tag\_1%' AND time < '2026-01-01 12:00'$$);
SELECT is_near($$SELECT DISTINCT ON (name) * FROM points ORDER BY name, time DESC$$);
-- A value that only execution knows stands for an average tag.
SELECT is_near($$SELECT * FROM (SELECT 'tag_5' AS wanted OFFSET 0) w, LATERAL (SELECT * FROM points p WHERE p.name = w.wanted OFFSET 0) p$$);
\pset format aligned
\pset tuples_only off
DROP TABLE points;
DROP FUNCTION is_near;
