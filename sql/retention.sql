-- Retention policies: setting them, what they delete, what is refused. The worker runs them: test/t/023_retention.pl. Here they run in
-- transactions that the worker does not see.
\set SHOW_CONTEXT never
\set VERBOSITY default
SET TimeZone = 'UTC';
SET IntervalStyle = 'postgres';
CREATE TABLE devices (id int, msg text) USING log;
CREATE FUNCTION fill(last int) RETURNS void LANGUAGE sql AS $$
    INSERT INTO devices (id, msg, _arrival_time)
        SELECT i, 'record ' || i, date_trunc('hour', now()) - (last - i) * interval '1 minute' FROM generate_series(1, last) AS i
$$;
CREATE FUNCTION state() RETURNS text LANGUAGE sql AS $$ SELECT format('%s rows, %s to %s', count(*), min(id), max(id)) FROM devices $$;
CREATE VIEW policies AS
    SELECT relation, keep, rows, size, every, shrink, last_rows_deleted AS last, total_rows_deleted AS total, warning,
        last_run = now() AS ran, next_run - now() AS next_run_in, last_error FROM retention_policies;
SELECT fill(900);

-- each limit, and all together: the tightest one counts
BEGIN;
SELECT set_retention('devices', keep => '10 hours');
SELECT * FROM policies;
SELECT n BETWEEN 299 AND 360 AS right_number FROM historian.run_retention('devices') AS n;
SELECT min(_arrival_time) >= now() - interval '10 hours' AS exact FROM devices;
SELECT keep, last = total AS counted, last BETWEEN 299 AND 360 AS plausible, ran, next_run_in FROM policies;
SELECT historian.run_retention('devices');
SELECT last, total BETWEEN 299 AND 360 AS plausible FROM policies;
ROLLBACK;
BEGIN;
SELECT set_retention('devices', rows => 500, every => '1 hour');
SELECT historian.run_retention('devices'), state();
SELECT state();
SELECT * FROM policies;
SELECT set_retention('devices', keep => '1 year', rows => 400);
SELECT historian.run_retention('devices');
SELECT * FROM policies;
SELECT set_retention('devices', keep => '1 year', rows => 400, size => '1 GB', every => '5 min', shrink => true);
SELECT historian.run_retention('devices');
SELECT * FROM policies;
SELECT set_retention('devices', size => 1073741824);
SELECT relation, size, keep, rows FROM policies;
SELECT drop_retention('devices');
SELECT * FROM policies;
SELECT historian.run_retention('devices') IS NULL AS no_policy;
ROLLBACK;

-- by size: the oldest go until the blocks in use fit
CREATE TABLE large (id int, body text) USING log WITH (historian.compact = off);
SET historian.debug_segment_rows = 1000;
COPY large (id, body, _arrival_time) FROM PROGRAM $$ awk 'BEGIN { srand(1); for (i = 1; i <= 20000; i++) { s = "";
    for (k = 0; k < 20; k++) s = s sprintf("%08x", int(rand() * 4294967296));
    printf "%d\t%s\t%s\n", i, s, strftime("%Y-%m-%d %H:%M:%S+00", 1767225600 + i, 1) } }' $$;
RESET historian.debug_segment_rows;
SELECT (segment_bytes + tail_bytes) * 8 / 10 AS size FROM historian_size('large') \gset
SELECT :size > 1048576 AS large;
BEGIN;
SELECT set_retention('large', size => :size);
SELECT n BETWEEN 2000 AND 8000 AS about_a_fifth FROM historian.run_retention('large') AS n;
-- exactly the oldest
SELECT max(id) - min(id) + 1 = count(*) AS contiguous, max(id) FROM large;
-- and no more at the next run
SELECT historian.run_retention('large');
COMMIT;
SELECT drop_retention('large');
CALL compact('large');
SELECT segment_bytes + tail_bytes BETWEEN :size / 2 AND :size AS fits FROM historian_size('large');
DROP TABLE large;

-- tag tables: keep and size, not rows
CREATE TABLE sensor (name text, time timestamptz, v int) USING tag;
INSERT INTO sensor SELECT 'a', now() - i * interval '1 hour', i FROM generate_series(1, 100) AS i;
CREATE TABLE local (name text, time timestamp, v int) USING tag;
SET TimeZone = 'Asia/Seoul';
INSERT INTO local SELECT 'a', localtimestamp - i * interval '1 hour', i FROM generate_series(1, 100) AS i;
BEGIN;
SELECT set_retention('sensor', rows => 10);
ROLLBACK;
BEGIN;
SELECT set_retention('sensor', keep => '50 hours 30 minutes', size => '100 MB');
SELECT historian.run_retention('sensor');
SELECT count(*), max(v) FROM sensor;
SELECT set_retention('local', keep => '50 hours 30 minutes');
SELECT historian.run_retention('local');
SELECT count(*), max(v) FROM local;
ROLLBACK;
SET TimeZone = 'UTC';

