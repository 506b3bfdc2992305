-- The tables of TSBS's use case "devops", for psql: hosts, and what their processors do every ten seconds.
--
-- psql variables: hosts, hours (from 2026-01-01 on), seed.
--
--   tags          a host a row
--   cpu_heap      the points, in the order of time; a heap table with TSBS's indexes
--   cpu_by_id     the same as a tag table, as TSBS has it: the tag is the number of the host
--   cpu_by_name   the same with the host's name as the tag
--
-- Figures are walks between 0 and 100 with two decimals. The last five minutes come after the rest is sealed.
SET client_min_messages = warning;
SET timezone = 'UTC';
SET max_parallel_workers_per_gather = 0;  -- for the order in which random() is asked
SET work_mem = '256MB';
SELECT setseed(:seed) \g /dev/null

CREATE FUNCTION one_of(choices text[]) RETURNS text LANGUAGE sql VOLATILE
    AS $$ SELECT choices[1 + floor(random() * cardinality(choices))::int] $$;
CREATE TABLE tags (id int PRIMARY KEY, hostname text NOT NULL UNIQUE, region text, datacenter text, rack text, os text, arch text,
    team text, service text, service_version text, service_environment text);
INSERT INTO tags
    SELECT id, 'host_' || id - 1, region, region || one_of('{a,b,c}'), floor(random() * 100)::int, one_of('{Debian 12,Ubuntu 24.04}'),
        one_of('{x64,arm64}'), one_of('{SF,NYC,LON,CHI}'), floor(random() * 20)::int, floor(random() * 2)::int,
        one_of('{production,staging,test}')
    FROM (SELECT id, one_of('{eu-west-1,eu-central-1,us-east-1,us-west-2,ap-south-1}') AS region
          FROM generate_series(1, :hosts) AS id) AS chosen;

CREATE TABLE cpu_heap (time timestamptz NOT NULL, tags_id int, hostname text, usage_user float8, usage_system float8, usage_idle float8,
    usage_nice float8, usage_iowait float8, usage_irq float8, usage_softirq float8, usage_steal float8, usage_guest float8,
    usage_guest_nice float8) USING heap;
CREATE TABLE cpu_by_id (LIKE cpu_heap) USING tag;
CREATE TABLE cpu_by_name (time timestamptz NOT NULL, hostname text, tags_id int, usage_user float8, usage_system float8,
    usage_idle float8, usage_nice float8, usage_iowait float8, usage_irq float8, usage_softirq float8, usage_steal float8,
    usage_guest float8, usage_guest_nice float8) USING tag;

-- A step of a walk, the first one to anywhere; and a walk thrown back at 0 and 100.
CREATE FUNCTION step(is_first boolean) RETURNS float8 LANGUAGE sql VOLATILE
    AS $$ SELECT CASE WHEN is_first THEN random() * 100 ELSE random() * 4 - 2 END $$;
CREATE FUNCTION thrown_back(walk float8) RETURNS float8 LANGUAGE sql IMMUTABLE
    AS $$ SELECT floor(acos(cos(walk * pi() / 100)) * 10000 / pi()) / 100 $$;
INSERT INTO cpu_heap
    SELECT '2026-01-01'::timestamptz + tick * interval '10 seconds', id, hostname, thrown_back(sum(a) OVER walk),
        thrown_back(sum(b) OVER walk), thrown_back(sum(c) OVER walk), thrown_back(sum(d) OVER walk), thrown_back(sum(e) OVER walk),
        thrown_back(sum(f) OVER walk), thrown_back(sum(g) OVER walk), thrown_back(sum(h) OVER walk), thrown_back(sum(i) OVER walk),
        thrown_back(sum(j) OVER walk)
    FROM (SELECT tick, id, hostname, step(tick = 0) AS a, step(tick = 0) AS b, step(tick = 0) AS c, step(tick = 0) AS d,
              step(tick = 0) AS e, step(tick = 0) AS f, step(tick = 0) AS g, step(tick = 0) AS h, step(tick = 0) AS i,
              step(tick = 0) AS j
          FROM generate_series(0, :hours * 360 - 1) AS tick CROSS JOIN (SELECT id, hostname FROM tags ORDER BY id OFFSET 0) AS host)
        AS steps
    WINDOW walk AS (PARTITION BY id ORDER BY tick ROWS UNBOUNDED PRECEDING)
    ORDER BY tick, id;
CREATE INDEX ON cpu_heap (time DESC);
CREATE INDEX ON cpu_heap (tags_id, time DESC);
CREATE INDEX ON cpu_heap (hostname, time DESC);

CREATE FUNCTION copy_points(points text, source text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('INSERT INTO %I (time, tags_id, hostname, usage_user, usage_system, usage_idle, usage_nice, usage_iowait, usage_irq, '
                   'usage_softirq, usage_steal, usage_guest, usage_guest_nice) SELECT * FROM (%s) AS s', points, source);
END $$;
SELECT copy_points(points, format('SELECT * FROM cpu_heap WHERE time < %L::timestamptz + %s * interval ''1 hour'' - interval ''5 min'' '
                                  'ORDER BY time', '2026-01-01', :hours))
    FROM (VALUES ('cpu_by_id'), ('cpu_by_name')) AS t (points) \g /dev/null
CALL compact('cpu_by_id');
CALL compact('cpu_by_name');
SELECT copy_points(points, format('SELECT * FROM cpu_heap WHERE time >= %L::timestamptz + %s * interval ''1 hour'' - interval ''5 min'' '
                                  'ORDER BY time', '2026-01-01', :hours))
    FROM (VALUES ('cpu_by_id'), ('cpu_by_name')) AS t (points) \g /dev/null
DROP FUNCTION copy_points, step, thrown_back, one_of;
RESET work_mem;
RESET max_parallel_workers_per_gather;
VACUUM ANALYZE tags, cpu_heap, cpu_by_id, cpu_by_name;
