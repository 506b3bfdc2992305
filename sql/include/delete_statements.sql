-- Run twice by delete.sql, with :kind = tail and sealed.
CREATE PROCEDURE prepare_rows(kind text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM fill();
    COMMIT;
    IF kind = 'sealed' THEN CALL compact('t'); END IF;
END $$;
CALL prepare_rows(:'kind');
\set ECHO all
DELETE FROM t WHERE v = 7 RETURNING *, tableoid::regclass, xmin <> '0' AS has_xmin;
DELETE FROM t WHERE v = 7;
DELETE FROM t WHERE name = 'tag1' AND time < '2026-01-01 00:00:20+00';
DELETE FROM t WHERE v > 1000;
SELECT state();
-- each row once, however many match it
DELETE FROM t USING (VALUES (10), (10), (11)) AS s (v) WHERE t.v = s.v RETURNING t.v;
WITH gone AS (DELETE FROM t WHERE v IN (30, 31) RETURNING v) SELECT sum(v), count(*) FROM gone;
WITH a AS (DELETE FROM t WHERE v = 32 RETURNING v), b AS (DELETE FROM t WHERE v = 32 RETURNING v) SELECT count(*) FROM a, b;
MERGE INTO t USING (VALUES (40), (41), (999)) AS s (v) ON t.v = s.v
    WHEN MATCHED AND t.v = 40 THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES ('merged', '2026-01-01 01:00+00', s.v);
SELECT state();
-- transactions and savepoints
BEGIN;
DELETE FROM t WHERE v BETWEEN 50 AND 59;
DECLARE before CURSOR FOR SELECT v FROM t WHERE v BETWEEN 60 AND 69;
SAVEPOINT a;
DELETE FROM t WHERE v BETWEEN 60 AND 69;
SELECT state();
DELETE FROM t WHERE v BETWEEN 50 AND 70;
ROLLBACK TO a;
DELETE FROM t WHERE v BETWEEN 65 AND 70;
SELECT state();
FETCH ALL FROM before;
COMMIT;
SELECT state();
BEGIN;
DELETE FROM t;
SELECT state();
ROLLBACK;
SELECT state();
-- a row trigger before: sees the row, may keep it, may delete others
CREATE FUNCTION judge() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.v % 2 = 0 THEN RETURN NULL; END IF;
    IF OLD.v = 81 THEN DELETE FROM t WHERE v = 180; END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER judge BEFORE DELETE ON t FOR EACH ROW WHEN (OLD.v BETWEEN 80 AND 89) EXECUTE FUNCTION judge();
DELETE FROM t WHERE v BETWEEN 80 AND 89 RETURNING v;
SELECT count(*) FROM t WHERE v = 180;
DROP TRIGGER judge ON t;
-- row and statement triggers after, with the rows that were deleted
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_LEVEL = 'ROW' THEN
        RAISE NOTICE 'deleted %', OLD;
    ELSE
        RAISE NOTICE 'deleted % rows, % left', (SELECT count(*) FROM old_rows), (SELECT count(*) FROM t);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER tell_row AFTER DELETE ON t FOR EACH ROW EXECUTE FUNCTION tell();
CREATE TRIGGER tell_all AFTER DELETE ON t REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION tell();
DELETE FROM t WHERE v IN (90, 91);
DROP TRIGGER tell_row ON t;
CREATE CONSTRAINT TRIGGER tell_late AFTER DELETE ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION tell();
DROP TRIGGER tell_all ON t;
BEGIN;
DELETE FROM t WHERE v = 92;
SELECT 'not told yet' AS deferred;
COMMIT;
DROP TRIGGER tell_late ON t;
-- a row that its own trigger has deleted meanwhile
CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM t WHERE v = OLD.v; RETURN OLD; END $$;
CREATE TRIGGER meddle BEFORE DELETE ON t FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION meddle();
DELETE FROM t WHERE v = 93;
DROP TRIGGER meddle ON t;
SELECT count(*) FROM t WHERE v = 93;
-- foreign keys from the table to another
CREATE TABLE tags (name text PRIMARY KEY) USING heap;
INSERT INTO tags SELECT DISTINCT name FROM t;
ALTER TABLE t ADD CONSTRAINT known FOREIGN KEY (name) REFERENCES tags;
DELETE FROM tags WHERE name = 'tag2';
DELETE FROM t WHERE name = 'tag2';
DELETE FROM tags WHERE name = 'tag2';
ALTER TABLE t DROP CONSTRAINT known;
ALTER TABLE t ADD CONSTRAINT known FOREIGN KEY (name) REFERENCES tags ON DELETE CASCADE;
DELETE FROM tags WHERE name = 'tag3';
SELECT DISTINCT name FROM t ORDER BY 1;
DROP TABLE tags CASCADE;
-- a prepared statement, a function, a prepared transaction
PREPARE one (int) AS DELETE FROM t WHERE v = $1 RETURNING v;
EXECUTE one (100);
EXECUTE one (100);
DEALLOCATE one;
DO $$ DECLARE n int; BEGIN DELETE FROM t WHERE v IN (104, 108); GET DIAGNOSTICS n = ROW_COUNT; RAISE NOTICE '% rows', n; END $$;
SELECT state();
DELETE FROM t;
SELECT state();
SELECT historian_check('t') ~ 'segments' AS whole;
\set ECHO none
DROP FUNCTION judge, tell, meddle;
DROP PROCEDURE prepare_rows;
