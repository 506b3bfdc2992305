-- The last point of each machine, joined with what is known of it: the scan gives one row of each tag below the join.
SET timezone = 'UTC';
CREATE TABLE plain (name text, time timestamptz, value float8, n int);
CREATE TABLE sensor (LIKE plain) USING tag;
-- No two points of any tags at the same time.
INSERT INTO plain SELECT 'tag' || i % 30, '2026-01-01'::timestamptz + i * interval '1 second', i * 7 % 100, i FROM generate_series(1, 20000) AS i;
INSERT INTO plain VALUES ('tag1', NULL, 1, 1), (NULL, '2026-02-01', 2, 2), ('alone', '2026-02-02', 3, 3);
INSERT INTO sensor SELECT * FROM plain WHERE n % 400 > 0;
CALL compact('sensor');
INSERT INTO sensor SELECT * FROM plain WHERE n % 400 = 0;
DELETE FROM sensor WHERE n > 19980;
DELETE FROM plain WHERE n > 19980;
CREATE TABLE machine (id int PRIMARY KEY, name text, line text, hall int);
INSERT INTO machine SELECT i, 'tag' || i % 33, 'line' || i % 4, i % 7 FROM generate_series(1, 50) AS i;
CREATE TABLE line (line text PRIMARY KEY, town text);
INSERT INTO line VALUES ('line0', 'Ulm'), ('line1', 'Ulm'), ('line2', 'Hof');
ANALYZE plain, sensor, machine, line;

SET enable_incremental_sort = off;  -- which version 16 takes, over an index scan
EXPLAIN (COSTS OFF) SELECT DISTINCT ON (m.id) m.id, m.line, s.time, s.value FROM machine AS m JOIN sensor AS s USING (name)
    ORDER BY m.id, s.time DESC;
RESET enable_incremental_sort;

-- Whether it is done, and whether the answer is that of a heap table, by any kind of join. {s} stands for the table.
CREATE FUNCTION asked(query text, OUT one_row_per_tag bool, OUT rows bigint, OUT wrong text) LANGUAGE plpgsql AS $$
DECLARE
    line text;
    ask text := 'SELECT string_agg(q::text, chr(10)), count(*) FROM (' || query || ') AS q';
    fast text;
    heap text;
    kind text;
BEGIN
    one_row_per_tag := false;
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || replace(query, '{s}', 'sensor') LOOP
        one_row_per_tag := one_row_per_tag OR line LIKE '%One Row per Tag%';
    END LOOP;
    EXECUTE replace(ask, '{s}', 'plain') INTO heap;
    FOREACH kind IN ARRAY '{enable_seqscan,enable_hashjoin,enable_nestloop,enable_mergejoin}'::text[] LOOP
        PERFORM set_config(kind, 'off', true);
        EXECUTE replace(ask, '{s}', 'sensor') INTO fast, rows;
        PERFORM set_config(kind, 'on', true);
        IF fast IS DISTINCT FROM heap THEN wrong := concat_ws(', ', wrong, kind); END IF;
    END LOOP;
