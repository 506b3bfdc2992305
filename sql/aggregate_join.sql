-- Aggregates over a join of a tag table with others: the table is aggregated by tag first (historian.enable_aggregate_join). Each
-- query is asked with and without that, and of a heap table.
SET timezone = 'UTC';
SET max_parallel_workers_per_gather = 0;
CREATE TABLE plain (name text, time timestamptz, value float8, n int, ok bool);
CREATE TABLE sensor (LIKE plain) USING tag;
INSERT INTO plain SELECT 'tag' || i % 12, '2026-01-01'::timestamptz + i * interval '1 second',
        CASE WHEN i % 11 = 0 THEN NULL ELSE (i * 7919 % 1000) / 8.0 END, i * 31 % 1000, i % 3 = 0
    FROM generate_series(1, 10000) AS i;
INSERT INTO plain VALUES (NULL, '2026-01-01', 1, 2, true), ('tag1', NULL, 1, 2, NULL), (NULL, NULL, 1, 2, false),
    ('alone', '2026-01-01 01:00', NULL, NULL, NULL), ('alone', '2026-01-01 02:00', 4, 4, true);
INSERT INTO sensor SELECT * FROM plain;
CALL compact('sensor');
INSERT INTO plain SELECT name, time + interval '3 hours', value, n, ok FROM plain WHERE n < 20;
INSERT INTO sensor SELECT name, time + interval '3 hours', value, n, ok FROM sensor WHERE n < 20;
DELETE FROM plain WHERE n = 77 OR name = 'tag9';
DELETE FROM sensor WHERE n = 77 OR name = 'tag9';
-- Some machines twice, some without points, some without a name.
CREATE TABLE machine (id int PRIMARY KEY, name text, line text, hall int, since timestamptz, parts text[]);
INSERT INTO machine SELECT i, CASE WHEN i % 13 <> 0 THEN 'tag' || i % 14 END, 'line' || i % 4, i % 7, '2026-01-01 01:00',
        ARRAY['tag' || i % 14, 'tag' || i % 5, NULL]
    FROM generate_series(1, 24) AS i;
CREATE TABLE line (line text PRIMARY KEY, town text);
INSERT INTO line VALUES ('line0', 'Ulm'), ('line1', 'Ulm'), ('line2', 'Hof'), ('nowhere', 'Rom');
CREATE TABLE label (name text, label text);
INSERT INTO label SELECT 'tag' || i % 6, 'label' || i % 3 FROM generate_series(1, 50) AS i;
ANALYZE plain, sensor, machine, line, label;

-- What it does.
EXPLAIN (COSTS OFF) SELECT m.line, avg(s.value) FROM sensor AS s JOIN machine AS m USING (name) WHERE m.hall = 3 GROUP BY m.line;
EXPLAIN (COSTS OFF) SELECT m.line, date_bin('1 hour', s.time, '2000-01-01') AS hour, max(s.value), count(*) + 1 AS more
    FROM sensor AS s JOIN machine AS m USING (name) WHERE s.time >= '2026-01-01 01:00' GROUP BY 1, 2 HAVING sum(s.n) > 5 ORDER BY 1, 2;
EXPLAIN (COSTS OFF) SELECT count(*) FROM sensor WHERE name IN (SELECT name FROM label WHERE label = 'label1');

-- Whether it is done, and whether the answer is the same without it, and from a heap table. {s} stands for the table.
CREATE FUNCTION asked(query text, OUT by_tag_first bool, OUT rows bigint, OUT same bool) LANGUAGE plpgsql AS $$
DECLARE
    line text;
    ask text := 'SELECT md5(string_agg(q::text, chr(10) ORDER BY q::text COLLATE "C")), count(*) FROM (' || query || ') AS q';
    fast text;
    slow text;
    heap text;
BEGIN
    by_tag_first := false;
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || replace(query, '{s}', 'sensor') LOOP
        by_tag_first := by_tag_first OR line LIKE '%HistorianAggregate%';
    END LOOP;
    EXECUTE replace(ask, '{s}', 'sensor') INTO fast, rows;
    PERFORM set_config('historian.enable_aggregate_join', 'off', true);
    EXECUTE replace(ask, '{s}', 'sensor') INTO slow;
    PERFORM set_config('historian.enable_aggregate_join', 'on', true);
    EXECUTE replace(ask, '{s}', 'plain') INTO heap;
    same := fast IS NOT DISTINCT FROM slow AND fast IS NOT DISTINCT FROM heap;
