-- Conditions on columns of numbers: granules that their statistics exclude are not read, and rows are passed over before other
-- columns are decoded. A superset is read; every condition is checked.
\set ECHO none
\i sql/include/plan_of.sql
\set ECHO all
SET timezone = 'UTC';
SET max_parallel_workers_per_gather = 0;
SET jit = off;
CREATE TABLE levels (name text, time timestamptz, level float8, small float4, n int2, day date, at timestamptz, note text) USING tag;
-- Of each of four tags 5,000 points, whose level rises.
\copy levels FROM PROGRAM 'awk ''BEGIN { OFS = "\t"; for (g = 0; g < 20000; g++) print "tank_" g % 4, "2026-01-01 00:00:00+00", int(g / 4) / 10, g % 100 / 4, int(g / 4), "2026-01-0" 1 + int(g / 4 / 1000), "2026-02-01 00:00+00", "n" g % 7 }'''
INSERT INTO levels VALUES ('tank_1', '2026-01-02', 'NaN', 'NaN', -1, 'infinity', '-infinity', 'odd'),
    ('tank_2', '2026-01-02', '-0', 'Infinity', NULL, NULL, NULL, 'odd'), ('tank_3', '2026-01-02', '-Infinity', '-0', 32767, '-infinity', 'infinity', 'odd');
CALL compact('levels');
-- Added later: the segments have nothing of it.
ALTER TABLE levels ADD COLUMN later int DEFAULT 7;

SELECT plan_of($$SELECT name, note FROM levels WHERE level > 499.8 AND level < 1000$$);
SELECT plan_of($$SELECT name FROM levels WHERE n BETWEEN 100 AND 102 AND small = 0.5$$);
SELECT plan_of($$SELECT name FROM levels WHERE level = -5 OR n = 17$$);
SELECT plan_of($$SELECT name FROM levels WHERE level < -1000 AND level > '-Infinity'$$);

CREATE FUNCTION both_ways(condition text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
    answers text[];
    line text;
    plan text := '';
BEGIN
    FOREACH line IN ARRAY ARRAY['on', 'off'] LOOP
        PERFORM set_config('historian.enable_scan', line, true);
        EXECUTE 'SELECT count(*) || md5(coalesce(string_agg(l::text, '','' ORDER BY l::text), '''')) FROM levels l WHERE ' || condition INTO answer;
        answers := answers || answer;
    END LOOP;
    PERFORM set_config('historian.enable_scan', 'on', true);
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) SELECT FROM levels WHERE ' || condition LOOP
        IF line ~ 'Value Filter' THEN plan := plan || ' | ' || in_one_wording(trim(line)); END IF;
    END LOOP;
    RETURN CASE WHEN answers[1] = answers[2] THEN left(answer, length(answer) - 32) || ' rows' ELSE 'DIFFERENT' END || plan;
END $$;
\pset format unaligned
\pset tuples_only on
SELECT both_ways('level > 499');
SELECT both_ways('499 < level');
SELECT both_ways('level >= 0 AND level <= 0');
SELECT both_ways('level = 0');
SELECT both_ways('level < 0');
SELECT both_ways('level > -0.0::float8 AND level < 0.2');
SELECT both_ways($$level = 'NaN'$$);
SELECT both_ways($$level < 'NaN' AND n > 4990$$);
SELECT both_ways($$level >= 'NaN'$$);
SELECT both_ways($$level > 'Infinity'$$);
SELECT both_ways($$level <= '-Infinity'$$);
SELECT both_ways('level = 0.1::float4');
SELECT both_ways('small = 0.25');
SELECT both_ways('small > 24.74::float8');
SELECT both_ways('small = 0.1::float8');
SELECT both_ways($$small IN (0, 'Infinity', 'NaN')$$);
SELECT both_ways('n = 40000');
SELECT both_ways('n > 32766::bigint');
SELECT both_ways('n >= 32767 OR n < 0');
SELECT both_ways('n = ANY (ARRAY[1, 2, NULL, 3])');
SELECT both_ways('n = ANY (NULL::int2[])');
SELECT both_ways('n > NULL::int2');
SELECT both_ways('n <> 5 AND n < 9');
SELECT both_ways('n + 1 = 5');
SELECT both_ways('n = 5.5');
SELECT both_ways($$day = '2026-01-03' AND n > 2990$$);
SELECT both_ways($$day > '2026-01-05'$$);
SELECT both_ways($$day < timestamptz '2026-01-01'$$);
SELECT both_ways($$at > '2026-02-01'$$);
SELECT both_ways($$at <= '-infinity'$$);
SELECT both_ways('at IS NULL');
SELECT both_ways('later = 7 AND level > 499.8');
SELECT both_ways('later = 8');
SELECT both_ways('n = (SELECT 17)');
\pset format aligned
\pset tuples_only off

-- In order, and of each tag the first row that passes.
SELECT name, time, level FROM levels WHERE name = 'tank_1' AND level BETWEEN 100 AND 100.1 ORDER BY time DESC;
SELECT DISTINCT ON (name) name, level, note FROM levels WHERE level > 499.85 AND level < 1000 ORDER BY name, time DESC;
-- A cursor turns around among them.
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT name, n FROM levels WHERE n BETWEEN 7 AND 8 AND name = 'tank_2' ORDER BY time;
FETCH ALL FROM c;
FETCH BACKWARD 1 FROM c;
FETCH BACKWARD 1 FROM c;
FETCH BACKWARD 1 FROM c;
FETCH 5 FROM c;
COMMIT;
DROP TABLE levels;
DROP FUNCTION both_ways;