-- much at once is told before, and waits
SELECT fill(4000);
BEGIN;
SELECT set_retention('devices', rows => 3000);
SELECT historian.run_retention('devices');
ROLLBACK;
BEGIN;
SELECT set_retention('devices', rows => 1000);
\set VERBOSITY terse
SELECT historian.run_retention('devices'), state();
\set VERBOSITY default
SELECT * FROM policies;
-- another run does not delete either, and does not say it again
SELECT historian.run_retention('devices');
-- until the time is up
UPDATE historian.retention_run SET held_until = now();
SELECT historian.run_retention('devices');
SELECT * FROM policies;
ROLLBACK;
-- a policy in place of it starts anew
BEGIN;
SELECT set_retention('devices', rows => 1000);
\set VERBOSITY terse
SELECT historian.run_retention('devices');
\set VERBOSITY default
SELECT set_retention('devices', rows => 4000);
SELECT * FROM policies;
SELECT historian.run_retention('devices'), state();
ROLLBACK;

-- what is refused
SELECT set_retention('devices');
SELECT set_retention(NULL, keep => '1 day');
SELECT set_retention('devices', keep => '0');
SELECT set_retention('devices', keep => '-1 day');
SELECT set_retention('devices', keep => '300000 years');
SELECT set_retention('devices', rows => 0);
SELECT set_retention('devices', rows => -5);
SELECT set_retention('devices', size => '100 kB');
SELECT set_retention('devices', size => '-1 GB');
SELECT set_retention('devices', size => 'plenty');
SELECT set_retention('devices', keep => '1 day', every => '0.5 s');
SELECT set_retention('devices', keep => '1 day', every => '-1 hour');
CREATE TABLE plain (id int) USING heap;
SELECT set_retention('plain', keep => '1 day');
CREATE TABLE parted (name text, time timestamptz) PARTITION BY RANGE (time);
SELECT set_retention('parted', keep => '1 day');
CREATE TEMP TABLE mine (id int) USING log;
SELECT set_retention('mine', keep => '1 day');
CREATE MATERIALIZED VIEW seen USING log AS SELECT 1 AS a;
SELECT set_retention('seen', keep => '1 day');
SELECT drop_retention('devices');
SELECT drop_retention('plain');
BEGIN READ ONLY;
SELECT set_retention('devices', keep => '1 day');
ROLLBACK;

-- for owners; seen by those who may read the table
CREATE ROLE historian_owner;
CREATE ROLE historian_reader;
GRANT CREATE ON SCHEMA public TO historian_owner;
BEGIN;
ALTER TABLE devices OWNER TO historian_owner;
SET LOCAL ROLE historian_reader;
SAVEPOINT a;
SELECT set_retention('devices', keep => '1 day');
ROLLBACK TO a;
SELECT drop_retention('devices');
ROLLBACK TO a;
SELECT historian.run_retention('devices');
ROLLBACK TO a;
SELECT * FROM historian.retention;
ROLLBACK TO a;
SET LOCAL ROLE historian_owner;
SELECT set_retention('devices', rows => 3900);
SELECT relation, rows FROM retention_policies;
SET LOCAL ROLE historian_reader;
SELECT relation, rows FROM retention_policies;
RESET ROLE;
GRANT SELECT ON devices TO historian_reader;
SET LOCAL ROLE historian_reader;
SELECT relation, rows FROM retention_policies;
RESET ROLE;
-- it runs as the owner, triggers included, which leave nothing for others to run
CREATE TABLE noted (who name, what int) USING heap;
GRANT INSERT ON noted TO historian_owner;
CREATE FUNCTION note_who() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO noted VALUES (current_user, OLD.id); RETURN OLD; END $$;
CREATE TRIGGER note BEFORE DELETE ON devices FOR EACH ROW EXECUTE FUNCTION note_who();
SELECT historian.run_retention('devices');
SELECT who, count(*), min(what), max(what) FROM noted GROUP BY who;
SELECT current_user = session_user AS back;
DROP TRIGGER note ON devices;
CREATE CONSTRAINT TRIGGER later AFTER DELETE ON devices DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note_who();
SELECT set_retention('devices', rows => 3890);
SAVEPOINT b;
SELECT historian.run_retention('devices');
ROLLBACK TO b;
SELECT current_user = session_user AS back;
DROP TRIGGER later ON devices;
REVOKE DELETE ON devices FROM historian_owner;
SELECT historian.run_retention('devices');
ROLLBACK;

-- a policy goes with its table, and stays when that is renamed or moved
BEGIN;
SELECT set_retention('devices', keep => '1 day');
ALTER TABLE devices RENAME TO machines;
CREATE SCHEMA hall;
ALTER TABLE machines SET SCHEMA hall;
SELECT relation, keep FROM policies;
SAVEPOINT a;
DROP SCHEMA hall CASCADE;
SELECT count(*) FROM historian.retention;
ROLLBACK TO a;
SELECT count(*) FROM historian.retention;
ALTER TABLE hall.machines SET ACCESS METHOD heap;
SELECT historian.run_retention('hall.machines');
ROLLBACK;
SELECT count(*) FROM retention_policies;
DROP MATERIALIZED VIEW seen;
DROP VIEW policies;
DROP TABLE devices, sensor, local, plain, parted, mine;
REVOKE CREATE ON SCHEMA public FROM historian_owner;
DROP ROLE historian_owner, historian_reader;
DROP FUNCTION fill, state;