END $$;
CREATE TABLE question (number serial, query text);
-- Groups, joins and aggregates in all combinations.
INSERT INTO question (query)
    SELECT format('SELECT %s, %s FROM %s AND %s GROUP BY %1$s', groups, aggregates, tables, rows) FROM
    (VALUES ('m.line'), ('s.name'), ('m.line, date_bin(''1 hour'', s.time, ''2000-01-01'')'), ('upper(s.name), m.hall % 2'),
        ('s.name || coalesce(m.line, ''-'')'), ('s.ok, m.hall'), ('m.id')) AS g (groups),
    (VALUES ('{s} AS s JOIN machine AS m ON m.name = s.name WHERE true'),
        ('{s} AS s, machine AS m, line AS l WHERE m.name = s.name AND l.line = m.line'),
        ('{s} AS s JOIN machine AS m ON s.name = ANY (m.parts) WHERE true'),
        ('{s} AS s JOIN machine AS m ON s.name = m.name AND length(s.name) > m.hall WHERE true'),
        ('machine AS m JOIN {s} AS s ON s.name > m.name WHERE m.id < 9')) AS t (tables),
    (VALUES ('true'), ('m.hall = 3'), ('s.time < ''2026-01-01 01:30'' AND s.value > 20')) AS r (rows),
    (VALUES ('count(*), count(s.value), sum(s.n), avg(s.value), min(s.value), max(s.value), min(s.time)'),
        ('count(*) FILTER (WHERE s.ok), bool_or(s.ok), first(s.value, s.time) IS NULL, stddev(s.n), max(s.time)')) AS a (aggregates);
CREATE VIEW answer AS SELECT query, by_tag_first, rows, same FROM question, asked(query);
SELECT count(*) AS questions, count(*) FILTER (WHERE by_tag_first) > 150 AS many_by_tag_first, sum(rows) > 1000 AS have_rows,
    count(*) FILTER (WHERE NOT same) AS wrong FROM answer;
-- By sorting, without hashes; and by a single pass where it can be.
SET enable_hashjoin = off;
SET enable_hashagg = off;
SELECT query FROM answer WHERE NOT same;
RESET enable_hashjoin;
RESET enable_hashagg;
SET enable_nestloop = off;
SELECT query FROM answer WHERE NOT same AND query NOT LIKE '%parts%';
RESET enable_nestloop;