END $$;
\pset format unaligned
SELECT asked('SELECT DISTINCT ON (m.id) m.id, m.line, s.time, s.value FROM machine AS m JOIN {s} AS s USING (name) ORDER BY m.id, s.time DESC');
SELECT asked('SELECT DISTINCT ON (m.id) m.id, s.* FROM machine AS m JOIN {s} AS s USING (name) ORDER BY m.id, s.time DESC NULLS LAST');
SELECT asked('SELECT DISTINCT ON (m.line) m.line, s.name, s.time FROM machine AS m JOIN {s} AS s USING (name) WHERE s.time IS NOT NULL ORDER BY m.line, s.time, m.id');
SELECT asked('SELECT DISTINCT ON (m.line) m.line, s.name, s.time FROM machine AS m JOIN {s} AS s USING (name) WHERE s.time IS NOT NULL ORDER BY m.line, m.id, s.time DESC');
SELECT asked('SELECT DISTINCT ON (m.line) m.line, s.name, s.time, s.value FROM machine AS m JOIN {s} AS s USING (name) WHERE s.value > 90 AND m.hall < 5 ORDER BY m.line, s.time DESC NULLS LAST, m.id');
SELECT asked('SELECT DISTINCT ON (name) s.*, m.id FROM {s} AS s JOIN machine AS m USING (name) ORDER BY name, s.time DESC, m.id');
SELECT asked('SELECT DISTINCT ON (l.town) l.town, s.* FROM {s} AS s JOIN machine AS m USING (name) JOIN line AS l USING (line) ORDER BY l.town, s.time DESC NULLS LAST, m.id');
SELECT asked('SELECT DISTINCT ON (upper(m.line)) m.line, s.time, s.value FROM machine AS m JOIN {s} AS s ON s.name = m.name AND length(s.name) > 4 ORDER BY upper(m.line), s.time DESC NULLS LAST, m.id');
SELECT asked('SELECT DISTINCT m.line, s.name FROM machine AS m JOIN {s} AS s USING (name) ORDER BY m.line, s.name');
SELECT asked('SELECT m.line FROM machine AS m JOIN {s} AS s USING (name) GROUP BY m.line ORDER BY m.line');
SELECT asked('SELECT DISTINCT ON (a.name) a.name, a.time, b.time AS b FROM {s} AS a JOIN {s} AS b USING (name) WHERE b.n < 1000 ORDER BY a.name, a.time DESC NULLS LAST, b.time DESC NULLS LAST');
SELECT asked('SELECT DISTINCT ON (m.id) m.id, s.time FROM machine AS m, {s} AS s WHERE s.name > m.name AND m.id < 5 AND s.n > 19000 ORDER BY m.id, s.time DESC NULLS LAST');
-- By more than the tag, or of more than one row of it: all rows are read.
SELECT asked('SELECT DISTINCT ON (m.id) m.id, s.time FROM machine AS m JOIN {s} AS s ON s.name = m.name AND s.n > m.id * 100 ORDER BY m.id, s.time DESC NULLS LAST');
SELECT asked('SELECT DISTINCT ON (m.id) m.id, s.time FROM machine AS m JOIN {s} AS s ON s.name = m.name AND s.value = m.hall ORDER BY m.id, s.time DESC NULLS LAST');
SELECT asked('SELECT DISTINCT ON (m.id) m.id, s.value FROM machine AS m JOIN {s} AS s USING (name) ORDER BY m.id, s.value, s.time DESC NULLS LAST');
SELECT asked('SELECT DISTINCT ON (m.id, s.value) m.id, s.value, s.time FROM machine AS m JOIN {s} AS s USING (name) WHERE s.n < 900 ORDER BY m.id, s.value, s.time DESC NULLS LAST');
SELECT asked('SELECT DISTINCT ON (m.id) m.id, s.time FROM machine AS m LEFT JOIN {s} AS s USING (name) ORDER BY m.id, s.time DESC NULLS LAST');
SELECT asked('SELECT DISTINCT ON (m.id) m.id, s.time, count(*) OVER () FROM machine AS m JOIN {s} AS s USING (name) WHERE s.n < 900 ORDER BY m.id, s.time DESC NULLS LAST');
SELECT asked('SELECT m.line, count(*) FROM machine AS m JOIN {s} AS s USING (name) GROUP BY m.line ORDER BY m.line');
SELECT asked('SELECT m.id, s.n FROM machine AS m JOIN {s} AS s USING (name) WHERE s.n < 50 ORDER BY m.id, s.n');
SELECT asked('SELECT DISTINCT ON (m.id) m.id, s.time FROM machine AS m JOIN {s} AS s USING (name) WHERE EXISTS (SELECT FROM line WHERE line.line = m.line) ORDER BY m.id, s.time DESC NULLS LAST');
-- Of partitions all rows are read.
CREATE TABLE parted (LIKE plain) PARTITION BY RANGE (n);
CREATE TABLE parted_low PARTITION OF parted FOR VALUES FROM (MINVALUE) TO (10000) USING tag;
CREATE TABLE parted_high PARTITION OF parted FOR VALUES FROM (10000) TO (MAXVALUE) USING tag;
INSERT INTO parted SELECT * FROM plain;
CALL compact('parted_low');
CALL compact('parted_high');
CREATE TABLE moment (name text, time timestamptz);
INSERT INTO moment SELECT name, time FROM plain WHERE n % 1000 < 100 AND n < 15000;
ANALYZE parted, moment;
SELECT DISTINCT ON (m.name) m.name, p.n FROM moment AS m JOIN parted AS p ON p.name = m.name AND p.time = m.time ORDER BY m.name, p.time DESC LIMIT 3;
SELECT DISTINCT ON (m.name) m.name, p.n FROM moment AS m JOIN plain AS p ON p.name = m.name AND p.time = m.time ORDER BY m.name, p.time DESC LIMIT 3;
SELECT count(*), sum(n) FROM (SELECT DISTINCT ON (m.id) m.id, p.n FROM machine AS m JOIN parted AS p USING (name) ORDER BY m.id, p.time DESC NULLS LAST) AS s;
SELECT count(*), sum(n) FROM (SELECT DISTINCT ON (m.id) m.id, p.n FROM machine AS m JOIN plain AS p USING (name) ORDER BY m.id, p.time DESC NULLS LAST) AS s;
\pset format aligned
DROP TABLE plain, sensor, machine, line, parted, moment;
DROP FUNCTION asked;
