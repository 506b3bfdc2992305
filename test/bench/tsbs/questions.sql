-- TSBS's questions of the use case "devops", in our own words, of random hosts and periods of the tables of tables.sql. For psql.
--
-- psql variables: hours, seed.
--
-- Each is asked in up to three forms, as people keep their points:
--   name   the host's name stands in each point
--   id     a point has the number of its host, which a subquery finds in the table of hosts
--   join   the same by a join
-- {cpu} stands for the table of points.
SELECT setseed(:seed) \g /dev/null

CREATE FUNCTION some_hosts(host_count int) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT string_agg(quote_literal(hostname), ', ') FROM (SELECT hostname FROM tags ORDER BY random() LIMIT host_count) AS hosts $$;
-- All that there is, if it is less.
CREATE FUNCTION some_period(span int, hours int) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT format('time >= %L AND time < %L', start, start + span * interval '1 hour')
    FROM (SELECT '2026-01-01'::timestamptz + random() * greatest(hours - span, 0) * interval '1 hour') AS s (start) $$;
-- An aggregate of the first columns.
CREATE FUNCTION figures(aggregate text, column_count int) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT string_agg(format('%s(%s) AS %1$s_%2$s', aggregate, attname), ', ' ORDER BY attnum) FROM
        (SELECT attname, attnum FROM pg_attribute WHERE attrelid = 'cpu_heap'::regclass AND attname LIKE 'usage%'
         ORDER BY attnum LIMIT column_count) AS columns $$;
-- FROM and WHERE for some hosts in a form.
CREATE FUNCTION of_hosts(form text, host_count int) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT CASE form
        WHEN 'name' THEN format('FROM {cpu} AS c WHERE hostname IN (%s)', hosts)
        WHEN 'id' THEN format('FROM {cpu} AS c WHERE tags_id IN (SELECT id FROM tags WHERE hostname IN (%s))', hosts)
        ELSE format('FROM {cpu} AS c JOIN tags AS t ON t.id = c.tags_id WHERE t.hostname IN (%s)', hosts) END
    FROM some_hosts(host_count) AS h (hosts) $$;

CREATE TABLE question (number serial, name text, form text, is_ordered boolean, statement text);
-- The greatest values of some columns each minute.
INSERT INTO question (name, form, is_ordered, statement)
    SELECT format('single-groupby-%s-%s-%s', columns, hosts, span), form, true,
        format('SELECT time_bucket(''1 minute'', time) AS minute, %s %s AND %s GROUP BY minute ORDER BY minute',
               figures('max', columns), of_hosts(form, hosts), some_period(span, :hours))
    FROM (VALUES (1, 1, 1), (1, 1, 12), (1, 8, 1), (5, 1, 1), (5, 1, 12), (5, 8, 1)) AS q (columns, hosts, span),
        unnest('{name,id,join}'::text[]) AS form;
-- Those of all columns each hour.
INSERT INTO question (name, form, is_ordered, statement)
    SELECT format('cpu-max-all-%s', hosts), form, true,
        format('SELECT time_bucket(''1 hour'', time) AS hour, %s %s AND %s GROUP BY hour ORDER BY hour',
               figures('max', 10), of_hosts(form, hosts), some_period(8, :hours))
    FROM (VALUES (1), (8)) AS q (hosts), unnest('{name,id,join}'::text[]) AS form;
-- The average of some columns, each hour of each host.
INSERT INTO question (name, form, is_ordered, statement)
    SELECT format('double-groupby-%s', CASE columns WHEN 10 THEN 'all' ELSE columns::text END), form, true,
        CASE form
            WHEN 'name' THEN format('SELECT time_bucket(''1 hour'', time) AS hour, hostname, %s FROM {cpu} WHERE %s '
                                    'GROUP BY hour, hostname ORDER BY hour, hostname', figures('avg', columns), period)
            WHEN 'id' THEN format('SELECT t.hostname, averages.* FROM (SELECT time_bucket(''1 hour'', time) AS hour, tags_id, %s '
                                  'FROM {cpu} WHERE %s GROUP BY hour, tags_id) AS averages JOIN tags AS t ON t.id = tags_id '
                                  'ORDER BY hour, hostname', figures('avg', columns), period)
            ELSE format('SELECT time_bucket(''1 hour'', time) AS hour, t.hostname, %s FROM {cpu} AS c JOIN tags AS t ON t.id = c.tags_id '
                        'WHERE %s GROUP BY hour, t.hostname ORDER BY hour, t.hostname', figures('avg', columns), period) END
    FROM (VALUES (1), (5), (10)) AS q (columns), unnest('{name,id,join}'::text[]) AS form,
        LATERAL (SELECT some_period(12, :hours) WHERE columns IS NOT NULL AND form IS NOT NULL) AS p (period);
-- All points of hosts that are busy.
INSERT INTO question (name, form, is_ordered, statement)
    SELECT 'high-cpu-1', form, false, format('SELECT c.* %s AND usage_user > 90 AND %s', of_hosts(form, 1), some_period(12, :hours))
    FROM unnest('{name,id,join}'::text[]) AS form
    UNION ALL
    SELECT 'high-cpu-all', 'name', false, format('SELECT * FROM {cpu} WHERE usage_user > 90 AND %s', some_period(12, :hours));
-- The last point of each host.
INSERT INTO question (name, form, is_ordered, statement) VALUES
    ('lastpoint', 'name', true, 'SELECT DISTINCT ON (hostname) * FROM {cpu} ORDER BY hostname, time DESC'),
    ('lastpoint', 'id', true, 'SELECT DISTINCT ON (t.hostname) t.region, t.os, point.* FROM tags AS t CROSS JOIN LATERAL '
        '(SELECT * FROM {cpu} AS c WHERE c.tags_id = t.id ORDER BY time DESC LIMIT 1) AS point ORDER BY t.hostname, point.time DESC'),
    ('lastpoint', 'join', true, 'SELECT DISTINCT ON (t.hostname) t.region, t.os, c.* FROM {cpu} AS c JOIN tags AS t ON t.id = c.tags_id '
        'ORDER BY t.hostname, c.time DESC');
-- The last five minutes before a time.
INSERT INTO question (name, form, is_ordered, statement)
    SELECT 'groupby-orderby-limit', 'name', true, format('SELECT time_bucket(''1 minute'', time) AS minute, max(usage_user) FROM {cpu} '
        'WHERE time < %L GROUP BY minute ORDER BY minute DESC LIMIT 5',
        '2026-01-01'::timestamptz + (0.5 + random() / 2) * :hours * interval '1 hour');
DROP FUNCTION some_hosts, some_period, figures, of_hosts;