-- One by one: by subqueries, without GROUP BY, with HAVING, with columns that depend on the grouped one, of tag tables alone.
\pset format unaligned
SELECT asked('SELECT count(*), sum(n) FROM {s} WHERE name IN (SELECT name FROM machine WHERE hall = 2)');
SELECT asked('SELECT count(*), sum(n) FROM {s} WHERE name IN (SELECT name FROM label)');
SELECT asked('SELECT name, count(*) FROM {s} AS s WHERE EXISTS (SELECT FROM label AS b WHERE b.name = s.name AND label = ''label2'') GROUP BY name');
SELECT asked('SELECT count(*), sum(n) FROM {s} WHERE name IN (SELECT m.name FROM machine AS m JOIN line USING (line) WHERE town = ''Ulm'')');
SELECT asked('SELECT count(*), sum(n) FROM {s} WHERE name NOT IN (SELECT name FROM machine WHERE name IS NOT NULL)');
SELECT asked('SELECT count(*), sum(n) FROM {s} AS s WHERE NOT EXISTS (SELECT FROM machine AS m WHERE m.name = s.name)');
SELECT asked('SELECT m.id, m.since, m.line, sum(s.value) FROM machine AS m JOIN {s} AS s USING (name) GROUP BY m.id HAVING max(s.n) > m.hall');
SELECT asked('SELECT m.line, count(*) FROM machine AS m JOIN {s} AS s USING (name) WHERE m.name = ''tag3'' GROUP BY m.line');
SELECT asked('SELECT m.line, count(*) FROM machine AS m JOIN {s} AS s USING (name) WHERE m.hall = 99 GROUP BY m.line');
SELECT asked('SELECT count(*), sum(s.n), max(s.value) FROM machine AS m JOIN {s} AS s USING (name) WHERE m.hall = 99');
SELECT asked('SELECT count(*), sum(s.n) FROM {s} AS s, line');
SELECT asked('SELECT line, count(*) FROM {s} AS s, line WHERE s.name = ''tag4'' GROUP BY line');
SELECT asked('SELECT a.name, count(*), sum(a.n) FROM {s} AS a JOIN {s} AS b USING (name) WHERE b.n < 3 GROUP BY a.name');
SELECT asked('SELECT m.line, sum(s.n) FROM machine AS m JOIN {s} AS s USING (name) JOIN label AS b ON b.name = s.name GROUP BY m.line');
SELECT asked('SELECT m.line, sum(s.n) OVER () FROM (SELECT line, sum(n) AS n FROM machine JOIN {s} USING (name) GROUP BY line) AS s (line, n) JOIN line AS m USING (line)');
SELECT asked('SELECT 1, ''x'' AS x, m.line, sum(s.n) FROM machine AS m JOIN {s} AS s USING (name) GROUP BY 1, 2, 3');
-- By more than the tag: rows are joined first.
SELECT asked('SELECT m.line, sum(s.n) FROM machine AS m JOIN {s} AS s ON s.name = m.name AND s.time >= m.since GROUP BY m.line');
SELECT asked('SELECT m.line, sum(s.n * m.hall) FROM machine AS m JOIN {s} AS s USING (name) GROUP BY m.line');
SELECT asked('SELECT m.line, count(*) FILTER (WHERE m.hall = 2) FROM machine AS m JOIN {s} AS s USING (name) GROUP BY m.line');
SELECT asked('SELECT m.line, count(DISTINCT s.n) FROM machine AS m JOIN {s} AS s USING (name) GROUP BY m.line');
SELECT asked('SELECT m.line, sum(s.n) FROM machine AS m LEFT JOIN {s} AS s USING (name) GROUP BY m.line');
SELECT asked('SELECT m.line, sum(s.n) FROM {s} AS s LEFT JOIN machine AS m USING (name) GROUP BY m.line');
SELECT asked('SELECT m.line, sum(s.n) FROM {s} AS s FULL JOIN machine AS m USING (name) GROUP BY m.line');
SELECT asked('SELECT m.hall + s.n % 2, count(*) FROM machine AS m JOIN {s} AS s USING (name) GROUP BY 1');
\pset format aligned

-- Parameters, rescans and cursors.
PREPARE by_hall(int, timestamptz) AS SELECT m.line, count(*), sum(s.n) FROM machine AS m JOIN sensor AS s USING (name)
    WHERE m.hall = $1 AND s.time < $2 GROUP BY m.line ORDER BY m.line;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE by_hall(1, '2026-01-01 01:00');
EXECUTE by_hall(1, '2026-01-01 01:00');
EXECUTE by_hall(2, '2026-01-01 00:30');
RESET plan_cache_mode;
SELECT hall, (SELECT count(*) FROM machine AS m JOIN sensor AS s USING (name) WHERE m.hall = h.hall AND s.n < 500) AS fast,
    (SELECT count(*) FROM machine AS m JOIN plain AS s USING (name) WHERE m.hall = h.hall AND s.n < 500) AS slow
    FROM (SELECT DISTINCT hall FROM machine) AS h ORDER BY hall;
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT m.line, count(*) FROM machine AS m JOIN sensor AS s USING (name) GROUP BY m.line ORDER BY m.line;
FETCH 2 FROM c;
FETCH BACKWARD 1 FROM c;
FETCH ALL FROM c;
COMMIT;

-- Tags that are numbers, and tags that are equal though their bytes differ.
CREATE TABLE numbered (tag int, time timestamptz, n int) USING tag;
INSERT INTO numbered SELECT i % 50, '2026-01-01'::timestamptz + i * interval '1 second', i FROM generate_series(1, 5000) AS i;
CREATE TABLE floated (tag numeric, time timestamptz, n int) USING tag;
INSERT INTO floated SELECT CASE WHEN i % 2 = 0 THEN i % 50 ELSE (i % 50 - 1)::numeric(9, 2) END, '2026-01-01'::timestamptz + i * interval '1 second', i
    FROM generate_series(1, 5000) AS i;
