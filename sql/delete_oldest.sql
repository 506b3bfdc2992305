-- delete_oldest(), delete_except(), delete_before() on log tables: exact to the row, in the tail and in segments.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
CREATE TABLE devices (id int, msg text) USING log;
-- a record a second; those of 00:00:10 five times
CREATE FUNCTION fill(first int, last int) RETURNS void LANGUAGE sql AS $$
    INSERT INTO devices (id, msg, _arrival_time)
        SELECT i, 'record ' || i, timestamptz '2026-01-01 00:00+00' + (CASE WHEN i BETWEEN 10 AND 14 THEN 10 ELSE i END) * interval '1 s'
        FROM generate_series(first, last) AS i
$$;
CREATE FUNCTION state() RETURNS text LANGUAGE sql AS $$ SELECT format('%s rows, %s to %s', count(*), min(id), max(id)) FROM devices $$;

-- the oldest go, or the newest stay; what arrived first at one time is older
\set ECHO none
\set kind tail
\i sql/include/delete_oldest_statements.sql
\set kind sealed
\i sql/include/delete_oldest_statements.sql
\set kind both
\i sql/include/delete_oldest_statements.sql
\set ECHO all

-- 300,000 rows of three segments: whole ones, and one in part
TRUNCATE devices;
SET historian.debug_segment_rows = 100000;
COPY devices (id, msg, _arrival_time) FROM PROGRAM 'seq 1 300000 | awk "{ print \$1 \"\tx\t\" strftime(\"%Y-%m-%d %H:%M:%S+00\", 1767225600 + \$1, 1) }"';
RESET historian.debug_segment_rows;
SELECT delete_oldest('devices', rows => 150000);
SELECT state();
SELECT kind, state, row_count, deleted_rows FROM historian_segments('devices') ORDER BY time_min;
SELECT delete_except('devices', rows => 100000);
SELECT state(), historian_check('devices') ~ 'segments' AS whole;
-- space comes back
CALL compact('devices');
SELECT sum(row_count) FROM historian_segments('devices') WHERE state = 'sealed';
SELECT state();

-- by age
TRUNCATE devices;
INSERT INTO devices (id, _arrival_time) SELECT i, now() - i * interval '1 hour' FROM generate_series(1, 100) AS i;
SELECT delete_except('devices', keep => '2 days 30 minutes');
SELECT state();
SELECT delete_before('devices', now() - interval '1 day 30 minutes');
SELECT state();
SELECT delete_except('devices', keep => '1000 years');
-- keep counts from the transaction's start, months are PostgreSQL's
BEGIN;
SELECT delete_except('devices', keep => '0');
SELECT state();
ROLLBACK;
SELECT delete_except('devices', keep => '1 month'), delete_except('devices', keep => '1 year 1 day');

-- the numbers that there are
SELECT delete_oldest('devices', rows => -1);
SELECT delete_except('devices', rows => -9223372036854775808);
SELECT delete_except('devices', keep => '-1 hour');
SELECT delete_except('devices', keep => '300000 years');
SELECT delete_oldest('devices', rows => 0), delete_except('devices', rows => 9223372036854775807);
SELECT delete_oldest('devices', NULL) IS NULL AS "nothing asked", delete_except('devices', rows => NULL) IS NULL AS "nor here";
SELECT delete_except('devices', '1 day');
SELECT delete_oldest('devices', rows => 9223372036854775807);
SELECT state();
-- an empty table, and times without end
SELECT delete_oldest('devices', rows => 5), delete_except('devices', rows => 0);
INSERT INTO devices (id, _arrival_time) VALUES (1, '-infinity'), (2, '-infinity'), (3, '2026-01-01'), (4, 'infinity'), (5, 'infinity');
SELECT delete_oldest('devices', rows => 1);
SELECT array_agg(id ORDER BY id) FROM devices;
SELECT delete_except('devices', rows => 1);
SELECT array_agg(id ORDER BY id) FROM devices;
SELECT delete_except('devices', keep => '1 day'), delete_before('devices', 'infinity');
SELECT delete_except('devices', rows => 0);

-- part of the transaction, and of savepoints
SELECT fill(1, 100);
CALL compact('devices');
SELECT fill(101, 120);
BEGIN;
SELECT fill(121, 130);
SELECT delete_oldest('devices', rows => 100);
SAVEPOINT a;
SELECT delete_except('devices', rows => 5);
SELECT state();
ROLLBACK TO a;
SELECT state();
SELECT delete_oldest('devices', rows => 25);
SELECT state();
ROLLBACK;
SELECT state();
DELETE FROM devices WHERE id % 2 = 0;
SELECT delete_oldest('devices', rows => 10), state();
SELECT state();

