-- Conditions on the columns of log tables: the answers of a heap table in every state, and what is passed over for them.
\set ECHO none
\i sql/include/plan_of.sql
\set ECHO all
CREATE TYPE level AS ENUM ('info', 'warning', 'error');
CREATE TABLE lines (id int, host inet, level level, port int8, request uuid, day date, ok boolean, msg text, title varchar(80))
    USING log WITH (historian.search = 'msg, title');
CREATE TABLE heap_lines (LIKE lines) USING heap;

-- Messages of machines, with values of every kind, NULLs, empty ones and other scripts.
INSERT INTO heap_lines
SELECT i, ('10.0.' || i % 7 || '.' || i % 250)::inet, (enum_range(NULL::level))[1 + (i % 100 > 90)::int + (i % 100 > 97)::int], 1000 + i / 10,
    md5(i::text)::uuid, date '2026-01-01' + i / 5000, i % 3 = 0,
    CASE WHEN i % 501 = 0 THEN NULL
         WHEN i % 500 = 0 THEN ''
         WHEN i = 7779 THEN 'xyzzy42fault: the needle, found at last'
         WHEN i % 97 = 0 THEN '설비 ' || i % 10 || '번 대한민국 공장 온도 이상'
         WHEN i % 89 = 0 THEN 'café Zürich ｅｒｒｏｒ ' || i
         ELSE (ARRAY['pump-' || i % 50 || ' failed after ' || i % 1000 || ' ms, code=0x' || to_hex(i % 256),
                     'connection from 10.1.' || i % 20 || '.' || i % 200 || ' closed: timed out',
                     'user ' || (ARRAY['kim', 'lee', 'park_jr', 'O''Neil'])[1 + i % 4] || ' logged in, session ' || md5(i::text),
                     'temperature=' || round((i % 700) / 10.0, 1) || ' limit=60.0 ok',
                     'ERROR 102 in /var/log/unit-' || i % 30 || '.log: disk full on sd_' || chr(97 + i % 26)])[1 + i % 5] END,
    'line ' || i % 40, timestamptz '2026-01-01 00:00+00' + i * interval '17 s'
FROM generate_series(1, 20000) AS i;

-- Every condition in every state of the log table: fresh, half sealed, sealed, merged, with deletions.
CREATE FUNCTION compare(state text, id_max int) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    conditions text[] := ARRAY[
        $c$msg @@ search('failed')$c$, $c$msg @@ search('FAILED ms')$c$, $c$msg @@ search('xyzzy42fault')$c$, $c$msg @@ search('xyzzy*')$c$,
        $c$msg @@ search('*fault')$c$, $c$msg @@ search('absent')$c$, $c$msg @@ search('10.1.7.187')$c$, $c$msg @@ search('0x1f')$c$,
        $c$msg @@ search('"timed out"')$c$, $c$msg @@ search('out timed')$c$, $c$msg @@ search('"out timed"')$c$, $c$msg @@ search('failed | kim')$c$,
        $c$msg @@ search('-failed')$c$, $c$msg @@ search('error -disk')$c$, $c$msg @@ search('error 102')$c$, $c$msg @@ search('민국')$c$,
        $c$msg @@ search('국')$c$, $c$msg @@ search('대한민국 이상')$c$, $c$msg @@ search('CAFÉ')$c$, $c$msg @@ search('error')$c$, $c$msg @@ search('')$c$,
        $c$msg @@ search('...')$c$, $c$msg @@ search('*')$c$, $c$NOT msg @@ search('failed')$c$, $c$msg @@ search('58')$c$, $c$msg @@ search('58.3')$c$,
        $c$msg @@ search('temperature=58.3')$c$, $c$msg @@ search('sd_q')$c$, $c$msg @@ search('park')$c$, $c$msg @@ search('O''Neil')$c$,
        $c$msg @@ search('failed') AND msg @@ search('pump-7')$c$, $c$msg @@ search('failed') OR level = 'error'$c$, $c$title @@ search('line 7')$c$,
        $c$title = 'line 7'$c$, $c$title IN ('line 7', 'line 8', 'nothing')$c$, $c$msg = 'xyzzy42fault: the needle, found at last'$c$, $c$msg = ''$c$,
        $c$msg LIKE '%disk full on sd_%'$c$, $c$msg LIKE 'xyzzy42fault: the needle%'$c$, $c$msg LIKE '%eedl%'$c$, $c$msg LIKE '%'$c$,
        $c$msg LIKE 'user kim logged in, session _%'$c$, $c$msg ILIKE '%DISK FULL ON%'$c$, $c$msg ILIKE '%LOGGED IN, SESSION%'$c$,
        $c$msg ~ 'user k[i]m logged in, session .*a$'$c$, $c$msg ~ 'limit=60\.0 ok$'$c$, $c$msg ~ '(failed|needle)'$c$, $c$msg ~* 'Timed? out'$c$,
        $c$msg ~ '^xyzzy42fault: the needle, found'$c$, $c$msg LIKE '%full\_on%' ESCAPE '\'$c$, $c$msg NOT LIKE '%failed%'$c$,
        $c$id = 7779$c$, $c$id IN (1, 20000, -5, 7)$c$, $c$id = ANY ('{3,NULL,9999999}')$c$, $c$id = 7779::bigint$c$, $c$port = 1777::smallint$c$,
        $c$port = 99999999999$c$, $c$host = '10.0.3.10'$c$, $c$host = '10.0.3.10/24'$c$, $c$host <<= '10.0.3.0/24'$c$, $c$level = 'error'$c$,
        $c$level IN ('warning', 'error') AND msg @@ search('disk')$c$, $c$request = md5('500')::uuid$c$, $c$request = '00000000-0000-0000-0000-000000000000'$c$,
        $c$day = '2026-01-03'$c$, $c$ok$c$, $c$ok = false AND id < 10$c$, $c$id = 1 OR id = 20000 OR request = md5('77')::uuid$c$,
        $c$id = 5 OR msg IS NULL$c$, $c$id = 5 AND host = '10.0.5.5'$c$, $c$id = 5 AND host = '10.0.5.6'$c$, $c$msg IS NULL$c$,
        $c$_arrival_time < '2026-01-01 06:00+00' AND msg @@ search('failed')$c$, $c$id = (SELECT 77)$c$, $c$id = NULL$c$, $c$msg @@ NULL::search_query$c$];
    condition text;
    ours text;
    theirs text;
    compared int := 0;
