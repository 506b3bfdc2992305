-- One tag of many, whose rows lie in granules of several tags: only its rows are looked at, whatever the tag's type is, and in order.
\set ECHO none
\i sql/include/plan_of.sql
\set ECHO all
SET timezone = 'UTC';
CREATE TABLE plain (number int, name text, id uuid, day date, time timestamptz, value float8, note text);
INSERT INTO plain
    SELECT tag, CASE WHEN tag % 50 <> 7 THEN 'tag' || tag END, md5(tag::text)::uuid, date '2026-01-01' + tag,
        CASE WHEN i % 9 <> 0 THEN '2026-01-01'::timestamptz + i * interval '1 minute' END, i * 7 % 10, 'note ' || i
    FROM generate_series(-5, 400) AS tag, generate_series(1, 20) AS i WHERE (tag + i) % 11 <> 0;
CREATE TABLE by_number (number int, name text, id uuid, day date, time timestamptz, value float8, note text) USING tag;
CREATE TABLE by_name (name text, number int, id uuid, day date, time timestamptz, value float8, note text) USING tag;
CREATE TABLE by_id (id uuid, number int, name text, day date, time timestamptz, value float8, note text) USING tag;
CREATE TABLE by_day (day date, number int, name text, id uuid, time timestamptz, value float8, note text) USING tag;
INSERT INTO by_number SELECT number, name, id, day, time, value, note FROM plain;
INSERT INTO by_name (number, name, id, day, time, value, note) SELECT * FROM plain;
INSERT INTO by_id (number, name, id, day, time, value, note) SELECT * FROM plain;
INSERT INTO by_day (number, name, id, day, time, value, note) SELECT * FROM plain;
CALL compact('by_number');
CALL compact('by_name');
CALL compact('by_id');
CALL compact('by_day');
DELETE FROM by_number WHERE note = 'note 3';
DELETE FROM by_name WHERE note = 'note 3';
DELETE FROM by_id WHERE note = 'note 3';
DELETE FROM by_day WHERE note = 'note 3';
DELETE FROM plain WHERE note = 'note 3';
ANALYZE plain, by_number, by_name, by_id, by_day;

SELECT plan_of($$SELECT value FROM by_name WHERE name = 'tag8'$$);
SELECT plan_of($$SELECT value FROM by_number WHERE number = 8 AND time > '2026-01-01 00:10'$$);

-- Each tag, one after the other, with and without other conditions, in order and not.
CREATE FUNCTION faults(tags text, points text) RETURNS TABLE (wrong text, tag text) LANGUAGE plpgsql AS $$
DECLARE
    fast text;
    slow text;
    query text;
BEGIN
    FOREACH query IN ARRAY ARRAY['true', 'time >= ''2026-01-01 00:05'' AND time < ''2026-01-01 00:15''', 'value > 4', 'time IS NULL', 'value > 4 AND time > ''2026-01-01 00:12''',
            'note LIKE ''%1'''] LOOP
        query := format('SELECT string_agg(concat_ws('','', number, name, id, time, value, note), chr(10) ORDER BY time, note) FROM {p} WHERE %s = $1 AND %s', tags, query);
        FOR tag IN EXECUTE format('SELECT DISTINCT %s::text FROM plain UNION SELECT DISTINCT %1$s::text FROM plain WHERE number < 0', tags) LOOP
            CONTINUE WHEN tag IS NULL;
            EXECUTE replace(replace(query, '{p}', points), '$1', quote_literal(tag)) INTO fast;
            EXECUTE replace(replace(query, '{p}', 'plain'), '$1', quote_literal(tag)) INTO slow;
            wrong := query;
            IF fast IS DISTINCT FROM slow THEN RETURN NEXT; END IF;
        END LOOP;
    END LOOP;
    query := 'SELECT string_agg(q::text, chr(10)) FROM (SELECT number, time, value, note FROM {p} WHERE %s = $1 ORDER BY time DESC LIMIT 4) AS q';
    query := format(query, tags);
    FOR tag IN EXECUTE format('SELECT DISTINCT %s::text FROM plain', tags) LOOP
        CONTINUE WHEN tag IS NULL;
        EXECUTE replace(replace(query, '{p}', points), '$1', quote_literal(tag)) INTO fast;
        EXECUTE replace(replace(replace(query, '{p}', 'plain'), '$1', quote_literal(tag)), 'DESC', 'DESC, note') INTO slow;
        wrong := query;
        IF (SELECT count(*) FROM regexp_split_to_table(fast, chr(10)) AS a FULL JOIN regexp_split_to_table(slow, chr(10)) AS b
            ON split_part(a, ',', 2) = split_part(b, ',', 2) WHERE a IS NULL OR b IS NULL) > 0 THEN RETURN NEXT; END IF;
    END LOOP;
END $$;
SELECT * FROM faults('number', 'by_number');
SELECT * FROM faults('name', 'by_name');
SELECT * FROM faults('id', 'by_id');
SELECT * FROM faults('day', 'by_day');
-- Joined, tag after tag; a tag that there is not; NULL.
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SELECT count(*), sum(p.value), count(p.note) FROM (SELECT DISTINCT name FROM plain) AS n JOIN by_name AS p USING (name);
SELECT count(*), sum(p.value), count(p.note) FROM (SELECT DISTINCT name FROM plain) AS n JOIN plain AS p USING (name);
SELECT count(*) FROM by_name WHERE name = 'tag8x' OR name = NULL;
RESET enable_hashjoin;
RESET enable_mergejoin;
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT note FROM by_name WHERE name = 'tag8' ORDER BY time;
FETCH 3 FROM c;
FETCH BACKWARD 2 FROM c;
FETCH LAST FROM c;
FETCH BACKWARD 2 FROM c;
COMMIT;
DROP TABLE plain, by_number, by_name, by_id, by_day;
DROP FUNCTION faults;