-- random tables, of fresh, sealed and deleted rows, with few or many rows of one time: what is left is what a sort leaves
CREATE TABLE r (v int) USING log WITH (historian.compact = off);
CREATE TABLE h (v int, _arrival_time timestamptz) USING heap;
SET historian.debug_segment_rows = 500;
CREATE PROCEDURE try(round int) LANGUAGE plpgsql AS $$
DECLARE total bigint; wanted bigint; gone bigint; span float8;
BEGIN
    PERFORM setseed(round / 1000.0);
    TRUNCATE r;
    TRUNCATE h;
    span := (array[5, 100, 3600, 1e6])[1 + (random() * 3)::int];
    FOR k IN 1 .. 1 + (random() * 3)::int LOOP
        INSERT INTO r SELECT k * 100000 + i, CASE WHEN random() < 0.001 THEN 'infinity' WHEN random() < 0.001 THEN '-infinity'
            ELSE timestamptz '2026-01-01 00:00+00' + (random() * span)::int * interval '1 s' END FROM generate_series(1, (random() * 3000)::int) i;
        COMMIT;
        IF random() < 0.6 THEN CALL compact('r'); END IF;
        IF random() < 0.4 THEN DELETE FROM r WHERE v % 7 = (random() * 6)::int; COMMIT; END IF;
    END LOOP;
    SELECT count(*) INTO total FROM r;
    wanted := CASE (random() * 4)::int WHEN 0 THEN 0 WHEN 1 THEN total WHEN 2 THEN 1 ELSE (random() * total)::bigint END;
    INSERT INTO h SELECT * FROM r ORDER BY _arrival_time OFFSET wanted;
    IF random() < 0.5 THEN gone := delete_oldest('r', rows => wanted); ELSE gone := delete_except('r', rows => total - wanted); END IF;
    IF gone <> wanted OR EXISTS (TABLE r EXCEPT ALL TABLE h) OR EXISTS (TABLE h EXCEPT ALL TABLE r) THEN
        RAISE EXCEPTION 'seed %: % of % wanted, % gone', round, wanted, total, gone;
    END IF;
    COMMIT;
END $$;
DO $$ BEGIN FOR round IN 1 .. 60 LOOP CALL try(round); END LOOP; END $$;
SELECT historian_check('r') IS NOT NULL AS whole;
DROP PROCEDURE try;
DROP TABLE r, h;
RESET historian.debug_segment_rows;

-- which tables
CREATE TABLE sensor (name text, time timestamptz, v int) USING tag;
INSERT INTO sensor SELECT 'a', now() - i * interval '1 hour', i FROM generate_series(1, 100) AS i;
SELECT delete_oldest('sensor', rows => 10);
SELECT delete_except('sensor', rows => 10);
SELECT delete_except('sensor', keep => '1 day 30 minutes');
SELECT count(*), max(v) FROM sensor;
CREATE TABLE parted (LIKE sensor) PARTITION BY RANGE (time);
CREATE TABLE parted_1 PARTITION OF parted DEFAULT USING tag;
INSERT INTO parted SELECT * FROM sensor;
SELECT delete_oldest('parted', rows => 1);
SELECT delete_except('parted', keep => '12 hours 30 minutes');
CREATE TABLE plain (id int, _arrival_time timestamptz) USING heap;
SELECT delete_oldest('plain', rows => 1);
SELECT delete_except('plain', keep => '1 day');
CREATE VIEW seen AS SELECT * FROM devices;
SELECT delete_oldest('seen', rows => 1);
SELECT delete_oldest('pg_class', rows => 1);

-- triggers, row-level security, rules: row by row, the same rows
TRUNCATE devices;
SELECT fill(1, 20);
CREATE TABLE gone (id int) USING heap;
CREATE FUNCTION note_gone() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO gone VALUES (OLD.id); RETURN OLD; END $$;
CREATE TRIGGER note BEFORE DELETE ON devices FOR EACH ROW EXECUTE FUNCTION note_gone();
SELECT delete_oldest('devices', rows => 12);
SELECT array_agg(id ORDER BY id) FROM gone;
SELECT delete_except('devices', rows => 6);
SELECT array_agg(id ORDER BY id) FROM gone;
SELECT delete_oldest('devices', rows => 0), delete_except('devices', rows => 6);
DROP TRIGGER note ON devices;
CREATE ROLE historian_sweeper;
GRANT SELECT ON devices TO historian_sweeper;
SET ROLE historian_sweeper;
SELECT delete_oldest('devices', rows => 1);
RESET ROLE;
GRANT DELETE ON devices TO historian_sweeper;
ALTER TABLE devices ENABLE ROW LEVEL SECURITY;
CREATE POLICY odd ON devices TO historian_sweeper USING (id % 2 = 1);
SET ROLE historian_sweeper;
SELECT delete_oldest('devices', rows => 1);
SELECT delete_except('devices', rows => 1);
RESET ROLE;
SELECT array_agg(id ORDER BY id) FROM devices;
-- a search_path that lies in wait
CREATE SCHEMA trap;
CREATE FUNCTION trap.less(timestamptz, timestamptz) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR trap.< (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = trap.less);
SET ROLE historian_sweeper;
SET search_path = trap, pg_catalog;
SELECT public.delete_before('public.devices', '2025-01-01'), public.delete_oldest('public.devices', rows => 0);
RESET search_path;
RESET ROLE;
DROP SCHEMA trap CASCADE;
BEGIN READ ONLY;
SELECT delete_oldest('devices', rows => 1);
ROLLBACK;
BEGIN READ ONLY;
SELECT delete_except('devices', keep => '1 day');
ROLLBACK;
DROP VIEW seen;
DROP TABLE devices, sensor, parted, plain, gone;
DROP ROLE historian_sweeper;
DROP FUNCTION fill, state, note_gone;
