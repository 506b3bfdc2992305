-- What tag tables refuse, and how they say it.
\set VERBOSITY verbose
\set SHOW_CONTEXT never
CREATE TABLE t (name text, time timestamptz, value double precision) USING tag;
INSERT INTO t VALUES ('a', '2026-01-01 00:00+00', 1);
\set VERBOSITY default
CREATE TABLE no_time (name text, value int) USING tag;
CREATE TABLE only_time (time timestamptz) USING tag;
CREATE TABLE no_time USING tag AS SELECT 1 AS a;
UPDATE t SET value = 2;
UPDATE t SET value = 2 WHERE false;
MERGE INTO t USING (VALUES ('a', 3.0)) AS s (name, value) ON t.name = s.name WHEN MATCHED THEN UPDATE SET value = s.value;
INSERT INTO t VALUES ('a', '2026-01-01 00:00+00', 1) ON CONFLICT DO NOTHING;
SELECT * FROM t FOR UPDATE;
SELECT * FROM t FOR SHARE;
SELECT name, value FROM t FOR KEY SHARE;
CREATE UNIQUE INDEX ON t (name, time);
ALTER TABLE t ADD PRIMARY KEY (name, time);
CREATE TABLE with_key (name text PRIMARY KEY, time timestamptz) USING tag;
CREATE INDEX ON t (value);
CREATE INDEX ON t (time, name);
CREATE INDEX ON t (lower(name));
CREATE INDEX ON t USING gin (name);
CREATE INDEX ON t (name) WHERE value > 1;
-- needless, so that tools that always send them go on
CREATE INDEX ON t (name, time DESC);
CREATE INDEX IF NOT EXISTS t_time ON t USING brin (time);
CREATE INDEX CONCURRENTLY ON t (name);
VACUUM FULL t;
ALTER TABLE t DROP COLUMN name;
ALTER TABLE t DROP COLUMN time;
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM t;
FETCH 1 FROM c;
DELETE FROM t WHERE CURRENT OF c;
ROLLBACK;
BEGIN;
CALL compact('t');
ROLLBACK;
CREATE TABLE plain (a int);
CALL compact('plain');
SELECT historian_check('plain');
SELECT historian_segments('plain');
CALL compact(NULL);
SELECT historian.maintain();
CREATE ROLE historian_reader;
SET ROLE historian_reader;
CALL compact('t');
SELECT historian_check('t');
SELECT * FROM historian_size('t');
RESET ROLE;
DROP ROLE historian_reader;
-- nothing happened to the row
SELECT name, value FROM t;
DROP TABLE t, plain;