BEGIN
    FOREACH condition IN ARRAY conditions LOOP
        EXECUTE format('SELECT count(*) || md5(coalesce(string_agg(l::text, E''\n'' ORDER BY id), '''')) FROM lines l WHERE %s', condition) INTO ours;
        EXECUTE format('SELECT count(*) || md5(coalesce(string_agg(l::text, E''\n'' ORDER BY id), '''')) FROM (SELECT * FROM heap_lines WHERE id <= %s) l WHERE %s', id_max, condition) INTO theirs;
        IF ours <> theirs THEN RETURN NEXT format('%s: %s, heap %s', condition, ours, theirs); END IF;

        compared := compared + 1;
    END LOOP;
    RETURN NEXT state || ': ' || compared || ' conditions compared';
END $$;

INSERT INTO lines SELECT * FROM heap_lines WHERE id <= 9000;
SELECT compare('fresh', 9000);
CALL compact('lines');
INSERT INTO lines SELECT * FROM heap_lines WHERE id > 9000 AND id <= 18000;
SELECT compare('half sealed', 18000);
CALL compact('lines');
SELECT compare('sealed', 18000);
INSERT INTO lines SELECT * FROM heap_lines WHERE id > 18000;
CALL compact('lines');
SELECT compare('merged', 20000);
DELETE FROM lines WHERE id % 11 = 0;
DELETE FROM heap_lines WHERE id % 11 = 0;
SELECT compare('deleted from', 20000);
CALL compact('lines');
SELECT compare('merged again', 20000);
-- A column that segments do not have
ALTER TABLE lines ADD COLUMN late text DEFAULT 'the same for all';
SELECT count(*) FROM lines WHERE late @@ search('same');
SELECT count(*) FROM lines WHERE late @@ search('other');
SELECT count(*) FROM lines WHERE late = 'the same for all';
ALTER TABLE lines DROP COLUMN late;

-- Parameters, under a generic plan too, and in the inner side of a join
SET plan_cache_mode = force_generic_plan;
PREPARE found(text, int) AS SELECT count(*) FROM lines WHERE msg @@ search($1) AND id >= $2;
EXECUTE found('failed', 0);
EXECUTE found('xyzzy42fault', 0);
EXECUTE found(NULL, 0);
RESET plan_cache_mode;
SELECT word, (SELECT count(*) FROM lines WHERE msg @@ search(word)) FROM (VALUES ('failed'), ('needle'), ('absent')) AS w (word);
SELECT w.id, l.msg FROM (VALUES (7779), (2)) AS w (id), LATERAL (SELECT msg FROM lines WHERE lines.id = w.id) AS l;

