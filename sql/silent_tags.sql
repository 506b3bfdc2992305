-- silent_tags(): next to plain SQL on a heap table, fresh, sealed and deleted from; as of a time, of some names; rights and refusals.
\set SHOW_CONTEXT never
\pset null '-'
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, YMD';
SET intervalstyle = 'postgres';

SELECT setseed(0.25);
CREATE TABLE plain AS SELECT 'tag' || g AS name, timestamptz '2026-01-01' + (random() * g * 100)::int * interval '1 s' AS time,
        CASE WHEN random() < 0.9 THEN random() * 100 END AS value, 'text' AS message
    FROM generate_series(1, 400) AS g, generate_series(1, 40) AS i;
-- one newest point a tag, so that its value is certain
DELETE FROM plain AS p USING (SELECT name, time FROM plain GROUP BY name, time HAVING count(*) > 1) AS q WHERE p.name = q.name AND p.time = q.time;
CREATE TABLE sensor (name text, time timestamptz, message text, value double precision) USING tag;
INSERT INTO sensor SELECT name, time, message, value FROM plain ORDER BY random();
-- rows without a time tell nothing
INSERT INTO sensor VALUES ('timeless', NULL, '', 1), ('tag1', NULL, '', 2);

CREATE FUNCTION slow(longer_than interval, as_of timestamptz) RETURNS TABLE (name text, last_time timestamptz, value double precision, silent_for interval)
LANGUAGE sql AS $$
    SELECT p.name, p.time, p.value, as_of - p.time FROM plain AS p
    WHERE (p.name, p.time) IN (SELECT q.name, max(q.time) FROM plain AS q WHERE q.time <= as_of GROUP BY q.name) AND p.time < as_of - longer_than
$$;
CREATE FUNCTION differences(OUT as_of timestamptz, OUT silent bigint, OUT differences bigint) RETURNS SETOF record LANGUAGE sql AS $$
    SELECT as_of, (SELECT count(*) FROM slow('1 hour', as_of)) AS silent, (SELECT count(*) FROM (
        (SELECT * FROM silent_tags('sensor', '1 hour', as_of) EXCEPT ALL SELECT * FROM slow('1 hour', as_of)) UNION ALL
        (SELECT * FROM slow('1 hour', as_of) EXCEPT ALL SELECT * FROM silent_tags('sensor', '1 hour', as_of))) AS d)
    FROM unnest('{2025-12-31, 2026-01-01 03:00, 2026-01-01 08:00, 2026-01-01 12:00, 2026-01-02}'::timestamptz[]) AS as_of
$$;
SELECT * FROM differences();
CALL compact('sensor');
SELECT * FROM differences();
INSERT INTO sensor VALUES ('tag300', '2026-01-01 11:55', '', 7);
INSERT INTO plain VALUES ('tag300', '2026-01-01 11:55', 7, '');
DELETE FROM sensor WHERE time > '2026-01-01 10:00' AND time < '2026-01-01 11:00' OR name = 'tag50';
DELETE FROM plain WHERE time > '2026-01-01 10:00' AND time < '2026-01-01 11:00' OR name = 'tag50';
SELECT * FROM differences();
BEGIN;
DELETE FROM sensor WHERE name = 'tag300' AND time > '2026-01-01 04:00';
SELECT silent_for > '8 hours' AS own_deletes FROM silent_tags('sensor', '1 hour', '2026-01-01 12:00') WHERE tag = 'tag300';
ROLLBACK;

-- now is the start of the transaction; a point of a clock that is fast is a sign of life
CREATE TABLE few (name text, time timestamptz, value numeric, number int) USING tag;
BEGIN;
INSERT INTO few VALUES ('late', now() - interval '6 minutes', 1.5, 15), ('on the edge', now() - interval '5 minutes', 2, 20),
    ('in time', now() - interval '4 minutes', 3, 30), ('fast', now() + interval '1 day', 4, 40), ('fast', now() - interval '1 day', 4, 40);
SELECT tag, last_value, silent_for FROM silent_tags('few', '5 minutes');
SELECT tag, last_value, silent_for FROM silent_tags('few', '5 minutes', now());
SELECT tag, last_value, silent_for FROM silent_tags('few', '0', value_column => 'number');
SELECT tag, last_value, silent_for FROM silent_tags('few', '5 minutes', names => '{fast,late,never,late,NULL}');
SELECT count(*) FROM silent_tags('few', '5 minutes', names => '{}');
ROLLBACK;
SELECT * FROM silent_tags('few', '5 minutes');

-- tables of other shapes
CREATE TABLE states (id int, at timestamp, state text) USING tag;
INSERT INTO states VALUES (10, '2026-01-01 10:00', 'on'), (9, '2026-01-01 11:00', 'off'), (NULL, '2026-01-01 09:00', 'off');
SELECT * FROM silent_tags('states', '30 minutes', '2026-01-01 11:10');
SELECT * FROM silent_tags('states', '30 minutes', '2026-01-01 11:10', '{9,10,11}');
SET TimeZone = 'Asia/Seoul';
SELECT * FROM silent_tags('states', '30 minutes', '2026-01-01 11:10');
SET TimeZone = 'UTC';
CREATE TABLE parts (name text, time timestamptz, value double precision) PARTITION BY RANGE (time);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (MINVALUE) TO ('2026-01-02') USING tag;
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM ('2026-01-02') TO (MAXVALUE) USING tag;
INSERT INTO parts VALUES ('a', '2026-01-01', 1), ('a', '2026-01-03', 2), ('b', '2026-01-01', 3);
SELECT * FROM silent_tags('parts', '1 day', '2026-01-03 12:00');
-- for ever is no interval
INSERT INTO parts VALUES ('old', '-infinity', 4), ('new', 'infinity', 5);
SELECT * FROM silent_tags('parts', '1 day', '2026-01-03 12:00');
SELECT * FROM silent_tags('parts', '1 day', 'infinity');
DROP TABLE parts;

-- what is refused
SELECT * FROM silent_tags('few', '-1 s');
SELECT * FROM silent_tags('few', NULL);
SELECT * FROM silent_tags(NULL, '1 s');
SELECT * FROM silent_tags('plain', '1 s');
SELECT * FROM silent_tags('few', '1 s', value_column => 'missing');
SELECT * FROM silent_tags('states', '1 s', value_column => 'state');
CREATE ROLE regress_watcher;
SET ROLE regress_watcher;
SELECT * FROM silent_tags('sensor', '1 s');
RESET ROLE;
GRANT SELECT ON sensor TO regress_watcher;
ALTER TABLE sensor ENABLE ROW LEVEL SECURITY;
CREATE POLICY two ON sensor TO regress_watcher USING (name IN ('tag1', 'tag2'));
SET ROLE regress_watcher;
SELECT tag FROM silent_tags('sensor', '1 s');
RESET ROLE;
DROP FUNCTION differences, slow;
DROP TABLE plain, sensor, few, states;
DROP ROLE regress_watcher;
