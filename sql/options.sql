-- Options of one table: set, changed, reset, kept, refused. That the worker obeys them: test/t/022_options.pl; dumps: 020_dump_restore.pl.
\set ECHO none
\i sql/include/plan_of.sql
\set ECHO all
\set SHOW_CONTEXT never
CREATE TABLE t (name text, time timestamptz, value float8) USING tag WITH (historian.compact = off, autovacuum_enabled = off);
SELECT * FROM historian_options('t');
SELECT reloptions FROM pg_class WHERE oid = 't'::regclass;
ALTER TABLE t SET (historian.seal_interval = '5min', parallel_workers = 3);
SELECT label FROM pg_seclabels WHERE provider = 'historian' AND objoid = 't'::regclass;
ALTER TABLE t SET (historian.seal_interval = 30), RESET (historian.compact), SET (autovacuum_enabled = on);
SELECT name, value, source FROM historian_options('t');
SELECT reloptions FROM pg_class WHERE oid = 't'::regclass;
ALTER TABLE t SET (historian.compact);
SELECT name, value, source FROM historian_options('t');
ALTER TABLE IF EXISTS nowhere SET (historian.compact = off);

-- refused
ALTER TABLE t SET (historian.seal_interval = 0);
ALTER TABLE t SET (historian.seal_interval = '2 fortnights');
ALTER TABLE t SET (historian.compact = sometimes);
ALTER TABLE t SET (historian.colour = 'red');
ALTER TABLE t RESET (historian.colour);
ALTER TABLE t SET (historian.compact = on, historian.compact = off);
ALTER TABLE t RESET (historian.compact = on);
ALTER TABLE t SET (historian.compact = off, nonsense = 1);
CREATE TABLE plain (a int) WITH (historian.compact = off);
CREATE TABLE plain (a int);
ALTER TABLE plain SET (historian.compact = off);
CREATE TABLE parts (name text, time timestamptz) PARTITION BY RANGE (time) WITH (historian.compact = off);
CREATE TABLE parts (name text, time timestamptz) PARTITION BY RANGE (time);
ALTER TABLE parts SET (historian.compact = off);
CREATE VIEW v WITH (historian.compact = off) AS TABLE t;
SELECT * FROM historian_options('plain');
CREATE ROLE historian_other;
SET ROLE historian_other;
ALTER TABLE t SET (historian.compact = off);
RESET ROLE;
DROP ROLE historian_other;
\set VERBOSITY sqlstate
ALTER TABLE t SET (historian.colour = 'red');
ALTER TABLE plain SET (historian.compact = off);
\set VERBOSITY default

-- labels set directly, as pg_dump writes them
SECURITY LABEL FOR historian ON TABLE t IS ' compact = no;seal_interval=90s ';
SELECT name, value, source FROM historian_options('t');
SECURITY LABEL FOR historian ON TABLE t IS 'compact=perhaps';
SECURITY LABEL FOR historian ON TABLE t IS 'compact';
SECURITY LABEL FOR historian ON TABLE t IS 'compact=on; compact=off';
SECURITY LABEL FOR historian ON COLUMN t.name IS 'compact=on';
SECURITY LABEL FOR historian ON SCHEMA public IS 'compact=on';
SECURITY LABEL FOR historian ON TABLE t IS NULL;
SELECT count(*) FROM pg_seclabels WHERE provider = 'historian';
-- ... on a heap table they wait
SECURITY LABEL FOR historian ON TABLE plain IS 'compact=off';
DROP TABLE plain;

-- kept
ALTER TABLE t SET (historian.compact = off);
INSERT INTO t VALUES ('a', '2026-01-01 00:00+00', 1);
ALTER TABLE t ALTER COLUMN value TYPE numeric;
ALTER TABLE t SET ACCESS METHOD tag;
TRUNCATE t;
ALTER TABLE t RENAME TO u;
SELECT name, value FROM historian_options('u') WHERE source = 'table';
ALTER TABLE u SET ACCESS METHOD heap;
ALTER TABLE u SET ACCESS METHOD tag, SET (historian.seal_interval = '1h');
SELECT name, value FROM historian_options('u') WHERE source = 'table';
-- ... but not by LIKE, which copies no storage parameters
CREATE TABLE alike (LIKE u INCLUDING ALL) USING tag;
SELECT count(*) FROM historian_options('alike') WHERE source = 'table';
-- ... and taken back with the transaction
BEGIN;
ALTER TABLE u RESET (historian.compact, historian.seal_interval);
ROLLBACK;
SELECT label FROM pg_seclabels WHERE provider = 'historian' AND objoid = 'u'::regclass;

-- every way to a new table
CREATE TABLE as_select USING tag WITH (historian.compact = off) AS TABLE u;
CREATE MATERIALIZED VIEW mat USING tag WITH (historian.compact = off) AS TABLE u;
ALTER MATERIALIZED VIEW mat SET (historian.seal_interval = '2h');
CREATE TABLE parts_1 PARTITION OF parts DEFAULT USING tag WITH (historian.compact = off);
CREATE SCHEMA apart CREATE TABLE t (name text, time timestamptz) USING tag WITH (historian.compact = off);
CREATE TABLE IF NOT EXISTS u (name text, time timestamptz) USING tag WITH (historian.compact = on);
CREATE TABLE x (a int);
CREATE TEMP TABLE x (name text, time timestamptz) USING tag WITH (historian.compact = off);
CREATE TABLE public.y (name text, time timestamptz) USING tag WITH (historian.compact = off);
SET default_table_access_method = 'tag';
CREATE UNLOGGED TABLE z (name text, time timestamptz) WITH (historian.compact = off);
RESET default_table_access_method;
SELECT plan_of($$CREATE TABLE explained USING tag WITH (historian.compact = off) AS SELECT 'a' AS name, timestamptz '2026-01-01' AS time$$);
CREATE FUNCTION make_and_drop() RETURNS text LANGUAGE plpgsql AS $$
DECLARE label text;
BEGIN
    CREATE TABLE again (name text, time timestamptz) USING tag WITH (historian.compact = off);
    SELECT s.label INTO label FROM pg_seclabels s WHERE objoid = 'again'::regclass;
    DROP TABLE again;
    RETURN label;
END $$;
SELECT make_and_drop(), make_and_drop();
DROP FUNCTION make_and_drop;
DO $$ BEGIN CREATE TABLE in_do (name text, time timestamptz) USING tag WITH (historian.compact = off); END $$;
SELECT objtype, objoid::regclass, label FROM pg_seclabels WHERE provider = 'historian' ORDER BY objoid;
DROP SCHEMA apart CASCADE;
DROP TABLE u, alike, as_select, parts, pg_temp.x, public.x, y, z, explained, in_do CASCADE;
SELECT count(*) FROM pg_seclabels WHERE provider = 'historian';

-- what PostgreSQL itself refuses, it refuses in its own words
CREATE TABLE nowhere.t (name text, time timestamptz) USING tag WITH (historian.compact = off);
CREATE TABLE otherdb.public.t (name text, time timestamptz) USING tag WITH (historian.compact = off);
SET search_path = '';
CREATE TABLE t (name text, time timestamptz) USING tag WITH (historian.compact = off);
RESET search_path;
BEGIN READ ONLY;
CREATE TEMP TABLE t (name text, time timestamptz) USING tag WITH (historian.compact = off);
ROLLBACK;
CREATE TABLE pg_temp.t (name text, time timestamptz) USING tag WITH (historian.compact = off);
SELECT name, value FROM historian_options('t') WHERE source = 'table';
DROP TABLE t;
