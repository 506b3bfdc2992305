-- SQL that came with PostgreSQL 17 and 18. What is expected for versions before 17 ends at once; _1 is for 17, _2 for 18.
SELECT current_setting('server_version_num')::int < 170000 AS is_before_17, current_setting('server_version_num')::int < 180000 AS is_before_18 \gset
\if :is_before_17
\quit
\endif
SET timezone = 'UTC';
SET datestyle = 'ISO';

-- Partitioned tables have an access method, which their partitions inherit.
CREATE TABLE points (name text, time timestamptz, value int) PARTITION BY RANGE (time) USING tag;
CREATE TABLE points_1 PARTITION OF points FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE points_2 PARTITION OF points FOR VALUES FROM ('2026-02-01') TO ('2026-03-01') USING heap;
CREATE TABLE records (id int, msg text) PARTITION BY RANGE (id) USING log;
CREATE TABLE records_1 PARTITION OF records FOR VALUES FROM (1) TO (10);
CREATE TABLE records_2 PARTITION OF records FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (id);
CREATE TABLE records_2_1 PARTITION OF records_2 FOR VALUES FROM (10) TO (20);
SELECT relname, amname FROM pg_class AS c JOIN pg_am AS a ON a.oid = relam WHERE relname ~ '^(points|records)' ORDER BY 1;
INSERT INTO points VALUES ('a', '2026-01-02', 1), ('a', '2026-02-02', 2);
INSERT INTO records VALUES (1, 'pump failed'), (11, 'pump started');
SELECT id, msg, _arrival_time IS NOT NULL AS has_time FROM records WHERE msg @@ search('pump') ORDER BY id;
ALTER TABLE points ADD PRIMARY KEY (name, time);
ALTER TABLE records DROP COLUMN _arrival_time;
ALTER TABLE points SET (historian.compact = off);
ALTER TABLE points SET ACCESS METHOD DEFAULT;
CREATE TABLE points_3 PARTITION OF points FOR VALUES FROM ('2026-03-01') TO ('2026-04-01');
SELECT amname FROM pg_class AS c JOIN pg_am AS a ON a.oid = relam WHERE relname = 'points_3';

-- SET ACCESS METHOD DEFAULT
CREATE TABLE indexed (name text PRIMARY KEY, time timestamptz);
SET default_table_access_method = tag;
ALTER TABLE indexed SET ACCESS METHOD DEFAULT;
RESET default_table_access_method;
ALTER TABLE points_1 SET ACCESS METHOD DEFAULT;
ALTER TABLE points_1 SET ACCESS METHOD tag;
SELECT * FROM points ORDER BY time;

-- MERGE, COPY
CREATE TABLE sensor (name text, time timestamptz, value int) USING tag;
INSERT INTO sensor SELECT 'a' || i % 3, timestamptz '2026-01-01' + i * interval '1 s', i FROM generate_series(1, 3000) i;
CALL compact('sensor');
MERGE INTO sensor AS t USING (VALUES ('a1', 5), ('new', 6)) AS s (name, value) ON t.name = s.name AND t.value < 5
    WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (s.name, '2026-01-02', s.value) RETURNING merge_action(), t.*;
MERGE INTO sensor AS t USING (VALUES ('a1')) AS s (name) ON t.name = s.name
    WHEN NOT MATCHED BY SOURCE AND t.value > 10 THEN DELETE WHEN MATCHED THEN DO NOTHING;
SELECT count(*), count(DISTINCT name), sum(value) FROM sensor;
MERGE INTO sensor AS t USING (VALUES ('a1')) AS s (name) ON t.name = s.name WHEN NOT MATCHED BY SOURCE THEN UPDATE SET value = 0;
COPY sensor FROM STDIN WITH (ON_ERROR ignore);
b	2026-01-03	1
b	no time	2
\.
SELECT * FROM sensor WHERE name = 'b';
DROP TABLE points, records, indexed;
\if :is_before_18
DROP TABLE sensor;
\quit
\endif

-- RETURNING
INSERT INTO sensor VALUES ('c', '2026-01-03', 1) RETURNING old.value, new.value;
DELETE FROM sensor WHERE name = 'c' RETURNING old.value, new.value;

-- Virtual generated columns
CREATE TABLE computed (name text, time timestamptz, value int, twice int GENERATED ALWAYS AS (value * 2)) USING tag;
INSERT INTO computed SELECT 'a' || i % 3, timestamptz '2026-01-01' + i * interval '1 s', i FROM generate_series(1, 3000) i;
CALL compact('computed');
INSERT INTO computed VALUES ('tail', '2026-01-02', 5000);
SELECT name, count(*), sum(twice), max(twice) FROM computed WHERE twice > 5000 GROUP BY name ORDER BY name;
ALTER TABLE computed ALTER twice SET EXPRESSION AS (value * 3);
SELECT sum(twice), sum(value) FROM computed;
DELETE FROM computed WHERE twice = 9000 RETURNING *;
CREATE TABLE virtual_tag (name text GENERATED ALWAYS AS (lower(note)), time timestamptz, note text) USING tag;
CREATE TABLE virtual_time (name text, day date, time timestamp GENERATED ALWAYS AS (day + interval '1 hour')) USING tag;
CREATE TABLE virtual_log (msg text, _arrival_time timestamptz GENERATED ALWAYS AS (timestamptz '2026-01-01 00:00Z')) USING log;
CREATE TABLE virtual_heap (name text GENERATED ALWAYS AS (lower(note)), time timestamptz, note text);
ALTER TABLE virtual_heap SET ACCESS METHOD tag;

-- Constraints
CREATE TABLE overlapping (name text, time timestamptz, span int4range, at tstzrange, UNIQUE (span, at WITHOUT OVERLAPS)) USING tag;
ALTER TABLE sensor ADD CONSTRAINT positive CHECK (value > 0) NOT ENFORCED;
INSERT INTO sensor VALUES ('d', '2026-01-04', -1);
ALTER TABLE sensor ADD CONSTRAINT has_value NOT NULL value NOT VALID;
ALTER TABLE sensor VALIDATE CONSTRAINT has_value;
INSERT INTO sensor VALUES ('d', '2026-01-04', NULL);
DROP TABLE sensor, computed, virtual_heap;