CALL compact('numbered');
CALL compact('floated');
ANALYZE numbered, floated;
EXPLAIN (COSTS OFF) SELECT m.line, sum(n) FROM numbered JOIN machine AS m ON m.id = tag WHERE m.hall = 4 GROUP BY m.line;
SELECT m.line, sum(n), count(*) FROM numbered JOIN machine AS m ON m.id = tag::bigint GROUP BY m.line ORDER BY 1;
SET historian.enable_aggregate_join = off;
SELECT m.line, sum(n), count(*) FROM numbered JOIN machine AS m ON m.id = tag::bigint GROUP BY m.line ORDER BY 1;
RESET historian.enable_aggregate_join;
SELECT m.line, sum(n), count(*) FROM floated JOIN machine AS m ON m.id = tag GROUP BY m.line ORDER BY 1;
SET historian.enable_aggregate_join = off;
SELECT m.line, sum(n), count(*) FROM floated JOIN machine AS m ON m.id = tag GROUP BY m.line ORDER BY 1;
RESET historian.enable_aggregate_join;

-- What would be an error is not asked of tags that the join leaves out.
CREATE TABLE divided (name text, time timestamptz NOT NULL, value int) USING tag;
INSERT INTO divided SELECT 'tag' || i % 50, timestamptz '2026-01-01' + i * interval '1 s', i % 50 FROM generate_series(0, 4999) AS i;
INSERT INTO divided VALUES ('tag0', '2099-01-01', 0);
CREATE TABLE joined AS SELECT 'tag' || i AS name, i % 2 AS line FROM generate_series(1, 49) AS i;
CALL compact('divided');
ANALYZE divided, joined;
SELECT j.line, count(*) FILTER (WHERE 100 / d.value > 5) FROM divided AS d JOIN joined AS j USING (name) GROUP BY 1 ORDER BY 1;
SELECT j.line, extract(epoch FROM d.time)::int / 86400 AS day, count(*) FROM divided AS d JOIN joined AS j USING (name)
    GROUP BY 1, extract(epoch FROM d.time)::int / 86400 ORDER BY 1, 2;
SELECT j.line, floor(extract(epoch FROM d.time) / 86400)::int AS day, count(*) FROM divided AS d JOIN joined AS j USING (name)
    GROUP BY 1, 2 ORDER BY 1, 2;
DROP TABLE divided, joined;

-- Row-level security of either table.
CREATE ROLE aggregate_join_reader;
GRANT SELECT ON sensor, plain, machine TO aggregate_join_reader;
ALTER TABLE sensor ENABLE ROW LEVEL SECURITY;
ALTER TABLE plain ENABLE ROW LEVEL SECURITY;
ALTER TABLE machine ENABLE ROW LEVEL SECURITY;
CREATE POLICY some_rows ON sensor FOR SELECT TO aggregate_join_reader USING (n % 2 = 0);
CREATE POLICY some_rows ON plain FOR SELECT TO aggregate_join_reader USING (n % 2 = 0);
CREATE POLICY some_rows ON machine FOR SELECT TO aggregate_join_reader USING (hall < 4);
SET ROLE aggregate_join_reader;
SELECT line, s.count, p.count = s.count AS same FROM (SELECT line, count(*) FROM machine JOIN sensor USING (name) GROUP BY line) AS s
    JOIN (SELECT line, count(*) FROM machine JOIN plain USING (name) GROUP BY line) AS p USING (line) ORDER BY line;
RESET ROLE;
DROP POLICY some_rows ON machine;
DROP POLICY some_rows ON sensor;
DROP POLICY some_rows ON plain;
REVOKE ALL ON sensor, plain, machine FROM aggregate_join_reader;
DROP ROLE aggregate_join_reader;
DROP TABLE plain, sensor, machine, line, label, question, numbered, floated CASCADE;
DROP FUNCTION asked;