-- What is passed over, condition by condition. Segments of 2,000 rows, so that there is something to pass over.
CREATE TABLE small (LIKE lines INCLUDING DEFAULTS) USING log;
SET historian.debug_segment_rows = 2000;
INSERT INTO small SELECT * FROM lines;
CALL compact('small');
RESET historian.debug_segment_rows;
SELECT count(*) AS segments FROM historian_segments('small') WHERE state = 'sealed';
SET max_parallel_workers_per_gather = 0;
SELECT plan_of($$SELECT * FROM small WHERE msg @@ search('xyzzy42fault')$$);
SELECT plan_of($$SELECT * FROM small WHERE id = 5 AND host = '10.0.5.5'$$);
SELECT plan_of($$SELECT * FROM small WHERE id = 5 OR request = md5('19999')::uuid$$);
SELECT plan_of($$SELECT count(*) FROM small WHERE day = '2026-01-03' AND msg LIKE '%disk full on sd_%'$$);
SELECT plan_of($$SELECT * FROM small WHERE msg @@ search('absent') LIMIT 1$$, 'ANALYZE, FORMAT YAML');
-- So many values that looking each up would take longer than reading.
SELECT count(*) FROM small WHERE id = ANY (ARRAY(SELECT i * 3 FROM generate_series(1, 300000) AS i));
\set ECHO none
SELECT format('SELECT count(*) FROM small WHERE id IN (%s)', string_agg((i * 3)::text, ',')) FROM generate_series(1, 5000) AS i \gexec
\set ECHO all
-- Where row-level security hides rows, neither what is skipped nor a cost tells what they hold.
CREATE ROLE historian_guest;
GRANT SELECT ON small TO historian_guest;
ALTER TABLE small ENABLE ROW LEVEL SECURITY;
CREATE POLICY low ON small USING (id < 100);
SET ROLE historian_guest;
SELECT id FROM small WHERE msg @@ search('xyzzy42fault');
SELECT plan_of($$SELECT * FROM small WHERE msg @@ search('xyzzy42fault')$$);
SELECT plan_of($$SELECT * FROM small WHERE msg @@ search('absent')$$);
CREATE TEMP TABLE costs (plan json);
DO $$ DECLARE plan json; word text; BEGIN
    FOREACH word IN ARRAY '{xyzzy42fault,absent}'::text[] LOOP
        EXECUTE format('EXPLAIN (FORMAT JSON) SELECT * FROM small WHERE msg @@ search(%L)', word) INTO plan;
        INSERT INTO costs VALUES (plan->0->'Plan'->'Total Cost');
    END LOOP;
END $$;
SELECT count(DISTINCT plan::text) AS costs FROM costs;
RESET ROLE;
DROP TABLE costs;
ALTER TABLE small DISABLE ROW LEVEL SECURITY;
DROP POLICY low ON small;
DROP OWNED BY historian_guest;
DROP ROLE historian_guest;
-- Columns that are not searched cost nothing, and are found all the same.
ALTER TABLE small SET (historian.search = '');
TRUNCATE small;
INSERT INTO small SELECT * FROM lines;
CALL compact('small');
SELECT plan_of($$SELECT * FROM small WHERE msg @@ search('xyzzy42fault')$$);
SELECT (SELECT segment_bytes FROM historian_size('lines')) > (SELECT segment_bytes FROM historian_size('small')) AS costs_nothing;

-- Options
SELECT * FROM historian_options('lines');
ALTER TABLE lines SET (historian.search = 'id');
ALTER TABLE lines SET (historian.search = 'nowhere');
ALTER TABLE lines SET (historian.search = 'msg;title');
ALTER TABLE lines SET (historian.search = 'msg title');
ALTER TABLE lines RESET (historian.search);
CREATE TABLE points (name text, time timestamptz) USING tag WITH (historian.search = 'name');

SELECT historian_check('lines') IS NOT NULL AND historian_check('small') IS NOT NULL AS is_well;
DROP FUNCTION compare;
DROP TABLE lines, heap_lines, small;
DROP TYPE level;
