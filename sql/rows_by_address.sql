-- Rows that are fetched one by one by their addresses: RETURNING, row triggers, TID scans, foreign keys. What is kept from one
-- fetch to the next must never be seen where it has become wrong. A heap table with the same rows says what is right.
\set SHOW_CONTEXT never
SET historian.debug_segment_rows = 5000;
CREATE TABLE h (name text, time timestamptz, v int, note text) USING heap;
CREATE TABLE t (LIKE h) USING tag WITH (historian.compact = off);
CREATE FUNCTION fill() RETURNS void LANGUAGE sql AS $$
    TRUNCATE h, t;
    INSERT INTO h SELECT 'tag' || i % 4, timestamptz '2026-01-01 00:00+00' + i * interval '1 s', i, CASE WHEN i % 5 > 0 THEN 'note ' || i % 7 END
        FROM generate_series(1, 20000) AS i;
    INSERT INTO t SELECT * FROM h;
$$;
-- what a SELECT or a DELETE ... RETURNING gives of both tables, as one line each
CREATE FUNCTION same(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE of_h text; of_t text;
BEGIN
    EXECUTE format('WITH r AS (%s) SELECT format(''%%s rows, %%s'', count(*), md5(string_agg(r::text, '';'' ORDER BY r::text COLLATE "C"))) FROM r',
        replace(statement, '$', 'h')) INTO of_h;
    EXECUTE format('WITH r AS (%s) SELECT format(''%%s rows, %%s'', count(*), md5(string_agg(r::text, '';'' ORDER BY r::text COLLATE "C"))) FROM r',
        replace(statement, '$', 't')) INTO of_t;
    RETURN CASE WHEN of_h = of_t THEN 'same: ' || split_part(of_h, ',', 1) ELSE format('heap %s; tag %s', of_h, of_t) END;
END $$;

-- RETURNING, over several segments and in an order that is not theirs
SELECT fill();
CALL compact('t');
SELECT count(*) > 3 AS several FROM historian_segments('t') WHERE kind = 'segment' AND state <> 'superseded';
SELECT same('DELETE FROM $ WHERE v % 20 = 0 RETURNING *');
SELECT same('DELETE FROM $ USING (SELECT (i * 7919) % 20000 AS v FROM generate_series(1, 999) AS i) AS s WHERE $.v = s.v RETURNING $.*');
SELECT same('SELECT * FROM $');

-- row triggers
CREATE TABLE told (tab text, at text, name text, time timestamptz, v int, note text) USING heap;
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO told VALUES (TG_TABLE_NAME, TG_WHEN, OLD.name, OLD.time, OLD.v, OLD.note);
    RETURN OLD;
END $$;
CREATE TRIGGER before BEFORE DELETE ON h FOR EACH ROW EXECUTE FUNCTION tell();
CREATE TRIGGER before BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION tell();
CREATE TRIGGER after AFTER DELETE ON h FOR EACH ROW EXECUTE FUNCTION tell();
CREATE TRIGGER after AFTER DELETE ON t FOR EACH ROW EXECUTE FUNCTION tell();
CREATE CONSTRAINT TRIGGER late AFTER DELETE ON h DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION tell();
CREATE CONSTRAINT TRIGGER late AFTER DELETE ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION tell();
SELECT same('DELETE FROM $ WHERE v % 20 = 1 RETURNING *');
SELECT same('SELECT * FROM $');
SELECT at, count(*) FILTER (WHERE tab = 'h'), count(*) FILTER (WHERE tab = 't') FROM told GROUP BY at ORDER BY at;
SELECT same('SELECT at, name, time, v, note FROM told WHERE tab = ''$''');
DROP TRIGGER before ON h;
DROP TRIGGER before ON t;
DROP TRIGGER after ON h;
DROP TRIGGER after ON t;
DROP TRIGGER late ON h;
DROP TRIGGER late ON t;

-- the shape of the table changes within the transaction
BEGIN;
SELECT same('DELETE FROM $ WHERE v % 20 = 2 RETURNING *');
ALTER TABLE h ADD COLUMN extra text DEFAULT 'added';
ALTER TABLE t ADD COLUMN extra text DEFAULT 'added';
SELECT same('DELETE FROM $ WHERE v % 20 = 3 RETURNING *');
ALTER TABLE h DROP COLUMN note;
ALTER TABLE t DROP COLUMN note;
SELECT same('DELETE FROM $ WHERE v % 20 = 4 RETURNING *');
SAVEPOINT a;
ALTER TABLE h ADD COLUMN other int DEFAULT 7, DROP COLUMN extra;
ALTER TABLE t ADD COLUMN other int DEFAULT 7, DROP COLUMN extra;
SELECT same('DELETE FROM $ WHERE v % 20 = 5 RETURNING *');
ROLLBACK TO a;
SELECT same('DELETE FROM $ WHERE v % 20 IN (5, 6) RETURNING *');
ALTER TABLE h ALTER COLUMN v TYPE bigint;
ALTER TABLE t ALTER COLUMN v TYPE bigint;
SELECT same('DELETE FROM $ WHERE v % 20 = 7 RETURNING *');
ROLLBACK;
SELECT same('DELETE FROM $ WHERE v % 20 = 2 RETURNING *');
SELECT same('SELECT * FROM $');

-- TRUNCATE and refill: the same addresses, other rows. Of a table made by the transaction the file stays the same, too.
BEGIN;
SELECT ctid AS place FROM t WHERE v % 20 = 11 AND note IS NOT NULL ORDER BY v LIMIT 1 \gset
SELECT v, note FROM t WHERE ctid = :'place';
SAVEPOINT a;
TRUNCATE t;
SELECT v, note FROM t WHERE ctid = :'place';
COPY t FROM PROGRAM 'seq 1 9000 | sed "s/.*/bulk\t2026-02-01 00:00+00\t&\tnew/"';
SELECT note, count(*) FROM t WHERE ctid IN (SELECT ctid FROM t) GROUP BY note;
ROLLBACK TO a;
SELECT v, note FROM t WHERE ctid = :'place';
COMMIT;
BEGIN;
CREATE TABLE young (name text, time timestamptz, v int, note text) USING tag;
COPY young FROM PROGRAM 'seq 1 9000 | sed "s/.*/bulk\t2026-02-01 00:00+00\t&\told/"';
SELECT ctid AS place FROM young WHERE v = 2000 \gset
SELECT v, note FROM young WHERE ctid = :'place';
TRUNCATE young;
COPY young FROM PROGRAM 'seq 1 9000 | sed "s/.*/bulk\t2026-02-01 00:00+00\t-&\tnew/"';
SELECT abs(v) BETWEEN 1 AND 9000 AS found, v < 0 AS is_new, note FROM young WHERE ctid = :'place';
SAVEPOINT a;
TRUNCATE young;
COPY young FROM PROGRAM 'seq 1 9000 | sed "s/.*/bulk\t2026-02-01 00:00+00\t&\tnewer/"';
DELETE FROM young WHERE v = 2000 RETURNING v, note;
ROLLBACK TO a;
SELECT v < 0 AS is_new, note FROM young WHERE ctid = :'place';
COPY young FROM PROGRAM 'seq 1 9000 | sed "s/.*/bulk\t2026-02-01 00:00+00\t&\tnewest/"';
SELECT note, count(*), min(v), max(v) FROM young WHERE ctid = ANY (ARRAY(SELECT ctid FROM young)) GROUP BY note ORDER BY note;
COMMIT;
DROP TABLE young;
CREATE TEMP TABLE short (name text, time timestamptz, v int) USING tag ON COMMIT DELETE ROWS;
BEGIN;
COPY short FROM PROGRAM 'seq 1 9000 | sed "s/.*/a\t2026-02-01 00:00+00\t&/"';
SELECT sum(v) FROM short WHERE ctid = ANY (ARRAY(SELECT ctid FROM short));
COMMIT;
BEGIN;
COPY short FROM PROGRAM 'seq 20001 29000 | sed "s/.*/a\t2026-02-01 00:00+00\t&/"';
SELECT sum(v) FROM short WHERE ctid = ANY (ARRAY(SELECT ctid FROM short));
COMMIT;

-- a delete log of many pages (no two of the rows are neighbours), which grows, shrinks by ROLLBACK and is frozen between fetches
SET historian.debug_segment_rows = 100000;
SELECT fill();
CALL compact('t');
CREATE TABLE places (ctid_h tid, ctid_t tid, v int) USING heap;
INSERT INTO places SELECT h.ctid, t.ctid, v FROM h JOIN t USING (v);
ANALYZE places;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
BEGIN;
DECLARE before CURSOR FOR SELECT count(*), sum(t.v) FROM places JOIN t ON t.ctid = ctid_t;
DELETE FROM h WHERE v % 3 = 1;
DELETE FROM t WHERE v % 3 = 1;
SELECT same('SELECT $.* FROM places JOIN $ ON $.ctid = ctid_$');
DELETE FROM h WHERE v % 6 = 2;
DELETE FROM t WHERE v % 6 = 2;
SELECT same('SELECT $.* FROM places JOIN $ ON $.ctid = ctid_$');
SAVEPOINT a;
DELETE FROM h WHERE v % 6 = 5;
DELETE FROM t WHERE v % 6 = 5;
SELECT same('SELECT $.* FROM places JOIN $ ON $.ctid = ctid_$');
ROLLBACK TO a;
SELECT same('SELECT $.* FROM places JOIN $ ON $.ctid = ctid_$');
SELECT same('DELETE FROM $ USING places WHERE $.ctid = ctid_$ AND $.v % 12 = 5 RETURNING $.*');
SELECT same('SELECT $.* FROM places JOIN $ ON $.ctid = ctid_$');
FETCH before;
COMMIT;
SELECT same('SELECT $.* FROM places JOIN $ ON $.ctid = ctid_$');
VACUUM (FREEZE) t;
SELECT same('SELECT $.* FROM places JOIN $ ON $.ctid = ctid_$');
RESET enable_hashjoin;
RESET enable_mergejoin;

-- rows that a join brings several times, over many pages of the log; by a later command of the transaction, too
SELECT fill();
CALL compact('t');
BEGIN;
SELECT same('DELETE FROM $ USING places CROSS JOIN generate_series(1, 3) WHERE $.v = places.v AND $.v % 3 = 0 RETURNING $.*');
SELECT same('DELETE FROM $ USING places CROSS JOIN generate_series(1, 3) WHERE $.v = places.v AND $.v % 3 = 1 RETURNING $.*');
SAVEPOINT a;
SELECT same('DELETE FROM $ USING places CROSS JOIN generate_series(1, 3) WHERE $.v = places.v AND $.v % 3 = 2 RETURNING $.*');
ROLLBACK TO a;
SELECT same('DELETE FROM $ USING places CROSS JOIN generate_series(1, 3) WHERE $.v = places.v AND $.v % 6 = 2 RETURNING $.*');
SELECT same('SELECT * FROM $');
MERGE INTO t USING (SELECT v FROM places CROSS JOIN generate_series(1, 2)) AS s ON t.v = s.v WHEN MATCHED THEN DELETE;
ROLLBACK;
-- a trigger deletes the row of which the statement will come to think next
CREATE FUNCTION take_next() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('DELETE FROM %I WHERE v = %s', TG_TABLE_NAME, OLD.v + 1);
    RETURN NULL;
END $$;
CREATE TRIGGER next AFTER DELETE ON h FOR EACH ROW WHEN (OLD.v % 4 = 0) EXECUTE FUNCTION take_next();
CREATE TRIGGER next AFTER DELETE ON t FOR EACH ROW WHEN (OLD.v % 4 = 0) EXECUTE FUNCTION take_next();
SELECT same('DELETE FROM $ WHERE v % 1000 IN (0, 4, 5) RETURNING *');
SELECT same('SELECT * FROM $');

-- a foreign key looks at each row that COPY brings, and in REPEATABLE READ at each that it takes away
CREATE TABLE tags (name text PRIMARY KEY) USING heap;
INSERT INTO tags SELECT DISTINCT name FROM t;
ALTER TABLE t ADD CONSTRAINT known FOREIGN KEY (name) REFERENCES tags ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
BEGIN;
COPY t FROM PROGRAM 'seq 1 9000 | sed "s/.*/unknown\t2026-02-01 00:00+00\t&\tnew/"';
SELECT count(*) FROM t WHERE name = 'unknown';
COMMIT;
BEGIN;
COPY t FROM PROGRAM 'seq 1 9000 | sed "s/.*/unknown\t2026-02-01 00:00+00\t&\tnew/"';
DELETE FROM t WHERE name = 'unknown';
COMMIT;
BEGIN ISOLATION LEVEL REPEATABLE READ;
DELETE FROM t WHERE name = 'tag1' AND v % 8 = 1;
DELETE FROM tags WHERE name IN ('tag1', 'tag2');
SELECT name, count(*) FROM t GROUP BY name ORDER BY name;
COMMIT;
SELECT name, count(*) FROM t GROUP BY name ORDER BY name;
SELECT historian_check('t') ~ 'segments' AS whole;
DROP TABLE t, h, told, places, tags, short;
RESET historian.debug_segment_rows;
DROP FUNCTION fill, same, tell, take_next;
