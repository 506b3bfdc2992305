-- INSERT of several rows keeps them back until it is over, or until there are enough for a segment. Nobody may notice: a heap table
-- that gets the same says what is right.
\set SHOW_CONTEXT never
CREATE TABLE h (name text, time timestamptz, v bigint) USING heap;
CREATE TABLE t (LIKE h) USING tag WITH (historian.compact = off);
CREATE TABLE l (LIKE h) USING log;
-- Runs a statement once for each table, '$' being its name; tells whether all hold the same rows then, and how many.
CREATE FUNCTION same(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE tab text; sums text[]; one text; rows bigint;
BEGIN
    FOREACH tab IN ARRAY '{h, t, l}'::text[] LOOP
        EXECUTE replace(statement, '$', tab);
        EXECUTE format('SELECT count(*), md5(string_agg(concat_ws('','', name, time, v), '';'' ORDER BY name COLLATE "C", time, v)) FROM %s', tab)
            INTO rows, one;
        sums := sums || concat(rows, ' rows, ', one);
    END LOOP;
    RETURN CASE WHEN sums[1] = ALL (sums) THEN 'same: ' || rows ELSE array_to_string(sums, '; ') END;
END $$;
CREATE FUNCTION at(i bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$ SELECT timestamptz '2026-01-01 00:00+00' + i * interval '1 s' $$;

-- few rows go to the tail, many to segments, and the last of those to the tail again
SELECT same($$INSERT INTO $ SELECT 'tag' || i % 7, at(i), i FROM generate_series(1, 5000) AS i$$);
SELECT count(*) FROM historian_segments('t') WHERE kind = 'segment';
SELECT same($$INSERT INTO $ SELECT 'tag' || i % 7, at(i), i FROM generate_series(5001, 80000) AS i$$);
SELECT kind, state, row_count FROM historian_segments('t') ORDER BY kind;
SELECT same($$INSERT INTO $ SELECT name, time + interval '1 day', v FROM $ WHERE v % 50 = 0$$);
SELECT same($$INSERT INTO $ VALUES ('one', at(1), 1), ('two', at(2), 2), (NULL, NULL, NULL)$$);
SELECT same($$INSERT INTO $ SELECT 'none', at(1), 1 WHERE false$$);

-- what functions of the statement see: its rows so far when they are volatile, none of them when they are stable
CREATE FUNCTION rows_now(tab text) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE n bigint; BEGIN EXECUTE format('SELECT count(*) FROM %I', tab) INTO n; RETURN n; END $$;
CREATE FUNCTION rows_before(tab text) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE n bigint; BEGIN EXECUTE format('SELECT count(*) FROM %I', tab) INTO n; RETURN n; END $$;
SELECT same($$INSERT INTO $ SELECT 'seen', at(i), rows_now('$') FROM generate_series(1, 50) AS i$$);
SELECT same($$INSERT INTO $ SELECT 'unseen', at(i), rows_before('$') FROM generate_series(1, 50) AS i$$);
SELECT same($$INSERT INTO $ SELECT 'unread', at(i), n FROM generate_series(1, 20) AS i, LATERAL (SELECT count(*) AS n FROM $ WHERE v = i) AS s$$);

-- the same through a cursor that was opened before, and in parallel workers of a statement that names another table
CREATE FUNCTION next_count(tab text, i bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE c refcursor := 'counts'; n bigint;
BEGIN
    IF i = 1 THEN
        OPEN c FOR EXECUTE format('SELECT (SELECT count(*) FROM %I WHERE v >= a * 0) FROM generate_series(1, 100) AS a', tab);
    END IF;
    FETCH c INTO n;
    IF i = 5 THEN CLOSE c; END IF;
    RETURN n;
END $$;
SELECT same($$INSERT INTO $ SELECT 'counted', at(i), next_count('$', i) FROM generate_series(1, 5) AS i$$);
CREATE TABLE other AS SELECT i FROM generate_series(1, 20000) AS i;
ANALYZE other;
CREATE FUNCTION rows_safe(tab text, i bigint) RETURNS bigint LANGUAGE plpgsql VOLATILE PARALLEL SAFE AS $$
DECLARE n bigint; BEGIN EXECUTE format('SELECT count(*) FROM %I WHERE name = $1', tab) INTO n USING 'parallel'; RETURN n; END $$;
CREATE FUNCTION largest_seen(tab text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
    EXECUTE format('SELECT min(rows_safe(%L, i)) FROM other WHERE i %% 4000 = 0', tab) INTO n;
    RETURN n;
EXCEPTION WHEN division_by_zero THEN RETURN -1;
END $$;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET parallel_leader_participation = off;
SELECT same($$INSERT INTO $ SELECT 'parallel', at(i), largest_seen('$') FROM generate_series(1, 5) AS i$$);
SELECT v FROM t WHERE name = 'parallel' ORDER BY time;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET parallel_leader_participation;

-- functions that insert and delete, and that fail and go on
CREATE FUNCTION put(tab text, i bigint) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('INSERT INTO %I SELECT ''inner'', at(i), i FROM generate_series($1, $1 + 2) AS i', tab) USING i;
    BEGIN
        EXECUTE format('INSERT INTO %I SELECT ''undone'', at(i), 1 / (i - 3) FROM generate_series(1, 5) AS i', tab);
    EXCEPTION WHEN division_by_zero THEN
        EXECUTE format('DELETE FROM %I WHERE name = ''inner'' AND v = $1', tab) USING i;
    END;
    RETURN i;
END $$;
SELECT same($$INSERT INTO $ SELECT 'outer', at(i), put('$', i) FROM generate_series(100, 120) AS i$$);
CREATE FUNCTION put_with(tab text, i bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE x bigint; place tid;
BEGIN
    EXECUTE format('WITH w AS (INSERT INTO %I VALUES (''with'', at(1), $1), (''with'', at(2), $1)) SELECT 1', tab) USING i;
    EXECUTE format('WITH w AS (INSERT INTO %I VALUES (''with'', at(3), $1), (''with'', at(4), $1) RETURNING v, ctid) SELECT v, ctid FROM w', tab)
        INTO x, place USING i;
    RETURN CASE WHEN place IS NULL THEN -1 ELSE x END;
EXCEPTION WHEN division_by_zero THEN RETURN -2;
END $$;
SELECT same($$INSERT INTO $ SELECT 'around', at(i), put_with('$', i) FROM generate_series(100, 120) AS i$$);
SELECT same($$DO 'BEGIN INSERT INTO $ SELECT ''undone'', at(i), 1 / (i - 70000) FROM generate_series(1, 80000) AS i;
                  EXCEPTION WHEN division_by_zero THEN INSERT INTO $ SELECT ''instead'', at(i), i FROM generate_series(1, 3) AS i; END'$$);
BEGIN;
SELECT same($$INSERT INTO $ SELECT 'kept', at(i), i FROM generate_series(1, 20) AS i$$);
SAVEPOINT s;
SELECT same($$INSERT INTO $ SELECT 'dropped', at(i), i FROM generate_series(1, 70000) AS i$$);
ROLLBACK TO s;
SELECT same($$INSERT INTO $ SELECT 'kept', at(i), i FROM generate_series(21, 40) AS i$$);
COMMIT;

-- constraints, defaults, statement triggers with the new rows, row triggers
ALTER TABLE h ADD CONSTRAINT small CHECK (v < 1000000);
ALTER TABLE t ADD CONSTRAINT small CHECK (v < 1000000);
ALTER TABLE l ADD CONSTRAINT small CHECK (v < 1000000);
INSERT INTO t SELECT 'refused', at(i), i FROM generate_series(999000, 1000000) AS i;
CREATE TABLE told (tab text, at text, rows bigint, largest bigint) USING heap;
CREATE FUNCTION tell_all() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO told SELECT TG_TABLE_NAME, 'statement', count(*), max(v) FROM new_rows; RETURN NULL; END $$;
CREATE FUNCTION tell_one() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.v := NEW.v + 1; INSERT INTO told VALUES (TG_TABLE_NAME, TG_WHEN, rows_now(TG_TABLE_NAME), NEW.v); RETURN NEW; END $$;
CREATE TRIGGER told AFTER INSERT ON h REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION tell_all();
CREATE TRIGGER told AFTER INSERT ON t REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION tell_all();
CREATE TRIGGER told AFTER INSERT ON l REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION tell_all();
SELECT same($$INSERT INTO $ SELECT 'told', at(i), i FROM generate_series(1, 30) AS i$$);
CREATE TRIGGER one BEFORE INSERT ON h FOR EACH ROW EXECUTE FUNCTION tell_one();
CREATE TRIGGER one BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION tell_one();
CREATE TRIGGER one BEFORE INSERT ON l FOR EACH ROW EXECUTE FUNCTION tell_one();
SELECT same($$INSERT INTO $ SELECT 'told one by one', at(i), i FROM generate_series(1, 4) AS i$$);
SELECT at, rows, largest, string_agg(tab, ' ' ORDER BY tab) AS told_by FROM told GROUP BY at, rows, largest ORDER BY at, rows;
DROP TRIGGER one ON h;
DROP TRIGGER one ON t;
DROP TRIGGER one ON l;

-- RETURNING and WITH ask for the rows before the statement is over
SELECT same($$WITH w AS (INSERT INTO $ SELECT 'with', at(i), i FROM generate_series(1, 9) AS i RETURNING v) INSERT INTO $ SELECT 'again', at(v), v FROM w$$);
WITH w AS (INSERT INTO t SELECT 'asked', at(i), i FROM generate_series(1, 3) AS i RETURNING v, ctid) SELECT count(DISTINCT ctid), sum(v) FROM w;

-- prepared statements, partitions, another table of ours filled from within
PREPARE batch(text[], bigint[]) AS INSERT INTO t SELECT name, at(v), v FROM unnest($1, $2) AS u(name, v);
EXECUTE batch('{a, b, c}', '{1, 2, 3}');
EXECUTE batch('{}', '{}');
EXECUTE batch('{d}', '{4}');
SELECT name, v FROM t WHERE name IN ('a', 'b', 'c', 'd') ORDER BY name;
CREATE TABLE parts (name text, time timestamptz, v bigint) PARTITION BY RANGE (time);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2026-01-01 00:00+00') TO ('2026-01-01 12:00+00') USING tag;
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM ('2026-01-01 12:00+00') TO ('2026-01-02 00:00+00') USING tag;
INSERT INTO parts SELECT 'tag' || i % 3, at(i), i FROM generate_series(1, 86399) AS i;
SELECT tableoid::regclass, count(*), sum(v) FROM parts GROUP BY 1 ORDER BY 1;
CREATE TABLE days (name text, time timestamptz, v bigint) PARTITION BY RANGE (time);
DO $$ BEGIN
    FOR d IN 0 .. 39 LOOP
        EXECUTE format('CREATE TABLE days_%s PARTITION OF days FOR VALUES FROM (%L) TO (%L) USING tag', d, at(d * 86400), at((d + 1) * 86400));
    END LOOP;
END $$;
INSERT INTO days SELECT 'tag' || i % 3, at(i % 40 * 86400 + i), i FROM generate_series(1, 20000) AS i;
SELECT count(*), count(DISTINCT v), sum(v), count(DISTINCT tableoid) FROM days;
CREATE FUNCTION copy_to_parts(i bigint) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN INSERT INTO parts SELECT 'from within', at(i + n), n FROM generate_series(1, 2) AS n; RETURN i; END $$;
INSERT INTO t SELECT 'from without', at(i), copy_to_parts(i) FROM generate_series(1, 100) AS i;
SELECT count(*), (SELECT count(*) FROM parts WHERE name = 'from within') AS within FROM t WHERE name = 'from without';
SELECT historian_check('t') ~ 'rows' AS whole, historian_check('l') ~ 'rows' AS whole, historian_check('parts_1') ~ 'rows' AS whole;

DEALLOCATE batch;
DROP TABLE h, t, l, told, parts, days, other;
DROP FUNCTION same, at, rows_now, rows_before, rows_safe, largest_seen, next_count, put, put_with, tell_all, tell_one, copy_to_parts;
